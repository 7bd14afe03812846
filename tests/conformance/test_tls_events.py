"""What events tell of TLS and of a client's certificate: the emulator says what live RabbitMQ says of the same one."""

import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hutch.client import AccessRefused, Connection, connection_to
from hutch.fakebroker import Broker
from hutch.fakebroker.server.tls import server_context
from hutch.wire.url import parse_url
from tests import certificates
from tests.live import LiveBroker
from tests.targets import PATIENCE, Target

PLUGIN = "rabbitmq_event_exchange"
AGREED = {"ssl": True, "ssl_protocol": "tlsv1.3", "ssl_cipher": "aes_256_gcm"}
CREATED = {**AGREED, "ssl_hash": "aead", "ssl_key_exchange": "any"}


@dataclass
class Place:
    """A broker's two addresses, and the certificates that are for it."""

    url: str
    secure: str
    files: certificates.Files


@contextmanager
def emulator(profile: str, files: certificates.Files) -> Iterator[Place]:
    context = server_context(files.server, files.server_key, files.ca)
    with Broker(profile, plugins=[PLUGIN]) as broker:
        yield Place(broker.url, broker.listen_tls(context), files)


def live(profile: str) -> Place:
    broker = LiveBroker.named(profile)
    names = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    files = certificates.Files(*(str(broker.certificates / name) for name in names))
    return Place(broker.url, broker.tls_url, files)


class Told:
    """Connects over TLS, and hears what events tell of that; others may be connected to the broker as well."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        (address,) = parse_url(place.url)
        connection = connection_to(address, connect_timeout=PATIENCE, read_timeout=PATIENCE)
        connection.connect()
        stack.callback(connection.collect)
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).queue
        channel.queue_bind(queue, "amq.rabbitmq.event", "#")
        self._events = channel.consume(queue, no_ack=True, timeout=PATIENCE)

    def connection(self, certified: bool, **parameters: Any) -> Connection:
        files = self._place.files
        shown = {"certfile": files.client, "keyfile": files.client_key} if certified else {}
        settings = {"ca_certs": files.ca, **shown}
        (address,) = parse_url(self._place.secure)
        connection = connection_to(address, ssl=settings, connect_timeout=PATIENCE, **parameters)
        self._stack.callback(connection.collect)
        return connection

    def next(self, key: str, name: str, about: object) -> dict[str, Any]:
        """What the next such event tells of TLS, whose header of that name is ``about``."""
        for message in self._events:
            headers = dict(message.headers or {})
            if (message.delivery_info or {})["routing_key"] == key and headers.get(name) == about:
                return {name: value for name, value in headers.items() if name.startswith(("ssl", "peer_cert"))}
        raise AssertionError(f"no event {key} about {about}")

    def all_of(self, *, certified: bool) -> list[dict[str, Any]]:
        """What is told of a login, of the connection that it opens, and of a login that fails."""
        connection = self.connection(certified)
        connection.connect()
        port = connection.sock.getsockname()[1]
        told = [self.next(key, "peer_port", port) for key in ("user.authentication.success", "connection.created")]
        nobody = f"nobody-{secrets.token_hex(4)}"
        with pytest.raises(AccessRefused):
            self.connection(certified, userid=nobody).connect()
        return [*told, self.next("user.authentication.failure", "name", nobody)]


@pytest.fixture(params=["3.10", "4.3"])
def profile(request: pytest.FixtureRequest) -> str:
    version: str = request.param
    return version


def test_a_client_without_a_certificate(profile: str, tmp_path: Path) -> None:
    with emulator(profile, certificates.write(tmp_path)) as place, ExitStack() as stack:
        empty = dict.fromkeys(("peer_cert_subject", "peer_cert_issuer", "peer_cert_validity"), "")
        newer = {"peer_cert_serial_number": ""} if profile == "4.3" else {}
        assert Told(place, stack).all_of(certified=False) == [AGREED, {**CREATED, **empty, **newer}, AGREED]


def test_a_client_with_a_certificate(profile: str, tmp_path: Path) -> None:
    with emulator(profile, certificates.write(tmp_path)) as place, ExitStack() as stack:
        login, created, failure = Told(place, stack).all_of(certified=True)
    certificate = {name: value for name, value in created.items() if name.startswith("peer_cert")}
    assert created == {**CREATED, **certificate}
    assert login == failure == {**AGREED, **certificate}
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(f"{moment} - {moment}", certificate.pop("peer_cert_validity"))
    subject, issuer = certificate.pop("peer_cert_subject"), certificate.pop("peer_cert_issuer")
    assert re.fullmatch(r"CN=guest,OU=Testing cert #[^,]+,O=trustme v[0-9.]+", subject)
    assert re.fullmatch(r"OU=Testing CA #[^,]+,O=trustme v[0-9.]+", issuer)
    if profile == "4.3":
        assert re.fullmatch("[1-9A-F][0-9A-F]*", certificate.pop("peer_cert_serial_number"))
    assert not certificate


@pytest.mark.targets("live-3.10", "live-4.3")
def test_the_emulator_tells_what_a_live_broker_tells(target: Target) -> None:
    place = live(target.profile)
    with ExitStack() as stack, emulator(target.profile, place.files) as ours:
        told = [Told(each, stack) for each in (place, ours)]
        for certified in (False, True):
            of_live, of_emulator = (each.all_of(certified=certified) for each in told)
            assert of_emulator == of_live

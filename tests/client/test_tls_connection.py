"""Connections over TLS: how they are asked for, what they carry, and logging in by certificate."""

import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hutch.client import AccessRefused, Channel, Connection, Message, connect
from hutch.client.transports.tls import TlsTransport
from hutch.fakebroker import Broker
from hutch.wire.transport import Transport
from hutch.wire.url import parse_url
from tests import certificates
from tests.live import LiveBroker
from tests.targets import PATIENCE, TARGETS, Target

over_tls = pytest.mark.targets(*(name for name in TARGETS if "tls" in name))


@pytest.fixture
def broker() -> Iterator[Broker]:
    """The emulator, which takes clients' certificates."""
    with Broker() as broker:
        broker.listen_tls(certificates.server_context(verify=ssl.CERT_OPTIONAL), ssl_cert_login_from="common_name")
        yield broker


@pytest.fixture
def url(broker: Broker) -> str:
    """Where it takes TLS."""
    with pytest.raises(RuntimeError) as told:
        broker.listen_tls(certificates.server_context())
    return str(told.value).split()[-1]


@pytest.fixture
def files(tmp_path: Path) -> certificates.Files:
    return certificates.write(tmp_path)


def place(url: str) -> str:
    (address,) = parse_url(url)
    return f"{address.host}:{address.port}"


# how to ask for TLS


@pytest.mark.parametrize("form", ["mapping", "context"])
def test_by_parameter(url: str, files: certificates.Files, form: str) -> None:
    settings: Any = {"ca_certs": files.ca} if form == "mapping" else certificates.client_context()
    with Connection(place(url), ssl=settings, connect_timeout=PATIENCE) as connection:
        assert isinstance(connection.transport, TlsTransport)
        assert connection.transport.ssl_object is not None
        assert connection.sock.gettimeout() is None
        assert connection.channel().is_open


def test_by_url(url: str, files: certificates.Files) -> None:
    with connect(f"{url}?cacertfile={quote(files.ca)}&heartbeat=10", connect_timeout=PATIENCE) as connection:
        assert isinstance(connection.transport, TlsTransport)
        assert connection.client_heartbeat == 10


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("", "the server's certificate is not accepted: self-signed certificate in certificate chain"),
        (
            "?verify=verify_peer",
            "the server's certificate is not accepted: self-signed certificate in certificate chain",
        ),
        ("?cacertfile={ca}&server_name_indication=other.example", "not valid for 'other.example'"),
    ],
)
def test_urls_that_lead_to_somebody_else(url: str, files: certificates.Files, options: str, text: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=text):
        connect(url + options.format(ca=quote(files.ca)), connect_timeout=PATIENCE)


@pytest.mark.parametrize("options", ["?verify=verify_none", "?cacertfile={ca}&server_name_indication=localhost"])
def test_urls_that_say_whom_to_trust(url: str, files: certificates.Files, options: str) -> None:
    connect(url + options.format(ca=quote(files.ca)), connect_timeout=PATIENCE).close()


def test_a_parameter_wins_over_the_url(url: str) -> None:
    connect(url, ssl=certificates.client_context(), connect_timeout=PATIENCE).close()


def test_a_list_of_hosts_with_and_without_tls(broker: Broker, url: str, files: certificates.Files) -> None:
    hosts = f"{url};amqp://{place(broker.url)}"
    connection = connect(hosts, connect_timeout=PATIENCE)  # the first host's certificate is not trusted
    assert not isinstance(connection.transport, TlsTransport)
    connection.close()
    with pytest.raises(ConnectionRefusedError, match=r"none of 2 hosts can be reached: .* not accepted.*; .* not acce"):
        connect(f"{url};{url}", connect_timeout=PATIENCE)


@pytest.mark.parametrize(
    ("url", "port"), [("amqps://127.0.0.9", 5671), ("amqps://127.0.0.9:1", 1), ("amqp://127.0.0.9:2", 2)]
)
def test_ports(url: str, port: int) -> None:
    with pytest.raises(ConnectionRefusedError, match=rf"127\.0\.0\.9:{port}: Connection refused"):
        connect(url)


def test_the_port_of_a_host_without_one_is_py_amqps() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.9:5672: Connection refused"):
        Connection("127.0.0.9", ssl=True).connect()


def test_a_transport_of_ones_own() -> None:
    class Recorded(Connection):
        def Transport(self, *args: Any, **_: Any) -> Transport:  # noqa: N802
            calls.append(args)
            return broker.transport()

    calls: list[tuple[Any, ...]] = []
    settings = {"ca_certs": "ca.pem"}
    with (
        Broker() as broker,
        Recorded(
            "nowhere:1", ssl=settings, connect_timeout=1, read_timeout=2, write_timeout=3, socket_settings={4: 5}
        ) as connection,
    ):
        assert connection.channel().is_open
    assert calls == [("nowhere:1", 1, settings, 2, 3, {4: 5})]


# data over TLS


@over_tls
def test_big_bodies_both_ways(target: Target) -> None:
    with target.connect(confirm_publish=True) as connection, connection.channel() as channel:
        queue = target.name("big")
        channel.queue_declare(queue, exclusive=True)
        bodies = [os.urandom(size) for size in (0, 1, 16_384, 131_065, 1 << 20, 8_000_000)]
        for body in bodies:
            channel.basic_publish(Message(body), routing_key=queue, confirm_timeout=PATIENCE)
        for body in bodies:
            message = channel.basic_get(queue, no_ack=True)
            assert message is not None
            assert message.body == body


@over_tls
def test_two_threads_publish_while_one_drains(target: Target) -> None:
    count = 300
    got: list[Any] = []
    with target.connect() as connection:
        queue = target.name("crossing")
        consuming = connection.channel()
        consuming.queue_declare(queue, exclusive=True)
        consuming.basic_consume(queue, callback=lambda message: got.append(message.body), no_ack=True)

        def publish(channel: Channel, letter: bytes) -> None:
            for number in range(count):
                body = b"%s%d " % (letter, number) + letter * (number * 300)
                channel.basic_publish(Message(body), routing_key=queue)

        channels = [(connection.channel(), letter) for letter in (b"a", b"b")]
        threads = [threading.Thread(target=publish, args=each) for each in channels]
        for thread in threads:
            thread.start()
        while len(got) < 2 * count:
            connection.drain_events(timeout=PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
    for letter in (b"a", b"b"):
        mine = [body for body in got if body.startswith(letter)]
        assert [body.split()[0] for body in mine] == [b"%s%d" % (letter, number) for number in range(count)]
        assert all(body.count(letter) == 1 + 300 * number for number, body in enumerate(mine))


@over_tls
def test_reconnecting_leaves_no_descriptor(target: Target) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("counts file descriptors the Linux way")
    connection = target.connection()

    def reconnect(times: int, ending: str) -> int:
        for _ in range(times):
            connection.connect()
            assert connection.sock.gettimeout() is None
            getattr(connection, ending)()
        if target.broker is not None:
            target.broker.drain_clients()  # the emulator's end of the connection is in this process, too
        return len(list(folder.iterdir()))

    before = reconnect(1, "close")
    after = reconnect(100, "close"), reconnect(100, "collect")
    assert all(count <= before + 1 for count in after)  # the emulator's end of the last connection may still be open


# logging in by certificate


def external(target: Target, tmp_path: Path) -> dict[str, Any]:
    """Parameters that log in by certificate."""
    if target.broker is not None:
        files = certificates.write(tmp_path)
        return {"ca_certs": files.ca, "certfile": files.client, "keyfile": files.client_key}
    folder = LiveBroker.named(target.profile).certificates
    return {"ca_certs": f"{folder}/ca.pem", "certfile": f"{folder}/client.pem", "keyfile": f"{folder}/client.key"}


@pytest.fixture
def verifying(target: Target) -> Iterator[Target]:
    """The target, or where it is the emulator, one that takes clients' certificates."""
    if target.broker is None:
        yield target
        return
    with Broker(target.profile) as broker:
        context = certificates.server_context(verify=ssl.CERT_OPTIONAL)
        url = broker.listen_tls(context, ssl_cert_login_from="common_name")
        made = Target("verifying", target.profile, url, target.parameters, broker)
        with made.cleanup:
            yield made


@over_tls
@pytest.mark.parametrize("how", [{"login_method": "EXTERNAL"}, {"password": None}])
def test_external(verifying: Target, tmp_path: Path, how: dict[str, Any]) -> None:
    with verifying.connect(ssl=external(verifying, tmp_path), **how) as connection:
        assert connection.channel().is_open


@over_tls
def test_a_certificate_does_not_stand_in_the_way_of_a_password(verifying: Target, tmp_path: Path) -> None:
    with verifying.connect(ssl=external(verifying, tmp_path)) as connection:
        assert b"EXTERNAL" in connection.mechanisms
    with pytest.raises(AccessRefused):
        verifying.connect(ssl=external(verifying, tmp_path), password="wrong")


@over_tls
def test_external_without_a_certificate(verifying: Target) -> None:
    with pytest.raises(AccessRefused, match=r"authentication mechanism EXTERNAL\. For details see the broker logfile"):
        verifying.connect(login_method="EXTERNAL")

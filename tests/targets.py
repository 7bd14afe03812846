"""The brokers that tests of client, kombu and Celery run on: the emulator in each of its ways in, and live RabbitMQ.

Plain ``pytest`` runs them on one, :data:`DEFAULT`. ``--target NAME`` chooses others, ``--matrix`` takes all.
"""

import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hutch.client import Connection
from hutch.conformance.management import Management
from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests import certificates
from tests.live import LiveBroker

#: Seconds that any step may take before the test fails. RabbitMQ 4.3 may take five seconds before its greeting.
PATIENCE = 20.0


@dataclass
class Target:
    """A broker under test. ``url`` reaches it, with credentials and a virtual host that is the tests' own."""

    id: str
    profile: str
    url: str
    #: Further parameters for :class:`Connection`.
    parameters: dict[str, Any] = field(default_factory=dict)
    #: The emulator of this target; ``None`` for a live broker.
    broker: Broker | None = None
    #: Called after the test.
    cleanup: ExitStack = field(default_factory=ExitStack)

    @property
    def live(self) -> bool:
        """Whether it is a real RabbitMQ."""
        return self.broker is None

    def name(self, prefix: str) -> str:
        """A name that nobody else has."""
        return f"{prefix}-{secrets.token_hex(4)}"

    def connection(self, **parameters: Any) -> Connection:
        """A connection, not yet opened; it is collected behind the test."""
        (address,) = parse_url(self.url)
        settings: dict[str, Any] = {
            "userid": address.userid,
            "password": address.password,
            "virtual_host": address.virtual_host,
            "connect_timeout": PATIENCE,
            "read_timeout": PATIENCE,
        }
        if address.port is not None:
            settings["host"] = f"{address.host}:{address.port}"
        connection = Connection(**{**settings, **self.parameters, **parameters})
        self.cleanup.callback(connection.collect)
        return connection

    def connect(self, **parameters: Any) -> Connection:
        """An open connection."""
        connection = self.connection(**parameters)
        connection.connect()
        return connection


@contextmanager
def emulator_in_process(profile: str) -> Iterator[Target]:
    """The emulator over its pipe."""
    with Broker(profile) as broker:
        parameters = {"transport": broker.transport}
        yield Target(f"memory-{profile}", profile, broker.memory_url, parameters, broker)


@contextmanager
def emulator_over_tcp(profile: str) -> Iterator[Target]:
    """The emulator behind a port."""
    with Broker(profile) as broker:
        yield Target(f"tcp-{profile}", profile, broker.url, {}, broker)


@contextmanager
def emulator_over_tls(profile: str) -> Iterator[Target]:
    """The emulator behind a port with TLS."""
    with Broker(profile) as broker:
        url = broker.listen_tls(certificates.server_context())
        yield Target(f"tls-{profile}", profile, url, {"ssl": certificates.client_context()}, broker)


_live: dict[str, Target] = {}


@contextmanager
def live(profile: str, tls: bool = False) -> Iterator[Target]:
    """A live RabbitMQ, in a virtual host that lasts for the session (:func:`end_session`)."""
    name = f"live-{profile}-tls" if tls else f"live-{profile}"
    if name not in _live:
        broker = LiveBroker.named(profile)
        (address,) = parse_url(broker.url)
        management = Management(broker.management, address.userid, address.password)
        vhost = f"hutch-tests-{secrets.token_hex(4)}"
        management.add_vhost(vhost)
        _session.callback(management.delete_vhost, vhost)
        parameters = {"ssl": {"ca_certs": str(broker.certificates / "ca.pem")}} if tls else {}
        url = broker.tls_url if tls else broker.url
        _live[name] = Target(name, profile, url.rpartition("/")[0] + "/" + vhost, parameters)
    yield replace(_live[name], cleanup=ExitStack())


_session = ExitStack()


def end_session() -> None:
    """Delete what was made on live brokers."""
    _live.clear()
    _session.close()


#: The function that opens each target, by target id.
TARGETS: dict[str, Callable[[], Any]] = {
    "memory-4.3": lambda: emulator_in_process("4.3"),
    "memory-3.10": lambda: emulator_in_process("3.10"),
    "tcp-4.3": lambda: emulator_over_tcp("4.3"),
    "tls-4.3": lambda: emulator_over_tls("4.3"),
    "live-3.10": lambda: live("3.10"),
    "live-4.3": lambda: live("4.3"),
    "live-3.10-tls": lambda: live("3.10", tls=True),
    "live-4.3-tls": lambda: live("4.3", tls=True),
}

#: The target if ``pytest`` has no options.
DEFAULT = "tcp-4.3"


def chosen(config: pytest.Config, among: Collection[str] = TARGETS) -> list[Any]:
    """The targets of ``among`` that the command line chooses, as parameters of a test.

    Those that plain ``pytest`` leaves out are marked ``matrix``. Where none is left the test is skipped.
    """
    emulators = [name for name in (DEFAULT, *TARGETS) if name in among and not name.startswith("live")]
    usual = emulators[:1]
    names = list(among) if config.getoption("matrix") else config.getoption("target") or usual
    return [
        pytest.param(name, id=name, marks=[] if name in usual else pytest.mark.matrix)
        for name in names
        if name in among
    ] or [pytest.param("", id="none", marks=pytest.mark.skip(f"runs on {' and '.join(among)} alone"))]

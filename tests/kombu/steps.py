"""Steps that many tests take: connecting, ending connections, waiting."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import kombu

import hutch.client.kombu as seat
from hutch.fakebroker.amqp091.session import Session
from hutch.wire.codes import ReplyCode
from hutch.wire.url import parse_url
from tests.client.api.admin import call, eventually
from tests.live import LiveBroker
from tests.targets import PATIENCE, Target

SCHEMES = {"amqp": "hutch", "amqps": "hutchs", "memory": "hutch-memory"}


def url(target: Target) -> str:
    """The target's URL as kombu takes it."""
    (address,) = parse_url(target.url)
    port = f":{address.port}" if address.port else ""
    vhost = quote(address.virtual_host, safe="")
    scheme = SCHEMES[address.scheme]
    return f"{scheme}://{quote(address.userid)}:{quote(address.password)}@{address.host}{port}/{vhost}"


def tcp_address(target: Target) -> tuple[str, int]:
    """Where the target takes TCP without TLS."""
    if target.broker is None:
        (address,) = parse_url(LiveBroker.named(target.profile).url)
    else:
        (address,) = parse_url(target.broker.url)
    return address.host, address.port or 5672


def tcp_url(target: Target, scheme: str = "hutch://") -> str:
    """The target's URL over TCP, in-process though it may be."""
    (address,) = parse_url(target.url)
    host, port = tcp_address(target)
    return f"{scheme}guest:guest@{host}:{port}/{quote(address.virtual_host, safe='')}"


def connect(target: Target, address: str | None = None, **parameters: Any) -> kombu.Connection:
    """A connection to the target, or to the URL ``address``, not yet opened; it is released behind the test."""
    options = {"read_timeout": PATIENCE, **parameters.pop("transport_options", {})}
    settings = {"ssl": target.parameters.get("ssl", False), "connect_timeout": PATIENCE, **parameters}
    connection = kombu.Connection(address or url(target), transport_options=options, **settings)
    target.cleanup.callback(connection.release)
    return connection


def drain_until(connection: kombu.Connection, done: Callable[[], Any]) -> None:
    """Drain events until ``done`` gives something true; TimeoutError if nothing comes any more."""
    while not done():
        connection.drain_events(timeout=PATIENCE)


@contextmanager
def _session(target: Target, connection: seat.Connection) -> Iterator[Session]:
    """The emulator's side of a connection, in a turn of the emulator."""
    broker = target.broker
    assert broker is not None
    transport: Any = connection.transport
    if connection.sock is None:
        session = transport._session
    else:
        port = connection.sock.getsockname()[1]
        listeners: list[Any] = [server._listener for server in broker.hub.listeners._all]
        clients = [client for listener in listeners for client in listener.clients]
        (session,) = [client.session for client in clients if f":{port} -> " in client.peer.name]
    with broker.hub.turn:
        yield session


def end(target: Target, connection: seat.Connection) -> None:
    """Have the broker close a connection, with 320 and ``CONNECTION_FORCED - enough``."""
    if target.broker is not None:
        with _session(target, connection) as session:
            session.close(ReplyCode.CONNECTION_FORCED, "CONNECTION_FORCED - enough")
        return
    ends = (connection.sock.getsockname(), connection.sock.getpeername())
    path = f"connections/{quote(' -> '.join(f'{host}:{port}' for host, port in ends), safe='')}"

    def attempt() -> bool | None:
        try:
            call(target, "DELETE", path, {"X-Reason": "enough"})
        except HTTPError as error:
            error.close()
            if error.code != 404:
                raise
            return None
        return True

    eventually(attempt, path)


def sever(target: Target, connection: seat.Connection) -> None:
    """Have the stream of a connection end without a word."""
    if connection.sock is None:
        with _session(target, connection) as session:
            session.drop()
    else:
        connection.sock.shutdown(socket.SHUT_RDWR)

"""A connection from its opening to its end, on every broker."""

import socket
from typing import Any

import pytest

from hutch.client import (
    Channel,
    ChannelError,
    Connection,
    ConnectionError,  # noqa: A004
    ConnectionForced,
    Message,
    MessageNacked,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RecoverableChannelError,
    RecoverableConnectionError,
    ResourceError,
    ResourceLocked,
)
from hutch.wire.methods import ChannelOpen, ConnectionClose
from hutch.wire.transport import Transport
from hutch.wire.url import parse_url
from tests.client.api import admin
from tests.client.api.reference import shows
from tests.client.api.relay import Relay
from tests.client.api.steps import drain_until, publish
from tests.client.api.tap import tapped
from tests.client.api.ways_in import over_tcp, tcp_address
from tests.targets import PATIENCE, Target


def assert_goes(target: Target, queue: str) -> None:
    """Wait for the end of an exclusive queue: a live broker, 4.3 above all, may end it only behind close-ok."""
    watching = target.connect()

    def is_gone() -> bool | None:
        try:
            watching.channel().queue_declare(queue, passive=True)
        except NotFound:
            return True
        except ResourceLocked:
            return None
        return None

    assert admin.eventually(is_gone, "the end of the exclusive queue")


@shows("Connection.connect", "Connection.connected", "Connection.close")
def test_opens_and_closes(target: Target) -> None:
    connection = target.connection()
    assert not connection.connected
    connection.connect()
    assert connection.connected
    connection.close()
    assert not connection.connected
    connection.close()  # no effect on a closed connection


@shows("Connection.connect(callback)")
def test_connecting_when_it_is_open(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    assert connection.connect() is None
    assert connection.connect(lambda: "called") == "called"
    assert channel.is_open


@shows("Connection.connect")
def test_connecting_anew(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    connection.close()
    connection.connect()
    assert connection.channel(channel_id=1).is_open
    assert not channel.is_open


@shows("Connection.__enter__", "Connection.__exit__")
def test_as_a_context_manager(target: Target) -> None:
    connection, tap = tapped(target)
    with connection as entered:
        assert entered is connection
        assert connection.connected
        channel = connection.channel()
    assert not connection.connected
    assert not channel.is_open
    assert tap.sent(ConnectionClose) == [ConnectionClose(0, "", 0, 0)]


@shows("Connection.__exit__")
def test_an_error_leaves_the_context(target: Target) -> None:
    with pytest.raises(ZeroDivisionError), target.connection() as connection:
        _ = 1 / 0
    assert not connection.connected


@shows("Connection.close(reply_code, reply_text, method_sig)")
def test_closing_with_a_reason(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    connection.close(320, "off for the day", (60, 40))
    assert tap.sent(ConnectionClose) == [ConnectionClose(320, "off for the day", 60, 40)]


@shows("Connection.close", "Connection.is_closing")
def test_closing_ends_everything(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    name = target.name("queue")
    channel.queue_declare(name, exclusive=True)
    assert not connection.is_closing
    connection.close()
    assert not connection.is_closing
    with pytest.raises(RecoverableConnectionError):
        connection.channel()
    with pytest.raises(RecoverableConnectionError):
        connection.drain_events(timeout=0)
    with pytest.raises(RecoverableConnectionError):
        channel.queue_declare(name)
    with pytest.raises(RecoverableConnectionError):
        channel.basic_publish(Message(b"x"), routing_key=name)
    assert_goes(target, name)  # the connection's exclusive queue is deleted, too


@shows("Connection.collect")
def test_collecting(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    name = target.name("queue")
    channel.queue_declare(name, exclusive=True)
    connection.collect()
    assert not connection.connected
    assert not channel.is_open
    assert tap.sent(ConnectionClose) == []  # nothing was sent, but the broker notices the end of the stream
    assert_goes(target, name)


@shows("Connection.channel(channel_id)", "Connection.channels", "Connection.Channel")
def test_channels_have_numbers(target: Target) -> None:
    connection = target.connect()
    first = connection.channel()
    seventh = connection.channel(7)
    second = connection.channel()
    assert [channel.channel_id for channel in (first, second, seventh)] == [1, 2, 7]
    assert all(isinstance(channel, connection.Channel) for channel in (first, second, seventh))
    assert connection.channel(7) is seventh  # returns the existing channel
    assert connection.channels == {0: connection, 1: first, 2: second, 7: seventh}
    first.close()
    assert connection.channels == {0: connection, 2: second, 7: seventh}
    assert connection.channel().channel_id == 1  # the number is free again


@shows("Connection.channel(callback)")
def test_the_callback_of_a_channel(target: Target) -> None:
    connection = target.connect()
    opened: list[Channel] = []
    channel = connection.channel(callback=opened.append)
    assert opened == [channel]
    assert connection.channel(channel.channel_id, callback=opened.append) is channel
    assert opened == [channel]  # not called again for an open channel


@shows("Connection.channel")
def test_as_many_channels_as_agreed(target: Target) -> None:
    connection = target.connect()
    connection.channel_max = 2
    connection.channel()
    connection.channel()
    with pytest.raises(ResourceError, match="all 2 channel numbers are in use"):
        connection.channel()
    assert connection.connected


@shows("Connection.Channel")
def test_a_channel_class_of_ones_own(target: Target) -> None:
    class Own(Channel):
        pass

    connection = target.connection()
    connection.Channel = Own  # type: ignore[misc]
    connection.connect()
    assert type(connection.channel()) is Own


@shows("Connection.Transport(host, connect_timeout, ssl, read_timeout, write_timeout, socket_settings)")
def test_a_transport_of_ones_own(target: Target) -> None:
    asked: list[tuple[object, ...]] = []

    class Own(Connection):
        def Transport(self, *arguments: Any, **_: Any) -> Transport:  # noqa: N802
            asked.append(arguments)
            return super().Transport(*arguments)

    plain = over_tcp(target)
    options = {socket.TCP_KEEPIDLE: 37}
    (address,) = parse_url(target.url)
    settings: dict[str, Any] = {
        "connect_timeout": 11,
        "read_timeout": 12,
        "write_timeout": 13,
        "userid": address.userid,
        "password": address.password,
        "virtual_host": address.virtual_host,
    }
    with Own(plain.host, ssl=plain.ssl, socket_settings=options, **settings) as connection:
        assert asked == [(plain.host, 11, plain.ssl, 12, 13, options)]
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 37
        assert connection.channel().is_open


@shows("Connection.connection", "Connection.channel_id", "Connection.auto_decode")
def test_a_connection_is_channel_0(target: Target) -> None:
    connection = target.connect()
    assert connection.connection is connection
    assert connection.channel_id == 0
    assert connection.auto_decode is False
    connection.close()
    assert connection.connection is None


@shows("Connection.drain_events", "Connection.drain_events(timeout)")
def test_drain_events(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    name = target.name("queue")
    channel.queue_declare(name, exclusive=True)
    got: list[str | bytes] = []
    channel.basic_consume(name, no_ack=True, callback=lambda message: got.append(message.body))
    publish(channel, name, "1", "2", "3")
    drain_until(connection, lambda: len(got) == 3)
    assert got == [b"1", b"2", b"3"]
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0)


@shows("Connection.blocking_read", "Connection.blocking_read(timeout)")
def test_blocking_read(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    channel.events["basic_return"].add(lambda *returned: got.append(returned))
    got: list[tuple[object, ...]] = []
    channel.basic_publish(Message(b"x"), routing_key=target.name("nowhere"), mandatory=True)
    while not got:
        connection.blocking_read(timeout=PATIENCE)
    assert len(got) == 1


@shows("Connection.is_alive", "Connection.connected")
def test_is_alive(target: Target) -> None:
    with Relay(tcp_address(target)) as relay:
        connection = over_tcp(target, host=relay.host)
        assert not connection.is_alive()
        connection.connect()
        assert connection.is_alive()
    assert connection.connected  # the client has not noticed the end yet
    assert not connection.is_alive()
    assert not connection.connected


@shows("Connection.heartbeat_tick(rate)", "Connection.send_heartbeat", "Connection.bytes_sent", "Connection.bytes_recv")
def test_heartbeats(target: Target) -> None:
    connection = target.connect(heartbeat=60)
    sent, received = connection.bytes_sent, connection.bytes_recv
    assert sent > 0
    assert received > 0
    connection.heartbeat_tick(rate=2)  # no heartbeat is due yet
    assert connection.bytes_sent == sent
    connection.send_heartbeat()
    assert connection.bytes_sent == sent + 1
    channel = connection.channel()  # the broker accepted the heartbeat
    assert channel.is_open
    assert connection.bytes_recv > received


@shows(
    "Connection.connection_errors",
    "Connection.channel_errors",
    "Connection.recoverable_connection_errors",
    "Connection.recoverable_channel_errors",
)
def test_errors_are_sorted(target: Target) -> None:
    connection = target.connect()
    assert connection.connection_errors == (ConnectionError, OSError)
    assert connection.channel_errors == (ChannelError,)
    assert connection.recoverable_connection_errors == (RecoverableConnectionError, MessageNacked, OSError)
    assert connection.recoverable_channel_errors == (RecoverableChannelError,)
    with pytest.raises(connection.channel_errors) as caught:
        connection.channel().queue_declare(target.name("missing"), passive=True)
    assert not isinstance(caught.value, connection.recoverable_channel_errors)
    channel = connection.channel()
    channel.basic_consume(channel.queue_declare(exclusive=True).queue, "tag")
    with pytest.raises(connection.connection_errors) as lost:
        channel.basic_consume(channel.queue_declare(exclusive=True).queue, "tag")
    assert not isinstance(lost.value, connection.recoverable_connection_errors)
    with pytest.raises(connection.recoverable_connection_errors):
        connection.channel()


@shows("Connection.close", "Connection.connected")
def test_the_broker_ends_the_connection(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    text = admin.end_connection(target, connection)
    with pytest.raises(ConnectionForced) as forced:
        connection.drain_events(timeout=PATIENCE)
    assert (forced.value.reply_code, forced.value.reply_text) == (320, text)
    assert not connection.connected
    assert not channel.is_open
    with pytest.raises(RecoverableConnectionError):
        channel.queue_declare(exclusive=True)
    connection.close()


@shows("Connection.connected")
def test_an_error_that_ends_the_connection(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True)
    channel.basic_consume(queue.queue, "tag")
    with pytest.raises(NotAllowed, match="attempt to reuse consumer tag 'tag'") as caught:
        channel.basic_consume(queue.queue, "tag")
    assert (caught.value.reply_code, caught.value.method) == (530, "Basic.consume")
    assert not connection.connected
    assert len(tap.sent(ChannelOpen)) == 1  # not reopened; only a channel's own error reopens it


def test_a_channel_error_leaves_the_connection(connection: Connection, channel: Channel, queue: str) -> None:
    with pytest.raises(PreconditionFailed):
        channel.queue_declare(queue, exclusive=True, auto_delete=False, arguments={"x-max-length": 1})
    assert connection.connected


@pytest.mark.parametrize("secret", ["new secret", b"\x00\xff"])
def test_update_secret(target: Target, secret: str | bytes) -> None:
    connection = target.connect()
    channel = connection.channel()
    connection.update_secret(secret, "it was old")  # has no effect on password logins (CONN-AUTH-13)
    assert connection.connected
    assert channel.is_open

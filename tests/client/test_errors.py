"""The broker closes a channel or the connection; a peer breaks the protocol."""

import pytest

from hutch.client import (
    AccessRefused,
    AMQPNotImplementedError,
    Channel,
    ChannelError,
    ChannelNotOpen,
    Connection,
    ConnectionError,  # noqa: A004
    ConnectionForced,
    FrameError,
    FrameSyntaxError,
    InvalidCommand,
    Message,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RecoverableConnectionError,
    ResourceLocked,
    UnexpectedFrame,
)
from hutch.wire.frames import BODY, HEADER, content_header, frame, method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicDeliver,
    BasicPublish,
    ChannelClose,
    ChannelCloseOk,
    ChannelOpen,
    ConnectionClose,
    ConnectionCloseOk,
    QueueDeclare,
    QueueDeclareOk,
    QueuePurge,
)
from tests.client.scripted import Server, delivery

# channel.close


@pytest.mark.parametrize(
    ("code", "kind"),
    [(403, AccessRefused), (404, NotFound), (405, ResourceLocked), (406, PreconditionFailed), (499, ChannelError)],
)
def test_a_closed_channel(
    server: Server, connection: Connection, channel: Channel, code: int, kind: type[ChannelError]
) -> None:
    server.answers[QueueDeclare] = lambda _: ChannelClose(code, "NO - not this", 50, 10)
    with pytest.raises(kind) as caught:
        channel.queue_declare("q")
    error = caught.value
    assert type(error) is kind
    assert str(error) == f"Queue.declare: ({code}) NO - not this"
    assert (error.reply_code, error.reply_text, error.method_sig) == (code, "NO - not this", (50, 10))
    assert (error.method_name, error.method, error.message) == ("Queue.declare", "Queue.declare", "NO - not this")
    assert isinstance(error, connection.channel_errors)
    assert server.log[1:] == [(1, ChannelCloseOk()), (1, ChannelOpen())]
    assert connection.connected


def test_a_closed_channel_opens_itself_anew(server: Server, connection: Connection, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda _: ChannelClose(404, "NOT_FOUND", 50, 10)
    with pytest.raises(NotFound):
        channel.queue_declare("q")
    assert channel.is_open
    assert channel.channel_id == 1
    server.answers[QueueDeclare] = lambda _: QueueDeclareOk("q", 0, 0)
    assert channel.queue_declare("q") == ("q", 0, 0)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)  # no frame is left to read


def test_a_channel_that_takes_its_time_to_open_anew(server: Server, connection: Connection, channel: Channel) -> None:
    server.answers[ChannelOpen] = lambda _: None
    started = server.now
    server.say(ChannelClose(404, "NOT_FOUND", 60, 40), channel=1)
    with pytest.raises(NotFound):
        connection.drain_events(timeout=1)
    assert server.now <= started + 1
    assert not channel.is_open


def test_an_error_of_another_channel(server: Server, connection: Connection, channel: Channel) -> None:
    other = connection.channel()
    server.answers[QueueDeclare] = lambda _: None
    server.say(ChannelClose(404, "NOT_FOUND - no exchange", 60, 40), channel=2)
    with pytest.raises(NotFound, match=r"Basic.publish"):
        channel.queue_declare("first")
    server.say(QueueDeclareOk("first", 1, 1), channel=1)
    server.answers[QueueDeclare] = lambda _: QueueDeclareOk("second", 2, 2)
    assert channel.queue_declare("second") == ("second", 2, 2)
    assert other.is_open


def test_while_closing_all_but_the_close_is_dropped(server: Server, connection: Connection, channel: Channel) -> None:
    channel.basic_consume("q", callback=lambda _: pytest.fail("a delivery to a closing channel"))
    server.answers[ChannelClose] = lambda _: [
        delivery(),
        BasicAck(1, False),
        ChannelClose(404, "NOT_FOUND", 60, 40),
        ChannelCloseOk(),
    ]
    channel.close()
    assert server.sent(ChannelCloseOk) == [ChannelCloseOk()]
    assert server.sent(ChannelOpen) == []
    assert connection.channels == {0: connection}


def test_a_close_that_is_not_answered(server: Server, connection: Connection, channel: Channel) -> None:
    connection.read_timeout = 1
    server.answers[ChannelClose] = lambda _: None
    assert connection.link is not None
    connection.link.read_timeout = 1
    with pytest.raises(TimeoutError, match=r"channel.close-ok"):
        channel.close()
    assert not channel.is_open
    server.say(delivery(), method_frame(1, ChannelCloseOk().encode()))
    connection.drain_events(timeout=1)
    connection.drain_events(timeout=1)
    assert connection.channels == {0: connection}


# connection.close


def test_a_closed_connection(server: Server, connection: Connection, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda _: method_frame(0, ConnectionClose(530, "NOT_ALLOWED - no", 50, 10).encode())
    with pytest.raises(NotAllowed) as caught:
        channel.queue_declare("q")
    assert str(caught.value) == "Queue.declare: (530) NOT_ALLOWED - no"
    assert server.log[1:] == [(0, ConnectionCloseOk())]
    assert not connection.connected
    assert server.closed
    assert connection.channels is None
    assert not channel.is_open
    with pytest.raises(RecoverableConnectionError):
        connection.drain_events(timeout=0)


def test_a_forced_close_names_no_method(server: Server, connection: Connection) -> None:
    server.say(ConnectionClose(320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"))
    with pytest.raises(ConnectionForced) as caught:
        connection.drain_events(timeout=1)
    assert str(caught.value) == ("(320) CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'")
    assert isinstance(caught.value, connection.recoverable_connection_errors)


def test_closing(server: Server, connection: Connection, channel: Channel) -> None:
    channel.basic_consume("q", callback=lambda _: pytest.fail("a delivery on a closing connection"))
    server.answers[ConnectionClose] = lambda _: [
        method_frame(1, ChannelClose(404, "NOT_FOUND", 60, 40).encode()),
        delivery(),
        ConnectionCloseOk(),
    ]
    connection.close()
    assert not connection.connected
    assert not channel.is_open
    assert server.closed
    connection.close()
    assert len(server.sent(ConnectionClose)) == 1


def test_both_sides_close_at_once(server: Server, connection: Connection) -> None:
    server.answers[ConnectionClose] = lambda _: ConnectionClose(320, "CONNECTION_FORCED")
    connection.close()
    assert server.sent(ConnectionCloseOk) == [ConnectionCloseOk()]
    assert not connection.connected


def test_a_server_that_hangs_up_instead_of_close_ok(server: Server, connection: Connection) -> None:
    server.answers[ConnectionClose] = lambda _: b""
    with pytest.raises(OSError, match=r"connection.close-ok"):
        connection.close()
    assert not connection.connected
    assert server.closed


def test_collect_says_nothing(server: Server, connection: Connection, channel: Channel) -> None:
    sends = len(server.sends)
    connection.collect()
    assert len(server.sends) == sends
    assert server.closed
    assert not connection.connected
    assert channel.connection is None
    connection.collect()


def test_an_error_within_a_with_statement_comes_out(server: Server) -> None:
    def work() -> None:
        with Connection(transport=lambda: server) as connection, connection.channel():
            server.say(ConnectionClose(320, "CONNECTION_FORCED - bye"))
            connection.drain_events(timeout=1)

    with pytest.raises(ConnectionForced, match="bye"):
        work()


# a peer that breaks the protocol

VIOLATIONS: list[tuple[str, bytes, type[ConnectionError], int]] = [
    ("wrong frame end", method_frame(1, BasicAck(1).encode())[:-1] + b"\0", FrameError, 501),
    ("too large a frame", b"\x03\x00\x01\x00\x10\x00\x00", FrameError, 501),
    ("unknown frame type", frame(9, 1, b"abc"), FrameError, 501),
    ("a header out of place", frame(HEADER, 1, content_header(1, b"\0\0")), UnexpectedFrame, 505),
    ("a body out of place", frame(BODY, 1, b"x"), UnexpectedFrame, 505),
    (
        "a method in place of a header",
        method_frame(1, BasicDeliver("t", 1).encode()) + method_frame(1, BasicAck(1).encode()),
        UnexpectedFrame,
        505,
    ),
    (
        "more body than announced",
        method_frame(1, BasicDeliver("t", 1).encode())
        + frame(HEADER, 1, content_header(1, b"\0\0"))
        + frame(BODY, 1, b"xy"),
        FrameError,
        501,
    ),
    (
        "a header cut short",
        method_frame(1, BasicDeliver("t", 1).encode()) + frame(HEADER, 1, b"\0\x3c\0\0"),
        FrameError,
        501,
    ),
    ("an unknown method", method_frame(1, b"\x00\x63\x00\x01"), AMQPNotImplementedError, 540),
    ("arguments cut short", method_frame(1, QueueDeclareOk("q", 1, 1).encode()[:-1]), FrameSyntaxError, 502),
    ("a delivery cut short", method_frame(1, BasicDeliver("t", 1).encode()[:-1]), FrameSyntaxError, 502),
    ("a method without ids", method_frame(1, b"\x00"), FrameSyntaxError, 502),
    ("a client's method", method_frame(1, QueuePurge().encode()), InvalidCommand, 503),
    ("a client's content", method_frame(1, BasicPublish().encode()), InvalidCommand, 503),
    ("a channel that is not open", method_frame(7, BasicAck(1).encode()), ChannelNotOpen, 504),
    ("a delivery where nothing is open", delivery(channel=7), ChannelNotOpen, 504),
    ("a delivery on channel 0", delivery(channel=0), UnexpectedFrame, 504),
    ("a confirm on channel 0", method_frame(0, BasicAck(1).encode()), UnexpectedFrame, 504),
    ("a connection's method on a channel", method_frame(1, ConnectionCloseOk().encode()), InvalidCommand, 503),
    ("close-ok without close", method_frame(0, ConnectionCloseOk().encode()), UnexpectedFrame, 504),
]


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [pytest.param(data, kind, code, id=name.replace(" ", "-")) for name, data, kind, code in VIOLATIONS],
)
@pytest.mark.parametrize("piece", [1, 100000])
def test_violations_close_the_connection(
    server: Server, connection: Connection, data: bytes, kind: type[ConnectionError], code: int, piece: int
) -> None:
    server.say_in_pieces(data, piece)
    with pytest.raises(kind) as caught:
        connection.drain_events(timeout=1)
    assert caught.value.reply_code == code
    assert [close.reply_code for close in server.sent(ConnectionClose)] == [code]
    assert not connection.connected
    assert server.closed


def test_a_violation_is_told_even_if_the_peer_is_gone(server: Server, connection: Connection) -> None:
    server.say(frame(9, 1, b""))
    server.send_error = BrokenPipeError(32, "broken pipe")
    with pytest.raises(FrameError):
        connection.drain_events(timeout=1)
    assert not connection.connected


def test_what_comes_before_a_violation_counts(server: Server, connection: Connection, channel: Channel) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    server.say(delivery(), frame(9, 1, b""))
    connection.drain_events(timeout=1)
    assert len(got) == 1
    with pytest.raises(FrameError):
        connection.drain_events(timeout=1)

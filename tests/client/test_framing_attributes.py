"""Frame handlers and frame writers where they are attributes: of a connection, open or not yet, and of classes that
override what lies below them.
"""

from collections.abc import Callable
from typing import Any

import pytest

from hutch.client import (
    Channel,
    ChannelNotOpen,
    Connection,
    FrameError,
    Message,
    RecoverableConnectionError,
    UnexpectedFrame,
    spec,
)
from hutch.client.serialization import dumps
from hutch.wire.frames import HEADER, METHOD, OVERHEAD, Frame, FrameParser
from hutch.wire.methods import BasicAck, ConnectionClose, ConnectionCloseOk
from hutch.wire.properties import encode_properties
from tests.client.scripted import Server, delivery


def test_they_may_be_set_while_it_is_open(server: Server) -> None:
    connection = Connection(transport=lambda: server)
    connection.connect()
    channel = connection.channel()
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    data = delivery(b"in two parts")
    server.say(delivery(b"first") + data[:40])
    connection.drain_events(timeout=1)

    seen: list[str] = []
    on_frame, write_frame = connection.on_inbound_frame, connection.frame_writer
    connection.on_inbound_frame = lambda received: seen.append("in") or on_frame(received)  # type: ignore[func-returns-value]
    connection.frame_writer = lambda *args: seen.append("out") or write_frame(*args)  # type: ignore[func-returns-value]
    server.say(data[40:])
    connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"first", b"in two parts"]
    channel.basic_publish(Message(b"x"), timeout=3)
    assert seen == ["in", "in", "in", "out"]
    assert server.deadlines[-1] == server.now + 3

    connection.on_inbound_frame, connection.frame_writer = on_frame, write_frame
    server.deliver(b"last")
    connection.drain_events(timeout=1)
    channel.basic_publish(Message(b"x"))
    assert len(seen) == 4
    assert got[-1].body == b"last"


@pytest.mark.parametrize("size", [0, 6, 70_000, 300_000])
def test_one_that_is_set_amid_messages_gets_them_from_their_beginning(size: int) -> None:
    """All but the last frame of one channel's message came between two frames of another one's, cut anywhere."""
    body = bytes(number % 251 for number in range(size))
    one, other = delivery(body), delivery(b"of another channel", channel=2)
    (_, _, payload), *_ = FrameParser().feed(one)
    begin = len(payload) + OVERHEAD
    other, last_frame = other[: -len(b"of another channel") - OVERHEAD], other[-len(b"of another channel") - OVERHEAD :]
    cuts = {*range(begin, min(begin + 40, len(one))), len(one) // 2, len(one) - 2, len(one) - 1}
    for cut in sorted(cut for cut in cuts if cut >= begin):
        server = Server()
        connection = Connection(transport=lambda server=server: server)  # type: ignore[misc]
        connection.connect()
        bodies: list[str | bytes] = []
        for channel in connection.channel(), connection.channel():
            channel.basic_consume("q", callback=lambda message, bodies=bodies: bodies.append(message.body))  # type: ignore[misc]
        server.say(one[:begin] + other + one[begin:cut])
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=1)

        seen: list[tuple[int, int]] = []
        connection.on_inbound_frame = noting(seen, connection.on_inbound_frame)
        server.say(one[cut:] + last_frame)
        while len(bodies) < 2:
            connection.drain_events(timeout=1)
        assert bodies == [body, b"of another channel"]
        assert seen.count((METHOD, 1)) == seen.count((METHOD, 2)) == 1


def noting(seen: list[tuple[int, int]], on_frame: Any) -> Any:
    """A handler that notes type and channel of each frame, and passes it on."""

    def note(received: Frame) -> bool:
        seen.append(received[:2])
        taken: bool = on_frame(received)
        return taken

    return note


def test_what_comes_for_a_channel_behind_the_close_does_not_come(server: Server) -> None:
    connection = Connection(transport=lambda: server)
    connection.connect()
    channel = connection.channel()
    channel.basic_consume("q", callback=lambda _: pytest.fail("a delivery while it is closing"))
    seen: list[int] = []
    on_frame = connection.on_inbound_frame
    connection.on_inbound_frame = lambda received: seen.append(received[1]) or on_frame(received)  # type: ignore[func-returns-value]
    server.answers[ConnectionClose] = lambda _: delivery(b"late") + ConnectionCloseOk().frame(0)
    connection.close()
    assert seen == [0]


def test_the_largest_frame_stays_what_was_agreed(server: Server) -> None:
    connection = Connection(transport=lambda: server)
    connection.connect()
    channel = connection.channel()
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    connection.on_inbound_frame = connection.on_inbound_frame
    server.say(delivery(b"x" * 131_073, frame_max=200_000))
    with pytest.raises(FrameError, match="131073 bytes where 131072 are allowed"):
        connection.drain_events(timeout=1)
    assert server.sent(ConnectionClose)[-1].reply_code == 501
    assert got == []


def test_the_frame_writer_may_be_called(server: Server) -> None:
    connection = Connection(transport=lambda: server)
    connection.connect()
    connection.channel()
    connection.frame_writer(8, 0, None, None, None)
    assert server.heartbeats == 1
    connection.frame_writer(1, 1, spec.Basic.Ack, dumps("Lb", (5, True)), None)
    connection.frame_writer(1, 1, spec.Channel.FlowOk, "\x01", None)
    connection.frame_writer(1, 1, spec.Basic.Publish, dumps("Bssbb", (0, "", "q", 0, 0)), Message("é", priority=1))
    assert server.log[-3] == (1, BasicAck(5, True))
    assert server.contents[-1][1:] == (encode_properties({"content_encoding": "utf-8", "priority": 1}), "é".encode())


def test_the_frame_handler_may_be_called(server: Server) -> None:
    connection = Connection(transport=lambda: server)
    connection.connect()
    channel = connection.channel()
    heard: list[object] = []
    channel.events["basic_ack"].add(lambda *args: heard.append(args))
    assert connection.on_inbound_frame((METHOD, 1, BasicAck(5, True).encode()))
    assert not connection.on_inbound_frame((8, 0, b""))
    assert heard == [(5, True)]
    with pytest.raises(UnexpectedFrame):
        connection.on_inbound_frame((HEADER, 1, b""))
    connection.on_inbound_method(1, spec.Basic.Ack, BasicAck(6).encode(), None)
    assert heard[1:] == [(6, False)]
    with pytest.raises(ChannelNotOpen):
        connection.on_inbound_method(7, spec.Basic.Ack, BasicAck(6).encode(), None)
    assert connection.connected


def test_before_it_is_open_and_after(server: Server) -> None:
    """py-amqp would connect, and warn that it will not for ever."""
    connection = Connection(transport=lambda: server)
    uses: list[Callable[[], object]] = [
        lambda: connection.frame_writer,
        lambda: connection.on_inbound_frame,
        lambda: setattr(connection, "frame_writer", print),
        lambda: setattr(connection, "on_inbound_frame", print),
        lambda: setattr(connection, "bytes_sent", 1),
        lambda: setattr(connection, "bytes_recv", 1),
    ]
    for use in uses:
        with pytest.raises(RecoverableConnectionError):
            use()
    assert connection.transport is None
    connection.connect()
    connection.close()
    for use in uses:
        with pytest.raises(RecoverableConnectionError):
            use()
    with pytest.raises(RecoverableConnectionError):
        connection.on_inbound_method(0, spec.Connection.Blocked, b"", None)


# classes that override lower layers


def test_a_class_that_overrides_dispatch_method(server: Server) -> None:
    seen: list[object] = []

    class TracingChannel(Channel):
        def dispatch_method(self, method_sig: Any, payload: bytes, content: Any) -> None:
            seen.append(method_sig)
            super().dispatch_method(method_sig, payload, content)

    class TracingConnection(Connection):
        Channel = TracingChannel

    connection = TracingConnection(transport=lambda: server)
    connection.connect()
    channel = connection.channel()
    channel.basic_consume("q", callback=lambda _: None)
    server.deliver()
    connection.drain_events(timeout=1)
    assert seen == [spec.Channel.OpenOk, spec.Basic.ConsumeOk, spec.Basic.Deliver]


def test_a_class_that_overrides_on_inbound_method(server: Server) -> None:
    seen: list[object] = []

    class TracingConnection(Connection):
        def on_inbound_method(self, channel_id: int, method_sig: Any, payload: bytes, content: Any) -> None:
            seen.append((channel_id, method_sig))
            super().on_inbound_method(channel_id, method_sig, payload, content)

    connection = TracingConnection(transport=lambda: server)
    connection.connect()
    connection.channel()
    steps = [spec.Connection.Start, spec.Connection.Tune, spec.Connection.OpenOk]
    assert seen == [*[(0, sig) for sig in steps], (1, spec.Channel.OpenOk)]

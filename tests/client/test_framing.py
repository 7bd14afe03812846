"""Frame handlers and frame writers of the application's own: everything passes them, and nothing else changes."""

from typing import Any

import amqp
import amqp.method_framing
import pytest

import hutch.client.method_framing
from hutch.client import (
    Channel,
    ChannelNotOpen,
    Connection,
    FrameError,
    FrameSyntaxError,
    Message,
    NotFound,
    UnexpectedFrame,
    spec,
)
from hutch.client.method_framing import OnFrame, OnMethod, WriteFrame, frame_handler, frame_writer
from hutch.client.serialization import dumps
from hutch.wire.frames import BODY, HEADER, HEARTBEAT_FRAME, METHOD, Frame, content_header, frame, method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicDeliver,
    BasicGet,
    BasicGetOk,
    BasicPublish,
    ChannelClose,
    ConnectionClose,
    ConnectionCloseOk,
    QueueDeclare,
    QueueDeclareOk,
    QueuePurge,
    QueuePurgeOk,
)
from hutch.wire.properties import NO_PROPERTIES, encode_properties
from tests.client.scripted import Server, delivery


class Traced:
    """A frame handler and a frame writer that keep what passes them, and hand it to others."""

    def __init__(self, module: Any = hutch.client.method_framing) -> None:
        self.module = module
        self.received: list[Frame] = []
        self.sent: list[tuple[int, int, Any, Any, Any]] = []

    def handler(self, connection: Connection, callback: OnMethod) -> OnFrame:
        on_frame = self.module.frame_handler(connection, callback)

        def take(received: Frame) -> bool:
            self.received.append(received)
            return bool(on_frame(received))

        return take

    def writer(self, connection: Connection, transport: Any) -> WriteFrame:
        write_frame = self.module.frame_writer(connection, transport)

        def write(type_: int, channel: int, sig: Any, args: Any, content: Any) -> None:
            self.sent.append((type_, channel, sig, args, content))
            write_frame(type_, channel, sig, args, content)

        return write

    def sigs(self) -> list[Any]:
        """The ids of the methods sent, ``None`` for a heartbeat."""
        return [sig for _, _, sig, _, _ in self.sent]


HOOKS = [
    pytest.param(hutch.client.method_framing, id="hutch"),
    pytest.param(amqp.method_framing, id="py-amqp"),
]


@pytest.fixture(params=HOOKS)
def traced(request: pytest.FixtureRequest) -> Traced:
    return Traced(request.param)


@pytest.fixture
def connection(server: Server, traced: Traced) -> Connection:
    connection = Connection(
        transport=lambda: server, frame_handler=traced.handler, frame_writer=traced.writer, heartbeat=10
    )
    connection.connect()
    return connection


@pytest.fixture
def channel(connection: Connection) -> Channel:
    return connection.channel()


def test_opening_passes_them(server: Server, traced: Traced, channel: Channel) -> None:
    steps = [spec.Connection.StartOk, spec.Connection.TuneOk, spec.Connection.Open, spec.Channel.Open]
    assert traced.sigs() == steps
    assert [kind for kind, _, _ in traced.received] == [METHOD] * 4
    assert [number for _, number, _ in traced.received] == [0, 0, 0, 1]
    assert [(method.CLASS_ID, method.METHOD_ID) for _, method in server.log] == steps


def test_a_call_passes_them(server: Server, traced: Traced, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda _: QueueDeclareOk("q", 1, 2)
    assert channel.queue_declare("q", durable=True) == ("q", 1, 2)
    arguments = dumps("BsbbbbbF", (0, "q", False, True, False, True, False, {}))
    assert traced.sent[-1] == (METHOD, 1, spec.Queue.Declare, arguments, None)
    assert traced.received[-1] == (METHOD, 1, QueueDeclareOk("q", 1, 2).encode())
    assert server.log[-1] == (1, QueueDeclare(0, "q", durable=True, auto_delete=True))


@pytest.mark.parametrize("size", [0, 1, 300_000])
@pytest.mark.parametrize("properties", [{}, {"priority": 3, "application_headers": {"a": [1, {"b": None}]}}])
def test_publishing_passes_them(
    server: Server, traced: Traced, channel: Channel, size: int, properties: dict[str, Any]
) -> None:
    body = b"x" * size
    channel.basic_publish(Message(body, **properties), "logs", "key", mandatory=True)
    assert traced.sent[-1][:3] == (METHOD, 1, spec.Basic.Publish)
    message = traced.sent[-1][4]
    assert message.body == body
    assert message.properties == properties
    ((method, raw, published),) = server.contents
    assert method == BasicPublish(0, "logs", "key", True)
    assert published == body
    wire_names = {"headers" if name == "application_headers" else name: value for name, value in properties.items()}
    assert raw == encode_properties(wire_names)
    assert max(server.frame_sizes) <= 131072


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_deliveries_pass_them(server: Server, traced: Traced, channel: Channel, size: int) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    raw = encode_properties({"content_encoding": "utf-8", "headers": {"a": 1}})
    before = len(traced.received)
    server.say_in_pieces(delivery(b"x" * size, 7, properties=raw, redelivered=True), 5000)
    assert channel.connection is not None
    channel.connection.drain_events(timeout=1)
    assert [kind for kind, _, _ in traced.received[before:]] == [METHOD, HEADER] + [BODY] * -(-size // 131064)
    (message,) = got
    assert message.body == "x" * size
    assert message.properties == {"content_encoding": "utf-8", "application_headers": {"a": 1}}
    assert message.delivery_info == {
        "consumer_tag": "made-up",
        "delivery_tag": 7,
        "redelivered": True,
        "exchange": "orders",
        "routing_key": "order.created",
    }
    assert message.channel is channel
    channel.basic_ack(message.delivery_tag or 0)
    assert traced.sent[-1] == (METHOD, 1, spec.Basic.Ack, dumps("Lb", (7, False)), None)


def test_messages_fetched_pass_them(server: Server, traced: Traced, channel: Channel) -> None:
    found = method_frame(1, BasicGetOk(3, False, "x", "k", 6).encode())
    server.answers[BasicGet] = lambda _: found + frame(2, 1, content_header(2, NO_PROPERTIES)) + frame(3, 1, b"hi")
    message = channel.basic_get("q")
    assert message is not None
    assert message.body == b"hi"
    assert message.delivery_tag == 3
    assert [kind for kind, _, _ in traced.received[-3:]] == [METHOD, HEADER, BODY]


def test_confirms_pass_them(server: Server, traced: Traced, channel: Channel) -> None:
    tags = iter(range(1, 100))
    server.answers[BasicPublish] = lambda _: BasicAck(next(tags))
    for _ in range(3):
        channel.basic_publish_confirm(Message(b"x"), routing_key="q")
    assert traced.sigs()[-4:] == [spec.Confirm.Select, *[spec.Basic.Publish] * 3]
    assert traced.received[-1] == (METHOD, 1, BasicAck(3).encode())


def test_heartbeats_pass_them(server: Server, traced: Traced, connection: Connection) -> None:
    connection.send_heartbeat()
    assert traced.sent[-1] == (8, 0, None, None, None)
    assert server.heartbeats == 1
    for heartbeats in (1, 2):  # the first check notices the earlier output
        connection.heartbeat_tick()
        assert server.heartbeats == heartbeats
        server.now += 6
    server.say(HEARTBEAT_FRAME)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    assert traced.received[-1] == (8, 0, b"")


def test_closing_passes_them(server: Server, traced: Traced, connection: Connection, channel: Channel) -> None:
    channel.close()
    connection.close()
    assert traced.sigs()[-2:] == [spec.Channel.Close, spec.Connection.Close]
    assert traced.received[-1] == (METHOD, 0, ConnectionCloseOk().encode())
    assert server.closed


def test_the_brokers_errors_pass_them(server: Server, traced: Traced, connection: Connection, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda _: ChannelClose(404, "NOT_FOUND - no", 50, 10)
    with pytest.raises(NotFound):
        channel.queue_declare("q")
    assert channel.is_open
    assert traced.sigs()[-2:] == [spec.Channel.CloseOk, spec.Channel.Open]
    server.say(ConnectionClose(320, "CONNECTION_FORCED"))
    with pytest.raises(connection.recoverable_connection_errors):
        connection.drain_events(timeout=1)
    assert traced.sigs()[-1] == spec.Connection.CloseOk


def test_methods_by_their_ids_pass_them(server: Server, traced: Traced, channel: Channel) -> None:
    server.answers[QueuePurge] = lambda _: QueuePurgeOk(5)
    assert channel.send_method(spec.Queue.Purge, "Bsb", (0, "q", False), wait=spec.Queue.PurgeOk) == 5
    assert traced.sigs()[-1] == spec.Queue.Purge
    assert traced.received[-1] == (METHOD, 1, QueuePurgeOk(5).encode())


def test_two_channels_may_mix_their_frames(server: Server, connection: Connection) -> None:
    got: list[object] = []

    def take(message: Message) -> None:
        got.append((message.channel.channel_id, message.body))

    for number in (1, 2):
        connection.channel(number).basic_consume("q", f"c{number}", callback=take)
    ways = []
    for number in (1, 2):
        whole = [
            method_frame(number, BasicDeliver(f"c{number}", 1).encode()),
            frame(HEADER, number, content_header(2, NO_PROPERTIES)),
            frame(BODY, number, b"a"),
            frame(BODY, number, b"b"),
        ]
        ways.append(whole)
    server.say(*[part for pair in zip(*ways, strict=True) for part in pair])
    connection.drain_events(timeout=1)
    connection.drain_events(timeout=1)
    assert got == [(1, b"ab"), (2, b"ab")]


def test_a_write_timeout_holds_for_what_they_write(server: Server, channel: Channel) -> None:
    channel.basic_publish(Message(b"x" * 300_000), timeout=3)
    assert server.deadlines[-1] == server.now + 3
    channel.basic_publish(Message(b"x"))
    assert server.deadlines[-1] is None


def test_a_lost_connection_is_noticed(server: Server, connection: Connection, channel: Channel) -> None:
    server.send_error = BrokenPipeError(32, "broken pipe")
    server.say(delivery(), ConnectionClose(320, "CONNECTION_FORCED - bye"))
    with pytest.raises(connection.recoverable_connection_errors, match="bye"):
        channel.basic_publish(Message(b"x"))
    assert not connection.connected


# frames that only the hooks of this module handle


@pytest.fixture
def plain(server: Server) -> Channel:
    """A channel whose connection has a frame handler that does nothing of its own."""

    def handler(connection: Connection, callback: OnMethod) -> OnFrame:
        return frame_handler(connection, callback)

    connection = Connection(transport=lambda: server, frame_handler=handler)
    connection.connect()
    return connection.channel()


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (frame(9, 1, b"abc"), FrameError, 501),
        (frame(HEADER, 1, content_header(1, b"\0\0")), UnexpectedFrame, 505),
        (method_frame(1, QueueDeclareOk("q").encode()[:-1]), FrameSyntaxError, 502),
        (method_frame(7, BasicAck(1).encode()), ChannelNotOpen, 504),
        (method_frame(0, ConnectionCloseOk().encode()), UnexpectedFrame, 504),
        (method_frame(1, BasicAck(1).encode())[:-1] + b"\0", FrameError, 501),
    ],
)
def test_violations_close_the_connection(
    server: Server, plain: Channel, data: bytes, kind: type[Exception], code: int
) -> None:
    server.say(data)
    connection = plain.connection
    assert connection is not None
    with pytest.raises(kind):
        connection.drain_events(timeout=1)
    assert [close.reply_code for close in server.sent(ConnectionClose)] == [code]
    assert not connection.connected


def test_an_error_of_the_functions_own_ends_nothing(server: Server) -> None:
    """That it is of a class for violations does not make it one."""

    def failing(connection: Connection, callback: OnMethod) -> OnFrame:
        on_frame = frame_handler(connection, callback)

        def take(received: Frame) -> bool:
            if received[1]:
                raise UnexpectedFrame("of my own")
            return on_frame(received)

        return take

    connection = Connection(transport=lambda: server, frame_handler=failing)
    connection.connect()
    server.say(BasicAck(1), channel=1)
    with pytest.raises(UnexpectedFrame, match="of my own"):
        connection.drain_events(timeout=1)
    assert connection.connected
    assert not server.sent(ConnectionClose)


def test_they_may_change_what_passes(server: Server) -> None:
    """Bodies that are turned around on the wire: both functions see messages, not frames of them."""

    def turning_handler(connection: Connection, callback: OnMethod) -> OnFrame:
        def turn(channel: int, sig: Any, payload: bytes, content: Any) -> None:
            if content is not None:
                content.body = content.body[::-1]
            callback(channel, sig, payload, content)

        return frame_handler(connection, turn)

    def turning_writer(connection: Connection, transport: Any) -> WriteFrame:
        write_frame = frame_writer(connection, transport)

        def write(type_: int, channel: int, sig: Any, args: Any, content: Any) -> None:
            if content is not None:
                content.body = content.body[::-1]
                content.properties["app_id"] = "turned"
            write_frame(type_, channel, sig, args, content)

        return write

    connection = Connection(transport=lambda: server, frame_handler=turning_handler, frame_writer=turning_writer)
    connection.connect()
    channel = connection.channel()
    channel.basic_publish(Message(b"abc"))
    assert server.contents[0][1:] == (encode_properties({"app_id": "turned"}), b"cba")
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    server.deliver(b"cba")
    connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"abc"]


@pytest.mark.parametrize("message_class", [Message, amqp.Message], ids=["hutch", "py-amqp"])
def test_a_handler_written_from_scratch(server: Server, message_class: Any) -> None:
    """Frames put together with what a message offers for it, as py-amqp's own handler does."""

    def handler(connection: Connection, callback: OnMethod) -> OnFrame:
        partial: dict[int, Any] = {}

        def on_frame(received: Frame) -> bool:
            kind, channel, payload = received
            connection.bytes_recv += 1
            sig = (int.from_bytes(payload[:2]), int.from_bytes(payload[2:4]))
            if kind == METHOD and sig in {spec.Basic.Deliver, spec.Basic.GetOk, spec.Basic.Return}:
                partial[channel] = message_class(frame_method=sig, frame_args=payload)
                return False
            if kind == METHOD:
                callback(channel, sig, payload, None)
                return True
            message = partial[channel]
            (message.inbound_header if kind == HEADER else message.inbound_body)(payload)
            if message.ready:
                callback(channel, message.frame_method, message.frame_args, partial.pop(channel))
            return bool(message.ready)

        return on_frame

    connection = Connection(transport=lambda: server, frame_handler=handler)
    connection.connect()
    channel = connection.channel()
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    for size in (0, 5, 300_000):
        server.deliver(b"x" * size, properties=encode_properties({"type": "t", "headers": {"a": 1}}))
        connection.drain_events(timeout=1)
    assert [len(message.body) for message in got] == [0, 5, 300_000]
    assert got[0].properties == {"type": "t", "application_headers": {"a": 1}}
    assert connection.bytes_recv > 10


def test_a_writer_written_from_scratch(server: Server) -> None:
    def writer(connection: Connection, transport: Any) -> WriteFrame:
        def write_frame(type_: int, channel: int, sig: Any, args: Any, content: Any) -> None:
            assert content is None
            head = sig[0].to_bytes(2) + sig[1].to_bytes(2)
            transport.write(memoryview(bytearray(frame(type_, channel, head + args))))
            connection.bytes_sent += 1

        return write_frame

    connection = Connection(transport=lambda: server, frame_writer=writer)
    connection.connect()
    channel = connection.channel()
    server.answers[QueuePurge] = lambda _: QueuePurgeOk(5)
    assert channel.queue_purge("q") == 5
    assert connection.transport is not None
    assert connection.transport.monotonic() == server.now


def test_the_attributes_count_when_it_connects(server: Server) -> None:
    traced = Traced()
    connection = Connection(transport=lambda: server)
    assert connection.frame_handler_cls is frame_handler
    assert connection.frame_writer_cls is frame_writer
    connection.frame_handler_cls, connection.frame_writer_cls = traced.handler, traced.writer
    connection.connect()
    assert len(traced.sent) == len(traced.received) == 3

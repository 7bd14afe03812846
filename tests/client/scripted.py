"""A server by script: a transport that answers what the client sends as its test wants, on a clock of its own."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from hutch.client import Channel, Connection
from hutch.wire.content import ContentAssembler
from hutch.wire.declaration import Method, decode_method
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT, METHOD, FrameParser, content_frames, content_header, method_frame
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicConsume,
    BasicConsumeOk,
    BasicDeliver,
    ChannelClose,
    ChannelCloseOk,
    ChannelOpen,
    ChannelOpenOk,
    ConfirmSelect,
    ConfirmSelectOk,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
)
from hutch.wire.properties import NO_PROPERTIES
from hutch.wire.transport import Transport

M = TypeVar("M", bound=Method)
Answer = Callable[[Method], Method | Iterable[Method | bytes] | bytes | None]

EOF = b""
CAPABILITIES: FieldTable = {
    "publisher_confirms": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}
START = ConnectionStart(0, 9, {"product": "Script", "capabilities": CAPABILITIES}, b"AMQPLAIN PLAIN", b"en_US")


def _consume_ok(consume: Method) -> Method | None:
    assert isinstance(consume, BasicConsume)
    return None if consume.nowait else BasicConsumeOk(consume.consumer_tag or "made-up")


class Stuck(AssertionError):
    """The client would wait for ever."""


class Server(Transport):
    """A scripted server, and the transport to it.

    ``answers`` says what is answered to which method, by type; ``None`` for silence. What was sent is in ``log`` as
    ``(channel, method)``, with contents in ``contents``. ``now`` is the clock; a receive with nothing to come moves it
    to its deadline.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.connected = False
        self.closed = False
        self.heartbeats = 0
        self.sends: list[bytes] = []
        self.log: list[tuple[int, Method]] = []
        self.contents: list[tuple[Method, bytes, bytes]] = []
        self.frame_sizes: list[int] = []
        self.refusal: OSError | None = None
        self.send_error: OSError | None = None
        self.seconds_to_connect = 0.0
        self._parser = FrameParser()
        self._assemblers: dict[int, ContentAssembler] = {}
        self._outgoing: deque[bytes | OSError] = deque()
        self._timed: list[tuple[float, bytes]] = []
        self.deadlines: list[float | None] = []
        self.answers: dict[type[Method], Answer] = {
            ConnectionStartOk: lambda _: ConnectionTune(2047, 131072, 60),
            ConnectionTuneOk: lambda _: None,
            ConnectionOpen: lambda _: ConnectionOpenOk(),
            ConnectionClose: lambda _: ConnectionCloseOk(),
            ChannelOpen: lambda _: ChannelOpenOk(),
            ChannelClose: lambda _: ChannelCloseOk(),
            ConfirmSelect: lambda _: ConfirmSelectOk(),
            BasicConsume: _consume_ok,
        }
        self.greeting: bytes | Method = START

    # methods for the script

    def say(self, *methods: Method | bytes, channel: int = 0) -> None:
        """Send methods, or bytes as they are, in one piece."""
        self._outgoing.append(
            b"".join(part if isinstance(part, bytes) else method_frame(channel, part.encode()) for part in methods)
        )

    def say_in_pieces(self, data: bytes, size: int) -> None:
        self._outgoing.extend(data[start : start + size] for start in range(0, len(data), size))

    def say_at(self, moment: float, part: Method | bytes, channel: int = 0) -> None:
        self._timed.append((moment, part if isinstance(part, bytes) else method_frame(channel, part.encode())))

    def end(self, error: OSError | None = None) -> None:
        """End the stream, or break it with an error."""
        self._outgoing.append(error or EOF)

    def sent(self, kind: type[M]) -> list[M]:
        """The methods of one type that the client has sent."""
        return [method for _, method in self.log if isinstance(method, kind)]

    def deliver(
        self,
        body: bytes = b"body",
        *,
        tag: int = 1,
        channel: int = 1,
        consumer: str = "made-up",
        properties: bytes = NO_PROPERTIES,
        redelivered: bool = False,
    ) -> None:
        self.say(delivery(body, tag, channel, consumer, properties, redelivered))

    # the transport's interface

    def connect(self, deadline: float | None) -> None:
        self.now += self.seconds_to_connect
        if deadline is not None and self.now >= deadline:
            raise TimeoutError("timed out")
        if self.refusal is not None:
            raise self.refusal
        self.connected = True

    def send(self, data: bytes, deadline: float | None = None) -> None:
        assert self.connected
        assert not self.closed
        if self.send_error is not None:
            raise self.send_error
        self.deadlines.append(deadline)
        self.sends.append(data)
        if data == PROTOCOL_HEADER:
            self.say(self.greeting)
            return
        for frame_type, channel, payload in self._parser.feed(data):
            self._take(frame_type, channel, payload)

    def _take(self, frame_type: int, channel: int, payload: bytes) -> None:
        self.frame_sizes.append(len(payload) + 8)
        if frame_type == HEARTBEAT:
            self.heartbeats += 1
        elif frame_type == METHOD:
            method = decode_method(payload)
            self.log.append((channel, method))
            if method.CONTENT:
                self._assemblers[channel] = ContentAssembler()
                self._assemblers[channel].begin(method)
            else:
                self._answer(channel, method)
        else:
            content = self._assemblers[channel].add(frame_type, payload)
            if content is not None:
                self.contents.append((content.method, content.properties, content.body))
                self._answer(channel, content.method)

    def _answer(self, channel: int, method: Method) -> None:
        answer = self.answers.get(type(method))
        reply = answer(method) if answer else None
        if isinstance(reply, Method | bytes):
            self.say(reply, channel=channel)
        elif reply is not None:
            self.say(*reply, channel=channel)

    def receive(self, deadline: float | None = None) -> bytes:
        assert not self.closed
        if self._outgoing:
            piece = self._outgoing.popleft()
            if isinstance(piece, OSError):
                raise piece
            return piece
        for moment, data in sorted(self._timed, key=lambda timed: timed[0]):
            if deadline is None or moment <= deadline:
                self._timed.remove((moment, data))
                self.now = max(self.now, moment)
                return data
        if deadline is None:
            raise Stuck("the client waits without a deadline for what the script does not send")
        self.now = max(self.now, deadline)
        raise TimeoutError("timed out")

    def receive_into(self, room: memoryview, deadline: float | None = None) -> int:
        data = self.receive(deadline)
        size = min(len(data), len(room))
        room[:size] = data[:size]
        if size < len(data):
            self._outgoing.appendleft(data[size:])
        return size

    def readable(self) -> bool:
        return bool(self._outgoing)

    def close(self) -> None:
        self.closed = True

    def fileno(self) -> int | None:
        return None

    def monotonic(self) -> float:
        return self.now


def delivery(
    body: bytes = b"body",
    tag: int = 1,
    channel: int = 1,
    consumer: str = "made-up",
    properties: bytes = NO_PROPERTIES,
    redelivered: bool = False,
    frame_max: int = 131072,
) -> bytes:
    """The frames of a delivery."""
    method = BasicDeliver(consumer, tag, redelivered, "orders", "order.created")
    header = content_header(len(body), properties)
    return method_frame(channel, method.encode()) + content_frames(channel, header, body, frame_max)


def connected(server: Server, **parameters: object) -> Connection:
    """An open connection to a scripted server, whose log begins afterwards."""
    connection = Connection(transport=lambda: server, **parameters)  # type: ignore[arg-type]
    connection.connect()
    server.log.clear()
    return connection


def opened(server: Server, **parameters: object) -> tuple[Connection, Channel]:
    """An open connection to a scripted server and its channel 1."""
    connection = connected(server, **parameters)
    channel = connection.channel()
    server.log.clear()
    return connection, channel

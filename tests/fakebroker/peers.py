"""A client that speaks AMQP frame by frame, in-process or over TCP: it can say what no client library would."""

import select
import socket
from collections import deque
from collections.abc import Mapping
from typing import Final, Self, TypeVar

from hutch.fakebroker.realtime import monotonic
from hutch.wire.content import Content, ContentAssembler
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT, METHOD, Frame, FrameParser, content_frames, content_header, method_frame
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicAck,
    BasicConsume,
    BasicConsumeOk,
    BasicGet,
    BasicGetEmpty,
    BasicPublish,
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
    Method,
    QueueDeclare,
    QueueDeclareOk,
    decode_method,
)
from hutch.wire.properties import NO_PROPERTIES, PropertyValue, decode_properties, encode_properties
from hutch.wire.transport import Transport
from hutch.wire.url import parse_url

M = TypeVar("M", bound=Method)
Item = Method | Content

#: Deadline in seconds for things that should happen at once.
PATIENCE: Final = 10.0

CAPABILITIES: Final[FieldTable] = {
    "capabilities": {
        "authentication_failure_close": True,
        "basic.nack": True,
        "connection.blocked": True,
        "consumer_cancel_notify": True,
    }
}


class TCP(Transport):
    """A transport over a plain socket, on the real clock even while time stands frozen."""

    def __init__(self, url: str) -> None:
        (address,) = parse_url(url)
        self._address = (address.host, address.port)
        self.socket = socket.socket()

    def connect(self, deadline: float | None) -> None:
        self._limit(deadline)
        self.socket.connect(self._address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes, deadline: float | None = None) -> None:
        self._limit(deadline)
        self.socket.sendall(data)

    def receive(self, deadline: float | None = None) -> bytes:
        self._limit(deadline)
        return self.socket.recv(1 << 16)

    def _limit(self, deadline: float | None) -> None:
        seconds = PATIENCE if deadline is None else deadline - self.monotonic()
        self.socket.settimeout(max(seconds, 0.001))

    def close(self) -> None:
        self.socket.close()

    def fileno(self) -> int | None:
        return self.socket.fileno()

    def readable(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])

    def monotonic(self) -> float:
        return monotonic()


class Peer:
    """One connection. Methods go to channel 1 unless told otherwise.

    What waits has a deadline; what comes out of turn is an ``AssertionError``.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.parser = FrameParser()
        self.frames: deque[Frame] = deque()
        self._assemblers: dict[int, ContentAssembler] = {}
        transport.connect(self._deadline())

    @classmethod
    def opened(
        cls,
        transport: Transport,
        *,
        heartbeat: int = 0,
        frame_max: int = 131072,
        vhost: str = "/",
        user: str = "guest",
        password: str = "guest",
        client_properties: FieldTable = CAPABILITIES,
    ) -> Self:
        """A connection that is open, with channel 1."""
        peer = cls(transport)
        peer.greet()
        peer.log_in(user, password, client_properties)
        peer.expect(ConnectionTune)
        peer.method(ConnectionTuneOk(2047, frame_max, heartbeat), 0)
        peer.method(ConnectionOpen(vhost), 0)
        peer.expect(ConnectionOpenOk)
        peer.open_channel()
        return peer

    def greet(self) -> ConnectionStart:
        """Send the protocol header; what the broker greets with."""
        self.send(PROTOCOL_HEADER)
        return self.expect(ConnectionStart)

    def log_in(
        self, user: str = "guest", password: str = "guest", client_properties: FieldTable = CAPABILITIES
    ) -> None:
        """Send start-ok."""
        response = f"\0{user}\0{password}".encode()
        self.method(ConnectionStartOk(client_properties, "PLAIN", response), 0)

    def open_channel(self, number: int = 1) -> None:
        """Open a channel."""
        self.method(ChannelOpen(), number)
        self.expect(ChannelOpenOk)

    # sending

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.send(data, self._deadline())

    def method(self, method: Method, channel: int = 1) -> None:
        """Send a method."""
        self.send(method_frame(channel, method.encode()))

    def publish(
        self,
        routing_key: str,
        body: bytes = b"",
        exchange: str = "",
        *,
        channel: int = 1,
        mandatory: bool = False,
        **properties: PropertyValue,
    ) -> None:
        """Publish a message."""
        self.send(publishing(routing_key, body, exchange, channel=channel, mandatory=mandatory, **properties))

    # receiving

    def _deadline(self) -> float:
        return self.transport.monotonic() + PATIENCE

    def read_frame(self) -> Frame:
        """The next frame."""
        deadline = self._deadline()
        while not self.frames:
            data = self.transport.receive(deadline)
            if not data:
                raise EOFError
            self.frames.extend(self.parser.feed(data))
        return self.frames.popleft()

    def read(self) -> Item:
        """The next method or whole message; heartbeats are passed over."""
        while True:
            if (item := self._item(self.read_frame())) is not None:
                return item

    def _item(self, frame: Frame) -> Item | None:
        frame_type, channel, payload = frame
        if frame_type == HEARTBEAT:
            return None
        assembler = self._assemblers.setdefault(channel, ContentAssembler())
        if frame_type == METHOD:
            method = decode_method(payload)
            if not method.CONTENT:
                return method
            assembler.begin(method)
            return None
        return assembler.add(frame_type, payload)

    def waiting(self) -> list[Item]:
        """What has come by now, without letting time pass."""
        self.fill()
        items = [self._item(self.frames.popleft()) for _ in range(len(self.frames))]
        return [item for item in items if item is not None]

    def fill(self) -> None:
        """Take in what has come by now, without letting time pass."""
        while True:
            try:
                data = self.transport.receive(self.transport.monotonic())
            except TimeoutError:
                return
            if not data:
                return
            self.frames.extend(self.parser.feed(data))

    def expect(self, kind: type[M]) -> M:
        """The next method, which must be of this kind."""
        item = self.read()
        assert isinstance(item, kind), f"{kind.NAME} was expected, not {item!r}"
        return item

    def message(self) -> Content:
        """The next message, which must come next."""
        item = self.read()
        assert isinstance(item, Content), f"a message was expected, not {item!r}"
        return item

    def ended(self) -> bool:
        """Whether the broker ends the stream, now or within the patience, without another word."""
        try:
            return self.transport.receive(self._deadline()) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def fill_until_end(self) -> None:
        """Take in what has come by now; then the stream must have ended."""
        while True:
            try:
                data = self.transport.receive(self._deadline())
            except TimeoutError:
                raise AssertionError("the broker has not ended the stream") from None
            except OSError:
                return
            if not data:
                return
            self.frames.extend(self.parser.feed(data))

    # round trips

    def declare(self, queue: str, arguments: FieldTable | None = None, **flags: bool) -> QueueDeclareOk:
        """Declare a queue."""
        self.method(QueueDeclare(0, queue, arguments=arguments or {}, **flags))
        return self.expect(QueueDeclareOk)

    def count(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        return self.declare(queue, passive=True).message_count

    def get(self, queue: str, *, no_ack: bool = True) -> bytes | None:
        """The body of one message."""
        self.method(BasicGet(0, queue, no_ack))
        item = self.read()
        if isinstance(item, BasicGetEmpty):
            return None
        assert isinstance(item, Content), item
        return item.body

    def consume(self, queue: str, tag: str = "", *, no_ack: bool = False, channel: int = 1) -> str:
        """Start a consumer; its tag."""
        self.method(BasicConsume(0, queue, tag, no_ack=no_ack), channel)
        return self.expect(BasicConsumeOk).consumer_tag

    def confirm(self) -> None:
        """Have publishes confirmed."""
        self.method(ConfirmSelect())
        self.expect(ConfirmSelectOk)

    def publish_and_wait(self, routing_key: str, body: bytes = b"", exchange: str = "") -> None:
        """Publish, on a channel with confirms, and wait for the confirmation."""
        self.publish(routing_key, body, exchange)
        self.expect(BasicAck)

    def close(self) -> None:
        """Close the connection as one should."""
        self.method(ConnectionClose(200), 0)
        while not isinstance(self.read(), ConnectionCloseOk):
            pass
        self.transport.close()

    def vanish(self) -> None:
        """Be gone without a word."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()


def publishing(
    routing_key: str,
    body: bytes = b"",
    exchange: str = "",
    *,
    channel: int = 1,
    mandatory: bool = False,
    **properties: PropertyValue,
) -> bytes:
    """The frames of a basic.publish."""
    raw = encode_properties(properties) if properties else NO_PROPERTIES
    method = BasicPublish(0, exchange, routing_key, mandatory).encode()
    return method_frame(channel, method) + content_frames(channel, content_header(len(body), raw), body, 131072)


def properties_of(content: Content) -> Mapping[str, PropertyValue]:
    """A message's properties."""
    return decode_properties(content.properties)

"""An AMQP connection spoken frame by frame, for what no client would send and for the order in which frames come."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from hutch.conformance.check import equal, reply_text
from hutch.wire.codes import ReplyCode
from hutch.wire.content import Content, ContentAssembler
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT, METHOD, Frame, FrameParser, content_frames, content_header, frame, method_frame
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicGet,
    BasicGetOk,
    BasicPublish,
    ChannelClose,
    ChannelCloseOk,
    ChannelFlow,
    ChannelOpen,
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
    QueueDelete,
    decode_method,
)
from hutch.wire.properties import PropertyValue, decode_properties, encode_properties
from hutch.wire.transport import Transport

Item = Method | Content
M = TypeVar("M", bound=Method)

#: The capabilities that a RabbitMQ client announces.
CAPABILITIES: Final[FieldTable] = {
    "publisher_confirms": True,
    "consumer_cancel_notify": True,
    "basic.nack": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}


class EndOfStream(Exception):
    """The broker has ended the connection, by FIN or by RST."""


def properties_of(content: Content) -> Mapping[str, PropertyValue]:
    """The properties of a message, absent ones absent, values with their wire types."""
    return decode_properties(content.properties)


def fields(item: Item) -> Any:
    """The method, its fields open to be read by name; of a message, the one that brought it."""
    return item.method if isinstance(item, Content) else item


def delivery_tag(item: Item) -> int:
    """The delivery tag of a deliver, get-ok, ack or nack."""
    tag: int = fields(item).delivery_tag
    return tag


class RawConnection:
    """One connection. ``patience`` is how many seconds it waits for what must come.

    What waits raises :class:`EndOfStream` when the broker ends the stream, :class:`TimeoutError` when nothing comes.
    """

    def __init__(self, transport: Transport, patience: float, userid: str, password: str, virtual_host: str) -> None:
        self.transport = transport
        self.frame_max = 0
        self.patience = patience
        self._login = b"\0" + userid.encode() + b"\0" + password.encode()
        self._virtual_host = virtual_host
        self._parser = FrameParser()
        self._frames: deque[Frame] = deque()
        self._assemblers: dict[int, ContentAssembler] = {}
        self._inbox: dict[int, deque[Item]] = {}
        self._channels: dict[int, RawChannel] = {}
        transport.connect(self._deadline(None))

    def _deadline(self, timeout: float | None) -> float:
        return self.transport.monotonic() + (self.patience if timeout is None else timeout)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self.transport.send(data, self._deadline(None))
        except TimeoutError:
            raise
        except OSError as error:
            raise EndOfStream(str(error)) from error

    def send_method(self, method: Method, channel: int = 0) -> None:
        """Send a method frame."""
        self.send(method_frame(channel, method.encode()))

    def send_frame(self, frame_type: int, channel: int, payload: bytes) -> None:
        """Send a frame of any type."""
        self.send(frame(frame_type, channel, payload))

    def receive(self, timeout: float | None = None) -> bytes:
        """Some bytes, as they are."""
        return self._receive(self._deadline(timeout))

    def _receive(self, deadline: float) -> bytes:
        try:
            data = self.transport.receive(deadline)
        except TimeoutError:
            raise
        except OSError as error:
            raise EndOfStream(str(error)) from error
        if not data:
            raise EndOfStream("end of stream")
        return data

    def read_frame(self, timeout: float | None = None) -> Frame:
        """The next frame, heartbeats too."""
        return self._read_frame(self._deadline(timeout))

    def _read_frame(self, deadline: float) -> Frame:
        while not self._frames:
            self._frames.extend(self._parser.feed(self._receive(deadline)))
        return self._frames.popleft()

    @property
    def has_input(self) -> bool:
        """Whether there is something to read at once."""
        return bool(self._frames) or self.transport.readable()

    def read(self, timeout: float | None = None) -> tuple[int, Item]:
        """The next method or complete message on any channel, with the channel's number; heartbeats are passed over."""
        return self._read(self._deadline(timeout))

    def _read(self, deadline: float) -> tuple[int, Item]:
        while True:
            frame_type, channel, payload = self._read_frame(deadline)
            if frame_type == HEARTBEAT:
                continue
            assembler = self._assemblers.setdefault(channel, ContentAssembler())
            if frame_type == METHOD:
                method = decode_method(payload)
                if not method.CONTENT:
                    return channel, method
                assembler.begin(method)
            elif content := assembler.add(frame_type, payload):
                return channel, content

    def read_on(self, channel: int, timeout: float | None = None) -> Item:
        """The next method or message on one channel; what comes on others is kept for them.

        Raises:
            AssertionError: the connection was closed by the broker, while another channel was waited on.
        """
        deadline = self._deadline(timeout)
        inbox = self._inbox.setdefault(channel, deque())
        while not inbox:
            number, item = self._read(deadline)
            if isinstance(item, ConnectionClose) and channel:
                raise AssertionError(f"unexpected {item!r}")
            self._inbox.setdefault(number, deque()).append(item)
        return inbox.popleft()

    def put_back(self, channel: int, items: Iterable[Item]) -> None:
        """Have ``items`` read again, before anything else on their channel."""
        self._inbox.setdefault(channel, deque()).extendleft(reversed(list(items)))

    def waiting_on(self, channel: int) -> list[Item]:
        """What has come on a channel and was not read yet."""
        return list(self._inbox.get(channel, ()))

    def expect(self, kind: type[M], timeout: float | None = None) -> M:
        """The next method on channel 0, which must be of this kind."""
        return _of_kind(self.read_on(0, timeout), kind)

    def start(self, header: bytes = PROTOCOL_HEADER) -> ConnectionStart:
        """Send the protocol header; the broker's greeting."""
        self.send(header)
        return self.expect(ConnectionStart)

    def log_in(
        self,
        *,
        mechanism: str = "PLAIN",
        response: bytes | None = None,
        client_properties: FieldTable | None = None,
        locale: str = "en_US",
    ) -> None:
        """Send start-ok; by default the right user and password and all capabilities."""
        properties = {"capabilities": CAPABILITIES} if client_properties is None else client_properties
        self.send_method(
            ConnectionStartOk(properties, mechanism, self._login if response is None else response, locale)
        )

    def tune(self, channel_max: int = 2047, frame_max: int = 131072, heartbeat: int = 0) -> ConnectionTune:
        """Await tune and answer it; what the broker proposed."""
        proposed = self.expect(ConnectionTune)
        self.send_method(ConnectionTuneOk(channel_max, frame_max, heartbeat))
        self.frame_max = frame_max
        return proposed

    def open(self, virtual_host: str | None = None) -> None:
        """Open the virtual host."""
        self.send_method(ConnectionOpen(self._virtual_host if virtual_host is None else virtual_host))
        self.expect(ConnectionOpenOk)

    def handshake(
        self,
        channel_max: int = 2047,
        frame_max: int = 131072,
        heartbeat: int = 0,
        client_properties: FieldTable | None = None,
        virtual_host: str | None = None,
    ) -> None:
        """Everything until the connection is open."""
        self.start()
        self.log_in(client_properties=client_properties)
        self.tune(channel_max, frame_max, heartbeat)
        self.open(virtual_host)

    def channel(self, number: int = 1) -> "RawChannel":
        """Open a channel."""
        channel = RawChannel(self, number)
        channel.call(ChannelOpen())
        self._channels[number] = channel
        return channel

    def forget(self, number: int) -> None:
        """A channel that is not open any more."""
        self._channels.pop(number, None)

    def settle(self) -> None:
        """Have the broker handle what was sent on the open channels."""
        for channel in list(self._channels.values()):
            channel.call(ChannelFlow(active=True))

    def expect_close(self, code: int, text: str, method: tuple[int, int]) -> None:
        """The broker must close the connection with this code, explanation, and class and method id, next on channel 0.

        Close-ok is sent. The explanation is the reply text without the code's name before it.
        """
        item = self.read_on(0)
        equal(item, ConnectionClose(code, reply_text(code, text), *method))
        self.send_method(ConnectionCloseOk())

    def expect_gone(self, timeout: float | None = None) -> None:
        """The broker must end the stream without another frame, heartbeats aside."""
        try:
            channel, item = self.read(timeout)
        except EndOfStream:
            return
        except TimeoutError:
            raise AssertionError("the broker keeps the connection open") from None
        raise AssertionError(f"expected the end of the stream, got {item!r} on channel {channel}")

    def expect_alive(self) -> None:
        """The connection must still be open: a channel opens and closes on it."""
        self.channel(65000).close()

    def close(self) -> None:
        """Drop the connection, without the closing handshake."""
        self.transport.close()


class RawChannel:
    """One channel of a :class:`RawConnection`."""

    def __init__(self, connection: RawConnection, number: int) -> None:
        self.connection = connection
        self.number = number

    def send(self, method: Method) -> None:
        """Send a method."""
        self.connection.send_method(method, self.number)

    def framed(self, method: Method) -> bytes:
        """The bytes of a method, to be sent with others."""
        return method_frame(self.number, method.encode())

    def call(self, method: Method) -> Method:
        """Send a method and await its reply; what comes before it is kept for :meth:`read`.

        Raises:
            AssertionError: the broker closes the channel instead.
        """
        self.send(method)
        passed: list[Item] = []
        while True:
            item = self.read()
            if type(item).__name__ in method.REPLIES or (
                isinstance(item, Content) and type(item.method).__name__ in method.REPLIES
            ):
                self.connection.put_back(self.number, passed)
                return item if isinstance(item, Method) else item.method
            if isinstance(item, ChannelClose):
                raise AssertionError(f"{method!r} was answered by {item!r}")
            passed.append(item)

    def publish(
        self,
        body: bytes = b"",
        exchange: str = "",
        routing_key: str = "",
        *,
        mandatory: bool = False,
        immediate: bool = False,
        **properties: Any,
    ) -> None:
        """Publish a message with these properties."""
        self.publish_raw(
            BasicPublish(0, exchange, routing_key, mandatory, immediate), encode_properties(properties), body
        )

    def publish_raw(self, method: BasicPublish, properties: bytes, body: bytes) -> None:
        """Publish with the properties' flags and values as bytes."""
        self.connection.send(self._publishing(method, properties, body))

    def publishing(self, body: bytes, exchange: str, routing_key: str, **properties: Any) -> bytes:
        """The bytes of a publish, to be sent with others."""
        return self._publishing(BasicPublish(0, exchange, routing_key), encode_properties(properties), body)

    def _publishing(self, method: BasicPublish, properties: bytes, body: bytes) -> bytes:
        content = content_frames(self.number, content_header(len(body), properties), body, self.connection.frame_max)
        return self.framed(method) + content

    def read(self, timeout: float | None = None) -> Item:
        """The next method or message on this channel."""
        return self.connection.read_on(self.number, timeout)

    def expect(self, kind: type[M], timeout: float | None = None) -> M:
        """The next thing on this channel, which must be a method of this kind without content."""
        return _of_kind(self.read(timeout), kind)

    def message(self, kind: type[Method], timeout: float | None = None) -> Content:
        """The next thing on this channel, which must be a message that this kind of method brings."""
        item = self.read(timeout)
        if isinstance(item, Content) and isinstance(item.method, kind):
            return item
        raise AssertionError(f"expected {kind.NAME}, got {item!r}")

    def get(self, queue: str, *, no_ack: bool = False) -> Content | None:
        """Basic.get: a message, or ``None`` where the queue is empty. Nothing else may come before."""
        self.send(BasicGet(0, queue, no_ack))
        item = self.read()
        if isinstance(item, Content) and isinstance(item.method, BasicGetOk):
            return item
        if isinstance(item, Method) and item.NAME == "basic.get-empty":
            return None
        raise AssertionError(f"basic.get was answered by {item!r}")

    def got(self, queue: str, *, no_ack: bool = False) -> Content:
        """The message that basic.get brings.

        Raises:
            AssertionError: the queue is empty.
        """
        content = self.get(queue, no_ack=no_ack)
        if content is None:
            raise AssertionError(f"no message in {queue!r}")
        return content

    def ready(self, queue: str) -> int:
        """The number of ready messages that a queue reports; a message that was just published may be missing."""
        return _of_kind(self.call(QueueDeclare(0, queue, passive=True)), QueueDeclareOk).message_count

    def expect_ready(self, queue: str, count: int) -> None:
        """A queue must come to have this many ready messages."""
        deadline = time.monotonic() + self.connection.patience
        while (ready := self.ready(queue)) != count:
            if time.monotonic() > deadline:
                raise AssertionError(f"expected {count} ready messages in {queue!r}, there are {ready}")

    def expect_close(self, code: int, text: str, method: tuple[int, int]) -> None:
        """The broker must close the channel next, with this code, explanation and method; close-ok is sent."""
        equal(self.read(), ChannelClose(code, reply_text(code, text), *method))
        self.connection.forget(self.number)
        self.send(ChannelCloseOk())

    def expect_nothing(self, queue: str | None = None) -> None:
        """Nothing more may have come on this channel; proved by round trips, not by waiting.

        With ``queue``, which must have a consumer, the first trip passes through that queue, behind all that it had to
        handle before: a deletion that a queue in use refuses. The last has this channel say what it was told.
        """
        if queue is not None:
            probe = self.connection.channel(64999)
            probe.send(QueueDelete(0, queue, if_unused=True))
            equal(probe.expect(ChannelClose).reply_code, ReplyCode.PRECONDITION_FAILED, "deletion of a queue in use")
            probe.send(ChannelCloseOk())
            self.connection.forget(probe.number)
        self.call(ChannelFlow(active=True))
        if item := self.connection.waiting_on(self.number):
            raise AssertionError(f"expected nothing more, got {item!r}")

    def close(self) -> None:
        """Close the channel."""
        self.connection.forget(self.number)
        self.call(ChannelClose(ReplyCode.REPLY_SUCCESS))


def _of_kind(item: Item, kind: type[M]) -> M:
    if not isinstance(item, kind):
        raise AssertionError(f"expected {kind.NAME}, got {item!r}")
    return item

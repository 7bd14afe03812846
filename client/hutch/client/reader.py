"""From bytes to calls: the hot path of everything that a broker sends.

Frames are cut out of what was received, one method at a time, so that an application gets no more than it asked for.
Deliveries whose frames have all arrived, which are nearly all, and confirms take paths of their own; the rest goes
frame by frame through :class:`hutch.wire.content.ContentAssembler`.
"""

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Any, Final, Protocol

from hutch.client.exceptions import AMQPError, ConnectionError, error_for_code  # noqa: A004
from hutch.client.message import Envelope, ReceivedMessage
from hutch.wire.codes import ReplyCode
from hutch.wire.content import Content, ContentAssembler, ContentError, whole_content
from hutch.wire.declaration import Method, decode_method
from hutch.wire.frames import BODY, END, HEADER, HEARTBEAT, METHOD, OVERHEAD
from hutch.wire.methods import METHODS, BasicAck, BasicDeliver, BasicGetOk, ConnectionClose, ConnectionStart

_NEXT_FRAME: Final = Struct(">BBHI")  # the end octet of a frame, and the prefix of the next
_PREFIX: Final = Struct(">BHI")
_method_start: Final = Struct(">BHII").unpack_from  # a method's frame up to and with its ids
_unpack_tag: Final = Struct(">Q").unpack_from
_ACK_ARGUMENTS: Final = Struct(">QB")
_DELIVER_ID: Final = BasicDeliver.ID
_ACK_ID: Final = BasicAck.ID
_GET_OK_ID: Final = BasicGetOk.ID
_ACK_SIZE: Final = 13  # of the payload
_CONNECTION: Final = 10  # a class id
_ENVELOPES_LIMIT: Final = 1024
_ANY_SIZE: Final = (1 << 64) - 1
_LARGE_FRAME: Final = 32768  # bytes still to come of a frame that is worth a read of its own
_NO_METHOD: Final = (0, 0)


class Violation(Exception):
    """The peer sent what it must not. ``error`` tells what, and is the connection.close to answer with."""

    def __init__(self, error: AMQPError) -> None:
        super().__init__(str(error))
        self.error = error

    @classmethod
    def of(cls, code: ReplyCode, text: str, method: type[Any] | None = None) -> "Violation":
        """A violation with a reply code, an explanation and the method at fault."""
        signature = (method.CLASS_ID, method.METHOD_ID) if method else _NO_METHOD
        return cls(error_for_code(code, f"{code} - {text}", signature, ConnectionError))


class Peer(Protocol):
    """What takes the methods of one channel number: a channel, or the connection itself as number 0."""

    #: Whether its close was sent and is not yet answered; deliveries are dropped then.
    is_closing: bool

    def receive_delivery(self, message: ReceivedMessage, consumer_tag: str) -> None:
        """A consumer has got a message."""

    def receive_ack(self, delivery_tag: int, multiple: bool) -> None:
        """The broker has confirmed a publish, or all up to it."""

    def receive_method(self, method: Method, content: Content | None) -> None:
        """Another method has come, with its content if it carries one."""


class _Deaf:
    is_closing = True

    def receive_delivery(self, _message: ReceivedMessage, _consumer_tag: str) -> None:
        raise AssertionError("a peer that is closing gets no delivery")

    def receive_ack(self, _delivery_tag: int, _multiple: bool) -> None:
        raise AssertionError("a peer that is closing gets no confirm")

    def receive_method(self, method: Method, content: Content | None) -> None:
        """Drop it."""


_DEAF: Final = _Deaf()


class Reader:
    """Takes received bytes with :meth:`feed` and hands what they hold to ``peers``, by channel number."""

    __slots__ = (
        "_assemblers",
        "_begun",
        "_chunks",
        "_data",
        "_envelopes",
        "_held",
        "_offset",
        "_peers",
        "_wanted",
        "frame_max",
    )

    def __init__(self, peers: Mapping[int, Any]) -> None:
        self._peers: Mapping[int, Peer] = peers
        self._data = b""
        self._offset = 0
        self._chunks: list[bytes] = []
        self._held = 0
        self._wanted = 0
        self._assemblers: dict[int, ContentAssembler] = {}
        #: Type, channel number and size of the frame that the data goes on with, where its beginning was taken.
        self._begun: tuple[int, int, int] | None = None
        self._envelopes: dict[bytes, Envelope] = {}
        #: The limit for the payload of a frame, in bytes; 0 for none.
        self.frame_max = 0

    @property
    def buffered(self) -> bool:
        """Whether there are bytes that :meth:`next_method` has not looked at."""
        return self._offset < len(self._data)

    def peek(self, size: int) -> bytes:
        """The first bytes, ``size`` at most, that :meth:`next_method` has not looked at."""
        return self._data[self._offset : self._offset + size]

    @property
    def holds_close(self) -> bool:
        """Whether the peer's connection.close is among what has not been handed on."""
        data = self._data
        offset = self._offset + (self._begun[2] + 1 if self._begun else 0)
        while offset + 11 <= len(data):
            frame_type, number, size, method_id = _method_start(data, offset)
            if frame_type == METHOD and not number and method_id == ConnectionClose.ID:
                return True
            offset += size + OVERHEAD
        return False

    @property
    def unread(self) -> bytes:
        """All bytes that have not been handed on, those of messages that came in part from their beginning.

        Another reader may go on with them.
        """
        begun = [content.frames(number, self.frame_max) for number, content in self._assemblers.items()]
        prefix = _PREFIX.pack(*self._begun) if self._begun else b""
        return b"".join(begun) + prefix + (b"".join(self._chunks) or self._data[self._offset :])

    def feed(self, data: bytes) -> None:
        """Take bytes, in any cut."""
        if self._chunks:
            self._chunks.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return
            data = b"".join(self._chunks)
            self._chunks = []
        elif self._offset < len(self._data):
            data = self._data[self._offset :] + data
        self._data = data
        self._offset = 0

    def room(self) -> memoryview | None:
        """Where the bytes that come next belong, if they are a large part of a body: no need to copy them there.

        Whoever receives into it says with :meth:`filled` how much that was, and releases it. Who does not may
        :meth:`feed` as ever.
        """
        begun = self._begun
        if begun is None or begun[2] < _LARGE_FRAME or self._chunks or self._offset < len(self._data):
            return None
        # With what ends this frame and begins the next one: if more of the body follows, that is written over.
        return self._assemblers[begun[1]].room(begun[2] + OVERHEAD)

    def filled(self, room: memoryview, size: int) -> None:
        """Take the first ``size`` bytes of :meth:`room`."""
        if self._begun is None:
            raise ValueError("no room was given")
        _, number, missing = self._begun
        assembler = self._assemblers[number]
        if size == missing + OVERHEAD:
            end, frame_type, owner, following = _NEXT_FRAME.unpack_from(room, missing)
            still = assembler.remaining - missing
            if (end, frame_type, owner) == (END, BODY, number) and 0 < following <= min(still, self.frame_max or still):
                assembler.advance(missing)
                self._begun = BODY, number, following
                return
        part = min(size, missing - 1)  # the last byte comes by the frame's end, as of _take_part
        assembler.advance(part)
        self._begun = BODY, number, missing - part
        self._data = bytes(room[part:size])
        self._offset = 0

    def drop_channels(self) -> None:
        """From now on hand on what comes for the connection itself, and drop the rest, as after connection.close."""
        self._peers = {number: _DEAF if number else peer for number, peer in self._peers.items()}

    def next_method(self) -> bool:
        """Hand on one method; ``False`` if the bytes at hand do not complete another one.

        Raises:
            Violation: the peer sent what it must not.
            Exception: whatever the receiver of the method raises. The method counts as handed on then.
        """
        frame_type: int
        number: int
        size: int
        method_id: int
        while True:
            data = self._data
            offset = self._offset
            if offset == len(data):
                return False
            if offset + 11 <= len(data) and not self._assemblers:
                frame_type, number, size, method_id = _method_start(data, offset)
                if frame_type == METHOD and self._take_whole(data, offset, number, size, method_id):
                    return True
            frame = self._next_frame()
            if frame is None:
                return False
            if self._take(*frame):
                return True

    def _take_whole(self, data: bytes, offset: int, number: int, size: int, method_id: int) -> bool:
        """Hand on a method whose frames are all there, by the path of what comes most, or of what has no content.

        ``False`` if they are not, or not as they should be; nothing was touched then.
        """
        if method_id == _DELIVER_ID:
            return number > 0 and self._take_delivery(data, offset)
        if method_id == _ACK_ID:
            return number > 0 and self._take_ack(data, offset)
        if method_id == _GET_OK_ID:
            return number > 0 and self._take_got(data, offset)
        return self._take_method(data, offset, number, size, method_id)

    def _take_delivery(self, data: bytes, offset: int) -> bool:
        """Hand on a delivery, if all of it is there in a method's frame, a header's and one body's or none.

        ``False`` if it is not, or not as it should be; nothing was touched then.
        """
        whole = whole_content(data, offset, self.frame_max or _ANY_SIZE)
        if whole is None:
            return False
        number, payload, header, body, behind = whole
        try:
            peer = self._peers[number]
            if peer.is_closing:
                return False
            tag_end = 5 + payload[4]
            key = payload[4:tag_end] + payload[tag_end + 8 :]
            envelope = self._envelopes.get(key) or self._decode_envelope(key, payload)
            (delivery_tag,) = _unpack_tag(payload, tag_end)
        except (LookupError, StructError, ValueError):
            return False
        self._offset = behind
        peer.receive_delivery(ReceivedMessage(peer, body, header[12:], delivery_tag, envelope), envelope[0])
        return True

    def _take_got(self, data: bytes, offset: int) -> bool:
        """Hand on the answer to a basic.get, as :meth:`_take_delivery` does a delivery."""
        whole = whole_content(data, offset, self.frame_max or _ANY_SIZE)
        if whole is None:
            return False
        number, payload, header, body, behind = whole
        try:
            peer = self._peers[number]
            method = BasicGetOk.decode(payload)
        except (LookupError, StructError, ValueError):
            return False
        self._offset = behind
        peer.receive_method(method, Content(method, header, body))
        return True

    def _take_ack(self, data: bytes, offset: int) -> bool:
        """Hand on a confirm, if all of it is there; ``False`` as of :meth:`_take_delivery`."""
        if len(data) < offset + 21 or data[offset + 20] != END:
            return False
        _, number, size, _ = _method_start(data, offset)
        peer = self._peers.get(number)
        if size != _ACK_SIZE or peer is None or peer.is_closing:
            return False
        delivery_tag, multiple = _ACK_ARGUMENTS.unpack_from(data, offset + 11)
        self._offset = offset + 21
        peer.receive_ack(delivery_tag, multiple & 1 != 0)
        return True

    def _take_method(self, data: bytes, offset: int, number: int, size: int, method_id: int) -> bool:
        """Hand on a method without content, if all of it is there; ``False`` as of :meth:`_take_delivery`."""
        end = offset + 7 + size
        kind = METHODS.get(method_id)
        if kind is None or kind.CONTENT or not kind.SERVER or end >= len(data) or data[end] != END:
            return False
        peer = self._peers.get(number)
        if peer is None or (number and kind.CLASS_ID == _CONNECTION) or 0 < self.frame_max < size:
            return False
        payload = data[offset + 7 : end]
        try:
            method = _decode_start(payload) if kind is ConnectionStart else kind.decode(payload)
        except ValueError:
            return False
        self._offset = end + 1
        peer.receive_method(method, None)
        return True

    def _decode_envelope(self, key: bytes, payload: bytes) -> Envelope:
        deliver = BasicDeliver.decode(payload)
        envelope = (deliver.consumer_tag, deliver.redelivered, deliver.exchange, deliver.routing_key)
        if len(self._envelopes) >= _ENVELOPES_LIMIT:
            self._envelopes.clear()
        self._envelopes[key] = envelope
        return envelope

    def _next_frame(self) -> tuple[int, int, bytes | memoryview] | None:
        data = self._data
        offset = self._offset
        if self._begun is not None:
            frame_type, number, size = self._begun
            start = offset
        else:
            rest = len(data) - offset
            if rest < 7:
                if rest:
                    self._hold(7)
                return None
            frame_type, number, size = _PREFIX.unpack_from(data, offset)
            if 0 < self.frame_max < size:
                raise Violation.of(ReplyCode.FRAME_ERROR, f"a frame of {size} bytes where {self.frame_max} are allowed")
            start = offset + 7
        end = start + size
        assembler = self._assemblers.get(number) if frame_type == BODY else None
        if end >= len(data):
            if assembler is None or size > assembler.remaining:
                self._hold(size + OVERHEAD)
            else:
                self._take_part(assembler, number, start, end)
            return None
        self._begun = None
        self._offset = end + 1
        if data[end] != END:
            raise Violation.of(ReplyCode.FRAME_ERROR, f"a frame that ends with octet {data[end]}, not {END}")
        if assembler is not None:
            return frame_type, number, memoryview(data)[start:end]  # copied once, into its body
        return frame_type, number, data[start:end]

    def _take_part(self, assembler: ContentAssembler, number: int, start: int, end: int) -> None:
        """Take what is there of a body's frame, but for its last byte: the content is whole once the frame is."""
        part_end = min(end - 1, len(self._data))
        if part_end > start:
            assembler.add(BODY, memoryview(self._data)[start:part_end])
        self._begun = BODY, number, end - part_end
        self._offset = part_end
        if part_end < len(self._data):
            self._hold(end - part_end + 1)

    def _hold(self, wanted: int) -> None:
        """Keep the bytes of a frame that is not complete; nothing is looked at before there are ``wanted`` ones."""
        self._chunks = [self._data[self._offset :]]
        self._held = len(self._chunks[0])
        self._wanted = wanted
        self._data = b""
        self._offset = 0

    def _take(self, frame_type: int, number: int, payload: bytes | memoryview) -> bool:
        """Take one frame; whether it completed a method."""
        if frame_type == HEARTBEAT:
            return False
        assembler = self._assemblers.get(number)
        if assembler is None:
            if frame_type != METHOD:
                known = frame_type in {HEADER, BODY}
                code = ReplyCode.UNEXPECTED_FRAME if known else ReplyCode.FRAME_ERROR
                raise Violation.of(code, f"a frame of type {frame_type} where a method was expected")
            method = server_method(bytes(payload))
            if method.CONTENT:
                self._assemblers[number] = assembler = ContentAssembler(_ANY_SIZE)
                assembler.begin(method)
                return False
            self._hand_on(number, method, None)
            return True
        try:
            content = assembler.add(frame_type, payload)
        except ContentError as error:
            raise Violation.of(error.code, error.text, type(error.method) if error.method else None) from None
        if content is None:
            return False
        del self._assemblers[number]
        self._hand_on(number, content.method, content)
        return True

    def _hand_on(self, number: int, method: Method, content: Content | None) -> None:
        peer = self._peers.get(number)
        if peer is None:
            raise Violation.of(ReplyCode.CHANNEL_ERROR, f"{method.NAME} on channel {number}, not open", type(method))
        hand_on(peer, number, method, content)


def hand_on(peer: Peer, number: int, method: Method, content: Content | None) -> None:
    """Hand a method to the peer whose number it came on.

    Raises:
        Violation: a method of the connection on a channel.
        Exception: whatever the peer raises.
    """
    if number and method.CLASS_ID == _CONNECTION:
        raise Violation.of(ReplyCode.COMMAND_INVALID, f"{method.NAME} on channel {number}", type(method))
    if isinstance(method, BasicAck) and number:
        if not peer.is_closing:
            peer.receive_ack(method.delivery_tag, method.multiple)
    elif isinstance(method, BasicDeliver) and content is not None and number:
        if not peer.is_closing:
            envelope = (method.consumer_tag, method.redelivered, method.exchange, method.routing_key)
            message = ReceivedMessage(peer, content.body, content.header[12:], method.delivery_tag, envelope)
            peer.receive_delivery(message, method.consumer_tag)
    else:
        peer.receive_method(method, content)


@lru_cache(maxsize=4)
def _decode_start(payload: bytes) -> ConnectionStart:
    """A server's first word is long, and the same for every connection to it. The caller copies what may be changed."""
    return ConnectionStart.decode(payload)


def server_method(payload: bytes) -> Method:
    """The method in a frame, if a server may send it.

    Raises:
        Violation: it may not, or the bytes are no method's.
    """
    try:
        method = decode_method(payload)
    except KeyError:
        class_id, method_id = payload[:2], payload[2:4]
        text = f"method {int.from_bytes(class_id)}/{int.from_bytes(method_id)} is unknown"
        raise Violation.of(ReplyCode.NOT_IMPLEMENTED, text) from None
    except ValueError as error:
        raise Violation.of(ReplyCode.SYNTAX_ERROR, str(error), METHODS.get(int.from_bytes(payload[:4]))) from None
    if not method.SERVER:
        raise Violation.of(ReplyCode.COMMAND_INVALID, f"{method.NAME} is not a server's to send", type(method))
    return method

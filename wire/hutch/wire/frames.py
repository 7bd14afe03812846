"""Frames (spec, section 2.3.5): a parser that takes bytes in any cut and is pulled, and writers."""

from collections.abc import Iterator
from struct import Struct
from typing import Final

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8

#: Bytes that a frame adds to its payload: type, channel and size before it, the end octet after it.
OVERHEAD: Final = 8
#: The smallest ``frame_max`` that the spec lets a peer negotiate, and the limit before tune-ok.
FRAME_MIN_SIZE: Final = 4096
END: Final = 0xCE

#: Start of a frame: type, channel number, payload size.
_PREFIX: Final = Struct(">BHI")
_prefix: Final = _PREFIX.pack
_unpack_prefix: Final = _PREFIX.unpack_from
_pack_content_header: Final = Struct(">HHQ").pack
_pack_header: Final = Struct(">BHIHHQ").pack
#: The end octet of the previous frame, and the prefix of a body frame.
_pack_body_start: Final = Struct(">BBHI").pack
_END: Final = b"\xce"

HEARTBEAT_FRAME: Final = _prefix(HEARTBEAT, 0, 0) + _END

#: One frame: type, channel number, payload.
Frame = tuple[int, int, bytes]


class FrameError(ValueError):
    """Bytes that are no frame. ``frame_type`` and ``payload`` are what was read of it."""

    def __init__(self, reason: str, frame_type: int, payload: bytes) -> None:
        super().__init__(reason)
        self.frame_type = frame_type
        self.payload = payload


class FrameTooLarge(FrameError):
    """A frame whose payload is announced larger than ``frame_max`` allows; ``size`` and ``limit`` in bytes."""

    def __init__(self, frame_type: int, size: int, limit: int) -> None:
        super().__init__(f"a payload of {size} bytes where {limit} are allowed", frame_type, b"")
        self.size = size
        self.limit = limit


class WrongFrameEnd(FrameError):
    """A frame that does not end with the octet 206; ``end`` is what stood there."""

    def __init__(self, frame_type: int, payload: bytes, end: int) -> None:
        super().__init__(f"frame ends with octet {end}, not {END}", frame_type, payload)
        self.end = end


class FrameParser:
    """Cuts a stream of bytes into frames, which are pulled one at a time.

    ``frame_max`` is the negotiated limit in bytes, 0 for none; it may be set at any time and holds for the next frame.

    The next frame begins at ``offset`` of ``data``, which is ``size`` bytes long. A caller that takes whole frames from
    there moves ``offset`` behind them. More bytes may wait in ``chunks``: what was added later, and the beginning of a
    frame that is not complete.

    Attributes:
        frame_type, channel, start, end: of the frame that was found last, its type and channel number, and where its
            payload stands in ``data``.
    """

    def __init__(self, frame_max: int = 0) -> None:
        self.frame_max = frame_max
        self.data = b""
        self.offset = 0
        self.size = 0
        self.chunks: list[bytes] = []
        self.frame_type = self.channel = self.start = self.end = 0
        #: Number of bytes from ``offset`` on, including the chunks. 0 if there are no chunks.
        self._held = 0
        #: Number of bytes from ``offset`` on that the next step needs.
        self._wanted = 7

    @property
    def idle(self) -> bool:
        """Whether nothing is left over, not even a part of a frame."""
        return self.offset == self.size and not self.chunks

    def has_unseen(self) -> bool:
        """Whether there are bytes that :meth:`find` has not looked at."""
        if self.offset < self.size:
            return True
        return self._held >= self._wanted

    @property
    def rest(self) -> bytes:
        """All bytes that are left over."""
        return b"".join((self.data[self.offset :], *self.chunks))

    def add(self, data: bytes) -> int:
        """Put bytes behind those that are left over. Returns how many were added."""
        size = len(data)
        if self.offset == self.size and not self.chunks:
            self.data = data
            self.offset = 0
            self.size = size
        elif size:
            if not self.chunks:
                self._held = self.size - self.offset
            self.chunks.append(data)
            self._held += size
        return size

    def find(self) -> bool:
        """Find the next frame and move behind it; ``False`` while some of it is missing.

        Raises:
            FrameTooLarge: as soon as the seven bytes before its payload are there (CONN-FRAME-21). Like RabbitMQ, it
                compares the payload's size with ``frame_max`` itself (CONN-FRAME-22).
            WrongFrameEnd: when the frame is complete.
        """
        if self.chunks and not self._join():
            return False
        data, offset = self.data, self.offset
        if self.size - offset < 7:
            return self._hold(7)
        frame_type: int
        channel: int
        payload_size: int
        frame_type, channel, payload_size = _unpack_prefix(data, offset)
        if 0 < self.frame_max < payload_size:
            raise FrameTooLarge(frame_type, payload_size, self.frame_max - OVERHEAD)
        start = offset + 7
        end = start + payload_size
        if end >= self.size:
            return self._hold_frame(frame_type, channel, start, end)
        if data[end] != END:
            raise WrongFrameEnd(frame_type, data[start:end], data[end])
        self.frame_type, self.channel, self.start, self.end = frame_type, channel, start, end
        self.offset = end + 1
        return True

    def next_frame(self) -> Frame | None:
        """Take out the next frame, ``None`` while some of it is missing; raises as :meth:`find`."""
        if not self.find():
            return None
        return self.frame_type, self.channel, self.data[self.start : self.end]

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that ``data`` completes; what is left over waits for the next call. For the errors see
        :meth:`find`; frames before a bad one come first.
        """
        self.add(data)
        return iter(self.next_frame, None)

    def _hold_frame(self, frame_type: int, channel: int, start: int, end: int) -> bool:  # noqa: ARG002
        """Hold what is there of a frame whose payload is to stand from ``start`` to ``end`` of the data."""
        return self._hold(end + 1 - self.offset)

    def _hold(self, wanted: int) -> bool:
        """Look at nothing before there are ``wanted`` bytes."""
        self._wanted = wanted
        self._held = self.size - self.offset
        if self._held:
            self.chunks = [self.data[self.offset :]]
            self.data = b""
            self.offset = self.size = 0
        return False

    def _join(self) -> bool:
        """Put the chunks behind the data, if that makes as many bytes as are wanted."""
        if self._held < self._wanted:
            return False
        self.data = self.rest
        self.chunks = []
        self._held = 0
        self.offset = 0
        self.size = len(self.data)
        self._wanted = 7
        return True


def frame(frame_type: int, channel: int, payload: bytes) -> bytes:
    """The bytes of one frame."""
    return _prefix(frame_type, channel, len(payload)) + payload + _END


def method_frame(channel: int, payload: bytes) -> bytes:
    """The bytes of a method frame; ``payload`` is :meth:`Method.encode`'s."""
    return _prefix(METHOD, channel, len(payload)) + payload + _END


def content_header(body_size: int, properties: bytes, class_id: int = 60) -> bytes:
    """The payload of a content header frame; ``properties`` is flags and values."""
    return _pack_content_header(class_id, 0, body_size) + properties


def content_frames(channel: int, header: bytes, body: bytes, frame_max: int, method: bytes = b"") -> bytes:
    """The bytes of a content header frame, and of as many body frames as ``frame_max`` asks for, behind ``method``.

    ``header`` is the payload of the header frame; ``frame_max`` in bytes, 0 for no limit. An empty body takes no frame.
    """
    size = len(body)
    if 0 < frame_max - OVERHEAD < size:
        return b"".join(content_pieces(channel, header, body, frame_max, method))
    head = method + _prefix(HEADER, channel, len(header)) + header + _END
    return head + _prefix(BODY, channel, size) + body + _END if size else head


def message_frames(
    channel: int, properties: bytes, body: bytes, frame_max: int, method: tuple[bytes, ...] = ()
) -> bytes:
    """:func:`content_frames` of the class basic, behind the pieces of ``method``.

    ``properties`` is flags and values.
    """
    size = len(body)
    if frame_max and size > frame_max - OVERHEAD:
        return content_frames(channel, content_header(size, properties), body, frame_max, b"".join(method))
    header = _pack_header(HEADER, channel, 12 + len(properties), 60, 0, size)
    if not size:
        return b"".join([*method, header, properties, _END])
    return b"".join([*method, header, properties, _pack_body_start(END, BODY, channel, size), body, _END])


def content_pieces(
    channel: int, header: bytes, body: bytes, frame_max: int, method: bytes = b""
) -> list[bytes | memoryview]:
    """:func:`content_frames` in pieces, so that the body, which is not empty, is not copied. ``frame_max`` above 0."""
    limit = frame_max - OVERHEAD
    between = method + _prefix(HEADER, channel, len(header)) + header + _END
    pieces: list[bytes | memoryview] = []
    whole = memoryview(body)
    for start in range(0, len(body), limit):
        chunk = whole[start : start + limit]
        pieces += (between + _prefix(BODY, channel, len(chunk)), chunk)
        between = _END
    pieces.append(_END)
    return pieces

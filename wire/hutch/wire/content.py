"""Putting a message together: the method that carries it, its header frame, its body frames (spec, section 2.3.5.2)."""

from io import SEEK_CUR, BytesIO
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from hutch.wire.codes import ReplyCode
from hutch.wire.declaration import Method
from hutch.wire.frames import BODY, HEADER, content_frames

_CONTENT_HEADER = Struct(">HHQ")

#: Maximum buffer size that is allocated in advance for a body, in bytes. A header may announce a body that never
#: arrives.
_ROOM: Final = 1 << 24

#: Minimum size of a large body, in bytes.
_LARGE: Final = 1 << 18

#: RabbitMQ's text for a header frame or a body frame in the place of a method frame.
NO_METHOD: Final = "expected method frame, got non method frame instead"

#: The largest body that RabbitMQ 4.3 lets a content header announce, in bytes (CONN-FRAME-26).
MAX_BODY_SIZE: Final = 536870912


class Content(NamedTuple):
    """A complete message: its method, its properties as on the wire (flags and values), its body."""

    method: Method
    properties: bytes
    body: bytes


class ContentError(ValueError):
    """A frame that does not continue the content begun.

    ``code`` and ``text`` are the connection.close that RabbitMQ answers with; ``method`` is the method whose content is
    wanted, ``None`` where none is.
    """

    def __init__(self, code: ReplyCode, text: str, method: Method | None) -> None:
        super().__init__(f"{code} - {text}")
        self.code = code
        self.text = text
        self.method = method


class MalformedHeader(ContentError):
    """A header frame too short for class, weight and body size (CONN-FRAME-14). RabbitMQ has no text for it: it refuses
    such frames before it looks for their channel.
    """

    def __init__(self, payload: bytes, method: Method) -> None:
        super().__init__(ReplyCode.FRAME_ERROR, f"content header of {len(payload)} bytes", method)


class ContentAssembler:
    """Collects the content of one channel.

    ``max_body_size`` is the largest body that a header may announce, in bytes. ``None`` is no limit, as in RabbitMQ
    3.10. Then a body that runs past its size is no error, but never complete: the channel goes on waiting
    (CONN-FRAME-12).
    """

    __slots__ = ("_body", "_header", "_max_body_size", "_remaining", "method")

    def __init__(self, max_body_size: int | None = MAX_BODY_SIZE) -> None:
        self._max_body_size = max_body_size
        #: The method whose content is awaited, or ``None``.
        self.method: Method | None = None
        self._header: bytes | None = None
        self._remaining = 0
        self._body: BytesIO | None = None

    @property
    def remaining(self) -> int:
        """How many bytes of the body are missing."""
        return self._remaining

    def begin(self, method: Method) -> None:
        """Await the content of ``method``."""
        self.method = method

    def add(self, frame_type: int, payload: bytes | memoryview) -> Content | None:
        """Take a frame; the complete content, or ``None`` while some of it is missing.

        ``frame_type`` may be any but a method's, unless content is awaited: then a method is an error too.

        Raises:
            ContentError: the frame is not the one awaited (CONN-FRAME-07 to CONN-FRAME-12, CONN-FRAME-26).
            MalformedHeader: the header frame is cut short.
        """
        method = self.method
        if method is None:
            raise ContentError(ReplyCode.UNEXPECTED_FRAME, NO_METHOD, None)
        if self._header is None:
            return self._add_header(method, frame_type, bytes(payload))
        if frame_type != BODY:
            raise ContentError(
                ReplyCode.UNEXPECTED_FRAME, "expected content body, got non content body frame instead", method
            )
        size = len(payload)
        remaining = self._remaining - size
        if remaining > 0:
            if self._body is None:
                self._body = _room_for(self._remaining)
            self._body.write(payload)
            self._remaining = remaining
            return None
        if remaining < 0:
            if self._max_body_size is not None:
                raise ContentError(ReplyCode.FRAME_ERROR, "content body frame exceeds remaining content size", method)
            self._body = None
            self._remaining = remaining
            return None
        if self._body is None:
            body = bytes(payload)
        else:
            self._body.write(payload)
            body = self._body.getvalue()
            self._body = None
        header, self._header, self.method = self._header, None, None
        return Content(method, header[_CONTENT_HEADER.size :], body)

    def frames(self, channel: int, frame_max: int) -> bytes:
        """The frames of what was taken so far, none of them larger than ``frame_max`` bytes (0 for no limit)."""
        if self.method is None:
            return b""
        method = self.method.frame(channel)
        if self._header is None:
            return method
        body = self._body.getvalue()[: self._body.tell()] if self._body is not None else b""
        return content_frames(channel, self._header, body, frame_max, method)

    def room(self, size: int) -> memoryview | None:
        """Where the next ``size`` bytes of a body that is begun belong, or fewer: as many as there is room for now, if
        there is any. Only in a large body; of smaller ones, one read may bring many.

        Who has written to it says how much, with :meth:`advance`, and releases it. What is written beyond that does no
        harm.
        """
        if self._body is None:
            self._body = _room_for(self._remaining)
        start = self._body.tell()
        with self._body.getbuffer() as room:
            return room[start : start + size] if start < len(room) >= _LARGE else None

    def advance(self, size: int) -> None:
        """Take ``size`` bytes that were written to :meth:`room`, not the last ones of the body."""
        if self._body is not None:
            self._body.seek(size, SEEK_CUR)
            self._remaining -= size

    def _add_header(self, method: Method, frame_type: int, payload: bytes) -> Content | None:
        wanted = f"expected content header for class {method.CLASS_ID}, got "
        if frame_type != HEADER:
            raise ContentError(ReplyCode.UNEXPECTED_FRAME, wanted + "non content header frame instead", method)
        try:
            class_id, weight, size = _CONTENT_HEADER.unpack_from(payload)
        except StructError:
            raise MalformedHeader(payload, method) from None
        if weight:
            raise ContentError(ReplyCode.UNEXPECTED_FRAME, wanted + "non content header frame instead", method)
        if class_id != method.CLASS_ID:
            raise ContentError(ReplyCode.UNEXPECTED_FRAME, wanted + f"one for class {class_id} instead", method)
        if self._max_body_size is not None and size > self._max_body_size:
            text = f"content body size {size} exceeds maximum allowed size {self._max_body_size}"
            raise ContentError(ReplyCode.FRAME_ERROR, text, method)
        if not size:
            self.method = None
            return Content(method, payload[_CONTENT_HEADER.size :], b"")
        self._header = payload
        self._remaining = size
        return None


def _room_for(size: int) -> BytesIO:
    """A buffer that has its size from the start, as far as :data:`_ROOM` goes.

    To take its value needs no copy. To join a list of parts would need twice the memory. The operating system clears
    every new page, which took four times as long as the rest of receiving a large body.
    """
    body = BytesIO()
    body.seek(min(size, _ROOM) - 1)
    body.write(b"\0")
    body.seek(0)
    return body

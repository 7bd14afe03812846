"""From bytes to calls: the way of everything that a broker sends.

Methods are cut out of what was received one at a time (:mod:`hutch.wire.cutter`), so that an application gets no more
than it asked for.
"""

from collections.abc import Callable, Container, Mapping
from functools import lru_cache
from struct import Struct
from typing import Any, Final, Protocol

from hutch.client.exceptions import AMQPError, ConnectionError, error_for_code  # noqa: A004
from hutch.client.message import ReceivedMessage
from hutch.wire.codes import ReplyCode
from hutch.wire.content import Content, ContentError
from hutch.wire.cutter import Commands, Cutter, Envelope, Role
from hutch.wire.declaration import Method, decode_method
from hutch.wire.frames import BODY, END, HEADER, HEARTBEAT, METHOD, OVERHEAD, FrameError, FrameTooLarge, WrongFrameEnd
from hutch.wire.methods import METHODS, BasicDeliver, ConnectionClose, ConnectionStart

_PREFIX: Final = Struct(">BHI")
_method_start: Final = Struct(">BHII").unpack_from  # a method's frame up to and with its ids
_CONNECTION: Final = 10  # a class id
#: For bodies.
ANY_SIZE: Final = (1 << 64) - 1
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


class ToPeers(Commands):
    """Hands what a broker sends to ``peers``, by channel number.

    Attributes:
        channels: the channel numbers in use.
        only_connection: whether what comes for channels is dropped.
    """

    def __init__(self, peers: Mapping[int, Any]) -> None:
        self._peers: Mapping[int, Peer] = peers
        self.channels: Final[Container[int]] = peers
        self.only_connection = False

    def drop_channels(self) -> None:
        """From now on hand on what comes for the connection itself, and drop the rest, as after connection.close."""
        self.only_connection = True
        self._peers = {number: _DEAF if number else peer for number, peer in self._peers.items()}

    def deliver(self, channel: int, delivery_tag: int, envelope: Envelope, properties: bytes, body: bytes) -> None:
        """Hand on a message for a consumer."""
        if not channel or channel not in self._peers:
            super().deliver(channel, delivery_tag, envelope, properties, body)
            return
        peer = self._peers[channel]
        if not peer.is_closing:
            peer.receive_delivery(ReceivedMessage(peer, body, properties, delivery_tag, envelope), envelope[0])

    def ack(self, channel: int, delivery_tag: int, multiple: bool) -> None:
        """Hand on a confirm."""
        if not channel or channel not in self._peers:
            super().ack(channel, delivery_tag, multiple)
            return
        peer = self._peers[channel]
        if not peer.is_closing:
            peer.receive_ack(delivery_tag, multiple)

    def command(self, channel: int, method: Method, content: Content | None) -> None:
        """Hand on any other method.

        Raises:
            Violation: the channel is not open, or the method is the connection's.
            Exception: what the peer raises.
        """
        if channel not in self._peers:
            raise Violation.of(ReplyCode.CHANNEL_ERROR, f"{method.NAME} on channel {channel}, not open", type(method))
        if channel and method.CLASS_ID == _CONNECTION:
            raise Violation.of(ReplyCode.COMMAND_INVALID, f"{method.NAME} on channel {channel}", type(method))
        self._peers[channel].receive_method(method, content)


class FromServer(Role):
    """What a client takes from a server, and its words for what it does not."""

    def method(self, channel: int, payload: bytes) -> Method:  # noqa: ARG002  (it is the same on all)
        """The method in a frame; raises as :func:`server_method`."""
        try:
            return _DECODERS[payload[:4]](payload)
        except (KeyError, ValueError):
            return server_method(payload)

    def stray(self, frame_type: int, channel: int, payload: bytes) -> None:  # noqa: ARG002
        """Pass over a heartbeat.

        Raises:
            Violation: it is something else.
        """
        if frame_type != HEARTBEAT:
            code = ReplyCode.UNEXPECTED_FRAME if frame_type in {HEADER, BODY} else ReplyCode.FRAME_ERROR
            raise Violation.of(code, f"a frame of type {frame_type} where a method was expected")

    def misplaced(self, frame_type: int, payload: bytes, error: ContentError) -> Violation:  # noqa: ARG002
        """The violation that the frame is."""
        return Violation.of(error.code, error.text, type(error.method) if error.method else None)


FROM_SERVER: Final = FromServer()


def violation_of(error: FrameError, frame_max: int) -> Violation:
    """What bytes that are no frame violate; ``frame_max`` was allowed."""
    text = str(error)
    if isinstance(error, FrameTooLarge):
        text = f"a frame of {error.size} bytes where {frame_max} are allowed"
    elif isinstance(error, WrongFrameEnd):
        text = f"a frame that ends with octet {error.end}, not {END}"
    return Violation.of(ReplyCode.FRAME_ERROR, text)


def reader_of(peers: ToPeers) -> Cutter:
    """What takes received bytes, and hands what they hold to ``peers``."""
    return Cutter(FROM_SERVER, peers, peers.channels, BasicDeliver, ANY_SIZE, takes_parts=True)


def holds_close(reader: Cutter) -> bool:
    """Whether the peer's connection.close is among what has not been handed on."""
    data = reader.rest
    offset = reader.missing + 1 if reader.missing else 0
    while offset + 11 <= len(data):
        frame_type, number, size, method_id = _method_start(data, offset)
        if frame_type == METHOD and not number and method_id == ConnectionClose.ID:
            return True
        offset += size + OVERHEAD
    return False


def unread(reader: Cutter) -> bytes:
    """All bytes that have not been handed on, those of messages that came in part from their beginning.

    Another reader may go on with them.
    """
    begun = [content.frames(number, reader.frame_max) for number, content in reader.contents.items()]
    prefix = _PREFIX.pack(reader.frame_type, reader.channel, reader.missing) if reader.missing else b""
    return b"".join(begun) + prefix + reader.rest


@lru_cache(maxsize=4)
def _decode_start(payload: bytes) -> ConnectionStart:
    """A server's first word is long, and the same for every connection to it. The caller copies what may be changed."""
    return ConnectionStart.decode(payload)


#: By ids, what decodes the methods that a server may send.
_DECODERS: Final[dict[bytes, Callable[[bytes], Method]]] = {
    **{kind.ID.to_bytes(4): kind.decode for kind in METHODS.values() if kind.SERVER},
    ConnectionStart.ID.to_bytes(4): _decode_start,
}


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

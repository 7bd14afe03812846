"""What clients send most, whole publishes and acknowledgements, done straight from the bytes."""

from abc import ABC, abstractmethod
from struct import Struct
from typing import Final

from hutch.fakebroker.decoding import decode
from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.commands.publish import publish
from hutch.fakebroker.engine.errors import HardError, SoftError, internal_error
from hutch.fakebroker.engine.node import Node
from hutch.wire.content import ContentAssembler, whole_content
from hutch.wire.frames import END, METHOD
from hutch.wire.methods import BasicAck, BasicPublish, Method
from hutch.wire.states import ChannelState

#: The frame of a basic.ack, and the size of its payload.
ACK: Final = Struct(">BHIIQBB")
_unpack_ack: Final = ACK.unpack_from
ACK_SIZE: Final = 13
ACK_ID: Final = BasicAck.ID.to_bytes(4)
PUBLISH_ID: Final = BasicPublish.ID.to_bytes(4)
_CACHED_PUBLISHES: Final = 256


class Slot:
    """A channel number in use: its state, its content under way and, while it is open, the engine's channel.

    ``has_failed`` is set once an error of the channel is to close the connection; it takes nothing more then.
    """

    __slots__ = ("channel", "content", "has_failed", "state")

    def __init__(self, max_body_size: int | None) -> None:
        self.state = ChannelState.CLOSED
        self.content = ContentAssembler(max_body_size)
        self.channel: Channel | None = None
        self.has_failed = False


class Shortcut(ABC):
    """The part of a session that knows them. Base of :class:`~hutch.fakebroker.session.Session`."""

    def __init__(self, node: Node) -> None:
        self.node: Final = node
        self._slots: Final[dict[int, Slot]] = {}
        self._publishes: Final[dict[bytes, BasicPublish]] = {}
        self._frame_max = 131072

    @abstractmethod
    def fail_by(self, channel: int, error: HardError) -> None:
        """Close the connection because of a channel's error."""

    @abstractmethod
    def _refuse(self, slot: Slot, number: int, error: SoftError, cause: type[Method]) -> None:
        """Close a channel because of an error."""

    def _shortcut(self, data: bytes) -> bytes:
        """Do the whole publishes and acknowledgements that ``data`` begins with, which most of what clients send are;
        what is left.
        """
        offset = 0
        node = self.node
        slots = self._slots  # none before the connection runs, and none after
        while slots:
            ids = data[offset + 7 : offset + 11]
            behind = 0
            if ids == PUBLISH_ID:
                behind = self._publish_at(data, offset)
            elif ids == ACK_ID:
                behind = self._ack_at(data, offset)
            if not behind:
                break
            offset = behind
            if node.pending:
                node.settle()
        return data[offset:] if offset else data

    def _publish_at(self, data: bytes, offset: int) -> int:
        """Publish the message that begins there; the offset behind it, 0 where it is not whole or out of place."""
        whole = whole_content(data, offset, self._frame_max)
        if whole is None:
            return 0
        number, payload, header, body, behind = whole
        slot = self._slots.get(number)
        if slot is None or slot.channel is None or slot.content.method is not None:
            return 0
        try:
            method = self._publishes.get(payload) or self._decode_publish(payload, number)
        except HardError:
            return 0
        try:
            publish(slot.channel, method, header, body)
        except SoftError as error:
            self._refuse(slot, number, error, BasicPublish)
        except HardError as fatal:
            self._blame(fatal, BasicPublish)
            self.fail_by(number, fatal)
        return behind

    def _ack_at(self, data: bytes, offset: int) -> int:
        """Acknowledge as is told there; what is returned is as of :meth:`_publish_at`."""
        behind = offset + ACK.size
        if behind > len(data):
            return 0
        kind: int
        number: int
        size: int
        tag: int
        multiple: int
        end: int
        kind, number, size, _, tag, multiple, end = _unpack_ack(data, offset)
        slot = self._slots.get(number)
        if slot is None or slot.channel is None or slot.content.method is not None:
            return 0
        if kind != METHOD or size != ACK_SIZE or end != END:
            return 0
        try:
            slot.channel.ack(tag, multiple & 1 != 0)
        except SoftError as error:
            self._refuse(slot, number, error, BasicAck)
        return behind

    @staticmethod
    def _blame(error: HardError, method: type[Method]) -> None:
        """Have the method named that an error came of, unless another is, or none."""
        if error.blame and error.method is None:
            error.method = method

    def _decode_publish(self, payload: bytes, number: int) -> BasicPublish:
        """basic.publish; publishers repeat themselves, so that the payloads seen last are kept decoded."""
        method = self._publishes.get(payload)
        if method is None:
            decoded = decode(payload, number)
            if not isinstance(decoded, BasicPublish):
                raise internal_error()
            if len(self._publishes) >= _CACHED_PUBLISHES:
                self._publishes.clear()
            method = self._publishes[payload] = decoded
        return method

"""What a client sends, pulled from its bytes one command at a time.

The reader stops where nothing is left, where a slice is over so that others have a turn, and where an alarm blocks the
client; it goes on from there later.
"""

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.decoding import Unanswerable, check_frame, decode, frame_error
from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.commands.publish import publish
from hutch.fakebroker.engine.errors import HardError, SoftError, internal_error
from hutch.wire.content import ContentAssembler, ContentError, whole_content
from hutch.wire.frames import BODY, END, HEADER, METHOD, FrameError, FrameParser
from hutch.wire.methods import BasicAck, BasicPublish, Method
from hutch.wire.states import ChannelState, ConnectionState

if TYPE_CHECKING:
    from hutch.fakebroker.handshake import Handshake
    from hutch.fakebroker.session import Session

#: How long a slice is, seconds of the clock that the session was given. It ends behind the command that passes it.
SLICE: Final = 0.002

#: The frame of a basic.ack, and the size of its payload.
ACK: Final = Struct(">BHIIQBB")
_unpack_ack: Final = ACK.unpack_from
ACK_SIZE: Final = 13
ACK_ID: Final = BasicAck.ID.to_bytes(4)
PUBLISH_ID: Final = BasicPublish.ID.to_bytes(4)
_ACK_ARGUMENTS: Final = Struct(">QB")
_CACHED_PUBLISHES: Final = 256
# Asked for with each frame, and an enumeration is slow to give it.
_RUNNING: Final = ConnectionState.RUNNING
_OPEN: Final = ChannelState.OPEN


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


class Reader:
    """The reading half of a session.

    ``more`` is set when a slice ended before all that is at hand was done: call :meth:`proceed`. ``blocked`` is set
    while an alarm keeps the client from being read (CONN-BLOCK-04). ``ended`` is to be set when the client ends the
    stream while it is not read, or not yet. ``now`` is a clock in seconds by which slices end; with ``None`` they do
    not.
    """

    def __init__(self, session: "Session", handshake: "Handshake", now: Callable[[], float] | None) -> None:
        self.more = False
        self.blocked = False
        self.ended = False
        self.parser: Final = FrameParser(session.node.profile.frame_min)  # until another limit is agreed on
        self._session: Final = session
        self._handshake: Final = handshake
        self._node: Final = session.node
        self._slots: Final = session.slots
        self._alarms: Final = session.node.alarms.raised
        self._now: Final = now
        #: When the slice is over; 0 before that is known.
        self._limit = 0.0
        self._publishes: Final[dict[bytes, BasicPublish]] = {}
        self._on_clear: Final[Callable[[], None]] = self._unblock

    def proceed(self) -> None:
        """Do what is at hand until it is used up, the slice is over, or an alarm blocks the client."""
        parser, handshake, slots = self.parser, self._handshake, self._slots
        pending, alarms, has_slices = self._node.pending, self._alarms, self._now is not None
        self._limit = 0.0
        self.more = False
        self._session.after_input.reading = True
        if (connection := self._session.connection) is not None:
            connection.reading = True
        try:
            while not handshake.deaf:
                # Whole publishes and acknowledgements, which most of what clients send are, are not cut into frames.
                # There are no slots before the connection runs, and none after.
                ids = parser.data[parser.offset + 7 : parser.offset + 11] if slots and not alarms else b""
                goes_on = (
                    (ids == PUBLISH_ID and self._publish_whole())
                    or (ids == ACK_ID and self._ack_whole())
                    or self._take_frame()
                )
                if pending:
                    self._node.run_due()
                if not goes_on or (parser.offset == parser.size and not parser.chunks):
                    break
                if has_slices and self._is_over():
                    self.more = True
                    return
        except FrameError as broken:
            self._session.fail(frame_error(broken))
            handshake.fall_silent()
        after_input = self._session.after_input
        after_input.reading = False
        if (connection := self._session.connection) is not None:
            connection.reading = False
            connection.reads += 1
        if after_input.due or (connection is not None and connection.waiting):
            after_input.run()
        if self.ended and not self.blocked:
            self._session.lost()

    def _is_over(self) -> bool:
        """Whether others are to have their turn; the first command of a slice counts for nothing."""
        if self._now is None:
            return False
        now = self._now()
        if not self._limit:
            self._limit = now + SLICE
        return now >= self._limit

    def stop(self) -> None:
        """Forget alarms and what is at hand."""
        if self.blocked:
            self._node.alarms.forget(self._on_clear)
        self.blocked = self.more = False

    # alarms

    def _block(self) -> None:
        """Read nothing until no alarm is raised any more."""
        self.blocked = True
        alarms = self._node.alarms
        alarms.wait(self._on_clear)
        self._record("blocked")
        self._handshake.block(alarms.reason)

    def _unblock(self) -> None:
        self._record("unblocked")
        self._handshake.block(None)
        self.resume()

    def resume(self) -> None:
        """Read again, first what has piled up (CONN-BLOCK-06), if an alarm has blocked the client."""
        if self.blocked:
            self._node.alarms.forget(self._on_clear)
            self.blocked = False
            self.proceed()
            self._node.run_due()
            self._session.wake()

    def _record(self, kind: str) -> None:
        connection = self._session.connection
        vhost = connection.vhost.name if connection else ""
        self._node.history.record(kind, vhost, detail=self._session.peer.name)

    # whole commands

    # Both look at what stands where the next frame begins, and take it if all of it is at hand and in its place. While
    # a channel's content is under way, whatever comes on that channel belongs to it, or is an error.

    def _publish_whole(self) -> bool:
        whole = whole_content(self.parser.data, self.parser.offset, self.parser.frame_max)
        if whole is None:
            return False
        number, payload, header, body, behind = whole
        slot = self._slots.get(number)
        if slot is None or slot.channel is None or slot.state is not _OPEN or slot.content.method is not None:
            return False
        try:
            method = self._publishes.get(payload) or self._decode_publish(payload, number)
        except HardError:
            return False
        self.parser.offset = behind
        try:
            publish(slot.channel, method, header, body)
        except SoftError as error:
            self._session.refuse(slot, number, error, BasicPublish)
        except HardError as fatal:
            self._session.blame(fatal, BasicPublish)
            self._session.fail_by(number, fatal)
        return True

    def _ack_whole(self) -> bool:
        parser = self.parser
        behind = parser.offset + ACK.size
        if behind > parser.size:
            return False
        kind: int
        number: int
        size: int
        tag: int
        multiple: int
        end: int
        kind, number, size, _, tag, multiple, end = _unpack_ack(parser.data, parser.offset)
        slot = self._slots.get(number)
        if slot is None or slot.channel is None or slot.state is not _OPEN or slot.content.method is not None:
            return False
        if kind != METHOD or size != ACK_SIZE or end != END:
            return False
        parser.offset = behind
        try:
            slot.channel.ack(tag, multiple & 1 != 0)
        except SoftError as error:
            self._session.refuse(slot, number, error, BasicAck)
        return True

    def _decode_publish(self, payload: bytes, number: int) -> BasicPublish:
        """basic.publish; publishers repeat themselves, so that the payloads seen last are kept decoded."""
        method = decode(payload, number)
        if not isinstance(method, BasicPublish):
            raise internal_error()
        if len(self._publishes) >= _CACHED_PUBLISHES:
            self._publishes.clear()
        self._publishes[payload] = method
        return method

    # frames

    def _take_frame(self) -> bool:
        """Do what the next frame asks for; ``False`` while some of it is missing, and if it is the last for now: an
        alarm blocks who publishes.
        """
        frame = self.parser.next()
        if frame is None:
            return False
        frame_type, number, payload = frame
        handshake = self._handshake
        try:
            if number and handshake.state is _RUNNING:
                self._channel_frame(frame_type, number, payload)
            else:
                handshake.frame(frame_type, number, payload)
        except HardError as error:
            self._session.fail(error)
        except Unanswerable as reason:
            self._session.note(str(reason))
            self._session.drop()
        if self._alarms and frame_type in {HEADER, BODY} and handshake.state is _RUNNING:
            self._node.run_due()
            self._block()
            return False
        return True

    def _channel_frame(self, frame_type: int, number: int, payload: bytes) -> None:
        slot = self._slots.get(number)
        if slot is None or frame_type != METHOD or slot.content.method is not None:
            check_frame(frame_type, payload)
            slot = slot or self._session.new_slot(number)
            if frame_type != METHOD or slot.content.method is not None:
                self._content_frame(number, slot, frame_type, payload)
                return
        method: Method
        if payload[:4] == PUBLISH_ID:
            method = self._publishes.get(payload) or self._decode_publish(payload, number)
        elif payload[:4] == ACK_ID and len(payload) == ACK_SIZE:
            tag, multiple = _ACK_ARGUMENTS.unpack_from(payload, 4)
            method = BasicAck(tag, multiple & 1 != 0)
        else:
            method = decode(payload, number)
        if method.CONTENT:
            slot.content.begin(method)
        else:
            self._session.command(number, slot, method, None)

    def _content_frame(self, number: int, slot: Slot, frame_type: int, payload: bytes) -> None:
        try:
            complete = slot.content.add(frame_type, payload)
        except ContentError as error:
            method_type = type(error.method) if error.method else None
            raise HardError(error.code, error.text, method=method_type, blame=method_type is not None) from None
        if complete is not None:
            self._session.command(number, slot, complete.method, complete)

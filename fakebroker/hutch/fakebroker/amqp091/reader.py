"""What a client sends, pulled from its bytes one command at a time.

The reader stops when nothing is left, when a slice is over so that others have a turn, or when an alarm blocks the
client. It goes on from there later.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.decoding import Unanswerable, check_frame, decode, frame_error
from hutch.fakebroker.amqp091.errors import AMQPError, in_amqp
from hutch.fakebroker.engine.errors import BrokerError
from hutch.wire.codes import ReplyCode
from hutch.wire.content import NO_METHOD, ContentError
from hutch.wire.cutter import COMMAND, NOTHING, Commands, Cutter, Role
from hutch.wire.frames import BODY, HEADER, METHOD, FrameError
from hutch.wire.methods import BasicPublish, Method
from hutch.wire.states import ConnectionState

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.handshake import Handshake
    from hutch.fakebroker.amqp091.session import Session

#: Length of a slice, in seconds of the session's clock. A slice ends after the command that exceeds it.
SLICE: Final = 0.002

_RUNNING: Final = ConnectionState.RUNNING  # a constant, because each frame reads it and enum attributes are slow


class Reader(Role):
    """The reading half of a session.

    ``more`` is set when a slice ended before all that is at hand was done: call :meth:`proceed`. ``blocked`` is set
    while an alarm keeps the client from being read (CONN-BLOCK-04). Set ``ended`` when the client ends the stream
    while it is not read, or not yet. ``now`` is a clock in seconds by which slices end; with ``None`` they do not.
    """

    def __init__(
        self, session: "Session", handshake: "Handshake", commands: Commands, now: Callable[[], float] | None
    ) -> None:
        self.more = False
        self.blocked = False
        self.ended = False
        self._session: Final = session
        self._handshake: Final = handshake
        self._node: Final = session.node
        self._pending: Final = session.node.pending
        self._after_input: Final = session.after_input
        self._slots: Final = session.slots
        profile = session.profile
        #: The profile's frame limit applies until a limit is negotiated.
        self.cutter: Final = Cutter(
            self, commands, session.slots, BasicPublish, profile.max_body_size, profile.frame_min
        )
        self._alarms: Final = session.node.alarms.raised
        self._now: Final = now
        #: When the slice ends; 0 until that is known.
        self._limit = 0.0
        self._on_clear: Final[Callable[[], None]] = self._unblock

    def proceed(self) -> None:
        """Do what is at hand until it is used up, the slice is over, or an alarm blocks the client."""
        cutter, after_input = self.cutter, self._after_input
        self._limit = 0.0
        self.more = False
        after_input.reading = True
        while not self._handshake.deaf:
            try:
                taken = self._take_under_alarm() if self._alarms else cutter.next()
            except (AMQPError, BrokerError, FrameError, Unanswerable) as error:
                taken = self._refuse(error)
            if self._pending:
                self._node.run_due()
            if taken == NOTHING or (cutter.offset == cutter.size and not cutter.chunks):
                break
            if self._is_over():
                self.more = True
                return
        after_input.reading = False
        after_input.reads += 1
        if after_input.due or after_input.waiting:
            after_input.run()
        if self.ended and not self.blocked:
            self._session.lost()

    def _refuse(self, error: Exception) -> int:
        """Answer an error in what was read. Returns as :meth:`Cutter.next`: ``NOTHING`` if the reader should stop."""
        session = self._session
        if isinstance(error, FrameError):
            session.fail(frame_error(error))
            self._handshake.fall_silent()
            return NOTHING
        if isinstance(error, AMQPError | BrokerError):
            session.fail(in_amqp(error))
        else:
            session.note(str(error))
            session.drop()
        return COMMAND

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
        self._node.journal.blocked(*self._session.whose)
        self._handshake.block(alarms.reason)

    def _take_under_alarm(self) -> int:
        """Take a frame; returns as :meth:`Cutter.next`. The first header or body of a publish blocks the client: the
        rest stays where it is.
        """
        cutter = self.cutter
        taken = cutter.next(by_frames=True)
        if taken == NOTHING:
            return NOTHING
        if cutter.frame_type in {HEADER, BODY} and self._handshake.state is _RUNNING:
            self._node.run_due()
            self._block()
            return NOTHING
        return taken

    def _unblock(self) -> None:
        self._node.journal.unblocked(*self._session.whose)
        self._handshake.block(None)
        self.resume()

    def resume(self) -> None:
        """Read again, first what has piled up (CONN-BLOCK-06), if an alarm has blocked the client."""
        if self.blocked:
            self._node.alarms.forget(self._on_clear)
            self.blocked = False
            self.proceed()
            self._node.run_due()
            if (wake := self._session.wake) is not None:
                wake()

    # frames

    def method(self, channel: int, payload: bytes) -> Method | None:
        """Have the handshake deal with what is on channel 0, or comes while the connection is not open. Any frame on
        another channel begins to use that number.
        """
        if not channel or self._handshake.state is not _RUNNING:
            self._handshake.frame(METHOD, channel, payload)
            return None
        if channel not in self._slots:
            check_frame(METHOD, payload)
            self._session.new_slot(channel)
        return decode(payload, channel)

    def stray(self, frame_type: int, channel: int, payload: bytes) -> None:
        """Pass over a heartbeat, and refuse all else, in RabbitMQ's order."""
        if not channel or self._handshake.state is not _RUNNING:
            self._handshake.frame(frame_type, channel, payload)
            return
        check_frame(frame_type, payload)
        if channel not in self._slots:
            self._session.new_slot(channel)
        raise AMQPError(ReplyCode.UNEXPECTED_FRAME, NO_METHOD, blame=False)

    def misplaced(self, frame_type: int, payload: bytes, error: ContentError) -> Exception:
        """What RabbitMQ says of the frame, or else of what it stands in."""
        check_frame(frame_type, payload)
        return AMQPError(error.code, error.text, method=type(error.method) if error.method else None)

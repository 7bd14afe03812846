"""Where faults meet what a client sends and what it is sent: one gate for each session."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.amqp091.gate import Gate
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.faults.bytes import FROM_CLIENT, TO_CLIENT, ByteFault
from hutch.fakebroker.faults.lanes import Lane
from hutch.wire.content import Content
from hutch.wire.cutter import Commands
from hutch.wire.declaration import Method
from hutch.wire.frames import HEARTBEAT_FRAME, METHOD
from hutch.wire.methods import METHODS, BasicDeliver, ChannelClose, ConnectionStartOk

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.session import Session
    from hutch.fakebroker.faults.fault import Fault
    from hutch.fakebroker.faults.faults import Faults

_IDS: Final = {kind.__name__: kind.ID.to_bytes(4) for kind in METHODS.values()}
_CLOSE: Final = ChannelClose.ID.to_bytes(4)
_DELIVER: Final = BasicDeliver.ID.to_bytes(4)


class Command(NamedTuple):
    """What a client sends on a channel, or is delivered. ``frames`` are those of a delivery."""

    number: int
    method: Method
    content: Content | None = None
    frames: bytes | None = None


class _Answer(NamedTuple):
    """An answer to hold back, for so many seconds, or with ``None`` for ever. ``ids`` tell which it may be."""

    ids: frozenset[bytes]
    seconds: float | None
    fault: "Fault"


def answers(method: type[Method]) -> frozenset[bytes]:
    """The ids of the methods that answer a method."""
    names = ("ConnectionTune",) if method is ConnectionStartOk else method.REPLIES
    return frozenset(_IDS[name] for name in names)


class _ChannelCommands(Commands):
    """Stands between the cutter and the channels."""

    def __init__(self, gate: "SessionGate") -> None:
        self._gate: Final = gate

    def command(self, channel: int, method: Method, content: Content | None) -> None:
        """Take a method."""
        self._gate.command(Command(channel, method, content))


class SessionGate(Gate):
    """Between one session and its client."""

    def __init__(self, session: "Session", faults: "Faults") -> None:
        self.session: Final = session
        self._faults: Final = faults
        self._inner: Final = session.reader.cutter.commands
        #: Whether the session's output goes out.
        self._is_open = False
        #: By channel, a command that is held back, and the commands that its client sent after it.
        self._held: Final[dict[int, deque[Command]]] = {}
        #: By channel, the answers to hold back, and the output that waits behind a late answer.
        self._answers: Final[dict[int, deque[_Answer]]] = {}
        self._late: Final[dict[int, list[bytes]]] = {}
        #: The faults for bytes that saw the connection, and whether each of them acts on it.
        self.met: Final[dict[ByteFault, bool]] = {}
        self._incoming: Final = Lane(self, faults, FROM_CLIENT, self._feed)
        self._outgoing: Final = Lane(self, faults, TO_CLIENT, self._wake)
        self._is_feeding = False
        #: Whether a fault ends the connection, and whether the client has.
        self._is_ending = False
        self._is_lost = False
        session.reader.cutter.commands = _ChannelCommands(self)
        session.gate = self

    @property
    def is_idle(self) -> bool:
        """Whether it keeps nothing."""
        lanes_are_empty = self._incoming.is_empty and self._outgoing.is_empty
        return lanes_are_empty and not self._held and not self._answers and not self._late

    def remove(self) -> None:
        """Be there no more."""
        self.session.reader.cutter.commands = self._inner
        self.session.gate = None

    def channel(self, number: int) -> Channel | None:
        """An open channel."""
        slot = self.session.slots.get(number)
        return None if slot is None else slot.channel

    def whose(self, number: int) -> tuple[Origin, str]:
        """Who makes happen what happens on a channel, and the virtual host."""
        origin, vhost = self.session.whose
        channel = self.channel(number)
        return (origin if channel is None else channel.actor.origin), vhost

    # commands in

    def command(self, command: Command) -> None:
        """Have a command of a channel meet the faults."""
        if command.number in self._held:
            self._held[command.number].append(command)
        elif self.channel(command.number) is None or not self._faults.meet(self, command):
            self.pass_on(command)

    def connection_method(self, method: Method) -> None:
        """Have a method of channel 0 meet the faults."""
        if not self._faults.meet(self, Command(0, method)):
            self.session.handshake.carry_out(method)

    def pass_on(self, command: Command) -> None:
        """Have a command carried out, or a delivery sent."""
        if command.frames is not None:
            self.write(command.frames)
        elif not command.number:
            self.session.handshake.carry_out(command.method)
        elif command.number in self.session.slots:
            self._inner.take(command.number, command.method, command.content)

    def hold_back(self, command: Command) -> Callable[[], None]:
        """Hold a command, and what comes behind it on its channel, until the function is called that this returns."""
        number = command.number
        if command.frames is not None:
            return self.delay_output(number, command.frames)
        held = self._held[number] = deque([command])

        def let_go() -> None:
            if self._held.get(number) is not held:
                return
            del self._held[number]
            with self.reading():
                self.pass_on(held.popleft())
                for later in held:
                    self.command(later)
            self._faults.tidy_up()

        return let_go

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is done inside is done as if it had been read just now."""
        session, after_input = self.session, self.session.after_input
        if after_input.reading or session.dropped:
            yield
            return
        after_input.reading = True
        yield
        session.node.run_due()
        after_input.reading = False
        after_input.reads += 1
        after_input.run()

    # what becomes of a command

    def refuse(self, command: Command, error: AMQPError) -> None:
        """Close the channel, or the connection, because of a command."""
        number = command.number
        if not number:
            raise error
        if command.frames is not None:  # channels and connections do not close while a queue delivers
            self.session.node.pending.append(lambda: self._refuse(number, error, type(command.method)))
        else:
            self._refuse(number, error, type(command.method))

    def _refuse(self, number: int, error: AMQPError, method: type[Method]) -> None:
        if self.channel(number) is not None:
            self.session.answer(self.session.slots[number], number, error, method)

    def end(self, ends_by: str, reason: str) -> None:
        """End the connection without a word: by ``"RST"``, and what was not sent never is, or by ``"FIN"``."""
        session = self.session
        if session.dropped:
            return
        self._is_ending = True
        session.ends_by = ends_by
        session.note(reason)
        if ends_by == "RST":
            session.lost()
        else:
            session.drop()

    def expect(self, command: Command, seconds: float | None, fault: "Fault") -> None:
        """Keep the answer to a command, for so many seconds, or for ever."""
        answer = _Answer(answers(type(command.method)), seconds, fault)
        self._answers.setdefault(command.number, deque()).append(answer)

    # commands out

    def write(self, data: bytes) -> None:
        """Send what no fault is to see any more."""
        if self._sends(data):
            return
        self._is_open, was_open = True, self._is_open
        self.session.write(data)
        self._is_open = was_open

    def _sends(self, data: bytes) -> bool:
        """Whether faults for bytes take what the session sends."""
        outgoing = self._outgoing
        if not self._faults.of_bytes and outgoing.is_empty:
            return False
        outgoing.send(data)
        if outgoing.has_arrived and self.session.wake is not None:
            self.session.wake()
        return True

    def keeps(self, data: bytes) -> bool:
        """Whether the client is not sent a command now, or ever."""
        if data == HEARTBEAT_FRAME:
            return self._is_muted or self._sends(data)
        if self._is_open:
            return False
        return (data[0] == METHOD and self._keeps(data)) or self._sends(data)

    @property
    def _is_muted(self) -> bool:
        return any(fault.mutes and fault.is_on(self) for fault in self._faults.of_bytes)

    def _keeps(self, data: bytes) -> bool:
        number, ids = int.from_bytes(data[1:3]), data[7:11]
        if number in self._late:
            self._late[number].append(data)
            return True
        if number in self._answers and self._keeps_answer(number, ids, data):
            return True
        if ids != _DELIVER:
            return False
        size = int.from_bytes(data[3:7])
        return self._faults.meet(self, Command(number, BasicDeliver.decode(data[7 : 7 + size]), None, data))

    def _keeps_answer(self, number: int, ids: bytes, data: bytes) -> bool:
        expected = self._answers[number]
        is_it = ids in expected[0].ids
        if is_it:
            answer = expected.popleft()
            if answer.seconds is not None:
                answer.fault.holds(self.session.timers, self.delay_output(number, data), answer.seconds)
        if not expected or ids == _CLOSE:
            del self._answers[number]
        return is_it

    def delay_output(self, number: int, data: bytes) -> Callable[[], None]:
        """Keep something, and what is said behind it on a channel, until the function is called that this returns."""
        late = self._late[number] = [data]

        def let_go() -> None:
            if self._late.get(number) is late:
                del self._late[number]
                for each in late:
                    self.write(each)
                self._faults.tidy_up()

        return let_go

    # bytes

    def arriving(self, data: bytes) -> bytes:
        """The bytes to take now, of those that came from the client."""
        if self._is_feeding or not (self._faults.of_bytes or not self._incoming.is_empty):
            return data
        self._incoming.send(data)
        if self._incoming.cut is None:
            return self._incoming.take()
        self._feed()
        return b""

    def _feed(self) -> None:
        """Bytes that were on their way from the client have arrived."""
        session, data = self.session, self._incoming.take()
        if data:
            self._is_feeding = True
            session.receive(data)
            self._is_feeding = False
        while session.reader.more:
            session.proceed()
        if (cut := self._incoming.cut) is not None:
            self.end(cut.ends_by, f"a fault was asked for: {cut.text}")
        elif self._is_lost and not self._incoming.hides_end:
            session.lost()

    def leaving(self, data: bytes) -> bytes:
        """The bytes to send now, where the session has ``data`` to send."""
        outgoing = self._outgoing
        if outgoing.has_arrived:
            data += outgoing.take()
            self._faults.tidy_up()
        if (cut := outgoing.cut) is not None and not self.session.dropped:
            self.end("FIN" if cut.ends_by == "FIN" else "RST", f"a fault was asked for: {cut.text}")
        return data

    def _wake(self) -> None:
        """Bytes that were on their way to the client have arrived, or the end of the stream may."""
        session = self.session
        if session.has_ended and not self.hides_end:
            session.dropped = True
        if session.wake is not None:
            session.wake()

    @property
    def has_output(self) -> bool:
        """Whether something has arrived that was on its way to the client."""
        return self._outgoing.has_arrived and not self.session.dropped

    @property
    def hides_end(self) -> bool:
        """Whether the client does not notice that the broker ends the connection, or not yet."""
        return not self._is_ending and bool(self._faults.of_bytes) and self._outgoing.hides_end

    def keeps_loss(self) -> bool:
        """Whether the broker does not notice, or not yet, that the client has just gone."""
        self._is_lost = True
        return not self._is_ending and bool(self._faults.of_bytes) and self._incoming.hides_end

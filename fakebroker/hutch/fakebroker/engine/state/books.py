"""What those that have state use to dump and load it: moments, timers and messages, each once."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Final

from hutch.fakebroker.engine.clock import Clock, Timer, Timers
from hutch.fakebroker.engine.message import Message, SeenMessage
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.state.values import Contents, MessageState, TimerState
from hutch.fakebroker.engine.targets import Publisher
from hutch.wire.interfaces import mypyc_attr


class Dumping:
    """Makes data of what a node has. ``sinks`` are its sinks, in the order in which they would be lost."""

    def __init__(self, clock: Clock, sinks: Iterable[object]) -> None:
        self._epoch: Final = clock.epoch()
        self._order: Final = {sink: place for place, sink in enumerate(sinks)}
        self._messages: Final[dict[Message, MessageState]] = {}

    def place(self, sink: object) -> int:
        """Where a sink stands among all."""
        return self._order[sink]

    def moment(self, at: float) -> int:
        """A moment on the clock's ``monotonic``, seconds, as nanoseconds since 1970."""
        return self._epoch + round(at * 1e9)

    def moment_or_none(self, at: float | None) -> int | None:
        """The same where there may be none."""
        return None if at is None else self.moment(at)

    def timer(self, timer: Timer | None) -> TimerState | None:
        """A timer, if there is one."""
        return None if timer is None else self.set_timer(timer)

    def set_timer(self, timer: Timer) -> TimerState:
        """A timer."""
        return TimerState(self.moment(timer.at), timer.order)

    def message(self, message: Message) -> MessageState:
        """A message."""
        state = self._messages.get(message)
        if state is None:
            state = self._messages[message] = MessageState(
                message.exchange,
                message.routing_key,
                message.envelope,
                message.body,
                message.bcc,
                message.deaths,
                message.failures,
                message.properties_size,
                message.written,
                message.number,
                message.seen if isinstance(message, SeenMessage) else None,
            )
        return state


class Loading:
    """Makes of data what a node has. ``shift`` is nanoseconds that all moments are put off by.

    ``publishers`` are those that queues know: channels by their origins, and what forwards dead letters by virtual host
    and queue. ``gone`` are the virtual hosts and names of queues that were exclusive to connections that are gone.
    """

    def __init__(self, clock: Clock, timers: Timers, shift: int) -> None:
        self._epoch: Final = clock.epoch()
        self._timers: Final = timers
        self._shift: Final = shift
        self._messages: Final[dict[int, Message]] = {}
        self.publishers: Final[dict[Origin | tuple[str, str], Publisher]] = {}
        self.gone: Final[set[tuple[str, str]]] = set()

    def shifted(self, moment: int) -> int:
        """A moment of the state as the node's clock tells it, nanoseconds since 1970."""
        return moment + self._shift

    def moment(self, moment: int) -> float:
        """The same on the clock's ``monotonic``, seconds."""
        return (moment + self._shift - self._epoch) / 1e9

    def moment_or_none(self, moment: int | None) -> float | None:
        """The same where there may be none."""
        return None if moment is None else self.moment(moment)

    def timer(self, state: TimerState | None, action: Callable[[], None], *, background: bool = False) -> Timer | None:
        """Set a timer again, if there was one."""
        return None if state is None else self.set_timer(state, action, background=background)

    def set_timer(self, state: TimerState, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Set a timer again."""
        return self._timers.set_again(self.moment(state.at), state.order, action, background=background)

    def message(self, state: MessageState) -> Message:
        """A message: the same one for the same state."""
        message = self._messages.get(id(state))
        if message is None:
            address = state.exchange, state.routing_key
            if state.seen is None:
                message = Message(*address, state.envelope, state.body)
            else:
                message = SeenMessage(*address, state.envelope, state.body, state.seen)
            message.bcc = state.bcc
            message.deaths = state.deaths
            message.failures = state.failures
            message.properties_size = state.properties_size
            message.written = state.written
            message.number = state.number
            self._messages[id(state)] = message
        return message


@mypyc_attr(allow_interpreted_subclasses=True)
class Part:
    """What a plugin keeps beside queues and exchanges. It is in :attr:`Node.parts
    <hutch.fakebroker.engine.node.Node.parts>`.
    """

    @abstractmethod
    def dump(self, dumping: Dumping) -> Contents:
        """What there is."""

    @abstractmethod
    def load(self, contents: Contents, loading: Loading) -> None:
        """Have this alone."""

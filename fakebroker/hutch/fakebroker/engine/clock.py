"""Time: what the engine asks of a clock, and the one sorted list of what is to happen later."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from sortedcontainers import SortedList

from hutch.wire.interfaces import mypyc_attr

#: Seconds that a timer may be early on a clock that moves by itself: freezegun adds up microseconds in floats.
_RESOLUTION: Final = 1e-6


@mypyc_attr(allow_interpreted_subclasses=True)
class Clock:
    """What the engine asks the time. Both are in seconds."""

    @abstractmethod
    def monotonic(self) -> float:
        """A clock that never goes back, for intervals."""

    @abstractmethod
    def time(self) -> float:
        """Seconds since 1970, for timestamps."""

    def epoch(self) -> int:
        """When :meth:`monotonic` was 0, in nanoseconds since 1970. By default to the microsecond: seconds since 1970 do
        not tell more.
        """
        return round((self.time() - self.monotonic()) * 1e6) * 1000


def moment(seconds: float) -> float:
    """A moment, rounded to the nanosecond, so that every way of adding up gives the same number."""
    return round(seconds, 9)


class SteppedClock(Clock):
    """The clock of one node, on top of a clock that moves by itself or by freezegun.

    It says what that clock says. While the node does what fell due, it says the moment when that fell due: one leap
    over several timers has each of them done at its own moment.
    """

    def __init__(self, source: Clock) -> None:
        self.source: Final = source
        #: The moment of the timer that runs now; ``None`` if no timer does.
        self.moment: float | None = None

    def monotonic(self) -> float:
        """Seconds on the source's ``monotonic``."""
        at = self.moment
        return self.source.monotonic() if at is None else at

    def time(self) -> float:
        """Seconds since 1970; to the millisecond while something that fell due is done."""
        at = self.moment
        if at is None:
            return self.source.time()
        return round(self.source.time() - (self.source.monotonic() - at), 3)

    def epoch(self) -> int:
        """That of the source."""
        return self.source.epoch()


class Timer:
    """Something to be done at ``at`` (monotonic seconds), once. ``background`` is housekeeping (heartbeats, handshake
    limits): nobody who waits without a deadline waits for that.
    """

    __slots__ = ("action", "at", "background", "order")

    def __init__(self, at: float, order: int, action: Callable[[], None], background: bool) -> None:
        self.at = at
        self.order = order
        self.action = action
        self.background = background


class Timers:
    """All timers of one broker, soonest first; timers of the same moment in the order they were set."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        #: The time, in seconds on the clock's ``monotonic``.
        self.now: Final = clock.monotonic
        #: The clock itself, and how early a timer may be.
        self._running = clock
        self._tolerance = 0.0
        if isinstance(clock, SteppedClock):
            self._running = clock.source
            self._tolerance = _RESOLUTION
        self._order = 0
        #: By moment and order, so that timers themselves are never compared.
        self._waiting: SortedList[tuple[float, int, Timer]] = SortedList()
        #: The moment of the soonest timer; infinity when there is none.
        self.soonest = math.inf

    def set(self, delay: float, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Have ``action`` called ``delay`` seconds from now."""
        return self.set_at(moment(self._clock.monotonic() + delay), action, background=background)

    def set_for_client(self, delay: float, action: Callable[[], None]) -> Timer:
        """Have ``action`` called ``delay`` seconds from now, for what a client has to do in time, such as heartbeats.

        This is a background timer. The delay counts from the time of the clock itself, also while something that fell
        due earlier is done. So after a leap a client is not given up for heartbeats that it had no time to send.
        """
        return self.set_at(moment(self._running.monotonic() + delay), action, background=True)

    def set_at(self, at: float, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Have ``action`` called at a moment on the clock's ``monotonic``."""
        if self._running is not self._clock:
            at = max(at, self._clock.monotonic())  # it cannot be done at a moment before this one
        self._order += 1
        timer = Timer(at, self._order, action, background)
        self._waiting.add((at, timer.order, timer))
        self.soonest = min(self.soonest, at - self._tolerance)
        return timer

    @property
    def order(self) -> int:
        """How many timers there were."""
        return self._order

    def go_on_from(self, order: int) -> None:
        """Set later timers behind those that were set by ``order``."""
        self._order = max(self._order, order)

    def set_again(self, at: float, order: int, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Set a timer as it was, be its moment in the past, and in the place that it had among others."""
        timer = Timer(at, order, action, background)
        self._waiting.add((at, timer.order, timer))
        self.soonest = min(self.soonest, at - self._tolerance)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; one that has run already is no error."""
        self._waiting.discard((timer.at, timer.order, timer))
        self._look()

    def next_at(self, *, background: bool = True) -> float | None:
        """When the soonest timer is due; without ``background``, the soonest that is not housekeeping."""
        timers = (at for at, _, timer in self._waiting if background or not timer.background)
        soonest: float | None = next(timers, None)
        return soonest

    def seconds_to_next(self) -> float | None:
        """How long until the soonest timer is due, 0 when it is overdue; ``None`` when there is none."""
        return None if self.soonest == math.inf else max(self.soonest - self._running.monotonic(), 0.0)

    @property
    def is_due(self) -> bool:
        """Whether the time of the soonest timer has come."""
        return self.soonest <= self.now()

    def pop_due(self) -> Timer | None:
        """Take out the soonest timer if its time has come."""
        if self.soonest == math.inf or self.soonest > self.now():
            return None
        timer: Timer = self._waiting.pop(0)[2]
        self._look()
        return timer

    def _look(self) -> None:
        self.soonest = self._waiting[0][0] - self._tolerance if self._waiting else math.inf

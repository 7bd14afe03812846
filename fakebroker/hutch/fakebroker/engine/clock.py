"""Time: the clocks a broker can run on, and the one sorted list of what is to happen later."""

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NoReturn, Protocol

from sortedcontainers import SortedKeyList


class Clock(Protocol):
    """What the engine asks the time. Both are in seconds."""

    def monotonic(self) -> float:
        """A clock that never goes back, for intervals."""

    def time(self) -> float:
        """Seconds since 1970, for timestamps."""


def moment(seconds: float) -> float:
    """A moment to the nanosecond: however it was summed up, it is to be the same number."""
    return round(seconds, 9)


class SystemClock:
    """The machine's clock, read late: whatever patches ``time.monotonic`` and ``time.time`` (freezegun) moves it.

    When time is frozen, or runs again, another function stands behind ``time.monotonic``, which counts from elsewhere.
    That is no leap to this clock, nor is a step back: it goes on from where it was, as soon as it is read. What passes
    between the change and that is lost to it.
    """

    def __init__(self) -> None:
        self._source = time.monotonic
        self._shift = 0.0
        self._latest = 0.0

    def monotonic(self) -> float:
        """``time.monotonic()``, without the leaps between one that is patched and one that is not."""
        source = time.monotonic
        now = source() + self._shift
        if source is not self._source or now < self._latest:
            self._source = source
            self._shift += self._latest - now
            return self._latest
        self._latest = now
        return now

    def time(self) -> float:
        """``time.time()``."""
        return time.time()

    def advance(self, *_: object, **__: object) -> NoReturn:
        """Refuse: this clock is the machine's.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "the system clock cannot be advanced: have the broker run on a ManualClock, "
            "or move the machine's time with a library such as freezegun"
        )


class Follower(Protocol):
    """What goes along with a manual clock: a broker."""

    def catch_up(self) -> None:
        """Do what clients have asked for by now: that still belongs to the time before."""

    def next_timer_at(self) -> float | None:
        """When something falls due next, on the clock's ``monotonic``; ``None`` for never."""

    def settle(self) -> None:
        """Do what has fallen due."""


class ManualClock:
    """A clock that moves when it is told to. ``start`` is its first ``time()``, seconds since 1970."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start: Final = start
        self._elapsed = 0.0
        self._followers: list[Follower] = []

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def time(self) -> float:
        """Seconds since 1970."""
        return self._start + self._elapsed

    def advance(
        self, seconds: float | timedelta = 0.0, *, milliseconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0
    ) -> None:
        """Move on by the sum of what is given. Brokers on this clock do what falls due on the way, each thing at its
        moment, before this returns.

        Raises:
            ValueError: the sum is negative, or not finite.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        step = seconds + milliseconds / 1000 + minutes * 60 + hours * 3600
        if step < 0:
            raise ValueError(f"a clock does not go back ({step} s)")
        if not math.isfinite(step):
            raise ValueError(f"a clock takes finite steps, not {step} s")
        for follower in list(self._followers):
            follower.catch_up()
        end = moment(self._elapsed + step)
        while (upcoming := self._next_timer_at()) is not None and upcoming <= end:
            self.jump(upcoming)
            self._settle()
        self.jump(end)
        self._settle()

    def _next_timer_at(self) -> float | None:
        moments = (follower.next_timer_at() for follower in self._followers)
        return min((moment for moment in moments if moment is not None), default=None)

    def _settle(self) -> None:
        for follower in list(self._followers):
            follower.settle()

    def jump(self, at: float) -> None:
        """Move on to ``at`` on :meth:`monotonic`, if that is later than now; followers are not told."""
        self._elapsed = max(self._elapsed, at)

    def subscribe(self, follower: Follower) -> None:
        """Have ``follower`` come along with each :meth:`advance`."""
        self._followers.append(follower)

    def unsubscribe(self, follower: Follower) -> None:
        """Undo :meth:`subscribe`; a follower that is not there is no error."""
        if follower in self._followers:
            self._followers.remove(follower)


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
        self._clock = clock
        self._order = 0
        self._waiting: SortedKeyList[Timer] = SortedKeyList(key=lambda timer: (timer.at, timer.order))
        #: When the soonest timer is due; infinity when there is none.
        self.soonest = math.inf

    def set(self, delay: float, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Have ``action`` called ``delay`` seconds from now."""
        return self.set_at(moment(self._clock.monotonic() + delay), action, background=background)

    def set_at(self, at: float, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Have ``action`` called at a moment on the clock's ``monotonic``."""
        self._order += 1
        timer = Timer(at, self._order, action, background)
        self._waiting.add(timer)
        self.soonest = min(self.soonest, at)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; one that has run already is no error."""
        self._waiting.discard(timer)
        self._look()

    def next_at(self, *, background: bool = True) -> float | None:
        """When the soonest timer is due; without ``background``, the soonest that is not housekeeping."""
        timers = (timer.at for timer in self._waiting if background or not timer.background)
        soonest: float | None = next(timers, None)
        return soonest

    def seconds_to_next(self) -> float | None:
        """How long until the soonest timer is due, 0 when it is overdue; ``None`` when there is none."""
        return None if self.soonest == math.inf else max(self.soonest - self._clock.monotonic(), 0.0)

    def pop_due(self) -> Timer | None:
        """Take out the soonest timer if its time has come."""
        if self.soonest == math.inf or self.soonest > self._clock.monotonic():
            return None
        timer: Timer = self._waiting.pop(0)
        self._look()
        return timer

    def _look(self) -> None:
        self.soonest = self._waiting[0].at if self._waiting else math.inf

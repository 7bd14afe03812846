"""Time: the clocks a broker can run on, and the one sorted list of what is to happen later."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

from sortedcontainers import SortedKeyList


class Clock(Protocol):
    """What the engine asks the time. Both are in seconds."""

    def monotonic(self) -> float:
        """A clock that never goes back, for intervals."""

    def time(self) -> float:
        """Seconds since 1970, for timestamps."""


class SystemClock:
    """The machine's clock, read late: whatever patches ``time.monotonic`` and ``time.time`` (freezegun) moves it."""

    def monotonic(self) -> float:
        """``time.monotonic()``."""
        return time.monotonic()

    def time(self) -> float:
        """``time.time()``."""
        return time.time()


class ManualClock:
    """A clock that moves when it is told to. ``start`` is its first ``time()``, seconds since 1970."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start: Final = start
        self._elapsed = 0.0
        self._listeners: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def time(self) -> float:
        """Seconds since 1970."""
        return self._start + self._elapsed

    def advance(
        self, seconds: float | timedelta = 0.0, *, milliseconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0
    ) -> None:
        """Move on by the sum of what is given; brokers on this clock do what has fallen due before this returns.

        Raises:
            ValueError: the sum is negative.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        step = seconds + milliseconds / 1000 + minutes * 60 + hours * 3600
        if step < 0:
            raise ValueError(f"a clock does not go back ({step} s)")
        self.jump(self._elapsed + step)
        for listener in list(self._listeners):
            listener()

    def jump(self, moment: float) -> None:
        """Move on to ``moment`` on :meth:`monotonic`, if that is later than now; listeners are not told."""
        self._elapsed = max(self._elapsed, moment)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called after each :meth:`advance`."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Undo :meth:`subscribe`; a listener that is not there is no error."""
        if listener in self._listeners:
            self._listeners.remove(listener)


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

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def set(self, delay: float, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Have ``action`` called ``delay`` seconds from now."""
        return self.set_at(self._clock.monotonic() + delay, action, background=background)

    def set_at(self, at: float, action: Callable[[], None], *, background: bool = False) -> Timer:
        """Have ``action`` called at a moment on the clock's ``monotonic``."""
        self._order += 1
        timer = Timer(at, self._order, action, background)
        self._waiting.add(timer)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; one that has run already is no error."""
        self._waiting.discard(timer)

    def next_at(self, *, background: bool = True) -> float | None:
        """When the soonest timer is due; without ``background``, the soonest that is not housekeeping."""
        timers = (timer.at for timer in self._waiting if background or not timer.background)
        soonest: float | None = next(timers, None)
        return soonest

    def pop_due(self) -> Timer | None:
        """Take out the soonest timer if its time has come."""
        waiting = self._waiting
        if waiting and waiting[0].at <= self._clock.monotonic():
            timer: Timer = waiting.pop(0)
            return timer
        return None

"""The clocks that a broker can run on: the machine's, and one that a test moves."""

import math
import threading
import time
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar, Final, NoReturn

from hutch.fakebroker.engine.clock import Clock, moment
from hutch.wire.interfaces import mypyc_attr

_PATIENCE: Final = 10.0  # seconds
_SECOND: Final = 1_000_000_000  # nanoseconds


class SystemClock(Clock):
    """The machine's clock, read late: what patches ``time.monotonic`` and ``time.time`` (freezegun) moves it.

    When time is frozen, or runs again, another function stands behind ``time.monotonic``, which counts from elsewhere.
    That is no leap to this clock, nor is a step back: it goes on from where it was, as soon as it is read. What passes
    between the change and that is lost to it.
    """

    def __init__(self) -> None:
        self._source = time.monotonic
        self._shift = 0.0
        self._latest = 0.0
        self._shifting: Final = threading.Lock()

    def monotonic(self) -> float:
        """``time.monotonic()``, without the leaps between one that is patched and one that is not."""
        # The order matters: what another thread read later must not look like a step back.
        latest = self._latest
        source = time.monotonic
        now = source() + self._shift
        if source is not self._source or now < latest:
            return self._go_on()
        self._latest = now
        return now

    def _go_on(self) -> float:
        """Count from where this clock was."""
        with self._shifting:
            source = time.monotonic
            now = source() + self._shift
            if source is not self._source or now < self._latest:
                self._source = source
                self._shift += self._latest - now
            return self._latest

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


def _span(seconds: float | timedelta, milliseconds: float, minutes: float, hours: float) -> float:
    """The sum in seconds.

    Raises:
        ValueError: it is negative, or not finite.
    """
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    step = seconds + milliseconds / 1000 + minutes * 60 + hours * 3600
    if step < 0:
        raise ValueError(f"a clock does not go back ({step} s)")
    if not math.isfinite(step):
        raise ValueError(f"a clock takes finite steps, not {step} s")
    return step


@mypyc_attr(allow_interpreted_subclasses=True)
class Follower:
    """A broker on a manual clock: what the clock needs of its hub. Each method takes the broker's lock for itself."""

    @abstractmethod
    def drain_clients(self) -> None:
        """Do what clients have asked for by now: that still belongs to the time before."""

    @abstractmethod
    def next_timer_at(self, *, background: bool = True) -> float | None:
        """When something falls due next, in seconds on the clock's ``monotonic``; ``None`` for never. Without
        ``background``, housekeeping does not count.
        """

    @abstractmethod
    def run_due(self) -> None:
        """Do what has fallen due."""

    @property
    @abstractmethod
    def threads(self) -> set[threading.Thread]:
        """The threads of its listeners."""

    @abstractmethod
    def is_left_to_this_thread(self, strangers: Collection[threading.Thread]) -> bool:
        """Whether only the calling thread can send something to it. ``strangers`` are the program's other threads."""


class ManualClock(Clock):
    """A clock that moves when it is told to. ``start`` is its first ``time()``, seconds since 1970.

    Several brokers may run on it. The clock moves from timer to timer over all of them, so each thing happens at its
    own moment. One thread at a time moves it, and holds no broker's lock meanwhile.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start: Final = start
        #: Nanoseconds by which the time of day was moved.
        self._put_off = 0
        self._elapsed = 0.0
        self._time = start
        self._followers: list[Follower] = []
        self._moving: Final = threading.RLock()

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def time(self) -> float:
        """Seconds since 1970."""
        return self._time

    def epoch(self) -> int:
        """When the clock was made, in nanoseconds since 1970, to the nanosecond; see :meth:`set_time`."""
        return round(self._start * 1e9) + self._put_off

    def set_time(self, nanoseconds: int) -> None:
        """Have :meth:`time` go on from that many nanoseconds since 1970, which may be earlier. :meth:`monotonic` goes
        on from where it is, so nothing falls due.

        Raises:
            TimeoutError: as :meth:`advance`.
        """
        with self._moving_alone():
            self._put_off += nanoseconds - self.epoch() - round(self._elapsed * 1e9)
            self._time = self._seconds()

    def _seconds(self) -> float:
        """The time in seconds since 1970, from whole nanoseconds. A sum of floats of that size would lose some of them,
        more or fewer by the way that it was summed up.
        """
        now = self.epoch() + round(self._elapsed * 1e9)
        return now // _SECOND + now % _SECOND / 1e9

    def advance(
        self, seconds: float | timedelta = 0.0, *, milliseconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0
    ) -> None:
        """Move on by the sum of what is given. Brokers on this clock do what falls due on the way, each thing at its
        moment, before this returns.

        Raises:
            ValueError: the sum is negative, or not finite.
            TimeoutError: another thread moves the clock, and gets nowhere for ten seconds.
        """
        step = _span(seconds, milliseconds, minutes, hours)
        for follower in list(self._followers):
            follower.drain_clients()
        with self._moving_alone():
            end = moment(self._elapsed + step)
            while (upcoming := self.next_timer_at()) is not None and upcoming <= end:
                self._move(upcoming)
            self._move(end)

    def step(self, since: float, limit: float | None) -> bool:
        """Move on to the next timer of the brokers on this clock, and have them do what falls due.

        Args:
            since: what :meth:`monotonic` said when the caller last looked. If another thread has moved the clock
                since then, this does nothing.
            limit: the last moment to move to, in seconds on :meth:`monotonic`; ``None`` for no limit. Without a limit,
                the clock does not move if only housekeeping is left.

        Returns:
            ``False`` if there is no timer up to the limit. The clock stands at the limit then, if there is one.

        Raises:
            TimeoutError: as :meth:`advance`.
        """
        with self._moving_alone():
            if self._elapsed != since:
                return True
            upcoming = self.next_timer_at()
            if limit is None:
                if self.next_timer_at(background=False) is None:
                    return False
            elif upcoming is None or upcoming > limit:
                self._move(limit)
                return False
            if upcoming is not None:
                self._move(upcoming)
            return True

    @contextmanager
    def _moving_alone(self) -> Iterator[None]:
        before = self._elapsed
        while not self._moving.acquire(timeout=_PATIENCE):
            if self._elapsed == before:
                raise TimeoutError(f"another thread moves this clock, and got nowhere for {_PATIENCE} s")
            before = self._elapsed
        try:
            yield
        finally:
            self._moving.release()

    def next_timer_at(self, *, background: bool = True) -> float | None:
        """The moment of the next timer on any broker of this clock, in seconds on :meth:`monotonic`; ``None`` if there
        is none. Without ``background``, housekeeping such as heartbeats does not count.
        """
        moments = [follower.next_timer_at(background=background) for follower in list(self._followers)]
        return min((moment for moment in moments if moment is not None), default=None)

    def _move(self, at: float) -> None:
        self._elapsed = max(self._elapsed, at)
        self._time = self._seconds()
        for follower in list(self._followers):
            follower.run_due()

    def is_left_to_this_thread(self) -> bool:
        """Whether only the calling thread can send something to a broker on this clock. It may let time pass then."""
        followers = list(self._followers)
        strangers = {*threading.enumerate()} - {threading.current_thread()}
        strangers.difference_update(*(follower.threads for follower in followers))
        return all(follower.is_left_to_this_thread(strangers) for follower in followers)

    def subscribe(self, follower: Follower) -> None:
        """Have ``follower`` come along with each move."""
        self._followers.append(follower)

    def unsubscribe(self, follower: Follower) -> None:
        """Undo :meth:`subscribe`; a follower that is not there is no error."""
        if follower in self._followers:
            self._followers.remove(follower)


class FrozenClock(ManualClock):
    """A clock that moves by :meth:`advance` alone. A client in this process that waits does not move it."""

    def is_left_to_this_thread(self) -> bool:
        """Never: nobody lets time pass by waiting."""
        return False


class AutoClock(ManualClock):
    """A clock that moves to what is due next, once a test waits and nothing has happened in the broker for a while:
    :meth:`FakeBroker.wait_until <hutch.pytest_plugin.FakeBroker.wait_until>` moves it.

    ``idle`` is that while, in real seconds.
    """

    idle: ClassVar[float] = 0.05


class TickingClock(Clock):
    """The machine's clock, which a test may advance as well."""

    def __init__(self) -> None:
        self._machine: Final = SystemClock()
        self._ahead = 0.0
        self._followers: Final[list[Follower]] = []

    def monotonic(self) -> float:
        """What the machine's clock says, and what this one was advanced by."""
        return self._machine.monotonic() + self._ahead

    def time(self) -> float:
        """Seconds since 1970, and what this clock was advanced by."""
        return self._machine.time() + self._ahead

    def advance(
        self, seconds: float | timedelta = 0.0, *, milliseconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0
    ) -> None:
        """Leap ahead by the sum of what is given. Each broker on this clock does what falls due on the way, each thing
        at its moment, before this returns.

        Raises:
            ValueError: the sum is negative, or not finite.
        """
        step = _span(seconds, milliseconds, minutes, hours)
        for follower in list(self._followers):
            follower.drain_clients()
        self._ahead += step
        for follower in list(self._followers):
            follower.run_due()

    def subscribe(self, follower: Follower) -> None:
        """Have ``follower`` come along with each leap."""
        self._followers.append(follower)

    def unsubscribe(self, follower: Follower) -> None:
        """Undo :meth:`subscribe`; a follower that is not there is no error."""
        if follower in self._followers:
            self._followers.remove(follower)

"""Several threads on one connection: which of them reads."""

import threading
from typing import Final, Protocol

from hutch.client.watched import WatchedSocket

_MAKING: Final = threading.Lock()


class Awaited(Protocol):
    """Something to wait for."""

    #: Why it will not come any more, or ``None``.
    error: Exception | None
    #: Whether its thread leaves the reading to another one, so that an error is told to it alone.
    followed: bool

    @property
    def ready(self) -> bool:
        """Whether it has come."""

    def __str__(self) -> str:
        """Its name, for the text of a timeout."""
        ...


def is_settled(awaited: Awaited) -> bool:
    """Whether it has come, or will not any more."""
    return awaited.ready or awaited.error is not None


class HandedOn:
    """Awaits that the holder of the read lock hands on a method, from now on."""

    error: Exception | None = None
    followed = False

    def __init__(self, lock: "ReadLock") -> None:
        self._lock = lock
        self._before = lock.handed_on

    @property
    def ready(self) -> bool:
        """Whether it has."""
        return self._lock.handed_on != self._before

    def __str__(self) -> str:
        return "a method"


class ReadLock:
    """The lock of the thread that reads.

    The thread that has it hands on all that comes, also the answers for other threads. A thread that waits and finds
    it taken *follows*: it sleeps until its answer is there or the lock is free.
    """

    __slots__ = ("_depth", "_lock", "_news", "draining", "followers", "handed_on", "watched")

    def __init__(self) -> None:
        self._lock: Final = threading.RLock()
        #: How often its holder has taken it.
        self._depth = 0
        self._news: threading.Condition | None = None
        #: Whether the holder drains events; else it reads for an answer of its own, and will not have it for long.
        self.draining = False
        #: How many threads follow, and a count of what was handed on while some did.
        self.followers = 0
        self.handed_on = 0
        #: What to tell, once somebody has read, whether something is left to hand on; for event loops.
        self.watched: WatchedSocket | None = None

    def take(self, draining: bool = False) -> bool:
        """Take it, if it is free or this thread's already. ``False`` if another thread has it.

        ``draining`` is of the holder, and counts when it takes the lock first.
        """
        if not self._lock.acquire(False):
            return False
        if not self._depth:
            self.draining = draining
        self._depth += 1
        return True

    def take_first(self) -> bool:
        """Take it if it is free. ``False`` if a thread has it, be it this one."""
        if not self._lock.acquire(False):
            return False
        if self._depth:
            self._lock.release()
            return False
        self._depth = 1
        return True

    def give_back(self) -> None:
        """Undo one :meth:`take`. With the first one the lock is free for others."""
        self._depth -= 1
        if self._depth:
            self._lock.release()
            return
        self.draining = False
        self._lock.release()
        if self.followers:
            self.announce()
        if self.watched is not None:
            self.watched.update()

    def announce(self) -> None:
        """Have those who follow look whether their answer is there."""
        news = self._condition()
        with news:
            news.notify_all()

    def follow(self, awaited: Awaited, seconds: float | None) -> bool:
        """Sleep until the answer is there or will not come, or the lock is free; ``False`` after ``seconds``."""
        news = self._condition()
        with news:
            awaited.followed = True
            self.followers += 1
            try:
                return news.wait_for(lambda: is_settled(awaited) or not self._depth, seconds)
            finally:
                self.followers -= 1

    def _condition(self) -> threading.Condition:
        """What those who follow sleep on; made for the first one, for most connections have one thread."""
        with _MAKING:
            if self._news is None:
                self._news = threading.Condition()
            return self._news

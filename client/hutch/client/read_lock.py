"""Several threads on one connection: which of them reads."""

import threading
from threading import get_ident
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

    Whoever has it hands on all that comes, the answers of other threads among it. A thread that waits and finds it
    taken *follows*: it sleeps until its answer is there or the lock is free.
    """

    __slots__ = ("_free", "_news", "draining", "followers", "handed_on", "holder", "watched")

    def __init__(self) -> None:
        #: Holds one thing while the lock is free. To take that is atomic, and quicker than a lock.
        self._free = [True]
        self._news: threading.Condition | None = None
        #: The thread that has it, as :func:`threading.get_ident` names it.
        self.holder: int | None = None
        #: Whether that one drains events; else it reads for an answer of its own, and will not have it for long.
        self.draining = False
        #: How many threads follow, and a count of what was handed on while some did.
        self.followers = 0
        self.handed_on = 0
        #: What to tell, once somebody has read, whether something is left to hand on; for event loops.
        self.watched: WatchedSocket | None = None

    def take(self) -> bool:
        """Take it, if it is free."""
        try:
            self._free.pop()
        except IndexError:
            return False
        self.holder = get_ident()
        return True

    def give_back(self) -> None:
        """Leave it to whoever waits for it."""
        self.holder = None
        self.draining = False
        self._free.append(True)
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
                return news.wait_for(lambda: is_settled(awaited) or bool(self._free), seconds)
            finally:
                self.followers -= 1

    def _condition(self) -> threading.Condition:
        """What those who follow sleep on; made for the first one, for most connections have one thread."""
        with _MAKING:
            if self._news is None:
                self._news = threading.Condition()
            return self._news

"""One thread at a time has a turn at a broker's node."""

import math
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.realtime import sleep

_NEVER: Final = math.inf


class Turn:
    """A turn: ``with turn as node``. All use of the node happens in a turn.

    What is due runs at the beginning of a turn and at its end. Then every thread that waits for a change wakes up. A
    turn that a thread begins inside its own turn is a part of that one. An error inside ends a turn like any other.

    Inside a turn nothing waits, nothing calls a user's function, and no clock moves.
    """

    def __init__(self, node: Node) -> None:
        self.node: Final = node
        self._timers: Final = node.timers
        self._pending: Final = node.pending
        #: Replaced in a forked child.
        self.lock = threading.RLock()
        #: Grows with each turn, because each may change something.
        self.changes = 0
        #: Called at the end of each turn, by its thread.
        self.followers: Final[list[Callable[[], None]]] = []
        self._depth = 0
        self._sleepers = 0
        self._change: Final = threading.Condition(self.lock)
        # A lock alone is not fair: a thread that releases it and acquires it again at once gets it before threads that
        # wait. So threads that wait stand in line. The first in line holds this lock while it waits for the other.
        self._line: Final = threading.Lock()

    def begin(self) -> Node:
        """Begin a turn. ``with`` does that, and ends the turn; what every message passes spares itself the detour."""
        if not self.lock.acquire(False):
            self.wait_for_lock()
        self._depth += 1
        if self._timers.soonest < _NEVER and self._depth == 1 and self._timers.soonest <= self._timers.now():
            try:
                self.node.run_due()
            except BaseException:
                self._depth = 0
                self.lock.release()
                raise
        return self.node

    def end(self) -> None:
        """End the turn that :meth:`begin` began, be there an error or not."""
        if self._depth > 1:
            self._depth -= 1
            self.lock.release()
            return
        try:
            if self._pending or (self._timers.soonest < _NEVER and self._timers.soonest <= self._timers.now()):
                self.node.run_due()
        finally:
            self._depth = 0
            self.changes += 1
            if self._sleepers:
                self._change.notify_all()
            if self.followers:
                for follow in self.followers:
                    follow()
            self.lock.release()

    def __enter__(self) -> Node:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def check_none(self) -> None:
        """Look whether this thread may wait, or move a clock.

        Raises:
            RuntimeError: it has a turn, and what it waits for may need one.
        """
        if self._depth and self._is_mine():
            raise RuntimeError("a turn of the broker neither waits nor moves a clock")

    def _is_mine(self) -> bool:
        try:
            self._change.notify(0)  # only raises an error if this thread does not have the lock
        except RuntimeError:
            return False
        return True

    # the lock, for hub.py

    def wait_for_lock(self) -> None:
        """Acquire the lock, which another thread has, behind those who wait for it by now."""
        with self._line:
            self.lock.acquire()

    def let_others_in(self) -> None:
        """Return once those who wait for the lock by now have got it, or at once inside a turn."""
        if not (self._depth and self._is_mine()):
            sleep(0)  # compiled code does not let other threads run by itself, not even before it waits
            with self._line:
                pass

    @property
    def is_awaited(self) -> bool:
        """Whether another thread waits for the lock."""
        return self._line.locked()

    def sleep(self, since: int, seconds: float | None) -> None:
        """Sleep, with the lock held, until :attr:`changes` is past ``since`` or real ``seconds`` have passed."""
        if self.changes == since:
            self._sleepers += 1
            try:
                self._change.wait(seconds)
            finally:
                self._sleepers -= 1

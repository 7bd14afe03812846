"""Who waits for a broker's lock stands in line, for a lock alone is not fair: a thread that gives it up and takes it
again at once gets it before any that waits.
"""

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.session import Session


class Line:
    """The line before a broker's lock. Within ``with line:`` the lock is held."""

    def __init__(self, broker: "Broker") -> None:
        self._broker: Final = broker  # whose lock is another one in a forked child
        # Held by the first in line while it waits for the lock.
        self._head: Final = threading.Lock()

    def __enter__(self) -> None:
        if not self._broker.lock.acquire(False):
            self.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broker.lock.release()

    def join(self) -> None:
        """Take the lock behind those who wait for it by now; at once if this thread has it already."""
        if self._broker.notifier.holds_lock():
            self._broker.lock.acquire()
        else:
            with self._head:
                self._broker.lock.acquire()

    @property
    def is_there(self) -> bool:
        """Whether somebody waits for the lock."""
        return self._head.locked()

    def finish(self, sessions: Iterable["Session"]) -> None:
        """Do all that these clients have sent, in slices, between which others have their turn."""
        while unfinished := [session for session in sessions if session.reader.more]:
            for session in unfinished:
                self.join()
                try:
                    session.proceed()
                    self._broker.notifier.notify()
                finally:
                    self._broker.lock.release()

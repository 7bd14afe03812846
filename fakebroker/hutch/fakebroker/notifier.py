"""How those who wait for something to happen in a broker hear of it."""

import threading
from collections.abc import Callable
from typing import Final


class Notifier:
    """Wakes who waits each time that something in a broker may have changed.

    ``lock`` is the broker's, and held by who calls. ``then`` is called behind each time, if there is one.
    """

    def __init__(self, lock: threading.RLock, then: Callable[[], object] | None = None) -> None:
        #: How many times there were.
        self.count = 0
        self._condition: Final = threading.Condition(lock)
        self._waiting = 0
        self._then: Final = then

    def notify(self) -> None:
        """Tell that something may have changed."""
        self.count += 1
        if self._waiting:
            self._condition.notify_all()
        if self._then is not None:
            self._then()

    def holds_lock(self) -> bool:
        """Whether this thread has the lock."""
        try:
            self._condition.notify(0)  # says so, and does nothing else
        except RuntimeError:
            return False
        return True

    def wait(self, seconds: float | None) -> None:
        """Wait for that, or until real ``seconds`` have passed."""
        self._waiting += 1
        try:
            self._condition.wait(seconds)
        finally:
            self._waiting -= 1

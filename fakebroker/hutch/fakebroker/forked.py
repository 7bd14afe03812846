"""A forked child has a copy of each broker, and none of its threads. The copy says so instead of answering.

A call on a copy would change nothing at the broker. Or it would wait for a thread that does not exist in the child, or
for a lock of that thread.
"""

import os
from threading import RLock
from typing import TYPE_CHECKING, Final, NoReturn, cast
from weakref import WeakSet

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub


class Home:
    """The process that a broker lives in, as its hub knows it."""

    def __init__(self, hub: "Hub") -> None:
        self._hub: Final = hub
        #: In a forked child, the text of the error for using the broker there; in the broker's process empty.
        self.in_child = ""
        _homes.add(self)

    def check(self) -> None:
        """Look whether this is the broker's process.

        Raises:
            RuntimeError: it is a child forked from that; the text names the URL to use there.
        """
        if self.in_child:
            raise RuntimeError(self.in_child)

    def leave(self) -> None:
        """Have this copy of a broker, in a child, say that it is one; a copy stays the copy that it is."""
        if not self.in_child:
            urls = self._hub.listeners.urls
            advice = f"connect to {' or '.join(urls)}" if urls else "a URL works if it was asked for before the fork"
            self.in_child = f"this broker runs in process {os.getppid()}; in a child forked from that, {advice}"
            self._hub.turn.lock = cast("RLock", _LockOfParent(self.in_child))


_homes: Final[WeakSet[Home]] = WeakSet()


class _LockOfParent:
    """What stands in the place of a copy's lock: acquiring it raises a RuntimeError with this text."""

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def acquire(self, blocking: bool = True, timeout: float = -1) -> NoReturn:  # noqa: ARG002
        raise RuntimeError(self._text)


def _leave_homes() -> None:
    for home in list(_homes):
        home.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_homes)

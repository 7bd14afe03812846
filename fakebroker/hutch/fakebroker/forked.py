"""A forked child has a copy of each broker, and none of its threads. The copy says so instead of answering.

What the child asks of a copy would change nothing at the broker, or wait for a thread that is not there, or for a lock
that such a thread holds.
"""

import os
from threading import RLock
from typing import TYPE_CHECKING, Final, NoReturn, cast
from weakref import WeakSet

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker

_brokers: Final[WeakSet["Broker"]] = WeakSet()


def remember(broker: "Broker") -> None:
    """Have the copies of a broker know that they are copies."""
    _brokers.add(broker)


def check(broker: "Broker") -> None:
    """Look whether this is the broker's process.

    Raises:
        RuntimeError: it is a child forked from that; the text names the URL to use there.
    """
    if broker.in_child:
        raise RuntimeError(broker.in_child)


class _LockOfParent:
    """What stands in the place of a copy's lock: taking it raises a RuntimeError with this text."""

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def acquire(self, blocking: bool = True, timeout: float = -1) -> NoReturn:  # noqa: ARG002
        raise RuntimeError(self._text)

    def __enter__(self) -> NoReturn:
        raise RuntimeError(self._text)

    def __exit__(self, *_: object) -> None:
        """Never called."""


def _be_copies() -> None:
    for broker in list(_brokers):
        if not broker.in_child:  # a copy stays the copy that it is
            urls = broker.listeners.urls
            advice = f"connect to {' or '.join(urls)}" if urls else "a URL works if it was asked for before the fork"
            broker.in_child = f"this broker runs in process {os.getppid()}; in a child forked from that, {advice}"
            broker.lock = cast("RLock", _LockOfParent(broker.in_child))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_be_copies)

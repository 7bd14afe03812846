"""Locks between runs of this tool."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from live_brokers.reporting import say


@contextlib.contextmanager
def locked(path: Path) -> Iterator[TextIO]:
    """Hold an exclusive lock on a file. Yields the open file. The lock ends with the process at the latest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for the run that holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle

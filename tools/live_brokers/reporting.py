"""Progress and failures, told on standard error."""

import sys
from pathlib import Path

TAIL_LINES = 30


class BrokerError(Exception):
    """Something failed.

    Args:
        line: what failed, in one line.
        logs: files whose last lines tell more.
    """

    def __init__(self, line: str, *logs: Path) -> None:
        super().__init__(line)
        self.logs = logs


def say(text: str) -> None:
    """Print one line about progress or failure."""
    print(f"rabbitmq: {text}", file=sys.stderr, flush=True)


def report(failure: BrokerError) -> None:
    """Print a failure and the last lines of its logs."""
    say(str(failure))
    for log in failure.logs:
        if log.exists() and (lines := log.read_text(errors="replace").splitlines()):
            print(f"--- the end of {log}", *lines[-TAIL_LINES:], sep="\n", file=sys.stderr, flush=True)

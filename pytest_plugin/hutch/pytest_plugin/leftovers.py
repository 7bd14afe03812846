"""What a test leaves behind in its broker."""

import warnings
from collections.abc import Collection
from typing import Final

from hutch.fakebroker import Broker
from hutch.fakebroker.engine.unknown_names import unknown
from hutch.pytest_plugin.asking import Question
from hutch.pytest_plugin.matching import summary
from hutch.pytest_plugin.views import Views

#: What may be done about leftovers.
REACTIONS: Final = ("ignore", "warn", "fail")
_SHOWN: Final = 5


class LeftoverWarning(UserWarning):
    """A test left something behind in its broker."""


def reaction_of(name: str) -> str:
    """One of :data:`REACTIONS`.

    Raises:
        ValueError: it is none.
    """
    if name not in REACTIONS:
        raise ValueError(unknown("leftovers", name, REACTIONS))
    return name


def react_to(left: list[str], reaction: str) -> None:
    """Do about what a test left behind, a line for each thing, what ``reaction`` says.

    Raises:
        AssertionError: there is something, and it is to fail.
    """
    __tracebackhide__ = True
    if not left or reaction == "ignore":
        return
    text = "\n".join(["the test left behind in its broker:", *(f"  {line}" for line in left)])
    if reaction == "fail":
        raise AssertionError(text)
    warnings.warn(text, LeftoverWarning, stacklevel=3)


def find_leftovers(broker: Broker, returned: Question, own: Collection[str]) -> list[str]:
    """What is left behind now, a line for each thing.

    ``own`` are the names of connections that the test need not close; ``returned`` is what was asked about messages
    that were returned.
    """
    views = Views(broker)
    lines = []
    for queue in views.queues():
        if queue.unacked:
            lines.append(f"{_messages(queue.unacked)} unacknowledged in queue {queue.name!r}")
        if queue.ready and queue.type != "stream":
            lines.append(f"{_messages(queue.ready)} unread in queue {queue.name!r}")
    for connection in views.connections():
        if connection.name not in own:
            channels = f"{connection.channels} channel{'' if connection.channels == 1 else 's'}"
            lines.append(f"connection {connection.name!r} of user {connection.user!r} is open, with {channels}")
    unheard = [
        event
        for event in broker.history.of("returned")
        if event.message is not None and event.message.number not in returned.heard
    ]
    lines += [
        f"a message was returned to its publisher ({event.reason}), and no fakebroker.returned(...) asked for it: "
        f"{summary(event)}"
        for event in unheard[:_SHOWN]
    ]
    if len(unheard) > _SHOWN:
        lines.append(f"{len(unheard) - _SHOWN} more messages were returned")
    faults = broker.hub.faults
    if faults is not None:
        lines += [f"a fault never happened ({fault.matches} matches): {fault.text}" for fault in faults.unhit]
    return lines


def _messages(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"

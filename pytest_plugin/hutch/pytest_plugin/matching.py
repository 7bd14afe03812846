"""Which messages of a history are meant, and why the others are not."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from hutch.fakebroker import Event, Message
from hutch.fakebroker.engine.message import BodilessMessage
from hutch.fakebroker.history.event_list import EventList
from hutch.pytest_plugin.criteria import Criterion
from hutch.pytest_plugin.timeline import body_text, destination, names

_NEAR_MISSES: Final = 5


class Wanted(NamedTuple):
    """How many messages there must be: from ``least`` to ``most``, ``None`` for any number more."""

    least: int
    most: int | None

    def allows(self, number: int) -> bool:
        """Whether so many are right."""
        return number >= self.least and (self.most is None or number <= self.most)

    def text(self, what: str) -> str:
        """The numbers in words."""
        if self.least == self.most:
            return counted(self.least, what)
        if self.most is None:
            return f"at least {counted(self.least, what)}"
        if not self.least:
            return f"at most {counted(self.most, what)}"
        return f"{self.least} to {counted(self.most, what)}"


class Result(NamedTuple):
    """What a search found: the messages meant, all others with what they miss, and those of which nobody can tell, for
    their bodies are no longer kept. ``what`` is what happened to all of them, in a word. ``dropped`` is how many older
    messages are not kept at all, because of ``limits``. ``positions`` are the places of those found in the history.
    """

    what: str
    asked: Sequence[Criterion]
    found: Sequence[Event]
    positions: Sequence[int]
    missed: Sequence[tuple[Event, Sequence[str]]]
    bodiless: Sequence[Event]
    dropped: int
    limits: str

    @property
    def messages(self) -> list[Message]:
        """The messages meant."""
        return [event.message for event in self.found if event.message is not None]

    @property
    def is_complete(self) -> bool:
        """Whether there can be no others that are meant."""
        return not self.bodiless and not self.dropped

    @property
    def question(self) -> str:
        """What is asked for, in words."""
        return f"with {', '.join(criterion.text for criterion in self.asked)}" if self.asked else "at all"

    @property
    def nearest(self) -> list[tuple[Event, Sequence[str]]]:
        """The others, those that miss least first."""
        return sorted(self.missed, key=lambda missed: len(missed[1]))

    @property
    def gaps(self) -> list[str]:
        """What the history no longer keeps, and so cannot tell."""
        lines = []
        if self.dropped:
            lines.append(f"the history no longer keeps {counted(self.dropped, f'older {self.what}')}")
        if self.bodiless:
            lines.append(f"the history no longer keeps the {self._bodies}, which may be meant:")
            lines += [f"  {summary(event)}" for event in self.bodiless[:_NEAR_MISSES]]
            if len(self.bodiless) > _NEAR_MISSES:
                lines.append(f"  and {len(self.bodiless) - _NEAR_MISSES} more")
        if lines:
            lines.append(f"its limits are {self.limits}; raise them, or call history.clear() before what you look for")
        return lines

    @property
    def _bodies(self) -> str:
        bodies = "body" if len(self.bodiless) == 1 else "bodies"
        return f"{bodies} of {counted(len(self.bodiless), self.what)}"


def counted(number: int, what: str) -> str:
    """``2 published messages``."""
    return f"{number} {what} message{'' if number == 1 else 's'}"


def search(what: str, events: EventList[Event], asked: Sequence[Criterion]) -> Result:
    """Go through events that tell of a message; ``what`` says what happened to it."""
    found: list[Event] = []
    positions: list[int] = []
    missed: list[tuple[Event, Sequence[str]]] = []
    bodiless: list[Event] = []
    for event, position in zip(events, events.positions, strict=True):
        message = event.message
        if message is None:
            continue
        unknown = [criterion for criterion in asked if criterion.reads_body and isinstance(message, BodilessMessage)]
        known = [criterion for criterion in asked if criterion not in unknown]
        misses = [text for criterion in known if (text := criterion.miss(event, message)) is not None]
        if misses:
            missed.append((event, misses))
        elif unknown:
            bodiless.append(event)
        else:
            found.append(event)
            positions.append(position)
    return Result(what, asked, found, positions, missed, bodiless, events.dropped, events.limits)


def in_a_line(result: Result, hint: Sequence[str]) -> str:
    """Why nothing was found. ``hint`` says what became of such messages instead."""
    nothing = f"nothing {result.what} {result.question}"
    if hint:
        told = " ".join(line for line in hint if not line.startswith(" "))
        return f"{nothing}; {told.rstrip(':')}"
    if not result.missed:
        return f"{nothing}, nor anything else"
    event, misses = result.nearest[0]
    return f"{nothing}; nearest: {summary(event)}: {'; '.join(misses)}"


def not_known(result: Result) -> str:
    """Why it is an error that nothing was found where something may have been."""
    return "\n".join([f"cannot tell whether a message {result.question} was {result.what}", *result.gaps])


def wrong_number(result: Result, wanted: Wanted, hint: Sequence[str]) -> str:
    """Why it is an error that not as many messages as wanted were found, or that there may be others. ``hint`` says
    what became of such messages instead.
    """
    there_are = f"there {'is' if len(result.found) == 1 else 'are'} {len(result.found) or 'none'}"
    lines = [f"expected {wanted.text(result.what)} {result.question}; {there_are}"]
    if not result.is_complete:
        lines[0] += " that the history still keeps"
    if result.found:
        lines.append("found:")
        lines += [f"  {summary(event)}" for event in result.found]
    lines += result.gaps
    if len(result.found) < wanted.least:
        lines += _misses(result)
        lines += hint
    return "\n".join(lines)


def _misses(result: Result) -> list[str]:
    if not result.missed:
        return [] if result.found or not result.is_complete else [f"nothing was {result.what}"]
    lines = ["near misses:" if result.asked else f"{result.what} were:"]
    for event, misses in result.nearest[:_NEAR_MISSES]:
        lines.append(f"  {summary(event)}")
        lines += [f"      {miss}" for miss in misses]
    left = len(result.missed) - _NEAR_MISSES
    return [*lines, f"  and {left} more"] if left > 0 else lines


def summary(event: Event) -> str:
    """A message in a line: where it was published to, its body, and the queue that the event is about."""
    message = event.message
    if message is None:
        return ""
    text = f"{destination(message)}: {body_text(message)}"
    if event.kind == "dead-lettered":
        return f"{event.queue} -> {names(event.routed_to)} ({event.reason}): {body_text(message)}"
    return text if event.queue is None else f"queue {event.queue}, {text}"

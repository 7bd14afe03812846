"""Which published messages are meant, and why the others are not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from json import loads
from typing import Any, Final, NamedTuple, final

from hutch.fakebroker import Event, Message
from hutch.fakebroker.engine.message import BodilessMessage
from hutch.fakebroker.history.event_list import EventList
from hutch.pytest_plugin.timeline import body_text, destination, names
from hutch.wire.properties import FLAGS

#: The properties a message may be told by, headers aside.
PROPERTIES: Final = tuple(name for name in FLAGS if name != "headers")
_NEAR_MISSES: Final = 5


@final
class Anything:
    """The value of a criterion that is not asked for, where ``None`` is a value."""

    def __repr__(self) -> str:
        return "ANYTHING"


ANYTHING: Final = Anything()


class Published(list[Message]):
    """Published messages, oldest first. An empty one's ``repr`` tells what came nearest, for an ``assert`` to show."""

    def __init__(self, messages: Iterable[Message], explanation: str) -> None:
        super().__init__(messages)
        self._explanation: Final = explanation

    def __repr__(self) -> str:
        return super().__repr__() if self else f"<{self._explanation}>"


class Criterion(NamedTuple):
    """One thing that is asked of a message: ``text`` says what; ``miss`` says why an event's message is not it, or
    ``None``. ``reads_body`` is whether that takes its body.
    """

    text: str
    miss: Callable[[Event, Message], str | None]
    reads_body: bool = False


def criteria(
    *,
    routing_key: str | None,
    exchange: str | None,
    queue: str | None,
    vhost: str | None,
    body: bytes | str | None,
    json: object,
    headers: Mapping[str, object] | None,
    properties: Mapping[str, object],
) -> list[Criterion]:
    """What is asked for, as :meth:`hutch.pytest_plugin.FakeBroker.published` takes it.

    Raises:
        TypeError: a name in ``properties`` that is no property.
    """
    unknown = [name for name in properties if name not in PROPERTIES]
    if unknown:
        raise TypeError(f"no message has a property {', '.join(unknown)}; there are {', '.join(PROPERTIES)}")
    asked: list[Criterion] = []
    if vhost is not None:
        asked.append(_same("vhost", vhost, lambda event, _: event.vhost))
    if exchange is not None:
        asked.append(_same("exchange", exchange, lambda _, message: message.exchange))
    if routing_key is not None:
        asked.append(_same("routing key", routing_key, lambda _, message: message.routing_key))
    if queue is not None:
        asked.append(_routed_to(queue))
    for name, value in (headers or {}).items():
        asked.append(_entry("header", name, value, lambda message: message.headers))
    for name, value in properties.items():
        asked.append(_entry("property", name, value, lambda message: message.properties.values))
    if body is not None:
        wanted = body.encode() if isinstance(body, str) else body
        asked.append(_same("body", wanted, lambda _, message: message.body)._replace(reads_body=True))
    if not isinstance(json, Anything):
        asked.append(_json(json))
    return asked


def _same(name: str, wanted: object, value: Callable[[Event, Message], object]) -> Criterion:
    def miss(event: Event, message: Message) -> str | None:
        actual = value(event, message)
        return None if actual == wanted else f"{name} is {actual!r}"

    return Criterion(f"{name} {wanted!r}", miss)


def _routed_to(queue: str) -> Criterion:
    def miss(event: Event, _: Message) -> str | None:
        return None if queue in event.routed_to else f"routed to {names(event.routed_to)}"

    return Criterion(f"routed to queue {queue}", miss)


def _entry(kind: str, name: str, wanted: object, table: Callable[[Message], Mapping[str, object]]) -> Criterion:
    def miss(_: Event, message: Message) -> str | None:
        entries = table(message)
        if name not in entries:
            return f"has no {kind} {name}"
        return None if entries[name] == wanted else f"{kind} {name} is {entries[name]!r}"

    return Criterion(f"{kind} {name} {wanted!r}", miss)


def _json(wanted: object) -> Criterion:
    def miss(_: Event, message: Message) -> str | None:
        try:
            actual: Any = loads(message.body)
        except ValueError:
            return f"body is no JSON: {body_text(message)}"
        return None if actual == wanted else f"body is {actual!r}"

    return Criterion(f"JSON body {wanted!r}", miss, reads_body=True)


class Result(NamedTuple):
    """What a search found: the messages meant, all others with what they miss, and those of which nobody can tell, for
    their bodies are no longer kept. ``dropped`` is how many older messages are not kept at all, because of ``limits``.
    """

    asked: Sequence[Criterion]
    found: Sequence[Event]
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
            lines.append(f"the history no longer keeps {_published(self.dropped, 'older')}")
        if self.bodiless:
            lines.append(f"the history no longer keeps the {_bodies(len(self.bodiless))}, which may be meant:")
            lines += [f"  {_summary(event)}" for event in self.bodiless[:_NEAR_MISSES]]
            if len(self.bodiless) > _NEAR_MISSES:
                lines.append(f"  and {len(self.bodiless) - _NEAR_MISSES} more")
        if lines:
            lines.append(f"its limits are {self.limits}; raise them, or call history.clear() before what you look for")
        return lines


def _published(number: int, which: str = "") -> str:
    return " ".join(filter(None, [str(number), which, f"published message{'' if number == 1 else 's'}"]))


def _bodies(number: int) -> str:
    return "body of 1 published message" if number == 1 else f"bodies of {number} published messages"


def search(events: EventList[Event], asked: Sequence[Criterion]) -> Result:
    """Go through events that tell of a message and the names of the queues it got into."""
    found: list[Event] = []
    missed: list[tuple[Event, Sequence[str]]] = []
    bodiless: list[Event] = []
    for event in events:
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
    return Result(asked, found, missed, bodiless, events.dropped, events.limits)


def in_a_line(result: Result) -> str:
    """Why nothing was found."""
    nothing = f"nothing published {result.question}"
    if not result.missed:
        return f"{nothing}, nor anything else"
    event, misses = result.nearest[0]
    return f"{nothing}; nearest: {_summary(event)}: {'; '.join(misses)}"


def not_known(result: Result) -> str:
    """Why it is an error that nothing was found where something may have been."""
    return "\n".join([f"cannot tell whether a message {result.question} was published", *result.gaps])


def wrong_count(result: Result, count: int, moved: Result) -> str:
    """Why it is an error that not ``count`` messages were found, or that there may be others; ``moved`` is what
    dead-lettering alone would give.
    """
    wanted = f"{_published(count)} {result.question}"
    lines = [f"expected {wanted}; there {'is' if len(result.found) == 1 else 'are'} {len(result.found) or 'none'}"]
    if not result.is_complete:
        lines[0] += " that the history still keeps"
    if result.found:
        lines.append("found:")
        lines += [f"  {_summary(event)}" for event in result.found]
    lines += result.gaps
    if len(result.found) < count:
        lines += _misses(result)
        if moved.found:
            lines.append("the broker itself dead-lettered such a message; that is no publishing, and is found in")
            lines.append("fakebroker.history.of('dead-lettered') and in its queue:")
            lines += [f"  {event.queue} -> {names(event.routed_to)}" for event in moved.found]
    return "\n".join(lines)


def _misses(result: Result) -> list[str]:
    if not result.missed:
        return [] if result.found or not result.is_complete else ["nothing was published"]
    lines = ["near misses:" if result.asked else "published were:"]
    for event, misses in result.nearest[:_NEAR_MISSES]:
        lines.append(f"  {_summary(event)}")
        lines += [f"      {miss}" for miss in misses]
    left = len(result.missed) - _NEAR_MISSES
    return [*lines, f"  and {left} more"] if left > 0 else lines


def _summary(event: Event) -> str:
    message = event.message
    return f"{destination(message)}: {body_text(message)}" if message is not None else ""

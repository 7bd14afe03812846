"""What may be asked of a message."""

from collections.abc import Callable, Iterator, Mapping
from json import loads
from typing import Any, Final, NamedTuple, final

from hutch.fakebroker import Event, Message
from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.key_patterns import key_matches
from hutch.pytest_plugin.timeline import body_text, names
from hutch.wire.properties import FLAGS

#: The properties a message may be told by, headers aside.
PROPERTIES: Final = tuple(name for name in FLAGS if name != "headers")


@final
class Anything:
    """The value of a criterion that is not asked for, where ``None`` is a value."""

    def __repr__(self) -> str:
        return "ANYTHING"


ANYTHING: Final = Anything()


class Criterion(NamedTuple):
    """One thing that is asked of a message: ``text`` says what; ``miss`` says why an event's message is not it, or
    ``None``. ``reads_body`` is whether that takes its body.
    """

    text: str
    miss: Callable[[Event, Message], str | None]
    reads_body: bool = False


def criteria(
    *,
    routing_key: object = None,
    exchange: object = None,
    queue: str | None = None,
    vhost: str | None = None,
    body: object = None,
    json: object = ANYTHING,
    json_contains: object = ANYTHING,
    headers: Mapping[str, object] | None = None,
    **properties: object,
) -> list[Criterion]:
    """What is asked for, as :class:`~hutch.pytest_plugin.asking.Question` takes it.

    Raises:
        TypeError: a name in ``properties`` that is no property.
    """
    for name in properties:
        if name not in PROPERTIES:
            raise TypeError(missing(f"message has a property {name}", name, PROPERTIES))
    asked: list[Criterion] = []
    if vhost is not None:
        asked.append(_same("vhost", vhost, lambda event, _: event.vhost))
    if exchange is not None:
        asked.append(_same("exchange", exchange, lambda _, message: message.exchange))
    if routing_key is not None:
        asked.append(_key(routing_key))
    if queue is not None:
        asked.append(_in_queue(queue))
    for name, value in (headers or {}).items():
        asked.append(_entry("header", name, value, lambda message: message.headers))
    for name, value in properties.items():
        asked.append(_entry("property", name, value, lambda message: message.properties.values))
    return asked + _of_body(body, json, json_contains)


def _of_body(body: object, json: object, json_contains: object) -> list[Criterion]:
    asked: list[Criterion] = []
    if body is not None:
        wanted = body.encode() if isinstance(body, str) else body
        asked.append(_same("body", wanted, lambda _, message: message.body)._replace(reads_body=True))
    if not isinstance(json, Anything):
        asked.append(_json("JSON body", json, lambda actual: None if _is(json, actual) else f"body is {actual!r}"))
    if not isinstance(json_contains, Anything):
        asked.append(_json("JSON body with", json_contains, lambda actual: _difference(json_contains, actual, "body")))
    return asked


def _is(wanted: object, actual: object) -> bool:
    """Whether a value is as wanted: equal, or a function's answer to it is true. What the function cannot take is no
    match: it was written for another message.
    """
    if not callable(wanted):
        return bool(actual == wanted)
    try:
        return bool(wanted(actual))
    except (LookupError, TypeError, ValueError, AttributeError):
        return False


def _text(wanted: object) -> str:
    if callable(wanted):
        return f"that passes {getattr(wanted, '__name__', repr(wanted))}"
    return repr(wanted)


def _same(name: str, wanted: object, value: Callable[[Event, Message], object]) -> Criterion:
    def miss(event: Event, message: Message) -> str | None:
        actual = value(event, message)
        return None if _is(wanted, actual) else f"{name} is {actual!r}"

    return Criterion(f"{name} {_text(wanted)}", miss)


def _key(wanted: object) -> Criterion:
    if not isinstance(wanted, str) or not {"*", "#"} & {*wanted.split(".")}:
        return _same("routing key", wanted, lambda _, message: message.routing_key)

    def miss(_: Event, message: Message) -> str | None:
        key = message.routing_key
        return None if key_matches(wanted, key) else f"routing key is {key!r}"

    return Criterion(f"routing key {wanted!r}", miss)


def _in_queue(queue: str) -> Criterion:
    def miss(event: Event, _: Message) -> str | None:
        if event.queue is not None:
            return None if event.queue == queue else f"queue is {event.queue!r}"
        return None if queue in event.routed_to else f"routed to {names(event.routed_to)}"

    return Criterion(f"queue {queue!r}", miss)


def _entry(kind: str, name: str, wanted: object, table: Callable[[Message], Mapping[str, object]]) -> Criterion:
    def miss(_: Event, message: Message) -> str | None:
        entries = table(message)
        if name not in entries:
            return f"has no {kind} {name}"
        return None if _is(wanted, entries[name]) else f"{kind} {name} is {entries[name]!r}"

    return Criterion(f"{kind} {name} {_text(wanted)}", miss)


def _json(name: str, wanted: object, compare: Callable[[Any], str | None]) -> Criterion:
    def miss(_: Event, message: Message) -> str | None:
        try:
            actual: Any = loads(message.body)
        except ValueError:
            return f"body is no JSON: {body_text(message)}"
        return compare(actual)

    return Criterion(f"{name} {_text(wanted)}", miss, reads_body=True)


def _difference(wanted: object, actual: object, place: str) -> str | None:
    """Where JSON does not have what is wanted of it. An object may have more names, a list no more items."""
    if isinstance(wanted, Mapping):
        if not isinstance(actual, Mapping):
            return f"{place} is {actual!r}"
        missing = [name for name in wanted if name not in actual]
        if missing:
            return f"{place} has no {', '.join(map(repr, missing))}: {actual!r}"
        return _first(_difference(value, actual[name], f"{place}.{name}") for name, value in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(actual, list):
        if len(wanted) != len(actual):
            return f"{place} has {len(actual)} items: {actual!r}"
        pairs = enumerate(zip(wanted, actual, strict=True))
        return _first(_difference(one, other, f"{place}[{index}]") for index, (one, other) in pairs)
    return None if _is(wanted, actual) else f"{place} is {actual!r}"


def _first(differences: Iterator[str | None]) -> str | None:
    return next((difference for difference in differences if difference is not None), None)

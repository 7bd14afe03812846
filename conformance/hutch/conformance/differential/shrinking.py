"""Making a script that ends in a difference as small as it can be."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from hutch.conformance.differential.operations import Administer, Call, End, Operation, Publish, Settle

Step = TypeVar("Step")
Found = TypeVar("Found")


def shrink(
    operations: Sequence[Step],
    attempt: Callable[[Sequence[Step]], Found | None],
    seconds: float,
    ways: Callable[[Step], Iterable[Callable[[Step], Step]]],
) -> Found | None:
    """Look for fewer and simpler operations that end in a difference, too.

    Args:
        operations: what ended in one.
        attempt: plays operations on a fresh pair of brokers; returns the difference that they end in.
        seconds: how long to look, at most.
        ways: ways to leave something out of an operation, each to be tried on what those before have left.

    Returns the difference that the smallest operations end in; ``None`` if these operations do not end in one again.
    """
    ends = time.monotonic() + seconds
    found = attempt(operations) or attempt(operations)
    if found is None:
        return None
    kept = list(operations)
    size = len(kept) // 2
    while size and time.monotonic() < ends:
        start, smaller = 0, False
        while start < len(kept) and time.monotonic() < ends:
            without = kept[:start] + kept[start + size :]
            if (difference := attempt(without)) is not None:
                kept, found, smaller = without, difference, True
            else:
                start += size
        size = min(size // 2, len(kept) // 2) if size > 1 or not smaller else 1
    for index in range(len(kept)):
        for way in ways(kept[index]):
            if time.monotonic() > ends:
                return found
            changed = [*kept[:index], way(kept[index]), *kept[index + 1 :]]
            if changed != kept and (difference := attempt(changed)) is not None:
                kept, found = changed, difference
    return found


def simpler(operation: Operation) -> Iterator[Callable[[Operation], Operation]]:
    """Ways to leave something out of an operation."""
    if isinstance(operation, Publish):
        yield from _simpler_message(operation)
    if isinstance(operation, Publish | Call):
        for field in operation.method.FIELDS:
            value = getattr(operation.method, field)
            if isinstance(value, bool):
                yield partial(_without_flag, field=field)
            for name in value if isinstance(value, dict) else ():
                yield partial(_without_argument, field=field, name=name)
    if isinstance(operation, Settle):
        yield partial(_with, multiple=False)
    if isinstance(operation, End):
        yield partial(_with, abrupt=False)
    if isinstance(operation, Administer):
        yield from _simpler_administration(operation)


def _simpler_message(operation: Publish) -> Iterator[Callable[[Operation], Operation]]:
    for name in operation.properties:
        yield partial(_without_property, name=name)
    for name in operation.properties.get("headers", {}):
        yield partial(_without_header, name=name)
    yield partial(_with, size=0)


def _simpler_administration(operation: Administer) -> Iterator[Callable[[Operation], Operation]]:
    if "apply_to" in operation.arguments:
        yield partial(_without_option, name="apply_to")
    for name in operation.arguments.get("definition", {}):
        yield partial(_without_setting, name=name)


def _with(operation: Operation, **changes: Any) -> Operation:
    return replace(operation, **changes)


def _without_property(operation: Operation, name: str) -> Operation:
    properties = operation.properties if isinstance(operation, Publish) else {}
    return _with(operation, properties=_without(properties, name))


def _without_header(operation: Operation, name: str) -> Operation:
    properties = operation.properties if isinstance(operation, Publish) else {}
    if "headers" not in properties:
        return operation
    return _with(operation, properties={**properties, "headers": _without(properties["headers"], name)})


def _without_option(operation: Operation, name: str) -> Operation:
    arguments = operation.arguments if isinstance(operation, Administer) else {}
    return _with(operation, arguments=_without(arguments, name))


def _without_setting(operation: Operation, name: str) -> Operation:
    arguments = operation.arguments if isinstance(operation, Administer) else {}
    return _with(operation, arguments={**arguments, "definition": _without(arguments["definition"], name)})


def _without_flag(operation: Operation, field: str) -> Operation:
    return _with_field(operation, field, lambda _: False)


def _without_argument(operation: Operation, field: str, name: str) -> Operation:
    return _with_field(operation, field, lambda table: _without(table, name))


def _with_field(operation: Operation, field: str, change: Callable[[Any], object]) -> Operation:
    if not isinstance(operation, Publish | Call):
        return operation
    method = operation.method
    values = {name: getattr(method, name) for name in method.FIELDS}
    return _with(operation, method=type(method)(**{**values, field: change(values[field])}))


def _without(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}

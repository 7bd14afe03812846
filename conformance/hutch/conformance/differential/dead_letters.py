"""Strategies for quorum queues that dead-letter at least once, and what must not be sent to these."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.drawing import flag, mostly, rather
from hutch.conformance.differential.operations import Administer, Call, Operation, Place, Publish, Settle
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable, FieldValue

#: Values of dead-letter-strategy.
STRATEGIES: Final = ("at-most-once", "at-least-once")


def declare(
    name: str, more: Strategy[FieldTable], exchanges: Strategy[FieldValue], keys: Strategy[FieldValue]
) -> Strategy[wire.QueueDeclare]:
    """A quorum queue with ``more`` arguments, all legal, that dead-letters at least once."""
    needed: Strategy[FieldTable] = st.fixed_dictionaries(
        {
            "x-queue-type": st.just("quorum"),
            "x-dead-letter-strategy": st.just(STRATEGIES[1]),
            "x-overflow": st.just("reject-publish"),
            "x-dead-letter-exchange": rather(st.just(""), exchanges, 2),
            "x-dead-letter-routing-key": keys,
        }
    )
    tables = st.builds(lambda *parts: {**parts[0], **parts[1]}, more, needed)
    return st.builds(wire.QueueDeclare, queue=st.just(name), durable=st.just(True), arguments=tables)


def calls(name: str) -> Strategy[wire.Method]:
    """Who gets messages of such a queue."""
    return st.one_of(
        st.builds(wire.BasicGet, queue=st.just(name)),
        st.builds(wire.BasicGet, queue=st.just(name)),
        st.builds(wire.BasicConsume, queue=st.just(name)),
    )


def refusals(places: Strategy[Place]) -> Strategy[Settle]:
    """What mostly has a message die."""
    verdict = st.sampled_from(("nack", "reject"))
    return st.builds(Settle, places, verdict, st.integers(0, 5), multiple=flag(), requeue=mostly((False,), (True,), 4))


def harmless(script: Sequence[Operation]) -> list[Operation]:
    """Without decimals in the headers of messages, if these may be dead-lettered at least once, or into a stream: over
    that RabbitMQ crashes.
    """
    settings = [_settings(operation) for operation in script]
    kept = any(each.get("dead-letter-strategy") == STRATEGIES[1] for each in settings)
    streaming = any(each.get("queue-type") == "stream" for each in settings)
    if kept or (streaming and any("dead-letter-exchange" in each for each in settings)):
        return [_without_decimals(operation) if isinstance(operation, Publish) else operation for operation in script]
    return list(script)


def _settings(operation: Operation) -> Mapping[str, Any]:
    """What an operation asks of queues, as policies name it."""
    if isinstance(operation, Administer):
        definition: Mapping[str, Any] = operation.arguments.get("definition", {})
        return definition
    if isinstance(operation, Call) and isinstance(operation.method, wire.QueueDeclare):
        return {name.removeprefix("x-"): value for name, value in operation.method.arguments.items()}
    return {}


def _without_decimals(publish: Publish) -> Publish:
    headers: dict[str, Any] = publish.properties.get("headers", {})
    kept = {name: value for name, value in headers.items() if not isinstance(value, Decimal)}
    return publish if kept == headers else replace(publish, properties={**publish.properties, "headers": kept})

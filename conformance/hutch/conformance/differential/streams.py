"""Strategies for streams: declarations, consumers, and what their filters go by."""

from typing import Any, Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.drawing import mostly, rather
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable, FieldValue, Int8, Int64

#: Arguments of a stream, legal on all versions. No limit removes messages while the brokers are compared.
_ARGUMENTS: Final[dict[str, tuple[FieldValue, ...]]] = {
    "x-max-age": ("1h", "7D"),
    "x-max-length-bytes": (20000000, 0),
    "x-stream-max-segment-size-bytes": (1000000,),
    "x-initial-cluster-size": (1, 3),
    "x-queue-leader-locator": ("client-local", "balanced"),
}
#: Offsets at which a consumer starts. "last" is left out: its position depends on how messages are grouped into
#: chunks.
_OFFSETS: Final = ("first", "next", 0, 1, Int64(2), Int8(3), 100, "1h", -1)
_FILTER_VALUES: Final = ("a", "b", "")


def declare(name: str) -> Strategy[wire.QueueDeclare]:
    """A stream."""
    optional = {argument: st.sampled_from(values) for argument, values in _ARGUMENTS.items()}
    arguments: Strategy[FieldTable] = st.fixed_dictionaries({"x-queue-type": st.just("stream")}, optional=optional)
    return st.builds(wire.QueueDeclare, queue=st.just(name), durable=st.just(True), arguments=arguments)


def prefetch() -> Strategy[wire.BasicQos]:
    """What a consumer of a stream wants beforehand."""
    return st.builds(wire.BasicQos, prefetch_count=st.sampled_from((1, 2, 3, 10)))


def consume(name: str, tags: tuple[str, ...], odd: tuple[FieldValue, ...]) -> Strategy[wire.BasicConsume]:
    """A consumer of the queue that may be a stream, with arguments that may be ``odd``."""
    some = st.sampled_from(odd)
    filters: Strategy[FieldValue] = st.one_of(st.sampled_from(_FILTER_VALUES), st.just(["a", "b"]), st.just([]))
    arguments: Strategy[FieldTable] = st.fixed_dictionaries(
        {"x-stream-offset": rather(st.sampled_from(_OFFSETS), some, 20)},
        optional={
            "x-stream-filter": rather(filters, some, 20),
            "x-stream-match-unfiltered": mostly((True, False), odd, 20),
        },
    )
    return st.builds(
        wire.BasicConsume,
        queue=st.just(name),
        consumer_tag=rather(st.just(""), st.sampled_from(tags), 2),
        no_ack=mostly((False,), (True,), 20),
        exclusive=mostly((False,), (True,), 20),
        arguments=rather(arguments, st.just({}), 4),
    )


def filtered(odd: tuple[FieldValue, ...]) -> Strategy[dict[str, Any]]:
    """Properties of a message that filters may look for."""
    value: Strategy[FieldValue] = rather(st.sampled_from(_FILTER_VALUES), st.sampled_from(odd), 10)
    return st.fixed_dictionaries({}, optional={"headers": st.fixed_dictionaries({"x-stream-filter-value": value})})

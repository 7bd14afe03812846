"""Strategies for time that matters: queues and messages that expire soon, and waiting for that."""

from typing import Any, Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.drawing import flag, mostly, rather
from hutch.conformance.differential.operations import Advance, Call, Operation, Place, Publish, Settle
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable, FieldValue

#: Times in milliseconds, long enough for a few operations before they are over.
_SOON: Final = (250, 400, 700)
#: Further arguments of a queue whose messages expire, one table for each kind of queue.
_KINDS: Final[tuple[FieldTable, ...]] = (
    {},
    {},
    {"x-queue-mode": "lazy"},
    {"x-max-priority": 3},
    {"x-max-length": 2},
    {"x-single-active-consumer": True},
    {"x-queue-type": "quorum"},
    {"x-queue-type": "quorum", "x-max-length": 2},
    {"x-queue-type": "quorum", "x-delivery-limit": 1},
)


def declare(name: str, exchanges: Strategy[FieldValue], keys: Strategy[FieldValue]) -> Strategy[wire.QueueDeclare]:
    """A queue that is legal everywhere. Its messages mostly expire soon and are dead-lettered, and seldom the queue
    itself does.
    """
    dying: Strategy[FieldTable] = st.fixed_dictionaries(
        {"x-dead-letter-exchange": rather(st.just(""), exchanges, 3)}, optional={"x-dead-letter-routing-key": keys}
    )
    lasting: Strategy[FieldTable] = st.fixed_dictionaries({"x-message-ttl": st.sampled_from(_SOON)})
    unused: Strategy[FieldTable] = st.fixed_dictionaries({"x-expires": st.sampled_from((500, 900))})
    nothing: Strategy[FieldTable] = st.just({})
    tables = st.tuples(
        st.sampled_from(_KINDS), rather(lasting, nothing, 3), rather(dying, nothing, 4), rather(nothing, unused, 8)
    )
    arguments = tables.map(lambda parts: {name: value for part in parts for name, value in part.items()})
    return st.builds(wire.QueueDeclare, queue=st.just(name), durable=st.just(True), arguments=arguments)


def operations(
    places: Strategy[Place],
    queues: tuple[str, ...],
    properties: Strategy[dict[str, Any]],
    sizes: Strategy[int],
) -> Strategy[Operation]:
    """What is done with such queues: waiting, publishing, getting, and giving back."""
    some = st.sampled_from(queues)
    sent = st.builds(wire.BasicPublish, exchange=st.just(""), routing_key=some, mandatory=flag())
    soon: Strategy[dict[str, Any]] = st.fixed_dictionaries({"expiration": st.sampled_from(("0", *map(str, _SOON)))})
    calls = st.one_of(
        st.builds(wire.BasicGet, queue=some, no_ack=mostly((False,), (True,), 4)),
        st.builds(wire.BasicConsume, queue=some),
        st.builds(wire.BasicQos, prefetch_count=st.sampled_from((1, 2))),
    )
    return st.one_of(
        st.builds(Publish, places, sent, rather(soon, properties, 2), sizes),
        st.builds(Publish, places, sent, rather(soon, properties, 2), sizes),
        st.builds(Call, places, calls),
        st.builds(
            Settle,
            places,
            st.sampled_from(("ack", "nack", "reject")),
            st.integers(0, 5),
            multiple=flag(),
            requeue=mostly((True,), (False,), 3),
        ),
        st.builds(Advance, st.sampled_from((100, *_SOON))),
    )

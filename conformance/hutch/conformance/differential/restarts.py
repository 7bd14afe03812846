"""Strategies for restarts of the broker, with something there to be kept, and a look at what was."""

from dataclasses import replace
from itertools import product
from typing import Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.drawing import flag
from hutch.conformance.differential.operations import (
    USERS_OWN,
    ZERO,
    Call,
    End,
    Operation,
    Place,
    Publish,
    Restart,
    Settle,
)
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire

#: Exchange types that scripts with restarts do not use, by profile. An x-recent-history exchange may keep 3.10 from
#: starting: it delivers its remembered messages to bound queues, and a bound stream does not exist yet. On 3.10 a
#: consistent hash exchange has its queues in another order after a restart, because 3.10 reads the bindings from a
#: hash table.
_LEFT_OUT: Final = {
    "3.10": frozenset({"x-recent-history", "x-consistent-hash"}),
    "4.3": frozenset({"x-recent-history"}),
}


def lasting(types: tuple[str, ...], profile: str) -> tuple[str, ...]:
    """Those of the exchange types whose exchanges are determined after a restart."""
    return tuple(type_ for type_ in types if type_ not in _LEFT_OUT[profile])


def restarted(scripts: Strategy[list[Operation]], queues: tuple[str, ...]) -> Strategy[list[Operation]]:
    """Scripts with a restart in them, most of whose messages are persistent."""
    return st.builds(_restarted, scripts, st.integers(8, 25), flag(), st.just(queues))


def _restarted(script: list[Operation], behind: int, keeps: bool, queues: tuple[str, ...]) -> list[Operation]:
    before = [_persistent(operation) for operation in script[:-behind]]
    # If several channels requeue at the same time, the order is not determined. So one channel remains, or all
    # deliveries are settled.
    if keeps:
        before += [Call(Place(1, 2), wire.ChannelClose(200, "bye")), End(2), End(USERS_OWN)]
    else:
        before += [Settle(Place(*place), "ack", ZERO, multiple=True) for place in product((1, 2, USERS_OWN), (1, 2))]
    looks = [Call(Place(1, 1), wire.BasicGet(queue=queue, no_ack=True)) for queue in queues for _ in range(2)]
    return [*before, Restart(), *looks, *script[-behind:]]


def _persistent(operation: Operation) -> Operation:
    if not isinstance(operation, Publish):
        return operation
    return replace(operation, properties={"delivery_mode": 2, **operation.properties})

"""What a broker does next when time passes, in words: for a wait that failed."""

from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from hutch.fakebroker import Broker, Message
from hutch.fakebroker.clocks import ManualClock, TickingClock

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node

#: Events that put a message into the queues that they name, or will.
_ARRIVALS: Final = ("published", "dead-lettered", "due")
#: How many seconds may be between a message's arrival and the event of it, on a clock that runs by itself.
_SAME: Final = 0.01


class _Head(NamedTuple):
    """The next message of a queue, and how many seconds it may stay there."""

    vhost: str
    queue: str
    ready: int
    message: Message
    stay: float


def what_is_due(broker: Broker) -> str:
    """What falls due next on the broker's clock, when, and how to have it happen."""
    hub = broker.hub
    soonest, now, heads = hub.look(lambda: _state(hub.node))
    if soonest is None:
        return "Nothing is due on the broker's clock."
    seconds = max(soonest - now, 0.0)
    expiring = [
        f"{head.ready} message{' waits' if head.ready == 1 else 's wait'} in {head.queue!r}"
        for head in heads
        if any(abs(at + head.stay - soonest) < _SAME for at in _arrivals(broker, head))
    ]
    delayed = sum(
        event.message is not None and abs(event.at + event.delay / 1000 - soonest) < _SAME
        for event in broker.undrained_history.of("delayed")
    )
    if delayed:
        expiring.append(f"{delayed} delayed message{' waits' if delayed == 1 else 's wait'} for an exchange")
    due = f"due in {_number(seconds)} s of the broker's clock"
    what = f"{', '.join(expiring)}, {due}" if expiring else f"The next timer of the broker is {due}"
    return f"{what}: {_how(broker, seconds)}."


def _state(node: "Node") -> tuple[float | None, float, list[_Head]]:
    heads = []
    for vhost in node.vhosts.values():
        for queue in vhost.queues.values():
            if len(queue) and queue.type != "stream":
                head = queue.messages[0]
                own = head.envelope.ttl
                limits = [queue.settings.message_ttl, None if own is None else own / 1000]
                stay = min((limit for limit in limits if limit is not None), default=None)
                if stay is not None:
                    heads.append(_Head(vhost.name, queue.name, len(queue), head, stay))
    return node.timers.next_at(background=False), node.clock.monotonic(), heads


def _arrivals(broker: Broker, head: _Head) -> list[float]:
    return [
        event.at
        for event in broker.undrained_history.of(*_ARRIVALS)
        if event.message is not None
        and event.message.number == head.message.number
        and head.queue in event.routed_to
        and head.vhost == event.vhost
    ]


def _how(broker: Broker, seconds: float) -> str:
    if not isinstance(broker.clock, ManualClock | TickingClock):
        return "its clock is the machine's; freezegun moves it, and another one can be advanced: clock='ticking'"
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size and seconds % size == 0:
            return f"call clock.advance({unit}={_number(seconds / size)})"
    return f"call clock.advance(seconds={_number(seconds)})"


def _number(value: float) -> str:
    return f"{ceil(round(value * 1000, 3)) / 1000:.12g}"  # to the millisecond, and not too early

"""What happened in a broker, in order: the one log that assertions, waits and timelines read."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from hutch.fakebroker.engine.clock import Clock
from hutch.fakebroker.engine.message import Message


class Event(NamedTuple):
    """One thing that happened.

    ``at`` is monotonic seconds on the broker's clock. ``kind`` says what happened; which of the other fields hold
    something, and what stands in ``detail``, goes with it:

    - ``published``: message; ``detail`` is a tuple of the names of the queues it was routed to, empty if it was dropped
    - ``delayed``: message, which a delayed message exchange holds back; ``detail`` is for how many ms
    - ``due``: message, after that; ``detail`` is as that of ``published``
    - ``returned``: message, ``detail`` the reply text
    - ``delivered``, ``got``: message, queue; ``detail`` is ``(consumer tag or None, delivery tag, redelivered)``
    - ``acked``, ``requeued``, ``rejected``, ``expired``, ``overflowed``, ``dropped``: message, queue
    - ``dead-lettered``: message, queue (it died in); ``detail`` is ``(reason, names of the queues it went to)``
    - ``declared``, ``deleted``: ``detail`` is ``("queue" | "exchange", name)``
    - ``bound``, ``unbound``: ``detail`` is ``(source, destination, routing key)``
    - ``purged``: queue; ``detail`` is how many messages went
    - ``truncated``: queue, a stream; ``detail`` is the offset of what it begins with now
    - ``consuming``, ``cancelled``: queue; ``detail`` is the consumer tag
    - ``committed``, ``rolled-back``: ``detail`` is how many publishes and acknowledgements the transaction held. Its
      publishes count as published when they are committed
    - ``connected``, ``disconnected``: ``detail`` is the connection's name
    - ``policy-set``, ``policy-deleted``: ``detail`` is ``("policy" | "operator policy", name)``
    - ``alarm-raised``, ``alarm-cleared``: ``detail`` is the resource, ``memory`` or ``disk``
    - ``stopped``, ``started``: the broker was, by its operator
    - ``blocked``, ``unblocked``: ``detail`` is the name of the connection that is not read, or is again
    - ``refused``: ``detail`` is the reply text of a channel or connection that the broker closed
    """

    at: float
    kind: str
    vhost: str
    queue: str | None
    message: Message | None
    detail: Any


_WIDTH: Final = len(Event._fields)


class History:
    """The log of one broker. Iterating gives :class:`Event` values, oldest first.

    ``limit`` is how many of the newest events are kept at least; ``None`` keeps all. (Up to twice as many may be held.)
    """

    def __init__(self, clock: Clock, limit: int | None = None) -> None:
        self._now: Final = clock.monotonic
        self._limit: Final = limit
        # The fields of all events, one behind the other: objects of their own would keep the collector of cyclic
        # garbage busy, a seventh of what a message costs.
        self._fields: list[Any] = []

    def record(
        self, kind: str, vhost: str, queue: str | None = None, message: Message | None = None, detail: Any = None
    ) -> None:
        """Add an event, dated now."""
        self._fields += (self._now(), kind, vhost, queue, message, detail)
        if self._limit is not None and len(self) > 2 * self._limit:
            del self._fields[: (len(self) - self._limit) * _WIDTH]

    def __len__(self) -> int:
        return len(self._fields) // _WIDTH

    def __iter__(self) -> Iterator[Event]:
        fields = iter(list(self._fields))
        return map(Event._make, zip(*[fields] * _WIDTH, strict=True))

    def of(self, *kinds: str) -> list[Event]:
        """The events of these kinds, oldest first."""
        return [event for event in self if event.kind in kinds]

    def clear(self) -> None:
        """Forget all events."""
        self._fields.clear()

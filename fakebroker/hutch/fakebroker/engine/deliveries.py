"""What was handed out and is not settled."""

from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from hutch.fakebroker.engine.consumers import C
from hutch.fakebroker.engine.queues.ready_messages import E
from hutch.fakebroker.engine.sinks import Sink

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import TypedQueue


class TypedDelivery(Generic[C, E]):
    """A message that ``queue`` handed to ``sink``, not settled yet. ``consumer`` is ``None`` for one from basic.get.

    It is among its queue's :attr:`~hutch.fakebroker.engine.queues.queue.TypedQueue.deliveries` until it is settled or
    revoked, be it held by a transaction or not. Its consumer counts it as unacknowledged until it is settled.

    ``revoked`` is set when the queue has taken the message back. The client may still settle the delivery; that only
    gives its consumer room again. ``entry`` then is as it was delivered.
    """

    __slots__ = ("consumer", "entry", "queue", "revoked", "sink", "tag")

    def __init__(self, tag: int, queue: "TypedQueue[C, E]", entry: E, consumer: C | None, sink: Sink) -> None:
        self.tag = tag
        self.queue = queue
        self.entry = entry
        self.consumer = consumer
        self.sink = sink
        self.revoked = False
        queue.deliveries[self] = None
        if consumer is not None:
            consumer.unacked += 1

    def settle(self) -> None:
        """Count as unacknowledged no more."""
        consumer = self.consumer
        if consumer is not None:
            consumer.unacked -= 1
        if not self.revoked:
            del self.queue.deliveries[self]
        elif consumer is not None:
            consumer.revoked -= 1

    def revoke(self) -> None:
        """Take the message back: to settle this delivery then changes nothing in the queue."""
        self.revoked = True
        del self.queue.deliveries[self]
        if self.consumer is not None:
            self.consumer.revoked += 1


#: A delivery from a queue of any type.
Delivery: TypeAlias = TypedDelivery[Any, Any]

"""What was handed out and is not settled."""

from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from hutch.fakebroker.engine.consumers import C
from hutch.fakebroker.engine.queues.ready_messages import E

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import TypedQueue


class TypedDelivery(Generic[C, E]):
    """A message that ``queue`` handed out, not settled yet. ``consumer`` is ``None`` for one from basic.get. The queue
    and the consumer count it as unacknowledged until :meth:`settle`.

    ``revoked`` is set when the queue has taken the message back. The client may still settle the delivery; that only
    gives its consumer room again. ``entry`` then is as it was delivered.
    """

    __slots__ = ("consumer", "entry", "queue", "revoked", "tag")

    def __init__(self, tag: int, queue: "TypedQueue[C, E]", entry: E, consumer: C | None) -> None:
        self.tag = tag
        self.queue = queue
        self.entry = entry
        self.consumer = consumer
        self.revoked = False
        queue.unacked += 1
        if consumer is not None:
            consumer.unacked += 1

    def settle(self) -> None:
        """Count as unacknowledged no more."""
        self.queue.unacked -= 1
        consumer = self.consumer
        if consumer is not None:
            consumer.unacked -= 1

    def revoke(self) -> None:
        """Take the message back: to settle this delivery then changes nothing in the queue."""
        self.revoked = True
        self.settle()
        self.consumer = None
        self.queue.unacked += 1  # until the client settles it


#: A delivery from a queue of any type.
Delivery: TypeAlias = TypedDelivery[Any, Any]

"""What was handed out and is not settled."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.queues.ready_messages import Entry


class Delivery:
    """A message handed to the client, not acknowledged yet. ``consumer`` is ``None`` for one from basic.get."""

    __slots__ = ("consumer", "entry", "queue", "tag")

    def __init__(self, tag: int, queue: "Queue", entry: "Entry", consumer: "Consumer | None") -> None:
        self.tag = tag
        self.queue = queue
        self.entry = entry
        self.consumer = consumer

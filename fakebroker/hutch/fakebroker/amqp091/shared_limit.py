"""The prefetch that the consumers of a channel share in RabbitMQ 3.10 (QOS-06). RabbitMQ calls it a limiter.

Only classic queues ask for room under it before they deliver. A full limit refuses them. When it has room again, it
tells every queue that it refused: from the newest queue to the oldest, beginning at a random one. Each queue then takes
room for one message at a time, until there is no more.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel


class SharedLimit:
    """How many deliveries of a channel may be unacknowledged at once, and how many count as that.

    ``unacked`` may be less than none: acknowledgements to queues of any type count, deliveries from classic ones alone.
    """

    __slots__ = ("prefetch", "unacked")

    def __init__(self, prefetch: int, unacked: int) -> None:
        self.prefetch = prefetch
        self.unacked = unacked

    @property
    def is_reached(self) -> bool:
        """Whether there is no room."""
        return self.unacked >= self.prefetch

    def free(self, settled: int) -> bool:
        """Give back the room of settled deliveries; whether there was none before and is some now."""
        reached = self.is_reached
        if self.unacked:
            self.unacked -= settled
        return reached and not self.is_reached


def serve_waiting(channel: "Channel") -> None:
    """Serve a channel's consumers that waited for room under the limit they share: each queue its own in turn, and the
    queues in turn, one message each.
    """
    queues = dict.fromkeys(consumer.queue for consumer in channel.consumers.values())
    waiting = {queue for queue in queues if queue.readmit(channel.sink)}
    if len(waiting) > 1:
        newest_first = [queue for queue in reversed(channel.vhost.queues.values()) if queue in waiting]
        first = channel.vhost.node.random.randrange(len(newest_first))
        turns = newest_first[first:] + newest_first[:first]
    else:
        turns = list(waiting)
    while turns:
        turns = [queue for queue in turns if queue.dispatch_one()]

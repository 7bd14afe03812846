"""What a client that does not read is handed (CONSUME-33): a bound beside prefetch, of which RabbitMQ's classic queues
alone know.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel_sink import ChannelSink
    from hutch.fakebroker.engine.queues.queue import Queue

#: How many messages a queue hands to a channel before it hears that some were sent; it hears of so many together.
#: RabbitMQ calls them UNSENT_MESSAGE_LIMIT and MORE_CONSUMER_CREDIT_AFTER.
LIMIT: Final = 200
STEP: Final = 50


class Unsent:
    """The messages that a queue has handed to a channel and not heard of as sent.

    The queue's consumers on that channel share it: ``consumers`` is how many there are, ``count`` how many messages.
    """

    __slots__ = ("consumers", "count", "queue", "sink")

    def __init__(self, sink: "ChannelSink", queue: "Queue") -> None:
        self.sink = sink
        self.queue = queue
        self.consumers = 0
        self.count = 0

    def step(self) -> None:
        """A step is reached: hear at once that its messages were sent, or wait for :meth:`sent`."""
        connection = self.sink.connection
        if connection.output.is_behind:
            connection.unsent.append(self)
        else:
            self.count = 0

    def sent(self) -> None:
        """All was sent: those who waited for room are served."""
        had_room = self.count < LIMIT
        self.count %= STEP
        if not self.consumers:
            self.sink.unsent.pop(self.queue, None)
        if not had_room and self.queue.readmit(self.sink):
            self.queue.dispatch()

"""The sink that an AMQP channel gives to its consumers, and the deliveries that the channel has not settled."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.amqp091.output import Output, Unheard
from hutch.fakebroker.amqp091.shared_limit import SharedLimit
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.deliveries import Delivery, TypedDelivery
from hutch.fakebroker.engine.errors import precondition_failed
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.engine.unsent import LIMIT, STEP, Unsent
from hutch.wire.codes import ReplyCode
from hutch.wire.methods import BasicCancel, BasicCreditDrained, BasicCreditOk

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.connection import AMQPConnection


class ChannelSink(Sink):
    """Where the messages of a channel's consumers go.

    ``shared_limit`` is the limit over the whole channel where the profile has that (QOS-06), ``None`` for none.
    ``unsent`` is what queues have handed to the channel and not heard of as sent. ``unacked`` are the deliveries that
    are not settled, by their tags, the oldest first; ``last_tag`` is the tag given last, 0 before the first.
    """

    def __init__(self, connection: "AMQPConnection", number: int) -> None:
        super().__init__(Origin(connection.name, number, connection.user))
        self.connection: Final = connection
        self.number: Final = number
        self.output: Output = connection.output
        self.unsent: Final[dict[Queue, Unsent]] = {}
        self.shared_limit: SharedLimit | None = None
        self.unacked: Final[dict[int, Delivery]] = {}
        self.last_tag = 0
        # Delivery tags are consecutive. So "all up to a tag" is a walk from the oldest tag that may be outstanding,
        # and visits no tag twice. A sorted container would make every delivery slower.
        self._oldest = 1

    # consumers

    def begin(self, consumer: Consumer) -> None:
        """Count what a consumer is handed with the others of its queue."""
        queue = consumer.queue
        if queue not in self.unsent:
            self.unsent[queue] = Unsent()
        consumer.unsent = unsent = self.unsent[queue]
        unsent.consumers += 1

    def end(self, consumer: Consumer) -> None:
        """The queue has this consumer no more."""
        unsent = consumer.unsent
        if unsent is not None:
            unsent.consumers -= 1
            if not unsent.consumers and unsent.count < STEP:
                self.unsent.pop(consumer.queue, None)

    def orphan(self, consumer: Consumer) -> None:
        """The consumer ended with its queue."""
        super().orphan(consumer)
        self.unsent.pop(consumer.queue, None)

    def cancelled(self, consumer: Consumer) -> bool:
        """Tell the client that the broker cancels a consumer; whether it wants to know."""
        if not self.connection.cancel_notify:
            return False
        self.output.queue_method(self.number, BasicCancel(consumer.tag, nowait=True))
        return True

    # room

    @property
    def has_shared_limit(self) -> bool:
        """Whether the consumers share a limit."""
        return self.shared_limit is not None

    def has_room(self, consumer: Consumer) -> bool:
        """Whether a delivery may be sent: by the limit that the consumers share (QOS-07), which holds up even those
        that have nothing to acknowledge (CONSUME-15), and because the client reads (CONSUME-33).
        """
        unsent, shared = consumer.unsent, self.shared_limit
        if unsent is not None and unsent.count >= LIMIT:
            return False
        return shared is None or not shared.is_reached

    def _step(self, queue: Queue, unsent: Unsent) -> None:
        """A step is reached: have the queue hear at once that its messages were sent, or wait for :meth:`sent`."""
        connection = self.connection
        if connection.output.is_behind:
            connection.unsent.append((self, queue, unsent))
        else:
            unsent.count = 0

    def sent(self, queue: Queue, unsent: Unsent) -> None:
        """All was sent: those who waited for room are served."""
        had_room = unsent.count < LIMIT
        unsent.count %= STEP
        if not unsent.consumers:
            self.unsent.pop(queue, None)
        if not had_room and queue.readmit(self):
            queue.dispatch()

    # messages

    def deliver(self, consumer: Consumer, entry: Entry) -> None:
        """Send a message to a consumer, which is known to have credit."""
        self.last_tag = tag = self.last_tag + 1
        queue = consumer.queue
        message = entry.message
        no_ack = consumer.no_ack
        if not no_ack:
            self.unacked[tag] = TypedDelivery(tag, queue, entry, consumer, self)
            if self.shared_limit is not None and queue.has_shared_limit:
                self.shared_limit.unacked += 1
        if consumer.credit is not None:
            consumer.credit -= 1
        vhost, redelivered = queue.vhost, entry.redelivered
        vhost.node.journal.delivered(self.origin, vhost, queue, message, consumer.tag, tag, redelivered, no_ack)
        self.output.deliver(self.number, consumer.tag_bytes, tag, redelivered, message)
        if (unsent := consumer.unsent) is not None:
            unsent.count = count = unsent.count + 1
            if count == STEP:
                self._step(queue, unsent)

    def reply(self, queue: ReplyQueue, message: Message) -> None:
        """Send a reply to the channel's reply consumer."""
        vhost = self.connection.vhost
        tag = self.last_tag + 1
        if vhost.node.profile.topology.has_volatile_queues:
            self.last_tag = tag
        vhost.node.journal.delivered(self.origin, vhost, queue, message, queue.tag, tag, False, True)
        self.output.deliver(self.number, queue.tag_bytes, tag, False, message)

    # unsettled deliveries

    @property
    def oldest_unacked(self) -> float:
        """The delivery tag that waits longest for its acknowledgement; infinity when none does."""
        return next((tag for tag, delivery in self.unacked.items() if not delivery.revoked), math.inf)

    def settle(self, tag: int, multiple: bool) -> list[Delivery]:
        """Take out the delivery of that tag, or with ``multiple`` all up to it, oldest first; 0 stands for all.

        Raises:
            BrokerError: 406, no such delivery is outstanding (ACK-01 to ACK-03).
        """
        unacked = self.unacked
        if multiple and tag == 0:
            self._oldest = self.last_tag + 1
            deliveries = list(unacked.values())
            unacked.clear()
            return deliveries
        if tag not in unacked:
            raise precondition_failed(f"unknown delivery tag {tag}")
        if not multiple:
            return [unacked.pop(tag)]
        tags = range(self._oldest, tag + 1)
        self._oldest = tag + 1
        return [unacked.pop(outstanding) for outstanding in tags if outstanding in unacked]

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """Have deliveries outstanding again, each in the place of its tag (TX-09)."""
        outstanding = sorted((*self.unacked.values(), *deliveries), key=lambda delivery: delivery.tag)
        self.unacked.clear()
        for delivery in outstanding:
            self.unacked[delivery.tag] = delivery
        if outstanding:
            self._oldest = outstanding[0].tag

    # reports from queues

    def credit(self, ready: int, *, at_once: bool = False) -> None:
        """Answer basic.credit: so many messages are ready."""
        send = self.output.method if at_once else self.output.queue_method
        send(self.number, BasicCreditOk(ready))

    def drained(self, consumer: Consumer, credit: int, *, at_once: bool = False) -> None:
        """Tell that nothing is ready, and so much credit is lost."""
        send = self.output.method if at_once else self.output.queue_method
        send(self.number, BasicCreditDrained(consumer.tag, credit))

    def timed_out(self) -> None:
        """Close the channel, because a delivery was not acknowledged in time."""
        text = (
            f"delivery acknowledgement on channel {self.number} timed out. Timeout value used: -1 ms. "
            "This timeout value can be configured, see consumers doc guide to learn more"
        )
        self.output.fail_channel(self.number, AMQPError(ReplyCode.PRECONDITION_FAILED, text, blame=False))

    def crash(self) -> None:
        """End the connection with 541 after the command in hand, as RabbitMQ does when its channel process crashes.

        The channel sends nothing more. Deliveries on their way to it come back.
        """
        output, self.output = self.output, Unheard()
        channel = self.connection.channels.get(self.number)
        if channel is not None and channel.sink is self:
            channel.output = self.output
        self.connection.vhost.node.pending.append(lambda: output.crash(self.number))

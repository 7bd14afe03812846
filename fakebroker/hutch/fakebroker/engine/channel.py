"""A channel's state: its consumers, what it has not acknowledged, its limits and modes.

The methods of AMQP that act on it are in :mod:`hutch.fakebroker.engine.commands`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from hutch.fakebroker.engine.access.permissions import Access
from hutch.fakebroker.engine.ack_timeout import AckTimeout
from hutch.fakebroker.engine.confirms import Confirms
from hutch.fakebroker.engine.connection import Connection, Output, Unheard
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.errors import HardError, precondition_failed
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.publishers import Standing
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.shared_limit import SharedLimit, serve_waiting
from hutch.fakebroker.engine.targets import Publisher
from hutch.fakebroker.engine.transactions import ACKED, Outcome, Transaction
from hutch.fakebroker.engine.unsent import STEP, Unsent


class Delivery:
    """A message handed to the client, not acknowledged yet. ``consumer`` is ``None`` for one from basic.get."""

    __slots__ = ("consumer", "entry", "queue", "tag")

    def __init__(self, tag: int, queue: Queue, entry: Entry, consumer: Consumer | None) -> None:
        self.tag = tag
        self.queue = queue
        self.entry = entry
        self.consumer = consumer


class Channel(Publisher):
    """One open channel.

    ``prefetch`` is what consumers started from now on get; ``shared_limit`` the limit over the whole channel where the
    profile has that (QOS-06), ``None`` for none. ``confirms`` is what it tells its publisher once it is in confirm
    mode, ``transaction`` what a transactional channel holds back. ``publishes`` counts publishes; ``read`` is the
    connection's read that the last one came with, and ``credit_ends`` the one at which the channel hears its queues,
    be there more at hand or not. ``last_queue`` is the queue declared last, which an empty name stands for
    (EXCH-BIND-12, EXCH-BIND-13). ``reply_queue`` is where replies to its requests go, if it consumes those (RPC).
    ``unsent`` is what queues have handed to it and not heard of as sent.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection: Final = connection
        self.vhost: Final = connection.vhost
        self.number: Final = number
        #: Who makes a fact happen that comes of this channel.
        self.origin: Final = Origin(connection.name, number, connection.user)
        self.output: Output = connection.output
        self.access: Final = Access(connection)
        self.consumers: Final[dict[str, Consumer]] = {}
        self.unsent: Final[dict[Queue, Unsent]] = {}
        self.last_queue: str | None = None
        self.reply_queue: ReplyQueue | None = None
        self.prefetch = 0
        self.shared_limit: SharedLimit | None = None
        self.confirms: Confirms | None = None
        self.publishes = 0
        self.read = -1
        self.credit_ends = 0
        self._words: list[tuple[Standing, bool]] = []
        self.transaction: Transaction | None = None
        self._delivery_tag = 0
        # Delivery tags are consecutive, so "all up to a tag" is a walk from the oldest one that may be outstanding,
        # which no tag is met on twice: a sorted container would cost more on every delivery and give nothing.
        self._unacked: dict[int, Delivery] = {}
        self._oldest = 1
        profile = self.vhost.node.profile
        timeout = None if profile.has_consumer_timeouts else profile.consumer_timeout
        #: What closes the channel when it keeps a delivery for too long; ``None`` where nothing does.
        self.ack_timeout: Final = None if timeout is None else AckTimeout(self, timeout)
        connection.channels[number] = self
        #: How many consumers ended with it.
        self._ended = 0
        self.vhost.node.journal.channel_opened(self.origin, connection)

    def deliver(self, consumer: Consumer, entry: Entry) -> None:
        """Send a message to a consumer, which is known to have credit."""
        self._delivery_tag = tag = self._delivery_tag + 1
        queue = consumer.queue
        message = entry.message
        if not consumer.no_ack:
            self._unacked[tag] = Delivery(tag, queue, entry, consumer)
            consumer.unacked += 1
            queue.unacked += 1
            if self.shared_limit is not None and queue.has_shared_limit:
                self.shared_limit.unacked += 1
        if consumer.credit is not None:
            consumer.credit -= 1
        vhost = self.vhost
        vhost.node.journal.delivered(self.origin, vhost, queue, message, consumer.tag, tag, entry.redelivered)
        self.output.deliver(self.number, consumer, tag, entry.redelivered, message)
        if (unsent := consumer.unsent) is not None:
            unsent.count += 1
            if unsent.count == STEP:
                unsent.step()

    def deliver_reply(self, queue: ReplyQueue, message: Message) -> None:
        """Send a reply to the channel's reply consumer; there is nothing to acknowledge (RPC-06)."""
        tag = self._delivery_tag + 1
        if self.vhost.node.profile.has_volatile_queues:
            self._delivery_tag = tag
        self.vhost.node.journal.delivered(self.origin, self.vhost, queue, message, queue.tag, tag, False)
        self.output.deliver(self.number, queue, tag, False, message)

    def hand_out(self, queue: Queue, entry: Entry, no_ack: bool) -> int:
        """Count a message that basic.get takes; its delivery tag. Limits do not count it (QOS-05)."""
        self._delivery_tag += 1
        if not no_ack:
            if self.ack_timeout is not None:
                self.ack_timeout.watch()
            self._unacked[self._delivery_tag] = Delivery(self._delivery_tag, queue, entry, None)
            queue.unacked += 1
        self.vhost.node.journal.got(self.origin, queue, entry.message, self._delivery_tag, entry.redelivered)
        return self._delivery_tag

    def outstanding(self, queue: Queue) -> list[Delivery]:
        """The deliveries from a queue that are not acknowledged, oldest first."""
        return [delivery for delivery in self._unacked.values() if delivery.queue is queue]

    # what queues tell

    def tell(self, standing: Standing, is_full: bool) -> None:
        """Hear a queue's word, behind what is at hand of what the client has sent (QUORUM-13)."""
        if self.connection.reading:
            self._words.append((standing, is_full))
            self.connection.waiting[self] = None
        else:
            standing.hear(is_full)

    def hear(self) -> None:
        """Come to what queues have told: that they are full, or not, and what they confirm."""
        words, self._words = self._words, []
        for standing, is_full in words:
            standing.hear(is_full)
        if self.confirms is not None:
            self.confirms.flush()

    # acknowledgements

    @property
    def last_tag(self) -> int:
        """The delivery tag given last, 0 before the first."""
        return self._delivery_tag

    @property
    def oldest_unacked(self) -> float:
        """The delivery tag that waits longest for its acknowledgement; infinity when none does."""
        return next(iter(self._unacked), math.inf)

    def _settle(self, tag: int, multiple: bool) -> list[Delivery]:
        """Take out the delivery of that tag, or with ``multiple`` all up to it, oldest first; 0 stands for all.

        Raises:
            SoftError: 406, no such delivery is outstanding (ACK-01 to ACK-03).
        """
        unacked = self._unacked
        if multiple and tag == 0:
            self._oldest = self._delivery_tag + 1
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

    def ack(self, tag: int, multiple: bool) -> None:
        """Acknowledge; see :meth:`_settle` for the errors."""
        if not multiple and self.transaction is None and self.shared_limit is None:
            delivery = self._unacked.get(tag)
            if delivery is not None and (consumer := delivery.consumer) is not None and not consumer.blocked:
                # As most are: one delivery, and nobody waits for the credit.
                del self._unacked[tag]
                queue = delivery.queue
                self.vhost.node.journal.acked(self.origin, queue, delivery.entry.message)
                queue.unacked -= 1
                consumer.unacked -= 1
                return
        deliveries = self._settle(tag, multiple)
        if self.transaction is None:
            self._ack(deliveries)
        else:
            self.transaction.decide(ACKED, deliveries)

    def refuse(self, tag: int, *, multiple: bool, requeue: bool, failed: bool) -> None:
        """Requeue or dead-letter; see :meth:`_settle` for the errors and
        :class:`~hutch.fakebroker.engine.transactions.Outcome` for the rest.
        """
        deliveries = self._settle(tag, multiple)
        outcome = Outcome(acked=False, requeue=requeue, failed=failed)
        if self.transaction is None:
            try:
                self.check_outcome(outcome, deliveries)
            except HardError:
                self.restore(deliveries)
                raise
            self.carry_out(outcome, deliveries)
        else:
            self.transaction.decide(outcome, deliveries)

    def check_outcome(self, outcome: Outcome, deliveries: Iterable[Delivery]) -> None:
        """Refuse what cannot be carried out.

        Raises:
            HardError: a queue takes nothing back (STREAM-11).
        """
        if not outcome.acked:
            for queue in {delivery.queue: None for delivery in deliveries}:
                queue.check_return(recovering=False)

    def carry_out(self, outcome: Outcome, deliveries: Sequence[Delivery]) -> None:
        """Do with deliveries, which are not outstanding any more, what the client decided."""
        if outcome.acked:
            self._ack(deliveries)
        elif outcome.requeue:
            for settlement in self._settlements(deliveries):
                for queue in self._requeue(settlement, failed=outcome.failed):
                    queue.dispatch()
            self._free_shared(deliveries)
        else:
            self._discard(deliveries, failed=outcome.failed)

    def _ack(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self.vhost.node.journal.acked(self.origin, delivery.queue, delivery.entry.message)
        for settlement in self._settlements(deliveries):
            for queue in self._release(settlement):
                queue.dispatch()
        self._free_shared(deliveries)

    def _settlements(self, deliveries: Sequence[Delivery]) -> Sequence[Sequence[Delivery]]:
        """What queues are told one after the other of deliveries that are settled at once: those of each consumer by
        themselves, in the order of the queues' names and then the consumers' tags, each basic.get being one before them
        (ACK-02, STREAM-10).
        """
        if len(deliveries) == 1:
            return [deliveries]
        groups: dict[tuple[str, str, int], list[Delivery]] = {}
        for delivery in deliveries:
            who = ("", delivery.tag) if delivery.consumer is None else (delivery.consumer.tag, 0)
            groups.setdefault((delivery.queue.name, *who), []).append(delivery)
        return [groups[key] for key in sorted(groups)]

    def _discard(self, deliveries: Sequence[Delivery], *, failed: bool) -> None:
        for settlement in self._settlements(deliveries):
            for delivery in settlement:
                queue, entry = delivery.queue, delivery.entry
                self.vhost.node.journal.rejected(self.origin, queue, entry.message)
                queue.discard(entry, failed=failed)
            for queue in self._release(settlement):
                queue.dispatch()
        self._free_shared(deliveries)

    # the limit that consumers share

    def share_prefetch(self, count: int) -> bool:
        """Have the consumers share a limit from now on, 0 for none; whether some may have waited for the one before,
        and :func:`~hutch.fakebroker.engine.shared_limit.serve_waiting` is to serve them.
        """
        before = self.shared_limit
        waited = before is not None and before.is_reached
        if not count:
            self.shared_limit = None
        elif before is None:
            # What basic.get fetched counts too, although it gives no room back (QOS-05).
            self.shared_limit = SharedLimit(count, len(self._unacked))
        else:
            before.prefetch = count
        return waited and (self.shared_limit is None or not self.shared_limit.is_reached)

    def _free_shared(self, deliveries: Iterable[Delivery]) -> None:
        """Give back the room under the shared limit that settled deliveries took, behind all that their queues do."""
        if self.shared_limit is not None:
            settled = sum(delivery.consumer is not None for delivery in deliveries)
            if self.shared_limit.free(settled):
                serve_waiting(self)

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """Have deliveries outstanding again, each in the place of its tag (TX-09)."""
        outstanding = sorted((*self._unacked.values(), *deliveries), key=lambda delivery: delivery.tag)
        self._unacked = {delivery.tag: delivery for delivery in outstanding}
        if outstanding:
            self._oldest = outstanding[0].tag
            if self.ack_timeout is not None:
                self.ack_timeout.watch()

    def recover(self, reply: Callable[[], None]) -> None:
        """Requeue all that is not acknowledged (ACK-10). The reply comes before the redeliveries, but behind what a
        queue serves at once.

        Raises:
            HardError: a queue takes nothing back (STREAM-11).
        """
        for queue in {delivery.queue: None for delivery in self._unacked.values()}:
            queue.check_return(recovering=True)
        outcome = Outcome(acked=False, requeue=True, failed=not self.vhost.node.profile.hands_back)
        deliveries = self._settle(0, multiple=True)
        self.carry_out(outcome, [delivery for delivery in deliveries if delivery.queue.serves_at_once])
        reply()
        self.carry_out(outcome, [delivery for delivery in deliveries if not delivery.queue.serves_at_once])

    def _requeue(self, deliveries: Iterable[Delivery], *, failed: bool, lost: bool = False) -> Iterable[Queue]:
        by_queue: dict[Queue, list[Entry]] = {}
        for delivery in deliveries:
            by_queue.setdefault(delivery.queue, []).append(delivery.entry)
        # Whoever got credit back is in the rotation before the messages are in the queue, as in RabbitMQ.
        waiting = self._release(deliveries)
        for queue, entries in by_queue.items():
            queue.requeue(entries, self.origin, failed=failed, lost=lost)
        return dict.fromkeys([*by_queue, *waiting])

    def _release(self, deliveries: Iterable[Delivery]) -> Iterable[Queue]:
        """Give back the credit that deliveries took; the queues whose consumers have some again."""
        freed: dict[Consumer, None] = {}
        for delivery in deliveries:
            delivery.queue.unacked -= 1
            consumer = delivery.consumer
            if consumer is not None:
                consumer.unacked -= 1
                if consumer.blocked and (credited := consumer.queue.credited(consumer)) is not None:
                    freed[credited] = None
        queues: dict[Queue, None] = {}
        for consumer in freed:
            consumer.queue.unblock(consumer)
            queues[consumer.queue] = None
        return queues

    def end_consumers(self) -> Iterable[Queue]:
        """End the consumers, because the channel or its connection ends; the queues to dispatch, where another consumer
        may be active now.
        """
        queues: dict[Queue, None] = {}
        self._ended += len(self.consumers)
        self.vhost.node.journal.consumers_ended(self.origin, self.consumers.values())
        for consumer in list(self.consumers.values()):
            del self.consumers[consumer.tag]
            consumer.queue.remove_consumer(consumer)
            queues[consumer.queue] = None
        return queues

    def crash(self) -> None:
        """Say nothing more, and end the connection with 541 after the command in hand, as RabbitMQ does when its
        process for the channel ends; what is on its way there comes back.
        """
        output, self.output = self.output, Unheard()
        self.vhost.node.pending.append(lambda: output.crash(self.number))

    @property
    def closed(self) -> bool:
        """Whether it is open no more."""
        return self.connection.channels.get(self.number) is not self

    def close(self) -> None:
        """End the consumers and requeue what is not acknowledged (CHAN-11)."""
        self.connection.channels.pop(self.number, None)
        if self.connection.waiting:
            self.connection.waiting.pop(self, None)
        if self.reply_queue is not None:
            self.vhost.node.replies.end(self.reply_queue)
        queues = self.end_consumers()
        if self.transaction is not None:
            self.restore(self.transaction.deliveries)
        if self.ack_timeout is not None:
            self.ack_timeout.stop()
        lost = sorted(
            self._settle(0, multiple=True),
            key=lambda delivery: delivery.queue.requeue_order(delivery.consumer, delivery.tag),
        )
        returned = self._requeue(lost, failed=True, lost=True)
        for queue in (*returned, *queues):
            queue.dispatch()
        self.vhost.node.journal.channel_closed(self.origin, self._ended)

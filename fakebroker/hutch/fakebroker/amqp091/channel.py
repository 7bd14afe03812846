"""A channel's state: its consumers, what it has not acknowledged, its limits and modes.

The methods of AMQP that act on it are in :mod:`hutch.fakebroker.amqp091.commands`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from hutch.fakebroker.amqp091.ack_timeout import AckTimeout
from hutch.fakebroker.amqp091.channel_sink import ChannelSink
from hutch.fakebroker.amqp091.confirms import Confirms
from hutch.fakebroker.amqp091.connection import AMQPConnection
from hutch.fakebroker.amqp091.output import Output
from hutch.fakebroker.amqp091.shared_limit import SharedLimit, serve_waiting
from hutch.fakebroker.amqp091.transactions import ACKED, Outcome, Transaction
from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.deliveries import Delivery, TypedDelivery
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.targets import Publisher, Standing, Target


class Channel(Publisher):
    """One open channel.

    ``sink`` is what queues know of it; it has the deliveries that are not settled. ``prefetch`` is the limit of
    consumers that start from now on. ``confirms`` are its publisher confirms once it is in confirm mode.
    ``transaction`` is what a transactional channel holds back. ``publishes`` counts publishes. ``read`` is the number
    of the connection's read that brought the last one. At publish number ``credit_ends`` the channel hears its queues,
    even if more publishes are at hand. ``last_queue`` is the queue declared last, which an empty name
    stands for (EXCH-BIND-12, EXCH-BIND-13). ``reply_queue`` is where replies to its requests go, if it consumes those
    (RPC).
    """

    def __init__(self, connection: AMQPConnection, number: int) -> None:
        self.connection: Final = connection
        self.vhost: Final = connection.vhost
        self.number: Final = number
        self.output: Output = connection.output
        self.after_input: Final = connection.after_input
        self.sink: Final = ChannelSink(connection, number)
        #: The origin that the journal records for what this channel does.
        self.origin: Final = self.sink.origin
        self.consumers: Final = self.sink.consumers
        self._unacked: Final = self.sink.unacked
        #: The actor of the commands of this channel's client.
        self.actor: Final = Actor(
            connection.vhost, self.origin, username=connection.user, tags=connection.tags, connection=connection
        )
        self.last_queue: str | None = None
        self.reply_queue: ReplyQueue | None = None
        self.prefetch = 0
        self.confirms: Confirms | None = None
        self.publishes = 0
        self.read = -1
        self.credit_ends = 0
        self._words: list[tuple[Standing, bool]] = []
        self.transaction: Transaction | None = None
        profile = self.vhost.node.profile
        timeout = None if profile.quorum.has_consumer_timeouts else profile.queues.consumer_timeout
        #: Closes the channel when a delivery stays unacknowledged for too long; ``None`` if there is no such timeout.
        self.ack_timeout: Final = None if timeout is None else AckTimeout(self, timeout)
        connection.channels[number] = self
        #: Number of consumers that ended with the channel.
        self._ended = 0
        self.vhost.node.journal.channel_opened(self.origin, connection)

    def hand_out(self, queue: Queue, entry: Entry, no_ack: bool) -> int:
        """Count a message that basic.get takes; its delivery tag. Limits do not count it (QOS-05)."""
        sink = self.sink
        sink.last_tag = tag = sink.last_tag + 1
        if not no_ack:
            if self.ack_timeout is not None:
                self.ack_timeout.watch()
            sink.unacked[tag] = TypedDelivery(tag, queue, entry, None, sink)
        self.vhost.node.journal.got(self.origin, queue, entry.message, tag, entry.redelivered, no_ack)
        return tag

    # reports from queues

    def tell(self, standing: Standing, is_full: bool) -> None:
        """Hear a queue's word, behind what is at hand of what the client has sent (QUORUM-13)."""
        if self.after_input.reading:
            self._words.append((standing, is_full))
            self.after_input.waiting[self] = None
        else:
            standing.hear(is_full)

    def hear(self) -> None:
        """Come to what queues have told: that they are full, or not, and what they confirm."""
        words, self._words = self._words, []
        for standing, is_full in words:
            standing.hear(is_full)
        if self.confirms is not None:
            self.confirms.flush()

    @property
    def reference(self) -> Origin:
        """Its origin."""
        return self.origin

    # the state of the node

    def go_on(self, successors: Mapping[Target, Target]) -> None:
        """Go on, although all queues were replaced. Deliveries take no credit of consumers and no room under the limit
        that these share. A transaction publishes to the successors of the queues; one that has none is a queue that was
        deleted (TX-15).
        """
        sink, deliveries = self.sink, list(self._unacked.values())
        if self.transaction is not None:
            deliveries += self.transaction.deliveries
            self.transaction.go_on(successors)
        if sink.shared_limit is not None:
            counted = (each for each in deliveries if each.consumer is not None and each.queue.has_shared_limit)
            sink.shared_limit.unacked -= sum(1 for _ in counted)
        for delivery in deliveries:
            delivery.consumer = None
        sink.unsent.clear()

    # acknowledgements

    def ack(self, tag: int, multiple: bool) -> None:
        """Acknowledge.

        Raises:
            BrokerError: 406, no such delivery is outstanding (ACK-01 to ACK-03).
        """
        if not multiple and tag in self._unacked and self.transaction is None and self.sink.shared_limit is None:
            delivery = self._unacked[tag]
            consumer = delivery.consumer
            if consumer is not None and not consumer.blocked:
                # The fast path, usual for an ack: one delivery, and no consumer waits for its credit.
                del self._unacked[tag]
                self.vhost.node.journal.acked(self.origin, delivery.queue, delivery.entry.message)
                delivery.settle()
                return
        deliveries = self.sink.settle(tag, multiple)
        if self.transaction is None:
            self.carry_out(ACKED, deliveries)
        else:
            self.transaction.decide(ACKED, deliveries)

    def refuse(self, tag: int, *, multiple: bool, requeue: bool, failed: bool) -> None:
        """Requeue or dead-letter; see :class:`~hutch.fakebroker.amqp091.transactions.Outcome`.

        Raises:
            BrokerError: 406, no such delivery is outstanding (ACK-01 to ACK-03); a queue takes nothing back
                (STREAM-11).
        """
        deliveries = self.sink.settle(tag, multiple)
        outcome = Outcome(acked=False, requeue=requeue, failed=failed)
        if self.transaction is None:
            try:
                self.check_outcome(outcome, deliveries)
            except BrokerError:
                self.restore(deliveries)
                raise
            self.carry_out(outcome, deliveries)
        else:
            self.transaction.decide(outcome, deliveries)

    def check_outcome(self, outcome: Outcome, deliveries: Iterable[Delivery]) -> None:
        """Refuse what cannot be carried out.

        Raises:
            BrokerError: a queue takes nothing back (STREAM-11).
        """
        if not outcome.acked:
            for queue in {delivery.queue: None for delivery in deliveries}:
                queue.check_return(recovering=False)

    def carry_out(self, outcome: Outcome, deliveries: Sequence[Delivery]) -> None:
        """Settle deliveries as the client decided; they are not outstanding any more.

        Each queue serves the consumers that regained credit before the next queue is informed. The limit that
        consumers share has room only after all of them.
        """
        if outcome.acked:
            for delivery in deliveries:
                self.vhost.node.journal.acked(self.origin, delivery.queue, delivery.entry.message)
        for settlement in self._settlements(deliveries):
            if outcome.acked:
                queues = self._release(settlement)
            elif outcome.requeue:
                queues = self._requeue(settlement, failed=outcome.failed)
            else:
                queues = self._discard(settlement, failed=outcome.failed)
            for queue in queues:
                queue.dispatch()
        self._free_shared(deliveries)

    def _settlements(self, deliveries: Sequence[Delivery]) -> Sequence[Sequence[Delivery]]:
        """Deliveries that are settled at once, in groups that the queues get one after the other.

        Each basic.get is a group of its own. Then each consumer is one, by queue name and consumer tag (ACK-02,
        STREAM-10).
        """
        if len(deliveries) == 1:
            return [deliveries]
        groups: dict[tuple[str, str, int], list[Delivery]] = {}
        for delivery in deliveries:
            who = ("", delivery.tag) if delivery.consumer is None else (delivery.consumer.tag, 0)
            groups.setdefault((delivery.queue.name, *who), []).append(delivery)
        return [groups[key] for key in sorted(groups)]

    # the limit that consumers share

    def share_prefetch(self, count: int) -> bool:
        """Have the consumers share a limit from now on, 0 for none; whether some may have waited for the one before,
        and :func:`~hutch.fakebroker.amqp091.shared_limit.serve_waiting` is to serve them.
        """
        sink = self.sink
        before = sink.shared_limit
        waited = before is not None and before.is_reached
        if not count:
            sink.shared_limit = None
        elif before is None:
            # Deliveries of basic.get count too, although settling them frees no room (QOS-05).
            sink.shared_limit = SharedLimit(count, len(self._unacked))
        else:
            before.prefetch = count
        return waited and (sink.shared_limit is None or not sink.shared_limit.is_reached)

    def _free_shared(self, deliveries: Iterable[Delivery]) -> None:
        """Give back the room under the shared limit that settled deliveries took, behind all that their queues do."""
        shared = self.sink.shared_limit
        if shared is not None:
            settled = sum(delivery.consumer is not None for delivery in deliveries)
            if shared.free(settled):
                serve_waiting(self)

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """Have deliveries outstanding again, each in the place of its tag (TX-09)."""
        self.sink.restore(deliveries)
        if self._unacked and self.ack_timeout is not None:
            self.ack_timeout.watch()

    def recover(self, reply: Callable[[], None]) -> None:
        """Requeue all that is not acknowledged (ACK-10). The reply comes before the redeliveries, but behind what a
        queue serves at once.

        Raises:
            BrokerError: a queue takes nothing back (STREAM-11).
        """
        for queue in {delivery.queue: None for delivery in self._unacked.values()}:
            queue.check_return(recovering=True)
        outcome = Outcome(acked=False, requeue=True, failed=not self.connection.profile.hands_back)
        deliveries = self.sink.settle(0, multiple=True)
        self.carry_out(outcome, [delivery for delivery in deliveries if delivery.queue.serves_at_once])
        reply()
        self.carry_out(outcome, [delivery for delivery in deliveries if not delivery.queue.serves_at_once])

    def _requeue(self, deliveries: Iterable[Delivery], *, failed: bool, lost: bool = False) -> Iterable[Queue]:
        by_queue: dict[Queue, list[Entry]] = {}
        for delivery in deliveries:
            entries = by_queue.setdefault(delivery.queue, [])
            if not delivery.revoked:
                entries.append(delivery.entry)
        # As in RabbitMQ, consumers that regain credit enter the rotation before the messages are back in the queue.
        waiting = self._release(deliveries, returned=True)
        for queue, entries in by_queue.items():
            queue.requeue(entries, self.origin, failed=failed, lost=lost)
        return dict.fromkeys([*by_queue, *waiting])

    def _discard(self, deliveries: Iterable[Delivery], *, failed: bool) -> Iterable[Queue]:
        for delivery in deliveries:
            queue, entry = delivery.queue, delivery.entry
            self.vhost.node.journal.rejected(self.origin, queue, entry.message)
            if not delivery.revoked:
                queue.discard(entry, failed=failed)
        return self._release(deliveries)

    def _release(self, deliveries: Iterable[Delivery], *, returned: bool = False) -> Iterable[Queue]:
        """Give back the credit that deliveries took; the queues whose consumers have some again."""
        freed: dict[Consumer, None] = {}
        for delivery in deliveries:
            delivery.settle()
            consumer = delivery.consumer
            if consumer is not None and consumer.blocked:
                credited = consumer.queue.credited(delivery, returned=returned)
                if credited is not None:
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
        consumers = list(self.consumers.values())
        self._ended += len(consumers)
        self.vhost.node.journal.consumers_ended(self.origin, consumers)
        for consumer in consumers:
            del self.consumers[consumer.tag]
            consumer.queue.remove_consumer(consumer)
            queues[consumer.queue] = None
        return queues

    @property
    def closed(self) -> bool:
        """Whether it is open no more."""
        return self.connection.channels.get(self.number) is not self

    def close(self) -> None:
        """End the consumers and requeue what is not acknowledged (CHAN-11)."""
        self.connection.channels.pop(self.number, None)
        if self.after_input.waiting:
            self.after_input.waiting.pop(self, None)
        if self.reply_queue is not None:
            self.vhost.node.replies.end(self.reply_queue)
            self.reply_queue = None
        queues = self.end_consumers()
        if self.transaction is not None:
            self.restore(self.transaction.deliveries)
        if self.ack_timeout is not None:
            self.ack_timeout.stop()
        lost = sorted(
            self.sink.settle(0, multiple=True),
            key=lambda delivery: delivery.queue.requeue_order(delivery.consumer, delivery.tag),
        )
        returned = self._requeue(lost, failed=True, lost=True)
        for queue in (*returned, *queues):
            queue.dispatch()
        self.vhost.node.journal.channel_closed(self.origin, self._ended)

"""The quorum queue (QUORUM; https://www.rabbitmq.com/docs/quorum-queues), as a cluster of one node has it. It counts
how often a delivery came back, and drops a message of which too many did.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from hutch.fakebroker.engine.clock import Timer, moment
from hutch.fakebroker.engine.deliveries import TypedDelivery
from hutch.fakebroker.engine.errors import not_implemented
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.at_least_once import AtLeastOnce
from hutch.fakebroker.engine.queues.consumer_timeouts import ConsumerTimeouts
from hutch.fakebroker.engine.queues.publishers import Publishers
from hutch.fakebroker.engine.queues.queue import RequeueOrder, TypedQueue
from hutch.fakebroker.engine.queues.quorum_consumer import QuorumConsumer
from hutch.fakebroker.engine.queues.quorum_delayed import Delayed
from hutch.fakebroker.engine.queues.quorum_ready import QuorumEntry, QuorumReady, expires_at, load_quorum_entry
from hutch.fakebroker.engine.queues.quorum_refusals import no_condition, no_get
from hutch.fakebroker.engine.queues.quorum_state import QuorumState
from hutch.fakebroker.engine.queues.settings import Settings
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import Contents, EntryState
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.targets import Publisher
    from hutch.fakebroker.engine.vhost import VHost

#: The priority of a message without one, in versions with priorities (QUORUM-11).
_DEFAULT_PRIORITY: Final = 4
#: quorum_tick_interval: how often it looks whether x-expires is over, seconds.
_TICK: Final = 5.0


class QuorumQueue(TypedQueue[QuorumConsumer, QuorumEntry]):
    """One quorum queue of a vhost."""

    type: ClassVar = "quorum"
    consumer_type = QuorumConsumer
    refuses_at_once: ClassVar[bool] = True

    def __init__(
        self,
        vhost: "VHost",
        name: str,
        *,
        durable: bool = True,
        owner: "Connection | None" = None,
        auto_delete: bool = False,
        arguments: FieldTable,
    ) -> None:
        self._profile: Final = vhost.node.profile.quorum
        self._ready: Final = QuorumReady(self._profile.priorities, watches_levels=self._profile.priorities > 1)
        self._delayed: Final = Delayed()
        self._positions = 0
        #: How many consumers it has had.
        self._arrivals = 0
        self._wake_up: Timer | None = None
        self._publishers: Final = Publishers(self)
        self._created_at = vhost.node.clock.monotonic()
        self._used_at = self._created_at
        super().__init__(vhost, name, durable=durable, owner=owner, auto_delete=auto_delete, arguments=arguments)
        self.forwards = self._dead = AtLeastOnce(self)
        self._timeouts: Final = ConsumerTimeouts(self)

    def __len__(self) -> int:
        """How many messages are ready."""
        return self._ready.count

    @property
    def messages(self) -> list[Message]:
        """The ready messages, head first."""
        return [entry.original for entry in self._ready]

    # messages in and out

    def publish(self, message: Message, publisher: "Publisher | None" = None) -> bool:
        """Take in a message, and hand it on at once where a consumer waits; ``False`` if this publisher has heard that
        the queue is full (QUORUM-13). A channel's first message arrives behind all else that the command does
        (QUORUM-12).
        """
        if publisher is None:
            return self.publish_dead(message)
        if self._refuses(publisher):
            return False
        self._publishers.receive(publisher, message)
        return True

    def publish_dead(self, message: Message, publisher: "Publisher | None" = None) -> bool:
        """The same for a dead letter, which never waits."""
        if publisher is not None and self._refuses(publisher):
            return False
        self.take_in(message)
        return True

    def _refuses(self, publisher: "Publisher") -> bool:
        standing = self._publishers.get(publisher) or self._publishers.add(publisher, self._rejects and self._is_full)
        return self._rejects and standing.is_full

    def take_in(self, message: Message) -> None:
        """Take in a message that has arrived."""
        self._positions += 1
        at = expires_at(message, self.settings.message_ttl, self.vhost.node.clock.monotonic())
        entry = QuorumEntry(self._positions, message, at)
        priority = message.properties.values.get("priority")
        self._ready.append(entry, priority if isinstance(priority, int) else _DEFAULT_PRIORITY)
        self.dispatch()

    def _deliverable(self, entry: QuorumEntry, consumer: QuorumConsumer | None, now: float) -> QuorumEntry:
        """The entry as it is delivered, or fetched for no ``consumer``; its time begins ``now``."""
        if self._profile.has_consumer_timeouts:
            asked = None if consumer is None else consumer.arguments.get("x-consumer-timeout")
            timeout = asked / 1000 if isinstance(asked, int) else self.settings.consumer_timeout
            self._timeouts.watch(entry, now, timeout)
        entry.tell_counts(
            self.vhost.node.envelopes, counts_acquired=self._profile.counts_acquired, got=consumer is None
        )
        return entry

    def take(self) -> QuorumEntry | None:
        """Take the head out for a basic.get; ``None`` when nothing is ready.

        Raises:
            BrokerError: 405, there is a single active consumer (GET-07).
        """
        if self.single_active:
            printed = '<<"quorum">>' if self.vhost.node.profile.arguments.names_queue_type else "quorum"
            raise no_get(self.vhost.name, self.name, printed)
        self._used_at = now = self.vhost.node.clock.monotonic()
        self.drop_expired()
        entry = self._ready.pop()
        self._evaluate()
        return None if entry is None else self._deliverable(entry, None, now)

    def requeue(self, entries: Sequence[QuorumEntry], by: Origin, *, failed: bool, lost: bool = False) -> None:
        """Take deliveries back, before all others and in the order in which they come (ACK-08), or drop those that came
        back too often (QUORUM-05).
        """
        if self.deleted:
            return
        for entry in entries:
            entry.redelivered = True
            entry.acquired += 1
            entry.failures += failed
            if entry.failed_too_often(self.settings.delivery_limit, self._profile.default_delivery_limit):
                self._die(entry, "delivery_limit")
            else:
                self.vhost.node.journal.requeued(by, self, entry.original)
                self._put_back(entry, failed=failed, lost=lost)

    def _put_back(self, entry: QuorumEntry, *, failed: bool, lost: bool) -> None:
        retry = self.settings.delayed_retry if self._profile.has_delayed_retry else None
        if retry is not None and retry.concerns(failed):
            delay = min(retry.least * max(entry.failures, 1), retry.most)
            self._delayed.add(moment(self.vhost.node.clock.monotonic() + delay), entry)
        elif self._profile.requeues_to_tail and self.settings.delivery_limit is None and not lost:
            self._ready.append(entry, _DEFAULT_PRIORITY)
            self.dispatch()  # each returned message is served by itself
        else:
            self._ready.put_back(entry)

    def discard(self, entry: QuorumEntry, *, failed: bool) -> None:
        """Dead-letter a delivery that was refused."""
        if not self.deleted:
            entry.failures += failed
            self._die(entry, "rejected")
            self._evaluate()

    def _die(self, entry: QuorumEntry, reason: str) -> None:
        if self.settings.dead_letters_at_least_once:
            self._dead.add(entry, reason)
        else:
            self.vhost.dead_letter(self, entry.original, reason, entry.failures)

    def purge(self) -> int:
        """Remove what is ready, or will be; how many messages that was."""
        self.drop_expired()
        count = self._ready.clear() + self._delayed.clear()
        if self._profile.purges_dead_letters:
            count += self._dead.clear()
        self._evaluate()
        return count

    def dispatch(self) -> None:
        """Hand out ready messages while somebody has credit, each consumer's together; then act on the limits."""
        deliveries: list[tuple[QuorumConsumer, QuorumEntry]] = []
        while True:
            self.drop_expired()
            if not self._ready.count or (consumer := self._rotation.next()) is None:
                break
            if (entry := self._ready.pop()) is not None:
                consumer.promised += 1
                deliveries.append((consumer, entry))
                if not consumer.has_credit():
                    self._rotation.block(consumer)
        if len(deliveries) > 1:
            deliveries.sort(key=lambda delivery: self.requeue_order(delivery[0], 0))
        now = self.vhost.node.clock.monotonic() if deliveries else 0.0  # all are late at the same moment
        for consumer, entry in deliveries:
            consumer.promised -= 1
            if consumer.crashes:
                consumer.sink.crash()
            consumer.sink.deliver(consumer, self._deliverable(entry, consumer, now))
        self._evaluate()

    # policies and restarts

    def change_settings(self, settings: Settings) -> None:
        """Go by other settings, for policies came or went."""
        super().change_settings(settings)
        self._dead.settings_changed()
        self.dispatch()

    def stop(self) -> None:
        """Stand still; all messages are on disk (QUORUM-16)."""
        super().stop()
        self._timeouts.stop()
        self._wake_up_at(None)

    def dump_contents(self, dumping: Dumping) -> Contents:
        """What it has as data."""
        return QuorumState(
            self._ready.dump(dumping),
            self._delayed.dump(dumping),
            self._positions,
            self._arrivals,
            dumping.moment(self._created_at),
            dumping.moment(self._used_at),
            dumping.timer(self._wake_up),
            self._dead.dump(dumping),
            self._publishers.dump(),
        )

    def load_contents(self, contents: Contents, loading: Loading) -> None:
        """Have what was dumped."""
        assert isinstance(contents, QuorumState)
        self._ready.load(contents.rows, loading)
        self._delayed.load(contents.delayed, loading)
        self._positions, self._arrivals = contents.positions, contents.arrivals
        self._created_at, self._used_at = loading.moment(contents.created_at), loading.moment(contents.used_at)
        self._wake_up = loading.timer(contents.wake_up, self._on_wake_up)
        self._dead.load(contents.dead, loading)
        for state in contents.publishers:
            known = state.publisher
            publisher = loading.publishers.get((self.vhost.name, known) if isinstance(known, str) else known)
            if publisher is not None:
                self._publishers.load(publisher, state)

    def load_entry(self, state: EntryState, loading: Loading) -> QuorumEntry:
        """An entry that was dumped."""
        return load_quorum_entry(state, loading)

    # limits

    @property
    def _rejects(self) -> bool:
        # reject-publish-dlx does not exist for quorum queues: they drop the head (QUEUE-ARG-12).
        return self.settings.bounded and self.settings.overflow == "reject-publish"

    @property
    def _is_full(self) -> bool:
        """Whether it holds too much; neither deliveries nor dead letters that were handed on count."""
        return self.settings.is_exceeded(self._count, self.held_bytes)

    @property
    def _count(self) -> int:
        return self._ready.count + len(self._delayed) + self._dead.count

    @property
    def held_bytes(self) -> int:
        """What the limits count, bytes."""
        return self._ready.size + self._delayed.size + self._dead.size

    def _evaluate(self) -> None:
        """Act on the limits, and set the timer anew, after all that changes what is ready."""
        if self._rejects:
            self._tell_publishers()
        elif self.settings.bounded:
            node, dropped = self.vhost.node, []
            while self._is_full and (entry := self._ready.pop()) is not None:
                node.journal.overflowed(self, entry.original)
                dropped.append(entry)
            for entry in reversed(dropped) if node.profile.quorum.overflow_is_reversed else dropped:
                self._die(entry, "maxlen")
        self._set_alarm()

    def _tell_publishers(self) -> None:
        """Tell publishers that the queue is full, or that it has room again."""
        full = self._is_full
        if not full and not self.settings.has_room(self._count, self.held_bytes):
            return
        self._publishers.tell(full, but=self._dead if self._profile.keeps_dead_letters_to_itself else None)

    # time

    def drop_expired(self) -> None:
        """Dead-letter what has expired, and let be ready what has waited for that long enough."""
        now = self.vhost.node.clock.monotonic()
        while self._delayed and (ready := self._delayed.pop(now)) is not None:
            self._ready.put_back(ready)
        for row in self._ready.watched():
            while row and (at := row[0].expires_at) is not None and at <= now:
                entry = self._ready.pop_from(row)
                self.vhost.node.journal.expired(self, entry.original)
                self._die(entry, "expired")

    def _set_alarm(self) -> None:
        """Wake up when the next message expires, or is ready again."""
        moments = [row[0].expires_at for row in self._ready.watched()]
        if self._delayed:
            moments.append(self._delayed.soonest)
        self._wake_up_at(min((at for at in moments if at is not None), default=None))

    def _wake_up_at(self, at: float | None) -> None:
        timers, timer = self.vhost.node.timers, self._wake_up
        if timer is None or timer.at != at:
            if timer is not None:
                timers.cancel(timer)
            self._wake_up = None if at is None else timers.set_at(at, self._on_wake_up)

    def _on_wake_up(self) -> None:
        self._wake_up = None
        if not self.deleted:
            self.dispatch()

    def redeclared(self) -> None:
        """The queue was declared, passively or not, which does not prolong its lease."""
        self.drop_expired()

    def renew_lease(self) -> None:
        """Begin x-expires anew; whether it is over is looked for every five seconds."""
        self._used_at = now = self.vhost.node.clock.monotonic()
        if self.settings.expires is not None and self._lease is None:
            ticks = math.floor((now - self._created_at) / _TICK) + 1
            self._lease = self.vhost.node.timers.set_at(moment(self._created_at + ticks * _TICK), self._lease_is_due)

    def _lease_is_due(self) -> None:
        self._lease = None
        now = self.vhost.node.clock.monotonic()
        if self.deleted or self.settings.expires is None:
            return
        if self.consumer_count == 0 and now > self._used_at + self.settings.expires:
            self.vhost.delete_queue(self)
        else:
            self._lease = self.vhost.node.timers.set_at(moment(now + _TICK), self._lease_is_due)

    # consumers

    @property
    def consumer_count(self) -> int:
        """The number of consumers in declare-ok. With a single active consumer, only that one counts, unless it has a
        revoked delivery, and all with outstanding deliveries; each basic.get is one (CONSUME-27).
        """
        active = [] if self._active is None or self._active.revoked else [self._active]
        counted: set[object] = {*(active if self.single_active else self.consumers)}
        counted.update(delivery.consumer or delivery for delivery in self.deliveries)
        return len(counted)

    def requeue_order(self, consumer: QuorumConsumer | None, delivery_tag: int) -> RequeueOrder:
        """By their tags, or as they came and then each basic.get, whose tag is that of its delivery."""
        tag = str(delivery_tag) if consumer is None else consumer.tag
        if self._profile.consumers_by_tag:
            return 0, tag.encode()
        return (self._arrivals + 1, tag.encode()) if consumer is None else (consumer.arrival, b"")

    def check_consumer(self, consumer: QuorumConsumer) -> None:
        """540 on a channel that has a limit over all its consumers (QOS-09)."""
        if consumer.sink.has_shared_limit:
            raise not_implemented(f"queue '{self.name}' in vhost '{self.vhost.name}' does not support global qos")

    def add_consumer(self, consumer: QuorumConsumer) -> None:
        """Put a consumer into the rotation; call :meth:`dispatch` to have it served."""
        self._arrivals += 1
        consumer.arrive(self._arrivals)
        before = None if self.single_active else self._predecessor(consumer)
        if before is not None:
            consumer.take_over(before)
            consumer.crashes = self._profile.crashes_on_reused_tag
        super().add_consumer(consumer)
        self._let_higher_take_over()

    def _predecessor(self, consumer: QuorumConsumer) -> QuorumConsumer | None:
        """Who had a consumer's tag, ended, and has deliveries outstanding."""
        having = (delivery.consumer for delivery in self.deliveries if delivery.sink is consumer.sink)
        return next((one for one in having if one and one.tag == consumer.tag and one not in self.consumers), None)

    def limit(self, consumer: QuorumConsumer, credit: int, *, drain: bool) -> None:  # noqa: ARG002
        """Let a consumer have what it is granted alone. RabbitMQ 3.10 serves it, and crashes."""
        consumer.credit = max(credit, 0)
        if consumer.credit:
            consumer.no_ack = False  # nobody is left to acknowledge its deliveries
            if self.single_active:
                consumer.sink.crash()

    def begin(self, consumer: QuorumConsumer) -> None:
        """Serve a consumer that was added, whose channel crashes where it came with credit."""
        if consumer.credit:
            consumer.sink.crash()
        super().begin(consumer)

    def grant(self, consumer: QuorumConsumer, credit: int, *, drain: bool) -> None:
        """Let a consumer have so many deliveries more, of which those count that it was told it has lost; how many are
        ready behind them is told first.
        """
        self.drop_expired()
        waits = self.single_active and consumer is not self._active
        given = consumer.grant(credit)
        served = 0 if waits else min(given, self._ready.count)
        consumer.sink.credit(self._ready.count - served)
        if drain and not waits:
            consumer.sink.drained(consumer, given - served)
        self.unblock(consumer)
        self.dispatch()
        if drain and not waits:
            consumer.lose(given - served)

    def credited(
        self, delivery: TypedDelivery[QuorumConsumer, QuorumEntry], *, returned: bool
    ) -> QuorumConsumer | None:
        """The consumer. One of which a revoked delivery is returned waits on, unless there is a single active one
        (CONSUME-27).
        """
        return None if returned and delivery.revoked and not self.single_active else delivery.consumer

    def unblock(self, consumer: QuorumConsumer) -> None:
        """Put a consumer back into the rotation, if it may have more deliveries."""
        if self.single_active and consumer is not self._active:
            consumer.blocked = False
        elif not self._let_higher_take_over():
            super().unblock(consumer)

    def suspend(self, consumer: QuorumConsumer) -> bool:
        """Cancel a consumer, and serve it no more until it has settled deliveries that the queue has taken back;
        whether it is one still and its client wants to know.
        """
        if consumer not in self.consumers:
            return False
        if not consumer.sink.cancelled(consumer):
            return False
        self._rotation.block(consumer)
        if consumer is self._active and (following := self._next_active()) is not consumer:
            consumer.blocked = True
            self._activate(following)
        return True

    def _next_active(self) -> QuorumConsumer:
        if not self._profile.single_active_by_priority:
            return next(iter(self.consumers))
        return max(self.consumers, key=lambda consumer: (not consumer.revoked, consumer.priority, consumer.limit))

    def _let_higher_take_over(self) -> bool:
        """Have the single active consumer replaced by one of higher priority, or wait for that until nothing is
        outstanding (CONSUME-30); whether one is to take over.
        """
        active = self._active
        if active is None or not self._profile.single_active_by_priority:
            return False
        following = self._next_active()
        if following.priority <= active.priority or following is active:
            return False
        if active.unacked:
            self._rotation.block(active)
        else:
            self._rotation.remove(active)
            self._activate(following)
        return True

    @property
    def serves_next_on_cancel(self) -> bool:
        """Whether ready messages go to the next single active consumer at once."""
        return True

    # the end

    def check_delete(self, *, if_unused: bool, if_empty: bool) -> int:
        """540 for any condition (QUEUE-DELETE-07)."""
        for condition, name in ((if_unused, "if-unused"), (if_empty, "if-empty")):
            if condition:
                raise no_condition(self.vhost.name, self.name, name)
        return self._ready.count

    def close(self) -> None:
        """Forget everything, once the vhost has let go of the queue."""
        super().close()
        self._wake_up_at(None)
        self._ready.clear()
        self._delayed.clear()
        self._dead.clear()
        self._timeouts.stop()

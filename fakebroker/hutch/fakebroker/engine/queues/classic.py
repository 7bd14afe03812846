"""The classic queue: ready messages in order, handed out in turn, dropped when they expire or are too many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from hutch.fakebroker.engine.clock import Timer, moment
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.deliveries import TypedDelivery
from hutch.fakebroker.engine.errors import precondition_failed, refused
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.queue import TypedQueue
from hutch.fakebroker.engine.queues.ready_messages import Entry, Ready, RowState, load_entry
from hutch.fakebroker.engine.queues.settings import Settings
from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import ConsumerState, Contents, EntryState, TimerState
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.targets import Publisher
    from hutch.fakebroker.engine.vhost import VHost


@dataclass(frozen=True)
class ClassicState:
    """The ready messages of a classic queue, in a row for each priority, the lowest first. ``positions`` is the
    position given last, ``expiry`` the timer of the head.
    """

    rows: tuple[RowState, ...]
    positions: int
    expiry: TimerState | None
    is_drained: bool


class ClassicQueue(TypedQueue[Consumer, Entry]):
    """One classic queue of a vhost."""

    type: ClassVar = "classic"
    has_shared_limit: ClassVar = True

    def __init__(
        self,
        vhost: "VHost",
        name: str,
        *,
        durable: bool = False,
        owner: "Connection | None" = None,
        auto_delete: bool = False,
        arguments: FieldTable,
    ) -> None:
        super().__init__(vhost, name, durable=durable, owner=owner, auto_delete=auto_delete, arguments=arguments)
        max_priority = arguments.get("x-max-priority")
        least = vhost.node.profile.queues.least_max_priority
        self._ready: Final = Ready(max(max_priority, least) if isinstance(max_priority, int) else 0)
        self._positions = 0
        self._expiry: Timer | None = None
        #: Whether a consumer drains: it asked to be told when there are no more messages.
        self._is_drained = False

    def __len__(self) -> int:
        """How many messages are ready."""
        return self._ready.count

    @property
    def messages(self) -> list[Message]:
        """The ready messages, head first."""
        return [entry.message for entry in self._ready]

    @property
    def held_bytes(self) -> int:
        """How many bytes the bodies of the ready messages have."""
        return self._ready.body_bytes

    # messages in and out

    def publish(self, message: Message, publisher: "Publisher | None" = None) -> bool:  # noqa: ARG002
        """Take in a message, and hand it on at once where a consumer waits; ``False`` if the queue is full and
        refuses.
        """
        settings = self.settings
        if settings.rejects and self._is_full(1, len(message.body)):
            if settings.overflow == "reject-publish-dlx":
                self.vhost.dead_letter(self, message, "maxlen", message.failures)
            return False
        self._positions = position = self._positions + 1
        expires_at = None
        ttl = message.envelope.ttl
        if ttl is not None or settings.message_ttl is not None:
            expires_at = self._expires_at(ttl)
        entry = Entry(position, message, expires_at)
        if not self._ready.count:
            consumer = self._rotation.next()
            if consumer is not None:
                entry.redelivered = False  # also for a dead letter with failed deliveries (DLX-03)
                consumer.sink.deliver(consumer, entry)
                return True
        if settings.message_ttl == 0 and settings.dead_letter_exchange is None:
            # With a TTL of 0 from a policy, it does not wait behind messages that are older than the policy (TTL-03).
            self.vhost.node.journal.expired(self, message)
            self.vhost.dead_letter(self, message, "expired", message.failures)
            return True
        if settings.lazy:
            self._write(entry)
        self._ready.append(entry)
        if settings.drops_head and self._is_full():
            self._drop_overflow()
            # Another message is the head now. It may have expired while it was behind the old head.
            self._drop_expired()
        elif expires_at is not None and self._ready.count == 1:
            # A message that overtakes others because of its priority expires unnoticed until a message is taken out
            # (TTL-01).
            self._drop_expired()
        return True

    def _write(self, entry: Entry) -> None:
        """Have a message on disk, where that makes a difference."""
        if self.vhost.node.profile.queues.forgets_expiration_on_disk and not entry.message.written:
            entry.message = entry.message.from_disk()

    def _write_all(self) -> None:
        for entry in self._ready:
            self._write(entry)

    def _is_full(self, messages: int = 0, body_bytes: int = 0) -> bool:
        """Whether that much more would be too much; ready messages count, unacknowledged ones do not (DLX-24)."""
        ready = self._ready
        return self.settings.is_exceeded(ready.count + messages, ready.body_bytes + body_bytes)

    def _drop_overflow(self) -> None:
        """Dead-letter from the head until the rest fits (DLX-20, DLX-23, PRIO-07)."""
        while self._is_full() and (entry := self._ready.pop()) is not None:
            self.vhost.node.journal.overflowed(self, entry.message)
            self.vhost.dead_letter(self, entry.message, "maxlen", entry.failures)

    def _expires_at(self, message_ttl: int | None) -> float:
        # The smaller of the two counts (TTL-02).
        seconds = self.settings.message_ttl
        if message_ttl is not None:
            seconds = message_ttl / 1000 if seconds is None else min(message_ttl / 1000, seconds)
        return moment(self.vhost.node.clock.monotonic() + (seconds or 0))

    def take(self) -> Entry | None:
        """Take the head out for a basic.get, and what has expired behind it; ``None`` when nothing is ready."""
        entry = self._ready.pop()
        self._drop_expired()
        self._end_draining()
        return entry

    def requeue(
        self,
        entries: Sequence[Entry],
        by: Origin,
        *,
        failed: bool,
        lost: bool = False,  # noqa: ARG002
    ) -> None:
        """Take deliveries back, each to its old place (ACK-07). Then drop what exceeds the limit, even if a consumer
        could take it (DLX-24).
        """
        if self.deleted:
            return
        for entry in entries:
            entry.redelivered = True
            entry.failures += failed
            if self.settings.lazy:
                self._write(entry)
            self._ready.put_back(entry)
            self.vhost.node.journal.requeued(by, self, entry.message)
        if self.settings.drops_head:
            self._drop_overflow()
        self._drop_expired()

    def purge(self) -> int:
        """Remove what is ready; how many messages that was."""
        count = self._ready.clear()
        self._end_draining()
        return count

    def dispatch(self) -> None:
        """Hand out ready messages while somebody has credit."""
        while self._ready.count and (consumer := self._rotation.next()) is not None:
            self._hand_out(consumer)

    def dispatch_one(self) -> bool:
        """Hand out one ready message, if somebody has credit; whether somebody had."""
        if not self._ready.count or (consumer := self._rotation.next()) is None:
            return False
        self._hand_out(consumer)
        return True

    def _hand_out(self, consumer: Consumer) -> None:
        entry = self._ready.pop()
        self._drop_expired()
        self._end_draining()
        if entry is not None:
            consumer.sink.deliver(consumer, entry)

    def change_settings(self, settings: Settings) -> None:
        """Go by other settings, and drop at once what is too much then, unless publishes were rejected before and still
        are (POLICY-04). Messages that are there keep the time they have (TTL-06); one that has expired is noticed now.
        """
        drops = "drop-head" in {self.settings.overflow, settings.overflow}
        super().change_settings(settings)
        if settings.lazy:
            self._write_all()
        if drops:
            self._drop_overflow()
        self._drop_expired()

    # consumers

    def check_consumer(self, consumer: Consumer) -> None:
        """Refuse who cannot share, or cannot be alone (CONSUME-09 to CONSUME-13)."""
        # Where a single consumer is active, none can be exclusive, not even the first (CONSUME-13).
        if not self.consumers and not self.single_active:
            return
        if consumer.exclusive or any(other.exclusive for other in self.consumers):
            raise refused(f"queue '{self.name}' in vhost '{self.vhost.name}' in exclusive use")

    def add_consumer(self, consumer: Consumer) -> None:
        """Put a consumer into the rotation, from which it goes while its sink has no room."""
        consumer.sink.begin(consumer)
        super().add_consumer(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Take a consumer out; what it has outstanding is of use to the next one of its tag."""
        if consumer in self.consumers:
            consumer.sink.end(consumer)
        super().remove_consumer(consumer)
        consumer.blocked = True

    def credited(self, delivery: TypedDelivery[Consumer, Entry], *, returned: bool) -> Consumer | None:  # noqa: ARG002
        """The consumer, or who has its tag now, which gets room even beyond its prefetch (QOS-02)."""
        consumer = delivery.consumer
        heir = None if consumer is None else consumer.sink.consumers.get(consumer.tag)
        if heir is consumer:
            return consumer
        if heir is None or heir.queue is not self:
            return None
        heir.unacked -= 1
        return heir if heir.blocked else None

    def unblock(self, consumer: Consumer) -> None:
        """Put a consumer back into the rotation, with all of its sink that are held up by the limit they share."""
        if consumer.sink.has_shared_limit:
            self.readmit(consumer.sink)
        else:
            super().unblock(consumer)

    def readmit(self, sink: Sink) -> bool:
        """Put the consumers of a sink that have credit of their own back into the rotation, in the order in which
        they were blocked; whether there were any.
        """
        waiting = [
            consumer
            for consumer in sink.consumers.values()
            if consumer.queue is self and consumer.blocked and consumer.has_own_credit()
        ]
        for consumer in sorted(waiting, key=lambda consumer: consumer.blocked_as):
            self._rotation.add(consumer)
        return bool(waiting)

    def limit(self, consumer: Consumer, credit: int, *, drain: bool) -> None:
        """Let a consumer have so many deliveries; acknowledgements add none."""
        consumer.credit = credit
        consumer.draining = drain
        if drain:
            self._is_drained = True
            if not self._ready.count:
                consumer.sink.crash()

    def grant(self, consumer: Consumer, credit: int, *, drain: bool) -> None:
        """The same for one that is there, and whose client is told how many messages are ready."""
        consumer.sink.credit(self._ready.count)
        self.limit(consumer, credit, drain=drain)
        if consumer.blocked and consumer.has_credit():
            self._rotation.add(consumer)
            self.dispatch()

    def _end_draining(self) -> None:
        """End the channels of draining consumers that have credit left.

        RabbitMQ 3.10 crashes when it reports to them that the queue is empty, even ahead of the delivery that takes
        the last message.
        """
        if self._is_drained and not self._ready.count:
            for consumer in self.consumers:
                if consumer.draining and consumer.credit:
                    consumer.sink.crash()

    # state

    def dump_contents(self, dumping: Dumping) -> Contents:
        """The ready messages as data."""
        return ClassicState(self._ready.dump(dumping), self._positions, dumping.timer(self._expiry), self._is_drained)

    def load_contents(self, contents: Contents, loading: Loading) -> None:
        """Have what was dumped."""
        assert isinstance(contents, ClassicState)
        self._ready.load(contents.rows, loading)
        self._positions = contents.positions
        self._expiry = loading.timer(contents.expiry, self._expire_head)
        self._is_drained = contents.is_drained

    def load_entry(self, state: EntryState, loading: Loading) -> Entry:
        """An entry that was dumped."""
        return load_entry(state, loading)

    def load_consumers(self, consumers: Mapping[Consumer, ConsumerState]) -> None:
        """Have these consumers."""
        for consumer in consumers:
            consumer.sink.begin(consumer)
        super().load_consumers(consumers)

    # restarts

    def stop(self) -> None:
        """Stand still, and keep the persistent messages alone (RESTART-02)."""
        super().stop()
        for lost in self._ready.keep(lambda message: message.properties.values.get("delivery_mode") == 2):
            self.vhost.node.journal.dropped(self, lost)
        for entry in self._ready:
            # Of deliveries only the failed ones are on disk. Unacknowledged deliveries have failed. 4.3 may stop before
            # it notes that, depending on what its queue hears first.
            entry.redelivered = entry.failures > 0
        self._write_all()
        if self._expiry is not None:
            self.vhost.node.timers.cancel(self._expiry)
            self._expiry = None

    def start(self) -> None:
        """Go on: what has expired meanwhile is dropped (RESTART-07), and x-expires begins anew."""
        self._drop_expired()
        super().start()

    # expiry

    def drop_expired(self) -> None:
        """Nothing: the queue drops what has expired when it notices."""

    def _drop_expired(self) -> None:
        """Dead-letter what has expired at the head, and note when the next head does; behind a live message even the
        expired wait (TTL-01).
        """
        head = self._ready.head()
        if head is None or head.expires_at is None:
            return
        now = self.vhost.node.clock.monotonic()
        while head is not None and head.expires_at is not None and head.expires_at <= now:
            self._ready.pop()
            self.vhost.node.journal.expired(self, head.message)
            self.vhost.dead_letter(self, head.message, "expired", head.failures)
            head = self._ready.head()
        if head is None or head.expires_at is None:
            return
        timers = self.vhost.node.timers
        if self._expiry is not None:
            if self._expiry.at <= head.expires_at:
                return
            timers.cancel(self._expiry)
        self._expiry = timers.set_at(head.expires_at, self._expire_head)

    def _expire_head(self) -> None:
        self._expiry = None
        if not self.deleted:
            self._drop_expired()
            self._end_draining()

    # the end

    def check_delete(self, *, if_unused: bool, if_empty: bool) -> int:
        """406 where messages are ready, or consumers there (QUEUE-DELETE-03, QUEUE-DELETE-04)."""
        if if_empty and self._ready.count:
            raise precondition_failed(f"queue '{self.name}' in vhost '{self.vhost.name}' not empty")
        if if_unused and self.consumers:
            raise precondition_failed(f"queue '{self.name}' in vhost '{self.vhost.name}' in use")
        return self._ready.count

    def close(self) -> None:
        """Forget everything, once the vhost has let go of the queue."""
        super().close()
        if self._expiry is not None:
            self.vhost.node.timers.cancel(self._expiry)
        self._ready.clear()

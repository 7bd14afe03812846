"""The classic queue: ready messages in order, who consumes them, when they and the queue itself expire."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.clock import Timer, moment
from hutch.fakebroker.engine.consumers import Consumer, Rotation
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.ready import Entry, Ready
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.vhost import VHost


class Queue:
    """One classic queue of a vhost; ``arguments`` are valid (:mod:`hutch.fakebroker.engine.arguments`)."""

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
        self.vhost: Final = vhost
        self.name: Final = name
        self.durable: Final = durable
        #: The connection it is exclusive to, ``None`` where it is not exclusive.
        self.owner: Final = owner
        self.auto_delete: Final = auto_delete
        self.arguments: Final = arguments
        self.message_ttl: Final = _milliseconds(arguments.get("x-message-ttl"))
        self.expires: Final = _milliseconds(arguments.get("x-expires"))
        self.dead_letter_exchange: Final = _text(arguments.get("x-dead-letter-exchange"))
        self.dead_letter_routing_key: Final = _text(arguments.get("x-dead-letter-routing-key"))
        self.incoming: Final[dict[tuple[object, ...], Binding]] = {}
        self.consumers: Final[dict[Consumer, None]] = {}
        #: How many deliveries wait for their acknowledgement.
        self.unacked = 0
        self.deleted = False
        self._max_length: Final = _number(arguments.get("x-max-length"))
        self._max_length_bytes: Final = _number(arguments.get("x-max-length-bytes"))
        overflow = _text(arguments.get("x-overflow")) or "drop-head"
        bounded = self._max_length is not None or self._max_length_bytes is not None
        #: What it does when it is full; neither where it has no limit.
        self._drops_head: Final = bounded and overflow == "drop-head"
        self._rejects: Final = bounded and overflow != "drop-head"
        self._dead_letters_rejected: Final = overflow == "reject-publish-dlx"
        #: Whether one consumer at a time is served, the next one when that ends (CONSUME-29).
        self.single_active: Final = arguments.get("x-single-active-consumer") is True
        self._active: Consumer | None = None
        self._rotation: Final = Rotation()
        max_priority = _number(arguments.get("x-max-priority"))
        least = vhost.node.profile.least_max_priority
        self._ready: Final = Ready(0 if max_priority is None else max(max_priority, least))
        self._positions = 0
        self._expiry: Timer | None = None
        self._lease: Timer | None = None
        self.renew_lease()

    def __len__(self) -> int:
        """How many messages are ready."""
        return self._ready.count

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"

    @property
    def messages(self) -> list[Message]:
        """The ready messages, head first."""
        return [entry.message for entry in self._ready]

    # messages in and out

    def publish(self, message: Message) -> bool:
        """Take in a message, and hand it on at once where a consumer waits; ``False`` if the queue is full and
        refuses.
        """
        if self._rejects and self._is_full(1, len(message.body)):
            if self._dead_letters_rejected:
                self.vhost.dead_letter(self, message, "maxlen")
            return False
        self._positions += 1
        expires_at = None
        ttl = message.envelope.ttl
        if ttl is not None or self.message_ttl is not None:
            expires_at = self._expires_at(ttl)
        entry = Entry(self._positions, message, expires_at)
        if not self._ready.count:
            consumer = self._rotation.next()
            if consumer is not None:
                consumer.channel.deliver(consumer, entry)
                return True
        self._ready.append(entry)
        if self._drops_head and self._is_full():
            self._drop_overflow()
            # Another message is the head now, and it may have expired behind the one that was.
            self.drop_expired()
            self._watch_head()
        elif expires_at is not None:
            self._watch_head()
        return True

    def _is_full(self, messages: int = 0, body_bytes: int = 0) -> bool:
        """Whether that much more would be too much; ready messages count, unacknowledged ones do not (DLX-24)."""
        ready = self._ready
        return (self._max_length is not None and ready.count + messages > self._max_length) or (
            self._max_length_bytes is not None and ready.body_bytes + body_bytes > self._max_length_bytes
        )

    def _drop_overflow(self) -> None:
        """Dead-letter from the head until the rest fits (DLX-20, DLX-23, PRIO-07)."""
        while self._is_full() and (entry := self._ready.pop()) is not None:
            self.vhost.node.history.record("overflowed", self.vhost.name, self.name, entry.message)
            self.vhost.dead_letter(self, entry.message, "maxlen")

    def _expires_at(self, message_ttl: int | None) -> float:
        # The smaller of the two holds (TTL-02).
        seconds = min(ttl for ttl in (_milliseconds(message_ttl), self.message_ttl) if ttl is not None)
        return moment(self.vhost.node.clock.monotonic() + seconds)

    def take(self) -> Entry | None:
        """Take the head out for a basic.get; ``None`` when nothing is ready."""
        self.drop_expired()
        entry = self._ready.pop()
        self._watch_head()
        return entry

    def requeue(self, entries: Sequence[Entry]) -> None:
        """Take deliveries back, each to where it stood (ACK-07), and drop what is too much then, whoever waits for it
        (DLX-24); call :meth:`dispatch` to hand on the rest.
        """
        if self.deleted:
            return
        record = self.vhost.node.history.record
        for entry in entries:
            entry.redelivered = True
            self._ready.put_back(entry)
            record("requeued", self.vhost.name, self.name, entry.message)
        if self._drops_head:
            self._drop_overflow()

    def purge(self) -> int:
        """Remove what is ready; how many messages that was."""
        count = self._ready.clear()
        self.vhost.node.history.record("purged", self.vhost.name, self.name, detail=count)
        return count

    def dispatch(self) -> None:
        """Hand out ready messages while somebody has credit."""
        while True:
            self.drop_expired()
            if not self._ready.count:
                return
            consumer = self._rotation.next()
            if consumer is None:
                break
            entry = self._ready.pop()
            if entry is not None:
                consumer.channel.deliver(consumer, entry)
        self._watch_head()

    # consumers

    def add_consumer(self, consumer: Consumer) -> None:
        """Put a consumer into the rotation; call :meth:`dispatch` to have it served."""
        self.consumers[consumer] = None
        if not self.single_active:
            self._rotation.add(consumer)
        elif self._active is None:
            self._activate(consumer)
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)
            self._lease = None

    def remove_consumer(self, consumer: Consumer) -> None:
        """Take a consumer out; call :meth:`dispatch` to have the one that is active then served.

        With its last consumer an auto-delete queue goes (QUEUE-AUTODEL-02).
        """
        if consumer not in self.consumers:
            return
        del self.consumers[consumer]
        self._rotation.remove(consumer)
        if self._active is consumer:
            self._active = None
            if self.consumers:
                # The first of the highest priority, although that does not count while another is active (CONSUME-30).
                self._activate(max(self.consumers, key=lambda waiting: waiting.priority))
        if not self.consumers:
            if self.auto_delete:
                self.vhost.delete_queue(self)
            else:
                self.renew_lease()

    def _activate(self, consumer: Consumer) -> None:
        self._active = consumer
        self._rotation.add(consumer)

    def unblock(self, consumer: Consumer) -> None:
        """Put a consumer back into the rotation, if it has credit again; call :meth:`dispatch` to have it served."""
        if consumer.blocked and consumer.has_credit:
            self._rotation.add(consumer)

    @property
    def exclusive_consumer(self) -> Consumer | None:
        """The consumer that has the queue to itself, if one has."""
        return next((consumer for consumer in self.consumers if consumer.exclusive), None)

    # expiry

    def renew_lease(self) -> None:
        """Begin x-expires anew: the queue was declared, got from, or lost its last consumer (QUEUE-EXPIRES-01, -02)."""
        if self.expires is None or self.consumers:
            return
        timers = self.vhost.node.timers
        if self._lease is not None:
            timers.cancel(self._lease)
        self._lease = timers.set(self.expires, self._end_lease)

    def _end_lease(self) -> None:
        self._lease = None
        if not self.deleted and not self.consumers:
            self.vhost.delete_queue(self)

    def drop_expired(self) -> None:
        """Dead-letter what has expired at the head; behind a live message even the expired wait (TTL-01)."""
        head = self._ready.head()
        if head is None or head.expires_at is None:
            return
        now = self.vhost.node.clock.monotonic()
        while head is not None and head.expires_at is not None and head.expires_at <= now:
            self._ready.pop()
            self.vhost.node.history.record("expired", self.vhost.name, self.name, head.message)
            self.vhost.dead_letter(self, head.message, "expired")
            head = self._ready.head()

    def _watch_head(self) -> None:
        head = self._ready.head()
        timers = self.vhost.node.timers
        if head is None or head.expires_at is None:
            return
        if self._expiry is not None:
            if self._expiry.at <= head.expires_at:
                return
            timers.cancel(self._expiry)
        self._expiry = timers.set_at(head.expires_at, self._expire_head)

    def _expire_head(self) -> None:
        self._expiry = None
        if not self.deleted:
            self.drop_expired()
            self._watch_head()

    def close(self) -> None:
        """Forget everything, once the vhost has let go of the queue."""
        self.deleted = True
        for timer in (self._expiry, self._lease):
            if timer is not None:
                self.vhost.node.timers.cancel(timer)
        self._ready.clear()


def _milliseconds(value: object) -> float | None:
    """An argument in ms as seconds."""
    return value / 1000 if isinstance(value, int) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

"""The classic queue: ready messages in order, who consumes them, when they and the queue itself expire."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sortedcontainers import SortedKeyList

from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.clock import Timer
from hutch.fakebroker.engine.consumers import Consumer, Rotation
from hutch.fakebroker.engine.message import Message
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.vhost import VHost


class Entry:
    """A message's place in one queue. ``expires_at`` is monotonic seconds, ``None`` for never."""

    __slots__ = ("expires_at", "message", "position", "redelivered")

    def __init__(self, position: int, message: Message, expires_at: float | None) -> None:
        self.position = position
        self.message = message
        self.expires_at = expires_at
        self.redelivered = message.redelivered


def _position(entry: Entry) -> int:
    return entry.position


class Queue:
    """One classic queue of a vhost.

    Ready messages stand in two rows. What was never delivered waits in ``_fresh``, in order of arrival. What came back
    waits in ``_returned``, by original position: only the head is ever delivered, so all of it belongs before
    ``_fresh`` (ACK-07).
    """

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
        self._rotation: Final = Rotation()
        self._fresh: deque[Entry] = deque()
        self._returned: SortedKeyList[Entry] = SortedKeyList(key=_position)
        self._positions = 0
        self._expiry: Timer | None = None
        self._lease: Timer | None = None
        self.renew_lease()

    def __len__(self) -> int:
        """How many messages are ready."""
        return len(self._fresh) + len(self._returned)

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"

    @property
    def messages(self) -> list[Message]:
        """The ready messages, head first."""
        return [entry.message for entry in (*self._returned, *self._fresh)]

    # messages in and out

    def publish(self, message: Message) -> None:
        """Take in a message, and hand it on at once where a consumer waits."""
        self._positions += 1
        expires_at = None
        ttl = message.envelope.ttl
        if ttl is not None or self.message_ttl is not None:
            expires_at = self._expires_at(ttl)
        entry = Entry(self._positions, message, expires_at)
        if not self._fresh and not self._returned:
            consumer = self._rotation.next()
            if consumer is not None:
                consumer.channel.deliver(consumer, entry)
                return
        self._fresh.append(entry)
        if expires_at is not None:
            self._watch_head()

    def _expires_at(self, message_ttl: int | None) -> float:
        # The smaller of the two holds (TTL-02).
        seconds = min(ttl for ttl in (_milliseconds(message_ttl), self.message_ttl) if ttl is not None)
        return self.vhost.node.clock.monotonic() + seconds

    def take(self) -> Entry | None:
        """Take the head out for a basic.get; ``None`` when nothing is ready."""
        self.drop_expired()
        entry = self._pop()
        self._watch_head()
        return entry

    def _pop(self) -> Entry | None:
        if self._returned:
            entry: Entry = self._returned.pop(0)
            return entry
        return self._fresh.popleft() if self._fresh else None

    def _head(self) -> Entry | None:
        if self._returned:
            entry: Entry = self._returned[0]
            return entry
        return self._fresh[0] if self._fresh else None

    def requeue(self, entries: Sequence[Entry]) -> None:
        """Take deliveries back, each to where it stood (ACK-07); call :meth:`dispatch` to hand them on."""
        if self.deleted:
            return
        record = self.vhost.node.history.record
        for entry in entries:
            entry.redelivered = True
            self._returned.add(entry)
            record("requeued", self.vhost.name, self.name, entry.message)

    def purge(self) -> int:
        """Remove what is ready; how many messages that was."""
        count = len(self)
        self._fresh.clear()
        self._returned.clear()
        self.vhost.node.history.record("purged", self.vhost.name, self.name, detail=count)
        return count

    def dispatch(self) -> None:
        """Hand out ready messages while somebody has credit."""
        while True:
            self.drop_expired()
            if not self._fresh and not self._returned:
                return
            consumer = self._rotation.next()
            if consumer is None:
                break
            entry = self._pop()
            if entry is not None:
                consumer.channel.deliver(consumer, entry)
        self._watch_head()

    # consumers

    def add_consumer(self, consumer: Consumer) -> None:
        """Put a consumer into the rotation; call :meth:`dispatch` to have it served."""
        self.consumers[consumer] = None
        self._rotation.add(consumer)
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)
            self._lease = None

    def remove_consumer(self, consumer: Consumer) -> None:
        """Take a consumer out. With its last consumer an auto-delete queue goes (QUEUE-AUTODEL-02)."""
        if consumer not in self.consumers:
            return
        del self.consumers[consumer]
        self._rotation.remove(consumer)
        if not self.consumers:
            if self.auto_delete:
                self.vhost.delete_queue(self)
            else:
                self.renew_lease()

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
        head = self._head()
        if head is None or head.expires_at is None:
            return
        now = self.vhost.node.clock.monotonic()
        while head is not None and head.expires_at is not None and head.expires_at <= now:
            self._pop()
            self.vhost.node.history.record("expired", self.vhost.name, self.name, head.message)
            self.vhost.dead_letter(self, head.message, "expired")
            head = self._head()

    def _watch_head(self) -> None:
        head = self._head()
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
        self._fresh.clear()
        self._returned.clear()


def _milliseconds(value: object) -> float | None:
    """An argument in ms as seconds."""
    return value / 1000 if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

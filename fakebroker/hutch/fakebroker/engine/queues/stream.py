"""The stream: a log that consumers read, each from where it likes, and that reading takes nothing from (STREAM)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from hutch.fakebroker.engine.clock import Timer
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.errors import BrokerError, internal_error, not_implemented, precondition_failed
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.message_properties import Envelope
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.queue import TypedQueue
from hutch.fakebroker.engine.queues.settings import Settings
from hutch.fakebroker.engine.queues.stream_log import Log, Record, SegmentState
from hutch.fakebroker.engine.queues.stream_offsets import begin
from hutch.fakebroker.engine.queues.stream_properties import Stored
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import ConsumerState, Contents, EntryState, QueueState, TimerState
from hutch.wire.fields import FieldTable, FieldValue, type_name

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.targets import Publisher
    from hutch.fakebroker.engine.vhost import VHost

#: The bytes of a message in RabbitMQ's file beside body, properties and address: the head of its chunk, the sections of
#: AMQP 1.0, its publisher. RabbitMQ's figure differs by some tens of bytes.
_OVERHEAD: Final = 140


@dataclass(frozen=True)
class StreamState:
    """The log of a stream. ``retention`` is the timer by which old segments go."""

    segments: tuple[SegmentState, ...]
    next_offset: int
    segment_bytes: int
    retention: TimerState | None


class _Reader:
    """Where a consumer is: ``credit`` is how many messages it may get, ``position`` the offset it goes on at.

    ``filters`` are the filter values it wants, the empty one for messages without any; ``None``: it wants all.
    """

    __slots__ = ("consumer", "credit", "filters", "position")

    def __init__(self, consumer: Consumer, position: int, filters: frozenset[bytes] | None) -> None:
        self.consumer = consumer
        self.credit = consumer.prefetch
        self.position = position
        self.filters = filters


class StreamQueue(TypedQueue[Consumer, Record]):
    """One stream of a vhost."""

    type: ClassVar = "stream"
    serves_at_once: ClassVar = True

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
        self._log = Log()
        self._profile: Final = vhost.node.profile.streams
        #: Its readers, in the order in which they are served.
        self._readers: dict[Consumer, _Reader] = {}
        #: The newest readers, which were not served yet.
        self._beginners: list[_Reader] = []
        #: The number of outstanding deliveries, by consumer, also of consumers that ended.
        self._outstanding: Final[dict[Consumer, int]] = {}
        self._stored: tuple[Envelope, Stored] | None = None
        self._retention: Timer | None = None
        # A policy does not change the size of the segments after the declaration.
        self._segment_bytes = self.settings.segment_bytes

    def __len__(self) -> int:
        """The number of messages it reports; RabbitMQ reports some seconds late (STREAM-02)."""
        return len(self._log)

    @property
    def consumer_count(self) -> int:
        """None: a stream does not tell (STREAM-02)."""
        return 0

    @property
    def messages(self) -> list[Message]:
        """The messages there are, oldest first."""
        return [record.message for record in self._log]

    @property
    def held_bytes(self) -> int:
        """How many bytes the messages would have in RabbitMQ's files."""
        return self._log.size

    # messages

    def publish(self, message: Message, publisher: "Publisher | None" = None) -> bool:
        """Take in a message, and hand it to all who read here. Where nobody is told, as of most dead letters, the
        profile's streams may lose it.

        Raises:
            BrokerError: 541, it has headers that a stream cannot keep (STREAM-09).
        """
        if publisher is None and not self._profile.has_message_containers:
            self._lose(message)
            return True
        stored = self._form(message)
        self._roll_if_full()
        envelope, offset = stored.at(self._log.next_offset), self._log.next_offset
        now = int(self.vhost.node.clock.time() * 1000)
        kept = Message(message.exchange, message.routing_key, envelope, message.body)
        kept.number = message.number
        size = _OVERHEAD + message.envelope.size + len(message.address) + len(message.body)
        self._log.append(Record(offset, kept, now, stored.filter_value), size)
        for reader in self._readers.values():
            self._serve(reader)
        return True

    def check_message(self, message: Message) -> None:
        """Refuse a message of the broker's own that :meth:`publish` cannot take, unless the profile's streams lose it.

        Raises:
            BrokerError: as :meth:`publish`.
        """
        if self._profile.has_message_containers:
            self._form(message)

    def publish_dead(self, message: Message, publisher: "Publisher | None" = None) -> bool:
        """The same for a dead letter; one that a stream cannot keep RabbitMQ loses."""
        try:
            return self.publish(message, publisher)
        except BrokerError:
            self._lose(message)
            return True

    def _lose(self, message: Message) -> None:
        self.vhost.node.journal.dropped(self, message)

    def _form(self, message: Message) -> Stored:
        """What the stream makes of a message's properties; publishers repeat themselves."""
        envelope = message.envelope
        if self._stored is not None and self._stored[0] is envelope and not message.deaths:
            return self._stored[1]
        stored = Stored(envelope, message.deaths, self._profile)
        self._stored = None if message.deaths else (envelope, stored)
        return stored

    def take(self) -> Record | None:
        """Refuse (GET-06)."""
        raise not_implemented(f"basic.get not supported by stream queues {self._name}")

    def purge(self) -> int:
        """Refuse (QUEUE-PURGE-04)."""
        raise not_implemented(f"queue.purge not supported by stream queues {self._name}")

    def check_return(self, *, recovering: bool) -> None:
        """Refuse where the profile's streams take nothing back; where they do it is as good as acknowledged
        (STREAM-11).
        """
        if self.deleted or self._profile.takes_refusals:
            return
        if recovering:
            raise internal_error()
        raise not_implemented(f"basic.nack and basic.reject not supported by stream queues {self._name}")

    def requeue(self, entries: Sequence[Record], by: Origin, *, failed: bool, lost: bool = False) -> None:
        """Nothing: it is all there still."""

    def discard(self, entry: Record, *, failed: bool) -> None:
        """Nothing: a stream has no dead letters."""

    def drop_expired(self) -> None:
        """Nothing: expiration does not count here (STREAM-13)."""

    # consumers

    @property
    def _name(self) -> str:
        return f"queue '{self.name}' in vhost '{self.vhost.name}'"

    def check_consumer(self, consumer: Consumer) -> None:
        """Refuse who has no prefetch, does not acknowledge, or shares its prefetch; then who would begin at no offset
        there is, or wants no filter value (STREAM-03, -04, -08, -14).
        """
        profile = self._profile
        if not consumer.prefetch:
            raise precondition_failed(profile.without_prefetch.format(self._name))
        if consumer.no_ack:
            raise not_implemented(profile.without_acks.format(self._name))
        if consumer.sink.has_shared_limit:
            raise not_implemented(f"{self._name} does not support global qos")
        self._begin(consumer)
        self._filters(consumer)

    def _begin(self, consumer: Consumer) -> int:
        return begin(consumer.arguments.get("x-stream-offset", "next"), self._log, self.vhost.node.clock.time())

    def _filters(self, consumer: Consumer) -> frozenset[bytes] | None:
        """The filter values that a consumer wants (STREAM-16)."""
        texts = _texts(consumer.arguments.get("x-stream-filter"))
        if texts is None or not self._profile.has_filters:
            return None
        if not texts:
            raise internal_error()
        # An empty value that is the last one means messages without a filter value.
        unfiltered = consumer.arguments.get("x-stream-match-unfiltered") is True or not texts[-1]
        return frozenset(text for text in texts if text) | ({b""} if unfiltered else set())

    def add_consumer(self, consumer: Consumer) -> None:
        """Let a consumer read; call :meth:`dispatch` to have it served.

        It counts as blocked all the time: it is in no rotation, and each of its acknowledgements is told here.
        """
        self.consumers[consumer] = None
        consumer.blocked = True
        reader = _Reader(consumer, self._begin(consumer), self._filters(consumer))
        self._beginners.append(reader)
        # The readers of one sink are served in the order of their tags, last one first (STREAM-10).
        ranks = {sink: rank for rank, sink in enumerate({known.sink: None for known in self.consumers})}
        readers = [*self._readers.values(), reader]
        readers.sort(key=lambda known: known.consumer.tag.encode(), reverse=True)
        readers.sort(key=lambda known: ranks[known.consumer.sink])
        self._readers = {known.consumer: known for known in readers}

    def remove_consumer(self, consumer: Consumer) -> None:
        """Take a consumer out."""
        self.consumers.pop(consumer, None)
        self._readers.pop(consumer, None)

    def unblock(self, consumer: Consumer) -> None:
        """Turn acknowledgements into credit for the consumer that has this tag now, and serve it.

        An earlier consumer of that tag may have got the messages (STREAM-10).
        """
        freed = self._outstanding.get(consumer, 0) - consumer.unacked
        if consumer.unacked:
            self._outstanding[consumer] = consumer.unacked
        else:
            self._outstanding.pop(consumer, None)
        heir = consumer.sink.consumers.get(consumer.tag)
        reader = self._readers.get(heir) if heir is not None else None
        if reader is not None and freed:
            reader.credit += freed
            self._serve(reader)

    def dispatch(self) -> None:
        """Serve those who have just begun; the others are served as soon as there is something for them."""
        beginners, self._beginners = self._beginners, []
        for reader in beginners:
            if reader.consumer in self._readers:
                self._serve(reader)
        if beginners:
            self._roll_if_full()

    def limit(self, consumer: Consumer, credit: int, *, drain: bool) -> None:
        """Nothing: a stream does not look at it."""

    def grant(self, consumer: Consumer, credit: int, *, drain: bool) -> None:
        """Add to a reader's credit; its client is told how many messages it gets for it."""
        reader = self._readers[consumer]
        reader.credit += credit
        records = list(self._due(reader))
        consumer.sink.credit(len(records), at_once=True)
        for record in records:
            self._deliver(consumer, record)
        if drain:
            consumer.sink.drained(consumer, reader.credit, at_once=True)
            reader.credit = 0

    def _serve(self, reader: _Reader) -> None:
        """Deliver what a reader has credit for."""
        for record in self._due(reader):
            self._deliver(reader.consumer, record)

    def _deliver(self, consumer: Consumer, record: Record) -> None:
        consumer.sink.deliver(consumer, record)
        self._outstanding[consumer] = consumer.unacked

    def _due(self, reader: _Reader) -> Iterator[Record]:
        """What a reader has credit for, taken as it is asked for."""
        while reader.credit > 0 and (record := self._log.read(reader.position)) is not None:
            reader.position = record.position + 1
            if reader.filters is None or record.filter_value in reader.filters:
                reader.credit -= 1
                yield record

    # retention

    def _roll_if_full(self) -> None:
        """Begin a new segment, and drop old ones, as RabbitMQ does when a message or a reader comes upon a full one."""
        if self._log.is_full(self._segment_bytes):
            self._log.roll()
            self._retain()

    def _retain(self) -> None:
        settings, node = self.settings, self.vhost.node
        if self._retention is not None:
            node.timers.cancel(self._retention)
            self._retention = None
        since = None if settings.max_age is None else int((node.clock.time() - settings.max_age) * 1000)
        if self._log.retain(settings.max_length_bytes, since):
            node.journal.truncated(self, self._log.first_offset)
        interval = self._profile.retention_interval
        if interval is not None and since is not None and self._log.has_old_segments:
            self._retention = node.timers.set(interval, self._retain, background=True)

    # policies

    def change_settings(self, settings: Settings) -> None:
        """Go by other settings, and drop at once what is too much or too old then (POLICY-04)."""
        super().change_settings(settings)
        self._retain()

    # state

    def dump_contents(self, dumping: Dumping) -> Contents:
        """The log as data."""
        return StreamState(
            self._log.dump(dumping), self._log.next_offset, self._segment_bytes, dumping.timer(self._retention)
        )

    def load_contents(self, contents: Contents, loading: Loading) -> None:
        """Have what was dumped."""
        assert isinstance(contents, StreamState)
        self._log.load(contents.segments, contents.next_offset, loading)
        self._segment_bytes = contents.segment_bytes
        self._retention = loading.timer(contents.retention, self._retain, background=True)

    def load_entry(self, state: EntryState, loading: Loading) -> Record:
        """A delivery that was dumped, which does not come back to a stream."""
        return Record(state.position, loading.message(state.message), 0, b"")

    def dump(self, dumping: Dumping) -> QueueState:
        """The stream as data. What consumers have not acknowledged is credit again, and does not come back."""
        consumers = tuple(
            replace(
                reader.consumer.dump(turn, is_active=False),
                credit=reader.credit + reader.consumer.unacked,
                position=reader.position,
            )
            for turn, reader in enumerate(self._readers.values())
        )
        return replace(super().dump(dumping), consumers=consumers, unacknowledged=())

    def load_consumers(self, consumers: Mapping[Consumer, ConsumerState]) -> None:
        """Have these consumers, each where it was, and serve them."""
        for consumer in sorted(consumers, key=lambda each: consumers[each].turn):
            state = consumers[consumer]
            reader = self._readers[consumer] = _Reader(consumer, state.position, self._filters(consumer))
            reader.credit = state.credit or 0
            consumer.blocked = True
        self.consumers.update(dict.fromkeys(consumers))
        for reader in list(self._readers.values()):
            self._serve(reader)

    # restarts

    def stop(self) -> None:
        """Stand still; all messages are kept (RESTART-10)."""
        super().stop()
        if self._retention is not None:
            self.vhost.node.timers.cancel(self._retention)
            self._retention = None

    # the end

    def check_delete(self, *, if_unused: bool, if_empty: bool) -> int:  # noqa: ARG002
        """Accept: the conditions do not count, and delete-ok reports no message (QUEUE-DELETE-08)."""
        return 0

    def close(self) -> None:
        """Forget everything, once the vhost has let go of the queue."""
        super().close()
        if self._retention is not None:
            self.vhost.node.timers.cancel(self._retention)
        self._readers.clear()
        self._log = Log()


def _texts(wanted: FieldValue) -> list[bytes] | None:
    """The texts of an x-stream-filter, which is one or an array of some; ``None`` if it is neither."""
    values = wanted if isinstance(wanted, list) else [wanted] if type_name(wanted) == "longstr" else None
    if values is None:
        return None
    texts = (value for value in values if isinstance(value, str | bytes) and type_name(value) == "longstr")
    return [text.encode() if isinstance(text, str) else text for text in texts]

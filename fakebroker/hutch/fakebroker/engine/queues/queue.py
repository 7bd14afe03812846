"""What queues of every type have: a name and properties, bindings, consumers and whose turn it is, a lease."""

import builtins
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias

from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.clock import Timer
from hutch.fakebroker.engine.consumers import C, Consumer, Rotation
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.ready_messages import E
from hutch.fakebroker.engine.queues.settings import Settings
from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import ConsumerState, Contents, EntryState, QueueState
from hutch.fakebroker.engine.targets import Publisher, Target
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.deliveries import TypedDelivery
    from hutch.fakebroker.engine.operator.policies import Applied
    from hutch.fakebroker.engine.vhost import VHost


#: The sort key of a delivery among others of its queue. The smallest comes first.
RequeueOrder = tuple[int, bytes]


class TypedQueue(Target, Generic[C, E]):
    """One queue of a vhost; ``arguments`` are valid for its type (:mod:`hutch.fakebroker.engine.arguments`).

    ``C`` is what its consumers are, and ``E`` what its entries are.

    A queue type is a subclass, entered in :data:`~hutch.fakebroker.engine.queues.types.QUEUE_TYPES`.
    """

    #: The type's name in x-queue-type.
    type: ClassVar[str]
    #: The class of its consumers.
    consumer_type: ClassVar[builtins.type[Consumer]] = Consumer
    #: Whether a consumer is served as soon as it gets credit. In other queues :meth:`dispatch` serves it.
    serves_at_once: ClassVar[bool] = False
    #: Whether the limit that a sink's consumers share applies to its consumers.
    has_shared_limit: ClassVar[bool] = False

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
        self.name = name
        self.deleted = False
        self.durable: Final = durable
        #: The connection it is exclusive to, ``None`` where it is not exclusive.
        self.owner: Final = owner
        self.auto_delete: Final = auto_delete
        self.arguments: Final = arguments
        #: The policies that apply to it.
        self.applied: Applied = vhost.policies.applied_to(self.type, name)
        self.settings = vhost.policies.settings(self.type, arguments, self.applied)
        self.incoming: Final[dict[tuple[object, ...], Binding]] = {}
        self.consumers: Final[dict[C, None]] = {}
        #: Its deliveries that are neither settled nor revoked.
        self.deliveries: Final[dict[TypedDelivery[C, E], None]] = {}
        #: Whether only one consumer is served at a time, the next one when it ends (CONSUME-29).
        self.single_active: Final = arguments.get("x-single-active-consumer") is True
        self._active: C | None = None
        self._rotation: Final[Rotation[C]] = Rotation()
        #: The publisher of its dead letters, which is told when other queues are full; ``None`` without one.
        self.forwards: Publisher | None = None
        self._lease: Timer | None = None
        self.renew_lease()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    # messages

    @property
    def unacked(self) -> int:
        """How many deliveries wait for their acknowledgement."""
        return len(self.deliveries)

    @abstractmethod
    def __len__(self) -> int:
        """How many messages are ready."""

    @property
    @abstractmethod
    def messages(self) -> list[Message]:
        """The ready messages, head first."""

    @property
    @abstractmethod
    def held_bytes(self) -> int:
        """About how many bytes the messages have that it holds, but for those that are delivered."""

    def check_message(self, message: Message) -> None:
        """Refuse a message of the broker's own that :meth:`publish` cannot take."""

    @abstractmethod
    def take(self) -> E | None:
        """Take the head out for a basic.get; ``None`` when nothing is ready.

        Raises:
            BrokerError: the queue, or its type, has no basic.get.
        """

    @abstractmethod
    def requeue(self, entries: Sequence[E], by: Origin, *, failed: bool, lost: bool = False) -> None:
        """Take deliveries back from the channel ``by``; call :meth:`dispatch` to hand them out again.

        ``failed``: they were rejected, or their channel ended. ``lost``: their channel ended. Neither: the client
        returned them by basic.nack or basic.recover.
        """

    def check_return(self, *, recovering: bool) -> None:
        """Refuse deliveries that a client hands back, by basic.recover or else by basic.nack or basic.reject.

        Raises:
            BrokerError: the queue's type takes none back.
        """

    def requeue_order(self, consumer: C | None, delivery_tag: int) -> RequeueOrder:  # noqa: ARG002
        """Where a delivery to a consumer, ``None`` for basic.get, stands among those that are lost at once. Here the
        messages' own order counts.
        """
        return 0, b""

    def discard(self, entry: E, *, failed: bool) -> None:
        """Dead-letter a delivery that was refused; ``failed`` as in :meth:`requeue`."""
        if not self.deleted:
            self.vhost.dead_letter(self, entry.message, "rejected", entry.failures + failed)

    @abstractmethod
    def purge(self) -> int:
        """Remove what is ready; how many messages that was.

        Raises:
            BrokerError: the queue's type has no queue.purge.
        """

    @abstractmethod
    def dispatch(self) -> None:
        """Hand out ready messages while somebody has credit."""

    @abstractmethod
    def drop_expired(self) -> None:
        """Dead-letter what is not to be counted any more."""

    # consumers

    @property
    def consumer_count(self) -> int:
        """The number of consumers in declare-ok."""
        return len(self.consumers)

    @abstractmethod
    def check_consumer(self, consumer: C) -> None:
        """Refuse a consumer that the queue cannot have, before it is added.

        Raises:
            BrokerError: why.
        """

    def add_consumer(self, consumer: C) -> None:
        """Put a consumer into the rotation; call :meth:`dispatch` to have it served."""
        self.consumers[consumer] = None
        if not self.single_active:
            self._rotation.add(consumer)
        elif self._active is None:
            self._activate(consumer)
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)
            self._lease = None

    @property
    def active(self) -> C | None:
        """The single active consumer, where the queue has one."""
        return self._active

    @abstractmethod
    def limit(self, consumer: C, credit: int, *, drain: bool) -> None:
        """Let a consumer, which was just added, have so many deliveries alone until it is granted more (x-credit,
        CONSUME-26); ``drain`` as in :meth:`grant`.
        """

    @abstractmethod
    def grant(self, consumer: C, credit: int, *, drain: bool) -> None:
        """Give a consumer credit (basic.credit, CONSUME-26). Reports how many messages are ready, then serves it.

        With ``drain``, the consumer loses the credit that the ready messages do not use up, and is told so.
        """

    def begin(self, consumer: C) -> None:  # noqa: ARG002
        """Serve those who can be, now that a consumer was added and its client told."""
        self.dispatch()

    def remove_consumer(self, consumer: C) -> None:
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
                self._activate(self._next_active())
        if not self.consumers:
            if self.auto_delete:
                self.vhost.delete_queue(self)
            else:
                self.renew_lease()

    def _next_active(self) -> C:
        """The next single active consumer: the first of the highest priority. Priority does not count while another
        is active (CONSUME-30).
        """
        return max(self.consumers, key=lambda waiting: waiting.priority)

    def _activate(self, consumer: C) -> None:
        self._active = consumer
        self._rotation.add(consumer)

    def credited(self, delivery: "TypedDelivery[C, E]", *, returned: bool) -> C | None:  # noqa: ARG002
        """Who may have to be put back into the rotation because a delivery, whose consumer is marked ``blocked``, is
        settled, or ``returned`` by the client; ``None`` for nobody.
        """
        return delivery.consumer

    def unblock(self, consumer: C) -> None:
        """Put a consumer back into the rotation, if it has credit again; call :meth:`dispatch` to have it served."""
        if consumer.blocked and consumer.has_credit():
            self._rotation.add(consumer)

    def readmit(self, sink: Sink) -> bool:  # noqa: ARG002
        """Put the consumers of a sink that waited for room there back into the rotation;
        whether there were any. Call :meth:`dispatch_one` to have them served.
        """
        return False

    def dispatch_one(self) -> bool:
        """Hand out one ready message, if somebody has credit; whether somebody had."""
        return False

    @property
    def serves_next_on_cancel(self) -> bool:
        """Whether ready messages go to the next single active consumer as soon as the one before is cancelled."""
        return self.vhost.node.profile.queues.cancel_serves_next_active

    # policies

    def change_settings(self, settings: Settings) -> None:
        """Go by other settings, for policies came or went; a lease begins anew (POLICY-05)."""
        self.settings = settings
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)
            self._lease = None
        self.renew_lease()

    # restarts

    def stop(self) -> None:
        """Stand still, and keep what RabbitMQ has on disk: the broker is stopped, and all consumers are gone. Queues
        that do not survive it are deleted instead.
        """
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)
            self._lease = None

    def start(self) -> None:
        """Go on: what has expired meanwhile is dropped (RESTART-07), and x-expires begins anew."""
        self.dispatch()
        self.renew_lease()

    # state

    def dump(self, dumping: Dumping) -> QueueState:
        """The queue as data."""
        serving = dict.fromkeys(self._rotation)
        waiting = [consumer for consumer in self.consumers if consumer not in serving]
        waiting.sort(key=lambda consumer: consumer.blocked_as)
        turns = {consumer: turn for turn, consumer in enumerate((*serving, *waiting))}
        return QueueState(
            self.type,
            self.name,
            self.durable,
            None if self.owner is None else self.owner.origin,
            self.auto_delete,
            self.arguments,
            dumping.timer(self._lease),
            self.dump_contents(dumping),
            tuple(consumer.dump(turns[consumer], is_active=consumer is self._active) for consumer in self.consumers),
            tuple(self._dump_deliveries(dumping)),
        )

    def _dump_deliveries(self, dumping: Dumping) -> Iterator[EntryState]:
        """What comes back if all connections are lost, in that order."""
        deliveries = sorted(self.deliveries, key=lambda delivery: delivery.tag)
        deliveries.sort(key=lambda delivery: self.requeue_order(delivery.consumer, delivery.tag))
        deliveries.sort(key=lambda delivery: dumping.place(delivery.sink))
        for delivery in deliveries:
            yield delivery.entry.dump(dumping)

    def load(self, state: QueueState, loading: Loading) -> None:
        """Have what was dumped, but for consumers. The queue is new."""
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)
        self._lease = loading.timer(state.lease, self._lease_is_due)
        self.load_contents(state.contents, loading)

    @abstractmethod
    def dump_contents(self, dumping: Dumping) -> Contents:
        """What queues of the type have, as data."""

    @abstractmethod
    def load_contents(self, contents: Contents, loading: Loading) -> None:
        """Have what was dumped."""

    @abstractmethod
    def load_entry(self, state: EntryState, loading: Loading) -> E:
        """An entry that was dumped."""

    def load_consumers(self, consumers: Mapping[C, ConsumerState]) -> None:
        """Have new consumers, with what was dumped of them; call :meth:`dispatch` to have them served."""
        for consumer, state in consumers.items():
            consumer.load(state)
            self.consumers[consumer] = None
        if not self.single_active:
            for consumer in sorted(consumers, key=lambda each: consumers[each].turn):
                self._rotation.add(consumer)
                if consumers[consumer].left_out:
                    self._rotation.block(consumer)
        elif consumers:
            active = [consumer for consumer, state in consumers.items() if state.is_active]
            self._activate(active[0] if active else self._next_active())

    # the end

    def redeclared(self) -> None:
        """The queue was declared, passively or not."""
        self.drop_expired()
        self.renew_lease()

    def renew_lease(self) -> None:
        """Begin x-expires anew: the queue was declared, got from, or lost its last consumer (QUEUE-EXPIRES-01, -02)."""
        if self.settings.expires is None or self.consumers:
            return
        timers = self.vhost.node.timers
        if self._lease is not None:
            timers.cancel(self._lease)
        self._lease = timers.set(self.settings.expires, self._lease_is_due)

    def _lease_is_due(self) -> None:
        self._lease = None
        if not self.deleted and not self.consumers:
            self.vhost.delete_queue(self)

    @abstractmethod
    def check_delete(self, *, if_unused: bool, if_empty: bool) -> int:
        """Refuse a queue.delete whose conditions do not hold. Returns the number of messages for delete-ok.

        Raises:
            BrokerError: the queue is in use, or not empty, or its type knows no such condition.
        """

    def close(self) -> None:
        """Forget everything, once the vhost has let go of the queue."""
        self.deleted = True
        self._active = None
        if self._lease is not None:
            self.vhost.node.timers.cancel(self._lease)


#: A queue of any type.
Queue: TypeAlias = TypedQueue[Any, Any]

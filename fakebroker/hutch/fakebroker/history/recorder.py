"""What a history hears of the journal, kept as rows."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.clock import Clock
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import BROKER, OPERATOR, Origin
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.fakebroker.history.log import EventLog

if TYPE_CHECKING:
    from hutch.fakebroker.engine.bindings import Binding
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.operator.policies import Policy
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.targets import Target
    from hutch.fakebroker.engine.vhost import VHost


@lru_cache(maxsize=1024)
def _alone(name: str) -> tuple[str]:
    """The queue names of a message that got into one queue. Such messages share the tuple, as history keeps it."""
    return (name,)


class Recorder(Journal):
    """Listens to the journal, and keeps an event of each fact that a history tells: the docstrings say of which kind.

    ``clock`` dates the events. Another log may take the place of ``log`` at any time, in any thread.
    """

    def __init__(self, clock: Clock, log: EventLog) -> None:
        self._clock: Final = clock
        self.log = log

    # The facts that each message causes are written out here: one more call each would be a tenth of the cost of
    # listening.

    def published(self, origin: Origin, vhost: "VHost", message: Message, queues: "Sequence[Target]") -> None:
        """``published``."""
        log = self.log
        size = len(message.body)
        if size > log.most_bytes:
            message = log.count_body(message)
        elif message.counted_in is not log.epoch:
            message.counted_in = log.epoch
            log.body_bytes += size
        match queues:
            case [queue]:
                names: tuple[str, ...] = _alone(queue.name)
            case _:
                names = tuple([queue.name for queue in queues])
        log.fields += (self._clock.monotonic(), "published", vhost.name, None, message, origin, names)
        log.room -= 1
        if log.room <= 0 or log.body_bytes > log.most_bytes:
            log.shrink()

    def delivered(
        self,
        origin: Origin,
        vhost: "VHost",
        queue: "Target",
        message: Message,
        consumer_tag: str,
        delivery_tag: int,
        redelivered: bool,
        no_ack: bool,  # noqa: ARG002
    ) -> None:
        """``delivered``."""
        log = self.log
        if message.counted_in is not log.epoch:
            message = log.count_body(message)
        own = (consumer_tag, delivery_tag, redelivered)
        log.fields += (self._clock.monotonic(), "delivered", vhost.name, queue.name, message, origin, own)
        log.room -= 1
        if log.room <= 0:
            log.shrink()

    def acked(self, origin: Origin, queue: "Queue", message: Message) -> None:
        """``acked``."""
        log = self.log
        if message.counted_in is not log.epoch:
            message = log.count_body(message)
        log.fields += (self._clock.monotonic(), "acked", queue.vhost.name, queue.name, message, origin, None)
        log.room -= 1
        if log.room <= 0:
            log.shrink()

    # other facts

    def _note(
        self,
        kind: str,
        vhost: str,
        origin: Origin = BROKER,
        queue: str | None = None,
        message: Message | None = None,
        own: Any = None,
    ) -> None:
        """Keep an event; ``own`` is the value of its kind's only field, or those of its several fields."""
        log = self.log
        if message is not None and message.counted_in is not log.epoch:
            message = log.count_body(message)
        log.fields += (self._clock.monotonic(), kind, vhost, queue, message, origin, own)
        log.room -= 1
        if log.room <= 0:
            log.shrink()

    def released(self, origin: Origin, vhost: "VHost", message: Message, queues: "Sequence[Target]") -> None:
        """``published``."""
        self.published(origin, vhost, message, queues)

    def returned(self, origin: Origin, vhost: "VHost", message: Message, reply_text: str) -> None:
        """``returned``."""
        self._note("returned", vhost.name, origin, None, message, reply_text)

    def delayed(self, vhost: "VHost", message: Message, delay: int) -> None:
        """``delayed``."""
        self._note("delayed", vhost.name, BROKER, None, message, delay)

    def due(self, vhost: "VHost", message: Message, queues: "Sequence[Target]") -> None:
        """``due``."""
        self._note("due", vhost.name, BROKER, None, message, tuple(queue.name for queue in queues))

    def committed(self, origin: Origin, vhost: "VHost", publishes: int, acknowledgements: int) -> None:
        """``committed``."""
        self._note("committed", vhost.name, origin, own=(publishes, acknowledgements))

    def rolled_back(self, origin: Origin, vhost: "VHost", publishes: int, acknowledgements: int) -> None:
        """``rolled-back``."""
        self._note("rolled-back", vhost.name, origin, own=(publishes, acknowledgements))

    def got(
        self,
        origin: Origin,
        queue: "Queue",
        message: Message,
        delivery_tag: int,
        redelivered: bool,
        no_ack: bool,  # noqa: ARG002
    ) -> None:
        """``got``."""
        self._note("got", queue.vhost.name, origin, queue.name, message, (delivery_tag, redelivered))

    def rejected(self, origin: Origin, queue: "Queue", message: Message) -> None:
        """``rejected``."""
        self._note("rejected", queue.vhost.name, origin, queue.name, message)

    def requeued(self, origin: Origin, queue: "Queue", message: Message) -> None:
        """``requeued``."""
        self._note("requeued", queue.vhost.name, origin, queue.name, message)

    def expired(self, queue: "Queue", message: Message) -> None:
        """``expired``."""
        self._note("expired", queue.vhost.name, BROKER, queue.name, message)

    def overflowed(self, queue: "Queue", message: Message) -> None:
        """``overflowed``."""
        self._note("overflowed", queue.vhost.name, BROKER, queue.name, message)

    def dropped(self, queue: "Queue", message: Message) -> None:
        """``dropped``."""
        self._note("dropped", queue.vhost.name, BROKER, queue.name, message)

    def dead_lettered(
        self, queue: "Queue", message: Message, dead: Message, reason: str, queues: "Sequence[Target]"
    ) -> None:
        """``dead-lettered``."""
        own = (reason, tuple(target.name for target in queues), message.number)
        self._note("dead-lettered", queue.vhost.name, BROKER, queue.name, dead, own)

    def purged(self, origin: Origin, queue: "Queue", count: int) -> None:
        """``purged``."""
        self._note("purged", queue.vhost.name, origin, queue.name, own=count)

    def truncated(self, queue: "Queue", first_offset: int) -> None:
        """``truncated``."""
        self._note("truncated", queue.vhost.name, BROKER, queue.name, own=first_offset)

    def queue_declared(self, origin: Origin, queue: "Queue") -> None:
        """``declared``."""
        self._note("declared", queue.vhost.name, origin, queue.name)

    def queue_deleted(self, origin: Origin, queue: "Queue", orphans: "Sequence[Consumer]") -> None:  # noqa: ARG002
        """``deleted``."""
        self._note("deleted", queue.vhost.name, origin, queue.name)

    def exchange_declared(self, origin: Origin, exchange: "Exchange") -> None:
        """``declared``."""
        self._note("declared", exchange.vhost.name, origin, own=exchange.name)

    def exchange_deleted(self, origin: Origin, exchange: "Exchange", bindings: "Sequence[Binding]") -> None:  # noqa: ARG002
        """``deleted``."""
        self._note("deleted", exchange.vhost.name, origin, own=exchange.name)

    def bound(self, origin: Origin, binding: "Binding") -> None:
        """``bound``."""
        own = (binding.source.name, binding.destination.name, binding.routing_key)
        self._note("bound", binding.source.vhost.name, origin, own=own)

    def unbound(self, origin: Origin, binding: "Binding") -> None:
        """``unbound``."""
        own = (binding.source.name, binding.destination.name, binding.routing_key)
        self._note("unbound", binding.source.vhost.name, origin, own=own)

    def consumer_added(self, origin: Origin, consumer: "Consumer") -> None:
        """``consuming``."""
        self._note("consuming", consumer.queue.vhost.name, origin, consumer.queue.name, own=consumer.tag)

    def consumer_cancelled(self, origin: Origin, consumer: "Consumer") -> None:
        """``cancelled``."""
        self._note("cancelled", consumer.queue.vhost.name, origin, consumer.queue.name, own=consumer.tag)

    def reply_consumer_added(self, origin: Origin, vhost: "VHost", consumer_tag: str) -> None:
        """``consuming``."""
        self._note("consuming", vhost.name, origin, REPLY_TO, own=consumer_tag)

    def reply_consumer_cancelled(self, origin: Origin, vhost: "VHost", consumer_tag: str) -> None:
        """``cancelled``."""
        self._note("cancelled", vhost.name, origin, REPLY_TO, own=consumer_tag)

    def connected(self, connection: "Connection") -> None:
        """``connected``."""
        self._note("connected", connection.vhost.name, connection.origin)

    def disconnected(self, connection: "Connection") -> None:
        """``disconnected``."""
        self._note("disconnected", connection.vhost.name, connection.origin)

    def blocked(self, origin: Origin, vhost: str) -> None:
        """``blocked``."""
        self._note("blocked", vhost, origin)

    def unblocked(self, origin: Origin, vhost: str) -> None:
        """``unblocked``."""
        self._note("unblocked", vhost, origin)

    def refused(self, origin: Origin, vhost: str, reason: str) -> None:
        """``refused``."""
        self._note("refused", vhost, origin, own=reason)

    def policy_set(self, origin: Origin, vhost: str, policy: "Policy", is_operator: bool) -> None:
        """``policy-set``."""
        self._note("policy-set", vhost, origin, own=(policy.name, is_operator))

    def policy_deleted(self, origin: Origin, vhost: str, name: str, is_operator: bool) -> None:
        """``policy-deleted``."""
        self._note("policy-deleted", vhost, origin, own=(name, is_operator))

    def alarm_raised(self, resource: str) -> None:
        """``alarm-raised``."""
        self._note("alarm-raised", "", OPERATOR, own=resource)

    def alarm_cleared(self, resource: str) -> None:
        """``alarm-cleared``."""
        self._note("alarm-cleared", "", OPERATOR, own=resource)

    def fault_hit(self, origin: Origin, vhost: str, fault: str) -> None:
        """``fault``."""
        self._note("fault", vhost, origin, own=fault)

    def stopped(self) -> None:
        """``stopped``."""
        self._note("stopped", "", OPERATOR)

    def started(self) -> None:
        """``started``."""
        self._note("started", "", OPERATOR)

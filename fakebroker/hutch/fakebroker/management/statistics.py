"""Counts what RabbitMQ's management plugin counts, while the API is open.

Counters are true at once. Rates are those of the last five seconds, as in RabbitMQ. A timer takes them, as long as
something changes.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.queues.queue import TypedQueue
from hutch.fakebroker.engine.replies import REPLY_PREFIX
from hutch.fakebroker.management.counts import NOTHING, Churn, Counts, total
from hutch.fakebroker.management.measuring import QueueLengths, Traffic
from hutch.fakebroker.management.sampling import Sampler

if TYPE_CHECKING:
    from hutch.fakebroker.engine.bindings import Binding
    from hutch.fakebroker.engine.client import Client
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.message import Message
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.origin import Origin
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.targets import Target
    from hutch.fakebroker.engine.vhost import VHost

#: The name of a virtual host, and of a queue or an exchange in it.
Named = tuple[str, str]
K = TypeVar("K")


class _Tally(dict[Any, int]):
    """Counts by keys. Calls ``wake`` for each new key."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake: Final = wake

    def __missing__(self, key: object) -> int:
        self._wake()
        return 0


class Statistics(Journal):
    """Listens to the journal from :meth:`open` to :meth:`close`.

    What every message passes adds 1 to a tally, and nothing else. :meth:`settle` makes counters of tallies: before
    somebody asks, before something that counts is gone, and when the sampler looks.
    """

    def __init__(self, node: "Node") -> None:
        self._node: Final = node
        self._sampler: Final = Sampler(node.timers, self._look)
        #: Whether a reply counts as dropped, and the default exchange takes a single key for the name of a queue.
        self._drops_replies: Final = not node.profile.topology.has_volatile_queues
        self.lengths: Final = QueueLengths(node, self._sampler)
        self.traffic: Final = Traffic(node, self._sampler)
        #: What came and went.
        self.churn = Churn()
        self._vhosts: Final[dict[str, Counts]] = {}
        #: That of virtual hosts which are gone.
        self._former = Counts()
        self._channels: Final[dict[Origin, Counts]] = {}
        self._queues: Final[dict[Named, Counts]] = {}
        self._exchanges: Final[dict[Named, Counts]] = {}
        #: By origin, virtual host, exchange and queues.
        self._published: Final = _Tally(self._sampler.wake)
        #: By origin, queue, and whether it is without acknowledgement and comes again.
        self._delivered: Final = _Tally(self._sampler.wake)
        #: By origin and queue.
        self._acked: Final = _Tally(self._sampler.wake)

    def open(self) -> None:
        """Begin to count; in a turn."""
        self.lengths.begin()
        self.traffic.begin()
        self._node.listen(self)

    def close(self) -> None:
        """Count no more; in a turn."""
        self._node.end_listening(self)
        self._sampler.stop()

    def forget(self) -> None:
        """Begin again with counters of 0."""
        self.settle()
        for book in (self._vhosts, self._channels, self._queues, self._exchanges):
            book.clear()
        self._former = Counts()
        self.churn = Churn()

    # what there is

    def of_vhosts(self, names: Iterable[str]) -> Counts:
        """The counters of virtual hosts together."""
        return total(Counts, [self._vhosts.get(name, NOTHING) for name in names])

    def of_node(self) -> Counts:
        """The counters of all virtual hosts that there were."""
        return total(Counts, [*self._vhosts.values(), self._former])

    def of_queue(self, queue: "Queue") -> Counts:
        """The counters of a queue."""
        return self._queues.get((queue.vhost.name, queue.name), NOTHING)

    def of_exchange(self, vhost: str, name: str) -> Counts:
        """The counters of an exchange."""
        return self._exchanges.get((vhost, name), NOTHING)

    def of_channel(self, origin: "Origin") -> Counts:
        """The counters of a channel."""
        return self._channels.get(origin, NOTHING)

    def _look(self) -> bool:
        self.settle()
        self.lengths.look()
        return self.traffic.look()

    def settle(self) -> None:
        """Have counters of all that was counted."""
        for (origin, vhost, exchange, *queues), count in self._published.items():
            self._publish(origin, vhost, exchange, count)
            routed = [self._of_queue(queue, count) for queue in queues if isinstance(queue, TypedQueue)]
            self._of_exchange(vhost, exchange).publish_out += len(routed) * count
            if self._drops_replies and not routed:
                self._drop(origin, vhost, count)
        self._published.clear()
        for (origin, queue, no_ack, redelivered), count in self._delivered.items():
            if isinstance(queue, TypedQueue):  # replies are not counted
                self._add(origin, queue, "deliver_no_ack" if no_ack else "deliver", count)
                if redelivered:
                    self._add(origin, queue, "redeliver", count)
        self._delivered.clear()
        for (origin, queue), count in self._acked.items():
            self._add(origin, queue, "ack", count)
        self._acked.clear()

    def _of_channel(self, origin: "Origin") -> Counts:
        """Those of a channel. Who has none counts for the virtual host alone."""
        return self._touched(self._channels, origin) if origin.channel is not None else Counts()

    def _of_vhost(self, vhost: "VHost") -> Counts:
        return self._touched(self._vhosts, vhost.name)

    def _of_exchange(self, vhost: "VHost", name: str) -> Counts:
        return self._touched(self._exchanges, (vhost.name, name))

    def _of_queue(self, queue: "Queue", published: int = 0) -> Counts:
        self.lengths.change(queue)
        counts = self._touched(self._queues, (queue.vhost.name, queue.name))
        counts.publish += published
        return counts

    def _touched(self, book: dict[K, Counts], key: K) -> Counts:
        counts = book.get(key)
        if counts is None:
            counts = book[key] = Counts()
        self._sampler.touch(counts)
        return counts

    def _add(self, origin: "Origin", queue: "Queue", name: str, count: int) -> None:
        for each in (self._of_queue(queue), self._of_channel(origin), self._of_vhost(queue.vhost)):
            setattr(each, name, getattr(each, name) + count)

    # publishes

    def published(self, origin: "Origin", vhost: "VHost", message: "Message", queues: "Sequence[Target]") -> None:
        """Count it. Who publishes without a channel wants to know that no queue gets it, as RabbitMQ's own API does."""
        if queues:
            self._published[origin, vhost, message.exchange, *queues] += 1
            return
        self._publish(origin, vhost, message.exchange, 1)
        if origin.channel is None:
            self._of_vhost(vhost).return_unroutable += 1
        else:
            self._drop(origin, vhost, 1)
        names = set(message.routing_keys)
        if self._drops_replies and not message.exchange and len(names) == 1:
            self._of_exchange(vhost, "").publish_out += not min(names).startswith(REPLY_PREFIX)

    def _publish(self, origin: "Origin", vhost: "VHost", exchange: str, count: int) -> None:
        self._of_channel(origin).publish += count
        self._of_vhost(vhost).publish += count
        self._of_exchange(vhost, exchange).publish_in += count

    def _drop(self, origin: "Origin", vhost: "VHost", count: int) -> None:
        self._of_channel(origin).drop_unroutable += count
        self._of_vhost(vhost).drop_unroutable += count

    def released(self, origin: "Origin", vhost: "VHost", message: "Message", queues: "Sequence[Target]") -> None:
        """Count it as published."""
        self.published(origin, vhost, message, queues)

    def returned(self, origin: "Origin", vhost: "VHost", message: "Message", reply_text: str) -> None:  # noqa: ARG002
        """Count what was taken for dropped as returned."""
        self._drop(origin, vhost, -1)
        self._of_channel(origin).return_unroutable += 1
        self._of_vhost(vhost).return_unroutable += 1

    def confirmed(self, origin: "Origin", vhost: "VHost", count: int) -> None:
        """Count it."""
        self._of_channel(origin).confirm += count
        self._of_vhost(vhost).confirm += count

    # deliveries

    def delivered(
        self,
        origin: "Origin",
        vhost: "VHost",  # noqa: ARG002
        queue: "Target",
        message: "Message",  # noqa: ARG002
        consumer_tag: str,  # noqa: ARG002
        delivery_tag: int,  # noqa: ARG002
        redelivered: bool,
        no_ack: bool,
    ) -> None:
        """Count it."""
        self._delivered[origin, queue, no_ack, redelivered] += 1

    def got(
        self,
        origin: "Origin",
        queue: "Queue",
        message: "Message",  # noqa: ARG002
        delivery_tag: int,  # noqa: ARG002
        redelivered: bool,
        no_ack: bool,
    ) -> None:
        """Count it."""
        self._add(origin, queue, "get_no_ack" if no_ack else "get", 1)
        if redelivered:
            self._add(origin, queue, "redeliver", 1)

    def got_nothing(self, origin: "Origin", queue: "Queue") -> None:
        """Count it."""
        self._add(origin, queue, "get_empty", 1)

    def acked(self, origin: "Origin", queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Count it, unless it is of the API, which gets without acknowledgements what it does not give back."""
        if origin.channel is None:
            self.lengths.change(queue)
        else:
            self._acked[origin, queue] += 1

    # what else makes queues longer and shorter

    def _change(self, target: "Target") -> None:
        if isinstance(target, TypedQueue):
            self.lengths.change(target)

    def rejected(self, origin: "Origin", queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def requeued(self, origin: "Origin", queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def expired(self, queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def overflowed(self, queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def dropped(self, queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def purged(self, origin: "Origin", queue: "Queue", count: int) -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def truncated(self, queue: "Queue", first_offset: int) -> None:  # noqa: ARG002
        """Look at the queue."""
        self._change(queue)

    def due(self, vhost: "VHost", message: "Message", queues: "Sequence[Target]") -> None:  # noqa: ARG002
        """Look at the queues."""
        for queue in queues:
            self._change(queue)

    def dead_lettered(
        self,
        queue: "Queue",
        message: "Message",  # noqa: ARG002
        dead: "Message",  # noqa: ARG002
        reason: str,  # noqa: ARG002
        queues: "Sequence[Target]",
    ) -> None:
        """Look at the queues."""
        self._change(queue)
        for target in queues:
            self._change(target)

    # what comes and goes

    def _came(self, name: str) -> None:
        setattr(self.churn, name, getattr(self.churn, name) + 1)
        self._sampler.touch(self.churn)

    def queue_declared(self, origin: "Origin", queue: "Queue") -> None:  # noqa: ARG002
        """Count it; nothing is known of a queue that had the name before."""
        self._came("queue_declared")
        self._came("queue_created")
        self.settle()
        self._queues.pop((queue.vhost.name, queue.name), None)
        self.lengths.declared(queue)

    def queue_redeclared(self, origin: "Origin", queue: "Queue") -> None:  # noqa: ARG002
        """Count it."""
        self._came("queue_declared")

    def queue_deleted(self, origin: "Origin", queue: "Queue", orphans: "Sequence[Consumer]") -> None:  # noqa: ARG002
        """Count it, and forget the queue."""
        self._came("queue_deleted")
        self.settle()
        self._change(queue)
        self._queues.pop((queue.vhost.name, queue.name), None)

    def exchange_declared(self, origin: "Origin", exchange: "Exchange") -> None:  # noqa: ARG002
        """Nothing is known of an exchange that had the name before."""
        self._forget_exchange(exchange)

    def exchange_deleted(self, origin: "Origin", exchange: "Exchange", bindings: "Sequence[Binding]") -> None:  # noqa: ARG002
        """Forget it."""
        self._forget_exchange(exchange)

    def _forget_exchange(self, exchange: "Exchange") -> None:
        self.settle()
        self._exchanges.pop((exchange.vhost.name, exchange.name), None)

    def channel_opened(self, origin: "Origin", connection: "Connection") -> None:  # noqa: ARG002
        """Count it."""
        self._came("channel_created")

    def channel_closed(self, origin: "Origin", consumers: int) -> None:  # noqa: ARG002
        """Count it, and forget the channel."""
        self._came("channel_closed")
        self.settle()
        self._channels.pop(origin, None)

    def connected(self, connection: "Connection") -> None:
        """Count it."""
        self._came("connection_created")
        self.traffic.of(connection)

    def disconnected(self, connection: "Connection") -> None:
        """Keep what went over it."""
        self.traffic.ended(connection)

    def client_gone(self, client: "Client") -> None:  # noqa: ARG002
        """Count it."""
        self._came("connection_closed")

    def vhost_deleted(self, origin: "Origin", vhost: "VHost") -> None:  # noqa: ARG002
        """Keep its counters among the node's."""
        self.settle()
        self._former.absorb(self._vhosts.pop(vhost.name, NOTHING))
        self._sampler.touch(self._former)
        self.lengths.forget_vhost(vhost.name)
        self.traffic.forget_vhost(vhost.name)
        for key in [key for key in self._exchanges if key[0] == vhost.name]:
            del self._exchanges[key]

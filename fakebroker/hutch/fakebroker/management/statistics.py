"""Counts what RabbitMQ's management plugin counts, while the API is open.

Counters are true at once. Rates are those of the last five seconds, as in RabbitMQ. A timer takes them, as long as
something changes.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

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


class Statistics(Journal):
    """Listens to the journal from :meth:`open` to :meth:`close`.

    ``_publishing``, ``_delivering`` and ``_queued`` keep counters at hand until the sampler looks next. The sampler
    hears of counters when they get there, so a message that finds its counters there only adds to them.
    """

    def __init__(self, node: "Node") -> None:
        self._node: Final = node
        self._sampler: Final = Sampler(node.timers, self._look)
        #: Whether a reply counts as dropped, and the default exchange takes a single key for the name of a queue.
        self._counts_names: Final = not node.profile.topology.has_volatile_queues
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
        # Until the next look.
        self._publishing: Final[dict[tuple[Origin, str], tuple[Counts, Counts, Counts]]] = {}
        self._delivering: Final[dict[Origin, tuple[Counts, Counts]]] = {}
        self._queued: Final[dict[Target, Counts]] = {}
        #: Stands for the counters of all names that replies are sent to.
        self._replies: Final = Counts()

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
        for book in (self._vhosts, self._channels, self._queues, self._exchanges):
            book.clear()
        self._former = Counts()
        self.churn = Churn()
        self._forget_at_hand()

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
        self._forget_at_hand()
        self.lengths.look()
        return self.traffic.look()

    def _forget_at_hand(self) -> None:
        self._publishing.clear()
        self._delivering.clear()
        self._queued.clear()

    # publishes

    def published(self, origin: "Origin", vhost: "VHost", message: "Message", queues: "Sequence[Target]") -> None:
        """Count it. Who publishes without a channel wants to know that no queue gets it, as RabbitMQ's own API does."""
        channel, exchange, everything = self._publishing.get((origin, message.exchange)) or self._begin_publishing(
            origin, vhost, message.exchange
        )
        channel.publish += 1
        everything.publish += 1
        exchange.publish_in += 1
        if self._put(message, exchange, queues):
            return
        if origin.channel is None:
            everything.return_unroutable += 1
        else:
            channel.drop_unroutable += 1
            everything.drop_unroutable += 1

    def released(self, origin: "Origin", vhost: "VHost", message: "Message", queues: "Sequence[Target]") -> None:
        """Count it as published."""
        self.published(origin, vhost, message, queues)

    def returned(self, origin: "Origin", vhost: "VHost", message: "Message", reply_text: str) -> None:  # noqa: ARG002
        """Count what was taken for dropped as returned."""
        for counts in self._begin_publishing(origin, vhost, message.exchange)[::2]:
            counts.drop_unroutable -= 1
            counts.return_unroutable += 1

    def confirmed(self, origin: "Origin", vhost: "VHost", count: int) -> None:
        """Count it."""
        for counts in self._delivering.get(origin) or self._begin_delivering(origin, vhost):
            counts.confirm += count

    def _put(self, message: "Message", exchange: Counts, queues: "Sequence[Target]") -> bool:
        """Count a message in its queues; whether it counts as routed."""
        routed = 0
        for queue in queues:
            counts = self._queued.get(queue) or self._begin_queue(queue)
            counts.publish += 1
            if counts is not self._replies:
                routed += 1
        exchange.publish_out += routed
        if not self._counts_names:
            return bool(queues)
        if not routed and not message.exchange:
            names = set(message.routing_keys)
            exchange.publish_out += len(names) == 1 and not min(names).startswith(REPLY_PREFIX)
        return routed > 0

    def _begin_publishing(self, origin: "Origin", vhost: "VHost", name: str) -> tuple[Counts, Counts, Counts]:
        channel, everything = self._delivering.get(origin) or self._begin_delivering(origin, vhost)
        exchange = self._exchanges.setdefault((vhost.name, name), Counts())
        self._sampler.touch(exchange)
        found = (channel, exchange, everything)
        if origin.channel is not None:
            self._publishing[origin, name] = found
        return found

    def _begin_delivering(self, origin: "Origin", vhost: "VHost") -> tuple[Counts, Counts]:
        everything = self._vhosts.setdefault(vhost.name, Counts())
        self._sampler.touch(everything)
        if origin.channel is None:
            return Counts(), everything
        channel = self._channels.setdefault(origin, Counts())
        self._sampler.touch(channel)
        self._delivering[origin] = channel, everything
        return channel, everything

    def _begin_queue(self, target: "Target") -> Counts:
        if not isinstance(target, TypedQueue):
            counts = self._replies
        else:
            self.lengths.change(target)
            counts = self._queues.setdefault((target.vhost.name, target.name), Counts())
            self._sampler.touch(counts)
        self._queued[target] = counts
        return counts

    # deliveries

    def delivered(
        self,
        origin: "Origin",
        vhost: "VHost",
        queue: "Target",
        message: "Message",  # noqa: ARG002
        consumer_tag: str,  # noqa: ARG002
        delivery_tag: int,  # noqa: ARG002
        redelivered: bool,
        no_ack: bool,
    ) -> None:
        """Count it; replies are not counted."""
        counts = self._queued.get(queue) or self._begin_queue(queue)
        if counts is self._replies:
            return
        channel, everything = self._delivering.get(origin) or self._begin_delivering(origin, vhost)
        if no_ack:
            counts.deliver_no_ack += 1
            channel.deliver_no_ack += 1
            everything.deliver_no_ack += 1
        else:
            counts.deliver += 1
            channel.deliver += 1
            everything.deliver += 1
        if redelivered:
            counts.redeliver += 1
            channel.redeliver += 1
            everything.redeliver += 1

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
        self._count(origin, queue, "get_no_ack" if no_ack else "get")
        if redelivered:
            self._count(origin, queue, "redeliver")

    def got_nothing(self, origin: "Origin", queue: "Queue") -> None:
        """Count it."""
        self._count(origin, queue, "get_empty")

    def acked(self, origin: "Origin", queue: "Queue", message: "Message") -> None:  # noqa: ARG002
        """Count it, unless it is of the API, which gets without acknowledgements what it does not give back."""
        counts = self._queued.get(queue) or self._begin_queue(queue)
        if origin.channel is None:
            return
        channel, everything = self._delivering.get(origin) or self._begin_delivering(origin, queue.vhost)
        counts.ack += 1
        channel.ack += 1
        everything.ack += 1

    def _count(self, origin: "Origin", queue: "Queue", name: str) -> None:
        counts = self._queued.get(queue) or self._begin_queue(queue)
        for each in (counts, *(self._delivering.get(origin) or self._begin_delivering(origin, queue.vhost))):
            setattr(each, name, getattr(each, name) + 1)

    # what else makes queues longer and shorter

    def _change(self, target: "Target") -> None:
        if target not in self._queued:
            self._begin_queue(target)

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
        self._queues.pop((queue.vhost.name, queue.name), None)
        self.lengths.declared(queue)

    def queue_redeclared(self, origin: "Origin", queue: "Queue") -> None:  # noqa: ARG002
        """Count it."""
        self._came("queue_declared")

    def queue_deleted(self, origin: "Origin", queue: "Queue", orphans: "Sequence[Consumer]") -> None:  # noqa: ARG002
        """Count it, and forget the queue."""
        self._came("queue_deleted")
        self._change(queue)
        self._queues.pop((queue.vhost.name, queue.name), None)

    def exchange_declared(self, origin: "Origin", exchange: "Exchange") -> None:  # noqa: ARG002
        """Nothing is known of an exchange that had the name before."""
        self._forget_exchange(exchange)

    def exchange_deleted(self, origin: "Origin", exchange: "Exchange", bindings: "Sequence[Binding]") -> None:  # noqa: ARG002
        """Forget it."""
        self._forget_exchange(exchange)

    def _forget_exchange(self, exchange: "Exchange") -> None:
        self._exchanges.pop((exchange.vhost.name, exchange.name), None)
        self._publishing.clear()

    def channel_opened(self, origin: "Origin", connection: "Connection") -> None:  # noqa: ARG002
        """Count it."""
        self._came("channel_created")

    def channel_closed(self, origin: "Origin", consumers: int) -> None:  # noqa: ARG002
        """Count it, and forget the channel."""
        self._came("channel_closed")
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
        self._former.absorb(self._vhosts.pop(vhost.name, NOTHING))
        self._sampler.touch(self._former)
        self.lengths.forget_vhost(vhost.name)
        self.traffic.forget_vhost(vhost.name)
        for key in [key for key in self._exchanges if key[0] == vhost.name]:
            del self._exchanges[key]
        self._publishing.clear()
        self._delivering.clear()

"""How long queues are and what goes over connections: looked at, not counted."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.connection import AMQPConnection
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.management.counts import Lengths, Octets, total
from hutch.fakebroker.management.sampling import Sampler

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.queues.queue import Queue


class QueueLengths:
    """How fast queues grow. They are known by virtual host and name, since a restored state has other objects."""

    def __init__(self, node: "Node", sampler: Sampler) -> None:
        self._node: Final = node
        self._sampler: Final = sampler
        self._lengths: Final[dict[tuple[str, str], Lengths]] = {}
        self._vhosts: Final[dict[str, Lengths]] = {}
        #: The queues whose lengths may have changed since the last look.
        self._changed: dict[tuple[str, str], None] = {}

    def begin(self) -> None:
        """Know how long all queues are."""
        for vhost in self._node.vhosts.values():
            for queue in vhost.queues.values():
                self._measured(vhost.name, queue.name).begin()

    def declared(self, queue: "Queue") -> None:
        """A queue is new, and empty."""
        self._lengths.setdefault((queue.vhost.name, queue.name), Lengths())

    def change(self, queue: "Queue") -> None:
        """Have the next look measure a queue."""
        self._changed[queue.vhost.name, queue.name] = None
        self._sampler.wake()

    def forget_vhost(self, name: str) -> None:
        """A virtual host is gone."""
        self._vhosts.pop(name, None)

    def look(self) -> None:
        """Measure the queues that may have changed."""
        changed, self._changed = self._changed, {}
        for vhost, name in changed:
            is_known = (vhost, name) in self._lengths
            lengths = self._measured(vhost, name)
            if is_known:
                self._note(vhost, lengths)
            else:  # it came with a state of the node, so how long it was is not known
                lengths.begin()
            if self._queue(vhost, name) is None:
                del self._lengths[vhost, name]

    def _note(self, vhost: str, lengths: Lengths) -> None:
        everything = self._vhosts.setdefault(vhost, Lengths())
        for key, growth in lengths.growth.items():
            setattr(everything, key, getattr(everything, key) + growth)
        self._sampler.touch(lengths)
        self._sampler.touch(everything)

    def _queue(self, vhost: str, name: str) -> "Queue | None":
        place = self._node.vhosts.get(vhost)
        return None if place is None else place.queues.get(name)

    def _measured(self, vhost: str, name: str) -> Lengths:
        """How long a queue is now; one that is gone is empty."""
        lengths = self._lengths.setdefault((vhost, name), Lengths())
        queue = self._queue(vhost, name)
        lengths.messages_ready = 0 if queue is None else len(queue)
        lengths.messages_unacknowledged = 0 if queue is None else queue.unacked
        return lengths

    def rates(self, queue: "Queue") -> Mapping[str, float]:
        """How fast a queue grows."""
        lengths = self._lengths.get((queue.vhost.name, queue.name))
        return {} if lengths is None else lengths.rates

    def vhost_rates(self, names: Iterable[str]) -> Mapping[str, float]:
        """How fast the queues of virtual hosts grow together."""
        return total(Lengths, [each for name in names if (each := self._vhosts.get(name))]).rates


class Traffic:
    """How many bytes went over connections. What is sent behind the end of a connection is not counted, as in
    RabbitMQ.
    """

    def __init__(self, node: "Node", sampler: Sampler) -> None:
        self._node: Final = node
        self._sampler: Final = sampler
        self._octets: Final[dict[Connection, Octets]] = {}
        #: By virtual host, that of connections which are gone.
        self._former: Final[dict[str, Octets]] = {}

    def begin(self) -> None:
        """Know what went over all connections."""
        for connection in self._node.connections:
            self.of(connection).begin()

    def of(self, connection: "Connection") -> Octets:
        """What went over a connection."""
        octets = self._octets.get(connection)
        if octets is None:
            octets = self._octets[connection] = Octets()
            octets.at = self._node.clock.monotonic()
        if isinstance(connection, AMQPConnection) and isinstance(connection.output, Session):
            octets.recv_oct, octets.send_oct = connection.output.received, connection.output.sent
        return octets

    def of_vhost(self, vhost: str) -> Octets:
        """What went over the connections to a virtual host."""
        several = [self.of(each) for each in self._node.connections if each.vhost.name == vhost]
        return total(Octets, [*several, self._former.get(vhost, Octets())])

    def ended(self, connection: "Connection") -> None:
        """A connection is gone."""
        octets = self.of(connection)
        del self._octets[connection]
        if connection.vhost.name in self._node.vhosts:
            former = self._former.setdefault(connection.vhost.name, Octets())
            former.absorb(octets)
            self._sampler.touch(former)

    def forget_vhost(self, name: str) -> None:
        """A virtual host is gone."""
        self._former.pop(name, None)

    def look(self) -> bool:
        """Measure all connections; whether anything went over them since the last look."""
        now = self._node.clock.monotonic()
        grew = [self.of(connection).look(now) for connection in self._node.connections]  # each is looked at
        return any(grew)

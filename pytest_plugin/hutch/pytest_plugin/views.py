"""What is in a broker, as values: they say how it was when they were asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from hutch.fakebroker import Broker, Message
from hutch.fakebroker.amqp091.connection import AMQPConnection
from hutch.fakebroker.engine.unknown_names import missing
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel as OpenChannel
    from hutch.fakebroker.engine import bindings
    from hutch.fakebroker.engine.consumers import Consumer as EngineConsumer
    from hutch.fakebroker.engine.exchanges.exchange import Exchange as EngineExchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.queues import queue as queues
    from hutch.fakebroker.engine.vhost import VHost

View = TypeVar("View")


@dataclass(frozen=True)
class Queue:
    """A queue. ``ready`` and ``unacked`` count messages, ``consumers`` counts consumers. ``messages`` are the ready
    messages, head first.
    """

    name: str
    vhost: str
    type: str
    durable: bool
    exclusive: bool
    auto_delete: bool
    arguments: FieldTable
    ready: int
    unacked: int
    consumers: int
    messages: tuple[Message, ...] = field(compare=False)

    def __repr__(self) -> str:
        counts = f"{self.ready} ready, {self.unacked} unacked, {_count(self.consumers, 'consumer')}"
        return f"<{self.type} queue {_place(self)}: {counts}{_properties(self)}>"


@dataclass(frozen=True)
class Exchange:
    """An exchange. ``bindings`` counts those that it routes by."""

    name: str
    vhost: str
    type: str
    durable: bool
    auto_delete: bool
    internal: bool
    arguments: FieldTable
    bindings: int

    def __repr__(self) -> str:
        return f"<{self.type} exchange {_place(self)}: {_count(self.bindings, 'binding')}{_properties(self)}>"


@dataclass(frozen=True)
class Binding:
    """A binding from the exchange ``source`` to a queue, or to an exchange if ``destination_type`` says so."""

    source: str
    destination: str
    routing_key: str = ""
    arguments: FieldTable = field(default_factory=dict)
    destination_type: str = "queue"
    vhost: str = "/"


@dataclass(frozen=True)
class Connection:
    """An open connection. ``channels`` counts channels, ``properties`` is what the client says of itself."""

    name: str
    user: str
    vhost: str
    channels: int
    properties: FieldTable = field(repr=False)


@dataclass(frozen=True)
class Channel:
    """An open channel of the connection with the name ``connection``.

    ``prefetch`` is what consumers started from now on get, 0 for no limit. ``unacked`` counts deliveries, ``consumers``
    counts consumers. ``confirms`` is whether publishes are confirmed, ``transactional`` whether they wait for a commit.
    """

    connection: str
    number: int
    user: str
    vhost: str
    prefetch: int
    unacked: int
    consumers: int
    confirms: bool
    transactional: bool


@dataclass(frozen=True)
class Consumer:
    """A consumer of a queue. ``prefetch`` is how many deliveries may be unacknowledged, 0 for any number; ``unacked``
    is how many are. ``connection`` and ``channel`` say whose it is.
    """

    tag: str
    queue: str
    vhost: str
    connection: str | None
    channel: int | None
    no_ack: bool
    exclusive: bool
    prefetch: int
    priority: int
    unacked: int
    arguments: FieldTable


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _place(view: Queue | Exchange) -> str:
    return repr(view.name) if view.vhost == "/" else f"{view.name!r} in vhost {view.vhost!r}"


def _properties(view: Queue | Exchange) -> str:
    said = [name for name in ("durable", "exclusive", "auto_delete", "internal") if getattr(view, name, False)]
    if view.arguments:
        said.append(f"arguments {dict(view.arguments)}")
    return "; " + ", ".join(said) if said else ""


class Views:
    """Looks into one broker. Everything that TCP clients have sent by then is done before."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def _look(self, question: "Callable[[Node], View]") -> View:
        self._broker.drain_clients()
        hub = self._broker.hub
        return hub.look(lambda: question(hub.node))

    def queue(self, name: str, vhost: str | None) -> Queue:
        """See :meth:`FakeBroker.queue <hutch.pytest_plugin.FakeBroker.queue>`."""

        def find(node: "Node") -> Queue:
            place = find_vhost(node, vhost)
            found = place.queues.get(name)
            if found is None:
                raise LookupError(missing(f"queue {name!r} in vhost {place.name!r}", name, place.queues))
            return _queue(found)

        return self._look(find)

    def queues(self) -> list[Queue]:
        """All queues of all virtual hosts."""
        return self._look(
            lambda node: [_queue(queue) for vhost in node.vhosts.values() for queue in vhost.queues.values()]
        )

    def exchange(self, name: str, vhost: str | None) -> Exchange:
        """See :meth:`FakeBroker.exchange <hutch.pytest_plugin.FakeBroker.exchange>`."""

        def find(node: "Node") -> Exchange:
            place = find_vhost(node, vhost)
            if not name:
                return Exchange("", place.name, "direct", True, False, False, {}, 0)
            found = place.exchanges.get(name)
            if found is None:
                raise LookupError(missing(f"exchange {name!r} in vhost {place.name!r}", name, place.exchanges))
            return _exchange(found)

        return self._look(find)

    def bindings(self) -> list[Binding]:
        """All bindings of all virtual hosts."""
        return self._look(
            lambda node: [
                _binding(binding)
                for vhost in node.vhosts.values()
                for exchange in vhost.exchanges.values()
                for binding in exchange.outgoing.values()
            ]
        )

    def connections(self) -> list[Connection]:
        """All open connections."""
        return self._look(lambda node: [_connection(connection) for connection in _open(node)])

    def channels(self) -> list[Channel]:
        """All open channels."""
        return self._look(
            lambda node: [_channel(channel) for connection in _open(node) for channel in connection.channels.values()]
        )

    def consumers(self) -> list[Consumer]:
        """All consumers of queues."""
        return self._look(
            lambda node: [
                _consumer(consumer)
                for vhost in node.vhosts.values()
                for queue in vhost.queues.values()
                for consumer in queue.consumers
            ]
        )


def find_vhost(node: "Node", name: str | None) -> "VHost":
    """The virtual host of this name, or the first one; in a turn or a look.

    Raises:
        LookupError: there is none of that name, or none at all.
    """
    if name is None:
        first = next(iter(node.vhosts.values()), None)
        if first is None:
            raise LookupError("the broker has no virtual host")
        return first
    found = node.vhosts.get(name)
    if found is None:
        raise LookupError(missing(f"vhost {name!r}", name, node.vhosts))
    return found


def _queue(queue: "queues.Queue") -> Queue:
    return Queue(
        queue.name,
        queue.vhost.name,
        queue.type,
        queue.durable,
        queue.owner is not None,
        queue.auto_delete,
        dict(queue.arguments),
        len(queue),
        queue.unacked,
        len(queue.consumers),
        tuple(queue.messages),
    )


def _exchange(exchange: "EngineExchange") -> Exchange:
    return Exchange(
        exchange.name,
        exchange.vhost.name,
        exchange.type,
        exchange.durable,
        exchange.auto_delete,
        exchange.internal,
        dict(exchange.arguments),
        len(exchange.outgoing),
    )


def _binding(binding: "bindings.Binding") -> Binding:
    destination = binding.destination
    vhost = binding.source.vhost
    leads_to_queue = vhost.queues.get(destination.name) is destination
    return Binding(
        binding.source.name,
        destination.name,
        binding.routing_key,
        dict(binding.arguments),
        "queue" if leads_to_queue else "exchange",
        vhost.name,
    )


def _open(node: "Node") -> list[AMQPConnection]:
    return [connection for connection in node.connections if isinstance(connection, AMQPConnection)]


def _connection(connection: AMQPConnection) -> Connection:
    properties = dict(connection.client.properties)
    return Connection(connection.name, connection.user, connection.vhost.name, len(connection.channels), properties)


def _channel(channel: "OpenChannel") -> Channel:
    return Channel(
        channel.connection.name,
        channel.number,
        channel.connection.user,
        channel.vhost.name,
        channel.prefetch,
        len(channel.sink.unacked),
        len(channel.consumers),
        channel.confirms is not None,
        channel.transaction is not None,
    )


def _consumer(consumer: "EngineConsumer") -> Consumer:
    origin = consumer.sink.origin
    return Consumer(
        consumer.tag,
        consumer.queue.name,
        consumer.queue.vhost.name,
        origin.connection,
        origin.channel,
        consumer.no_ack,
        consumer.exclusive,
        consumer.prefetch,
        consumer.priority,
        consumer.unacked,
        dict(consumer.arguments),
    )

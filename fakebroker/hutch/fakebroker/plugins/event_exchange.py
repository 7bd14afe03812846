"""The plugin rabbitmq_event_exchange (https://www.rabbitmq.com/docs/event-exchange): what happens to a node's entities
is published to the exchange amq.rabbitmq.event of its first virtual host.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.arguments import erlang_type
from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.erlang.terms import print_binary, print_term
from hutch.wire.fields import FieldTable, FieldValue, Int64, type_name
from hutch.wire.properties import encode_properties

if TYPE_CHECKING:
    from hutch.fakebroker.engine.channel import Channel
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost

#: The exchange that events are published to.
EVENTS: Final = "amq.rabbitmq.event"
#: Who does what nobody asked for, as an auto-delete queue's end.
INTERNAL: Final = "rmq-internal"


class EventExchange:
    """The events of one node. Each method publishes one, or those that go together in RabbitMQ's order; ``by`` is the
    user who made it happen.

    Here are those of entities and alarms; of connections and operators there are
    :class:`~hutch.fakebroker.plugins.connection_events.ConnectionEvents` and
    :class:`~hutch.fakebroker.plugins.operator_events.OperatorEvents`.
    """

    def __init__(self, node: "Node", vhost: "VHost") -> None:
        self._node: Final = node
        self._vhost: Final = vhost
        self._processes: Final[dict[object, str]] = {}
        self._process = 0
        vhost.exchanges[EVENTS] = Exchange(EVENTS, "topic", vhost, durable=True, internal=True)

    def publish(self, key: str, by: str | None, facts: FieldTable) -> None:
        """Publish an event, in the order of 3.10's headers; 4.3 sorts them, as it sorts all headers."""
        now = self._node.clock.time()
        headers: FieldTable = {
            **({} if by is None else {"user_who_performed_action": by}),
            **facts,
            "timestamp_in_ms": Int64(now * 1000),
        }
        raw = encode_properties({"headers": headers, "delivery_mode": 2, "timestamp": int(now)})
        message = Message(EVENTS, key, self._node.envelopes.of(raw), b"")
        for target in self._vhost.route(self._vhost.exchanges[EVENTS], message, (key,)):
            target.publish(message)

    def process(self, owner: object) -> str:
        """The Erlang process that RabbitMQ would have for a channel, or for a connection (known by its output)."""
        if owner not in self._processes:
            self._process += 1
            self._processes[owner] = f"<{NODE_NAME}.1.{self._process}.0>"
        return self._processes[owner]

    # queues

    def queue_created(self, queue: "Queue", by: str) -> None:
        """queue.created, each queue type in its own way."""
        arguments: FieldTable = queue.arguments
        more: dict[str, FieldValue] = {}
        if self._node.profile.names_queue_type:
            arguments = dict(sorted({"x-queue-type": queue.type, **arguments}.items()))
        if self._node.profile.names_queue_type or queue.type != "classic":
            more["type"] = erlang_type(queue.type)
        if queue.type != "stream":
            more["exclusive"] = queue.owner is not None
        if queue.type == "classic":
            more["owner_pid"] = "" if queue.owner is None else self.process(queue.owner.output)
            if self._node.profile.names_queue_type:
                more |= {"leader": NODE_NAME, "members": [NODE_NAME]}
        facts: FieldTable = {
            "arguments": printed(arguments),
            "auto_delete": queue.auto_delete,
            "durable": queue.durable,
            "name": queue.name,
            "vhost": queue.vhost.name,
        }
        self.publish("queue.created", by, {**facts, **more})

    def queue_deleted(self, queue: "Queue", by: str) -> None:
        """queue.deleted."""
        more: FieldTable = {"type": erlang_type(queue.type)} if self._node.profile.names_queue_type else {}
        self.publish("queue.deleted", by, {"name": queue.name, "vhost": queue.vhost.name, **more})

    # exchanges and bindings

    def exchange_created(self, exchange: Exchange, by: str) -> None:
        """exchange.created."""
        facts: FieldTable = {
            "policy": exchange.policy,
            "arguments": printed(exchange.arguments),
            "internal": exchange.internal,
            "auto_delete": exchange.auto_delete,
            "durable": exchange.durable,
            "type": exchange.type,
            "name": exchange.name,
            "vhost": exchange.vhost.name,
        }
        self.publish("exchange.created", by, facts)

    def exchange_deleted(self, exchange: Exchange, bindings: Sequence[Binding], by: str) -> None:
        """exchange.deleted, and binding.deleted for those that went with it."""
        self.publish("exchange.deleted", by, {"name": exchange.name, "vhost": exchange.vhost.name})
        for binding in bindings:
            self.binding("deleted", binding, by)

    def deletion_of_exchange(self, exchange: Exchange, by: str, *, begins: bool) -> None:
        """What stands around an exchange's deletion by a client, a parameter that is set and cleared."""
        facts: FieldTable = {
            **({"value": True} if begins else {}),
            "name": exchange.name,
            "component": "exchange-delete-in-progress",
            "vhost": exchange.vhost.name,
        }
        self.publish("parameter.set" if begins else "parameter.cleared", by, facts)

    def binding(self, what: str, binding: Binding, by: str) -> None:
        """binding.created or binding.deleted, which is ``what``."""
        facts: FieldTable = {
            "vhost": binding.source.vhost.name,
            "arguments": printed(binding.arguments),
            "routing_key": binding.routing_key,
            "destination_kind": "exchange" if isinstance(binding.destination, Exchange) else "queue",
            "destination_name": binding.destination.name,
            "source_kind": "exchange",
            "source_name": binding.source.name,
        }
        self.publish(f"binding.{what}", by, facts)

    # channels and consumers

    def channel_created(self, channel: "Channel") -> None:
        """channel.created."""
        connection = channel.connection
        facts: FieldTable = {
            "vhost": channel.vhost.name,
            "user": connection.user,
            "number": Int64(channel.number),
            "connection": self.process(connection.output),
            "name": f"{connection.name} ({channel.number})",
            "pid": self.process(channel),
        }
        self.publish("channel.created", connection.user, facts)

    def channel_closed(self, channel: "Channel", consumers: int) -> None:
        """channel.closed, with how many consumers it still had."""
        counted = self._node.profile.has_newer_events
        more: FieldTable = {"consumer_count": Int64(consumers)} if counted else {}
        self.publish("channel.closed", channel.connection.user, {"pid": self.process(channel), **more})
        self.forget(channel)

    def forget(self, owner: object) -> None:
        """The process is gone."""
        del self._processes[owner]

    def consumer_created(self, consumer: "Consumer") -> None:
        """consumer.created, which 3.x has not of streams."""
        kind, is_newer = consumer.queue.type, self._node.profile.has_newer_events
        if kind == "stream" and not is_newer:
            return
        prefetch = consumer.prefetch
        if kind == "quorum" and not is_newer:
            prefetch = 0 if consumer.credit is not None else prefetch or 2000
        facts: FieldTable = {
            "arguments": printed(consumer.arguments),
            "prefetch_count": Int64(prefetch),
            "queue": consumer.queue.name,
            "vhost": consumer.queue.vhost.name,
            "channel": self.process(consumer.channel),
            "ack_required": not consumer.no_ack,
            "exclusive": consumer.exclusive,
            "consumer_tag": consumer.tag,
        }
        self.publish("consumer.created", consumer.channel.connection.user, facts)

    def consumer_cancelled(self, consumer: "Consumer") -> None:
        """consumer.deleted, by the client; of a quorum queue's, by RabbitMQ itself."""
        by = INTERNAL if consumer.queue.type == "quorum" else consumer.channel.connection.user
        self._consumers_deleted([consumer], by)

    def consumers_ended(self, consumers: Iterable["Consumer"]) -> None:
        """consumer.deleted, for those that end with their channel: of quorum queues, and with 3.x of classic ones."""
        told = {"quorum"} if self._node.profile.has_newer_events else {"classic", "quorum"}
        self._consumers_deleted((consumer for consumer in consumers if consumer.queue.type in told), INTERNAL)

    def consumers_orphaned(self, consumers: Iterable["Consumer"], by: str | None) -> None:
        """consumer.deleted, for the consumers of a deleted queue: a classic one tells of them, and then, ``by`` nobody,
        the channels of all types do.
        """
        self._consumers_deleted(
            (consumer for consumer in consumers if by is None or consumer.queue.type == "classic"), by
        )

    def _consumers_deleted(self, consumers: Iterable["Consumer"], by: str | None) -> None:
        for consumer in consumers:
            facts: FieldTable = {
                "queue": consumer.queue.name,
                "vhost": consumer.queue.vhost.name,
                "channel": self.process(consumer.channel),
                "consumer_tag": consumer.tag,
            }
            self.publish("consumer.deleted", by, facts)

    # alarms

    def alarm(self, what: str, resource: str) -> None:
        """alarm.set or alarm.cleared, which is ``what``."""
        self.publish(f"alarm.{what}", None, {"node": NODE_NAME, "source": resource})


def printed(arguments: FieldTable) -> list[FieldValue]:
    """Arguments as texts, each as Erlang prints it: ``{<<"x-max-length">>,signedint,10}``. It takes octets for letters
    and writes them as octets again.
    """
    texts = (
        f"{{{print_binary(name.encode('utf-8', 'surrogateescape'))},{type_name(value)},{print_term(value)}}}"
        for name, value in arguments.items()
    )
    return [text.encode("latin-1").decode("utf-8", "surrogateescape") for text in texts]

"""Events of queues, exchanges, bindings, channels, consumers and alarms
(:mod:`hutch.fakebroker.plugins.event_exchange`).
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.arguments import erlang_type
from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.origin import BROKER, Origin
from hutch.fakebroker.plugins.event_exchange import EventExchange, printed
from hutch.wire.fields import FieldTable, FieldValue, Int64

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.queues.queue import Queue


class EntityEvents(Journal):
    """Publishes an event of each fact, or those that go together in RabbitMQ's order."""

    def __init__(self, events: EventExchange) -> None:
        self._events: Final = events

    # queues

    def queue_declared(self, origin: Origin, queue: "Queue") -> None:
        """queue.created, each queue type in its own way."""
        arguments: FieldTable = queue.arguments
        more: dict[str, FieldValue] = {}
        if self._events.node.profile.arguments.names_queue_type:
            arguments = dict(sorted({"x-queue-type": queue.type, **arguments}.items()))
        if self._events.node.profile.arguments.names_queue_type or queue.type != "classic":
            more["type"] = erlang_type(queue.type)
        if queue.type != "stream":
            more["exclusive"] = queue.owner is not None
        if queue.type == "classic":
            more["owner_pid"] = "" if queue.owner is None else self._events.process(queue.owner.client)
            if self._events.node.profile.arguments.names_queue_type:
                more |= {"leader": NODE_NAME, "members": [NODE_NAME]}
        facts: FieldTable = {
            "arguments": printed(arguments),
            "auto_delete": queue.auto_delete,
            "durable": queue.durable,
            "name": queue.name,
            "vhost": queue.vhost.name,
        }
        self._events.publish("queue.created", origin, {**facts, **more})

    def consumers_orphaned(self, origin: Origin, consumers: Sequence["Consumer"]) -> None:
        """consumer.deleted, for the consumers of a classic queue."""
        self._consumers_deleted((each for each in consumers if each.queue.type == "classic"), origin)

    def queue_deleted(self, origin: Origin, queue: "Queue", orphans: Sequence["Consumer"]) -> None:
        """queue.deleted, and once more consumer.deleted: the channels of all orphans tell of them."""
        more: FieldTable = (
            {"type": erlang_type(queue.type)} if self._events.node.profile.arguments.names_queue_type else {}
        )
        self._events.publish("queue.deleted", origin, {"name": queue.name, "vhost": queue.vhost.name, **more})
        self._consumers_deleted(orphans, None)

    # exchanges and bindings

    def exchange_declared(self, origin: Origin, exchange: Exchange) -> None:
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
        self._events.publish("exchange.created", origin, facts)

    def exchange_deleting(self, origin: Origin, exchange: Exchange) -> None:
        """parameter.set."""
        self._events.publish("parameter.set", origin, {"value": True, **_deletion(exchange)})

    def exchange_deleted(self, origin: Origin, exchange: Exchange, bindings: Sequence[Binding]) -> None:
        """exchange.deleted, and binding.deleted for those that went with it."""
        self._events.publish("exchange.deleted", origin, {"name": exchange.name, "vhost": exchange.vhost.name})
        for binding in bindings:
            self.binding_deleted(origin, binding)

    def exchange_delete_done(self, origin: Origin, exchange: Exchange) -> None:
        """parameter.cleared."""
        self._events.publish("parameter.cleared", origin, _deletion(exchange))

    def binding_created(self, origin: Origin, binding: Binding, is_new: bool) -> None:
        """binding.created, in newer versions also of a binding that is there."""
        if is_new or self._events.profile.has_newer_events:
            self._tell_binding("created", origin, binding)

    def binding_deleted(self, origin: Origin, binding: Binding) -> None:
        """binding.deleted."""
        self._tell_binding("deleted", origin, binding)

    def _tell_binding(self, what: str, origin: Origin, binding: Binding) -> None:
        facts: FieldTable = {
            "vhost": binding.source.vhost.name,
            "arguments": printed(binding.arguments),
            "routing_key": binding.routing_key,
            "destination_kind": "exchange" if isinstance(binding.destination, Exchange) else "queue",
            "destination_name": binding.destination.name,
            "source_kind": "exchange",
            "source_name": binding.source.name,
        }
        self._events.publish(f"binding.{what}", origin, facts)

    # channels and consumers

    def channel_opened(self, origin: Origin, connection: "Connection") -> None:
        """channel.created."""
        facts: FieldTable = {
            "vhost": connection.vhost.name,
            "user": origin.user,
            "number": Int64(origin.channel or 0),
            "connection": self._events.process(connection.client),
            "name": f"{origin.connection} ({origin.channel})",
            "pid": self._events.process(origin),
        }
        self._events.publish("channel.created", origin, facts)

    def channel_closed(self, origin: Origin, consumers: int) -> None:
        """channel.closed, in newer versions with how many consumers it still had."""
        counted = self._events.profile.has_newer_events
        more: FieldTable = {"consumer_count": Int64(consumers)} if counted else {}
        self._events.publish("channel.closed", origin, {"pid": self._events.process(origin), **more})
        self._events.forget(origin)

    def consumer_added(self, origin: Origin, consumer: "Consumer") -> None:
        """consumer.created, which 3.x has not of streams."""
        kind, is_newer = consumer.queue.type, self._events.profile.has_newer_events
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
            "channel": self._events.process(origin),
            "ack_required": not consumer.no_ack,
            "exclusive": consumer.exclusive,
            "consumer_tag": consumer.tag,
        }
        self._events.publish("consumer.created", origin, facts)

    def consumer_cancelled(self, origin: Origin, consumer: "Consumer") -> None:
        """consumer.deleted, by the client; of a quorum queue's, by RabbitMQ itself."""
        self._consumers_deleted([consumer], BROKER if consumer.queue.type == "quorum" else origin)

    def consumers_ended(self, origin: Origin, consumers: Iterable["Consumer"]) -> None:  # noqa: ARG002
        """consumer.deleted, for those that end with their channel: of quorum queues, and with 3.x of classic ones."""
        told = {"quorum"} if self._events.profile.has_newer_events else {"classic", "quorum"}
        self._consumers_deleted((consumer for consumer in consumers if consumer.queue.type in told), BROKER)

    def _consumers_deleted(self, consumers: Iterable["Consumer"], by: Origin | None) -> None:
        for consumer in consumers:
            facts: FieldTable = {
                "queue": consumer.queue.name,
                "vhost": consumer.queue.vhost.name,
                "channel": self._events.process(consumer.sink.origin),
                "consumer_tag": consumer.tag,
            }
            self._events.publish("consumer.deleted", by, facts)

    # alarms

    def alarm_raised(self, resource: str) -> None:
        """alarm.set."""
        self._events.publish("alarm.set", None, {"node": NODE_NAME, "source": resource})

    def alarm_cleared(self, resource: str) -> None:
        """alarm.cleared."""
        self._events.publish("alarm.cleared", None, {"node": NODE_NAME, "source": resource})


def _deletion(exchange: Exchange) -> FieldTable:
    """The parameter that RabbitMQ has while a client deletes an exchange."""
    return {"name": exchange.name, "component": "exchange-delete-in-progress", "vhost": exchange.vhost.name}

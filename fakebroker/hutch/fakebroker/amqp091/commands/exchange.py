"""exchange.declare, delete, bind and unbind."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands.names import stripped
from hutch.fakebroker.engine import topology
from hutch.wire.methods import (
    ExchangeBind,
    ExchangeBindOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    ExchangeDelete,
    ExchangeDeleteOk,
    ExchangeUnbind,
    ExchangeUnbindOk,
)


def declare(channel: Channel, method: ExchangeDeclare) -> None:
    """Create the exchange, or verify that it is there (EXCH-DECLARE)."""
    name = stripped(method.exchange)
    if method.passive:
        topology.existing_exchange(channel.actor, name)
    else:
        topology.declare_exchange(
            channel.actor,
            name,
            method.type,
            durable=method.durable,
            auto_delete=method.auto_delete,
            internal=method.internal,
            arguments=method.arguments,
        )
    if not method.nowait:
        channel.output.method(channel.number, ExchangeDeclareOk())


def delete(channel: Channel, method: ExchangeDelete) -> None:
    """Delete the exchange; one that is not there is no error (EXCH-DELETE)."""
    topology.delete_exchange(channel.actor, stripped(method.exchange), if_unused=method.if_unused)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeDeleteOk())


def bind(channel: Channel, method: ExchangeBind) -> None:
    """Bind an exchange to an exchange (EXCH-BIND-04)."""
    source, destination = stripped(method.source), stripped(method.destination)
    topology.bind(channel.actor, source, "exchange", destination, method.routing_key, arguments=method.arguments)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeBindOk())


def unbind(channel: Channel, method: ExchangeUnbind) -> None:
    """Remove such a binding; one that is not there is no error (EXCH-BIND-05)."""
    source, destination = stripped(method.source), stripped(method.destination)
    topology.unbind(channel.actor, source, "exchange", destination, method.routing_key, arguments=method.arguments)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeUnbindOk())

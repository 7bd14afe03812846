"""queue.declare, bind, unbind, purge and delete."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands import reply_to
from hutch.fakebroker.amqp091.commands.names import queue_name, stripped
from hutch.fakebroker.engine import topology
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.wire.methods import (
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    QueueDeclareOk,
    QueueDelete,
    QueueDeleteOk,
    QueuePurge,
    QueuePurgeOk,
    QueueUnbind,
    QueueUnbindOk,
)


def declare(channel: Channel, method: QueueDeclare) -> None:
    """Create the queue, or verify that it is there (QUEUE-DECLARE)."""
    name = stripped(method.queue)
    if name.startswith(REPLY_TO):
        reply_to.check_declared(channel, name)
        channel.last_queue = name
        if not method.nowait:
            channel.output.method(channel.number, QueueDeclareOk(name, 0, 1))
        return
    if method.passive:
        queue = topology.existing_queue(channel.actor, name)
    else:
        queue = topology.declare_queue(
            channel.actor,
            name,
            durable=method.durable,
            exclusive=method.exclusive,
            auto_delete=method.auto_delete,
            arguments=method.arguments,
        )
    channel.last_queue = queue.name
    if not method.nowait:
        channel.output.method(channel.number, QueueDeclareOk(queue.name, len(queue), queue.consumer_count))


def bind(channel: Channel, method: QueueBind) -> None:
    """Bind the queue to an exchange (EXCH-BIND)."""
    exchange, name = stripped(method.exchange), stripped(queue_name(channel, method.queue))
    key = _routing_key(method, name)
    topology.bind(channel.actor, exchange, "queue", name, key, arguments=method.arguments)
    if not method.nowait:
        channel.output.method(channel.number, QueueBindOk())


def _routing_key(method: QueueBind | QueueUnbind, name: str) -> str:
    """An empty key together with an empty queue name stands for the queue's name (EXCH-BIND-12)."""
    return name if not method.queue and not method.routing_key else method.routing_key


def unbind(channel: Channel, method: QueueUnbind) -> None:
    """Remove such a binding; one that is not there is no error (EXCH-BIND-03)."""
    exchange, name = stripped(method.exchange), stripped(queue_name(channel, method.queue))
    key = _routing_key(method, name)
    topology.unbind(channel.actor, exchange, "queue", name, key, arguments=method.arguments)
    channel.output.method(channel.number, QueueUnbindOk())


def purge(channel: Channel, method: QueuePurge) -> None:
    """Remove the ready messages (QUEUE-PURGE)."""
    count = topology.purge(channel.actor, queue_name(channel, method.queue))
    if not method.nowait:
        channel.output.method(channel.number, QueuePurgeOk(count))


def delete(channel: Channel, method: QueueDelete) -> None:
    """Delete the queue; one that is not there is no error (QUEUE-DELETE). Its consumers are told after the reply
    (CONSUME-19).
    """
    name = stripped(queue_name(channel, method.queue))
    count, orphans = topology.delete_queue(channel.actor, name, if_unused=method.if_unused, if_empty=method.if_empty)
    if not method.nowait:
        channel.output.method(channel.number, QueueDeleteOk(count))
    for consumer in orphans:
        consumer.sink.cancelled(consumer)

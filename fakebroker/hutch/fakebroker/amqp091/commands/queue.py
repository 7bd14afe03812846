"""queue.declare, bind, unbind, purge and delete."""

from hutch.fakebroker.amqp091.commands import reply_to
from hutch.fakebroker.amqp091.commands.exchange import check_binding
from hutch.fakebroker.amqp091.commands.lookup import (
    check_binding_permitted,
    check_owner,
    find_exchange,
    found_queue,
    locked,
    owned_queue,
    queue_name,
    stripped,
)
from hutch.fakebroker.engine.access.limits import check_new_queue
from hutch.fakebroker.engine.arguments import (
    assert_equivalent,
    check_master_locator,
    check_queue_arguments,
    check_queue_properties,
    check_server_named,
    check_stream_sizes,
    compare_queue_arguments,
    queue_type_of,
)
from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.deprecated import denied
from hutch.fakebroker.engine.errors import not_found, not_implemented, refused
from hutch.fakebroker.engine.queues import QUEUE_TYPES
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.wire.fields import FieldTable
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
        channel.access.check_passive("queue", name)
        queue = channel.vhost.queues.get(name)
        if queue is None:
            raise not_found("queue", name, channel.vhost.name)
        check_owner(channel, queue)
    else:
        queue = _declare(channel, name, _with_queue_type(channel, method))
    channel.last_queue = queue.name
    queue.redeclared()
    if not method.nowait:
        channel.output.method(channel.number, QueueDeclareOk(queue.name, len(queue), queue.consumer_count))


def _with_queue_type(channel: Channel, method: QueueDeclare) -> QueueDeclare:
    """The declaration with the virtual host's default queue type, where it names none. That is for queues that are
    durable, shared and not deleted by themselves; others are classic (QUEUE-DECLARE-28). An empty type stands for the
    default with all queues, and is compared as what it is (QUEUE-ARG-14).
    """
    default = channel.vhost.default_queue_type
    if default is None or "x-queue-type" in method.arguments:
        return method
    if not method.durable or method.exclusive or method.auto_delete:
        default = "classic"
    return QueueDeclare(
        queue=method.queue,
        durable=method.durable,
        exclusive=method.exclusive,
        auto_delete=method.auto_delete,
        nowait=method.nowait,
        arguments={**method.arguments, "x-queue-type": default},
    )


def _declare(channel: Channel, name: str, method: QueueDeclare) -> Queue:
    vhost = channel.vhost
    if name.startswith("amq."):
        raise refused(f"queue name '{name}' contains reserved prefix 'amq.*'")
    if not name:
        check_server_named(method.arguments, vhost.node.profile)
        name = vhost.node.names.queue()
    channel.access.check("queue", name, "configure")
    existing = vhost.queues.get(name)
    if existing is not None:
        _compare(channel, existing, method)
        return existing
    profile = vhost.node.profile
    if not profile.checks_queue_limit_late:
        check_new_queue(vhost, name)
    _check_dead_letter_exchange(channel, name, method.arguments)
    check_queue_arguments(name, vhost.name, method.arguments, profile, vhost.default_queue_type)
    if not (method.durable or method.exclusive or profile.permits_transient_queues):
        raise denied("transient_nonexcl_queues")
    if profile.checks_queue_limit_late:
        check_new_queue(vhost, name)
    queue_type = queue_type_of(method.arguments, vhost.default_queue_type)
    durable = method.durable and not method.exclusive  # exclusive queues are never durable (QUEUE-DECLARE-25)
    check_queue_properties(
        name, vhost.name, queue_type, durable=durable, exclusive=method.exclusive, auto_delete=method.auto_delete
    )
    if queue_type == "stream":
        check_stream_sizes(method.arguments, profile)
    check_master_locator(method.arguments, profile, exclusive=method.exclusive)
    if queue_type not in QUEUE_TYPES:
        raise not_implemented(f"x-queue-type={queue_type}")
    queue = QUEUE_TYPES[queue_type](
        vhost,
        name,
        durable=durable,
        owner=channel.connection if method.exclusive else None,
        auto_delete=method.auto_delete,
        arguments=method.arguments,
    )
    vhost.add_queue(queue, channel.origin)
    return queue


def _check_dead_letter_exchange(channel: Channel, name: str, arguments: FieldTable) -> None:
    """Refuse with 403 a queue that the user may not read, or an exchange that the user may not write to (PERM-09)."""
    exchange = arguments.get("x-dead-letter-exchange")
    if isinstance(exchange, str):
        channel.access.check("queue", name, "read")
        channel.access.check("exchange", exchange, "write")


def _compare(channel: Channel, existing: Queue, method: QueueDeclare) -> None:
    """Refuse a declaration that differs: exclusiveness first, then the rest (QUEUE-DECLARE-11 to QUEUE-DECLARE-24)."""
    vhost = channel.vhost
    check_owner(channel, existing)
    if method.exclusive != (existing.owner is not None):
        raise locked(existing)
    where = ("queue", existing.name, vhost.name)
    assert_equivalent(*where, "durable", method.durable and not method.exclusive, existing.durable)
    assert_equivalent(*where, "auto_delete", method.auto_delete, existing.auto_delete)
    compare_queue_arguments(existing, method.arguments)


def bind(channel: Channel, method: QueueBind) -> None:
    """Bind the queue to an exchange (EXCH-BIND)."""
    exchange, name = stripped(method.exchange), stripped(queue_name(channel, method.queue))
    reply_to.refuse_binding(channel, name)
    check_binding_permitted(channel, "queue", name, exchange, _routing_key(method, name))
    source = find_exchange(channel, exchange)
    queue = found_queue(channel, name)
    check_binding(channel, source, queue, _routing_key(method, name), method.arguments)
    check_owner(channel, queue)
    channel.vhost.add_binding(source, queue, _routing_key(method, name), method.arguments, channel.origin)
    if not method.nowait:
        channel.output.method(channel.number, QueueBindOk())


def _routing_key(method: QueueBind | QueueUnbind, name: str) -> str:
    """An empty key together with an empty queue name stands for the queue's name (EXCH-BIND-12)."""
    return name if not method.queue and not method.routing_key else method.routing_key


def unbind(channel: Channel, method: QueueUnbind) -> None:
    """Remove such a binding; one that is not there is no error (EXCH-BIND-03)."""
    exchange, name = stripped(method.exchange), stripped(queue_name(channel, method.queue))
    reply_to.refuse_binding(channel, name)
    check_binding_permitted(channel, "queue", name, exchange, _routing_key(method, name))
    vhost = channel.vhost
    source, queue = vhost.exchanges.get(exchange), vhost.queues.get(name)
    if source is not None and queue is not None:
        binding = vhost.find_binding(source, queue, _routing_key(method, name), method.arguments)
        if binding is not None:
            check_owner(channel, queue)
            vhost.remove_binding(binding, channel.origin)
    channel.output.method(channel.number, QueueUnbindOk())


def purge(channel: Channel, method: QueuePurge) -> None:
    """Remove the ready messages (QUEUE-PURGE)."""
    name = queue_name(channel, method.queue)
    channel.access.check("queue", name, "read")
    count = 0
    if not reply_to.is_volatile(channel, name):
        queue = owned_queue(channel, name)
        count = queue.purge()
        channel.vhost.node.journal.purged(channel.origin, queue, count)
    if not method.nowait:
        channel.output.method(channel.number, QueuePurgeOk(count))


def delete(channel: Channel, method: QueueDelete) -> None:
    """Delete the queue; one that is not there is no error (QUEUE-DELETE). Its consumers are told after the reply
    (CONSUME-19).
    """
    vhost = channel.vhost
    name = stripped(queue_name(channel, method.queue))
    channel.access.check("queue", name, "configure")
    queue = vhost.queues.get(name)
    count = 0
    orphans = []
    if queue is not None:
        check_owner(channel, queue)
        queue.drop_expired()
        count = queue.check_delete(if_unused=method.if_unused, if_empty=method.if_empty)
        orphans = vhost.delete_queue(queue, channel.origin)
    if not method.nowait:
        channel.output.method(channel.number, QueueDeleteOk(count))
    # Each channel is told in the order of its tags.
    for consumer in sorted(orphans, key=lambda orphan: orphan.tag_bytes[1:]):
        consumer.sink.cancelled(consumer)

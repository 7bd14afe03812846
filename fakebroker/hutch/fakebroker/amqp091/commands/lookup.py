"""Finding the exchange or queue that a method names, or refusing as RabbitMQ refuses."""

from hutch.fakebroker.engine.access.permissions import Kind
from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.errors import SoftError, not_found, refused
from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.wire.codes import ReplyCode


def stripped(name: str) -> str:
    """A name as RabbitMQ keeps it: without carriage returns and line feeds (QUEUE-DECLARE-10).

    Declaring, binding, unbinding and deleting read names so; publishing, getting, consuming and purging take them as
    they are. Routing keys are never stripped.
    """
    return name.replace("\r", "").replace("\n", "")


def refuse_default_exchange(name: str) -> None:
    """403 for what cannot be done to the default exchange (EXCH-DEFAULT)."""
    if not name:
        raise refused("operation not permitted on the default exchange")


def find_exchange(channel: Channel, name: str) -> Exchange:
    """The exchange, or 404."""
    found = channel.vhost.exchanges.get(name)
    if found is None:
        raise not_found("exchange", name, channel.vhost.name)
    return found


def check_binding_permitted(channel: Channel, kind: Kind, destination: str, source: str, routing_key: str) -> None:
    """Refuse with 403 a binding, made or removed, for which the user may not write to the destination or read the
    source, or whose routing key topic permissions do not cover (PERM-06, PERM-07, PERM-12).
    """
    channel.access.check(kind, destination, "write")
    if kind == "exchange":
        refuse_default_exchange(destination)
    refuse_default_exchange(source)
    channel.access.check("exchange", source, "read")
    channel.access.check_topics(channel.vhost.exchanges.get(source), (routing_key,), "read")


def queue_name(channel: Channel, name: str) -> str:
    """The name itself, or for an empty one that of the queue declared last; 404 when none was (EXCH-BIND-13)."""
    if name:
        return name
    if channel.last_queue is None:
        raise SoftError(ReplyCode.NOT_FOUND, "no previously declared queue")
    return channel.last_queue


def owned_queue(channel: Channel, name: str) -> Queue:
    """The queue, or 404, or 405 for another connection's exclusive queue."""
    found = found_queue(channel, name)
    check_owner(channel, found)
    return found


def found_queue(channel: Channel, name: str) -> Queue:
    """The queue of this very name, whoever owns it, or 404."""
    found = channel.vhost.queues.get(name)
    if found is None:
        raise not_found("queue", name, channel.vhost.name)
    return found


def check_owner(channel: Channel, queue: Queue) -> None:
    """405 for another connection's exclusive queue (QUEUE-EXCL-01)."""
    if queue.owner is not None and queue.owner is not channel.connection:
        raise locked(queue)


def locked(queue: Queue) -> SoftError:
    """The 405 of exclusive queues (QUEUE-EXCL-01, QUEUE-EXCL-06)."""
    return SoftError(
        ReplyCode.RESOURCE_LOCKED,
        f"cannot obtain exclusive access to locked queue '{queue.name}' in vhost '{queue.vhost.name}'. It could be "
        "originally declared on another connection or the exclusive property value does not match that of the "
        "original declaration.",
    )

"""Finding the exchange or queue that an actor names, or refusing as RabbitMQ refuses."""

from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.errors import BrokerError, not_found, refused
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.queues.queue import Queue


def refuse_default_exchange(name: str) -> None:
    """403 for what cannot be done to the default exchange (EXCH-DEFAULT)."""
    if not name:
        raise refused("operation not permitted on the default exchange")


def find_exchange(actor: Actor, name: str) -> Exchange:
    """The exchange, or 404."""
    found = actor.vhost.exchanges.get(name)
    if found is None:
        raise not_found("exchange", name, actor.vhost.name)
    return found


def owned_queue(actor: Actor, name: str) -> Queue:
    """The queue, or 404, or 405 for another connection's exclusive queue."""
    found = found_queue(actor, name)
    check_owner(actor, found)
    return found


def found_queue(actor: Actor, name: str) -> Queue:
    """The queue of this very name, even if another connection owns it, or 404."""
    found = actor.vhost.queues.get(name)
    if found is None:
        raise not_found("queue", name, actor.vhost.name)
    return found


def check_owner(actor: Actor, queue: Queue) -> None:
    """405 for another connection's exclusive queue (QUEUE-EXCL-01)."""
    if queue.owner is not None and queue.owner is not actor.connection:
        raise locked(queue)


def locked(queue: Queue) -> BrokerError:
    """The 405 of exclusive queues (QUEUE-EXCL-01, QUEUE-EXCL-06)."""
    return BrokerError(
        "RESOURCE_LOCKED",
        f"cannot obtain exclusive access to locked queue '{queue.name}' in vhost '{queue.vhost.name}'. It could be "
        "originally declared on another connection or the exclusive property value does not match that of the "
        "original declaration.",
    )

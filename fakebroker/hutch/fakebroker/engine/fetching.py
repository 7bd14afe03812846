"""Taking one message out of a queue, where nobody consumes."""

from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.errors import not_implemented
from hutch.fakebroker.engine.lookup import owned_queue
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.ready_messages import Entry


def get(actor: Actor, name: str) -> tuple[Queue, Entry | None]:
    """Take the next message of the queue ``name``; ``None`` where none is ready (GET). What becomes of it is for the
    caller to say.

    Raises:
        BrokerError: 403, 404 or 405; 540, it is a stream or a volatile queue (RPC-13).
    """
    actor.check("queue", name, "read")
    vhost = actor.vhost
    if vhost.node.replies.is_volatile(name):
        raise not_implemented(f"basic.get not supported by volatile queue '{name}' in vhost '{vhost.name}'")
    queue = owned_queue(actor, name)
    queue.renew_lease()
    return queue, queue.take()

"""From an exchange to the queues: bindings between exchanges and alternate exchanges included."""

from typing import TYPE_CHECKING

from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.message import Message

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost


def route(vhost: "VHost", exchange: Exchange, message: Message, keys: tuple[str, ...]) -> "list[Queue]":
    """The queues that a message published to ``exchange`` with these routing keys gets into, each once (EXCH-BIND-09).

    Each exchange is visited once, so cycles end (EXCH-BIND-10, EXCH-AE-03); on every hop the message's own keys count
    (EXCH-BIND-11).
    """
    if len(keys) == 1 and not exchange.to_exchanges and exchange.alternate is None:
        matching = exchange.router.route(keys[0], message)
        return list(dict.fromkeys(queue for queue in matching if not isinstance(queue, Exchange)))
    queues: dict[Queue, None] = {}
    visited = {exchange}
    todo = [exchange]
    while todo:
        source = todo.pop()
        destinations = dict.fromkeys(destination for key in keys for destination in source.router.route(key, message))
        if not destinations and source.alternate:
            alternate = vhost.exchanges.get(source.alternate)
            if alternate is not None:
                destinations = {alternate: None}
        for destination in destinations:
            if not isinstance(destination, Exchange):
                queues[destination] = None
            elif destination not in visited:
                visited.add(destination)
                todo.append(destination)
    return list(queues)


def route_by_queue_name(vhost: "VHost", keys: tuple[str, ...]) -> "list[Queue]":
    """What the default exchange does: the queues of these names (EXCH-DEFAULT-05)."""
    if len(keys) == 1:
        queue = vhost.queues.get(keys[0])
        return [queue] if queue is not None else []
    return [vhost.queues[key] for key in dict.fromkeys(keys) if key in vhost.queues]

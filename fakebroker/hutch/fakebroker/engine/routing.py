"""From an exchange to the queues: bindings between exchanges and alternate exchanges included."""

from typing import TYPE_CHECKING

from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.replies import REPLY_PREFIX
from hutch.fakebroker.engine.targets import Target

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost


def route(vhost: "VHost", exchange: Exchange | None, message: Message, keys: tuple[str, ...]) -> list[Target]:
    """The queues that a message published to ``exchange`` with these routing keys gets into, each once (EXCH-BIND-09).
    ``None`` is the default exchange: the queues of these names (EXCH-DEFAULT-05).

    Each exchange is visited once, so cycles end (EXCH-BIND-10, EXCH-AE-03); on every hop the message's own keys count
    (EXCH-BIND-11).

    Raises:
        BrokerError: 541 for some malformed names of replies; see :meth:`Replies.route`.
    """
    if exchange is None:
        if len(keys) == 1 and (queue := vhost.queues.get(keys[0])) is not None:
            return [queue]
        return _named(vhost, message, keys)
    if len(keys) == 1 and not exchange.to_exchanges and exchange.alternate is None:
        matching = exchange.router.route(keys[0], message)
        return list(dict.fromkeys(queue for queue in matching if not isinstance(queue, Exchange)))
    queues: dict[Queue, None] = {}
    visited = {exchange}
    todo = [exchange]
    while todo:
        source = todo.pop()
        destinations = dict.fromkeys(
            destination for key in dict.fromkeys(keys) for destination in source.router.route(key, message)
        )
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


def _named(vhost: "VHost", message: Message, keys: tuple[str, ...]) -> list[Target]:
    """The queues of these names, and the names that replies are sent to."""
    targets: list[Target] = []
    for key in dict.fromkeys(keys):
        target: Target | None = vhost.queues.get(key)
        if target is None and key.startswith(REPLY_PREFIX):
            target = vhost.node.replies.route(vhost, key, message)
        if target is not None:
            targets.append(target)
    return targets

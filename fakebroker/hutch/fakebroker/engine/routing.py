"""From an exchange to the queues: bindings between exchanges and alternate exchanges included."""

from typing import TYPE_CHECKING, Protocol

from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.replies import REPLY_PREFIX

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.publishers import Standing
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost


class Publisher(Protocol):
    """Who publishes to a queue and is told when it is full: a channel, or what forwards a queue's dead letters."""

    @property
    def closed(self) -> bool:
        """Whether it has ended."""

    def tell(self, standing: "Standing", is_full: bool) -> None:
        """Have ``standing`` hear a queue's word, when the publisher comes to that."""


class Target(Protocol):
    """What a message can be routed to: a queue, or a name that replies are sent to."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def deleted(self) -> bool:
        """Whether it takes nothing any more."""

    @property
    def refuses_at_once(self) -> bool:
        """Whether what it refuses is refused before it hears of it."""

    def publish(self, message: Message, publisher: Publisher | None = None) -> bool:
        """Take in a message; ``False`` if it is refused. ``publisher`` is who is told, ``None`` if nobody is."""

    def publish_dead(self, message: Message, publisher: Publisher | None = None) -> bool:
        """The same for a dead letter."""


def route(vhost: "VHost", exchange: Exchange, message: Message, keys: tuple[str, ...]) -> list[Target]:
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


def route_by_queue_name(vhost: "VHost", message: Message, keys: tuple[str, ...]) -> list[Target]:
    """What the default exchange does: the queues of these names (EXCH-DEFAULT-05).

    Raises:
        HardError: 541 for some malformed names of replies; see :meth:`Replies.route`.
    """
    queue: Target | None
    if len(keys) == 1 and (queue := vhost.queues.get(keys[0])) is not None:
        return [queue]
    targets: list[Target] = []
    for key in dict.fromkeys(keys):
        queue = vhost.queues.get(key)
        if queue is None and key.startswith(REPLY_PREFIX):
            queue = vhost.node.replies.route(vhost, key, message)
        if queue is not None:
            targets.append(queue)
    return targets

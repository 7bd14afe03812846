"""Exchanges that pick one of their bindings at random: x-random of the plugin rabbitmq_random_exchange, and 4.3's
x-local-random, which is for queues alone (EXCH-PLUGIN-08, EXCH-PLUGIN-09).

The numbers are the node's own, so that the same seed picks the same queues.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.arguments import erlang_type
from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.errors import precondition_failed
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import TypedQueue
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost


class RandomRouter(Router):
    """All bindings, each as likely as any; a queue that is bound twice is twice as likely."""

    def __init__(self, _exchange: "Exchange", vhost: "VHost") -> None:
        self._random = vhost.node.random
        self._destinations: dict[tuple[object, ...], Destination] = {}

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        self._destinations[binding.identity] = binding.destination

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        del self._destinations[binding.identity]

    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """One destination; keys do not count."""
        if not self._destinations or routing_key != message.routing_key:
            return ()
        return (self._random.choice(list(self._destinations.values())),)


def _check_local_binding(
    _exchange: "Exchange", _node: "Node", destination: Destination, key: str, _arguments: FieldTable
) -> None:
    """Refuse all but classic queues, bound with an empty key (EXCH-PLUGIN-09)."""
    if key:
        raise precondition_failed(f"Non empty binding '{key.encode().decode('latin-1')}' key not permitted")
    if not isinstance(destination, TypedQueue):
        raise precondition_failed("Destination not found")
    if destination.type != "classic":
        raise precondition_failed(f"Queue type {erlang_type(destination.type)} not valid for this exchange type")


RANDOM: Final = ExchangeType(RandomRouter)
LOCAL_RANDOM: Final = ExchangeType(RandomRouter, check_binding=_check_local_binding)

"""The direct exchange: the routing key is the binding key, to the letter (EXCH-DIRECT-01)."""

from collections.abc import Iterable

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.message import Message


class DirectRouter(Router):
    """Destinations by binding key."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[tuple[object, ...], Destination]] = {}

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        self._by_key.setdefault(binding.routing_key, {})[binding.identity] = binding.destination

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        destinations = self._by_key[binding.routing_key]
        del destinations[binding.identity]
        if not destinations:
            del self._by_key[binding.routing_key]

    def route(self, routing_key: str, _message: Message) -> Iterable[Destination]:
        """The destinations bound with this very key."""
        destinations = self._by_key.get(routing_key)
        return destinations.values() if destinations else ()

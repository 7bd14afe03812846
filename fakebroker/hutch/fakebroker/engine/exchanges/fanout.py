"""The fanout exchange: everything that is bound gets the message (EXCH-DIRECT-02)."""

from collections.abc import Iterable

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.message import Message


class FanoutRouter(Router):
    """All destinations."""

    def __init__(self) -> None:
        self._destinations: dict[tuple[object, ...], Destination] = {}

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        self._destinations[binding.identity] = binding.destination

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        del self._destinations[binding.identity]

    def route(self, _routing_key: str, _message: Message) -> Iterable[Destination]:
        """Every destination; the key does not count."""
        return self._destinations.values()

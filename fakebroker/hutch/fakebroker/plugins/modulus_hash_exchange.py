"""The modulus hash exchange: the hash of the routing key, modulo the number of bindings, picks one of them
(EXCH-PLUGIN-10). It is built into 4.3; in 3.10 the plugin rabbitmq_sharding has it.
"""

from bisect import insort
from collections.abc import Iterable

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import TypedQueue
from hutch.fakebroker.erlang.hashing import phash2
from hutch.fakebroker.plugins.profile import PluginProfile


class ModulusHashRouter(Router):
    """Bindings in the order of their destinations: exchanges, then queues, by name. In 3.10 the binding key comes first
    in that order.
    """

    def __init__(self, by_key: bool) -> None:
        self._by_key = by_key
        self._bindings: list[Binding] = []

    def _rank(self, binding: Binding) -> tuple[bytes, bool, bytes]:
        destination = binding.destination
        key = binding.routing_key.encode("utf-8", "surrogateescape") if self._by_key else b""
        return key, isinstance(destination, TypedQueue), destination.name.encode("utf-8", "surrogateescape")

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        insort(self._bindings, binding, key=self._rank)

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        self._bindings.remove(binding)

    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """The one destination; all keys of the message are hashed together."""
        if not self._bindings or routing_key != message.routing_key:
            return ()
        number = phash2([key.encode("utf-8", "surrogateescape") for key in message.routing_keys])
        return (self._bindings[number % len(self._bindings)].destination,)


def modulus_hash(profile: PluginProfile) -> ExchangeType:
    """The exchange type."""
    return ExchangeType(lambda _exchange, _vhost: ModulusHashRouter(profile.modulus_sorts_by_key))

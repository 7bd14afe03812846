"""The consistent hash exchange of the plugin rabbitmq_consistent_hash_exchange: each message goes to one destination,
which its routing key, a header or a property decides (EXCH-PLUGIN-01 to EXCH-PLUGIN-07).

The destinations stand in a row in the order of their bindings, each with as many buckets as its binding's weight. A
key always falls into the same of so many buckets (:func:`~hutch.fakebroker.erlang.hashing.jump`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.errors import internal_error, precondition_failed
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import Contents
from hutch.fakebroker.erlang.hashing import Atom, Term, jump, phash2
from hutch.fakebroker.erlang.terms import erlang_term, print_text, print_unicode, typed_term
from hutch.fakebroker.plugins.profile import PluginProfile
from hutch.wire.fields import FieldTable, type_name

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost

_WEIGHT: Final = re.compile(r"[+-]?[0-9]+")
_PROPERTIES: Final = ("correlation_id", "message_id", "timestamp")


def _check_arguments(_node: "Node", arguments: FieldTable) -> None:
    """Refuse to hash what cannot be hashed (EXCH-PLUGIN-04, EXCH-PLUGIN-05)."""
    for name in ("hash-header", "hash-property"):
        if name in arguments and type_name(arguments[name]) != "longstr":
            raise internal_error()
    if "hash-property" in arguments:
        if "hash-header" in arguments:
            raise precondition_failed("hash-header and hash-property are mutually exclusive")
        if arguments["hash-property"] not in _PROPERTIES:
            raise precondition_failed(f"Unsupported property: {print_text(arguments['hash-property'])}")


def _name(destination: Destination) -> tuple[bool, str]:
    """Whether it is an exchange, and its name."""
    return (isinstance(destination, Exchange), destination.name)


@dataclass(frozen=True)
class ConsistentHashState:
    """The weights of destinations: whether it is an exchange, its name, its weight. The bindings alone do not tell
    them.
    """

    weights: tuple[tuple[bool, str, int], ...]


class ConsistentHashRouter(Router):
    """Destinations with their weights.

    A destination counts once, with the weight it was bound with first; whichever of its bindings goes, it leaves
    (EXCH-PLUGIN-03). It is known by its name: 4.x does not tell the exchange of transient queues that go when the
    broker stops. They keep their buckets, and get messages again if they are declared again (RESTART-12).
    """

    def __init__(self, exchange: Exchange, vhost: "VHost", hashes_types: bool) -> None:
        self._arguments = exchange.arguments
        self._vhost = vhost
        self._hashes_types = hashes_types
        self._weights: dict[tuple[bool, str], int] = {}
        self._buckets = 0
        self._sees_removals = True

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        name = _name(binding.destination)
        if name not in self._weights:
            self._weights[name] = int(binding.routing_key)
            self._buckets += int(binding.routing_key)

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        if self._sees_removals:
            self._buckets -= self._weights.pop(_name(binding.destination), 0)

    def stop(self) -> None:
        """Keep the buckets of what is removed now, where RabbitMQ does not tell the exchange (RESTART-12)."""
        self._sees_removals = self._vhost.node.profile.topology.forgets_transient_exchanges

    def start(self) -> None:
        """Take out what is removed, again."""
        self._sees_removals = True

    def dump(self, dumping: Dumping) -> Contents:  # noqa: ARG002
        """The weights as data."""
        return ConsistentHashState(tuple((*name, weight) for name, weight in self._weights.items()))

    def load(self, contents: Contents, loading: Loading) -> None:
        """Have the weights that were dumped, without those of queues that went with their connections."""
        assert isinstance(contents, ConsistentHashState)
        self._weights = {
            (is_exchange, name): weight
            for is_exchange, name, weight in contents.weights
            if is_exchange or (self._vhost.name, name) not in loading.gone
        }
        self._buckets = sum(self._weights.values())

    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """The one destination; further keys of the message do not count."""
        if not self._buckets or routing_key != message.routing_key:
            return ()
        key = self._key(message)
        bucket = jump(key if isinstance(key, int) else phash2(key), self._buckets)
        for (is_exchange, name), weight in self._weights.items():
            bucket -= weight
            if bucket < 0:
                found = self._vhost.exchanges.get(name) if is_exchange else self._vhost.queues.get(name)
                return () if found is None else (found,)
        raise AssertionError("a bucket beyond the last")

    def _key(self, message: Message) -> Term:
        """What is hashed; what is missing counts as ``undefined`` (EXCH-PLUGIN-06)."""
        properties = message.properties.values
        if (header := self._arguments.get("hash-header")) is not None:
            value = message.headers.get(str(header), ...)
            if value is ...:
                return Atom("undefined")
            if self._hashes_types:
                return typed_term(value)
            term = erlang_term(value, milliseconds=True)
            # Of an array or a table the first element counts, as of the routing keys.
            return term[0] if isinstance(term, list) and term else term
        if (name := self._arguments.get("hash-property")) is not None:
            found = properties.get(str(name))
            if found is None:
                return Atom("undefined")
            return str(found).encode("utf-8", "surrogateescape")
        return message.routing_key.encode("utf-8", "surrogateescape")


def consistent_hash(profile: PluginProfile) -> ExchangeType:
    """The exchange type."""

    def router(exchange: Exchange, vhost: "VHost") -> Router:
        return ConsistentHashRouter(exchange, vhost, profile.hashes_header_types)

    def check_binding(_: Exchange, _node: "Node", _destination: Destination, key: str, _arguments: FieldTable) -> None:
        """Refuse a key that is no weight (EXCH-PLUGIN-01)."""
        if not _WEIGHT.fullmatch(key):
            raise precondition_failed(f"The binding key must be an integer: {print_unicode(key)}")
        if int(key) < 1:
            raise precondition_failed("The binding key must be greater than 0")
        limit = profile.max_hash_weight
        if limit is not None and int(key) > limit:
            raise precondition_failed(f"The binding key must not exceed {limit}")

    return ExchangeType(router, _check_arguments, check_binding)

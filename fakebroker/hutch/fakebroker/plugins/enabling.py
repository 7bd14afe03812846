"""RabbitMQ's plugins that the emulator has: those that bring exchange types, and the exchange of events
(https://www.rabbitmq.com/docs/plugins).
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.exchanges.types import EXCHANGE_TYPES
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.unknown_names import unknown
from hutch.fakebroker.plugins.connection_events import ConnectionEvents
from hutch.fakebroker.plugins.consistent_hash_exchange import consistent_hash
from hutch.fakebroker.plugins.delayed_exchange import DelayedMessages, delaying
from hutch.fakebroker.plugins.entity_events import EntityEvents
from hutch.fakebroker.plugins.event_exchange import EventExchange
from hutch.fakebroker.plugins.modulus_hash_exchange import modulus_hash
from hutch.fakebroker.plugins.operator_events import OperatorEvents
from hutch.fakebroker.plugins.profile import PluginProfile
from hutch.fakebroker.plugins.random_exchange import LOCAL_RANDOM, RANDOM
from hutch.fakebroker.plugins.recent_history_exchange import RECENT_HISTORY

#: A plugin's exchange type, by the plugin's name; the plugin of events has none. Of rabbitmq_sharding only the type is
#: emulated, not its policies; 4.3 has the type built in.
PLUGINS: Final[dict[str, str | None]] = {
    "rabbitmq_consistent_hash_exchange": "x-consistent-hash",
    "rabbitmq_delayed_message_exchange": "x-delayed-message",
    "rabbitmq_event_exchange": None,
    "rabbitmq_random_exchange": "x-random",
    "rabbitmq_recent_history_exchange": "x-recent-history",
    "rabbitmq_sharding": "x-modulus-hash",
}


def check_plugins(plugins: Iterable[str]) -> frozenset[str]:
    """The plugins to enable.

    Raises:
        ValueError: there is no such plugin; the message names those there are.
    """
    enabled = list(plugins)
    for name in enabled:
        if name not in PLUGINS:
            raise ValueError(unknown("plugin", name, PLUGINS))
    return frozenset(enabled)


@cache
def exchange_types(profile: PluginProfile, enabled: frozenset[str]) -> Mapping[str, ExchangeType]:
    """The exchange types of a broker, by name: AMQP's, those that its version has built in, and those of its plugins.
    All brokers of a version share them.
    """
    known = {
        **EXCHANGE_TYPES,
        "x-consistent-hash": consistent_hash(profile),
        "x-local-random": LOCAL_RANDOM,
        "x-modulus-hash": modulus_hash(profile),
        "x-random": RANDOM,
        "x-recent-history": RECENT_HISTORY,
    }
    known["x-delayed-message"] = delaying(known, profile)
    names = {*EXCHANGE_TYPES, *profile.exchange_types, *(PLUGINS[name] for name in enabled)}
    return {name: type_ for name, type_ in known.items() if name in names}


def add_listeners(node: Node, profile: PluginProfile, enabled: frozenset[str]) -> None:
    """Have plugins that listen to a node's journal do so, and those that keep something begin. There is no exchange of
    events without a virtual host.
    """
    if "rabbitmq_delayed_message_exchange" in enabled:
        DelayedMessages.of(node)
    if "rabbitmq_event_exchange" in enabled and node.vhosts:
        events = EventExchange(node, next(iter(node.vhosts.values())), profile)
        entities = EntityEvents(events)
        for listener in (entities, ConnectionEvents(events), OperatorEvents(events, entities)):
            node.listen(listener)

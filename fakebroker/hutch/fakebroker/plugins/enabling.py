"""RabbitMQ's plugins that the emulator has: those that bring exchange types, and the exchange of events
(https://www.rabbitmq.com/docs/plugins).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from hutch.fakebroker.engine.exchanges import types
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.profiles import Profile
from hutch.fakebroker.plugins.connection_events import ConnectionEvents
from hutch.fakebroker.plugins.consistent_hash_exchange import CONSISTENT_HASH
from hutch.fakebroker.plugins.delayed_exchange import delaying
from hutch.fakebroker.plugins.entity_events import EntityEvents
from hutch.fakebroker.plugins.event_exchange import EventExchange
from hutch.fakebroker.plugins.modulus_hash_exchange import MODULUS_HASH
from hutch.fakebroker.plugins.operator_events import OperatorEvents
from hutch.fakebroker.plugins.random_exchange import LOCAL_RANDOM, RANDOM
from hutch.fakebroker.plugins.recent_history_exchange import RECENT_HISTORY

#: The exchange type that a plugin brings, by the plugin's name; none comes with that of events. Of sharding there is
#: that alone, not what policies make of it; 4.3 has the type built in.
PLUGINS: Final[dict[str, str | None]] = {
    "rabbitmq_consistent_hash_exchange": "x-consistent-hash",
    "rabbitmq_delayed_message_exchange": "x-delayed-message",
    "rabbitmq_event_exchange": None,
    "rabbitmq_random_exchange": "x-random",
    "rabbitmq_recent_history_exchange": "x-recent-history",
    "rabbitmq_sharding": "x-modulus-hash",
}
#: All exchange types, AMQP's and those of plugins. Which of them a broker has, its profile says.
EXCHANGE_TYPES: Final[dict[str, ExchangeType]] = {
    **types.EXCHANGE_TYPES,
    "x-consistent-hash": CONSISTENT_HASH,
    "x-local-random": LOCAL_RANDOM,
    "x-modulus-hash": MODULUS_HASH,
    "x-random": RANDOM,
    "x-recent-history": RECENT_HISTORY,
}
EXCHANGE_TYPES["x-delayed-message"] = delaying(EXCHANGE_TYPES)


def enabling(profile: Profile, plugins: Iterable[str]) -> Profile:
    """The profile with plugins enabled.

    Raises:
        ValueError: there is no such plugin; the message names those there are.
    """
    enabled = list(plugins)
    for name in enabled:
        if name not in PLUGINS:
            raise ValueError(f"no plugin {name!r}; there are {', '.join(map(repr, PLUGINS))}")
    if not enabled:
        return profile
    types = {type_ for name in enabled if (type_ := PLUGINS[name]) is not None}
    return replace(profile, exchange_types=profile.exchange_types | types, plugins=frozenset(enabled))


def add_listeners(node: Node) -> None:
    """Have plugins that listen to a node's journal do so. There is no exchange of events without a virtual host."""
    if "rabbitmq_event_exchange" in node.profile.plugins and node.vhosts:
        events = EventExchange(node, next(iter(node.vhosts.values())))
        entities = EntityEvents(events)
        for listener in (entities, ConnectionEvents(events), OperatorEvents(events, entities)):
            node.listen(listener)

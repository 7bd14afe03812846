"""RabbitMQ's plugins that the emulator has: those that bring exchange types, and the exchange of events
(https://www.rabbitmq.com/docs/plugins).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from hutch.fakebroker.engine.profiles import Profile

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
    events = "rabbitmq_event_exchange" in enabled
    return replace(profile, exchange_types=profile.exchange_types | types, has_event_exchange=events)

"""What versions of RabbitMQ differ in about plugins."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class PluginProfile:
    """The switches of :mod:`hutch.fakebroker.plugins`."""

    #: Whether bindings that are made again have events, and consumers of a closed channel have one event with their
    #: number, else one each.
    has_newer_events: bool
    #: Exchange types that the version has built in, beside AMQP's.
    exchange_types: frozenset[str]
    #: The largest weight in a consistent hash exchange; None: any (EXCH-PLUGIN-01).
    max_hash_weight: int | None
    #: Whether a consistent hash exchange hashes a header's type with its value, else the value alone.
    hashes_header_types: bool
    #: Whether a modulus hash exchange sorts its bindings by their keys first, else by their destinations alone.
    modulus_sorts_by_key: bool
    #: More types of x-delay that this version takes for numbers, and types over which it crashes.
    more_delays: frozenset[str]
    crashing_delays: frozenset[str]
    #: Whether a delayed message is delivered with its x-delay negated.
    negates_delay: bool


V3_10: Final = PluginProfile(
    has_newer_events=False,
    exchange_types=frozenset(),
    max_hash_weight=None,
    hashes_header_types=True,
    modulus_sorts_by_key=True,
    more_delays=frozenset({"byte"}),
    crashing_delays=frozenset(),
    negates_delay=False,
)

V4_3: Final = PluginProfile(
    has_newer_events=True,
    exchange_types=frozenset({"x-local-random", "x-modulus-hash"}),
    max_hash_weight=10000,
    hashes_header_types=False,
    modulus_sorts_by_key=False,
    more_delays=frozenset({"binary", "double", "float"}),
    crashing_delays=frozenset({"decimal", "void"}),
    negates_delay=True,
)

"""The RabbitMQ versions that the emulator can be.

A switch is a difference between versions. It is declared beside what honours it, in a group, which says there what each
version does. Here the groups come together. A new version is one more :class:`Profile`, of groups that exist or new
ones.
"""

from dataclasses import dataclass
from typing import Final

from hutch.fakebroker.amqp091 import profile as amqp091
from hutch.fakebroker.amqp091.profile import AMQPProfile
from hutch.fakebroker.definitions import profile as definitions
from hutch.fakebroker.definitions.profile import DefinitionsProfile
from hutch.fakebroker.engine import arguments_profile as arguments
from hutch.fakebroker.engine import message_profile as messages
from hutch.fakebroker.engine import topology_profile as topology
from hutch.fakebroker.engine.access import profile as access
from hutch.fakebroker.engine.exchanges import profile as exchanges
from hutch.fakebroker.engine.operator import profile as policies
from hutch.fakebroker.engine.profile import EngineProfile
from hutch.fakebroker.engine.queues import profile as queues
from hutch.fakebroker.engine.queues import quorum_profile as quorum
from hutch.fakebroker.engine.queues import stream_profile as streams
from hutch.fakebroker.management import profile as management
from hutch.fakebroker.management.profile import ManagementProfile
from hutch.fakebroker.plugins import profile as plugins
from hutch.fakebroker.plugins.profile import PluginProfile


@dataclass(frozen=True, eq=False)
class Profile:
    """One RabbitMQ version.

    ``deprecated_features`` are those that may be permitted and denied. ``enabled_plugins`` are named as by RabbitMQ.
    """

    name: str
    deprecated_features: frozenset[str]
    engine: EngineProfile
    amqp091: AMQPProfile
    plugins: PluginProfile
    definitions: DefinitionsProfile
    management: ManagementProfile
    enabled_plugins: frozenset[str] = frozenset()


V3_10: Final = Profile(
    name="3.10",
    deprecated_features=frozenset(),
    engine=EngineProfile(
        access=access.V3_10,
        arguments=arguments.V3_10,
        exchanges=exchanges.V3_10,
        messages=messages.V3_10,
        policies=policies.V3_10,
        queues=queues.V3_10,
        quorum=quorum.V3_10,
        streams=streams.V3_10,
        topology=topology.V3_10,
    ),
    amqp091=amqp091.V3_10,
    plugins=plugins.V3_10,
    definitions=definitions.V3_10,
    management=management.V3_10,
)

V4_3: Final = Profile(
    name="4.3",
    deprecated_features=frozenset({"global_qos", "queue_master_locator", "transient_nonexcl_queues"}),
    engine=EngineProfile(
        access=access.V4_3,
        arguments=arguments.V4_3,
        exchanges=exchanges.V4_3,
        messages=messages.V4_3,
        policies=policies.V4_3,
        queues=queues.V4_3,
        quorum=quorum.V4_3,
        streams=streams.V4_3,
        topology=topology.V4_3,
    ),
    amqp091=amqp091.V4_3,
    plugins=plugins.V4_3,
    definitions=definitions.V4_3,
    management=management.V4_3,
)

PROFILES: Final = {profile.name: profile for profile in (V3_10, V4_3)}

"""What a RabbitMQ version is to the engine: switches, each declared beside what honours it."""

from dataclasses import dataclass

from hutch.fakebroker.engine.access.profile import AccessProfile
from hutch.fakebroker.engine.arguments_profile import ArgumentsProfile
from hutch.fakebroker.engine.exchanges.profile import ExchangeProfile
from hutch.fakebroker.engine.message_profile import MessageProfile
from hutch.fakebroker.engine.operator.profile import PolicyProfile
from hutch.fakebroker.engine.queues.profile import QueueProfile
from hutch.fakebroker.engine.queues.quorum_profile import QuorumProfile
from hutch.fakebroker.engine.queues.stream_profile import StreamProfile
from hutch.fakebroker.engine.topology_profile import TopologyProfile


@dataclass(frozen=True, eq=False)
class EngineProfile:
    """The switches of the engine, in groups."""

    access: AccessProfile
    arguments: ArgumentsProfile
    exchanges: ExchangeProfile
    messages: MessageProfile
    policies: PolicyProfile
    queues: QueueProfile
    quorum: QuorumProfile
    streams: StreamProfile
    topology: TopologyProfile

"""The broker: an emulator of RabbitMQ that runs in this process, or behind a TCP port."""

from hutch.fakebroker.administration import Administration
from hutch.fakebroker.broker import Broker
from hutch.fakebroker.clocks import AutoClock, FrozenClock, ManualClock, SystemClock, TickingClock
from hutch.fakebroker.cluster_node import ClusterNode
from hutch.fakebroker.definitions.refusals import InvalidDefinitions
from hutch.fakebroker.engine.clock import Clock
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.operator.policy_checks import InvalidPolicy
from hutch.fakebroker.history import History
from hutch.fakebroker.history.event import Event
from hutch.fakebroker.profiles import PROFILES, Profile
from hutch.fakebroker.queue_view import QueueView
from hutch.fakebroker.snapshot import Snapshot

__all__ = [
    "PROFILES",
    "Administration",
    "AutoClock",
    "Broker",
    "Clock",
    "ClusterNode",
    "Event",
    "FrozenClock",
    "History",
    "InvalidDefinitions",
    "InvalidPolicy",
    "ManualClock",
    "Message",
    "Profile",
    "QueueView",
    "Snapshot",
    "SystemClock",
    "TickingClock",
]

"""Faults on a correct broker, by rules that a test makes; see docs/faults.md.

The broker works without this package, which is imported when somebody asks for ``Broker.faults``.
"""

from hutch.fakebroker.faults.commands import CommandMatch
from hutch.fakebroker.faults.connections import ArrivalMatch, ConnectionMatch
from hutch.fakebroker.faults.fault import Fault
from hutch.fakebroker.faults.faults import Faults

__all__ = ["ArrivalMatch", "CommandMatch", "ConnectionMatch", "Fault", "Faults"]

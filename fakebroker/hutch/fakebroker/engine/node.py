"""The root of the engine: what RabbitMQ calls a node. A single-threaded value; whoever holds it makes the calls."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Final

from hutch.fakebroker.engine.alarms import Alarms
from hutch.fakebroker.engine.clock import Clock, Timers
from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.history import History
from hutch.fakebroker.engine.message import Envelopes
from hutch.fakebroker.engine.names import Names
from hutch.fakebroker.engine.profiles import Profile
from hutch.fakebroker.engine.vhost import VHost


class Node:
    """One broker's state and time.

    ``users`` maps names to passwords. ``seed`` makes the names that the broker draws; the same seed, the same names.
    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        *,
        users: Mapping[str, str],
        vhosts: Iterable[str],
        seed: int,
        history_limit: int | None = None,
    ) -> None:
        self.profile: Final = profile
        self.clock: Final = clock
        self.timers: Final = Timers(clock)
        self.history: Final = History(clock, history_limit)
        self.names: Final = Names(Random(seed))
        self.envelopes: Final = Envelopes(profile)
        self.alarms: Final = Alarms()
        self.users: Final = dict(users)
        self.vhosts: Final[dict[str, VHost]] = {}
        self.connections: Final[dict[Connection, None]] = {}
        #: What a command leaves to be done after it: dead-lettering, so that long chains of queues do not nest.
        self.pending: Final[deque[Callable[[], None]]] = deque()
        for name in vhosts:
            self.add_vhost(name)

    def add_vhost(self, name: str) -> VHost:
        """Create a vhost, or find the one of that name."""
        vhost = self.vhosts.get(name)
        if vhost is None:
            vhost = self.vhosts[name] = VHost(self, name)
        return vhost

    def settle(self) -> None:
        """Do what is pending and what has fallen due, until nothing is left. To be called after every command."""
        pending, timers = self.pending, self.timers
        while True:
            while pending:
                pending.popleft()()
            if timers.soonest == math.inf or (timer := timers.pop_due()) is None:
                return
            timer.action()

"""The root of the engine: what RabbitMQ calls a node. A single-threaded value; its owner makes the calls."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from random import Random
from typing import Any, Final

from hutch.fakebroker.engine.access.passwords import SALT, PasswordHash, hash_password
from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.clock import Clock, SteppedClock, Timer, Timers
from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.listening import journal_of
from hutch.fakebroker.engine.message_properties import Envelopes
from hutch.fakebroker.engine.names import Names
from hutch.fakebroker.engine.operator.alarms import Alarms
from hutch.fakebroker.engine.profile import EngineProfile
from hutch.fakebroker.engine.replies import Replies
from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.engine.state.books import Part
from hutch.fakebroker.engine.vhost import VHost


class Node:
    """One broker's state and time.

    ``users`` maps names to passwords; these users may do everything everywhere. ``seed`` is the random seed for
    generated names and for all else that RabbitMQ draws at random. ``exchange_types`` are those that there are,
    by name. ``listener`` hears all facts; see :meth:`listen`.
    """

    def __init__(
        self,
        profile: EngineProfile,
        clock: Clock,
        *,
        users: Mapping[str, str],
        seed: int,
        exchange_types: Mapping[str, ExchangeType],
        listener: Journal,
    ) -> None:
        self.profile: Final = profile
        self.exchange_types: Final = exchange_types
        self.clock: Final = clock
        self.timers: Final = Timers(clock)
        self._listeners: Final = [listener]
        #: The listener, or all listeners in one. It changes when listeners come and go, so no object may keep it.
        self.journal = listener
        #: The number of the last message.
        self.messages = 0
        self.names = Names(seed)
        self._seed: Final = seed
        self._random: Random | None = None
        self.replies: Final = Replies(self.names, profile.topology.has_volatile_queues)
        self.envelopes: Final = Envelopes(profile.messages)
        self.alarms: Final = Alarms()
        #: How many passwords were hashed; each salt uses the number.
        self.hashes = 0
        self.users: Final = {
            name: User(name, self.hash_password(password), ("administrator",), everywhere=True)
            for name, password in users.items()
        }
        #: Who may log in from this machine alone (CONN-AUTH-14).
        self.loopback_users = frozenset({"guest"})
        self.vhosts: Final[dict[str, VHost]] = {}
        #: RabbitMQ's global parameters, by name: any JSON value.
        self.global_parameters: Final[dict[str, Any]] = {}
        self.connections: Final[dict[Connection, None]] = {}
        #: The state of plugins, by name, beside that of queues and exchanges.
        self.parts: Final[dict[str, Part]] = {}
        #: Work to do after the command: dead-lettering, for example, so that long chains of queues do not nest.
        self.pending: Final[deque[Callable[[], object]]] = deque()
        self._last: Final[deque[Callable[[], object]]] = deque()

    @property
    def random(self) -> Random:
        """What random exchanges and shared limits draw from."""
        if self._random is None:
            self._random = Random(self._seed)
        return self._random

    def listen(self, listener: Journal, *, before_others: bool = False) -> None:
        """Have a listener hear the facts from now on, behind the listeners there are or before them."""
        self._listeners.insert(0 if before_others else len(self._listeners), listener)
        self.journal = journal_of(self._listeners)

    def end_listening(self, listener: Journal) -> None:
        """Have a listener hear nothing more.

        Raises:
            ValueError: it did not listen.
        """
        self._listeners.remove(listener)
        self.journal = journal_of(self._listeners)

    def hash_password(self, password: str) -> PasswordHash:
        """What to keep of a password. Each has a salt of its own; the same seed gives the same salts."""
        self.hashes += 1
        return hash_password(password, sha256(b"%d %d" % (self._seed, self.hashes)).digest()[:SALT])

    @property
    def first_vhost(self) -> str:
        """The name of the first virtual host, the default of each ``vhost``; ``/`` if there is none."""
        return next(iter(self.vhosts), "/")

    def close_connections(self, reason: str, *, user: str | None = None, vhost: str | None = None) -> int:
        """Close connections with 320: all of them, or those of a user or to a vhost; how many."""
        chosen = [
            connection
            for connection in self.connections
            if user in {None, connection.user} and vhost in {None, connection.vhost.name}
        ]
        for connection in chosen:
            connection.force_close(reason)
        return len(chosen)

    @property
    def sinks(self) -> list[Sink]:
        """What queues know of the channels that are open, in the order in which connections and channels opened."""
        return [sink for connection in self.connections for sink in connection.sinks]

    # alarms

    def raise_alarm(self, resource: str) -> None:
        """Be low on a resource; again it does nothing.

        Raises:
            ValueError: there is no such resource.
        """
        self.alarms.check(resource)
        self.run_due()
        if resource not in self.alarms.raised:
            self.alarms.raised.add(resource)
            self.journal.alarm_raised(resource)

    def clear_alarm(self, resource: str) -> None:
        """Be low on it no more; if it was not, nothing happens.

        Raises:
            ValueError: there is no such resource.
        """
        self.alarms.check(resource)
        self.run_due()
        if resource in self.alarms.raised:
            self.journal.alarm_cleared(resource)
            self.alarms.clear(resource)

    # restarts

    def end_consumers(self) -> None:
        """End all consumers, before connections end: what one gives back is not for another that ends as well."""
        self.run_due()
        for connection in self.connections:
            connection.end_consumers()

    def stop(self) -> None:
        """Keep what RabbitMQ has on disk, and stand still. There must be no connection any more."""
        self.run_due()
        for vhost in self.vhosts.values():
            vhost.stop()
        self.journal.stopped()

    def start(self) -> None:
        """Go on where :meth:`stop` stopped."""
        self.journal.started()
        for vhost in self.vhosts.values():
            vhost.start()
        self.run_due()

    # running it

    def run_due(self) -> None:
        """Do what is pending and what has fallen due, until nothing is left. To be called after every command."""
        pending, timers = self.pending, self.timers
        while True:
            while pending:
                pending.popleft()()
            if timers.soonest == math.inf or (timer := timers.pop_due()) is None:
                return
            if isinstance(self.clock, SteppedClock):
                self._do_at(self.clock, timer)
            else:
                timer.action()

    def do_last(self, action: Callable[[], object]) -> None:
        """Do something behind all that is pending, and behind all that follows from that."""
        self._last.append(action)
        if len(self._last) == 1:
            self.pending.append(self._do_last)

    def _do_last(self) -> None:
        if self.pending:
            self.pending.append(self._do_last)
            return
        try:
            self._last[0]()
        finally:  # an error in one must not stop the rest
            self._last.popleft()
            if self._last:
                self.pending.append(self._do_last)

    def _do_at(self, clock: SteppedClock, timer: Timer) -> None:
        """Do what fell due, and what follows from it, at its own moment, although the clock has moved on since."""
        before, clock.moment = clock.moment, timer.at
        try:
            timer.action()
            while self.pending:
                self.pending.popleft()()
        finally:
            clock.moment = before

"""Scripts drawn at random, each played as a duel."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from hutch.conformance.administration import PASSWORD, Administration
from hutch.conformance.differential import replies
from hutch.conformance.differential.administration import Operators, tidy
from hutch.conformance.differential.duel import (
    FRAME_MAX,
    PATIENCE,
    SHRINKING_PATIENCE,
    Difference,
    Duel,
    Inconclusive,
)
from hutch.conformance.differential.emulator import Emulator, emulator
from hutch.conformance.differential.operations import USERS_OWN, Operation
from hutch.conformance.differential.plugin_exchanges import TYPES as PLUGIN_TYPES
from hutch.conformance.differential.restarts import lasting
from hutch.conformance.differential.shrinking import shrink, simpler
from hutch.conformance.differential.side import ADMIN, Side
from hutch.conformance.differential.vocabulary import ALIASES, CONNECTIONS, Vocabulary
from hutch.conformance.raw import RawConnection
from hutch.conformance.site import Inapplicable, Site
from hutch.wire import methods as wire

#: Time limit for shrinking a script, in seconds.
SHRINKING: Final = 120.0


class Player(Protocol):
    """What plays operations on both brokers: a :class:`~hutch.conformance.differential.duel.Duel`."""

    def play(self, operation: Operation) -> None:
        """Play one operation."""

    def finish(self) -> None:
        """Compare a last time."""


class Place(Protocol):
    """Where scripts are played: an :class:`Arena`."""

    vocabulary: Vocabulary

    def duel(self, played: "Counter[str]", patience: float) -> AbstractContextManager[Player]:
        """A fresh pair of brokers."""


@dataclass
class Outcome:
    """What a run came to. ``played`` counts operations by their kind; ``inconclusive`` scripts were given up, and
    ``unrepeated`` differences not seen again.
    """

    played: Counter[str] = field(default_factory=Counter)
    scripts: int = 0
    inconclusive: int = 0
    unrepeated: list[Difference] = field(default_factory=list)
    difference: Difference | None = None
    seconds: float = 0.0


class Arena:
    """Each script has an emulator of its own, and one place of a live broker, tidied up behind each.

    ``profile`` is what the emulator is.
    """

    def __init__(self, live: Site, profile: str) -> None:
        self._live: Final = live
        self._profile: Final = profile
        prefix = live.name("").removesuffix("1")
        self._types: Final = tuple(type_ for type_ in PLUGIN_TYPES if _knows(live, type_))
        operator = _operator(live)
        self._operator: Final = operator
        self._restart: Final = _restart(live)
        restarted = None if self._restart is None else lasting(self._types, profile)
        self.vocabulary = Vocabulary(prefix, self._types, administered=operator is not None, restarted_types=restarted)

    @contextmanager
    def duel(self, played: "Counter[str]", patience: float) -> Iterator[Duel]:
        """A fresh pair."""
        with emulator(self._profile, self._live, self._types) as site:
            operators = self._operators(site)
            user = "" if operators is None else operators.user
            live = Side(lambda number: connect(self._live, user if number == USERS_OWN else ""), prompt=False)
            other = Side(lambda number: connect(site, user if number == USERS_OWN else ""), prompt=True)
            duel = Duel(other, live, site, operators, self._restart, played, patience)
            try:
                yield duel
            finally:
                self._tidy(live, duel)
                duel.emulator.close()
                live.close()

    def _operators(self, site: Emulator) -> Operators | None:
        """Who administers, with a new user, who may do everything at first."""
        if self._operator is None:
            return None
        user = self._operator.add_permitted_user()
        site.operator().add_user(user, PASSWORD)
        administration = _administration(site)
        administration.set_permissions(user)
        return Operators(administration, self._operator, user)

    def _tidy(self, live: Side, duel: Duel) -> None:
        """Leave nothing on the live broker."""
        for connection in (*range(1, CONNECTIONS + 1), USERS_OWN):
            if live.is_open(connection):
                live.end(connection, abrupt=False)
        if self._operator is not None:
            tidy(self._operator)
            self._operator.remove()
        words = self.vocabulary
        queues = {*words.queues, words.missing, *ALIASES, *replies.ALIASES, *duel.queues}
        queues |= {live.names.real(queue) for queue in queues}
        exchanges = (*words.exchanges, words.random, words.missing)
        deletions: list[wire.Method] = [wire.QueueDelete(queue=queue) for queue in queues]
        for deletion in (*deletions, *(wire.ExchangeDelete(exchange=exchange) for exchange in exchanges)):
            ends = time.monotonic() + PATIENCE
            live.open(ADMIN, 1)
            live.send(ADMIN, 1, deletion)
            while not live.is_open(ADMIN, 1) and time.monotonic() < ends:
                # The broker may keep an exclusive queue for a moment after its connection was cut.
                live.open(ADMIN, 1)
                live.send(ADMIN, 1, deletion)
        live.settle({})


def _operator(site: Site) -> Administration | None:
    """Who administers the site, unless nobody can."""
    try:
        return _administration(site)
    except Inapplicable:
        return None


def _restart(site: Site) -> Callable[[], None] | None:
    """What restarts the site's broker, unless nobody may."""
    try:
        return site.control().restart
    except Inapplicable:
        return None


def _administration(site: Site | Emulator) -> Administration:
    def eventually(_: Callable[[], object], text: str) -> object:
        raise AssertionError(text)

    return Administration(site.operator(), site.vhost, eventually)


def _knows(site: Site, type_: str) -> bool:
    """Whether the broker has an exchange type."""
    raw = connect(site)
    raw.expect(wire.ConnectionOpenOk)
    name = site.name("x")
    raw.send_method(wire.ChannelOpen(), 1)
    raw.read()
    raw.send_method(wire.ExchangeDeclare(exchange=name, type=type_), 1)
    _, answer = raw.read()
    if is_known := isinstance(answer, wire.ExchangeDeclareOk):
        raw.send_method(wire.ExchangeDelete(exchange=name), 1)
        raw.read()
    raw.close()
    return is_known


def connect(site: Site | Emulator, user: str = "") -> RawConnection:
    """A connection to a site that has just asked for its virtual host, as a user that an operator made, or by default
    the site's own.
    """
    login = (user, PASSWORD) if user else (site.userid, site.password)
    raw = RawConnection(site.transport(), site.patience, *login, site.vhost)
    raw.start()
    raw.log_in()
    raw.tune(frame_max=FRAME_MAX)
    raw.send_method(wire.ConnectionOpen(site.vhost))
    return raw


def run(arena: Place, operations: int, number: int) -> Outcome:
    """Play at least so many operations, in scripts that ``number`` seeds; the first difference ends it, made small."""
    outcome = Outcome()
    began = time.monotonic()
    for script in _scripts(arena.vocabulary, number):
        if outcome.played.total() >= operations or outcome.difference is not None:
            break
        _play(arena, script, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


def _scripts(vocabulary: Vocabulary, number: int) -> Iterator[list[Operation]]:
    """Scripts without end, the same for the same number."""
    scripts, random = vocabulary.script(), Random(number)
    while True:
        yield scripts.draw(random)


def _play(arena: Place, script: Sequence[Operation], outcome: Outcome) -> None:
    outcome.scripts += 1
    count = 0
    try:
        with arena.duel(outcome.played, PATIENCE) as duel:
            for operation in script:
                count += 1
                duel.play(operation)
            duel.finish()
    except Inconclusive:
        outcome.inconclusive += 1
    except Difference as difference:

        def attempt(operations: Sequence[Operation]) -> Difference | None:
            try:
                with arena.duel(Counter(), SHRINKING_PATIENCE) as duel:
                    for operation in operations:
                        duel.play(operation)
                    duel.finish()
            except Inconclusive:
                return None
            except Difference as found:
                return found
            return None

        outcome.difference = shrink(script[:count], attempt, SHRINKING, simpler)
        if outcome.difference is None:
            outcome.unrepeated.append(difference)

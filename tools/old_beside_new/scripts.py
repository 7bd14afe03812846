"""Scripts: the settings of both emulators, the operations, and the writes in which their bytes go out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from random import Random
from typing import Any, Final

from hutch.conformance.differential import shrinking
from hutch.conformance.differential.operations import USER, Administer, Call, End, Operation, Publish, Settle
from hutch.conformance.differential.plugin_exchanges import TYPES
from hutch.conformance.differential.restarts import lasting
from hutch.conformance.differential.vocabulary import Vocabulary
from old_beside_new.adapters import Settings
from old_beside_new.oddities import PASSWORD, SECOND, Bytes, Due, Oddity, oddities
from old_beside_new.scenes import scenes

_PLUGINS: Final = (
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
)
_EVENTS: Final = "rabbitmq_event_exchange"
#: Deprecated features of 4.3, otherwise than by default.
_DEPRECATED: Final = {"transient_nonexcl_queues": False, "global_qos": False, "queue_master_locator": True}


@dataclass(frozen=True)
class Step:
    """An operation, and how its bytes are written.

    ``joined``: in one write with the bytes of the next operation, if that is for the same connection. ``cuts``: where
    the write is cut, and ``damaged``: which byte is changed, both in thousandths of the length. ``piece``: the largest
    payload of a body frame, bytes; 0 for the negotiated size.
    """

    operation: Oddity
    joined: bool = False
    cuts: tuple[int, ...] = ()
    damaged: int | None = None
    piece: int = 0

    def __str__(self) -> str:
        ways = [
            "with the next in one write" if self.joined else "",
            f"cut at {', '.join(map(str, self.cuts))} of 1000" if self.cuts else "",
            "" if self.damaged is None else f"the byte at {self.damaged} of 1000 damaged",
            f"body frames of {self.piece} bytes" if self.piece else "",
        ]
        told = "; ".join(filter(None, ways))
        return f"{self.operation}{f'  ({told})' if told else ''}"


@dataclass(frozen=True)
class World:
    """The settings of the brokers and of the clients; the defaults are the usual ones."""

    #: The brokers' random seed.
    seed: int = 0
    #: Whether they have the plugin rabbitmq_event_exchange.
    events: bool = False
    #: Whether 4.3 permits deprecated features that it does not by default, and the other way round.
    deprecated: bool = False
    #: The brokers' setting of that name, ms.
    consumer_timeout: int | None = 1800000
    #: What clients agree on, bytes and seconds.
    frame_max: int = 131072
    heartbeat: int = 0
    #: Whether connection 2 is in a virtual host of its own.
    apart: bool = False
    #: Whether clients answer a close at once, and not with their next write.
    prompt: bool = True

    def settings(self, profile: str) -> Settings:
        """The settings of the brokers."""
        return Settings(
            profile,
            seed=self.seed,
            plugins=(*_PLUGINS, _EVENTS) if self.events else _PLUGINS,
            vhosts=("/", SECOND),
            consumer_timeout=self.consumer_timeout,
            permit_deprecated_features=_DEPRECATED if self.deprecated else {},
        )

    def plainer(self) -> "Iterator[World]":
        """This world with one unusual setting less."""
        for each in fields(self):
            usual: Any = each.default
            if getattr(self, each.name) != usual:
                yield replace(self, **{each.name: usual})

    def __str__(self) -> str:
        odd = (each.name for each in fields(self) if getattr(self, each.name) != each.default)
        return ", ".join(f"{name}={getattr(self, name)}" for name in odd) or "default settings"


@dataclass(frozen=True)
class Script:
    """Steps, and the world in which they are played."""

    profile: str
    world: World
    steps: list[Step]


class Scripts:
    """Draws scripts for a profile. Half of them have exchanges of plugins."""

    def __init__(self, profile: str) -> None:
        self._profile: Final = profile
        types = tuple(type_ for type_ in TYPES if type_ != "x-local-random" or profile != "3.10")
        self._drawn: Final = Vocabulary("", types, administered=True, restarted_types=lasting(types, profile)).script()
        self._oddities: Final = oddities()

    def draw(self, random: Random) -> Script:
        """A script."""
        world = World(
            seed=random.randrange(1 << 20),
            events=random.random() < 0.2,
            deprecated=self._profile != "3.10" and random.random() < 0.1,
            consumer_timeout=random.choice((1800000, 1800000, 60000, 1000, None)),
            frame_max=random.choice((131072, 131072, 8192)),
            heartbeat=random.choice((0, 0, 0, 1, 60)),
            apart=random.random() < 0.1,
            prompt=random.random() < 0.7,
        )
        return Script(self._profile, world, [*_BEGINNING, *self._steps(random)])

    def _steps(self, random: Random) -> Iterator[Step]:
        scene = scenes(random)
        for operation in self._drawn.draw(random):
            if random.random() < 0.06:
                yield _written(self._oddities.draw(random), random)
            if random.random() < 0.06:
                for each in scene():
                    yield _written(each, random)
            yield _written(operation, random)


_BEGINNING: Final = [
    Step(Administer("add_user", {"name": USER, "password": PASSWORD})),
    Step(Administer("set_permissions", {"user": USER})),
]


def _written(operation: Oddity, random: Random) -> Step:
    """The operation as a step. Mostly its bytes are one write."""
    if not isinstance(operation, Call | Publish | Settle | End | Bytes):
        return Step(operation)
    return Step(
        operation,
        joined=random.random() < 0.25,
        cuts=_cuts(random) if random.random() < 0.05 else (),
        damaged=random.randrange(1000) if random.random() < 0.005 else None,
        piece=_piece(operation.size, random) if isinstance(operation, Publish) and random.random() < 0.05 else 0,
    )


def _cuts(random: Random) -> tuple[int, ...]:
    return tuple(sorted(random.randrange(1000) for _ in range(random.choice((1, 1, 2, 5)))))


def _piece(size: int, random: Random) -> int:
    return max(random.choice((1, 7, 1000, 4088)), size // 50)


def simpler(step: Step) -> Iterator[Callable[[Step], Step]]:
    """Ways to leave something out of a step; see :func:`hutch.conformance.differential.shrinking.shrink`."""
    for plain in ({"joined": False}, {"cuts": ()}, {"damaged": None}, {"piece": 0}):
        yield partial(_with, **plain)
    if not isinstance(step.operation, Bytes | Due):
        for way in shrinking.simpler(step.operation):
            yield partial(_simplified, way=way)


def _with(step: Step, **changes: Any) -> Step:
    return replace(step, **changes)


def _simplified(step: Step, way: Callable[[Operation], Operation]) -> Step:
    operation = step.operation
    return step if isinstance(operation, Bytes | Due) else replace(step, operation=way(operation))

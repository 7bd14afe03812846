"""What a case is, and the list of all of them.

A case is a function that takes a :class:`~hutch.conformance.rabbit.Rabbit`, plays one behaviour on it and raises
:class:`AssertionError` where it sees another. :func:`case` puts it on the list.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.conformance.rabbit import Rabbit

#: The profiles whose behaviours are described: 3.10 stands for RabbitMQ 3.x, 4.3 for 4.x.
PROFILES: Final = ("3.10", "4.3")

#: Modules of ``hutch.conformance.cases``, in running order.
TOPICS: Final = (
    "connection",
    "closing",
    "handshake",
    "administration",
    "operator_limits",
    "default_type",
    "permissions",
    "permission_changes",
    "topic_permissions",
    "framing",
    "channel",
    "exchange",
    "special_exchange",
    "hash_exchange",
    "plugin_exchange",
    "delayed_exchange",
    "binding",
    "topic",
    "headers",
    "queue",
    "queue_arguments",
    "classic_arguments",
    "names",
    "exclusive",
    "publish",
    "properties",
    "reply_to",
    "reply_names",
    "consume",
    "credit",
    "get",
    "ack",
    "qos",
    "shared_prefetch",
    "fairness",
    "slow_readers",
    "confirm",
    "bursts",
    "tx",
    "tx_publish",
    "tx_ack",
    "combinations",
    "ttl",
    "deadletter",
    "claimed_deaths",
    "limits_arguments",
    "limits",
    "priority",
    "single_active",
    "quorum",
    "quorum_arguments",
    "quorum_limits",
    "kept_dead_letters",
    "quorum_consumers",
    "policy",
    "policy_types",
    "policy_refusals",
    "blocked",
    "restart",
    "stream",
    "stream_arguments",
    "trace",
    "events",
    "queue_events",
    "connection_events",
    "operator_events",
    "stream_offsets",
    "stream_messages",
    "stream_retention",
    "http_auth",
    "http_protocol",
    "http_queues",
    "http_exchanges",
    "http_bindings",
    "http_messages",
    "http_lists",
    "http_vhosts",
    "http_users",
    "http_policies",
    "http_connections",
    "http_health",
    "http_shapes",
    "http_statistics",
    "http_replicas",
    "regression",
)

Play = Callable[["Rabbit"], None]

_BEHAVIOUR = re.compile(r"[A-Z]+(-[A-Z]+)*-M?\d+")


@dataclass(frozen=True)
class Case:
    """One case.

    ``behaviours`` are the rows of the behaviour catalogue that it shows; the first is its ID. ``name`` is the name of
    the function, unique among all cases. ``summary`` says the behaviour in words. ``profiles`` are those it holds for.
    """

    behaviours: tuple[str, ...]
    name: str
    topic: str
    summary: str
    profiles: tuple[str, ...]
    play: Play

    @property
    def id(self) -> str:
        """The behaviour's id and the case's name: what ``-k`` is matched with and reports print."""
        return f"{self.behaviours[0]}-{self.name}"

    def inapplicable(self, profile: str) -> str | None:
        """Why the case says nothing about a broker of this profile; ``None`` where it holds."""
        return None if profile in self.profiles else f"a behaviour of {' and '.join(self.profiles)}"


class Registry:
    """Cases in the order they were added, their names unique."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def case(self, behaviour: str, *more: str, profiles: Sequence[str] = PROFILES) -> Callable[[Play], Play]:
        """Decorator: add a function as the case that shows ``behaviour`` (and ``more``) on ``profiles``.

        Raises:
            ValueError: a behaviour that is no catalogue id, a profile that is unknown, a name that is taken, or a
                function without a docstring.
        """

        def add(play: Play) -> Play:
            behaviours = (behaviour, *more)
            for name in behaviours:
                if not _BEHAVIOUR.fullmatch(name):
                    raise ValueError(f"{name!r} is no id of the behaviour catalogue")
            if unknown := [name for name in profiles if name not in PROFILES]:
                raise ValueError(f"unknown profile {unknown[0]!r}; there are {', '.join(PROFILES)}")
            summary = inspect.cleandoc(play.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            if not summary:
                raise ValueError(f"case {play.__name__} does not say its behaviour in a docstring")
            if any(known.name == play.__name__ for known in self.cases):
                raise ValueError(f"there is a case named {play.__name__} already")
            topic = play.__module__.rpartition(".")[2]
            self.cases.append(Case(behaviours, play.__name__, topic, summary, tuple(profiles), play))
            return play

        return add


REGISTRY: Final = Registry()
case: Final = REGISTRY.case


def all_cases() -> list[Case]:
    """Every case of the suite, topic after topic."""
    for topic in TOPICS:
        import_module(f"hutch.conformance.cases.{topic}")
    ranks = {topic: rank for rank, topic in enumerate(TOPICS)}
    return sorted((case for case in REGISTRY.cases if case.topic in ranks), key=lambda case: ranks[case.topic])


def select(cases: Iterable[Case], expression: str) -> list[Case]:
    """The cases that ``expression`` picks: words that an id or topic contains, joined by ``and``, ``or``, ``not``.

    Upper and lower case do not matter; ``and`` binds tighter than ``or``; an empty expression picks all.

    Raises:
        ValueError: the expression is not of that form.
    """
    if not expression.strip():
        return list(cases)
    alternatives = [_terms(part) for part in re.split(r"\s+or\s+", expression.strip().lower())]
    return [case for case in cases if any(_holds(terms, f"{case.topic} {case.id}".lower()) for terms in alternatives)]


def _terms(conjunction: str) -> list[tuple[bool, str]]:
    terms = []
    for term in re.split(r"\s+and\s+", conjunction):
        words = term.split()
        if not words or set(words[:-1]) - {"not"} or words[-1] in {"and", "or", "not"}:
            raise ValueError(f"cannot read {term!r}: words joined by 'and', 'or', 'not' are wanted")
        terms.append((len(words) % 2 == 1, words[-1]))
    return terms


def _holds(terms: list[tuple[bool, str]], text: str) -> bool:
    return all((word in text) is wanted for wanted, word in terms)

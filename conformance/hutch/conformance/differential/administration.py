"""What an operator does in a script: policies, operator policies, limits of the virtual host, permissions of a user."""

import contextlib
from dataclasses import dataclass
from typing import Any, Final

from hutch.conformance.administration import Administration
from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.dead_letters import STRATEGIES
from hutch.conformance.differential.drawing import mostly
from hutch.conformance.differential.operations import USER, Administer
from hutch.conformance.differential.strategies import Strategy
from hutch.conformance.management import ManagementError

#: Names of policies and operator policies, with the priorities that each may have. No priority occurs twice: between
#: equal priorities, the policy that applies is not determined.
_POLICIES: Final = {"p1": (0, 3, -3), "p2": (1, 4, -2.5), "p3": (2, 5.5, -1)}
#: Limits of the virtual host and of the user, with their possible values.
_VHOST_LIMITS: Final = {"max-queues": (3, 4, 5, 0, -1), "max-connections": (2, 3, 3, 4, 0, -1)}
_USER_LIMITS: Final = {"max-connections": (0, 1, -1), "max-channels": (0, 1, 1, 2, 2, 3, -1)}
#: Limits on things that a live broker counts a little late.
COUNTED: Final = frozenset({"max-connections", "max-channels"})
_TARGETS: Final = ("all", "queues", "exchanges", "classic_queues", "quorum_queues", "streams")
#: Values for policy keys. _DEFINITIONS has legal values of common keys, _OTHERS the other keys that RabbitMQ knows. No
#: time is short enough to expire while the brokers are compared.
_DEFINITIONS: Final[dict[str, tuple[object, ...]]] = {
    "message-ttl": (3600000, 0, 150),
    "expires": (3600000, 300),
    "max-length": (2, 0, 1, 3),
    "max-length-bytes": (20, 0, 10),
    "overflow": ("drop-head", "reject-publish", "reject-publish-dlx"),
    "dead-letter-exchange": (),
    "dead-letter-routing-key": (),
    "alternate-exchange": (),
    "queue-mode": ("default", "lazy"),
    "queue-version": (2, 1),
    "dead-letter-strategy": STRATEGIES,
}
_OTHERS: Final[dict[str, tuple[object, ...]]] = {
    "delivery-limit": (2, 0, -1),
    "max-in-memory-length": (1,),
    "max-in-memory-bytes": (1,),
    "queue-leader-locator": ("client-local", "balanced"),
    "queue-master-locator": ("client-local", "min-masters"),
    "initial-cluster-size": (1,),
    "max-age": ("1h", "1x"),
    "stream-max-segment-size-bytes": (1000000,),
    "stream-filter-size-bytes": (16, 15),
    "consumer-timeout": (3600000,),
    "consumer-disconnected-timeout": (3600000,),
    "delayed-retry-type": ("disabled", "other"),
    "delayed-retry-min": (1000,),
    "delayed-retry-max": (2000, 500),
    "target-group-size": (1, 0),
    "ha-mode": ("all", "other"),
    "ha-params": (1, ["a"]),
    "ha-sync-mode": ("manual", "automatic", "other"),
    "max-priority": (5,),
    "x-max-length": (1,),
    "bogus": (1, "a"),
}
#: Keys that other parts of RabbitMQ validate. Which part is asked first depends on the version and its plugins.
_PARTS: Final = (
    ("ha-mode", "ha-params", "ha-sync-mode"),
    ("queue-master-locator",),
    ("delayed-retry-type", "delayed-retry-min", "delayed-retry-max", "target-group-size"),
)
#: Operations that the HTTP API answers with "not found"; for rabbitmqctl they succeed without effect.
_NOTHING: Final = frozenset({"clear_permissions", "clear_topic_permissions"})
#: Operations whose refusals come from RabbitMQ itself, with a reason. The HTTP API writes the others.
_TOLD_WHY: Final = frozenset({"set_policy", "set_operator_policy"})
_ODD: Final[tuple[object, ...]] = (-1, 0, 1, 1.5, "a", "1", "", True, False, None, [], [1, "a"], {}, {"k": 1})


@dataclass(frozen=True)
class Operators:
    """Who administers the two brokers, and the user who is there on both."""

    emulator: Administration
    live: Administration
    user: str


def administer(operator: Administration, user: str, operation: Administer) -> str:
    """Have an operator do it; what the broker answers."""
    arguments = {name: user if value == USER else value for name, value in operation.arguments.items()}
    try:
        getattr(operator, operation.what)(**arguments)
    except (LookupError, ManagementError, ValueError) as error:
        if operation.what in _NOTHING:
            return "done"
        return str(error) if operation.what in _TOLD_WHY else "refused"
    return "done"


def tidy(operator: Administration) -> None:
    """Undo all that may have been done."""
    for undo in (operator.delete_policy, operator.delete_operator_policy):
        for name in _POLICIES:
            with contextlib.suppress(LookupError):
                undo(name)
    for limit in _VHOST_LIMITS:
        operator.clear_vhost_limit(limit)


class Operations:
    """Strategies over the names of queues and exchanges."""

    def __init__(self, queues: tuple[str, ...], exchanges: tuple[str, ...], missing: str) -> None:
        names = (*queues, *exchanges)
        self._pattern: Final = st.one_of(
            st.sampled_from([f"^{name}$" for name in names]),
            st.sampled_from((names[0][:-1], f"{names[0]}|{names[-1]}", "^x", "[12]$", "^amq[.]gen", "^~", missing, "")),
        )
        self._topic: Final = st.sampled_from((*exchanges, *["amq.topic"] * 3))
        keys = (*queues, "a", "")
        to = ("", *exchanges, missing, "amq.fanout")
        self._legal: Final[dict[str, tuple[object, ...]]] = {
            **_DEFINITIONS,
            "dead-letter-exchange": to,
            "dead-letter-routing-key": keys,
            "alternate-exchange": to[1:],
        }

    def beginning(self) -> Strategy[list[Administer]]:
        """What the user may do at first."""
        return st.one_of(
            st.just([]),
            st.lists(self._permissions(), min_size=1, max_size=1),
            st.tuples(self._permissions(), self._topic_permissions()).map(list),
        )

    def operation(self) -> Strategy[Administer]:
        """Anything that an operator does."""
        return st.one_of(
            *(
                *[self._set("set_policy", self._definition(3))] * 8,
                *[self._set("set_operator_policy", self._operator_definition())] * 3,
                *[self._odd()] * 3,
                *[self._delete("delete_policy")] * 3,
                *[self._delete("delete_operator_policy")] * 2,
                *[_limits("vhost", {}, _VHOST_LIMITS)] * 2,
                *[_limits("user", {"user": USER}, _USER_LIMITS)] * 3,
                st.just(Administer("clear_permissions", {"user": USER})),
                *[self._permissions()] * 5,
                *[self._topic_permissions()] * 3,
                self._no_topic_permissions(),
            )
        )

    def _set(self, what: str, definition: Strategy[dict[str, Any]]) -> Strategy[Administer]:
        arguments = st.fixed_dictionaries(
            {"pattern": self._pattern, "definition": definition},
            optional={"apply_to": st.sampled_from(_TARGETS[:4])},
        )
        return st.builds(_named, st.just(what), _NAMES, arguments)

    def _definition(self, most: int) -> Strategy[dict[str, Any]]:
        return _definitions({key: st.sampled_from(values) for key, values in self._legal.items()}, most)

    def _operator_definition(self) -> Strategy[dict[str, Any]]:
        keys = ("message-ttl", "expires", "max-length", "max-length-bytes")
        return _definitions({key: st.sampled_from(self._legal[key]) for key in keys}, 2)

    def _odd(self) -> Strategy[Administer]:
        """A policy that may be refused."""
        odd = st.sampled_from(_ODD)
        values = {key: st.one_of(st.sampled_from(known), odd) for key, known in {**self._legal, **_OTHERS}.items()}
        # 3.10 does not answer if the value is a number or a table, and crashes if a text is expected and the value is
        # none.
        values["queue-master-locator"] = st.sampled_from((*_OTHERS["queue-master-locator"], "a", ""))
        values["ha-mode"] = st.sampled_from(_OTHERS["ha-mode"])
        values["max-age"] = st.sampled_from(_OTHERS["max-age"])
        # A stream hangs if its segments have no room for a message.
        sizes = [value for value in _ODD if not isinstance(value, int) or value < 0]
        values["stream-max-segment-size-bytes"] = st.sampled_from((*_OTHERS["stream-max-segment-size-bytes"], *sizes))
        # 1 is left out: a millisecond is not zero, but too short to tell from zero.
        values["message-ttl"] = st.sampled_from([value for value in _ODD if value is True or value != 1])
        values["expires"] = values["message-ttl"]
        legal = {key: st.sampled_from(known) for key, known in self._legal.items()}
        parts = [{key: values.pop(key) for key in keys} for keys in _PARTS]
        arguments = st.fixed_dictionaries(
            {
                "pattern": st.one_of(self._pattern, st.sampled_from(("[", "(", "*", ")", "a\\", "a**"))),
                "definition": st.one_of(
                    *[_definitions(values, 3)] * 4, *(_definitions({**legal, **part}, 3) for part in parts)
                ),
            },
            optional={
                "priority": st.sampled_from(
                    [value for value in _ODD if isinstance(value, bool) or not isinstance(value, int | float)]
                ),
                "apply_to": st.sampled_from((*_TARGETS, "other", "")),
            },
        )
        what = st.sampled_from(("set_policy", "set_policy", "set_operator_policy"))
        return st.builds(_named, what, _NAMES, arguments)

    def _delete(self, what: str) -> Strategy[Administer]:
        return st.builds(Administer, st.just(what), st.fixed_dictionaries({"name": st.sampled_from(list(_POLICIES))}))

    def _permissions(self) -> Strategy[Administer]:
        pattern = mostly((".*",), ("", "^$", "^q", "^x", "[12]$", "^amq[.]", "^(q|amq[.]default)", "a"), 2)
        arguments = {"user": st.just(USER), "configure": pattern, "write": pattern, "read": pattern}
        return st.builds(Administer, st.just("set_permissions"), st.fixed_dictionaries(arguments))

    def _topic_permissions(self) -> Strategy[Administer]:
        pattern = st.sampled_from((".*", "", "^$", "^a", "^b", "[.]", "^[a-z]+$", "{username}", "^q"))
        arguments = {"user": st.just(USER), "exchange": self._topic, "write": pattern, "read": pattern}
        return st.builds(Administer, st.just("set_topic_permissions"), st.fixed_dictionaries(arguments))

    def _no_topic_permissions(self) -> Strategy[Administer]:
        arguments = {"user": st.just(USER), "exchange": st.one_of(self._topic, st.none())}
        return st.builds(Administer, st.just("clear_topic_permissions"), st.fixed_dictionaries(arguments))


#: Policy names, each with a priority.
_NAMES: Final = st.sampled_from([(name, priority) for name, priorities in _POLICIES.items() for priority in priorities])


def _named(what: str, name: tuple[str, float], arguments: dict[str, Any]) -> Administer:
    return Administer(what, {"name": name[0], "priority": name[1], **arguments})


def _limits(of: str, whose: dict[str, str], limits: dict[str, tuple[int, ...]]) -> Strategy[Administer]:
    settings = [{**whose, "limit": limit, "value": value} for limit, values in limits.items() for value in values]
    return st.sampled_from(
        [
            *(Administer(f"set_{of}_limit", setting) for setting in settings),
            *(Administer(f"clear_{of}_limit", {**whose, "limit": limit}) for limit in limits),
        ]
    )


def _definitions(values: dict[str, Strategy[Any]], most: int) -> Strategy[dict[str, Any]]:
    keys = st.lists(st.sampled_from(sorted(values)), max_size=most, unique=True)
    return keys.flatmap(lambda chosen: st.fixed_dictionaries({key: values[key] for key in chosen}))

"""Policies and operator policies: which of them holds for a queue or an exchange, and what it changes (POLICY)."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.operator.profile import PolicyProfile
from hutch.fakebroker.engine.queues.settings import DEFAULT, Settings
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost

#: A policy's definition: values of JSON by key.
Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Policy:
    """One policy, or operator policy; valid (:mod:`hutch.fakebroker.engine.operator.policy_checks`)."""

    name: str
    pattern: str
    definition: Definition
    priority: float
    apply_to: str
    expression: re.Pattern[bytes] = field(compare=False, repr=False)

    def matches(self, name: str, kinds: frozenset[str]) -> bool:
        """Whether it is for a thing of that name, which is of these kinds as ``apply_to`` calls them."""
        return self.apply_to in kinds and self.expression.search(name.encode("utf-8", "surrogateescape")) is not None


#: A policy and an operator policy; ``None`` for none.
Applied = tuple[Policy | None, Policy | None]

_KINDS: Final = {
    "classic": frozenset({"all", "queues", "classic_queues"}),
    "quorum": frozenset({"all", "queues", "quorum_queues"}),
    "stream": frozenset({"all", "queues", "streams"}),
}
_EXCHANGE_KINDS: Final = frozenset({"all", "exchanges"})


class Policies:
    """The policies of one virtual host, ``user`` and ``operator``, by name."""

    def __init__(self, vhost: "VHost") -> None:
        self._vhost: Final = vhost
        self._profile: Final = vhost.node.profile.policies
        self.user: Final[dict[str, Policy]] = {}
        self.operator: Final[dict[str, Policy]] = {}

    def update(self) -> "list[Queue]":
        """Have what there is in the virtual host go by the policies as they are now (POLICY-04); the queues for which
        others hold than before.
        """
        changed = []
        for exchange in self._vhost.exchanges.values():
            self.cover_exchange(exchange)
        for queue in self._vhost.queues.values():
            applied, queue.applied = queue.applied, self.applied_to(queue.type, queue.name)
            if queue.applied != applied:
                queue.change_settings(self.settings(queue.type, queue.arguments, queue.applied))
                changed.append(queue)
        return changed

    def cover_exchange(self, exchange: Exchange) -> None:
        """Have the exchange go by what holds for it (EXCH-AE-05)."""
        policy = _first(self.user.values(), exchange.name, _EXCHANGE_KINDS)
        exchange.policy = "" if policy is None else policy.name
        exchange.change_alternate(None if policy is None else policy.definition.get("alternate-exchange"))

    def applied_to(self, queue_type: str, name: str) -> Applied:
        """The policy and the operator policy that hold for a queue of this type and name."""
        if not (self.user or self.operator):
            return None, None
        refused, kinds = self._profile.keys_refused[queue_type], _KINDS[queue_type]
        # A policy with a key that the queue type lacks does not apply to the queue at all.
        policy, operator = (
            _first((policy for policy in policies.values() if refused.isdisjoint(policy.definition)), name, kinds)
            for policies in (self.user, self.operator)
        )
        return policy, operator

    def settings(self, queue_type: str, arguments: FieldTable, applied: Applied) -> Settings:
        """What a queue of this type goes by, which has these arguments, and for which these policies hold."""
        if applied != (None, None):
            definition = merge(*({} if policy is None else policy.definition for policy in applied))
            arguments = effective_arguments(queue_type, arguments, definition, self._profile)
        return Settings(arguments) if arguments else DEFAULT


def _first(policies: Iterable[Policy], name: str, kinds: frozenset[str]) -> Policy | None:
    """The one of the highest priority that matches (POLICY-01), of equals the first by name."""
    matching = (policy for policy in policies if policy.matches(name, kinds))
    return min(matching, key=lambda policy: (-policy.priority, policy.name), default=None)


def _strictest(one: int, other: int) -> int:
    """Of two delivery limits the smaller one; a negative one is none."""
    return min((limit for limit in (one, other) if limit >= 0), default=-1)


_LIMITS: Final = (
    *("delayed-retry-max", "expires", "max-in-memory-bytes", "max-in-memory-length"),
    *("max-length", "max-length-bytes", "message-ttl"),
)
#: How a policy's and an operator policy's values for one key are merged. For other keys the operator's value counts.
_MERGE: Final[dict[str, Callable[..., Any]]] = {
    **dict.fromkeys(_LIMITS, min),
    **dict.fromkeys(("delayed-retry-min", "target-group-size"), max),
    "delivery-limit": _strictest,
}
#: Keys for which the smaller of a policy's value and an argument counts.
_SMALLER: Final = frozenset({*_LIMITS, "delayed-retry-min"})
#: Keys for which a policy's value counts before an argument, by queue type.
_BEFORE_ARGUMENTS: Final = {
    "classic": frozenset[str](),
    "quorum": frozenset({"delayed-retry-type", "overflow"}),
    "stream": frozenset({"max-age", "max-length-bytes", "stream-max-segment-size-bytes"}),
}


def merge(policy: Definition, operator: Definition) -> Definition:
    """What a policy and an operator policy ask for together (POLICY-03)."""
    both = policy.keys() & operator.keys() & _MERGE.keys()
    return {**policy, **operator, **{key: _MERGE[key](policy[key], operator[key]) for key in both}}


def effective_arguments(
    queue_type: str, arguments: FieldTable, definition: Definition, profile: PolicyProfile
) -> FieldTable:
    """The arguments of a queue, and what policies ask for as if it were given by arguments too.

    The smaller limit counts, and else the argument (POLICY-02, TTL-07), but for what is the other way round with some
    queue types.
    """
    effective = dict(arguments)
    for key, value in definition.items():
        name = f"x-{key}"
        given: Any = arguments.get(name)
        if name not in arguments or key in _BEFORE_ARGUMENTS[queue_type]:
            effective[name] = value
        elif key in _SMALLER:
            effective[name] = min(given, value)
        elif key == "delivery-limit":  # an argument may have any value (QUEUE-ARG-24)
            limit = given if isinstance(given, int) else value
            effective[name] = (_strictest if profile.negative_delivery_limit_is_none else min)(limit, value)
    return effective

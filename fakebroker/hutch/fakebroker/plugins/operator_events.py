"""Events of what an operator does to users, virtual hosts and policies
(:mod:`hutch.fakebroker.plugins.event_exchange`).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.arguments import erlang_type
from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.plugins.event_exchange import INTERNAL
from hutch.wire.fields import FieldTable, FieldValue, Float32, Int64

if TYPE_CHECKING:
    from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.operator.policies import Policy
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost

#: Who does what an operator does, with rabbitmqctl.
OPERATOR: Final = "rmq-cli"


class OperatorEvents:
    """What is told of an operator's work on a node. Without the plugin each method does nothing."""

    def __init__(self, node: "Node") -> None:
        self._node: Final = node

    def _publish(self, key: str, facts: FieldTable, by: str = OPERATOR) -> None:
        if self._node.event_exchange is not None:
            self._node.event_exchange.publish(key, by, facts)

    # users

    def user(self, what: str, name: str, tags: Iterable[str] | None = None) -> None:
        """user.created, user.tags.set, user.password.changed and the like, ``what`` being what follows ``user.``."""
        self._publish(f"user.{what}", {**({} if tags is None else {"tags": list(tags)}), "name": name})

    def user_limit_set(self, user: str, limit: str, value: int) -> None:
        """user.limits.set."""
        self._publish("user.limits.set", {limit: Int64(value), "username": user, "name": "limits"})

    def user_limit_cleared(self, user: str) -> None:
        """user.limits.cleared."""
        self._publish("user.limits.cleared", {"username": user, "name": "limits"})

    def permissions_set(self, user: str, vhost: str, permissions: "Permissions") -> None:
        """permission.created."""
        facts = {"read": permissions.read, "write": permissions.write, "configure": permissions.configure}
        self._publish("permission.created", {**facts, "vhost": vhost, "user": user})

    def permissions_cleared(self, user: str, vhost: str) -> None:
        """permission.deleted."""
        self._publish("permission.deleted", {"vhost": vhost, "user": user})

    def topic_permissions_set(self, user: str, vhost: str, exchange: str, permissions: "TopicPermissions") -> None:
        """topic.permission.created."""
        facts = {"read": permissions.read, "write": permissions.write, "exchange": exchange}
        self._publish("topic.permission.created", {**facts, "vhost": vhost, "user": user})

    def topic_permissions_cleared(self, user: str, vhost: str, exchange: str | None = None) -> None:
        """topic.permission.deleted, which 3.x calls permission.deleted where it is for one exchange."""
        misnamed = exchange is not None and not self._node.profile.has_newer_events
        key = "permission.deleted" if misnamed else "topic.permission.deleted"
        self._publish(key, {"vhost": vhost, "user": user})

    # virtual hosts

    def vhost_created(self, vhost: "VHost") -> None:
        """vhost.created, and exchange.created for what is in it from the beginning."""
        if self._node.event_exchange is None:
            return
        for exchange in _with_default_exchange(vhost):
            self._node.event_exchange.exchange_created(exchange, OPERATOR)
        self._tell_vhost("created", vhost, {})

    def vhost_updated(self, vhost: "VHost") -> None:
        """vhost.updated."""
        self._tell_vhost("updated", vhost, {"deletion_protection": False})

    def _tell_vhost(self, what: str, vhost: "VHost", more: FieldTable) -> None:
        default, metadata = "undefined", "description => <<>>,tags => []"
        if self._node.profile.has_default_queue_type:
            default = vhost.default_queue_type or "classic"
            metadata += f',default_queue_type => <<"{default}">>'
        newer: FieldTable = {"protected_from_deletion": False, **more}
        facts: FieldTable = {
            "tags": [],
            "description": "",
            "cluster_state": {NODE_NAME: "running"},
            "tracing": vhost.traced,
            "metadata": f"#{{{metadata}}}",
            "default_queue_type": default,
            "name": vhost.name,
            **(newer if self._node.profile.has_newer_events else {}),
        }
        self._publish(f"vhost.{what}", facts)

    def vhost_emptied(self, vhost: "VHost") -> None:
        """What goes with a virtual host that has no queues and permissions any more, and vhost.deleted."""
        events, is_newer = self._node.event_exchange, self._node.profile.has_newer_events
        if events is None:
            return
        for exchange in _with_default_exchange(vhost):
            if not is_newer:
                events.deletion_of_exchange(exchange, OPERATOR, begins=True)
            events.exchange_deleted(exchange, list(exchange.outgoing.values()), OPERATOR)
            if not is_newer:
                events.deletion_of_exchange(exchange, OPERATOR, begins=False)
        if not is_newer:
            self._publish("vhost.deleted", {"name": vhost.name})
        if vhost.limits:
            self._tell_parameter("cleared", vhost.name, "vhost-limits", "limits")
            self._publish("vhost.limits.cleared", {"name": "limits", **({"vhost": vhost.name} if is_newer else {})})
        for name in vhost.policies.user:
            self.policy_cleared(name, vhost.name, [], operator=False)
        for name in vhost.policies.operator:
            self.policy_cleared(name, vhost.name, [], operator=True)
        if is_newer:
            self._publish("vhost.deleted", {"name": vhost.name})
        self._publish("vhost.down", {"node": NODE_NAME, "name": vhost.name}, INTERNAL)

    def vhost_limits_set(self, vhost: "VHost") -> None:
        """vhost.limits.set, which are a parameter as well."""
        limits: FieldTable = {name: Int64(value) for name, value in vhost.limits.items()}
        self._tell_parameter("set", vhost.name, "vhost-limits", "limits", limits or [])
        of = {"vhost": vhost.name} if self._node.profile.has_newer_events else {}
        self._publish("vhost.limits.set", {**limits, "name": "limits", **of})

    # policies

    def policy_set(self, policy: "Policy", vhost: str, queues: "Iterable[Queue]", *, operator: bool) -> None:
        """policy.set, and queue.policy.updated for those that it changed anything for; an operator policy is a
        parameter as well.
        """
        facts: FieldTable = {
            "apply-to": policy.apply_to,
            "priority": _field(policy.priority),
            "definition": _field(policy.definition),
            "pattern": policy.pattern,
        }
        if operator:
            self._tell_parameter("set", vhost, "operator_policy", policy.name, facts)
        self._tell_queues("updated", queues, facts)
        self._publish("policy.set", {**facts, "vhost": vhost, "name": policy.name})

    def policy_cleared(self, name: str, vhost: str, queues: "Iterable[Queue]", *, operator: bool) -> None:
        """policy.cleared or operator.policy.cleared, and queue.policy.cleared for those that it held for."""
        if operator:
            self._tell_parameter("cleared", vhost, "operator_policy", name)
        self._tell_queues("cleared", queues, {})
        self._publish(f"{'operator.' if operator else ''}policy.cleared", {"vhost": vhost, "name": name})

    def _tell_queues(self, what: str, queues: "Iterable[Queue]", facts: FieldTable) -> None:
        for queue in queues:
            about = {"type": erlang_type(queue.type), "vhost": queue.vhost.name, "name": queue.name}
            self._publish(f"queue.policy.{what}", {**facts, **about})

    def _tell_parameter(self, what: str, vhost: str, component: str, name: str, value: FieldValue = None) -> None:
        told: FieldTable = {} if value is None else {"value": value}
        self._publish(f"parameter.{what}", {**told, "name": name, "component": component, "vhost": vhost})


def _with_default_exchange(vhost: "VHost") -> list[Exchange]:
    return [Exchange("", "direct", vhost, durable=True), *vhost.exchanges.values()]


def _field(value: Any) -> FieldValue:
    """What JSON has, as RabbitMQ makes a header of it."""
    if isinstance(value, Mapping):
        return {key: _field(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_field(inner) for inner in value]
    if isinstance(value, float):
        return Float32(value)
    return Int64(value) if isinstance(value, int) and not isinstance(value, bool) else value

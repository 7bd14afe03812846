"""Events of what an operator does to users, virtual hosts and policies
(:mod:`hutch.fakebroker.plugins.event_exchange`).
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.arguments import erlang_type
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.origin import BROKER, Origin
from hutch.fakebroker.erlang.terms import print_unicode
from hutch.fakebroker.plugins.entity_events import EntityEvents
from hutch.fakebroker.plugins.event_exchange import EventExchange
from hutch.wire.fields import FieldTable, FieldValue, Float32, Int64

if TYPE_CHECKING:
    from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions
    from hutch.fakebroker.engine.operator.policies import Policy
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost


class OperatorEvents(Journal):
    """Publishes an event of each fact, or those that go together in RabbitMQ's order."""

    def __init__(self, events: EventExchange, entities: EntityEvents) -> None:
        self._events: Final = events
        self._entities: Final = entities

    # users

    def user_created(self, origin: Origin, user: str) -> None:
        """user.created."""
        self._events.publish("user.created", origin, {"name": user})

    def user_deleted(self, origin: Origin, user: str) -> None:
        """user.deleted."""
        self._events.publish("user.deleted", origin, {"name": user})

    def password_changed(self, origin: Origin, user: str) -> None:
        """user.password.changed."""
        self._events.publish("user.password.changed", origin, {"name": user})

    def tags_set(self, origin: Origin, user: str, tags: Collection[str]) -> None:
        """user.tags.set."""
        self._events.publish("user.tags.set", origin, {"tags": list(tags), "name": user})

    def user_limit_set(self, origin: Origin, user: str, limit: str, value: int) -> None:
        """user.limits.set."""
        self._events.publish("user.limits.set", origin, {limit: Int64(value), "username": user, "name": "limits"})

    def user_limits_cleared(self, origin: Origin, user: str) -> None:
        """user.limits.cleared."""
        self._events.publish("user.limits.cleared", origin, {"username": user, "name": "limits"})

    def permissions_set(self, origin: Origin, user: str, vhost: str, permissions: "Permissions") -> None:
        """permission.created."""
        facts = {"read": permissions.read, "write": permissions.write, "configure": permissions.configure}
        self._events.publish("permission.created", origin, {**facts, "vhost": vhost, "user": user})

    def permissions_cleared(self, origin: Origin, user: str, vhost: str) -> None:
        """permission.deleted."""
        self._events.publish("permission.deleted", origin, {"vhost": vhost, "user": user})

    def topic_permissions_set(
        self, origin: Origin, user: str, vhost: str, exchange: str, permissions: "TopicPermissions"
    ) -> None:
        """topic.permission.created."""
        facts = {"read": permissions.read, "write": permissions.write, "exchange": exchange}
        self._events.publish("topic.permission.created", origin, {**facts, "vhost": vhost, "user": user})

    def topic_permissions_cleared(self, origin: Origin, user: str, vhost: str, exchange: str | None) -> None:
        """topic.permission.deleted, which 3.x calls permission.deleted where it is for one exchange."""
        misnamed = exchange is not None and not self._events.profile.has_newer_events
        key = "permission.deleted" if misnamed else "topic.permission.deleted"
        self._events.publish(key, origin, {"vhost": vhost, "user": user})

    # virtual hosts

    def vhost_created(self, origin: Origin, vhost: "VHost") -> None:
        """vhost.created, and exchange.created for what is in it from the beginning."""
        for exchange in _with_default_exchange(vhost):
            self._entities.exchange_declared(origin, exchange)
        self._tell_vhost("created", origin, vhost, {})

    def vhost_updated(self, origin: Origin, vhost: "VHost") -> None:
        """vhost.updated."""
        self._tell_vhost("updated", origin, vhost, {"deletion_protection": False})

    def _tell_vhost(self, what: str, origin: Origin, vhost: "VHost", more: FieldTable) -> None:
        tags = ",".join(map(print_unicode, vhost.tags))
        default, metadata = "undefined", f"description => {print_unicode(vhost.description)},tags => [{tags}]"
        if self._events.node.profile.topology.has_default_queue_type:
            default = vhost.default_queue_type or "classic"
            metadata += f',default_queue_type => <<"{default}">>'
        newer: FieldTable = {"protected_from_deletion": vhost.protected, **more}
        facts: FieldTable = {
            "tags": list(vhost.tags),
            "description": vhost.description,
            "cluster_state": {NODE_NAME: "running"},
            "tracing": vhost.traced,
            "metadata": f"#{{{metadata}}}",
            "default_queue_type": default,
            "name": vhost.name,
            **(newer if self._events.profile.has_newer_events else {}),
        }
        self._events.publish(f"vhost.{what}", origin, facts)

    def vhost_deleted(self, origin: Origin, vhost: "VHost") -> None:
        """vhost.deleted, and what goes with a virtual host that has no queues and permissions any more."""
        events, is_newer = self._entities, self._events.profile.has_newer_events
        for exchange in _with_default_exchange(vhost):
            if not is_newer:
                events.exchange_deleting(origin, exchange)
            events.exchange_deleted(origin, exchange, list(exchange.outgoing.values()))
            if not is_newer:
                events.exchange_delete_done(origin, exchange)
        if not is_newer:
            self._events.publish("vhost.deleted", origin, {"name": vhost.name})
        if vhost.limits:
            self._tell_parameter("cleared", origin, vhost.name, "vhost-limits", "limits")
            self._events.publish(
                "vhost.limits.cleared", origin, {"name": "limits", **({"vhost": vhost.name} if is_newer else {})}
            )
        for name in vhost.policies.user:
            self.policy_lifted(origin, vhost.name, name, is_operator=False, queues=[])
        for name in vhost.policies.operator:
            self.policy_lifted(origin, vhost.name, name, is_operator=True, queues=[])
        if is_newer:
            self._events.publish("vhost.deleted", origin, {"name": vhost.name})
        self._events.publish("vhost.down", BROKER, {"node": NODE_NAME, "name": vhost.name})

    def vhost_limits_set(self, origin: Origin, vhost: "VHost") -> None:
        """vhost.limits.set, which are a parameter as well."""
        limits: FieldTable = {name: Int64(value) for name, value in vhost.limits.items()}
        self._tell_parameter("set", origin, vhost.name, "vhost-limits", "limits", limits or [])
        of = {"vhost": vhost.name} if self._events.profile.has_newer_events else {}
        self._events.publish("vhost.limits.set", origin, {**limits, "name": "limits", **of})

    # policies

    def policy_applied(
        self, origin: Origin, vhost: str, policy: "Policy", is_operator: bool, queues: "Collection[Queue]"
    ) -> None:
        """policy.set, and queue.policy.updated for those that it changed anything for; an operator policy is a
        parameter as well.
        """
        facts: FieldTable = {
            "apply-to": policy.apply_to,
            "priority": _field(policy.priority),
            "definition": _field(policy.definition),
            "pattern": policy.pattern,
        }
        if is_operator:
            self._tell_parameter("set", origin, vhost, "operator_policy", policy.name, facts)
        self._tell_queues("updated", origin, queues, facts)
        self._events.publish("policy.set", origin, {**facts, "vhost": vhost, "name": policy.name})

    def policy_lifted(
        self, origin: Origin, vhost: str, name: str, is_operator: bool, queues: "Collection[Queue]"
    ) -> None:
        """policy.cleared or operator.policy.cleared, and queue.policy.cleared for those that it held for."""
        if is_operator:
            self._tell_parameter("cleared", origin, vhost, "operator_policy", name)
        self._tell_queues("cleared", origin, queues, {})
        self._events.publish(
            f"{'operator.' if is_operator else ''}policy.cleared", origin, {"vhost": vhost, "name": name}
        )

    def _tell_queues(self, what: str, origin: Origin, queues: "Collection[Queue]", facts: FieldTable) -> None:
        for queue in queues:
            about = {"type": erlang_type(queue.type), "vhost": queue.vhost.name, "name": queue.name}
            self._events.publish(f"queue.policy.{what}", origin, {**facts, **about})

    def _tell_parameter(
        self, what: str, origin: Origin, vhost: str, component: str, name: str, value: FieldValue = None
    ) -> None:
        told: FieldTable = {} if value is None else {"value": value}
        self._events.publish(
            f"parameter.{what}", origin, {**told, "name": name, "component": component, "vhost": vhost}
        )


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

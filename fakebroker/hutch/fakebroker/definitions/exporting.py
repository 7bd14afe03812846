"""Exporting definitions, in the shape that the HTTP API of each version gives them (HTTP-DEFS-01 to HTTP-DEFS-05)."""

import base64
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.operator.policies import Policy
from hutch.fakebroker.json_values import json_of_table

if TYPE_CHECKING:
    from hutch.fakebroker.engine.bindings import Binding
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.vhost import VHost
    from hutch.fakebroker.profiles import Profile

Item = dict[str, Any]

#: RabbitMQ's permanent identity of a cluster. It has no effect.
_CLUSTER_ID: Final = "rabbitmq-cluster-id-aHV0Y2hAbG9jYWxob3N0AA"


def export_all(node: "Node", profile: "Profile") -> Item:
    """The definitions of a whole broker."""
    vhosts = list(node.vhosts.values())
    content = {
        "users": [user_item(user) for user in node.users.values()],
        "vhosts": [_vhost_item(vhost, profile) for vhost in vhosts],
        "permissions": [item for user in node.users.values() for item in permission_items(user)],
        "topic_permissions": [item for user in node.users.values() for item in topic_permission_items(user)],
        "parameters": [item for vhost in vhosts for item in parameter_items(vhost)],
        "global_parameters": [
            item
            for item in global_parameter_items(node, profile)
            if profile.definitions.has_cluster_id or item["name"] != "internal_cluster_id"
        ],
        "policies": [policy_item(vhost, policy) for vhost in vhosts for policy in vhost.policies.user.values()],
        "queues": [_queue_item(queue, profile) for vhost in vhosts for queue in _queues(vhost)],
        "exchanges": [_exchange_item(exchange, profile) for vhost in vhosts for exchange in _exchanges(vhost, profile)],
        "bindings": [binding_item(binding) for vhost in vhosts for binding in _bindings(vhost, profile)],
    }
    name = node.global_parameters.get("cluster_name", NODE_NAME)
    own = {
        "explanation": f"Definitions of cluster '{name}'",
        "rabbitmq_definition_format": "cluster",
        "original_cluster_name": name,
    }
    return {**_versions(profile), **(own if profile.definitions.describes_itself else {}), **content}


def export_vhost(vhost: "VHost", profile: "Profile") -> Item:
    """The definitions of a virtual host, without users and permissions."""
    described = profile.definitions.describes_itself
    # 3.10 leaves the name of the virtual host in two sections.
    named = () if described else ("vhost",)
    content = {
        "parameters": [_without_vhost(item, named) for item in parameter_items(vhost)],
        "policies": [_without_vhost(policy_item(vhost, each), named) for each in vhost.policies.user.values()],
        "queues": [_without_vhost(_queue_item(queue, profile)) for queue in _queues(vhost)],
        "exchanges": [_without_vhost(_exchange_item(each, profile)) for each in _exchanges(vhost, profile)],
        "bindings": [_without_vhost(binding_item(each)) for each in _bindings(vhost, profile)],
    }
    if not described:
        return {"rabbit_version": profile.amqp091.version, **content}
    return {
        **_versions(profile),
        "explanation": f"Definitions of virtual host '{vhost.name}'",
        "rabbitmq_definition_format": "single_virtual_host",
        "original_vhost_name": vhost.name,
        "description": vhost.description,
        "metadata": vhost_metadata(vhost),
        "limits": dict(vhost.limits),
        **content,
    }


def _versions(profile: "Profile") -> Item:
    version = profile.amqp091.version
    return {
        "rabbit_version": version,
        "rabbitmq_version": version,
        "product_name": "RabbitMQ",
        "product_version": version,
    }


def _without_vhost(item: Item, kept: Iterable[str] = ()) -> Item:
    return {key: value for key, value in item.items() if key != "vhost" or key in kept}


# items, which the HTTP API shows as well


def user_item(user: User) -> Item:
    """A user, with the hash of the password."""
    return {
        "name": user.name,
        "password_hash": base64.b64encode(user.password_hash.salted).decode(),
        "hashing_algorithm": user.password_hash.algorithm,
        "tags": list(user.tags),
        "limits": dict(user.limits),
    }


def permission_items(user: User) -> Iterator[Item]:
    """What a user may do in each virtual host."""
    return (permission_item(user, vhost) for vhost in user.permissions)


def permission_item(user: User, vhost: str) -> Item:
    """What a user may do in a virtual host."""
    return {"user": user.name, "vhost": vhost, **user.permissions[vhost]._asdict()}


def topic_permission_items(user: User) -> Iterator[Item]:
    """What a user may do at each topic exchange."""
    for vhost, exchanges in user.topic_permissions.items():
        for exchange in exchanges:
            yield topic_permission_item(user, vhost, exchange)


def topic_permission_item(user: User, vhost: str, exchange: str) -> Item:
    """What a user may do at a topic exchange."""
    permissions = user.topic_permissions[vhost][exchange]
    return {"user": user.name, "vhost": vhost, "exchange": exchange, **permissions._asdict()}


def vhost_metadata(vhost: "VHost") -> Item:
    """What 4.3 exports of a virtual host beside its name."""
    return {
        "description": vhost.description,
        "tags": list(vhost.tags),
        "default_queue_type": vhost.default_queue_type or "classic",
    }


def _vhost_item(vhost: "VHost", profile: "Profile") -> Item:
    if not profile.definitions.describes_itself:
        return {"name": vhost.name}
    return {"name": vhost.name, "metadata": vhost_metadata(vhost), "limits": dict(vhost.limits)}


def parameter_items(vhost: "VHost") -> Iterator[Item]:
    """The parameters of a virtual host: limits and operator policies."""
    if vhost.limits:
        yield {"value": dict(vhost.limits), "vhost": vhost.name, "component": "vhost-limits", "name": "limits"}
    for policy in vhost.policies.operator.values():
        value = policy_item(vhost, policy)
        yield {
            "value": {key: value[key] for key in ("pattern", "definition", "priority", "apply-to")},
            "vhost": vhost.name,
            "component": "operator_policy",
            "name": policy.name,
        }


def global_parameter_items(node: "Node", profile: "Profile") -> list[Item]:
    """The global parameters, among them those that each cluster has."""
    own: Item = {"internal_cluster_id": _CLUSTER_ID}
    if profile.definitions.describes_itself:
        own["cluster_tags"] = []
    return [{"name": name, "value": value} for name, value in {**own, **node.global_parameters}.items()]


def policy_item(vhost: "VHost", policy: Policy) -> Item:
    """A policy, or an operator policy."""
    return {
        "vhost": vhost.name,
        "name": policy.name,
        "pattern": policy.pattern,
        "apply-to": policy.apply_to,
        "definition": dict(policy.definition),
        "priority": policy.priority,
    }


def _queues(vhost: "VHost") -> "Iterator[Queue]":
    return (queue for queue in vhost.queues.values() if queue.owner is None)


def _queue_item(queue: "Queue", profile: "Profile") -> Item:
    item: Item = {
        "name": queue.name,
        "vhost": queue.vhost.name,
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "arguments": json_of_table(queue.arguments),
    }
    if profile.definitions.names_queue_types:
        item["type"] = item["arguments"]["x-queue-type"] = queue.type
    return item


def _exchanges(vhost: "VHost", profile: "Profile") -> Iterator[Exchange]:
    for exchange in vhost.exchanges.values():
        if not exchange.name.startswith("amq.") and (
            profile.definitions.has_internal_exchanges or not exchange.internal
        ):
            yield exchange


def _exchange_item(exchange: Exchange, profile: "Profile") -> Item:
    return {
        "name": exchange.name,
        "vhost": exchange.vhost.name,
        "type": exchange.type,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        **({"internal": exchange.internal} if profile.definitions.has_internal_exchanges else {}),
        "arguments": json_of_table(exchange.arguments),
    }


def _bindings(vhost: "VHost", profile: "Profile") -> "Iterator[Binding]":
    for exchange in vhost.exchanges.values():
        for binding in exchange.outgoing.values():
            owned = not isinstance(binding.destination, Exchange) and binding.destination.owner is not None
            if not owned or profile.definitions.has_exclusive_bindings:
                yield binding


def binding_item(binding: "Binding") -> Item:
    """A binding."""
    return {
        "source": binding.source.name,
        "vhost": binding.source.vhost.name,
        "destination": binding.destination.name,
        "destination_type": "exchange" if isinstance(binding.destination, Exchange) else "queue",
        "routing_key": binding.routing_key,
        "arguments": json_of_table(binding.arguments),
    }

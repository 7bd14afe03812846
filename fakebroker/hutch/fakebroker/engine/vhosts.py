"""The virtual hosts of a node: creating and deleting them, their limits, and who may enter
(https://www.rabbitmq.com/docs/vhosts).

``by`` is who asks; the caller has seen to it that they may.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.access.limits import VHOST_LIMITS, check_limit, check_new_connection
from hutch.fakebroker.engine.access.users import ALL
from hutch.fakebroker.engine.errors import not_allowed, precondition_failed
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.engine.vhost import VHost

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node

_QUEUE_TYPES: Final = ("classic", "quorum", "stream")


def find_vhost(node: "Node", name: str) -> VHost:
    """The virtual host of that name.

    Raises:
        LookupError: there is none.
    """
    vhost = node.vhosts.get(name)
    if vhost is None:
        raise LookupError(missing(f"vhost {name!r}", name, node.vhosts))
    return vhost


def put_vhost(
    node: "Node",
    by: Origin,
    name: str,
    default_queue_type: str | None = None,
    *,
    description: str = "",
    tags: Iterable[str] = (),
) -> None:
    """Create a virtual host, or replace default queue type, description and tags of one that is there.

    Raises:
        ValueError: there is no such queue type.
    """
    if default_queue_type is not None and default_queue_type not in _QUEUE_TYPES:
        raise ValueError(f"no queue type {default_queue_type!r}; there are {', '.join(_QUEUE_TYPES)}")
    vhost = node.vhosts.get(name)
    is_new = vhost is None
    if vhost is None:
        vhost = node.vhosts[name] = VHost(node, name)
    vhost.description, vhost.tags = description, tuple(tags)
    vhost.default_queue_type = default_queue_type if node.profile.topology.has_default_queue_type else None
    if not is_new:
        node.journal.vhost_updated(by, vhost)
        return
    node.journal.vhost_created(by, vhost)
    for user in node.users.values():
        if user.everywhere:
            user.permissions[name] = ALL
            node.journal.permissions_set(by, user.name, name, ALL)


def delete_vhost(node: "Node", by: Origin, name: str) -> None:
    """Delete a virtual host with all that is in it, and close the connections to it (CONN-CLOSE-08).

    Raises:
        LookupError: there is no such virtual host.
        BrokerError: 406, it is protected from deletion (HTTP-VHOST-07).
    """
    vhost = find_vhost(node, name)
    if vhost.protected:
        raise precondition_failed(f"Refusing to delete virtual host '{name}' because it is protected from deletion")
    del node.vhosts[name]
    for user in node.users.values():
        if name in user.permissions:
            node.journal.permissions_cleared(by, user.name, name)
        if name in user.topic_permissions:
            node.journal.topic_permissions_cleared(by, user.name, name, None)
        user.forget_vhost(name)
    for queue in list(vhost.queues.values()):
        for consumer in vhost.delete_queue(queue, by):
            consumer.sink.cancelled(consumer)
    node.journal.vhost_deleted(by, vhost)
    node.close_connections(f"vhost '{name}' is deleted", vhost=name)


def set_vhost_limit(node: "Node", by: Origin, name: str, limit: str, value: object) -> None:
    """Limit what a virtual host may have at once. What is there stays.

    Raises:
        LookupError: there is no such virtual host.
        ValueError: no such limit, or no integer.
    """
    checked = check_limit(limit, value, VHOST_LIMITS)
    vhost = find_vhost(node, name)
    vhost.limits[limit] = checked
    node.journal.vhost_limits_set(by, vhost)


def replace_vhost_limits(node: "Node", by: Origin, name: str, limits: Mapping[str, object]) -> None:
    """Have these limits and no others.

    Raises:
        LookupError: there is no such virtual host.
        ValueError: no such limit, or no integer.
    """
    checked = {limit: check_limit(limit, value, VHOST_LIMITS) for limit, value in limits.items()}
    vhost = find_vhost(node, name)
    vhost.limits.clear()
    vhost.limits.update(checked)
    node.journal.vhost_limits_set(by, vhost)


def clear_vhost_limit(node: "Node", by: Origin, name: str, limit: str) -> None:
    """Undo :func:`set_vhost_limit`.

    Raises:
        LookupError: there is no such virtual host.
    """
    vhost = find_vhost(node, name)
    if vhost.limits.pop(limit, None) is not None:
        node.journal.vhost_limits_set(by, vhost)


def enter(node: "Node", username: str, name: str) -> VHost:
    """The virtual host that a user's new connection may open.

    Raises:
        BrokerError: 530: there is none, it or the user has connections enough (CONN-OPEN-04, CONN-OPEN-05), or the user
            has no permissions there.
    """
    vhost = node.vhosts.get(name)
    if vhost is None:
        raise not_allowed(f"vhost {name} not found")
    user = node.users.get(username)
    if user is not None:
        check_new_connection(node, vhost, user)
    if user is None or name not in user.permissions:
        raise not_allowed(f"access to vhost '{name}' refused for user '{username}'")
    return vhost

"""Limits of users and virtual hosts, by RabbitMQ's names; negative ones count as none. What is there when a limit is
set stays (https://www.rabbitmq.com/docs/user-limits, https://www.rabbitmq.com/docs/vhosts#limits).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.errors import not_allowed, precondition_failed

if TYPE_CHECKING:
    from hutch.fakebroker.engine.access.users import User
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost

VHOST_LIMITS: Final = ("max-connections", "max-queues")
USER_LIMITS: Final = ("max-connections", "max-channels")


def check_limit(limit: str, value: object, known: Iterable[str]) -> int:
    """The value for a limit, which is one of the ``known`` ones.

    Raises:
        ValueError: there is no such limit, or that is no integer.
    """
    if limit not in known:
        raise ValueError(f"no limit {limit!r}; there are {' and '.join(known)}")
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{limit} takes an integer, not {value!r}")
    return value


def check_new_connection(node: "Node", vhost: "VHost", user: "User") -> None:
    """Refuse with 530 a connection too many in a virtual host, or of a user (CONN-OPEN-04, CONN-OPEN-05)."""
    limit = vhost.limits.get("max-connections", -1)
    if 0 <= limit <= sum(connection.vhost is vhost for connection in node.connections):
        text = f"access to vhost '{vhost.name}' refused for user '{user.name}': connection limit ({limit}) is reached"
        raise not_allowed(text)
    limit = user.limits.get("max-connections", -1)
    if 0 <= limit <= sum(connection.user == user.name for connection in node.connections):
        text = f"connection refused for user '{user.name}': user connection limit ({limit}) is reached"
        raise not_allowed(text)


def check_new_channel(connection: "Connection") -> None:
    """Refuse with 530 a channel too many of a user, on all connections (CONN-CHAN-03)."""
    node = connection.vhost.node
    user = node.users.get(connection.user)
    limit = -1 if user is None else user.limits.get("max-channels", -1)
    if limit < 0:
        return
    if limit <= sum(len(other.sinks) for other in node.connections if other.user == connection.user):
        told = f"({limit})" if node.profile.access.brackets_channel_limit else f"{limit}"
        text = f"number of channels opened for user '{connection.user}' has reached the maximum allowed user limit of "
        raise not_allowed(text + told)


def is_full(vhost: "VHost") -> bool:
    """Whether a virtual host takes no more queues."""
    return 0 <= vhost.limits.get("max-queues", -1) <= len(vhost.queues)


def check_new_queue(vhost: "VHost", name: str) -> None:
    """Refuse with 406 a queue too many in a virtual host (QUEUE-DECLARE-27)."""
    if is_full(vhost):
        limit = vhost.limits["max-queues"]
        raise precondition_failed(
            f"cannot declare queue '{name}': queue limit in vhost '{vhost.name}' ({limit}) is reached"
        )

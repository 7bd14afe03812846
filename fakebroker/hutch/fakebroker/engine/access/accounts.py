"""Users, what they may do, and their limits, as an administrator manages them
(https://www.rabbitmq.com/docs/access-control).

``by`` is who asks; the caller has seen to it that they may.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hutch.fakebroker.engine.access.limits import USER_LIMITS, check_limit
from hutch.fakebroker.engine.access.passwords import NO_PASSWORD, PasswordHash
from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions, User, check_pattern
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.engine.vhosts import find_vhost

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node


def find_user(node: "Node", name: str) -> User:
    """The user of that name.

    Raises:
        LookupError: there is none.
    """
    user = node.users.get(name)
    if user is None:
        raise LookupError(missing(f"user {name!r}", name, node.users))
    return user


def put_user(node: "Node", by: Origin, name: str, password: PasswordHash, tags: Iterable[str]) -> None:
    """Create a user, or change a user's password and tags. :meth:`Node.hash_password` hashes a password."""
    user = node.users.get(name)
    if user is None:
        user = node.users[name] = User(name, password, tags)
        node.journal.user_created(by, name)
        if user.tags:
            node.journal.tags_set(by, name, user.tags)
        return
    user.password_hash, user.tags = password, tuple(tags)
    if password != NO_PASSWORD:
        node.journal.password_changed(by, name)
        node.journal.tags_set(by, name, user.tags)


def delete_user(node: "Node", by: Origin, name: str) -> None:
    """Delete a user, and close the user's connections (CONN-AUTH-15).

    Raises:
        LookupError: there is no such user.
    """
    find_user(node, name)
    del node.users[name]
    node.journal.user_deleted(by, name)
    node.close_connections(f"user '{name}' is deleted", user=name)


def set_permissions(node: "Node", by: Origin, name: str, vhost: str, permissions: Permissions) -> None:
    """Let a user into a virtual host, and say what the user may do there.

    Raises:
        LookupError: there is no such user or virtual host.
        ValueError: no regular expression, or one that cannot be used here.
    """
    _check_patterns(node, permissions)
    find_user(node, name).permissions[find_vhost(node, vhost).name] = permissions
    node.journal.permissions_set(by, name, vhost, permissions)


def clear_permissions(node: "Node", by: Origin, name: str, vhost: str) -> None:
    """Let a user into a virtual host no more. Open connections stay open.

    Raises:
        LookupError: there is no such user or virtual host.
    """
    if find_user(node, name).permissions.pop(find_vhost(node, vhost).name, None) is not None:
        node.journal.permissions_cleared(by, name, vhost)


def set_topic_permissions(
    node: "Node", by: Origin, name: str, vhost: str, exchange: str, permissions: TopicPermissions
) -> None:
    """Say which routing keys a user may publish to at a topic exchange, and bind with there.

    Raises:
        LookupError: there is no such user or virtual host, or, with 4.3, no such exchange.
        ValueError: no regular expression, or one that cannot be used here.
    """
    _check_patterns(node, permissions)
    user, known = find_user(node, name), find_vhost(node, vhost).exchanges
    if node.profile.access.topic_permissions_need_exchange and exchange and exchange not in known:
        raise LookupError(missing(f"exchange {exchange!r} in vhost {vhost!r}", exchange, filter(None, known)))
    user.topic_permissions.setdefault(vhost, {})[exchange] = permissions
    node.journal.topic_permissions_set(by, name, vhost, exchange, permissions)


def clear_topic_permissions(node: "Node", by: Origin, name: str, vhost: str, exchange: str | None) -> None:
    """Undo :func:`set_topic_permissions` for an exchange, or for all of a virtual host.

    Raises:
        LookupError: there is no such user or virtual host.
    """
    user = find_user(node, name)
    if find_vhost(node, vhost).name not in user.topic_permissions:
        return
    node.journal.topic_permissions_cleared(by, name, vhost, exchange)
    if exchange is None:
        del user.topic_permissions[vhost]
    else:
        user.forget_topics(vhost, exchange)


def _check_patterns(node: "Node", patterns: Iterable[str]) -> None:
    for pattern in patterns:
        check_pattern(pattern, pcre2=node.profile.access.has_pcre2)


def set_user_limit(node: "Node", by: Origin, name: str, limit: str, value: object) -> None:
    """Limit what a user may have open at once. What is open stays.

    Raises:
        LookupError: there is no such user.
        ValueError: no such limit, or no integer.
    """
    checked = check_limit(limit, value, USER_LIMITS)
    find_user(node, name).limits[limit] = checked
    node.journal.user_limit_set(by, name, limit, checked)


def clear_user_limit(node: "Node", by: Origin, name: str, limit: str) -> None:
    """Undo :func:`set_user_limit`.

    Raises:
        LookupError: there is no such user.
    """
    find_user(node, name).limits.pop(limit, None)
    node.journal.user_limits_cleared(by, name)

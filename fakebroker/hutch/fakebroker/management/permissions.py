"""Permissions and topic permissions (HTTP-PERM)."""

from collections.abc import Iterator
from typing import Final

from hutch.fakebroker.definitions.exporting import permission_item, topic_permission_item
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions, User
from hutch.fakebroker.erlang.patterns import compile_pattern
from hutch.fakebroker.erlang.pcre import InvalidPattern
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import require, text
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.errors import bad_request, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Route


def _topic_facts(user: User, vhost: str) -> list[Item]:
    topics = user.topic_permissions.get(vhost, {})
    return [topic_permission_item(user, vhost, exchange) for exchange in sorted(topics)]


def _of_all(call: Call) -> Iterator[tuple[User, str]]:
    users = call.node.users
    for vhost in sorted(call.node.vhosts):
        for name in sorted(users):
            yield users[name], vhost


def _user(call: Call) -> User:
    user: User = found(call.node.users.get(call.names["U"]))
    return user


def _ends(call: Call) -> tuple[User, str]:
    """The user and the virtual host that a path names; 404 where one is missing."""
    vhost = found(call.node.vhosts.get(call.names["V"]))
    return _user(call), vhost.name


def _check_ends(call: Call) -> None:
    if call.names["U"] not in call.node.users or call.names["V"] not in call.node.vhosts:
        raise bad_request("vhost_or_user_not_found")


def _check_patterns(call: Call, *patterns: str) -> None:
    """Refuse what is no regular expression, its text and the reason as lists of characters (HTTP-PERM-02)."""
    for pattern in patterns:
        try:
            compile_pattern(pattern, pcre2=call.node.profile.access.has_pcre2)
        except InvalidPattern as error:
            raise bad_request(
                ["invalid_regexp", list(pattern.encode()), [list(error.reason.encode()), error.place]]
            ) from None


# permissions


def list_all(call: Call) -> list[Item]:
    """All permissions."""
    return [permission_item(user, vhost) for user, vhost in _of_all(call) if vhost in user.permissions]


def of_user(call: Call) -> list[Item]:
    """Those of a user."""
    user = _user(call)
    return [permission_item(user, vhost) for vhost in sorted(user.permissions)]


def of_vhost(call: Call) -> list[Item]:
    """Those in a virtual host."""
    name = found(call.node.vhosts.get(call.names["V"])).name
    users = call.node.users
    return [permission_item(users[user], name) for user in sorted(users) if name in users[user].permissions]


def show(call: Call) -> Item:
    """Those of a user in a virtual host."""
    user, vhost = _ends(call)
    found(user.permissions.get(vhost))
    return permission_item(user, vhost)


def put(call: Call) -> Response | None:
    """Say what a user may do in a virtual host."""
    patterns = [text(value) for value in require(call.body, "configure", "write", "read")]
    _check_ends(call)
    _check_patterns(call, *patterns)
    user, vhost = _ends(call)
    is_new = vhost not in user.permissions
    accounts.set_permissions(call.node, call.origin, user.name, vhost, Permissions(*patterns))
    return CREATED if is_new else None


def delete(call: Call) -> None:
    """Let a user into a virtual host no more."""
    user, vhost = _ends(call)
    found(user.permissions.get(vhost))
    accounts.clear_permissions(call.node, call.origin, user.name, vhost)


# topic permissions


def list_topics(call: Call) -> list[Item]:
    """All topic permissions."""
    return [each for user, vhost in _of_all(call) for each in _topic_facts(user, vhost)]


def topics_of_user(call: Call) -> list[Item]:
    """Those of a user."""
    user = _user(call)
    return [each for vhost in sorted(user.topic_permissions) for each in _topic_facts(user, vhost)]


def topics_of_vhost(call: Call) -> list[Item]:
    """Those in a virtual host."""
    name = found(call.node.vhosts.get(call.names["V"])).name
    users = call.node.users
    return [each for user in sorted(users) for each in _topic_facts(users[user], name)]


def show_topics(call: Call) -> list[Item]:
    """Those of a user in a virtual host, of all exchanges."""
    told = _topic_facts(*_ends(call))
    if not told:
        raise object_not_found()
    return told


def put_topics(call: Call) -> Response | None:
    """Say which routing keys a user may use at an exchange."""
    exchange, *patterns = (text(value) for value in require(call.body, "exchange", "write", "read"))
    _check_ends(call)
    _check_patterns(call, *patterns)
    user, vhost = _ends(call)
    is_new = exchange not in user.topic_permissions.get(vhost, {})
    needs_exchange = call.node.profile.access.topic_permissions_need_exchange
    if needs_exchange and exchange and exchange not in call.node.vhosts[vhost].exchanges:
        raise bad_request(["no_such_exchange", exchange])
    accounts.set_topic_permissions(call.node, call.origin, user.name, vhost, exchange, TopicPermissions(*patterns))
    return CREATED if is_new else None


def delete_topics(call: Call) -> None:
    """Permit all routing keys again, of one exchange or of all."""
    user, vhost = _ends(call)
    exchange = call.names.get("X")
    if exchange is None:
        found(user.topic_permissions.get(vhost))
    accounts.clear_topic_permissions(call.node, call.origin, user.name, vhost, exchange)


_ADMIN: Final = Access.ADMINISTRATOR
_TOPICS: Final = {"GET": show_topics, "PUT": put_topics, "DELETE": delete_topics}

ROUTES: Final = (
    Route("permissions", {"GET": list_all}, _ADMIN),
    Route("permissions/V/U", {"GET": show, "PUT": put, "DELETE": delete}, _ADMIN, any_vhost=True),
    Route("topic-permissions", {"GET": list_topics}, _ADMIN),
    Route("topic-permissions/V/U", _TOPICS, _ADMIN, any_vhost=True),
    Route("topic-permissions/V/U/X", _TOPICS, _ADMIN, any_vhost=True),
    Route("users/U/permissions", {"GET": of_user}, _ADMIN),
    Route("users/U/topic-permissions", {"GET": topics_of_user}, _ADMIN),
    Route("vhosts/V/permissions", {"GET": of_vhost}, _ADMIN, any_vhost=True),
    Route("vhosts/V/topic-permissions", {"GET": topics_of_vhost}, _ADMIN, any_vhost=True),
)

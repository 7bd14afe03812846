"""Users, who they are, and their login (HTTP-USER, HTTP-MISC-01)."""

import base64
import binascii
from typing import Any, Final
from urllib.parse import parse_qsl

from hutch.fakebroker.definitions.exporting import user_item
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.limits import USER_LIMITS
from hutch.fakebroker.engine.access.passwords import NO_PASSWORD, SHA256, PasswordHash
from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.management.access import Access, log_in
from hutch.fakebroker.management.bodies import text, words
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.errors import JSON, bad_request, compact, crash, lacking
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Route


def identity(user: User, call: Call) -> dict[str, Any]:
    """What users see of themselves."""
    told: dict[str, Any] = {"name": user.name, "tags": list(user.tags)}
    if call.profile.login_gives_token:
        told["is_internal_user"] = True
    return told


def whoami(call: Call) -> Item:
    """Who asks."""
    return identity(call.user, call)


def list_all(call: Call) -> list[Item]:
    """All users."""
    return [user_item(call.node.users[name]) for name in sorted(call.node.users)]


def list_without_permissions(call: Call) -> list[Item]:
    """Those who may enter no virtual host."""
    users = call.node.users
    return [user_item(users[name]) for name in sorted(users) if not users[name].permissions]


def show(call: Call) -> Item:
    """One user."""
    return user_item(found(call.node.users.get(call.names["U"])))


def put(call: Call) -> Response | None:
    """Create a user, or replace password and tags of one."""
    name, body, node = call.names["U"], call.body, call.node
    if "tags" in body:
        tags = words(body["tags"])
    elif "administrator" in body:
        tags = ("administrator",) if body["administrator"] else ()
    else:
        raise bad_request("tags_not_present")
    password = _password(call)
    limits = body.get("limits", {})
    if not isinstance(limits, dict):
        raise crash()
    is_new = name not in node.users
    accounts.put_user(node, call.origin, name, password, tags)
    for limit, value in limits.items():
        accounts.set_user_limit(node, call.origin, name, limit, value)
    return CREATED if is_new else None


def _password(call: Call) -> PasswordHash:
    """What is kept of the password that a body has."""
    body = call.body
    if "password" in body and "password_hash" in body:
        raise bad_request("both_password_and_password_hash_are_provided")
    if "password" in body:
        return call.node.hash_password(text(body["password"]))
    if "password_hash" not in body:
        return NO_PASSWORD
    given = body["password_hash"]
    try:
        salted = base64.b64decode(given, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise bad_request(["not_base64", given]) from None
    return PasswordHash(salted, str(body.get("hashing_algorithm", SHA256)))


def delete(call: Call) -> None:
    """Delete a user; the user's connections are closed."""
    user: User = found(call.node.users.get(call.names["U"]))
    accounts.delete_user(call.node, call.origin, user.name)


def bulk_delete(call: Call) -> None:
    """Delete several users."""
    names = call.body.get("users")
    if not isinstance(names, list):
        raise crash()
    for name in names:
        if name in call.node.users:
            accounts.delete_user(call.node, call.origin, name)
        elif not call.profile.bulk_delete_is_lenient:
            raise bad_request(["no_such_user", name])


# limits


def _limits(user: User) -> list[Item]:
    return [{"user": user.name, "value": dict(user.limits)}] if user.limits else []


def list_limits(call: Call) -> list[Item]:
    """The limits of all users who have some."""
    return [each for name in sorted(call.node.users) for each in _limits(call.node.users[name])]


def limits_of(call: Call) -> list[Item]:
    """The limits of a user."""
    return _limits(found(call.node.users.get(call.names["U"])))


def put_limit(call: Call) -> None:
    """Limit what a user may have open at once."""
    name, limit, value = call.names["U"], call.names["NAME"], call.body.get("value")
    if "value" not in call.body:
        raise bad_request("[{key_missing,value}]")
    if name not in call.node.users:
        raise bad_request(["no_such_user", name])
    if limit not in USER_LIMITS:
        raise bad_request(f'Unrecognised terms [{{<<"{limit}">>,{_shown(value)}}}] in user-limits')
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_request(f"{limit} should be a number, actually was {_shown(value)}")
    accounts.set_user_limit(call.node, call.origin, name, limit, value)


def _shown(value: Any) -> str:
    return f'<<"{value}">>' if isinstance(value, str) else compact(value).decode()


def delete_limit(call: Call) -> None:
    """Have no such limit."""
    if call.names["U"] not in call.node.users:
        raise found(None) if call.profile.clearing_limits_checks_owner else crash()
    accounts.clear_user_limit(call.node, call.origin, call.names["U"], call.names["NAME"])


# login


def login(call: Call) -> Response:
    """Check name and password of a form."""
    form = dict(parse_qsl((call.request.body or b"").decode("utf-8", "replace")))
    name, password = form.get("username", ""), form.get("password", "")
    user = log_in(call.node, call.profile, name, password, local=call.request.local)
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    if call.profile.login_gives_token:
        told = {"user": identity(user, call), "token": {"type": "basic", "value": token}}
        return Response(200, compact(told), JSON)
    return Response(200, compact("ok"), (*JSON, ("set-cookie", f"auth={token}; Version=1")))


def log_out(_call: Call) -> None:
    """Nothing: nobody is logged in between two requests."""


def show_hash(call: Call) -> Item:
    """The hash of a password, with a salt of its own."""
    return {"ok": base64.b64encode(call.node.hash_password(call.names["PASSWORD"]).salted).decode()}


def list_queues_of(_call: Call) -> None:
    """The queues that a user declared, which nobody remembers."""
    raise lacking("who declared a queue")


_ADMIN: Final = Access.ADMINISTRATOR

ROUTES: Final = (
    Route("whoami", {"GET": whoami}),
    Route("users", {"GET": list_all}, _ADMIN, newer=False),
    Route("users", {"GET": list_all}, _ADMIN, pages=True, newer=True),
    Route("users/without-permissions", {"GET": list_without_permissions}, _ADMIN),
    Route("users/bulk-delete", {"POST": bulk_delete}, _ADMIN),
    Route("users/U", {"GET": show, "PUT": put, "DELETE": delete}, _ADMIN),
    Route("user-limits", {"GET": list_limits}, head=False, newer=False),
    Route("user-limits", {"GET": list_limits}, _ADMIN, head=False, newer=True),
    Route("user-limits/U", {"GET": limits_of}, head=False, newer=False),
    Route("user-limits/U", {"GET": limits_of}, Access.MONITORING, head=False, newer=True),
    Route("user-limits/U/NAME", {"PUT": put_limit, "DELETE": delete_limit}, _ADMIN),
    Route("users/U/queues", {"GET": list_queues_of}, newer=True),
    Route("login", {"POST": login}, Access.PUBLIC, reads_json=False, newer=False),
    Route("login", {"POST": login, "DELETE": log_out}, Access.PUBLIC, reads_json=False, newer=True),
    Route("auth/hash_password/PASSWORD", {"GET": show_hash}, _ADMIN, head=False, newer=True),
)

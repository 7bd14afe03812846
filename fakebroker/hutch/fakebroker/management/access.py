"""Who calls, and whether they may (HTTP-AUTH)."""

import base64
import binascii
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.access.passwords import PasswordHash, is_password
from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.management.errors import Refusal, not_authorised
from hutch.fakebroker.management.messages import Request
from hutch.fakebroker.management.profile import ManagementProfile

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node

#: Hashed instead of the password of a user who does not exist.
_NOBODY: Final = PasswordHash(bytes(36))
_CHALLENGE: Final = ("www-authenticate", 'Basic realm="RabbitMQ Management"')


class Access(Enum):
    """Who may use a path: the tags that each of them has one of, and the refusal of others (HTTP-AUTH-03 to -06)."""

    PUBLIC = (), ""
    MANAGEMENT = ("administrator", "monitoring", "policymaker", "management"), "Not management user"
    MONITORING = ("administrator", "monitoring"), "Not monitor user"
    POLICYMAKER = ("administrator", "policymaker"), "User not authorised to access object"
    ADMINISTRATOR = ("administrator",), "Not administrator user"

    def has(self, tags: Iterable[str]) -> bool:
        """Whether a user with these tags may."""
        return self is Access.PUBLIC or not set(tags).isdisjoint(self.value[0])

    def check(self, tags: Iterable[str]) -> None:
        """Refuse a user with other tags.

        Raises:
            Refusal: 401.
        """
        if not self.has(tags):
            raise not_authorised(self.value[1])


class RefusedLogin(Refusal):
    """A refused login of ``user``."""

    def __init__(self, refusal: Refusal, user: str) -> None:
        super().__init__(refusal.status, refusal.error, refusal.reason, *refusal.headers)
        self.user = user


def authenticate(node: "Node", profile: ManagementProfile, request: Request) -> User:
    """The user who makes a request, by basic authentication.

    Raises:
        Refusal: 400 or 401.
    """
    header = request.headers.get("authorization")
    if header is None:
        raise Refusal(401, None, "", _CHALLENGE)
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() in {"bearer", "digest"}:
        raise _failed(profile)
    if scheme.lower() != "basic":
        raise Refusal(400)
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal(400) from None
    if not colon:
        raise Refusal(400)
    return log_in(node, profile, name, password, local=request.local)


def log_in(node: "Node", profile: ManagementProfile, name: str, password: str, *, local: bool) -> User:
    """The user of that name and password, with a tag that opens the API.

    Raises:
        RefusedLogin: 401.
    """
    try:
        return _log_in(node, profile, name, password, local=local)
    except Refusal as refusal:
        raise RefusedLogin(refusal, name) from None


def _log_in(node: "Node", profile: ManagementProfile, name: str, password: str, *, local: bool) -> User:
    user = node.users.get(name)
    if not has_password(user, password) or user is None:
        raise _failed(profile)
    if not local and name in node.loopback_users:
        raise not_authorised("User can only log in via localhost")
    Access.MANAGEMENT.check(user.tags)
    return user


def has_password(user: User | None, password: str) -> bool:
    """Whether that is the user's password. An empty one admits nobody. How long it takes tells nothing of the user."""
    right = is_password(_NOBODY if user is None else user.password_hash, password)
    return right and password != "" and user is not None


def _failed(profile: ManagementProfile) -> Refusal:
    if profile.challenges_failed_login:
        return Refusal(401, "not_authorized", "Login failed", _CHALLENGE)
    return Refusal(401, "not_authorized", "Not_Authorized")


def may_enter(user: User, vhost: str) -> bool:
    """Whether a user has permissions in a virtual host, be they empty."""
    return vhost in user.permissions


def check_vhost(profile: ManagementProfile, user: User, vhost: str) -> None:
    """Refuse who may not see a virtual host, which exists (HTTP-AUTH-07, HTTP-AUTH-08).

    Raises:
        Refusal: 401 or 404.
    """
    if may_enter(user, vhost) or Access.ADMINISTRATOR.has(user.tags):
        return
    if profile.hides_foreign_vhosts:
        raise Refusal(404, "not_found", "Not Found")
    raise not_authorised("User not authorised to access virtual host")


def is_monitoring(user: User) -> bool:
    """Whether a user sees what others do."""
    return Access.MONITORING.has(user.tags)

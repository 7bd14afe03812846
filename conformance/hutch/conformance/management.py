"""The part of RabbitMQ's management HTTP API that a live target needs: what an operator does."""

import base64
import html
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit


class ManagementError(Exception):
    """The management API cannot be reached or refuses; one line that says why."""


class BadRequest(ManagementError, ValueError):
    """The management API does not take what it is given; the reason that it tells."""


class NotPermitted(ManagementError):
    """The user may log in, but lacks a tag."""


class NotFound(ManagementError, LookupError):
    """There is no such thing."""


_WORDS: Final = {"users": "user", "vhosts": "virtual host"}


class Management:
    """RabbitMQ's HTTP API at ``url``, ``http://[user:password@]host:port`` (https://www.rabbitmq.com/docs/http-api-reference).

    Without credentials in the URL, ``userid`` and ``password`` are used. With others, ``userid`` gets all permissions
    in each virtual host that is made.
    """

    def __init__(self, url: str, userid: str, password: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise ManagementError(f"{url!r} is no URL of a management API: http://host:15672 is wanted")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        #: URL of the API, without ``/api/``.
        self.url: Final = f"{parts.scheme}://{host}:{port or 15672}{parts.path.rstrip('/')}"
        self._base = f"{self.url}/api/"
        self._userid = userid
        #: Name of the administrator.
        self.user = unquote(parts.username or userid)
        #: The administrator's name and password.
        self.login: Final = (self.user, unquote(parts.password or password))
        login = ":".join(self.login)
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/json",
        }

        #: Users and virtual hosts created by this object.
        self._made: set[tuple[str, str]] = set()

    # the administrator, and the resources that are left

    def is_administrator(self) -> bool:
        """Whether the user may do what an operator does. The tag ``administrator`` says so."""
        try:
            return "administrator" in self._call("GET", "whoami")["tags"]
        except NotPermitted:
            return False

    def left(self) -> list[str]:
        """The users and virtual hosts that were made here and still exist, in words."""
        there = {(kind, each["name"]) for kind in ("users", "vhosts") for each in self._call("GET", kind)}
        return [f"{_WORDS[kind]} '{name}'" for kind, name in sorted(self._made & there)]

    # users

    def add_user(self, name: str, password: str | None, tags: Iterable[str] = ()) -> None:
        """Create a user without permissions, or change its password and tags."""
        self._made.add(("users", name))
        secret = {"password_hash": ""} if password is None else {"password": password}
        self._call("PUT", _path("users", name), {**secret, "tags": ",".join(tags)})

    def delete_user(self, name: str) -> None:
        """Delete a user; the user's connections are closed."""
        self._call("DELETE", _path("users", name))

    def set_permissions(
        self, user: str, configure: str = ".*", write: str = ".*", read: str = ".*", *, vhost: str = "/"
    ) -> None:
        """Say what a user may do in a virtual host."""
        permissions = {"configure": configure, "write": write, "read": read}
        self._call("PUT", _path("permissions", vhost, user), permissions)

    def clear_permissions(self, user: str, *, vhost: str = "/") -> None:
        """Let a user into a virtual host no more."""
        self._call("DELETE", _path("permissions", vhost, user))

    def set_topic_permissions(self, user: str, exchange: str, write: str, read: str, *, vhost: str = "/") -> None:
        """Say which routing keys a user may use at a topic exchange."""
        permissions = {"exchange": exchange, "write": write, "read": read}
        self._call("PUT", _path("topic-permissions", vhost, user), permissions)

    def clear_topic_permissions(self, user: str, exchange: str | None = None, *, vhost: str = "/") -> None:
        """Undo :meth:`set_topic_permissions` for an exchange, or for all."""
        self._call("DELETE", _path("topic-permissions", vhost, user, *([] if exchange is None else [exchange])))

    def set_user_limit(self, user: str, limit: str, value: int) -> None:
        """Limit what a user may have open at once."""
        self._call("PUT", _path("user-limits", user, limit), {"value": value})

    def clear_user_limit(self, user: str, limit: str) -> None:
        """Undo :meth:`set_user_limit`."""
        self._call("DELETE", _path("user-limits", user, limit))

    # virtual hosts

    def add_vhost(self, name: str, *, default_queue_type: str | None = None) -> None:
        """Create a virtual host, in which its creator and the suite's user may do everything."""
        self._made.add(("vhosts", name))
        body = {} if default_queue_type is None else {"default_queue_type": default_queue_type}
        self._call("PUT", _path("vhosts", name), body)
        if self.user != self._userid:
            self.set_permissions(self._userid, vhost=name)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with all that is in it."""
        self._call("DELETE", _path("vhosts", name))

    def set_vhost_limit(self, limit: str, value: int, *, vhost: str = "/") -> None:
        """Limit what a virtual host may have at once."""
        self._call("PUT", _path("vhost-limits", vhost, limit), {"value": value})

    def clear_vhost_limit(self, limit: str, *, vhost: str = "/") -> None:
        """Undo :meth:`set_vhost_limit`."""
        self._call("DELETE", _path("vhost-limits", vhost, limit))

    # policies

    def set_policy(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, Any],
        *,
        priority: float = 0,
        apply_to: str = "all",
        vhost: str = "/",
    ) -> None:
        """Create or change a policy."""
        self._set_policy("policies", name, pattern, definition, priority, apply_to, vhost)

    def delete_policy(self, name: str, *, vhost: str = "/") -> None:
        """Delete a policy."""
        self._call("DELETE", _path("policies", vhost, name))

    def set_operator_policy(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, Any],
        *,
        priority: float = 0,
        apply_to: str = "all",
        vhost: str = "/",
    ) -> None:
        """Create or change an operator policy."""
        self._set_policy("operator-policies", name, pattern, definition, priority, apply_to, vhost)

    def delete_operator_policy(self, name: str, *, vhost: str = "/") -> None:
        """Delete an operator policy."""
        self._call("DELETE", _path("operator-policies", vhost, name))

    def _set_policy(
        self,
        kind: str,
        name: str,
        pattern: str,
        definition: Mapping[str, Any],
        priority: float,
        apply_to: str,
        vhost: str,
    ) -> None:
        body = {"pattern": pattern, "definition": dict(definition), "priority": priority, "apply-to": apply_to}
        self._call("PUT", _path(kind, vhost, name), body)

    # connections

    def close_connections(self, user: str | None = None, reason: str = "Closed via management plugin") -> int:
        """Close the connections of a user, or all connections; how many the API knew."""
        connections = self._call("GET", "connections")
        names = [each["name"] for each in connections if user in {None, each.get("user")}]
        for name in names:
            self._call("DELETE", _path("connections", name), headers={"X-Reason": reason})
        return len(names)

    def _call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """What the API answers, decoded; ``None`` for nothing."""
        request = urllib.request.Request(
            self._base + path,
            None if body is None else json.dumps(body).encode(),
            {**self._headers, **(headers or {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if error.code == HTTPStatus.BAD_REQUEST:
                    # 3.10 escapes the reason for HTML.
                    raise BadRequest(html.unescape(json.load(error)["reason"])) from None
                # For a wrong password the error is "not_authorized" instead, with a z.
                if error.code == HTTPStatus.UNAUTHORIZED and b'"not_authorised"' in error.read():
                    raise NotPermitted(f"{self._base}{path}: {self.user!r} lacks a tag") from None
                if error.code == HTTPStatus.NOT_FOUND:
                    raise NotFound(f"{self._base}{path}: there is nothing") from None
                raise ManagementError(
                    f"{self._base}{path}: {method} was answered by {error.code} {error.reason}"
                ) from None
        except HTTPException as error:
            raise ManagementError(f"{self._base} does not speak HTTP: {error!r}") from None
        except OSError as error:
            raise ManagementError(f"{self._base} cannot be reached: {getattr(error, 'reason', error)}") from None
        return json.loads(text) if text else None


def _path(*names: str) -> str:
    return "/".join(quote(name, safe="") for name in names)

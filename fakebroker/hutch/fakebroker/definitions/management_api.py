"""Definitions of a broker elsewhere, by its management API: a RabbitMQ's, or that of ``hutch serve``."""

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from hutch.fakebroker.definitions.refusals import readable

#: RabbitMQ's port of the management API.
_PORT: Final = 15672
#: Seconds to wait for an answer. An import of thousands of queues takes a while.
_PATIENCE: Final = 60.0


class ManagementError(Exception):
    """The management API cannot be reached, or refuses; one line that says why."""


class ManagementAPI:
    """The management API at ``url``, ``http://user:password@host:port``.

    Raises:
        ManagementError: that is no such URL.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise ManagementError("that is no URL of a management API: http://user:password@host:15672 is wanted")
        host, number = parts.hostname, port or (_PORT if parts.scheme == "http" else _PORT - 1)
        #: The URL without user and password.
        self.place: Final = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{number}"
        self._kind: Final = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host: Final = host
        self._port: Final = number
        self._path: Final = f"{parts.path.rstrip('/')}/api/definitions"
        login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
        self._login: Final = base64.b64encode(login.encode()).decode()

    def export_definitions(self, vhost: str | None = None) -> dict[str, Any]:
        """The definitions of the broker, or of one virtual host.

        Raises:
            ManagementError: the broker cannot be reached, or refuses.
        """
        definitions = json.loads(self._call("GET", vhost))
        if not isinstance(definitions, dict):
            raise ManagementError(f"{self.place} does not answer with definitions")
        return definitions

    def import_definitions(self, definitions: Mapping[str, Any], vhost: str | None = None) -> None:
        """Import definitions into the broker, or into one virtual host.

        Raises:
            ManagementError: the broker cannot be reached, or refuses.
        """
        self._call("POST", vhost, json.dumps(definitions).encode())

    def _call(self, method: str, vhost: str | None, body: bytes | None = None) -> bytes:
        path = self._path if vhost is None else f"{self._path}/{quote(vhost, safe='')}"
        headers = {"Authorization": f"Basic {self._login}", "Content-Type": "application/json"}
        connection = self._kind(self._host, self._port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ManagementError(f"{self.place} cannot be reached: {error}") from None
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ManagementError(f"{self.place} answers {answer.status}: {_reason(content) or answer.reason}")
        return content


def _reason(content: bytes) -> str:
    """What the answer says is wrong, in a line."""
    try:
        answer = json.loads(content)
    except ValueError:
        return ""
    reason = answer.get("reason") or answer.get("error", "") if isinstance(answer, Mapping) else ""
    return " ".join(readable(reason).split())

"""The little of RabbitMQ's management HTTP API that a live target needs: virtual hosts come and go."""

import base64
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import quote, unquote, urlsplit


class ManagementError(Exception):
    """The management API cannot be reached or refuses; one line that says why."""


class Management:
    """RabbitMQ's HTTP API at ``url``, ``http://[user:password@]host:port`` (https://www.rabbitmq.com/docs/http-api-reference).

    Without credentials in the URL, ``userid`` and ``password`` are used.
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
        self._base = f"{parts.scheme}://{host}:{port or 15672}{parts.path.rstrip('/')}/api/"
        login = f"{unquote(parts.username or userid)}:{unquote(parts.password or password)}"
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/json",
        }

    def create_vhost(self, name: str) -> None:
        """Create a virtual host; its creator may do everything in it."""
        self._call("PUT", f"vhosts/{quote(name, safe='')}")

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with all that is in it."""
        self._call("DELETE", f"vhosts/{quote(name, safe='')}")

    def _call(self, method: str, path: str) -> None:
        request = urllib.request.Request(
            self._base + path, b"{}" if method == "PUT" else None, self._headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20):
                pass
        except urllib.error.HTTPError as error:
            with error:
                raise ManagementError(
                    f"{self._base}{path}: {method} was answered by {error.code} {error.reason}"
                ) from None
        except HTTPException as error:
            raise ManagementError(f"{self._base} does not speak HTTP: {error!r}") from None
        except OSError as error:
            raise ManagementError(f"{self._base} cannot be reached: {getattr(error, 'reason', error)}") from None

"""The management API as cases ask it: one request, and all of its answer."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlsplit

from hutch.conformance.check import equal, true

#: Timeout of one request, in seconds.
_TIMEOUT: Final = 20


@dataclass(frozen=True)
class Answer:
    """An answer. ``phrase`` is the status in words. ``headers`` have lower-case names; ``body`` is as it came."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded; ``None`` where it is empty."""
        return json.loads(self.body) if self.body else None

    def expect(self, status: int, body: object = ...) -> Any:
        """Fail unless it has this status, and this body if one is given: JSON, or ``None`` for an empty one. Returns
        the body.
        """
        equal(self.status, status, f"status (with body {self.body[:300]!r})")
        if body is not ...:
            equal(self.json, body, "body")
        return self.json

    def expect_success(self) -> None:
        """Fail unless the status is one of success."""
        true(self.status < 300, f"a success was expected, and not {self.status} {self.body[:300]!r}")

    def expect_refused(self, status: int, error: str, reason: object) -> None:
        """Fail unless it is a refusal with these words."""
        self.expect(status, {"error": error, "reason": reason})


class Http:
    """The API at ``url``, which is asked by the user of ``login`` unless another is named.

    In paths, which are relative to ``/api/``, a segment ``V`` stands for ``vhost``.
    """

    def __init__(self, url: str, login: tuple[str, str], vhost: str) -> None:
        self._parts: Final = urlsplit(url)
        self._login: Final = login
        self.vhost: Final = vhost

    @property
    def port(self) -> int:
        """The port of the API."""
        return self._parts.port or 15672

    def path(self, path: str) -> str:
        """A path as it is sent."""
        head, mark, query = path.partition("?")
        segments = [quote(self.vhost, safe="") if segment == "V" else segment for segment in head.split("/")]
        return f"{self._parts.path.rstrip('/')}/api/{'/'.join(segments)}{mark}{query}"

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        login: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Ask. ``body`` is sent as JSON, ``raw`` as it is. A ``login`` of two empty texts sends none."""
        name, password = self._login if login is None else login
        sent = {"Content-Type": "application/json"}
        if name or password:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        sent.update(headers or {})
        data = raw if body is None else json.dumps(body).encode()
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT)
        try:
            connection.request(method, self.path(path), data, sent)
            with connection.getresponse() as answer:
                text = answer.read()
                told = {key.lower(): value for key, value in answer.getheaders()}
                return Answer(answer.status, answer.reason, told, text)
        except (HTTPException, OSError) as error:
            raise AssertionError(f"{method} {path} was not answered: {error!r}") from None
        finally:
            connection.close()

"""The API: a request in, its answer out."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.management.access import Access, RefusedLogin, authenticate, check_vhost
from hutch.fakebroker.management.bodies import Body, read_body
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.encoding import encoded
from hutch.fakebroker.management.errors import JSON, Refusal, compact, lacking, object_not_found, refusal_of
from hutch.fakebroker.management.lists import arrange, choose
from hutch.fakebroker.management.messages import Request, Response
from hutch.fakebroker.management.profile import ManagementProfile
from hutch.fakebroker.management.routing import Route, Routes, split
from hutch.fakebroker.management.statistics import Statistics
from hutch.fakebroker.management.topics import ROUTES

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.snapshot import Snapshot

_VARY: Final = ("vary", "accept, accept-encoding, origin")
_NO_CACHE: Final = ("cache-control", "no-cache")
_READ: Final = frozenset({"application/json", "application/*", "*/*"})


class Api:
    """The management API of a broker. :meth:`answer` takes one turn, and writes JSON outside of it.

    ``refused_login`` is called for each refused login: with the user's name, the reason as RabbitMQ words it, and
    whether the client is on this machine.
    """

    def __init__(self, broker: "Broker", refused_login: Callable[[str, str, bool], None] | None = None) -> None:
        self._refused_login: Final = refused_login
        self._broker: Final = broker
        self._hub: Final = broker.hub
        self._profile: Final[ManagementProfile] = broker.profile.management
        self._routes: Final = Routes(ROUTES, newer=self._profile.has_newer_paths)
        #: The snapshots that were taken here, by name.
        self._snapshots: Final[dict[str, Snapshot]] = {}
        self._statistics: Final = Statistics(broker.hub.node)
        #: The most bytes that a body may have.
        self.max_body: Final = self._profile.max_body

    def open(self) -> None:
        """Begin to count what messages do."""
        with self._hub.turn:
            self._statistics.open()

    def close(self) -> None:
        """Undo :meth:`open`."""
        with self._hub.turn:
            self._statistics.close()

    def answer(self, request: Request) -> Response:
        """The answer to a request."""
        path, _, query = request.target.partition("?")
        allow = ""
        try:
            found = self._find(request, path)
            route, names = found
            allow = route.allow
            response = self._answer(request, route, names, _parameters(query))
        except Refusal as refusal:
            if isinstance(refusal, RefusedLogin) and self._refused_login is not None:
                self._refused_login(refusal.user, str(refusal.reason), request.local)
            response = refusal.response()
        headers = [_VARY, *response.headers]
        if response.status == 200 and request.method != "OPTIONS":
            headers.append(_NO_CACHE)
        if allow and self._profile.tells_methods and "allow" not in dict(headers):
            headers.append(("allow", allow))
        return encoded(request, Response(response.status, response.body, tuple(headers), response.stream))

    def _find(self, request: Request, path: str) -> tuple[Route, dict[str, str]]:
        """The route, which has the method.

        Raises:
            Refusal: 400, 404 or 405 (HTTP-PROTO-04 to -06); these come before all else (HTTP-AUTH-11).
        """
        segments = split(path)
        found = self._routes.find(segments[1:]) if segments[0] == "api" else None
        reads = request.method in {"GET", "HEAD"}
        if found is None:
            if "%2f" in path.lower():
                raise Refusal(400)
            if request.method == "OPTIONS":
                raise Refusal(200, None, "", ("allow", "HEAD, GET, OPTIONS"))
            raise object_not_found() if reads else Refusal(405, None, "", ("allow", "HEAD, GET, OPTIONS"))
        route = found[0]
        if not route.has(request.method):
            raise Refusal(405, None, "", ("allow", route.allow))
        if not reads and _is_foreign(request):
            raise Refusal(403)
        return found

    def _answer(self, request: Request, route: Route, names: dict[str, str], query: dict[str, str]) -> Response:
        if request.method == "OPTIONS":
            return Response(200, headers=(("allow", route.allow),))
        _check_accept(request.headers.get("accept"))
        method = "GET" if request.method == "HEAD" else request.method
        handler = route.handlers[method]
        try:
            with self._hub.turn as node:
                user = self._admit(node, request, route, method, names)
            body = self._body(request, route, method)
            call = Call(self._broker, self._statistics, self._snapshots, request, names, query, user, body)
            with self._hub.turn if route.in_turn else nullcontext():
                if route.in_turn:
                    self._statistics.settle()
                answer = handler(call)
        except BrokerError as error:
            raise refusal_of(error) from None
        except NotImplementedError as error:
            raise lacking(str(error)) from None
        return self._written(answer, route, query)

    def _body(self, request: Request, route: Route, method: str) -> Body:
        if not route.reads_json or method in {"GET", "DELETE"}:
            return {}
        if route.json_only and request.media_type != "application/json":
            raise Refusal(415)
        return read_body(request.body, self._profile)

    def _admit(self, node: Node, request: Request, route: Route, method: str, names: Mapping[str, str]) -> User | None:
        """The user, who may do that."""
        if route.access is Access.PUBLIC:
            return None
        user = authenticate(node, self._profile, request)
        for access in (route.access, route.stricter.get(method, route.access)):
            access.check(user.tags)
        name = names.get("V")
        if name is not None and not route.any_vhost:
            if name in node.vhosts:
                check_vhost(self._profile, user, name)
            elif method in {"GET", "DELETE"}:
                raise object_not_found()
        return user

    def _written(self, answer: Any, route: Route, query: Mapping[str, str]) -> Response:
        if isinstance(answer, Response):
            return answer
        if answer is None:
            return Response(204)
        if isinstance(answer, list) and route.columns:
            answer = arrange(answer, query, self._profile, pages=route.pages)
        elif isinstance(answer, dict) and route.columns:
            answer = choose(answer, query)
        return Response(200, compact(answer), JSON)


def _is_foreign(request: Request) -> bool:
    """Whether a page of another site has a browser ask, which may send a login that it knows."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def _check_accept(accept: str | None) -> None:
    """Refuse with 406 who does not take JSON (HTTP-PROTO-09)."""
    if accept is None:
        return
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind.lower() in _READ and all(parameter.startswith("q=") for parameter in parameters):
            return
        if kind and "/" not in kind:
            raise Refusal(400)
    raise Refusal(406)


def _parameters(text: str) -> dict[str, str]:
    """The parameters of a query; the first of several of a name counts."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found.setdefault(name, value)
    return found

"""A stand-in for RabbitMQ's management API: as much of it, in front of an emulator, as a live target calls."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from hutch.fakebroker import Broker


@contextmanager
def management_api(broker: Broker, *administrators: str, deletes: bool = True) -> Iterator[str]:
    """A context with the API's URL.

    Args:
        broker: the broker that is administered.
        administrators: the users with the tag ``administrator``. Others have no tag.
        deletes: whether a virtual host that is deleted is gone. Default True.
    """
    handler = type("Handler", (_Handler,), {"broker": broker, "administrators": administrators, "deletes": deletes})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


class _Handler(BaseHTTPRequestHandler):
    broker: Broker
    administrators: tuple[str, ...]
    deletes: bool

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        self._handle(self._get)

    def do_PUT(self) -> None:
        self._handle(self._put)

    def do_DELETE(self) -> None:
        self._handle(self._delete)

    def _handle(self, act: Callable[..., Any]) -> None:
        user = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")[0]
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if user in self.administrators:
            # The request's path is /api/KIND/NAME...
            answer = act(body, user, *map(unquote, self.path.split("/")[2:]))
            self._answer(200 if answer else 204, answer)
        else:
            self._answer(401, {"error": "not_authorised", "reason": "Not management user"})

    def _answer(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode() if answer else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _get(self, _: object, user: str, kind: str) -> object:
        node = self.broker.hub.node
        if kind == "whoami":
            return {"name": user, "tags": ["administrator"]}
        return [{"name": name} for name in (node.users if kind == "users" else node.vhosts)]

    def _put(self, body: dict[str, Any], user: str, kind: str, *names: str) -> None:
        admin = self.broker.admin
        if kind == "vhosts":
            (name,) = names
            admin.add_vhost(name, **body)
            admin.set_permissions(user, vhost=name)
        elif kind == "users":
            (name,) = names
            admin.add_user(name, body.get("password"), [tag for tag in body["tags"].split(",") if tag])
        elif kind == "permissions":
            vhost, name = names
            admin.set_permissions(name, **body, vhost=vhost)
        else:
            vhost, limit = names
            admin.set_vhost_limit(limit, body["value"], vhost=vhost)

    def _delete(self, _: object, _user: str, kind: str, *names: str) -> None:
        if kind != "vhosts":
            self.broker.admin.delete_user(*names)
        elif self.deletes:
            self.broker.admin.delete_vhost(*names)

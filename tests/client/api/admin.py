"""What whoever runs the broker sees and does: a live one by its management API, the emulator by its own."""

import base64
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import pytest

from hutch.client import Connection
from tests.live import LiveBroker
from tests.targets import PATIENCE, Target

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str) -> T:
    """What ``look`` finds, as soon as it finds something; the management API lags behind."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not turn up in {PATIENCE} seconds")


def call(target: Target, method: str, path: str, headers: dict[str, str] | None = None) -> Any:
    """Ask the management API of a live broker; what it answers, decoded."""
    parts = urlsplit(LiveBroker.named(target.profile).management)
    login = base64.b64encode(f"{parts.username or 'guest'}:{parts.password or 'guest'}".encode()).decode()
    request = urllib.request.Request(
        f"http://{parts.hostname}:{parts.port}/api/{path}",
        b"{}" if method == "PUT" else None,
        {"Authorization": f"Basic {login}", "Content-Type": "application/json", **(headers or {})},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def connection_as_seen(target: Target, connection: Connection) -> dict[str, Any]:
    """What a live broker's management API tells of a connection."""
    port = connection.sock.getsockname()[1]

    def look() -> dict[str, Any] | None:
        connections: list[dict[str, Any]] = call(target, "GET", "connections")
        return next((seen for seen in connections if seen.get("peer_port") == port and "user" in seen), None)

    return eventually(look, f"the connection from port {port}")


def another_vhost(target: Target) -> str:
    """A virtual host beside the target's own, for this test."""
    name = target.name("vhost")
    if target.broker is not None:
        target.broker.admin.add_vhost(name)
    else:
        call(target, "PUT", f"vhosts/{quote(name, safe='')}")
        target.cleanup.callback(call, target, "DELETE", f"vhosts/{quote(name, safe='')}")
    return name


def end_connection(target: Target, connection: Connection) -> str:
    """Have the broker close a connection with 320; the reply text it gives. The emulator ends, too."""
    if target.broker is not None:
        target.broker.close(grace=0.2)
        return "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    name = connection_as_seen(target, connection)["name"]
    call(target, "DELETE", f"connections/{quote(name, safe='')}", {"X-Reason": "a test wants it so"})
    return "CONNECTION_FORCED - a test wants it so"

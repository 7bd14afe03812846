"""The management API against those who mean ill: files, other sites, sizes, slow readers, guessed passwords.

Who may call is in ``test_management.py``, and rubbish on the port.
"""

import base64
import builtins
import io
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from hutch.client import Message, connect
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.engine.access import passwords
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.routing import Route
from hutch.fakebroker.management.topics import ROUTES

from .test_management import GUEST, PROFILES, Client, address_of, read_all

OUTSIDE = (
    "../../../../etc/passwd",
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "%2Fetc%2Fpasswd",
    "file:%2F%2F%2Fetc%2Fpasswd",
    "q%00",
)
ELSEWHERE = "http://evil.example"


@pytest.fixture(params=PROFILES)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param, ManualClock()) as broker:
        yield broker


def _calls(broker: Broker, name: str = "x") -> list[tuple[str, str, Route]]:
    """Each method of each path; ``name`` stands for each of its names but the virtual host."""
    newer = broker.profile.name != "3.10"
    return [
        (
            method,
            "/".join("%2F" if part == "V" else name if part.isupper() else part for part in route.path.split("/")),
            route,
        )
        for route in ROUTES
        if route.newer in {None, newer}
        for method in route.handlers
    ]


# files


def test_no_name_and_no_header_reaches_a_file(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path is asked with names and headers of files, and nothing is opened meanwhile."""
    opened: list[object] = []

    def look(place: Any, name: str) -> None:
        real = getattr(place, name)

        def note(file: object, *arguments: Any, **options: Any) -> Any:
            opened.append(file)
            return real(file, *arguments, **options)

        monkeypatch.setattr(place, name, note)

    with closing(Client(broker)) as client:
        client.ask("GET", "whoami")  # the first request imports modules
        for place, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "stat"), (os, "listdir")):
            look(place, name)
        names = ("X-Reason", "Referer", "If-None-Match", "Accept-Language", "Cookie", "Range", "X-Original-URL")
        for outside in OUTSIDE:
            for method, path, route in _calls(broker, outside):
                if route.path in {"hutch/history/stream", "hutch/reset"}:
                    continue  # the stream never ends, and a reset closes connections
                headers = dict.fromkeys(names, outside) if path.startswith(("connections", "whoami")) else {}
                client.request(method, f"/api/{path}", "{}", {"Authorization": GUEST, **headers})
                body = client.getresponse().read()
                assert b"root:" not in body, (method, path)
        os.stat(__file__)  # noqa: PTH116  (this is noticed)
        monkeypatch.undo()
    assert opened == [__file__]


# other sites


def test_no_answer_is_for_a_page_of_another_site(broker: Broker) -> None:
    """No path tells a browser that another site may read it, asked beforehand or not."""
    with closing(Client(broker)) as client:
        for method, path, route in _calls(broker):
            if route.path == "hutch/history/stream" or method != "GET":
                continue
            for asked in ("OPTIONS", "GET"):
                headers = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "PUT", "Authorization": GUEST}
                client.request(asked, f"/api/{path}", headers=headers)
                answer = client.getresponse()
                answer.read()
                told = [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]
                assert told == [], (asked, path)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_page_of_another_site_changes_nothing_anywhere(broker: Broker, kind: str) -> None:
    """A form or a script may send these without asking beforehand, with a login that the browser knows."""
    with closing(Client(broker)) as client:
        before = client.ask("GET", "definitions")[1]
        for method, path, route in _calls(broker):
            if method == "GET" or route.access is Access.PUBLIC:
                continue
            sent = {"Origin": ELSEWHERE, "Content-Type": kind}
            assert client.ask(method, path, b"{}", **sent)[0] == 403, (method, path)
        after = client.ask("GET", "definitions")[1]
    assert before["users"] == after["users"]
    assert before["queues"] == after["queues"]


# sizes


def _answer(broker: Broker, sent: bytes) -> bytes:
    with socket.create_connection(address_of(broker)) as stream:
        stream.sendall(sent)
        stream.shutdown(socket.SHUT_WR)
        return read_all(stream)


def test_a_body_in_chunks_that_is_too_large_is_not_kept(broker: Broker) -> None:
    head = f"PUT /api/queues/%2F/q HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\nConnection: close\r\n"
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = _answer(broker, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 12 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Exceeded HTTP request body size limit" in answer


@pytest.mark.parametrize(
    ("what", "head"),
    [
        ("many headers", b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n" + b"X-Many: x\r\n" * 20_000),
        ("a long path", b"GET /api/" + b"x" * 200_000),
        ("a long query", b"GET /api/queues?" + b"x=1&" * 50_000),
    ],
)
def test_a_head_has_a_limit(broker: Broker, what: str, head: bytes) -> None:
    with socket.create_connection(address_of(broker)) as stream:
        stream.settimeout(10)
        try:
            stream.sendall(head)
            answer = stream.recv(100)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.split()[1] in {b"400", b"431"}, what
    with closing(Client(broker)) as client:
        assert client.ask("GET", "whoami")[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"a":' * 200_000, b'{"x": ' + b"1" * 100_000 + b"}", b'{"arguments": {"x-expires": 1e400}}'],
)
def test_json_that_would_take_much(broker: Broker, body: bytes) -> None:
    with closing(Client(broker)) as client:
        assert client.ask("PUT", "queues/%2F/q", body)[0] in {400, 500}
        assert client.ask("GET", "queues") == (200, [])


def test_pages_have_a_limit(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        assert client.ask("GET", "queues?page=1&page_size=501")[0] == 400
        assert client.ask("GET", f"queues?page={'9' * 5000}&page_size=1")[0] == 400


def test_who_follows_the_history_and_does_not_read_is_cut(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hutch.fakebroker.management.protocol.PATIENCE", 0.3)
    with connect(broker.url) as connection, socket.socket() as slow:
        channel = connection.channel()
        channel.queue_declare("q", auto_delete=False)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(address_of(broker))
        slow.sendall(f"GET /api/hutch/history/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\n\r\n".encode())
        slow.recv(1)
        listener: Any = broker.hub.listeners._management._listener  # type: ignore[union-attr]
        deadline = time.monotonic() + 20
        while listener.clients:
            channel.basic_publish_confirm(Message(b"x" * 50_000), "", "q")
            channel.queue_purge("q")
            assert time.monotonic() < deadline, "the client is not cut"


# passwords


@pytest.mark.parametrize("name", ["guest", "nobody"])
def test_each_password_is_compared_in_constant_time(broker: Broker, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By a whole comparison of hashes, also for a user who is not there."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(passwords, "compare_digest", compare)
    login = "Basic " + base64.b64encode(f"{name}:wrong".encode()).decode()
    with closing(Client(broker, login)) as client:
        assert client.ask("GET", "whoami")[0] == 401
    ((left, right),) = compared
    assert len(left) == len(right) == 36


def test_a_login_is_in_no_log_and_no_answer(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    broker.admin.add_user("ann", "very-secret", ["administrator"])
    login = "Basic " + base64.b64encode(b"ann:very-secret").decode()
    with closing(Client(broker, login)) as client:
        told = [
            client.ask(method, path)[1]
            for method, path, route in _calls(broker)
            if method == "GET" and "stream" not in path and "history" not in path
        ]
        client.ask("PUT", "users/bob", {"password": "very-secret", "tags": ""})
    assert "very-secret" not in json.dumps(told) + caplog.text
    assert login[6:] not in json.dumps(told) + caplog.text

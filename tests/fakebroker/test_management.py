"""The management API around its answers: connections, who may call, limits, and what else its listener does."""

import base64
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import pytest

from hutch.client import Message, connect
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.engine import topology
from hutch.fakebroker.engine.actors import operator
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.api import Api
from hutch.fakebroker.management.messages import Request
from hutch.fakebroker.management.openapi import DOCUMENT
from hutch.fakebroker.management.routing import Route
from hutch.fakebroker.management.topics import ROUTES

GUEST = "Basic " + base64.b64encode(b"guest:guest").decode()
PROFILES = ("3.10", "4.3")


@pytest.fixture(params=PROFILES)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param, ManualClock(), vhosts=("/", "other")) as broker:
        yield broker


class Client(HTTPConnection):
    """A client that keeps its connection."""

    def __init__(self, broker: Broker, login: str = GUEST) -> None:
        parts = urlsplit(broker.management_url)
        super().__init__(parts.hostname or "", parts.port, timeout=10)
        self._login = login

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": self._login, **headers} if self._login else headers
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        self.request(method, f"/api/{path}", data, sent)
        answer: HTTPResponse = self.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def address_of(broker: Broker) -> tuple[str, int]:
    parts = urlsplit(broker.management_url)
    return parts.hostname or "", parts.port or 0


def read_all(stream: socket.socket) -> bytes:
    """What comes until the broker ends the stream."""
    stream.settimeout(10)
    pieces = []
    with suppress(ConnectionResetError):
        while piece := stream.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


# connections


def test_a_connection_is_kept(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        for number in range(5):
            assert client.ask("PUT", f"queues/%2F/q{number}", {})[0] == 201
        sock = client.sock
        assert len(client.ask("GET", "queues")[1]) == 5
        assert client.sock is sock


def test_requests_that_come_together(broker: Broker) -> None:
    request = f"GET /api/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\n"
    last = "GET /api/queues HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    with socket.create_connection(address_of(broker)) as stream:
        stream.sendall(f"{request}\r\n{request}\r\n{last}Authorization: {GUEST}\r\n\r\n".encode())
        answers = read_all(stream).split(b"HTTP/1.1 200")
    assert [b'"guest"' in answer for answer in answers] == [False, True, True, False]
    assert answers[-1].endswith(b"[]")


def test_a_body_in_chunks(broker: Broker) -> None:
    head = f"PUT /api/queues/%2F/q HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\nConnection: close\r\n"
    with socket.create_connection(address_of(broker)) as stream:
        stream.sendall(
            f'{head}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"durabl\r\n9\r\ne": true}}\r\n0\r\n\r\n'.encode()
        )
        assert read_all(stream).startswith(b"HTTP/1.1 201")
    with closing(Client(broker)) as client:
        assert client.ask("GET", "queues/%2F/q?columns=durable") == (200, {"durable": True})


def test_a_client_that_waits_for_leave_to_send(broker: Broker) -> None:
    head = f"PUT /api/queues/%2F/q HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\nConnection: close\r\n"
    with socket.create_connection(address_of(broker)) as stream:
        stream.settimeout(10)
        stream.sendall(f"{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
        assert stream.recv(100).startswith(b"HTTP/1.1 100")
        stream.sendall(b"{}")
        assert read_all(stream).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("sent", [b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\1\2\r\n\r\n"])
def test_what_is_no_http(broker: Broker, sent: bytes) -> None:
    with socket.create_connection(address_of(broker)) as stream:
        stream.sendall(sent)
        answer = read_all(stream)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"content-length: 0" in answer.lower()


def test_a_head_that_is_too_long(broker: Broker) -> None:
    with socket.create_connection(address_of(broker)) as stream:
        stream.sendall(b"GET /api/whoami HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000)
        assert read_all(stream)[:12] in {b"HTTP/1.1 431", b"HTTP/1.1 400", b""}  # empty if the stream was reset


# waiting requests


def test_a_client_that_never_finishes_its_request(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hutch.fakebroker.management.protocol.PATIENCE", 0.1)
    with socket.create_connection(address_of(broker)) as silent, socket.create_connection(address_of(broker)) as slow:
        slow.sendall(b"GET /api/whoami HTTP/1.1\r\nHost:")
        assert read_all(silent) == read_all(slow) == b""


def test_a_client_that_dawdles_over_its_body(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and the whole of it does not."""
    monkeypatch.setattr("hutch.fakebroker.management.protocol.PATIENCE", 0.3)
    head = f"PUT /api/queues/%2F/q HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(address_of(broker)) as slow:
        slow.sendall(head.encode())
        slow.settimeout(0.02)
        deadline = time.monotonic() + 10
        ended = False
        while not ended and time.monotonic() < deadline:
            try:
                slow.sendall(b" ")
                ended = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended, "the client is not cut"


def test_a_client_that_takes_no_answer(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hutch.fakebroker.management.protocol.PATIENCE", 0.3)
    for number in range(2000):
        _declare(broker, f"a-queue-with-a-long-name-{number}")
    request = f"GET /api/queues HTTP/1.1\r\nHost: x\r\nAuthorization: {GUEST}\r\n\r\n".encode()
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect(address_of(broker))
        stream.sendall(request * 50)
        deadline = time.monotonic() + 20
        listener: Any = broker.hub.listeners._management._listener  # type: ignore[union-attr]
        while listener.clients:
            assert time.monotonic() < deadline, "the client is not cut"
            time.sleep(0.01)


def _declare(broker: Broker, name: str) -> None:
    with broker.hub.turn as node:
        topology.declare_queue(operator(node.vhosts["/"]), name, durable=True, arguments={})


def test_a_body_that_is_too_large_is_not_kept(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        status, told = client.ask("PUT", "queues/%2F/q", b" " * (12 * 1024 * 1024))
        assert (status, told["reason"]) == (400, "Exceeded HTTP request body size limit")
        assert client.ask("GET", "queues") == (200, [])


# permissions


def _path(route: Route) -> str:
    return "/".join("%2F" if part == "V" else "x" if part.isupper() else part for part in route.path.split("/"))


def _calls(profile: str) -> list[tuple[str, str, Route]]:
    newer = profile != "3.10"
    return [
        (method, _path(route), route)
        for route in ROUTES
        if route.newer in {None, newer}
        for method in route.handlers
        if route.access is not Access.PUBLIC
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_path_refuses_who_may_not(profile: str) -> None:
    """Nobody, a wrong password, a user without a tag, and users whose tags are too low."""
    with Broker(profile) as broker:
        for tag in ("none", "management", "policymaker", "monitoring"):
            broker.admin.add_user(tag, "secret", [] if tag == "none" else [tag])
        logins = {tag: "Basic " + base64.b64encode(f"{tag}:secret".encode()).decode() for tag in broker.hub.node.users}
        with closing(Client(broker, "")) as client:
            for method, path, route in _calls(profile):
                assert client.ask(method, path, {})[0] == 401, (method, path)
                for login in ("Basic " + base64.b64encode(b"guest:wrong").decode(), logins["none"]):
                    assert client.ask(method, path, {}, Authorization=login)[0] == 401, (method, path)
                needed = route.stricter.get(method, route.access)
                for tag in ("management", "policymaker", "monitoring"):
                    if not needed.has([tag]):
                        status, told = client.ask(method, path, {}, Authorization=logins[tag])
                        assert (status, told["error"]) == (401, "not_authorised"), (method, path, tag)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_path_hides_a_foreign_vhost(profile: str) -> None:
    with Broker(profile, vhosts=("/", "other")) as broker:
        broker.admin.add_user("ann", "secret", ["management", "policymaker", "monitoring"])
        login = "Basic " + base64.b64encode(b"ann:secret").decode()
        with closing(Client(broker, login)) as client:
            for method, path, route in _calls(profile):
                if "V" in route.path.split("/") and not route.any_vhost:
                    status, _ = client.ask(method, path, {"x": 1})
                    assert status in ({401} if profile == "3.10" else {401, 404}), (method, path, status)


def test_guest_from_another_machine() -> None:
    """The API goes by the broker's end of the connection, as the login over AMQP does."""
    with Broker() as broker:
        broker.hub.node.loopback_users = frozenset({"guest"})
        api = Api(broker)
        asked = {"authorization": GUEST}
        assert api.answer(Request("GET", "/api/whoami", asked, local=True)).status == 200
        assert api.answer(Request("GET", "/api/whoami", asked, local=False)).status == 401


# paths that do not exist


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/api/../../etc/passwd",
        "/api/definitions/..%2F..%2Fetc%2Fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/definitions?download=../../x",
        "//etc/passwd",
    ],
)
def test_no_path_reaches_a_file(broker: Broker, path: str) -> None:
    with socket.create_connection(address_of(broker)) as stream:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {GUEST}\r\n\r\n"
        stream.sendall(head.encode())
        assert b"root:" not in read_all(stream)


def test_a_name_to_download_that_would_add_a_header(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        client.request("GET", "/api/definitions?download=x%0d%0aSet-Cookie:%20a=b", headers={"Authorization": GUEST})
        answer = client.getresponse()
        answer.read()
        assert (answer.status, answer.getheader("set-cookie")) == (400, None)


# together with AMQP clients


def test_counts_are_true_at_once(broker: Broker) -> None:
    """Without a confirm, the publish may still be on its way when the API is asked."""
    with connect(broker.url) as connection, closing(Client(broker)) as client:
        channel = connection.channel()
        channel.queue_declare("q", auto_delete=False)
        for number in range(1, 20):
            channel.basic_publish(Message(b"x"), "", "q")
            assert client.ask("GET", "queues/%2F/q?columns=messages") == (200, {"messages": number})


def _rubbish(broker: Broker, size: int, seed: int) -> None:
    """Send random bytes, some of which look like requests, on many connections."""
    dice = random.Random(seed)
    starts = (b"", b"GET /api/", b"PUT /api/queues/%2F/q HTTP/1.1\r\n", b"POST /api/login HTTP/1.1\r\nHost: x\r\n")
    left = size
    while left > 0:
        data = dice.choice(starts) + dice.randbytes(dice.randrange(1, 65536))
        left -= len(data)
        # the broker may end the stream
        with socket.create_connection(address_of(broker)) as stream, suppress(OSError):
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
            read_all(stream)


@pytest.mark.parametrize("size", [300_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_rubbish_beside_a_canary(size: int) -> None:
    """AMQP goes on beside rubbish on the port of the API, and the API itself does."""
    with Broker() as broker, connect(broker.url) as connection:
        channel = connection.channel()
        channel.queue_declare("canary", auto_delete=False)
        worker = threading.Thread(target=_rubbish, args=(broker, size, 1))
        worker.start()
        sung = 0
        while worker.is_alive():
            channel.basic_publish_confirm(Message(b"tweet"), "", "canary")
            message = channel.basic_get("canary", no_ack=True)
            assert message is not None
            sung += 1
        worker.join()
        assert sung
        with closing(Client(broker)) as client:
            assert client.ask("GET", "aliveness-test/%2F") == (200, {"status": "ok"})


# the listener


def test_a_stopped_broker_refuses_http_clients(broker: Broker) -> None:
    url = broker.management_url
    broker.admin.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address_of(broker))
    broker.admin.start()
    with closing(Client(broker)) as client:
        assert client.ask("GET", "whoami")[0] == 200
    assert broker.management_url == url


def test_an_idle_client_does_not_hold_up_the_end(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        client.ask("GET", "whoami")
        began = time.monotonic()
        broker.close()
        assert time.monotonic() - began < 5


def test_an_open_api_leaves_time_to_the_reader() -> None:
    """A client of the API that is connected does not keep a read from moving the clock."""
    clock = ManualClock()
    with Broker(clock=clock) as broker, closing(Client(broker)) as client:
        assert client.ask("PUT", "queues/%2F/q", {"arguments": {"x-expires": 60000}})[0] == 201
        with broker.hub.turn:
            before = clock.monotonic()
        clock.advance(61)
        assert clock.monotonic() - before == 61
        assert client.ask("GET", "queues") == (200, [])


@pytest.mark.slow
def test_two_thousand_queues_in_time() -> None:
    """Reduced lists within 100 ms and full ones within 250, and the rest of the broker waits 20 ms at most for them."""
    for profile, most in (("3.10", 0.25), ("4.3", 0.1)):
        with Broker(profile) as broker, closing(Client(broker)) as client:
            for number in range(2000):
                _declare(broker, f"queue-{number}")
            spans = []
            for _ in range(10):
                began = time.monotonic()
                assert len(client.ask("GET", "queues")[1]) == 2000
                spans.append(time.monotonic() - began)
            assert min(spans) < most


# hutch's own additions


def test_the_history_over_http(broker: Broker) -> None:
    with connect(broker.url) as connection, closing(Client(broker)) as client:
        channel = connection.channel()
        channel.queue_declare("q", auto_delete=False)
        channel.basic_publish(Message("é", content_type="text/plain", content_encoding="utf-8"), "", "q")
        channel.basic_publish(Message(b"\xff"), "", "q")
        lines = _lines(client, "hutch/history")
        assert [line["number"] for line in lines] == list(range(len(lines)))
        (text, octets) = _lines(client, "hutch/history?kind=published")
        assert (text["routed_to"], text["user"], text["channel"]) == (["q"], "guest", 1)
        told = {"exchange": "", "routing_key": "q", "payload": "é", "payload_encoding": "string", "payload_bytes": 2}
        properties = {"content_type": "text/plain", "content_encoding": "utf-8"}
        assert text["message"] == {**told, "number": 1, "properties": properties}
        assert (octets["message"]["payload"], octets["message"]["payload_encoding"]) == ("/w==", "base64")
        assert [line["number"] for line in _lines(client, f"hutch/history?since={len(lines)}")] == []
        assert client.ask("GET", "hutch/history?kind=bogus")[0] == 400
        assert client.ask("GET", "hutch/history?since=x")[0] == 400
        assert client.ask("DELETE", "hutch/history")[0] == 204
        assert _lines(client, "hutch/history") == []


def _lines(client: Client, path: str) -> list[Any]:
    client.request("GET", f"/api/{path}", headers={"Authorization": GUEST})
    answer = client.getresponse()
    assert answer.getheader("content-type") == "application/x-ndjson"
    return [json.loads(line) for line in answer.read().splitlines()]


def test_the_history_as_it_comes(broker: Broker) -> None:
    """The stream has what was, and what comes, until its client goes."""
    before = len(broker.hub.turn.followers)
    with closing(Client(broker)) as stream, closing(Client(broker)) as client:
        client.ask("PUT", "queues/%2F/q", {})
        stream.request("GET", "/api/hutch/history/stream?kind=declared,published", headers={"Authorization": GUEST})
        answer = stream.getresponse()
        assert answer.getheader("content-type") == "text/event-stream"
        assert _next_event(answer)["queue"] == "q"
        body = {"routing_key": "q", "properties": {}, "payload": "hello", "payload_encoding": "string"}
        client.ask("POST", "exchanges/%2F/amq.default/publish", body)
        assert _next_event(answer)["message"]["payload"] == "hello"
        assert stream.sock is not None
        stream.sock.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 10
        while len(broker.hub.turn.followers) > before:
            client.ask("GET", "whoami")
            assert time.monotonic() < deadline, "the stream goes on without its client"


def _next_event(answer: HTTPResponse) -> Any:
    while not (line := answer.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return json.loads(line[6:])


def test_a_stream_ends_with_its_broker(broker: Broker) -> None:
    with closing(Client(broker)) as stream:
        stream.request("GET", "/api/hutch/history/stream", headers={"Authorization": GUEST})
        answer = stream.getresponse()
        answer.readline()
        broker.close(grace=0.1)
        with suppress(ConnectionError, IncompleteRead):
            answer.read()


def test_the_clock_over_http(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        client.ask("PUT", "queues/%2F/q", {"arguments": {"x-expires": 60000}})
        before = client.ask("GET", "hutch/clock")[1]
        assert before["manual"]
        told = client.ask("POST", "hutch/clock/advance", {"seconds": 61})
        assert (told[0], told[1]["monotonic"] - before["monotonic"]) == (200, 61)
        assert client.ask("GET", "queues") == (200, [])
        for seconds in (-1, "1", None, True):
            assert client.ask("POST", "hutch/clock/advance", {"seconds": seconds})[0] == 400
        assert client.ask("POST", "hutch/clock/advance", {})[0] == 400


def test_a_clock_that_moves_by_itself() -> None:
    with Broker() as broker, closing(Client(broker)) as client:
        assert client.ask("GET", "hutch/clock")[1]["manual"] is False
        assert client.ask("POST", "hutch/clock/advance", {"seconds": 1})[0] == 409


def test_snapshots_over_http(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        client.ask("PUT", "queues/%2F/kept", {})
        assert client.ask("PUT", "hutch/snapshots/one")[0] == 201
        assert client.ask("GET", "hutch/snapshots") == (200, [{"name": "one"}])
        client.ask("PUT", "queues/%2F/later", {})
        assert client.ask("POST", "hutch/snapshots/one/restore")[0] == 204
        assert client.ask("GET", "queues?columns=name") == (200, [{"name": "kept"}])
        assert client.ask("POST", "hutch/snapshots/two/restore")[0] == 404
        assert client.ask("DELETE", "hutch/snapshots/one")[0] == 204
        assert client.ask("DELETE", "hutch/snapshots/one")[0] == 404


def test_a_reset_over_http(broker: Broker) -> None:
    """Connections of AMQP end with it, and the one that asked does not."""
    with connect(broker.url) as connection, closing(Client(broker)) as client:
        connection.channel().queue_declare("q", auto_delete=False)
        began = time.monotonic()
        assert client.ask("POST", "hutch/reset")[0] == 204
        assert time.monotonic() - began < 5
        assert client.ask("GET", "queues") == (200, [])
        connection.collect()


def test_a_page_of_another_site_changes_nothing(broker: Broker) -> None:
    with closing(Client(broker)) as client:
        here = "{}:{}".format(*address_of(broker))
        for origin, status in (("http://evil.example", 403), ("null", 403), (f"http://{here}", 204)):
            assert client.ask("POST", "hutch/reset", Origin=origin)[0] == status, origin
        assert client.ask("GET", "whoami", Origin="http://evil.example")[0] == 200


def test_the_document_says_all_that_hutch_adds() -> None:
    described = {
        (path.removeprefix("/").replace("{", "").replace("}", ""), method.upper())
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    }
    there = {(route.path, method) for route in ROUTES if route.path.startswith("hutch/") for method in route.handlers}
    assert described == there


def test_the_document_is_for_everybody(broker: Broker) -> None:
    with closing(Client(broker, "")) as client:
        status, told = client.ask("GET", "hutch/openapi.json")
        assert (status, told["openapi"]) == (200, "3.1.0")

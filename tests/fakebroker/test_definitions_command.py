"""``hutch definitions``, on a management API that a thread answers from a broker, and on live brokers."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest

from hutch.fakebroker import Broker, InvalidDefinitions
from hutch.fakebroker.cli import main
from tests.live import LiveBroker

ORDERS = {
    "vhosts": [{"name": "shop"}],
    "queues": [{"name": "orders", "vhost": "shop", "durable": True, "auto_delete": False, "arguments": {}}],
}


@pytest.fixture
def url(broker: Broker) -> Iterator[str]:
    """The URL of a server that answers for the broker as RabbitMQ's management API does."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def answer(self, status: int, body: object = None) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @property
        def vhost(self) -> str | None:
            name = self.path.removeprefix("/api/definitions").lstrip("/")
            return unquote(name) if name else None

        def do_GET(self) -> None:
            login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            if login != "guest:guest":
                self.answer(401, {"error": "not_authorised", "reason": "Login failed"})
                return
            self.answer(200, broker.admin.export_definitions(self.vhost))

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                broker.admin.import_definitions(json.loads(body), self.vhost)
            except InvalidDefinitions as error:
                self.answer(400, {"error": "bad_request", "reason": error.reason})
                return
            self.answer(204)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://guest:guest@127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "definitions.json"
    path.write_text(json.dumps(ORDERS))
    return path


def test_definitions_are_moved_and_compared(
    broker: Broker, url: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["definitions", "import", url, str(file)]) == 0
    assert broker.queue("orders", "shop").ready == 0
    exported = tmp_path / "exported.json"
    assert main(["definitions", "export", url, "--output", str(exported)]) == 0
    assert json.loads(exported.read_text()) == broker.admin.export_definitions()
    assert main(["definitions", "diff", str(exported), url]) == 0
    assert capsys.readouterr().out == ""
    broker.admin.delete_vhost("shop")
    assert main(["definitions", "diff", str(exported), url]) == 1
    assert capsys.readouterr().out.splitlines() == [
        '- vhost name "shop"',
        '- permission user "guest" vhost "shop"',
        '- queue name "orders" vhost "shop"',
    ]


def test_one_virtual_host_is_moved_into_another(
    broker: Broker, url: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.admin.add_vhost("a/b")
    assert main(["definitions", "import", url, str(file), "--vhost", "a/b"]) == 0
    assert main(["definitions", "export", url, "--vhost", "a/b"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == broker.admin.export_definitions("a/b")
    assert [queue["name"] for queue in told["queues"]] == ["orders"]


def test_what_is_wrong_is_told_in_a_line(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.json"
    queue = {"name": "q", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-message-ttl": -1}}
    wrong.write_text(json.dumps({"queues": [queue]}))
    assert main(["definitions", "import", url, str(wrong)]) == 2
    reason = "precondition_failed: invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}"
    place = url.replace("guest:guest@", "")
    assert capsys.readouterr().err == f"hutch definitions: {place} answers 400: {reason}\n"


def test_a_reason_of_the_older_version_is_told_as_text() -> None:
    reason = ["amqp_error", "precondition_failed", [*map(ord, "invalid arg")], "none"]
    assert str(InvalidDefinitions(reason)) == "amqp_error precondition_failed invalid arg none"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["export", "amqp://guest:secret@localhost"], "that is no URL of a management API"),
        (["export", "http://guest:secret@127.0.0.1:1"], "http://127.0.0.1:1 cannot be reached: "),
        (["import", "http://127.0.0.1:1", "nothing.json"], "nothing.json: No such file or directory"),
        (["diff", "list.json", "list.json"], "list.json holds no JSON object"),
    ],
)
def test_what_cannot_be_used_is_told_without_the_password(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.json").write_text("[]")
    assert main(["definitions", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"hutch definitions: {complaint}")
    assert "secret" not in told


def test_a_login_that_is_refused_is_told(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["definitions", "export", url.replace("guest:guest", "guest:wrong")]) == 2
    assert capsys.readouterr().err.endswith("answers 401: Login failed\n")


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_it_works_on_a_live_broker(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveBroker.named(profile).management
    assert main(["definitions", "export", live, "--vhost", "/"]) == 0
    assert json.loads(capsys.readouterr().out)["rabbit_version"].startswith(profile)
    assert main(["definitions", "diff", live, live, "--vhost", "/"]) == 0

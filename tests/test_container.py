"""The container recipe and the compose file, as far as that goes without a container: what they ask for runs here as a
process, with the same command and the same variables.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hutch.client import AccessRefused, Connection

FOLDER = Path(__file__).parents[1] / "container"
PAGE = Path(__file__).parents[1] / "docs/howto/compose.md"
PATIENCE = 45.0
HUTCH = (sys.executable, "-c", "import sys; from hutch.fakebroker.cli import main; sys.exit(main())")


def recipe(instruction: str) -> list[str]:
    """What the recipe says behind an instruction."""
    text = (FOLDER / "Containerfile").read_text()
    return re.findall(rf"^{instruction} (.*)$", text, re.MULTILINE)


def command() -> list[str]:
    """The command of the container, with the program of this environment."""
    (line,) = recipe("ENTRYPOINT")
    program, *arguments = json.loads(line)
    assert program == "hutch"
    return [*HUTCH, *arguments]


def compose() -> str:
    return (FOLDER / "compose.yaml").read_text()


def variables() -> dict[str, str]:
    return dict(re.findall(r"^      (RABBITMQ_\w+): (\S+)$", compose(), re.MULTILINE))


def application_url() -> str:
    (url,) = re.findall(r"AMQP_URL: (\S+)", compose())
    return str(url)


def test_the_ports_are_those_of_the_image() -> None:
    """AMQP over TLS, AMQP, the management API. The command listens where the compose file publishes."""
    (exposed,) = recipe("EXPOSE")
    assert exposed.split() == ["5671", "5672", "15672"]
    assert re.findall(r'- "127\.0\.0\.1:(\d+):(\d+)"', compose()) == [("5672", "5672"), ("15672", "15672")]
    assert urlsplit(application_url()).port == 5672
    done = subprocess.run([*command(), "--check"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "listens for AMQP on 0.0.0.0:5672\n" in done.stdout
    assert "listens for the management API on 0.0.0.0:15672\n" in done.stdout


def test_the_health_checks_look_at_the_ready_file() -> None:
    (line,) = recipe("HEALTHCHECK")
    asked = json.loads(line.partition("CMD ")[2])
    (told,) = re.findall(r"test: (\[.*\])", compose())
    assert ["CMD", *asked] == json.loads(told)
    arguments = command()
    assert asked[-1] == arguments[arguments.index("--ready-file") + 1]


def test_the_page_shows_the_files() -> None:
    page = PAGE.read_text()
    for file in ("Containerfile", "compose.yaml"):
        assert (FOLDER / file).read_text() in page, file


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command with the variables of the compose file, on free ports, and its ready file."""
    ready = tmp_path / "ready"
    replaced = {"15672": "0", "/tmp/ready": str(ready), "0.0.0.0": "127.0.0.1"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*(replaced.get(word, word) for word in command()), "--port", "0"],
            env={**os.environ, **variables()},
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        yield process, ready
    finally:
        process.kill()
        process.wait(PATIENCE)


def test_the_application_finds_its_broker(served: tuple[subprocess.Popen[str], Path]) -> None:
    process, ready = served
    amqp, http = (urlsplit(url) for url in json.loads(ready.read_text())["urls"])
    wanted = urlsplit(application_url())

    def log_in(user: str | None, password: str | None) -> None:
        connection = Connection(
            host=f"{amqp.hostname}:{amqp.port}", userid=user, password=password, virtual_host=wanted.path[1:]
        )
        connection.connect()
        connection.close()

    log_in(wanted.username, wanted.password)
    with pytest.raises(AccessRefused):
        log_in("guest", "guest")
    asked = urllib.request.Request(f"http://{http.netloc}/api/whoami")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(asked)
    login = base64.b64encode(f"{wanted.username}:{wanted.password}".encode()).decode()
    asked.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(asked) as answer:
        assert json.load(answer)["tags"] == ["administrator"]
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert not ready.exists()

"""``hutch serve`` as a program of its own."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hutch.client import connect
from hutch.fakebroker.cli import main
from hutch.wire.methods import ConnectionClose, ConnectionCloseOk

from .peers import PATIENCE, TCP, Peer

HUTCH = [sys.executable, "-c", "import sys; from hutch.fakebroker.cli import main; sys.exit(main())"]
Serve = Callable[..., "tuple[subprocess.Popen[str], str]"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts ``hutch serve`` with some options; the process and the first line that it prints."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [*HUTCH, "serve", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "profile"), [(signal.SIGTERM, "4.3"), (signal.SIGINT, "3.10")])
def test_it_serves_until_a_signal_and_closes_its_clients(serve: Serve, number: signal.Signals, profile: str) -> None:
    process, line = serve("--port", "0", "--profile", profile)
    told = re.fullmatch(rf"hutch serves as RabbitMQ {profile} on (amqp://\S+) \(Ctrl-C stops\)\n", line)
    assert told
    with Peer.opened(TCP(told[1])) as peer:
        peer.declare("q")
        peer.publish("q", b"m")
        assert peer.get("q") == b"m"
        process.send_signal(number)
        assert peer.expect(ConnectionClose).reply_code == 320
        peer.method(ConnectionCloseOk(), 0)
        assert peer.ended()
    output, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert output == "hutch stops\n"
    accepted, closed = log.splitlines()
    assert accepted.endswith(": accepted")
    assert closed.endswith(": closed")


def test_a_client_that_does_not_answer_does_not_keep_it(serve: Serve) -> None:
    process, line = serve("--port", "0")
    with Peer.opened(TCP(line.split()[6])):
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_port_that_is_taken_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"hutch serve: cannot listen on 127.0.0.1:{port}: Address already in use; ")
    assert "--port" in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("host", ["203.0.113.7", "a" * 70, ".."])
def test_a_host_that_is_not_here_is_told_in_one_line(capsys: pytest.CaptureFixture[str], host: str) -> None:
    assert main(["serve", "--host", host, "--port", "0"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"hutch serve: cannot listen on {host}:0: ")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "65536"], "'65536' is no port"),
        (["--port", "-1"], "'-1' is no port"),
        (["--port", "amqp"], "'amqp' is no port"),
        (["--port", "٣"], "is no port"),
        (["--profile", "5.0"], "invalid choice: '5.0'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_options_are_told(capsys: pytest.CaptureFixture[str], options: list[str], complaint: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *options])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_command_knows_its_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "serve        Run a broker on a TCP port, and on one for TLS" in capsys.readouterr().out
    assert main([]) == 2
    capsys.readouterr()
    assert main(["surf"]) == 2
    assert re.match(r"hutch: no command 'surf'; there are: 'conformance', .*'serve'", capsys.readouterr().err)
    assert main(["--version"]) == 0
    assert re.fullmatch(r"hutch \d+\.\d+\.\d+\n", capsys.readouterr().out)


#: Simulates Python on Windows: Unix-only modules are missing, and event loops cannot handle signals.
AS_ON_WINDOWS = """
import os, selectors, signal, socket, sys

for module in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[module] = None
for name in ("fork", "getuid", "register_at_fork", "sysconf"):
    delattr(os, name)
for name in ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
    delattr(signal, name)
del socket.SO_REUSEPORT, selectors.EpollSelector, selectors.PollSelector
selectors.DefaultSelector = selectors.SelectSelector

import asyncio
from hutch.fakebroker import cli

def refuse(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = refuse
asyncio.SelectorEventLoop.remove_signal_handler = refuse
sys.exit(cli.main())
"""


def test_it_starts_and_stops_without_what_only_unix_has(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    options = ("--port", "0", "--management-port", "0", "--memory-limit", "1GB", "--ready-file", str(ready))
    process = subprocess.Popen(
        [sys.executable, "-c", AS_ON_WINDOWS, "serve", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("hutch serves")
        with connect(json.loads(ready.read_text())["urls"][0]) as connection:
            connection.channel().queue_declare("q", durable=True, auto_delete=False)
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode, output) == (0, "hutch stops\n")
    finally:
        process.kill()
        process.communicate()

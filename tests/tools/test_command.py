"""The command line, without starting: that takes root, Debian and apt."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from live_brokers.command import main
from live_brokers.launching import start
from live_brokers.node import Node
from live_brokers.ports import free_ports
from live_brokers.processes import end, marked, new_mark
from live_brokers.releases import RELEASES
from tests.tools.conftest import Nodes, write_server

#: A broker goes on running after the command that starts it.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
TOOL = Path(__file__).parents[2] / "tools/rabbitmq"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "CHROOT", "MIRROR"):
        monkeypatch.delenv(f"HUTCH_RABBITMQ_{name}", raising=False)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """RabbitMQ 3.10 runs, the others were never started. Tests leave it so."""
    folder = tmp_path_factory.mktemp("started")
    node = Node(RELEASES["3.10"], folder / "state/3.10")
    start([node], 20, str(write_server(folder)))
    yield node
    end(node.mark, gently=False)


@pytest.fixture
def killed(tmp_path: Path) -> Node:
    """The record of RabbitMQ 3.10, without its processes."""
    node = Node(RELEASES["3.10"], tmp_path / "state/3.10", new_mark(), 1, "", free_ports({}, ()))
    node.folder.mkdir(parents=True)
    node.save()
    return node


def run(node: Node, *arguments: str) -> int:
    return main([*arguments, "--state", str(node.folder.parent)])


def test_the_tool_runs_anywhere_with_nothing_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-S", str(TOOL), "status", "3.10", "--state", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == "rabbitmq: RabbitMQ 3.10 does not run: it has not been started\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert TOOL.stat().st_mode & 0o111


@pytest.mark.parametrize("command", ["start", "stop", "status", "urls"])
def test_a_version_that_is_unknown_is_wrong_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main([command, "4.9", "3.10"])
    assert status.value.code == 2
    assert "no such version: 4.9 (there are 3.10, 4.0, 4.3)" in capsys.readouterr().err


def test_one_folder_for_two_chroots_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["start", "4.0", "4.3", "--chroot", str(tmp_path / "chroot")])
    assert status.value.code == 2
    assert "--chroot is one folder, and 4.0 and 4.3 need one each" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["urls", "status"])
def test_a_broker_that_answers_is_printed(command: str, started: Node, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(started, command, "3.10") == 0
    printed, told = capsys.readouterr()
    assert printed == started.urls() + "\n"
    pids = " ".join(f"{name}={pid}" for pid, name in marked(started.mark).items())
    expected = f"rabbitmq: RabbitMQ 3.10 runs, log {started.log} ({pids})\n" if command == "status" else ""
    assert told == expected


def test_the_exit_status_is_0_if_every_named_broker_answers_or_any_if_none_is_named(
    started: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(started, "urls") == 0
    assert run(started, "urls", "3.10", "4.3") == 1
    assert run(started, "urls", "4.3") == 1
    assert capsys.readouterr().out == f"{started.urls()}\n" * 2


def test_status_tells_of_every_version(killed: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(killed, "status") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("rabbitmq: RabbitMQ 3.10 does not run: its AMQP port does not answer")
    assert lines[1:] == [
        "rabbitmq: RabbitMQ 4.0 does not run: it has not been started",
        "rabbitmq: RabbitMQ 4.3 does not run: it has not been started",
    ]


def test_start_prints_the_addresses_of_what_runs(started: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs neither root nor Debian for that."""
    pid = started.pid
    capsys.readouterr()
    assert run(started, "start", "3.10") == 0
    assert capsys.readouterr() == (started.urls() + "\n", "")
    assert pid in marked(started.mark)


def test_stop_ends_brokers_and_deletes_their_data(
    new_node: Nodes, server: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = new_node("4.0")
    start([node], 20, str(server))
    capsys.readouterr()
    assert run(node, "stop") == 0
    assert capsys.readouterr() == ("", "rabbitmq: stopping RabbitMQ 4.0\n")
    assert marked(node.mark) == {}
    assert [entry.name for entry in node.folder.parent.iterdir()] == ["lock"]
    assert run(node, "stop") == 0


def test_stop_deletes_the_data_of_a_broker_that_was_killed(killed: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(killed, "stop", "3.10") == 0
    assert capsys.readouterr() == ("", "")
    assert not killed.folder.exists()


def test_stop_of_one_version_leaves_the_others(started: Node) -> None:
    assert run(started, "stop", "4.0", "4.3") == 0
    assert run(started, "urls", "3.10") == 0


def test_stop_without_any_state_makes_none(tmp_path: Path) -> None:
    assert main(["stop", "--state", str(tmp_path / "state")]) == 0
    assert not (tmp_path / "state").exists()


def test_a_failure_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "4.3").mkdir()
    (tmp_path / "4.3/thesis.tex").touch()
    assert main(["stop", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"rabbitmq: {tmp_path}/4.3 holds files but no node.json: not mine to overwrite\n"
    )


def test_a_state_that_cannot_be_made_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["start", "--state", str(tmp_path / "file/state")]) == 1
    assert capsys.readouterr().err.startswith("rabbitmq: start failed: [Errno 20] Not a directory")


def test_the_state_may_be_named_by_the_environment(
    killed: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUTCH_RABBITMQ_STATE", str(killed.folder.parent))
    assert main(["status", "3.10"]) == 1
    assert "RabbitMQ 3.10 does not run: its AMQP port does not answer" in capsys.readouterr().err

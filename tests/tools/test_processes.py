"""Marked processes: found, and ended with all that they started."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from live_brokers.locks import locked
from live_brokers.processes import MARK, alongside, end, marked, new_mark, run, signals_interrupt
from live_brokers.reporting import BrokerError


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def spawn(mark: str, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env={**os.environ, MARK: mark}, stdin=subprocess.DEVNULL)


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_what_a_marked_process_starts_is_marked_too(mark: str) -> None:
    with spawn(mark, "sh", "-c", "sleep 60 & wait") as process:
        wait_until(lambda: sorted(marked(mark).values()) == ["sh", "sleep"])
        assert process.pid in marked(mark)
        end(mark, gently=False)
        assert marked(mark) == {}
    assert process.returncode == -signal.SIGKILL


def test_another_s_process_is_left_alone(mark: str) -> None:
    other = new_mark()
    with spawn(other, "sleep", "60") as process:
        wait_until(lambda: marked(other))
        end(mark, gently=True)
        end("", gently=False)
        assert process.poll() is None
        process.kill()


def test_no_process_carries_the_empty_mark() -> None:
    """It is that of a node which was never launched."""
    with spawn("", "sleep", "60") as process:
        wait_until(lambda: f"{MARK}=\0".encode() in Path(f"/proc/{process.pid}/environ").read_bytes())
        assert marked("") == {}
        process.kill()


def test_a_process_that_just_executes_another_program_is_found(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment it shows neither environment nor command line."""
    process = tmp_path / "4711"
    process.mkdir()
    for name, text in {"environ": "", "cmdline": "", "exe": "", "comm": "sleep\n"}.items():
        (process / name).write_text(text)

    def executed(_seconds: float) -> None:
        (process / "environ").write_text(f"A=1\0{MARK}={mark}\0")

    monkeypatch.setattr("live_brokers.processes.PROC", tmp_path)
    monkeypatch.setattr(time, "sleep", executed)
    assert marked(mark) == {4711: "sleep"}


def test_a_process_with_an_empty_environment_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"], env={}) as process:
        wait_until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"sleep\x0060\x00")
        monkeypatch.setattr("live_brokers.processes.EXEC_SECONDS", 1000)
        assert process.pid not in marked(new_mark())
        process.kill()


def test_a_broker_that_is_ended_gently_ends_in_its_own_way(tmp_path: Path, mark: str) -> None:
    text = f"trap 'echo closed > {tmp_path}/$0-said; exit 5' TERM; sleep 60 & touch {tmp_path}/$0-up; wait"
    programs = [program(tmp_path / name, text.replace("$0", name)) for name in ("beam.smp", "epmd")]
    with spawn(mark, programs[0]) as broker, spawn(mark, programs[1]) as helper:
        wait_until(lambda: (tmp_path / "beam.smp-up").exists() and (tmp_path / "epmd-up").exists())
        end(mark, gently=True)
    assert broker.returncode == 5
    assert (tmp_path / "beam.smp-said").read_text() == "closed\n"
    assert helper.returncode == -signal.SIGKILL, "the broker itself ends its helpers, or they are killed"
    assert marked(mark) == {}


def test_the_output_of_a_command_is_appended_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    run(["sh", "-c", "echo out; echo err >&2"], log, "trying")
    assert log.read_text() == "before\nout\nerr\n"


def test_a_command_that_fails_is_named_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"^trying failed: sh gave exit status 3$") as failure:
        run(["sh", "-c", "exit 3"], tmp_path / "log", "trying")
    assert failure.value.logs == (tmp_path / "log",)


def test_a_command_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"^trying: there is no hutch-absent here$"):
        run(["hutch-absent"], tmp_path / "log", "trying")


def test_a_daemon_that_a_command_leaves_behind_is_ended(tmp_path: Path, mark: str) -> None:
    run(["sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $!"], tmp_path / "log", "trying", mark)
    pid = int((tmp_path / "log").read_text())
    assert marked(mark) == {}
    assert not Path(f"/proc/{pid}/exe").exists()


# Python warns of a fork in a process with threads. pytest-xdist has threads.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
class TestAlongside:
    def test_the_task_runs_beside_the_body(self, tmp_path: Path) -> None:
        def task() -> None:
            wait_until((tmp_path / "body").exists)
            (tmp_path / "task").touch()

        with alongside(task, "trying"):
            assert not (tmp_path / "task").exists()
            (tmp_path / "body").touch()
        assert (tmp_path / "task").exists()

    def test_a_task_that_fails_is_reported(self, capfd: pytest.CaptureFixture[str]) -> None:
        def task() -> None:
            raise BrokerError("no disk")

        with pytest.raises(BrokerError, match=r"^trying failed$"), alongside(task, "trying"):
            pass
        assert capfd.readouterr().err == "rabbitmq: no disk\n"

    def test_a_task_is_interrupted_if_the_body_fails_and_cleans_up(self, tmp_path: Path, mark: str) -> None:
        def task() -> None:
            try:
                run(["sleep", "60"], tmp_path / "log", "sleeping", mark)
            finally:
                (tmp_path / "clean").touch()

        def body() -> None:
            with alongside(task, "trying"):
                wait_until(lambda: marked(mark))
                raise LookupError

        with pytest.raises(LookupError):
            body()
        assert (tmp_path / "clean").exists()
        assert marked(mark) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = []

    def interrupted() -> None:
        with signals_interrupt():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(signal.SIGTERM)
                cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert cleaned
    assert signal.getsignal(number) is before


def test_a_lock_is_held_by_one_run_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, order, waiting = tmp_path / "new/lock", [], []

    def second() -> None:
        with locked(path):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(path):
        thread.start()
        wait_until(lambda: waiting.append(capsys.readouterr().err) or "".join(waiting))  # type: ignore[func-returns-value]
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert "".join(waiting) == f"rabbitmq: waiting for the run that holds {path}\n"

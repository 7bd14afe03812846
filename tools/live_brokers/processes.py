"""Processes that carry a mark, and how they end.

A mark is a value of an environment variable, so every process that a marked process starts carries it too. A process is
signalled only if it carries the mark: a pid alone may meanwhile belong to another program.
"""

import contextlib
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from live_brokers.reporting import BrokerError, report

#: The environment variable that holds the mark.
MARK = "HUTCH_RABBITMQ_NODE"
#: Command name of the Erlang machine: the process to ask for an orderly end.
ERLANG = "beam.smp"
#: A command behind this has mounts of its own, which end with its processes.
PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")
POLL_SECONDS = 0.05
STOP_SECONDS = 15.0
EXEC_SECONDS = 1.0
PROC = Path("/proc")
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def new_mark() -> str:
    """Returns a mark that no process carries yet."""
    return secrets.token_hex(8)


def marked(mark: str) -> dict[int, str]:
    """Returns the live processes that carry a mark: command name by pid. Only root sees those of other users."""
    found: dict[int, str] = {}
    if not mark:
        return found
    wanted = f"{MARK}={mark}".encode()
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in _environment(entry).split(b"\0"):
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def _environment(process: Path) -> bytes:
    """The environment of a process.

    While a process executes a new program, its environment and its command line are empty for a moment. Another one
    with an empty environment has a command line; a kernel thread and a zombie have no program.
    """
    environment = (process / "environ").read_bytes()
    deadline = time.monotonic() + EXEC_SECONDS
    while not environment and (process / "exe").exists() and time.monotonic() < deadline:
        executes = not (process / "cmdline").read_bytes()
        if executes:
            time.sleep(0.001)
        environment = (process / "environ").read_bytes()
        if not executes:
            break
    return environment


def signal_marked(mark: str, number: signal.Signals, command: str | None = None) -> None:
    """Signal the processes that carry a mark, or only those with one command name."""
    for pid, name in marked(mark).items():
        if command is None or name == command:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def end(mark: str, *, gently: bool) -> None:
    """End every process that carries a mark.

    Args:
        mark: the mark.
        gently: let the broker close its connections first; it has STOP_SECONDS for that.

    Raises:
        BrokerError: a killed process does not end.
    """
    deadline = time.monotonic() + STOP_SECONDS
    if gently:
        signal_marked(mark, signal.SIGTERM, ERLANG)
        while ERLANG in marked(mark).values() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while left := marked(mark):
        signal_marked(mark, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise BrokerError(f"processes do not end when killed: {sorted(left)}")
        time.sleep(POLL_SECONDS)


def run(command: Sequence[str], log: Path, what: str, mark: str = "") -> None:
    """Run a command to its end, then end any daemon that it leaves behind.

    Args:
        command: the program and its arguments.
        log: file that the command's output is appended to.
        what: what the command does, for the error message.
        mark: mark of its processes. Default: a new one.

    Raises:
        BrokerError: the program is absent or fails.
    """
    mark = mark or new_mark()
    environment = {
        **os.environ,
        MARK: mark,
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    try:
        with log.open("ab") as output:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                check=False,
            ).returncode
    except FileNotFoundError as error:
        raise BrokerError(f"{what}: there is no {command[0]} here") from error
    finally:
        end(mark, gently=False)
    if status:
        raise BrokerError(f"{what} failed: {command[0]} gave exit status {status}", log)


@contextlib.contextmanager
def alongside(task: Callable[[], None], what: str) -> Iterator[None]:
    """Run a task in a child process while the body runs, and wait for it. If the body fails, the task is interrupted.

    A child process, not a thread: a signal interrupts the task there, and it cleans up as it does everywhere.

    Raises:
        BrokerError: the task failed. The child has reported how.
    """
    child = multiprocessing.get_context("fork").Process(target=_run_task, args=(task,))
    child.start()
    try:
        yield
        child.join()
    except BaseException:
        child.terminate()
        child.join()
        raise
    if child.exitcode:
        raise BrokerError(f"{what} failed")


def _run_task(task: Callable[[], None]) -> None:
    with signals_interrupt():
        try:
            task()
        except BrokerError as failure:
            report(failure)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(1)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does, so that `finally` cleans up after them too.

    Only the first signal counts: a second one would interrupt the cleaning up.
    """
    before = {number: signal.signal(number, _interrupt) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt

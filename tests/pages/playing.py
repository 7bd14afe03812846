"""Plays a page as a reader would: its files are written into a folder, its commands run there.

The output that a page shows is compared. ``...`` in it stands for anything, also for several lines. A command without
output has to return 0; so has any other, unless its output tells that something failed. ``hutch serve`` runs until the
page ends.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from tests.pages.blocks import Block

PATIENCE: Final = 50.0  # seconds
_PORTS: Final = "5672", "5671"


class Mismatch(Exception):
    """A command did not do what the page says."""


class Command(NamedTuple):
    """A command, the output that the page shows, and the number of its line."""

    text: str
    output: str
    line: int


def commands(block: Block) -> list[Command]:
    """The commands of a block: lines behind ``$``, which may be continued by a backslash."""
    found: list[Command] = []
    for number, line in enumerate(block.code.splitlines(keepends=True), block.line + 1):
        if line.startswith("$ "):
            found.append(Command(line[2:], "", number))
        elif not found:
            raise Mismatch(f"line {number}: a block of commands begins with $")
        elif found[-1].text.endswith("\\\n"):
            found[-1] = found[-1]._replace(text=found[-1].text + line)
        else:
            found[-1] = found[-1]._replace(output=found[-1].output + line)
    return found


def matches(expected: str, actual: str) -> bool:
    """Whether the output is as shown. Three dots or more are anything. Spaces at the ends of lines do not count."""
    pattern = ".*".join(map(re.escape, re.split(r"\.{3,}", _tidy(expected))))
    return re.fullmatch(pattern, _tidy(actual), re.DOTALL) is not None


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def play(blocks: Sequence[Block], folder: Path) -> None:
    """Write the files and run the commands of a page, in order.

    Raises:
        Mismatch: a command failed, or its output is not what the page shows.
    """
    ports: dict[str, str] = {}
    if any(_serves(line.removeprefix("$ ")) for block in blocks for line in block.code.splitlines()):
        ports = {port: str(free) for port, free in zip(_PORTS, _free_ports(len(_PORTS)), strict=True)}
    with ExitStack() as ending:
        for block in blocks:
            if block.title is not None:
                file = folder / block.title
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(_moved(block.code, ports))
            elif block.language == "console":
                for command in commands(block):
                    _run(command, folder, ports, ending)


def _serves(command: str) -> bool:
    return command.startswith("hutch serve") and "--help" not in command and " | " not in command


def _free_ports(number: int) -> list[int]:
    with ExitStack() as closing:
        sockets = [closing.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [opened.getsockname()[1] for opened in sockets]


def _moved(text: str, ports: dict[str, str]) -> str:
    for port, free in ports.items():
        text = text.replace(port, free)
    return text


def _run(command: Command, folder: Path, ports: dict[str, str], ending: ExitStack) -> None:
    text, expected = _moved(command.text, ports), _moved(command.output, ports)
    if _serves(text):
        _serve(command, text, expected, folder, ports, ending)
        return
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if expected and not matches(expected, done.stdout):
        raise Mismatch(f"line {command.line}: {text}--- the page shows\n{expected}--- it printed\n{done.stdout}")
    if done.returncode and not re.search("fail|error", expected):
        raise Mismatch(f"line {command.line}: exit status {done.returncode}: {text}{done.stdout}")


def _serve(command: Command, text: str, expected: str, folder: Path, ports: dict[str, str], ending: ExitStack) -> None:
    """Start ``hutch serve`` on a free port, and leave it running."""
    arguments = [*shlex.split(text), "--port", ports["5672"]]
    if "--tls-" in text:
        arguments += ["--tls-port", ports["5671"]]
    process = subprocess.Popen(
        arguments, cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ending.callback(_stop, process)
    printed = "".join(_until(process, "hutch serves"))
    if not matches(expected, printed):
        raise Mismatch(f"line {command.line}: {text}--- the page shows\n{expected}--- it printed\n{printed}")


def _until(process: "subprocess.Popen[str]", beginning: str) -> Iterator[str]:
    """The lines up to one with this beginning, or the end of the output."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if line.startswith(beginning):
            return


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)


def _environment() -> dict[str, str]:
    """The reader's shell: this Python's commands come first, and pytest runs tests in order, in one process."""
    here = Path(sys.executable).parent
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",  # keeps the output in order, as on a terminal
        "PYTEST_ADDOPTS": "-p no:randomly -o asyncio_default_fixture_loop_scope=function",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }

"""The command ``hutch``."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from hutch.fakebroker.cli import main


def test_without_arguments_it_says_how_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == told
    lines = {line.split()[0]: line for line in told.splitlines() if line.startswith("  ")}
    assert {"conformance", "demo", "serve"} <= lines.keys()
    assert all(len(line.split()) > 3 for line in lines.values()), "every command is told of in a few words"


def test_an_unknown_command_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("hutch: no command 'dance'; there are: 'conformance', 'definitions', 'demo', 'serve'")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hutch {version('hutch')}\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    hutch = Path(sys.executable).with_name("hutch")
    with subprocess.Popen([hutch, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""

"""The benchmarks run, with counts so small that their figures mean nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from hutch.fakebroker import Broker

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(program: str, *arguments: str) -> list[list[str]]:
    """The cells of the Markdown tables that it prints."""
    command = [sys.executable, str(BENCHMARKS / program), "--markdown", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]


def test_clients() -> None:
    with Broker() as broker:
        headings, _, *rows = run("clients.py", broker.url, "--clients", "hutch", "--rounds", "1", "--messages", "20")
    assert headings[-1] == "hutch"
    assert [row[0].split()[0] for row in rows] == ["publish,", "consume,", "consume,", "get,", "publish,", "connect"]
    assert all(float(row[-1].split()[0]) > 0 for row in rows)


def test_large_bodies() -> None:
    _, _, *rows = run("large_bodies.py", "--rounds", "1", "--messages", "2")
    assert [row[0] for row in rows] == [
        "publish, real time",
        "publish, CPU time",
        "consume, no acknowledgements, real time",
        "consume, no acknowledgements, CPU time",
    ]


def test_soak() -> None:
    rows = run("soak.py", "--messages", "200", "--connections", "10")
    assert rows[12][0] == "200"
    assert rows[-1][0] == "10"


def test_fixtures() -> None:
    rows = run("fixtures.py", "--tests", "3", "--only-hutch")
    assert [row[0] for row in rows if row[0].startswith(("hutch", "a restore"))] == [
        "hutch, `fakebroker`, in-process",
        "hutch, `fakebroker_session`, in-process",
        "hutch, `fakebroker`, py-amqp over TCP",
        "hutch, `fakebroker_session`, py-amqp over TCP",
        "a restore of ten queues, messages changed",
        "a restore of ten queues, topology changed",
    ]

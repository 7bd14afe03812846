import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live_brokers.node import Node
from live_brokers.processes import end, new_mark
from live_brokers.releases import RELEASES
from tests.tools import fake_rabbitmq_server

Commands = Callable[..., None]
Nodes = Callable[[str], Node]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Puts programs of the test's own on PATH: shell text by name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def add(**texts: str) -> None:
        for name, text in texts.items():
            program = folder / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)

    return add


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark; no process that carries it outlives the test."""
    value = new_mark()
    yield value
    end(value, gently=False)


@pytest.fixture
def new_node(tmp_path: Path) -> Iterator[Nodes]:
    """Makes nodes in the folder `state`; their processes end behind the test."""
    made: list[Node] = []

    def make(series: str) -> Node:
        made.append(Node(RELEASES[series], tmp_path / "state" / series))
        return made[-1]

    yield make
    for node in made:
        end(node.mark, gently=False)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The program rabbitmq-server: a fake one. What a file `trouble` beside it tells goes wrong once."""
    return write_server(tmp_path)


def write_server(folder: Path) -> Path:
    """Writes the fake rabbitmq-server; returns its path."""
    program = folder / "rabbitmq-server"
    source = Path(fake_rabbitmq_server.__file__).read_text()
    program.write_text(f"#!/usr/bin/env -S {sys.executable} -IS\n{source}")
    program.chmod(0o755)
    return program

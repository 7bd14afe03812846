"""The programs of this folder use every public name. ``.ci/types`` has type checkers look at them and the installed
package.
"""

import ast
import importlib
import re
from pathlib import Path

import pytest

from hutch.client import Channel, Connection, Message, ReceivedMessage
from hutch.fakebroker import Administration, Broker, Event, History, ManualClock, QueueView
from hutch.pytest_plugin import FakeBroker
from hutch.pytest_plugin.asking import Found, Question

HERE = Path(__file__)
PACKAGES = ("hutch.client", "hutch.fakebroker", "hutch.pytest_plugin")
MODULES = (
    "hutch.client.exceptions",
    "hutch.client.kombu",
    "hutch.client.method_framing",
    "hutch.client.promise",
    "hutch.client.protocol",
    "hutch.client.sasl",
    "hutch.client.serialization",
    "hutch.client.spec",
    "hutch.fakebroker.faults",
)
CLIENT = (Connection, Channel, Message, ReceivedMessage)
OTHERS = (Administration, Broker, Event, FakeBroker, Found, History, ManualClock, Question, QueueView)
#: Names that only other modules of hutch use.
INSIDE = {"epoch", "is_left_to_this_thread", "next_timer_at", "origin", "set_time", "step", "subscribe", "unsubscribe"}


def used() -> set[str]:
    """The names in the programs."""
    names: set[str] = set()
    for program in set(HERE.parent.glob("test_*.py")) - {HERE}:
        for node in ast.walk(ast.parse(program.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.alias):
                names.add(node.name)
            elif isinstance(node, ast.arg):
                names.add(node.arg)
    return names


def hidden_in_the_reference() -> set[str]:
    """The names that the client's reference leaves out."""
    page = HERE.parents[2] / "docs" / "reference" / "client.md"
    return set(re.findall(r'"!\^(\w+)\$"', page.read_text()))


def public_names(cls: type) -> set[str]:
    ours = [base for base in cls.__mro__ if base.__module__.startswith("hutch.")]
    return {name for base in ours for name in vars(base) if not name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_of_a_package(package: str) -> None:
    assert set(importlib.import_module(package).__all__) - used() == set()


@pytest.mark.parametrize("cls", CLIENT, ids=lambda cls: cls.__name__)
def test_of_the_clients_classes(cls: type) -> None:
    assert public_names(cls) - hidden_in_the_reference() - used() == set()


@pytest.mark.parametrize("cls", OTHERS, ids=lambda cls: cls.__name__)
def test_of_the_other_classes(cls: type) -> None:
    assert public_names(cls) - INSIDE - used() == set()


@pytest.mark.parametrize("module", PACKAGES + MODULES)
def test_a_public_module_says_which_names_are_public(module: str) -> None:
    public = importlib.import_module(module)
    assert len(public.__all__) == len(set(public.__all__))
    for name in public.__all__:
        assert hasattr(public, name)

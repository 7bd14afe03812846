"""The switches of the profiles: each is read where it is declared, and has a reason to be one."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import pytest

from hutch.fakebroker import PROFILES, profiles

#: Switches that are equal in all versions.
NOT_BY_VERSION = {
    "amqp091.single_confirms": "an argument of Broker sets it",
    "amqp091.channel_max": "an argument of Broker sets it",
    "amqp091.frame_max": "an argument of Broker sets it",
    "amqp091.heartbeat": "an argument of Broker sets it",
    "queues.consumer_timeout": "an argument of Broker sets it",
    "topology.permits_transient_queues": "whoever makes a broker of 4.3 may deny them: transient_nonexcl_queues",
}
#: The object that a switch is read from: a profile, or a group in it.
READ_FROM = re.compile(r"(^|[._])profile(\.\w+)?$")


def groups(of: object = profiles.V4_3) -> Iterator[tuple[str, object]]:
    """The groups of a profile, by name."""
    for field in fields(of):  # type: ignore[arg-type]
        value = getattr(of, field.name)
        if is_dataclass(value):
            switches = [inner for inner in fields(value) if not is_dataclass(getattr(value, inner.name))]
            if switches:
                yield field.name, value
            else:
                yield from groups(value)


SWITCHES = [f"{name}.{field.name}" for name, group in groups() for field in fields(group)]  # type: ignore[arg-type]


def folder_of(group: object) -> Path:
    return Path(str(sys.modules[type(group).__module__].__file__)).parent


@cache
def read_in(folder: Path) -> frozenset[str]:
    """The names that modules in a folder, or beside it, read from a profile."""
    return frozenset(
        node.attr
        for path in (*folder.rglob("*.py"), *folder.parent.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and READ_FROM.search(ast.unparse(node.value))
    ) | read_by_the_group_itself(folder)


def read_by_the_group_itself(folder: Path) -> frozenset[str]:
    """The names that methods of the groups in a folder read."""
    return frozenset(
        node.attr
        for path in folder.glob("*profile.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    )


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_is_read_where_its_group_is(switch: str) -> None:
    name, _, own = switch.partition(".")
    folder = folder_of(dict(groups())[name])
    assert own in read_in(folder), f"no module in or beside {folder} reads {switch}: it is dead, or in the wrong place"


@pytest.mark.parametrize("switch", SWITCHES)
def test_versions_differ_in_a_switch(switch: str) -> None:
    name, _, own = switch.partition(".")
    first, *others = (getattr(dict(groups(profile))[name], own) for profile in PROFILES.values())
    assert any(other != first for other in others) != (switch in NOT_BY_VERSION), (
        f"the versions {'differ' if switch in NOT_BY_VERSION else 'do not differ'} in {switch}"
    )


def test_reasons_are_for_switches_that_exist() -> None:
    assert {*NOT_BY_VERSION} <= {*SWITCHES}


def test_names_of_switches_are_unique() -> None:
    """So whoever looks for one finds one."""
    names = [switch.partition(".")[2] for switch in SWITCHES]
    assert len(names) == len({*names})

"""What is installed is what was promised: types, entry points, few dependencies, little imported."""

import importlib
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, requires
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from hutch.client.negotiation import VERSION
from hutch.fakebroker.management import openapi

ROOT = Path(__file__).parents[1]
PARTS = ("hutch.wire", "hutch.client", "hutch.fakebroker", "hutch.pytest_plugin", "hutch.conformance")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_typed(part: str) -> None:
    assert files(part).joinpath("py.typed").is_file()


def test_the_core_needs_sortedcontainers_alone() -> None:
    core = [requirement for requirement in requires("hutch") or [] if "extra ==" not in requirement]
    assert len(core) == 1
    assert core[0].startswith("sortedcontainers")


def test_every_entry_point_can_be_loaded() -> None:
    ours = [
        entry_point
        for group in ("hutch.commands", "hutch.transports", "pytest11", "console_scripts")
        for entry_point in entry_points(group=group)
        if entry_point.value.startswith("hutch.")
    ]
    assert {entry_point.name for entry_point in ours} >= {"hutch", "serve", "demo", "conformance", "memory"}
    for entry_point in ours:
        entry_point.load()


def modules_after(statement: str) -> set[str]:
    """The modules a fresh interpreter has imported once it has run a statement."""
    script = f"{statement}; import sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    modules: list[str] = json.loads(done.stdout)
    return set(modules)


def test_an_in_process_broker_and_client_import_no_event_loop_and_no_test_runner() -> None:
    unwanted = {"asyncio", "pytest", "ssl", "importlib.metadata", "argparse"}
    assert not modules_after("import hutch.client, hutch.fakebroker") & unwanted


def configuration() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_one_version_is_told_everywhere() -> None:
    version = configuration()["project"]["version"]
    assert (VERSION, openapi.DOCUMENT["info"]["version"]) == (version, version)
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_compiled_wheels_are_for_the_pythons_that_the_metadata_name() -> None:
    project, wheels = configuration()["project"], configuration()["tool"]["cibuildwheel"]
    named = [name.rpartition(" ")[2] for name in project["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert wheels["build"] == [f"cp{name.replace('.', '')}-*" for name in named]
    assert project["requires-python"] == f">={named[0]}"


def test_compiled_wheels_are_compiled() -> None:
    name = "HATCH_BUILD_HOOK_ENABLE_CUSTOM"
    assert configuration()["tool"]["cibuildwheel"]["environment"] == {name: "true"}
    assert f"{name}=true" in (ROOT / "CONTRIBUTING.md").read_text()
    hook = configuration()["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    for path in (*hook["folders"], *hook["modules"], *hook["interpreted"]):
        assert (ROOT / path).exists(), path


def test_what_tests_compiled_wheels_is_there() -> None:
    wheels = configuration()["tool"]["cibuildwheel"]
    assert set(wheels["test-extras"]) <= set(configuration()["project"]["optional-dependencies"])
    program, *paths = wheels["test-command"].split()
    assert program == "pytest"
    for path in paths:
        assert (ROOT / path.removeprefix("{project}/")).exists(), path


@pytest.mark.parametrize("part", PARTS)
def test_the_namespace_has_no_package_of_its_own(part: str) -> None:
    importlib.import_module(part)
    assert not hasattr(sys.modules["hutch"], "__file__") or sys.modules["hutch"].__file__ is None

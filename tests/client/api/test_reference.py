"""That every name of the reference is shown by a test, on every broker."""

import importlib
import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tests.client.api.reference import NAMES
from tests.targets import TARGETS

PACKAGES = ["tests.client.api", "tests.kombu"]
ROOT = Path(__file__).parents[3]


def modules() -> list[ModuleType]:
    packages = [importlib.import_module(name) for name in PACKAGES if importlib.util.find_spec(name)]
    found = [
        module.name for package in packages for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    return [importlib.import_module(name) for name in found if name.rpartition(".")[2].startswith("test_")]


def shown_names() -> dict[str, set[str]]:
    """What each test shows, by its node id."""
    return {
        f"{module.__name__.replace('.', '/')}.py::{name}": thing.shown_names
        for module in modules()
        for name, thing in vars(module).items()
        if hasattr(thing, "shown_names") and thing.__module__ == module.__name__
    }


def test_every_name_is_shown() -> None:
    missing = sorted(NAMES - set().union(*shown_names().values()))
    assert not missing, f"{len(missing)} of {len(NAMES)} names are shown by no test:\n" + "\n".join(missing)


def test_no_unknown_name_is_shown() -> None:
    unknown = [f"{test}: {name}" for test, names in shown_names().items() for name in sorted(names - NAMES)]
    assert not unknown, "not in reference.NAMES:\n" + "\n".join(unknown)


def test_what_is_shown_is_shown_on_every_broker() -> None:
    shown = shown_names()
    files = sorted({test.partition("::")[0] for test in shown})
    options = ["--collect-only", "--matrix", "-m", "", "-q", "-n0", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    without = [
        f"{test}: {target}"
        for test in shown
        for target in TARGETS
        if not any(line.startswith(f"{test}[") and target in line for line in collected)
    ]
    assert not without, "these tests do not run on these brokers; do they take the fixture target?\n" + "\n".join(
        without
    )

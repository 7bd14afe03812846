"""What client libraries make of faults is what the page says."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.drivers import DRIVERS
from tests.faults.scenes import SCENES
from tests.faults.table import PAGE, filled, read, run

PLACES = [(library, way) for library, driver in DRIVERS.items() for way in driver.ways]


def test_the_page_has_the_outcomes() -> None:
    page = PAGE.read_text()
    assert page == filled(page, read()), "python -m tests.faults writes the page"


def test_there_are_outcomes_for_all() -> None:
    assert [(library, way) for library, ways in read().items() for way in ways] == PLACES
    for ways in read().values():
        for scenes in ways.values():
            assert list(scenes) == [scene.name for scene in SCENES]


def needs_amqplib() -> None:
    command = ["node", "--eval", "require.resolve('amqplib')"]
    folder = Path(__file__).parent
    if shutil.which("node") and not subprocess.run(command, capture_output=True, check=False, cwd=folder).returncode:
        return
    reason = "node does not find amqplib, by NODE_PATH for example"
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("library", "way"), PLACES)
def test_a_library(library: str, way: str) -> None:
    if library == "amqplib":
        needs_amqplib()
    expected = read()[library][way]
    seen = run(library, way)
    for _ in range(2):  # a busy machine may miss a time limit
        if differing := [name for name in expected if seen[name] != expected[name]]:
            seen |= run(library, way, *differing)
    assert seen == expected

"""The same calls give the same bytes: in one process, and in others that hash in another way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .script_of_calls import play

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("profile", ["4.3", "3.10"])
def test_the_same_calls_give_the_same_bytes(profile: str) -> None:
    wanted = play(profile)
    assert len(wanted) > 10_000
    assert play(profile) == wanted
    for seed in ("0", "1", "4711"):
        command = [sys.executable, "-m", "tests.fakebroker.script_of_calls", profile]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=True
        )
        assert bytes.fromhex(done.stdout) == wanted


def test_each_version_has_its_own() -> None:
    assert play("4.3") != play("3.10")

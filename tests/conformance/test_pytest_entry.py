import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.test_cli import unused_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def conformance(*arguments: str, ci: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "conformance", "-q", "-n0", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "CI": ci}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)


def test_one_test_for_each_case_and_target() -> None:
    run = conformance("--target", "tcp-4.3", "--target", "memory-3.10", "-k", "CONN-HDR-03", "-vv")
    assert run.returncode == 0, run.stdout
    assert "test_behaviour[memory-3.10-CONN-HDR-03-protocol_0_8_is_greeted] PASSED" in run.stdout
    assert "2 passed" in run.stdout


def test_an_unknown_target() -> None:
    run = conformance("--target", "tcp-5")
    assert run.returncode == 4
    assert "--target tcp-5 is unknown; choose from memory-4.3, memory-3.10, tcp-4.3," in run.stderr


def test_an_unreachable_broker_is_skipped_but_not_in_ci() -> None:
    port = unused_port()
    arguments = ("--target", f"amqp://127.0.0.1:{port}", "-k", "GET-01 and not HTTP")
    skipped = conformance(*arguments)
    assert skipped.returncode == 0, skipped.stdout
    assert f"127.0.0.1:{port}: Connection refused" in skipped.stdout
    assert "1 skipped" in skipped.stdout
    failed = conformance(*arguments, ci="true")
    assert failed.returncode == 1, failed.stdout
    assert "1 error" in failed.stdout

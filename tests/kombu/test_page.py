"""docs/kombu.md: its code runs, on every broker."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hutch.pytest_plugin import FakeBroker
from tests.kombu.steps import tcp_url
from tests.targets import Target

PAGE = (Path(__file__).parents[2] / "docs" / "kombu.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TESTS = [block for block in BLOCKS if "def test_" in block]
OF_TLS = [block for block in BLOCKS if "hutchs://" in block]
#: What changes the whole program, and has one of its own.
ALIASED = [block for block in BLOCKS if "sys.modules" in block]
SCRIPTS = [block for block in BLOCKS if block not in TESTS + OF_TLS + ALIASED]


def run(block: str) -> dict[str, object]:
    """Run a block of code; the names that it leaves."""
    names: dict[str, object] = {}
    exec(compile(block, "docs/kombu.md", "exec"), names)
    return names


def test_there_is_code() -> None:
    assert len(BLOCKS) == PAGE.count("```") // 2
    assert min(len(TESTS), len(OF_TLS), len(ALIASED), len(SCRIPTS)) > 0


@pytest.mark.parametrize("block", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts(target: Target, block: str) -> None:
    for scheme in ("hutch://", "amqp://"):
        block = block.replace(f"{scheme}guest:guest@localhost:5672//", tcp_url(target, scheme))
    assert "localhost" not in block
    run(block)


@pytest.mark.parametrize("block", ALIASED, ids=range(len(ALIASED)))
def test_programs(target: Target, block: str) -> None:
    code = block.replace("amqp://guest:guest@localhost:5672//", tcp_url(target, "amqp://"))
    assert "localhost" not in code
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", OF_TLS, ids=range(len(OF_TLS)))
def test_tls(secure: tuple[str, str], block: str) -> None:
    place, authority = secure
    run(block.replace("guest:guest@localhost:5671//", place).replace("/etc/ssl/rabbitmq/ca.pem", authority))


@pytest.mark.parametrize("block", TESTS, ids=range(len(TESTS)))
def test_tests(fakebroker: FakeBroker, block: str) -> None:
    (test,) = [thing for name, thing in run(block).items() if name.startswith("test_")]
    assert callable(test)
    test(fakebroker)

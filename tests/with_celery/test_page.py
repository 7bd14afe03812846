"""docs/celery.md: its code runs."""

import itertools
import re
from contextlib import ExitStack
from pathlib import Path

import kombu.pools
import pytest

from hutch.pytest_plugin import FakeBroker

PAGE = (Path(__file__).parents[2] / "docs" / "celery.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TESTS = [block for block in BLOCKS if "def test_" in block]
#: What changes the whole program; test_processes runs it.
ALIASED = [block for block in BLOCKS if "sys.modules" in block]
SCRIPTS = [block for block in BLOCKS if block not in TESTS + ALIASED]
counter = itertools.count()


def run(block: str) -> dict[str, object]:
    # Celery names tasks after their modules; in an application of its own each block would be one.
    names: dict[str, object] = {"__name__": f"docs_celery_{next(counter)}"}
    exec(compile(block, "docs/celery.md", "exec"), names)
    return names


def test_there_is_code() -> None:
    assert len(BLOCKS) == PAGE.count("```") // 2
    assert TESTS
    assert SCRIPTS
    assert len(ALIASED) == 1


@pytest.mark.parametrize("block", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts(fakebroker: FakeBroker, block: str) -> None:
    place = fakebroker.url.partition("://")[2]
    assert "guest:guest@localhost:5672//" in block
    run(block.replace("guest:guest@localhost:5672//", place))


@pytest.mark.parametrize("block", TESTS, ids=range(len(TESTS)))
def test_tests(fakebroker: FakeBroker, block: str) -> None:
    (test,) = [thing for name, thing in run(block).items() if name.startswith("test_")]
    assert callable(test)
    with ExitStack() as behind:
        behind.callback(kombu.pools.reset)
        test(fakebroker)

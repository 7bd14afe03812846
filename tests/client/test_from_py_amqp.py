"""docs/from-py-amqp.md: its code runs, and it names every difference that the comparison with py-amqp allows."""

import re
from pathlib import Path

import pytest

from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests.client import test_exceptions, test_signatures

PAGE = (Path(__file__).parents[2] / "docs" / "from-py-amqp.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=[str(number) for number in range(1, len(BLOCKS) + 1)])
@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_the_code_runs(block: str, profile: str) -> None:
    with Broker(profile) as broker:
        (address,) = parse_url(broker.url)
        code = block.replace("localhost:5672", f"{address.host}:{address.port}")
        exec(compile(code, "docs/from-py-amqp.md", "exec"), {})


def test_there_is_code() -> None:
    assert len(BLOCKS) == PAGE.count("```") // 2 > 0


def test_every_allowed_difference_is_told() -> None:
    allowed = [
        *test_signatures.DROPPED_PARAMETERS,
        *(name for names in test_signatures.ADDED_PARAMETERS.values() for name in names),
        *(name.rpartition(".")[2] for name in test_signatures.DIFFERENT),
        *test_exceptions.ABSENT,
    ]
    section = PAGE.partition("## Every difference")[2]
    names = set(re.findall(r"`[*]*(\w+)`", section))
    assert [name for name in allowed if name not in names] == []

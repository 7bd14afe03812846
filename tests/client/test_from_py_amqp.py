"""docs/from-py-amqp.md names every difference that the comparison with py-amqp allows."""

import re
from pathlib import Path

from tests.client import test_exceptions, test_signatures

PAGE = (Path(__file__).parents[2] / "docs" / "from-py-amqp.md").read_text()


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

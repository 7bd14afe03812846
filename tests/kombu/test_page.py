"""docs/kombu.md on live brokers: plain ``pytest`` runs its code on the emulator (``tests/pages``)."""

import pytest

from tests.kombu.steps import tcp_url
from tests.pages.blocks import read_page
from tests.targets import Target

SCRIPTS = [
    block.code
    for block in read_page("docs/kombu.md")
    if "localhost:5672" in block.code and "sys.modules" not in block.code
]


@pytest.mark.targets("live-3.10", "live-4.3")
@pytest.mark.parametrize("block", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts(target: Target, block: str) -> None:
    for scheme in ("hutch://", "amqp://"):
        block = block.replace(f"{scheme}guest:guest@localhost:5672//", tcp_url(target, scheme))
    assert "localhost" not in block
    exec(compile(block, "docs/kombu.md", "exec"), {})

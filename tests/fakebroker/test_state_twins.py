"""A broker that has the state of another goes on as that one does, whatever was done before and is done then."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hutch.fakebroker.amqp091 import reader
from old_beside_new.adapters import Side
from tests.fakebroker.twins import Aside, Twins, draw

pytestmark = pytest.mark.skipif(
    not str(reader.__file__).endswith(".py"),
    reason="real time ends slices, which compiled code cannot be told to leave",
)

SEEDS = st.integers(0, 1 << 32)
#: A script is long, and a smaller seed is no smaller script.
SCRIPTS = settings(max_examples=max(settings().max_examples // 3, 1), phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True, scope="module")
def unsliced() -> Iterator[None]:
    with Side("hutch").unsliced():
        yield


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@SCRIPTS
@given(seed=SEEDS)
def test_a_loaded_state_goes_on_as_the_one_that_was_dumped(profile: str, seed: int) -> None:
    script, _ = draw(profile, seed)
    twins = Twins(script)
    try:
        half = len(script.steps) // 2
        for step in script.steps[:half]:
            twins.play(step)
        twins.pause()
        twins.end_clients()
        one, other = twins.twins
        other.load(one.dumped())
        twins.look()
        for step in script.steps[half:]:
            twins.play(step)
        twins.finish()
    finally:
        twins.close()


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@SCRIPTS
@given(seed=SEEDS)
def test_a_restored_state_goes_on_as_if_nothing_was_done_since(profile: str, seed: int) -> None:
    script, others = draw(profile, seed)
    # Connections go on: what they have to do in time, and which processes they are in events, is not in the state.
    script = replace(script, world=replace(script.world, heartbeat=0, consumer_timeout=None, events=False))
    twins = Twins(script)
    try:
        half = len(script.steps) // 2
        for step in script.steps[:half]:
            twins.play(step)
        twins.pause()
        one, other = twins.twins
        kept, snapshot = one.broker[0].snapshot(), other.broker[0].snapshot()
        aside = Aside(other, replace(script, steps=others))
        for step in others:
            aside.play(step)
        aside.act("start")
        for resource in ("memory", "disk"):  # a client that is blocked would go on behind the restore
            aside.act("clear_alarm", resource=resource)
        twins.end_disturbed()
        one.restore(kept)
        other.restore(snapshot)
        aside.end()
        twins.restored()
        twins.look()
        for step in script.steps[half:]:
            twins.play(step)
        twins.finish()
    finally:
        twins.close()

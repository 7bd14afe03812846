"""A broker that has the state of another goes on as that one does, whatever was done before and is done then."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from old_beside_new.adapters import Side
from old_beside_new.scripts import Script
from tests.fakebroker.twins import Aside, Twins, draw, without_counts, without_time

SEEDS = st.integers(0, 1 << 32)
#: No shrinking: a smaller seed does not give a smaller script.
SCRIPTS = settings(max_examples=max(settings().max_examples // 3, 1), phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True, scope="module")
def unsliced() -> Iterator[None]:
    with Side("hutch").unsliced():
        yield


@contextmanager
def half_played(script: Script) -> Iterator[Twins]:
    """Two brokers on which the first half of a script was played."""
    twins = Twins(script)
    try:
        for step in script.steps[: len(script.steps) // 2]:
            twins.play(step)
        twins.pause()
        yield twins
    finally:
        twins.close()


def go_on(twins: Twins, script: Script) -> None:
    """Compare the two, and play the second half."""
    twins.look()
    for step in script.steps[len(script.steps) // 2 :]:
        twins.play(step)
    twins.finish()


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@SCRIPTS
@given(seed=SEEDS)
def test_a_loaded_state_goes_on_as_the_one_that_was_dumped(profile: str, seed: int) -> None:
    script, _ = draw(profile, seed)
    with half_played(script) as twins:
        twins.end_clients()
        one, other = twins.twins
        state = one.dumped()
        other.load(state)
        assert other.dumped() == state
        go_on(twins, script)


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@SCRIPTS
@given(seed=SEEDS)
def test_a_restored_state_goes_on_as_one_that_was_never_left(profile: str, seed: int) -> None:
    """Nobody is connected at the snapshot."""
    script, others = draw(profile, seed)
    with half_played(script) as twins:
        twins.end_clients()
        _, other = twins.twins
        snapshot = other.broker[0].snapshot()
        aside = Aside(other, replace(script, steps=others))
        aside.play_all(others)
        aside.end()
        other.restore(snapshot)
        twins.restored()
        assert without_counts(other.dumped()) == without_counts(snapshot.state)
        go_on(twins, script)


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@SCRIPTS
@given(seed=SEEDS)
def test_clients_go_on_with_a_restored_state_as_with_one_that_was_never_left(profile: str, seed: int) -> None:
    """They have nothing that is not settled: that comes back by a restore. Time is for the broker alone: what clients
    have to do in time is not in the state. So either no time passes before the restore, or they have nothing to do in
    time.
    """
    random = Random(seed)
    script, others = draw(profile, seed)
    others = others[: random.randrange(len(others))]
    time_passes = random.random() < 0.5
    if time_passes:
        script = replace(script, world=replace(script.world, heartbeat=0, consumer_timeout=None))
    else:
        others = without_time(others)
    with half_played(script) as twins:
        twins.settle()
        if time_passes:
            twins.end_unopened()
        _, other = twins.twins
        snapshot = other.broker[0].snapshot()
        aside = Aside(other, replace(script, steps=others))
        aside.play_all(others)
        aside.end()
        disturbed = twins.end_disturbed()
        if disturbed and script.world.events:
            return  # only one of the brokers reports the end to the event exchange
        other.restore(snapshot)
        if not disturbed:
            assert without_counts(other.dumped()) == without_counts(snapshot.state)
        twins.restored()
        go_on(twins, script)


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@SCRIPTS
@given(seed=SEEDS)
def test_clients_with_deliveries_go_on_with_a_restored_state(profile: str, seed: int) -> None:
    """Both are restored, one of them behind other operations that took the same time."""
    script, others = draw(profile, seed)
    with half_played(script) as twins:
        one, other = twins.twins
        kept, snapshot = one.broker[0].snapshot(), other.broker[0].snapshot()
        aside = Aside(other, replace(script, steps=others), one)
        aside.play_all(others)
        if script.world.events:  # the restored broker does not know these clients, and would not report their end
            aside.end()
        twins.end_disturbed()
        one.restore(kept)
        other.restore(snapshot)
        aside.end()
        twins.restored()
        go_on(twins, script)

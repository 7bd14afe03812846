"""Runs of many scripts. The first difference ends a run, and is made small."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from hutch.conformance.differential.shrinking import shrink
from old_beside_new.adapters import Side
from old_beside_new.comparing import Difference
from old_beside_new.playing import Pair
from old_beside_new.scripts import Script, Scripts, Step, simpler

#: Seconds for making a script smaller.
_SHRINKING: Final = 60.0


@dataclass
class Outcome:
    """The result of a run. ``played`` counts operations by their kind; ``broken`` are errors that both emulators raised
    and that an emulator should not raise.
    """

    played: Counter[str] = field(default_factory=Counter)
    scripts: int = 0
    broken: set[str] = field(default_factory=set)
    difference: Difference | None = None
    seconds: float = 0.0


def run(old: Side, new: Side, profile: str, operations: int, seed: int) -> Outcome:
    """Play scripts, drawn with the random seed, until so many operations are played or there is a difference."""
    outcome, scripts, random = Outcome(), Scripts(profile), Random(seed)
    began = time.monotonic()
    with old.unsliced(), new.unsliced():
        while outcome.played.total() < operations and outcome.difference is None:
            outcome.scripts += 1
            script = scripts.draw(random)
            outcome.difference = _play(old, new, script, outcome)
            outcome.seconds = time.monotonic() - began
            if outcome.difference is not None:
                outcome.difference = _small(old, new, script, outcome.difference)
    return outcome


def _play(old: Side, new: Side, script: Script, outcome: Outcome) -> Difference | None:
    """The difference in which a script ends, if it does."""
    pair = Pair(old, new, script, outcome.played)
    try:
        for step in script.steps:
            pair.play(step)
        pair.finish()
    except Difference as difference:
        return difference
    finally:
        outcome.broken |= pair.broken
        pair.close()
    return None


def _small(old: Side, new: Side, script: Script, found: Difference) -> Difference:
    """The difference in which the smallest script ends that can be found."""
    plainer = script.world.plainer()
    while (world := next(plainer, None)) is not None:
        plain = replace(script, world=world)
        if (difference := _play(old, new, plain, Outcome())) is not None:
            found, script, plainer = difference, plain, world.plainer()

    def attempt(steps: Sequence[Step]) -> Difference | None:
        return _play(old, new, replace(script, steps=list(steps)), Outcome())

    return shrink(script.steps, attempt, _SHRINKING, simpler) or found

"""Strategies of which all vocabulary is made."""

from typing import Any

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.strategies import Strategy


def flag() -> Strategy[bool]:
    """Either."""
    return st.booleans()


def seldom() -> Strategy[bool]:
    """Mostly false."""
    return mostly((False,), (True,), 12)


def mostly(common: tuple[Any, ...], rare: tuple[Any, ...], of: int) -> Strategy[Any]:
    """One of ``common``, or about every ``of``-th time one of ``rare``."""
    return rather(st.sampled_from(common), st.sampled_from(rare), of)


def rather(common: Strategy[Any], rare: Strategy[Any], of: int) -> Strategy[Any]:
    """What is ``common``, or about every ``of``-th time what is ``rare``."""
    return Strategy(lambda random: (rare if random.random() * of < 1 else common).draw(random))

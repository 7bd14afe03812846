"""Strategies of which all vocabulary is made."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy


def flag() -> SearchStrategy[bool]:
    """Either."""
    return st.booleans()


def seldom() -> SearchStrategy[bool]:
    """Mostly false."""
    return mostly((False,), (True,), 12)


def mostly(common: tuple[Any, ...], rare: tuple[Any, ...], of: int) -> SearchStrategy[Any]:
    """One of ``common``, or about every ``of``-th time one of ``rare``."""
    return rather(st.sampled_from(common), st.sampled_from(rare), of)


def rather(common: SearchStrategy[Any], rare: SearchStrategy[Any], of: int) -> SearchStrategy[Any]:
    """What is ``common``, or about every ``of``-th time what is ``rare``."""
    return st.integers(0, of - 1).flatmap(lambda number: rare if number == of - 1 else common)

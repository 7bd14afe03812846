"""Texts for names that do not exist: which ones come near, and which there are."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LISTED: Final = 12


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no ``what`` of this name, the near ones, and those there are."""
    there_are = list(known)
    near = get_close_matches(name, there_are, n=3)
    listed = ", ".join(map(repr, there_are[:_LISTED])) or "none"
    if len(there_are) > _LISTED:
        listed += f" and {len(there_are) - _LISTED} more"
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"no {what}; {hint}there are: {listed}"

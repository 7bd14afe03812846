"""Texts of errors about names that do not exist: the near ones, and those that do."""

from collections.abc import Iterable, Sequence
from typing import Final

#: How like a name another has to be, from 0 to 1. A digit more or less in a version is near, another digit is not.
_NEAR: Final = 0.7


def missing(what: str, name: object, known: Iterable[str], *, at_most: int = 12) -> str:
    """``no queue 'order'; did you mean 'orders'? there are: 'orders', 'audit'``, where ``what`` is ``queue 'order'``.

    Lists ``at_most`` names.
    """
    there_are = [*known]
    listed = ", ".join(map(repr, there_are[:at_most])) or "none"
    if len(there_are) > at_most:
        listed += f" and {len(there_are) - at_most} more"
    return f"no {what}; {_hint(name, there_are)}there are: {listed}"


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """``clock 'frozzen' is unknown; did you mean 'frozen'? choose from 'manual', 'frozen'``."""
    choices = [*known]
    return f"{what} {name!r} is unknown; {_hint(name, choices)}choose from {', '.join(map(repr, choices))}"


def note_near(error: Exception, name: object, known: Iterable[str]) -> None:
    """Add a note with the near names to an error whose text is RabbitMQ's: ``'order': did you mean 'orders'?``."""
    if hint := _hint(name, [*known]):
        error.add_note(f"{name!r}: {hint.rstrip()}")


def _hint(name: object, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  (seldom needed)

    near = get_close_matches(name, known, n=3, cutoff=_NEAR) if isinstance(name, str) else []
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""

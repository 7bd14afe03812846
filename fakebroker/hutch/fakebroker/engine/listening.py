"""Several listeners of the journal at once."""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from hutch.fakebroker.engine.journal import Journal

#: The names of all facts.
FACTS: Final = tuple(name for name in vars(Journal) if not name.startswith("_"))


def journal_of(listeners: Sequence[Journal]) -> Journal:
    """The journal that the engine calls. For one listener it is the listener itself.

    For several it passes each fact on, in their order, to those that override the fact's method. A fact without a
    listener costs nothing.
    """
    if len(listeners) == 1:
        return listeners[0]
    heard = {fact: [getattr(each, fact) for each in listeners if _listens(each, fact)] for fact in FACTS}
    methods = {fact: _teller(hearers) for fact, hearers in heard.items() if hearers}
    return cast("Journal", type("Listeners", (Journal,), methods)())


def _listens(listener: Journal, fact: str) -> bool:
    return getattr(type(listener), fact) is not getattr(Journal, fact)


def _teller(hearers: Sequence[Callable[..., None]]) -> Callable[..., None]:
    if len(hearers) == 2:  # as a rule
        first, second = hearers

        def tell_both(_: Journal, *about: Any) -> None:
            first(*about)
            second(*about)

        return tell_both

    def tell(_: Journal, *about: Any) -> None:
        for hear in hearers:
            hear(*about)

    return tell

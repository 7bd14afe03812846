"""Several listeners of the journal at once."""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from hutch.fakebroker.engine.journal import Journal

#: The names of all facts.
FACTS: Final = tuple(name for name in vars(Journal) if not name.startswith("_"))


def journal_of(listeners: Sequence[Journal]) -> Journal:
    """What the engine tells facts to: the only listener itself, or for several one that passes on each fact, in their
    order, to those with a method of their own for it. What nobody listens to is told to nobody.
    """
    if len(listeners) == 1:
        return listeners[0]
    heard = {fact: [getattr(each, fact) for each in listeners if _listens(each, fact)] for fact in FACTS}
    methods = {fact: _teller(hearers) for fact, hearers in heard.items() if hearers}
    return cast("Journal", type("Listeners", (Journal,), methods)())


def _listens(listener: Journal, fact: str) -> bool:
    return getattr(type(listener), fact) is not getattr(Journal, fact)


def _teller(hearers: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def tell(_: Journal, *about: Any) -> None:
        for hear in hearers:
            hear(*about)

    return tell

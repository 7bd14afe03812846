"""Errors that come out of another call than the one that caused them: notes tell of both calls.

Notes are those of :meth:`BaseException.add_note`; a traceback shows them below the error, ``str(error)`` does not.
"""

from collections.abc import Collection, Iterable

_CAUSED = "caused by "
_NOTICED = "noticed "
_MANY = 3


def tell_cause(error: BaseException, cause: str, hints: Iterable[str] = ()) -> None:
    """Note which call caused it, and what else may explain it."""
    error.add_note(_CAUSED + cause)
    for hint in hints:
        error.add_note(hint)


def tell_noticed(error: BaseException, when: str) -> None:
    """Note in which call it came out, if it is known to be a late one; the innermost call counts."""
    notes = getattr(error, "__notes__", ())
    if any(note.startswith(_CAUSED) for note in notes) and not any(note.startswith(_NOTICED) for note in notes):
        error.add_note(_NOTICED + when)


def published_where(routes: Collection[tuple[str, str]], text: str) -> str:
    """Where the message went that ``text`` complains of, as far as can be told; begins with a blank if it can.

    ``routes`` is what was published to so far, as exchange and routing key.
    """
    named = [route for route in routes if f"exchange '{route[0]}'" in text]
    found = named or list(routes)
    if named:
        keys = sorted({key for _, key in found})
        return f", routing key {_some(keys)}"
    if len(found) == 1:
        ((exchange, key),) = found
        return f" to exchange {exchange!r}, routing key {key!r}"
    return ""


def _some(names: list[str]) -> str:
    text = " or ".join(repr(name) for name in names[:_MANY])
    return text if len(names) <= _MANY else f"{text} or {len(names) - _MANY} others"

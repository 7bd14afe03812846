"""Regular expressions of operators: PCRE's, searched for in the bytes of a name, as far as Python has the like."""

import re
import warnings
from typing import Final

from hutch.fakebroker.erlang.pcre import InvalidPattern, translated

# Python's error text, PCRE's, PCRE2's, and the place of the error: so many bytes after Python's place, or the end of
# the expression (None).
_ERRORS: Final[dict[str, tuple[tuple[str, int | None], tuple[str, int | None]]]] = {
    "bad escape (end of pattern)": (("\\ at end of pattern", None),) * 2,
    "missing ), unterminated subpattern": (("missing )", None), ("missing closing parenthesis", None)),
    "multiple repeat": (("nothing to repeat", 0), ("quantifier does not follow a repeatable item", 1)),
    "nothing to repeat": (("nothing to repeat", 0), ("quantifier does not follow a repeatable item", 1)),
    "unbalanced parenthesis": (("unmatched parentheses", 0), ("unmatched closing parenthesis", 1)),
    "unterminated character set": (("missing terminating ] for character class", None),) * 2,
}
_AT_END: Final = {message for message, ((_, offset), _) in _ERRORS.items() if offset is None}
#: The beginning of Python's error text for a range whose end comes before its beginning.
_RANGE: Final = "bad character range "
#: A range without escapes. Python miscounts those with escapes.
_PLAIN_RANGE: Final = re.compile(rb"[^\\]-[^\\]", re.DOTALL)


def compile_pattern(pattern: str, *, pcre2: bool) -> re.Pattern[bytes]:
    """The expression, to be searched for in a name's UTF-8. ``pcre2`` is which of two PCREs reads it.

    Raises:
        InvalidPattern: it is none.
        NotImplementedError: it is, or may be, one of PCRE's that Python reads otherwise or not at all.
    """
    try:
        return _compile(pattern.encode(), pcre2)
    except NotImplementedError as error:
        raise NotImplementedError(f"the regular expression {pattern!r}: {error}") from None


def _compile(raw: bytes, pcre2: bool) -> re.Pattern[bytes]:
    try:
        ours = translated(raw, pcre2=pcre2)
    except InvalidPattern as refusal:
        _check_beginning(refusal.beginning, pcre2)
        raise
    try:
        return _in_python(ours)
    except re.error as error:
        if ours != raw and error.msg not in _AT_END:
            error = _error_of(raw, error)
        raise _refusal(raw, error, pcre2) from None


def _check_beginning(raw: bytes, pcre2: bool) -> None:
    """Raise what is wrong with the part of an expression that PCRE has read when it refuses what follows."""
    try:
        _compile(raw, pcre2)
    except InvalidPattern as error:
        if not error.reason.startswith("missing"):
            raise


def _in_python(ours: bytes) -> re.Pattern[bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return re.compile(ours)
    except FutureWarning as warning:  # as for sets within sets
        raise NotImplementedError(str(warning)) from None


def _error_of(raw: bytes, error: re.error) -> re.error:
    """What is wrong with an expression as it came, if it is what is wrong with its translation: places are those of the
    expression as it came.
    """
    try:
        _in_python(raw)
    except re.error as plain:
        if plain.msg == error.msg or (plain.msg.startswith(_RANGE) and error.msg.startswith(_RANGE)):
            return plain
    raise NotImplementedError(f"{error} (in Python)")


def _refusal(raw: bytes, error: re.error, pcre2: bool) -> InvalidPattern:
    """An error in PCRE's words, where it has the like."""
    place = error.pos or 0
    if error.msg.startswith(_RANGE) and _PLAIN_RANGE.match(raw, place):
        return InvalidPattern("range out of order in character class", place + 2 + pcre2)
    known = _ERRORS.get(error.msg)
    # PCRE counts to the closing brace, and accepts several quantifiers in a row.
    if known is None or (error.pos is not None and raw[error.pos : error.pos + 1] == b"{"):
        raise NotImplementedError(f"{error} (in Python)")
    reason, offset = known[pcre2]
    return InvalidPattern(reason, len(raw) if offset is None else place + offset)

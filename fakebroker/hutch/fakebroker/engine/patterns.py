"""Regular expressions of operators: PCRE's, searched for in the bytes of a name, as far as Python has the like."""

import re
import warnings
from typing import Final

from hutch.fakebroker.engine.pcre import translated

# What PCRE, then PCRE2, says where Python says the first; and where that is: at the place Python tells plus so many
# bytes, or at the end of the expression (None).
_ERRORS: Final[dict[str, tuple[tuple[str, int | None], tuple[str, int | None]]]] = {
    "bad escape (end of pattern)": (("\\ at end of pattern", None),) * 2,
    "missing ), unterminated subpattern": (("missing )", None), ("missing closing parenthesis", None)),
    "multiple repeat": (("nothing to repeat", 0), ("quantifier does not follow a repeatable item", 1)),
    "nothing to repeat": (("nothing to repeat", 0), ("quantifier does not follow a repeatable item", 1)),
    "unbalanced parenthesis": (("unmatched parentheses", 0), ("unmatched closing parenthesis", 1)),
    "unterminated character set": (("missing terminating ] for character class", None),) * 2,
}


class InvalidPattern(ValueError):
    """PCRE cannot read the expression; ``reason`` and ``place``, in bytes, as it tells them."""

    def __init__(self, reason: str, place: int) -> None:
        super().__init__(f"{reason}, at byte {place}")
        self.reason = reason
        self.place = place


def compile_pattern(pattern: str, *, pcre2: bool) -> re.Pattern[bytes]:
    """The expression, to be searched for in a name's UTF-8. ``pcre2`` is which of two PCREs complains.

    Raises:
        InvalidPattern: it is none.
        NotImplementedError: it is, or may be, one of PCRE's that Python reads otherwise or not at all.
    """
    raw = pattern.encode()
    ours = translated(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return re.compile(ours)
    except FutureWarning as warning:  # as for sets within sets
        raise NotImplementedError(f"the regular expression {pattern!r}: {warning}") from None
    except re.error as error:
        known = _ERRORS.get(error.msg)
        # Places are those of the expression as it came. PCRE counts braces to their end, and takes several behind one
        # another.
        if known is None or ours != raw or (error.pos is not None and raw[error.pos : error.pos + 1] == b"{"):
            raise NotImplementedError(f"the regular expression {pattern!r}: {error} (in Python)") from None
        reason, offset = known[pcre2]
        raise InvalidPattern(reason, len(raw) if offset is None else (error.pos or 0) + offset) from None

"""What PCRE has and Python's ``re`` lacks, or reads otherwise, told in Python's words, over bytes.

In ``[[:alpha:]]`` and the like, ASCII's characters count, as in RabbitMQ 4.3; 3.10 takes bytes for letters of Latin-1.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    rb"""\\Q(?P<literal>.*?)(?:\\E|\Z)
    | \\k<(?P<back>\w+)>
    | (?P<escape>\\.)
    | (?P<posix>\[:[a-z]+:\])
    | (?P<opening>\[\^?\]?)
    | (?P<closing>\])
    | (?P<name>\(\?<(?=[A-Za-z_]))
    | \(\?(?P<flags>[ims]+)\)
    | (?P<bracket>[()])
    """,
    re.DOTALL | re.VERBOSE,
)

#: What these are, outside of a class.
_ESCAPES: Final = {
    rb"\E": b"",
    rb"\Z": rb"(?=\n?\Z)",
    rb"\e": rb"\x1b",
    rb"\z": rb"\Z",
}

#: What these stand for, within a class.
_CLASSES: Final = {rb"\h": rb"\t \xa0", rb"\v": rb"\n-\r\x85"}

_POSIX: Final = {
    b"[:alnum:]": b"A-Za-z0-9",
    b"[:alpha:]": b"A-Za-z",
    b"[:ascii:]": rb"\x00-\x7f",
    b"[:blank:]": rb"\t ",
    b"[:cntrl:]": rb"\x00-\x1f\x7f",
    b"[:digit:]": b"0-9",
    b"[:graph:]": b"!-~",
    b"[:lower:]": b"a-z",
    b"[:print:]": b" -~",
    b"[:punct:]": rb"!-/:-@\[-`{-~",
    b"[:space:]": rb"\t-\r ",
    b"[:upper:]": b"A-Z",
    b"[:word:]": b"A-Za-z0-9_",
    b"[:xdigit:]": b"A-Fa-f0-9",
}


class _Translation:
    """Goes through an expression from token to token."""

    def __init__(self) -> None:
        self._in_class = False
        self._depth = 0
        #: How many groups were begun for the flags that hold from somewhere on.
        self.flagged = 0

    def token(self, match: re.Match[bytes]) -> bytes:
        """What a token is in Python; itself, where it is the same, or where there is nothing that it could be."""
        if match.lastgroup == "literal":
            return re.escape(match["literal"])
        return self._member(match) if self._in_class else self._outside(match)

    def _member(self, match: re.Match[bytes]) -> bytes:
        self._in_class = match.lastgroup != "closing"
        return _POSIX.get(match[0]) or _CLASSES.get(match[0]) or match[0]

    def _outside(self, match: re.Match[bytes]) -> bytes:
        kind, text = match.lastgroup, match[0]
        if kind == "back":
            return b"(?P=%b)" % match["back"]
        if kind == "escape":
            members = _CLASSES.get(text)
            return _ESCAPES.get(text, text) if members is None else b"[%b]" % members
        # Flags hold from there on, in the branches that follow too; where there are none, a group does the same.
        if kind == "flags" and match.start() and not self._depth and b"|" not in match.string[match.end() :]:
            self.flagged += 1
            return b"(?%b:" % match["flags"]
        self._in_class = kind == "opening"
        if kind in {"bracket", "name"}:
            self._depth += -1 if text == b")" else 1
        return b"(?P<" if kind == "name" else text


def translated(pattern: bytes) -> bytes:
    """The expression for Python, which has the last word on it: what has no translation is left as it is."""
    translation = _Translation()
    return _TOKEN.sub(translation.token, pattern) + b")" * translation.flagged

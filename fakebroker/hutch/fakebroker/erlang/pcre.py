"""What PCRE has and Python's ``re`` lacks, or reads otherwise, told in Python's words, over bytes.

For 4.3's PCRE2 the letters are ASCII's. 3.10's PCRE takes bytes for the characters of Latin-1, those of UTF-8 as well.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

_TOKEN: Final = re.compile(
    rb"""\\Q(?P<literal>.*?)(?:\\E|\Z)
    | \\k<(?P<back>\w+)>
    | (?P<escape>\\.)
    | (?P<edge>\[\[:[<>]:\]\])
    | \[(?P<mark>[:.=])(?P<posix>(?:\\[\\\]]|(?!(?P=mark)\]|\[(?P=mark))[^\]])*)(?P=mark)\]
    | (?P<opening>\[)
    | (?P<closing>\])
    | (?P<name>\(\?<(?=[A-Za-z_]))
    | \(\?(?P<flags>[ims]+)\)
    | (?P<scoped>\(\?[a-z]*i[a-z]*(-[a-z]*)?:)
    | (?P<bracket>[()])
    | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)

#: Python's text for these escapes, outside of a class.
_ESCAPES: Final = {
    rb"\E": b"",
    rb"\N": rb"[^\n]",
    rb"\Z": rb"(?=\n?\Z)",
    rb"\e": rb"\x1b",
    rb"\z": rb"\Z",
}


def _span(first: int, last: int) -> frozenset[int]:
    return frozenset(range(first, last + 1))


_BYTES: Final = _span(0, 255)
_DIGITS: Final = _span(0x30, 0x39)
_UPPER: Final = _span(0x41, 0x5A)
_LOWER: Final = _span(0x61, 0x7A)
_SPACE: Final = _span(9, 13) | {0x20}
_HORIZONTAL: Final = frozenset(b"\t \xa0")
_VERTICAL: Final = _span(10, 13) | {0x85}
_GRAPH: Final = _span(0x21, 0x7E)
_ALPHA: Final = _UPPER | _LOWER
_LATIN_UPPER: Final = _UPPER | _span(0xC0, 0xDE) - {0xD7}
_LATIN_LOWER: Final = _LOWER | _span(0xDF, 0xFF) - {0xF7} | {0xAA, 0xB5, 0xBA}
_LATIN_ALPHA: Final = _LATIN_UPPER | _LATIN_LOWER

_ASCII: Final = {
    b"alnum": _ALPHA | _DIGITS,
    b"alpha": _ALPHA,
    b"ascii": _span(0, 127),
    b"blank": frozenset(b"\t "),
    b"cntrl": _span(0, 31) | {127},
    b"digit": _DIGITS,
    b"graph": _GRAPH,
    b"lower": _LOWER,
    b"print": _GRAPH | {0x20},
    b"punct": _GRAPH - _ALPHA - _DIGITS,
    b"space": _SPACE,
    b"upper": _UPPER,
    b"word": _ALPHA | _DIGITS | {0x5F},
    b"xdigit": _DIGITS | frozenset(b"ABCDEFabcdef"),
}
#: The same in 3.10.
_LATIN: Final = _ASCII | {
    b"alnum": _LATIN_ALPHA | _DIGITS,
    b"alpha": _LATIN_ALPHA,
    b"ascii": _BYTES,
    b"cntrl": _span(0, 31) | _span(127, 159),
    b"graph": _GRAPH | _span(160, 255),
    b"lower": _LATIN_LOWER,
    b"print": _GRAPH | _span(160, 255) | {0x20},
    b"punct": (_GRAPH | _span(160, 255)) - _LATIN_ALPHA - _DIGITS,
    b"upper": _LATIN_UPPER,
    b"word": _LATIN_ALPHA | _DIGITS | {0x5F},
}
#: Letters of Latin-1 beyond ASCII, each with its counterpart in the other case.
_OTHER_CASE: Final = {byte: byte ^ 0x20 for byte in _LATIN_ALPHA if byte >= 0xC0 and byte not in {0xDF, 0xFF}}


class InvalidPattern(ValueError):
    """PCRE cannot read the expression; ``reason`` and ``place``, in bytes, as it tells them. ``beginning`` is what it
    has read before, as an expression of its own.
    """

    def __init__(self, reason: str, place: int, beginning: bytes = b"") -> None:
        super().__init__(f"{reason}, at byte {place}")
        self.reason = reason
        self.place = place
        self.beginning = beginning


def _members(members: Iterable[int]) -> bytes:
    """What stands in a class for these bytes."""
    ranges: list[list[int]] = []
    for byte in sorted(members):
        if ranges and ranges[-1][1] == byte - 1:
            ranges[-1][1] = byte
        else:
            ranges.append([byte, byte])
    return b"".join(rb"\x%02x-\x%02x" % (first, last) for first, last in ranges)


class _Translation:
    """Goes through an expression from token to token."""

    def __init__(self, *, pcre2: bool) -> None:
        self._pcre2: Final = pcre2
        self._posix: Final[Mapping[bytes, frozenset[int]]] = _ASCII if pcre2 else _LATIN
        word = self._posix[b"word"]
        self._classes: Final = {
            rb"\h": _HORIZONTAL,
            rb"\H": _BYTES - _HORIZONTAL,
            rb"\v": _VERTICAL,
            rb"\V": _BYTES - _VERTICAL,
            rb"\w": word,
            rb"\W": _BYTES - word,
        }
        before, after = rb"(?<=[%b])" % _members(word), rb"(?=[%b])" % _members(word)
        not_before, not_after = before.replace(b"<=", b"<!"), after.replace(b"?=", b"?!")
        self._places: Final = _ESCAPES | {
            b"[[:<:]]": not_before + after,
            b"[[:>:]]": before + not_after,
            rb"\b": b"(?:%b|%b)" % (not_before + after, before + not_after),
            rb"\B": b"(?:%b|%b)" % (not_before + not_after, before + after),
        }
        self._in_class = False
        #: Where members of the class begin.
        self._first = 0
        #: The last item of a class: ``start`` of a possible range, its ``hyphen``, a ``class`` inside, or none.
        self._last = ""
        self._depth = 0
        #: Whether case is ignored from here on.
        self._folds = False
        #: How many groups were opened for flags that apply from the middle of a group on.
        self.flagged = 0

    def token(self, match: re.Match[bytes]) -> bytes:
        """What a token is in Python; itself, where it is the same, or where there is nothing that it could be.

        Raises:
            InvalidPattern: it is refused there.
            NotImplementedError: it is neither.
        """
        return self._member(match) if self._in_class else self._outside(match)

    # classes

    def _member(self, match: re.Match[bytes]) -> bytes:
        kind, text = match.lastgroup, match[0]
        if match.start() < self._first:
            return text  # the class is a negated one
        if kind == "closing" and match.start() > self._first:
            self._in_class = False
            return text
        if kind == "posix" or (kind == "escape" and text[1:] in b"dDsSwWhHvV"):
            return self._class(match)
        follows = match.string[match.end() : match.end() + 1]
        if text == b"-" and follows != b"]" and self._last in {"start", "class"}:
            return self._hyphen(match)
        self._last = "" if self._last == "hyphen" else "start"
        return text if kind == "escape" else self._literal(match["literal"] if kind == "literal" else text)

    def _hyphen(self, match: re.Match[bytes]) -> bytes:
        if self._last == "start":
            self._last = "hyphen"
            return b"-"
        if self._pcre2:
            raise self._refused("invalid range in character class", match, match.end())
        self._last = ""
        return rb"\-"

    def _class(self, match: re.Match[bytes]) -> bytes:
        text, begins = match[0], match.start()
        members = self._classes.get(text)
        if match.lastgroup == "posix":
            members = self._posix_class(match)
        elif self._last == "hyphen":
            begins = match.end() - 1
        if self._last == "hyphen":
            raise self._refused("invalid range in character class", match, begins)
        self._last = "class"
        return text if members is None else _members(members)

    def _posix_class(self, match: re.Match[bytes]) -> frozenset[int]:
        if match["mark"] != b":":
            self._collating(match)
        name = match["posix"].removeprefix(b"^")
        members = self._posix.get(name)
        if members is None:
            raise self._refused("unknown POSIX class name", match, match.end() - len(name) - 2)
        if self._folds and name in {b"lower", b"upper"}:
            members = self._posix[b"alpha"]
        if name != match["posix"]:
            members = _BYTES - members
        if not members:
            raise NotImplementedError(f"{match[0].decode()}, which nothing is")
        return members

    def _collating(self, match: re.Match[bytes]) -> NoReturn:
        raise self._refused("POSIX collating elements are not supported", match, match.start())

    def _refused(self, reason: str, match: re.Match[bytes], place: int) -> InvalidPattern:
        """The refusal of a token: ``place`` is what PCRE tells, and PCRE2 its end."""
        beginning = match.string[: match.start()] + (b"]" if self._in_class else b"")
        return InvalidPattern(reason, match.end() if self._pcre2 else place, beginning)

    # literals

    def _literal(self, text: bytes) -> bytes:
        """Bytes that stand for themselves, or in 3.10 for another case."""
        if not self._folds or self._pcre2 or not any(byte in _OTHER_CASE for byte in text):
            return re.escape(text)
        if not self._in_class:
            return b"".join(
                b"[%b]" % bytes((byte, _OTHER_CASE[byte])) if byte in _OTHER_CASE else re.escape(bytes((byte,)))
                for byte in text
            )
        if self._last != "start":
            raise NotImplementedError("a range of letters without regard to case")
        return re.escape(text) + bytes(_OTHER_CASE[byte] for byte in text if byte in _OTHER_CASE)

    # the rest

    def _outside(self, match: re.Match[bytes]) -> bytes:
        kind = match.lastgroup
        text = ours = match[0]
        match kind:
            case "literal":
                ours = self._literal(match["literal"])
            case "other" if text[0] in _OTHER_CASE:
                ours = self._literal(text)
            case "back":
                ours = b"(?P=%b)" % match["back"]
            case "escape" | "edge":
                members = self._classes.get(text)
                ours = self._places.get(text, text) if members is None else b"[%b]" % _members(members)
            case "posix":
                self._refuse_posix(match)
            case "opening":
                self._in_class = True
                self._last = ""
                self._first = match.end() + (match.string[match.end() : match.end() + 1] == b"^")
            case "flags":
                ours = self._flags(match)
            case "name" | "scoped" | "bracket":
                ours = self._group(match)
        return ours

    def _refuse_posix(self, match: re.Match[bytes]) -> NoReturn:
        if match["mark"] != b":":
            self._collating(match)
        raise self._refused("POSIX named classes are supported only within a class", match, match.start())

    def _group(self, match: re.Match[bytes]) -> bytes:
        self._depth += -1 if match[0] == b")" else 1
        if match["scoped"] and not self._pcre2 and _CASES.search(match.string):
            raise NotImplementedError("letters without regard to case in a part of the expression")
        return b"(?P<" if match["name"] else match[0]

    def _flags(self, match: re.Match[bytes]) -> bytes:
        self._folds = self._folds or b"i" in match["flags"]
        # The flags apply from there on, also in the branches that follow. Without branches, a group does the same.
        if match.start() and not self._depth and b"|" not in match.string[match.end() :]:
            self.flagged += 1
            return b"(?%b:" % match["flags"]
        return match[0]


#: Characters that have another case in 3.10 and not in Python.
_CASES: Final = re.compile(rb"[\xc0-\xfe]|\[:\^?(upper|lower):\]")


def translated(pattern: bytes, *, pcre2: bool) -> bytes:
    """The expression for Python, which has the last word on it: what has no translation is left as it is.

    Raises:
        InvalidPattern: PCRE cannot read it, unless it complains of the beginning.
        NotImplementedError: it has something that cannot be told to Python.
    """
    translation = _Translation(pcre2=pcre2)
    return _TOKEN.sub(translation.token, pattern) + b")" * translation.flagged

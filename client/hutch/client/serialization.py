"""Arguments as py-amqp writes them: values, and a string with a letter for the wire type of each.

=====  ==============  =====================================================
letter AMQP's name     Python value
=====  ==============  =====================================================
``b``  bit             ``bool``; neighbours share an octet
``o``  octet           ``int``
``B``  short           ``int``
``l``  long            ``int``
``L``  longlong        ``int``
``f``  float           ``float`` of single precision
``s``  shortstr        ``str``; ``bytes`` and ``None`` may be written too
``S``  longstr         ``str``, likewise
``x``  longstr         ``bytes``, likewise
``F``  table           ``dict``, see :mod:`hutch.wire.fields`; or ``None``
``A``  array           ``list``; or ``None``
``T``  timestamp       naive UTC ``datetime``
=====  ==============  =====================================================
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from struct import Struct
from struct import error as StructError
from typing import Any, Final

from hutch.client.exceptions import FrameSyntaxError
from hutch.wire.fields import FieldError, FieldValue, read_table, write_table

__all__ = ["dumps", "loads"]

_NUMBERS: Final = {letter: Struct(">" + code) for letter, code in zip("oBlLf", "BHIQf", strict=True)}
_STRINGS: Final = {"s": _NUMBERS["o"], "S": _NUMBERS["l"], "x": _NUMBERS["l"]}  # with the layout of their length
_ERRORS: Final = "surrogateescape"  # what is not UTF-8 goes back as it came


def dumps(format: str, values: Sequence[Any]) -> bytes:  # noqa: A002  (py-amqp's name)
    """The bytes of ``values``, written as the letters of ``format`` say.

    Raises:
        FrameSyntaxError: more values than letters, or fewer; an unknown letter; a value that does not fit its letter.
    """
    if len(format) != len(values):
        raise FrameSyntaxError(f"{len(values)} values for {len(format)} letters, {format!r}: {values!r}")
    parts: list[bytes] = []
    bits = 0  # how many of the last part
    for letter, value in zip(format, values, strict=True):
        if letter == "b":
            if bits % 8 == 0:
                parts.append(b"\0")
            parts[-1] = bytes((parts[-1][0] | bool(value) << bits % 8,))
            bits += 1
            continue
        bits = 0
        try:
            parts.append(_write(letter, value))
        except (StructError, FieldError, TypeError, ValueError) as error:
            raise FrameSyntaxError(f"{value!r} cannot be written as {letter!r}: {error}") from None
    return b"".join(parts)


def _write(letter: str, value: Any) -> bytes:
    if letter in _NUMBERS:
        return _NUMBERS[letter].pack(value)
    if letter in _STRINGS:
        raw = value.encode("utf-8", _ERRORS) if isinstance(value, str) else _of_type(bytes, value or b"")
        return _STRINGS[letter].pack(len(raw)) + raw
    if letter == "F":
        return write_table(_of_type(Mapping, value or {}))
    if letter == "A":
        return _write_field(_of_type(list | tuple, value or []))
    if letter == "T":
        return _write_field(_of_type(datetime, value))
    raise TypeError("there is no such letter")


def _of_type(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"it is of type {type(value).__name__}")
    return value


def _write_field(value: FieldValue) -> bytes:
    """A value as it stands in a table, without its tag: the table's length, an empty name and the tag are 6 octets."""
    return write_table({"": value})[6:]


def loads(format: str, buf: bytes, offset: int) -> tuple[list[Any], int]:  # noqa: A002  (py-amqp's name)
    """The values in ``buf`` from ``offset`` on, as the letters of ``format`` say, and the offset behind them.

    Raises:
        FrameSyntaxError: bytes that end too early, or cannot be read; an unknown letter.
    """
    values: list[Any] = []
    bits = 0
    for letter in format:
        try:
            if letter == "b":
                if bits % 8 == 0:
                    offset += 1
                values.append(buf[offset - 1] & 1 << bits % 8 != 0)
                bits += 1
                continue
            bits = 0
            value, offset = _read(letter, buf, offset)
            values.append(value)
        except (IndexError, StructError, FieldError, TypeError) as error:
            raise FrameSyntaxError(f"no {letter!r} can be read at {offset} of {buf!r}: {error}") from None
    return values, offset


def _read(letter: str, buf: bytes, offset: int) -> tuple[Any, int]:
    if letter in _NUMBERS:
        layout = _NUMBERS[letter]
        (number,) = layout.unpack_from(buf, offset)
        return number, offset + layout.size
    if letter in _STRINGS:
        raw, offset = _sized(buf, offset, _STRINGS[letter])
        return raw if letter == "x" else raw.decode("utf-8", _ERRORS), offset
    if letter == "F":
        return read_table(buf, offset)
    if letter == "A":
        _, end = _sized(buf, offset, _NUMBERS["l"])
        return _read_field(b"A", buf[offset:end]), end
    if letter == "T":
        end = offset + 8
        return _read_field(b"T", buf[offset:end]), end
    raise TypeError("there is no such letter")


def _sized(buf: bytes, offset: int, length: Struct) -> tuple[bytes, int]:
    (size,) = length.unpack_from(buf, offset)
    start = offset + length.size
    if start + size > len(buf):
        raise IndexError("it runs past the end")
    return buf[start : start + size], start + size


def _read_field(tag: bytes, raw: bytes) -> FieldValue:
    """A value as it stands in a table behind its tag."""
    table, _ = read_table((2 + len(raw)).to_bytes(4) + b"\0" + tag + raw)
    return table[""]

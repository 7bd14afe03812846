"""Values as Erlang prints and compares them, because RabbitMQ does."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from struct import Struct
from typing import Any, Final

from hutch.fakebroker.erlang.hashing import Atom, Term
from hutch.wire.fields import FieldValue, Timestamp, UInt64, type_name

_DOUBLE: Final = Struct(">d")
#: Characters that Erlang prints as they are, or as an escape.
_PRINTABLE: Final = re.compile("[\b-\r\x1b -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_WORD: Final = re.compile("[a-z][0-9A-Za-z_@]*")
_EPOCH: Final = datetime(1970, 1, 1)


def print_text(value: FieldValue) -> str:
    """A field value as RabbitMQ puts it into a reply text: text bare, the rest as :func:`print_term`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else print_term(value)


def print_atom(name: str) -> str:
    """What is an atom to Erlang, as it prints it: in quotes unless it begins with a small letter and is one word."""
    return name if _WORD.fullmatch(name) else f"'{name}'"


def print_term(value: FieldValue) -> str:
    """A field value as Erlang's ``~p`` prints what RabbitMQ makes of it: ``1.0e3``, ``<<"text">>``, a table as
    ``[{<<"name">>,type,value}]``. All in one line, where Erlang breaks at 80 characters.
    """
    if isinstance(value, str | bytes):
        return print_binary(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)
    if isinstance(value, Mapping):
        pairs = ((name.encode("utf-8", "surrogateescape"), inner) for name, inner in value.items())
        fields = (f"{{{print_binary(name)},{type_text(inner)},{print_term(inner)}}}" for name, inner in pairs)
        return f"[{','.join(fields)}]"
    if isinstance(value, Sequence):
        return f"[{','.join(f'{{{type_text(inner)},{print_term(inner)}}}' for inner in value)}]"
    return _print_scalar(value)


def _print_scalar(value: bool | float | Decimal | datetime | None) -> str:
    if isinstance(value, float):
        return print_float(value)
    if value is None:
        return "undefined"
    if isinstance(value, datetime):
        return str(seconds(value))
    if isinstance(value, Decimal):
        return "{{{},{}}}".format(*_scale_and_unscaled(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_float(value: float) -> str:
    """A float as Erlang's shortest form: plain, or with an exponent where that takes fewer characters."""
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    power = len(text) - 1 + int(exponent)
    scientific = f"{text[0]}.{text[1:] or '0'}e{power}"
    plain = f"{abs(value):f}" if "e" in repr(value) else repr(abs(value))
    shorter = plain if len(plain) <= len(scientific) else scientific
    return f"-{shorter}" if value < 0 else shorter


def seconds(value: datetime | Timestamp) -> int:
    """A timestamp as the number it is on the wire."""
    return (value - _EPOCH) // timedelta(seconds=1) if isinstance(value, datetime) else int(value)


def _scale_and_unscaled(value: Decimal) -> tuple[int, int]:
    sign, digits, exponent = value.as_tuple()
    unscaled = int("".join(map(str, digits)))
    return -int(exponent), -unscaled if sign else unscaled


def comparable(value: FieldValue, *, int_equals_float: bool) -> Hashable:
    """A key: two values have equal keys when RabbitMQ takes the values for equal.

    RabbitMQ compares the decoded values without their types. Within tables and arrays the types count too.
    """
    if isinstance(value, Mapping):
        return tuple(
            (name, type_text(inner), comparable(inner, int_equals_float=int_equals_float))
            for name, inner in value.items()
        )
    if isinstance(value, str | bytes):
        return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(value)
    if isinstance(value, Sequence):
        return tuple((type_text(inner), comparable(inner, int_equals_float=int_equals_float)) for inner in value)
    return _comparable_scalar(value, int_equals_float)


def _comparable_scalar(value: bool | float | Decimal | datetime | None, int_equals_float: bool) -> Hashable:
    if value is None or isinstance(value, bool):
        return str(value)  # an atom, which equals no number
    if isinstance(value, float):
        return float(value) if int_equals_float else _DOUBLE.pack(value) + b" as float"
    if isinstance(value, datetime | Timestamp):
        return seconds(value)
    if isinstance(value, Decimal):
        return _scale_and_unscaled(value)
    return int(value) - (1 << 64) if isinstance(value, UInt64) and value >= 1 << 63 else int(value)


def typed_term(value: FieldValue) -> tuple[Term, ...]:
    """The type and the value that RabbitMQ has for a field."""
    return Atom(type_text(value)), erlang_term(value)


def erlang_term(value: FieldValue, *, milliseconds: bool = False) -> Term:
    """What RabbitMQ has for a field's value; timestamps in seconds unless asked otherwise."""
    if isinstance(value, str | bytes):
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    if isinstance(value, Mapping):
        return [(name.encode("utf-8", "surrogateescape"), *typed_term(inner)) for name, inner in value.items()]
    if isinstance(value, Sequence):
        return [typed_term(inner) for inner in value]
    return _scalar_term(value, milliseconds)


def _scalar_term(value: bool | float | Decimal | datetime | None, milliseconds: bool) -> Term:
    if value is None or isinstance(value, bool):
        return Atom("undefined" if value is None else str(value).lower())
    if isinstance(value, Decimal):
        return _scale_and_unscaled(value)
    if isinstance(value, datetime | Timestamp):
        return seconds(value) * (1000 if milliseconds else 1)
    if isinstance(value, float):
        return float(value)
    return int(value) - (1 << 64) if isinstance(value, UInt64) and value >= 1 << 63 else int(value)


def type_text(value: FieldValue) -> str:
    """RabbitMQ's name of a value's type in a reply text: an unsigned 64-bit number is a ``long`` to it."""
    name = type_name(value)
    return "long" if name == "unsignedlong" else name


def print_json(value: Any, *, text: Callable[[str], str]) -> str:
    """What JSON has, read by RabbitMQ and printed by Erlang, in one line: ``#{<<"key">> => [1,null]}``. ``text`` prints
    the texts in it: :func:`print_latin` as ``~p`` does, :func:`print_unicode` as ``~tp``.
    """
    if isinstance(value, str):
        return text(value)
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        pairs = ((text(key), print_json(inner, text=text)) for key, inner in sorted(value.items()))
        return f"#{{{','.join(f'{key} => {inner}' for key, inner in pairs)}}}"
    if isinstance(value, list | tuple):
        if value and all(isinstance(octet, int) and (octet in _ESCAPES or 32 <= octet <= 126) for octet in value):
            return print_binary(bytes(value))[2:-2]  # a list of characters is a string to Erlang
        return f"[{','.join(print_json(inner, text=text) for inner in value)}]"
    return print_term(value)


_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 27: "\\e", 34: '\\"', 92: "\\\\"}


def print_binary(value: bytes) -> str:
    """A binary as Erlang's ``~p``: text where all of it can be printed, else octets (CONN-FRAME-02)."""
    if not value:
        return "<<>>"
    if all(32 <= octet <= 126 or octet >= 160 or octet in _ESCAPES for octet in value):
        return '<<"' + "".join(_ESCAPES.get(octet) or chr(octet) for octet in value) + '">>'
    return f"<<{','.join(map(str, value))}>>"


def print_missing_queue(vhost: str, queue: str) -> str:
    """``{not_found,{resource,<<"vhost">>,queue,<<"queue">>}}`` as Erlang's ``~tp`` breaks it into lines of 80
    characters, behind the 27 of "failed to deliver message: " (TX-15).
    """
    where, name = print_unicode(vhost), print_unicode(queue)
    line = f"{{not_found,{{resource,{where},queue,{name}}}}}"
    if len(line) <= 51:
        return line
    lines = ["{resource"]
    for item, width in ((where, 42), ("queue", 42), (name, 41)):
        longer = f"{lines[-1]},{item}"
        if len(longer) <= (45 if len(lines) == 1 else width):
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(item)
    inner = f"\n{' ' * 35}".join(lines)
    return f"{{not_found,\n{' ' * 31}{inner}}}}}"


def print_latin(text: str) -> str:
    """Text as Erlang's ``~p`` prints its bytes, each as a character of Latin-1, and as a reader of UTF-8 sees that."""
    return print_binary(text.encode("utf-8", "surrogateescape")).encode("latin-1").decode("utf-8", "surrogateescape")


def print_unicode(text: str) -> str:
    """Text as Erlang's ``~tp`` prints its bytes."""
    if text.isascii() or not _PRINTABLE.fullmatch(text):
        return print_binary(text.encode("utf-8", "surrogateescape"))
    return f"""<<"{"".join(_ESCAPES.get(ord(letter), letter) for letter in text)}"/utf8>>"""


def frame_snippet(frame_type: int, payload: bytes) -> str:
    """A frame as RabbitMQ's texts show it (CONN-FRAME-02)."""
    amount = "all" if len(payload) <= 16 else "first 16"
    return f"type {frame_type}, {amount} octets = {print_binary(payload[:16])}"

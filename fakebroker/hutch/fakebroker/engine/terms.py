"""Values as Erlang prints them, because RabbitMQ's reply texts do."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hutch.wire.fields import FieldValue


def print_term(value: FieldValue) -> str:
    """A field value as it stands in a reply text: a float with its point (``1.0e3``), text bare, the rest as digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return print_float(value)
    if value is None:
        return "undefined"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping | Sequence | Decimal) and not isinstance(value, str):
        raise TypeError(f"no reply text prints {value!r}")
    return str(value)


def print_float(value: float) -> str:
    """A float as Erlang's shortest form: plain, or with an exponent where that takes fewer characters."""
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    power = len(text) - 1 + int(exponent)
    scientific = f"{text[0]}.{text[1:] or '0'}e{power}"
    plain = f"{abs(value):f}" if "e" in repr(value) else repr(abs(value))
    shorter = plain if len(plain) <= len(scientific) else scientific
    return f"-{shorter}" if value < 0 else shorter


_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 27: "\\e", 34: '\\"', 92: "\\\\"}


def print_binary(value: bytes) -> str:
    """A binary as Erlang's ``~p``: text where all of it can be printed, else octets (CONN-FRAME-02)."""
    if not value:
        return "<<>>"
    if all(32 <= octet <= 126 or octet >= 160 or octet in _ESCAPES for octet in value):
        return '<<"' + "".join(_ESCAPES.get(octet) or chr(octet) for octet in value) + '">>'
    return f"<<{','.join(map(str, value))}>>"


def frame_snippet(frame_type: int, payload: bytes) -> str:
    """A frame as RabbitMQ's texts show it (CONN-FRAME-02)."""
    amount = "all" if len(payload) <= 16 else "first 16"
    return f"type {frame_type}, {amount} octets = {print_binary(payload[:16])}"

"""Values of field tables as RabbitMQ's HTTP API has them in JSON, both ways."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from hutch.fakebroker.erlang.terms import seconds
from hutch.wire.fields import FieldTable, FieldValue, Int64, Timestamp, UInt64


class NullNotAllowed(ValueError):
    """JSON has null where RabbitMQ makes a field of it."""


def table_of_json(value: Mapping[str, Any]) -> FieldTable:
    """What RabbitMQ makes of a JSON object: integers are of 64 bits, null is refused.

    Raises:
        NullNotAllowed: there is a null in it.
    """
    return {key: _field(inner) for key, inner in value.items()}


def _field(value: Any) -> FieldValue:
    if value is None:
        raise NullNotAllowed("null_not_allowed")
    if isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return Int64(value)
    if isinstance(value, Mapping):
        return table_of_json(value)
    return [_field(inner) for inner in value]


def json_of_table(table: FieldTable) -> dict[str, Any]:
    """A field table as JSON, which has fewer types."""
    return {_text(key): json_of_field(value) for key, value in table.items()}


def json_of_field(value: FieldValue) -> Any:
    """One value as JSON: a timestamp in seconds, bytes as text, void as ``"undefined"``."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes):
        return _octets(value)
    if isinstance(value, Mapping):
        return json_of_table(value)
    if isinstance(value, Sequence):
        return [json_of_field(inner) for inner in value]
    return "undefined" if value is None else _scalar(value)


def _scalar(value: bool | float | Decimal | datetime) -> float:
    if isinstance(value, bool):
        return value
    if isinstance(value, datetime | Timestamp):
        return seconds(value)
    if isinstance(value, Decimal):
        # RabbitMQ prints scale and digits with a dot between them.
        _, digits, exponent = value.as_tuple()
        unscaled = int("".join(map(str, digits)))
        return float(f"{-int(exponent)}.{-unscaled & 0xFFFFFFFF if value.is_signed() else unscaled}")
    if isinstance(value, UInt64) and value >= 1 << 63:  # RabbitMQ reads it as signed
        return int(value) - (1 << 64)
    return float(value) if isinstance(value, float) else int(value)


def _text(text: str) -> str:
    return text if text.isascii() else _octets(text.encode("utf-8", "surrogateescape"))


def _octets(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return f"Not UTF-8, base64 is: {base64.b64encode(octets).decode()}"

"""What becomes of a message's properties on their way through the broker."""

import re
from collections.abc import Mapping

from hutch.wire.fields import FieldValue, Int64, UInt64, join_table, read_table, split_table, write_table
from hutch.wire.properties import NO_PROPERTIES, join_properties, split_properties

_NUMBER = re.compile(rb"\+?[0-9]+")
#: Field types whose bytes a RabbitMQ that decodes headers may write back in another way.
_REWRITTEN = frozenset(b"tLFA")


def delivered_properties(raw: bytes, decoded: bool, has_bcc: bool) -> bytes:
    """Properties as the broker passes them on; ``raw`` can be decoded.

    The BCC header is taken out (PUB-20). Where that rewrites the headers, booleans come out as 0 or 1, and unsigned
    64-bit numbers as signed ones (PUB-14). With ``decoded``, as in 4.3, all headers are rewritten: sorted by the bytes
    of their names, each once (PUB-15, PUB-16). Expiration then is plain digits, and unused flag bits are cleared.
    """
    if raw == NO_PROPERTIES or not (decoded or has_bcc):
        return raw
    parts = split_properties(raw)
    if "headers" in parts:
        pairs = [pair for pair in _rewritten_pairs(parts["headers"]) if pair[0] != b"BCC"]
        if decoded:
            first: dict[bytes, bytes] = {}
            for key, value in pairs:
                first.setdefault(key, value)
            pairs = sorted(first.items())
        parts["headers"] = join_table(pairs)
    if decoded and (number := _NUMBER.fullmatch(parts.get("expiration", b"")[1:])):
        digits = str(int(number[0])).encode()
        parts["expiration"] = bytes((len(digits),)) + digits
    return join_properties(parts)


def rewritten_properties(raw: bytes, **changed: bytes) -> bytes:
    """Properties with some ``changed``, as RabbitMQ writes them when it has read them all (PUB-14)."""
    parts = {**split_properties(raw), **changed}
    if "headers" in parts:
        parts["headers"] = join_table(_rewritten_pairs(parts["headers"]))
    return join_properties(parts)


def _rewritten_pairs(table: bytes) -> list[tuple[bytes, bytes]]:
    pairs, _ = split_table(table)
    return [(name, _rewritten(value) if value[0] in _REWRITTEN else value) for name, value in pairs]


def _rewritten(value: bytes) -> bytes:
    """A field's tag and value, decoded and encoded again."""
    table, _ = read_table(join_table([(b"", value)]))
    return write_table({"": signed(table[""])})[5:]


def signed(value: FieldValue) -> FieldValue:
    """A value as RabbitMQ writes what it has read: unsigned 64-bit numbers become signed ones (PUB-14)."""
    if isinstance(value, UInt64):
        return Int64(value - (1 << 64) if value >= 1 << 63 else value)
    if isinstance(value, Mapping):
        return {key: signed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [signed(inner) for inner in value]
    return value

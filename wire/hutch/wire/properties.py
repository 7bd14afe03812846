"""Basic properties (spec, section 4.2.6.1 and class ``basic``), kept as the bytes they came in until they are read."""

from collections.abc import Mapping
from struct import Struct
from struct import error as StructError
from typing import Final

from hutch.wire.fields import FieldError, FieldTable, FieldValue, TruncatedField, read_table, write_table

PropertyValue = FieldValue | FieldTable

_SHORT = Struct(">H")
_TIMESTAMP = Struct(">Q")

#: The properties in wire order: name, flag bit, wire type.
PROPERTIES: Final = (
    ("content_type", 1 << 15, "shortstr"),
    ("content_encoding", 1 << 14, "shortstr"),
    ("headers", 1 << 13, "table"),
    ("delivery_mode", 1 << 12, "octet"),
    ("priority", 1 << 11, "octet"),
    ("correlation_id", 1 << 10, "shortstr"),
    ("reply_to", 1 << 9, "shortstr"),
    ("expiration", 1 << 8, "shortstr"),
    ("message_id", 1 << 7, "shortstr"),
    ("timestamp", 1 << 6, "timestamp"),
    ("type", 1 << 5, "shortstr"),
    ("user_id", 1 << 4, "shortstr"),
    ("app_id", 1 << 3, "shortstr"),
    ("cluster_id", 1 << 2, "shortstr"),
)
FLAGS: Final = {name: flag for name, flag, _ in PROPERTIES}
NO_PROPERTIES: Final = b"\0\0"


class PropertyError(FieldError):
    """Properties that cannot be read (a value cut short, bytes left over) or written."""


def decode_properties(raw: bytes) -> dict[str, PropertyValue]:
    """The properties that ``raw`` (flags and values, the end of a content header) holds; absent ones are absent.

    ``timestamp`` is seconds since 1970 as an ``int``; ``headers`` a ``dict`` as :mod:`hutch.wire.fields` tells;
    ``delivery_mode`` and ``priority`` are ``int``, the rest ``str``. Bytes that are not UTF-8 come as surrogate
    escapes, and go back as they were. The two flag bits that no property has are ignored, as RabbitMQ does.

    Raises:
        PropertyError: the bytes do not hold what their flags say.
        UnknownFieldType: the headers hold a type tag that RabbitMQ does not know.
    """
    if raw == NO_PROPERTIES:
        return {}
    values: dict[str, PropertyValue] = {}
    try:
        (flags,) = _SHORT.unpack_from(raw)
        offset = 2
        for name, flag, kind in PROPERTIES:
            if not flags & flag:
                continue
            if kind == "shortstr":
                start = offset + 1
                offset = start + raw[offset]
                values[name] = raw[start:offset].decode("utf-8", "surrogateescape")
            elif kind == "octet":
                values[name] = raw[offset]
                offset += 1
            elif kind == "table":
                values[name], offset = read_table(raw, offset)
            else:
                (values[name],) = _TIMESTAMP.unpack_from(raw, offset)
                offset += 8
    except (IndexError, StructError, TruncatedField):
        raise PropertyError("property runs past its header") from None
    if offset != len(raw):
        raise PropertyError("properties do not end where their header does")
    return values


def split_properties(raw: bytes) -> dict[str, bytes]:
    """The properties that ``raw`` holds, each as its bytes on the wire, in wire order.

    Raises:
        PropertyError: the bytes do not hold what their flags say.
    """
    parts: dict[str, bytes] = {}
    flags = Properties(raw).flags
    offset = 2
    for name, flag, kind in PROPERTIES:
        if flags & flag:
            if kind == "table":
                size = 4 + int.from_bytes(raw[offset : offset + 4])
            elif kind == "shortstr":
                size = 1 + int.from_bytes(raw[offset : offset + 1])
            else:
                size = 1 if kind == "octet" else 8
            parts[name] = raw[offset : offset + size]
            offset += size
    if offset != len(raw):
        raise PropertyError("properties do not end where their header does")
    return parts


def join_properties(parts: Mapping[str, bytes]) -> bytes:
    """Flags and values for what :func:`split_properties` takes apart."""
    flags = sum(FLAGS[name] for name in parts)
    return _SHORT.pack(flags) + b"".join(parts[name] for name, _, _ in PROPERTIES if name in parts)


def encode_properties(values: Mapping[str, PropertyValue]) -> bytes:
    """Flags and values for the properties given; ``None`` counts as absent.

    Raises:
        PropertyError: a name that is no property, or a value that does not fit its wire type; both are named.
    """
    if not values:
        return NO_PROPERTIES
    flags = 0
    parts: list[bytes] = []
    known = 0
    for name, flag, kind in PROPERTIES:
        if name not in values:
            continue
        known += 1
        value = values[name]
        if value is None:
            continue
        flags |= flag
        parts.append(_encode_value(name, kind, value))
    if known != len(values):
        unknown = sorted(set(values) - FLAGS.keys())
        raise PropertyError(f"no basic property is named {', '.join(unknown)}")
    return _SHORT.pack(flags) + b"".join(parts)


def _encode_value(name: str, kind: str, value: PropertyValue) -> bytes:
    if kind == "table" and isinstance(value, Mapping):
        return write_table(value)
    if kind == "shortstr" and isinstance(value, str | bytes):
        raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        if len(raw) > 255:
            raise PropertyError(f"{name} is {len(raw)} bytes long, 255 at most")
        return bytes((len(raw),)) + raw
    if isinstance(value, int):
        if kind == "octet" and 0 <= value <= 255:
            return bytes((value,))
        if kind == "timestamp" and 0 <= value < 1 << 64:
            return _TIMESTAMP.pack(value)
    raise PropertyError(f"{name}={value!r} does not fit its wire type, {kind}")


class Properties:
    """The properties of one message: ``raw`` as on the wire, decoded the first time a value is asked for.

    Raises what :func:`decode_properties` raises, when first read.
    """

    __slots__ = ("_values", "raw")

    def __init__(self, raw: bytes = NO_PROPERTIES) -> None:
        self.raw: Final = raw
        self._values: dict[str, PropertyValue] | None = None

    @classmethod
    def of(cls, **values: PropertyValue) -> "Properties":
        """Properties from values by name."""
        return cls(encode_properties(values))

    @property
    def flags(self) -> int:
        """The 16 property flags, read without decoding a value; 0 where there is no room for them."""
        return (self.raw[0] << 8 | self.raw[1]) if len(self.raw) > 1 else 0

    @property
    def values(self) -> Mapping[str, PropertyValue]:
        """All properties that are present, by name."""
        if self._values is None:
            self._values = decode_properties(self.raw)
        return self._values

    @property
    def headers(self) -> FieldTable:
        """The ``headers`` table; empty where the message has none."""
        headers = self.values.get("headers")
        return headers if isinstance(headers, Mapping) else {}

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, Properties) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        try:
            inner = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        except FieldError as error:
            inner = f"{self.raw!r}: {error}"
        return f"Properties({inner})"

"""Field tables in RabbitMQ's dialect of AMQP 0-9-1 (https://www.rabbitmq.com/amqp-0-9-1-errata#section_3).

A value that was decoded encodes to the very bytes it came from. A plain Python type may forget the wire type, for
example the width of an integer. Such a value is an instance of a small subclass that remembers it. Users see plain
``int``, ``float`` and ``bytes``. What no encoder writes is not kept: a repeated key, a bool other than 0 and 1, the
payload of a float that is not a number.

=====  ======================  ==================================================
tag    RabbitMQ's name         Python value
=====  ======================  ==================================================
``t``  bool                    ``bool``
``b``  byte                    :class:`Int8`
``B``  unsignedbyte            :class:`UInt8`
``s``  short                   :class:`Int16`
``u``  unsignedshort           :class:`UInt16`
``I``  signedint               ``int``
``i``  unsignedint             :class:`UInt32`
``l``  long                    :class:`Int64` (a plain ``int`` too large for ``I`` is sent as ``l``)
``L``  unsignedlong            :class:`UInt64`
``f``  float                   :class:`Float32`
``d``  double                  ``float``
``D``  decimal                 :class:`decimal.Decimal`
``S``  longstr                 ``str``; ``bytes`` where it is not UTF-8
``x``  binary                  :class:`ByteArray`
``T``  timestamp               naive UTC :class:`datetime.datetime`; :class:`Timestamp` outside of its range
``F``  table                   ``dict``
``A``  array                   ``list``
``V``  void                    ``None``
=====  ======================  ==================================================
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from struct import Struct
from struct import error as StructError

FieldValue = (
    bool | int | float | str | bytes | Decimal | datetime | Mapping[str, "FieldValue"] | Sequence["FieldValue"] | None
)
FieldTable = Mapping[str, FieldValue]


class FieldError(ValueError):
    """Base of what goes wrong while a field table is read or written."""


class TruncatedField(FieldError):
    """A field or table runs past the end of the bytes that hold it."""


class UnknownFieldType(FieldError):
    """A type tag that RabbitMQ does not know. ``tag`` is the byte, an ``int``."""

    def __init__(self, tag: int) -> None:
        super().__init__(f"unknown field type {chr(tag)!r}")
        self.tag = tag


class Int8(int):
    """``b``: a signed 8-bit integer."""


class UInt8(int):
    """``B``: an unsigned 8-bit integer."""


class Int16(int):
    """``s``: a signed 16-bit integer (in RabbitMQ's dialect; not a short string)."""


class UInt16(int):
    """``u``: an unsigned 16-bit integer."""


class UInt32(int):
    """``i``: an unsigned 32-bit integer."""


class Int64(int):
    """``l``: a signed 64-bit integer."""


class UInt64(int):
    """``L``: an unsigned 64-bit integer."""


class Timestamp(int):
    """``T``: seconds since 1970 as an unsigned 64-bit integer, where ``datetime`` cannot hold them."""


class Float32(float):
    """``f``: a single-precision float."""


class ByteArray(bytes):
    """``x``: bytes with no character set."""


_OCTET = Struct(">B")
_LONG = Struct(">I")
_EMPTY_TABLE = b"\0\0\0\0"
_UINT64 = Struct(">Q")
_DECIMAL = Struct(">Bi")
_EPOCH = datetime(1970, 1, 1)  # naive UTC, because py-amqp returns naive UTC
_LAST_SECOND = int((datetime.max - _EPOCH).total_seconds())

_Reader = Callable[[bytes, int], tuple[FieldValue, int]]
_Writer = Callable[[FieldValue], bytes]


def read_table(buffer: bytes, offset: int = 0) -> tuple[dict[str, FieldValue], int]:
    """Read a field table that begins with its four-byte length.

    Returns the table and the offset behind it. Of a repeated key the last value counts.

    Raises:
        TruncatedField: the table, or a field of it, runs past the bytes there are.
        UnknownFieldType: a type tag outside of the dialect.
        FieldError: tables or arrays nested hundreds deep.
    """
    if buffer[offset : offset + 4] == _EMPTY_TABLE:
        return {}, offset + 4
    try:
        (size,) = _LONG.unpack_from(buffer, offset)
    except StructError:
        raise TruncatedField("field table without a length") from None
    offset += 4
    end = offset + size
    if end > len(buffer):
        raise TruncatedField("field table runs past its frame")
    return _read_pairs(buffer, offset, end), end


def _read_pairs(buffer: bytes, offset: int, end: int) -> dict[str, FieldValue]:
    table: dict[str, FieldValue] = {}
    try:
        while offset < end:
            start = offset + 1
            offset = start + buffer[offset]
            key = buffer[start:offset].decode("utf-8", "surrogateescape")
            table[key], offset = _READERS[buffer[offset]](buffer, offset + 1)
    except KeyError as unknown:
        raise UnknownFieldType(unknown.args[0]) from None
    except (IndexError, StructError):
        raise TruncatedField("field runs past its table") from None
    except RecursionError:
        raise FieldError("field table nested too deeply") from None
    if offset != end:
        raise TruncatedField("field runs past its table")
    return table


def split_table(buffer: bytes, offset: int = 0) -> tuple[list[tuple[bytes, bytes]], int]:
    """The fields of a table, as raw name and raw value (its tag first), repeated names too, and the offset behind it.

    Raises:
        TruncatedField, UnknownFieldType: as :func:`read_table`.
    """
    _, end = read_table(buffer, offset)
    offset += 4
    pairs: list[tuple[bytes, bytes]] = []
    while offset < end:
        start = offset + 1
        tag = start + buffer[offset]
        _, offset = _READERS[buffer[tag]](buffer, tag + 1)
        pairs.append((buffer[start:tag], buffer[tag:offset]))
    return pairs, end


def join_table(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The bytes of the table that :func:`split_table` takes apart."""
    body = b"".join([_OCTET.pack(len(name)) + name + value for name, value in pairs])
    return _LONG.pack(len(body)) + body


def write_table(table: FieldTable) -> bytes:
    """The bytes of a field table, its four-byte length first, keys in the mapping's order.

    Raises:
        FieldError: a value of a type that AMQP has no field for, or out of its field's range; the key is named.
    """
    if not table:
        return _EMPTY_TABLE
    fields: list[bytes] = []
    for key, value in table.items():
        write = _WRITERS.get(type(value)) or _writer_of_subclass(key, value)
        try:
            fields.append(_key(key) + write(value))
        except (StructError, OverflowError) as error:
            raise _out_of_range(key, value, error) from None
    body = b"".join(fields)
    return _LONG.pack(len(body)) + body


@lru_cache(maxsize=1024)
def _key(key: str) -> bytes:
    """The bytes of a field's name; messages of one application have the same few over and over."""
    encoded = key.encode("utf-8", "surrogateescape")
    if len(encoded) > 255:
        raise FieldError(f"field name of {len(encoded)} bytes, 255 at most: {key[:40]!r}...")
    return _OCTET.pack(len(encoded)) + encoded


def _write_value(key: object, value: FieldValue) -> bytes:
    write = _WRITERS.get(type(value)) or _writer_of_subclass(key, value)
    try:
        return write(value)
    except (StructError, OverflowError) as error:
        raise _out_of_range(key, value, error) from None


def _out_of_range(key: object, value: FieldValue, error: Exception) -> FieldError:
    return FieldError(f"{key!r}: {value!r} is out of range for its field: {error}")


def _writer_of_subclass(key: object, value: FieldValue) -> _Writer:
    for kind in type(value).__mro__:
        if writer := _WRITERS.get(kind):
            return writer
    if isinstance(value, Mapping):
        return _WRITERS[dict]
    if isinstance(value, Sequence):
        return _WRITERS[list]
    raise FieldError(f"{key!r}: a value of type {type(value).__name__} cannot be a field: {value!r}")


def type_name(value: FieldValue) -> str:
    """RabbitMQ's name of a value's wire type, as its reply texts print it (``longstr``, ``signedint``...)."""
    tag = _write_value("", value)[:1]
    return TYPE_NAMES[tag.decode()]


TYPE_NAMES = {
    "t": "bool",
    "b": "byte",
    "B": "unsignedbyte",
    "s": "short",
    "u": "unsignedshort",
    "I": "signedint",
    "i": "unsignedint",
    "l": "long",
    "L": "unsignedlong",
    "f": "float",
    "d": "double",
    "D": "decimal",
    "S": "longstr",
    "x": "binary",
    "T": "timestamp",
    "F": "table",
    "A": "array",
    "V": "void",
}


def _number(code: str, kind: type[int] | type[float]) -> _Reader:
    layout = Struct(">" + code)
    unpack, size = layout.unpack_from, layout.size
    if kind in {int, float}:
        return lambda buffer, offset: (unpack(buffer, offset)[0], offset + size)
    return lambda buffer, offset: (kind(unpack(buffer, offset)[0]), offset + size)


def _sized(buffer: bytes, offset: int) -> tuple[bytes, int]:
    (size,) = _LONG.unpack_from(buffer, offset)
    offset += 4
    end = offset + size
    if end > len(buffer):
        raise TruncatedField("field runs past its table")
    return buffer[offset:end], end


def _read_bool(buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    return buffer[offset] != 0, offset + 1


def _read_longstr(buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    raw, end = _sized(buffer, offset)
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        return raw, end


def _read_binary(buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    raw, end = _sized(buffer, offset)
    return ByteArray(raw), end


def _read_decimal(buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    scale, unscaled = _DECIMAL.unpack_from(buffer, offset)
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, -scale)), offset + 5


def _read_timestamp(buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    (seconds,) = _UINT64.unpack_from(buffer, offset)
    if seconds > _LAST_SECOND:
        return Timestamp(seconds), offset + 8
    return _EPOCH + timedelta(seconds=seconds), offset + 8


def _read_array(buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    (size,) = _LONG.unpack_from(buffer, offset)
    offset += 4
    end = offset + size
    values: list[FieldValue] = []
    while offset < end:
        read = _READERS.get(buffer[offset])
        if read is None:
            raise UnknownFieldType(buffer[offset])
        value, offset = read(buffer, offset + 1)
        values.append(value)
    if offset != end or end > len(buffer):
        raise TruncatedField("field runs past its array")
    return values, end


def _read_void(_buffer: bytes, offset: int) -> tuple[FieldValue, int]:
    return None, offset


_READERS: dict[int, _Reader] = {
    ord("t"): _read_bool,
    ord("b"): _number("b", Int8),
    ord("B"): _number("B", UInt8),
    ord("s"): _number("h", Int16),
    ord("u"): _number("H", UInt16),
    ord("I"): _number("i", int),
    ord("i"): _number("I", UInt32),
    ord("l"): _number("q", Int64),
    ord("L"): _number("Q", UInt64),
    ord("f"): _number("f", Float32),
    ord("d"): _number("d", float),
    ord("D"): _read_decimal,
    ord("S"): _read_longstr,
    ord("x"): _read_binary,
    ord("T"): _read_timestamp,
    ord("F"): read_table,
    ord("A"): _read_array,
    ord("V"): _read_void,
}


def _packer(tag: str, code: str) -> Callable[[int | float], bytes]:
    pack = Struct(">c" + code).pack
    prefix = tag.encode()
    return lambda value: pack(prefix, value)


_pack_signedint = _packer("I", "i")
_pack_long = _packer("l", "q")
_pack_unsignedlong = _packer("L", "Q")
_pack_timestamp = _packer("T", "Q")


def _write_int(value: int) -> bytes:
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return _pack_signedint(value)
    if value <= 0x7FFFFFFFFFFFFFFF:
        return _pack_long(value)
    return _pack_unsignedlong(value)


def _write_text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"S" + _LONG.pack(len(raw)) + raw


def _write_longstr(raw: bytes) -> bytes:
    return b"S" + _LONG.pack(len(raw)) + raw


def _write_decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise OverflowError("not a finite number")
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    if exponent > 0:
        unscaled, exponent = unscaled * 10**exponent, 0
    return b"D" + _DECIMAL.pack(-exponent, unscaled)


def _write_datetime(value: datetime) -> bytes:
    naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return _pack_timestamp((naive - _EPOCH) // timedelta(seconds=1))


def _write_array(values: Sequence[FieldValue]) -> bytes:
    body = b"".join([_write_value(index, value) for index, value in enumerate(values)])
    return b"A" + _LONG.pack(len(body)) + body


# Each writer accepts only the type in its key, which the mapping's type cannot express.
_WRITERS: dict[type, Callable[..., bytes]] = {
    bool: {False: b"t\0", True: b"t\1"}.__getitem__,
    Int8: _packer("b", "b"),
    UInt8: _packer("B", "B"),
    Int16: _packer("s", "h"),
    UInt16: _packer("u", "H"),
    int: _write_int,
    UInt32: _packer("i", "I"),
    Int64: _pack_long,
    UInt64: _pack_unsignedlong,
    Timestamp: _pack_timestamp,
    Float32: _packer("f", "f"),
    float: _packer("d", "d"),
    Decimal: _write_decimal,
    str: _write_text,
    bytes: _write_longstr,
    bytearray: _write_longstr,
    ByteArray: lambda value: b"x" + _LONG.pack(len(value)) + value,
    datetime: _write_datetime,
    dict: lambda value: b"F" + write_table(value),
    list: _write_array,
    tuple: _write_array,
    type(None): lambda _value: b"V",
}

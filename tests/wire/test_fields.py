from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.wire.fields import (
    ByteArray,
    FieldError,
    FieldTable,
    FieldValue,
    Float32,
    Int8,
    Int16,
    Int64,
    Timestamp,
    TruncatedField,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    UnknownFieldType,
    join_table,
    read_table,
    split_table,
    type_name,
    write_table,
)
from tests.wire.strategies import PER_CASE, SCALAR_BYTES, table_bytes, table_bytes_of, tables


def table_with(value: bytes) -> bytes:
    """A table whose one field, ``k``, is ``value``, tag first."""
    return (len(value) + 2).to_bytes(4) + b"\x01k" + value


def read_value(value: bytes) -> FieldValue:
    table, end = read_table(table_with(value))
    assert end == len(table_with(value))
    return table["k"]


def write_value(value: FieldValue) -> bytes:
    return write_table({"k": value})[6:]


@given(table_bytes)
def test_a_table_that_was_read_is_written_as_the_same_bytes(raw: bytes) -> None:
    table, end = read_table(raw)
    assert end == len(raw)
    assert write_table(table) == raw


@pytest.mark.parametrize("tag", SCALAR_BYTES)
@PER_CASE
@given(st.data())
def test_every_tag_is_written_as_the_same_bytes(tag: str, data: st.DataObject) -> None:
    value = tag.encode() + data.draw(SCALAR_BYTES[tag])
    assert write_value(read_value(value)) == value


@given(tables)
def test_a_table_that_was_written_is_read_as_equal_values(table: dict[str, FieldValue]) -> None:
    raw = write_table(table)
    assert read_table(raw) == (table, len(raw))


@given(table_bytes, st.binary(max_size=9), st.binary(max_size=9))
def test_a_table_is_read_at_an_offset(raw: bytes, before: bytes, behind: bytes) -> None:
    assert read_table(before + raw + behind, len(before)) == (read_table(raw)[0], len(before) + len(raw))


@given(table_bytes)
def test_a_table_split_and_joined_is_the_same_bytes(raw: bytes) -> None:
    pairs, end = split_table(raw)
    assert end == len(raw)
    assert join_table(pairs) == raw
    assert len(pairs) == len(read_table(raw)[0])


def test_splitting_keeps_repeated_names() -> None:
    raw = join_table([(b"k", b"V"), (b"k", b"t\1")])
    assert split_table(raw) == ([(b"k", b"V"), (b"k", b"t\1")], len(raw))
    assert read_table(raw)[0] == {"k": True}


# Expected encodings, from the table of field types on RabbitMQ's errata page.
KNOWN: list[tuple[FieldValue, bytes, str]] = [
    (True, b"t\1", "bool"),
    (False, b"t\0", "bool"),
    (Int8(-2), b"b\xfe", "byte"),
    (UInt8(254), b"B\xfe", "unsignedbyte"),
    (Int16(-2), b"s\xff\xfe", "short"),
    (UInt16(65534), b"u\xff\xfe", "unsignedshort"),
    (-2, b"I\xff\xff\xff\xfe", "signedint"),
    (UInt32(4294967294), b"i\xff\xff\xff\xfe", "unsignedint"),
    (Int64(-2), b"l\xff\xff\xff\xff\xff\xff\xff\xfe", "long"),
    (1 << 31, b"l\0\0\0\0\x80\0\0\0", "long"),
    (UInt64(1), b"L\0\0\0\0\0\0\0\1", "unsignedlong"),
    (1 << 63, b"L\x80\0\0\0\0\0\0\0", "unsignedlong"),
    (Float32(0.5), b"f\x3f\0\0\0", "float"),
    (0.5, b"d\x3f\xe0\0\0\0\0\0\0", "double"),
    (Decimal("-1.23"), b"D\2\xff\xff\xff\x85", "decimal"),
    ("é", b"S\0\0\0\2\xc3\xa9", "longstr"),
    (b"\xff", b"S\0\0\0\1\xff", "longstr"),
    (ByteArray(b"ab"), b"x\0\0\0\2ab", "binary"),
    (datetime(2009, 2, 13, 23, 31, 30), b"T\0\0\0\0\x49\x96\x02\xd2", "timestamp"),
    (Timestamp(1 << 63), b"T\x80\0\0\0\0\0\0\0", "timestamp"),
    ({"a": None}, b"F\0\0\0\3\1aV", "table"),
    ([True, []], b"A\0\0\0\7t\1A\0\0\0\0", "array"),
    (None, b"V", "void"),
]


@pytest.mark.parametrize(("value", "raw", "name"), KNOWN)
def test_known_bytes(value: FieldValue, raw: bytes, name: str) -> None:
    assert write_value(value) == raw
    assert type_name(value) == name
    read = read_value(raw)
    assert read == value
    assert type_name(read) == name


class Colour(IntEnum):
    RED = 3


class Word(StrEnum):
    YES = "yes"


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        (Colour.RED, 3),
        (Word.YES, "yes"),
        ((1, "a"), [1, "a"]),
        (range(3), [0, 1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (bytearray(b"text"), b"text"),
        (Decimal("12E2"), Decimal(1200)),
        (datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2020, 1, 1)),
        (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)),
        (datetime(2020, 1, 1, 0, 0, 0, 999999), datetime(2020, 1, 1)),
    ],
)
def test_values_of_related_types(value: Any, same_as: FieldValue) -> None:
    assert write_value(value) == write_value(same_as)


def test_keys_keep_their_order() -> None:
    assert list(read_table(write_table({"b": 1, "a": 2, "c": 3}))[0]) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"when": object()}, r"'when': a value of type object cannot be a field"),
        ({"n": 1 << 64}, r"'n': 18446744073709551616 is out of range"),
        ({"n": -(1 << 63) - 1}, r"'n': -9223372036854775809 is out of range"),
        ({"n": Int8(128)}, r"'n': 128 is out of range"),
        ({"n": UInt16(-1)}, r"'n': -1 is out of range"),
        ({"f": Float32(1e39)}, r"'f': 1e\+39 is out of range"),
        ({"d": Decimal("1E10")}, r"'d': Decimal\('1E\+10'\) is out of range"),
        ({"d": Decimal("1E-256")}, r"'d': .* is out of range"),
        ({"d": Decimal("NaN")}, r"'d': .* not a finite number"),
        ({"t": datetime(1969, 12, 31)}, r"'t': .* is out of range"),
        ({"l": [1, {1, 2}]}, r"1: a value of type set cannot be a field"),
        ({"k" * 256: 1}, r"field name of 256 bytes, 255 at most"),
    ],
)
def test_what_cannot_be_written_is_named(table: Any, message: str) -> None:
    with pytest.raises(FieldError, match=message):
        write_table(table)


def test_a_name_of_255_bytes_is_written() -> None:
    table: FieldTable = {"k" * 255: 1}
    assert read_table(write_table(table))[0] == table


@pytest.mark.parametrize("tag", "UZcn\0")
def test_an_unknown_tag_is_named(tag: str) -> None:
    for raw in (table_with(tag.encode()), table_with(b"A\0\0\0\1" + tag.encode())):
        with pytest.raises(UnknownFieldType, match="unknown field type") as raised:
            read_table(raw)
        assert raised.value.tag == ord(tag)


@given(table_bytes_of(table_bytes.map(lambda raw: b"F" + raw)), st.data())
def test_a_table_cut_short_is_refused(raw: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(TruncatedField):
        read_table(raw[:end])


@pytest.mark.parametrize(
    "raw",
    [
        table_with(b"I\0\0"),
        table_with(b"S\0\0\0\5abc"),
        table_with(b"F\0\0\0\5"),
        table_with(b"A\0\0\0\1I\0\0\0\1"),
        b"\0\0\0\1\5",
        b"\0\0\0\3\1kI\0\0\0\1",  # the value exists, but the table ends before it
        b"\0\0\0\2\1k" + b"V",
        b"\0\0\0\7\1kA\0\0\0\2" + b"VV",
    ],
)
def test_a_field_that_runs_past_its_table_is_refused(raw: bytes) -> None:
    with pytest.raises(TruncatedField):
        read_table(raw)


@pytest.mark.parametrize("tag", "FA")
def test_nesting_without_end_is_refused(tag: str) -> None:
    value = b"V"
    for _ in range(3000):
        value = (b"A" + len(value).to_bytes(4) + value) if tag == "A" else b"F" + table_with(value)
    with pytest.raises(FieldError, match="nested too deeply"):
        read_table(table_with(value))

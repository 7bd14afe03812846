from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.wire.fields import Int8, UnknownFieldType, write_table
from hutch.wire.properties import (
    FLAGS,
    NO_PROPERTIES,
    PROPERTIES,
    Properties,
    PropertyError,
    decode_properties,
    encode_properties,
)
from tests.wire.strategies import properties_of, table_bytes

RAW_BY_KIND = {
    "shortstr": st.binary(max_size=255).map(lambda raw: bytes((len(raw),)) + raw),
    "octet": st.binary(min_size=1, max_size=1),
    "timestamp": st.binary(min_size=8, max_size=8),
    "table": table_bytes,
}


def lay_out(values: dict[str, bytes]) -> bytes:
    """Flags, then values, by hand."""
    flags = sum(1 << (15 - place) for place, (name, _, _) in enumerate(PROPERTIES) if name in values)
    return flags.to_bytes(2) + b"".join(values[name] for name, _, _ in PROPERTIES if name in values)


raw_properties = properties_of(RAW_BY_KIND).map(lay_out)


@given(raw_properties)
def test_properties_that_were_decoded_are_encoded_as_the_same_bytes(raw: bytes) -> None:
    values = decode_properties(raw)
    assert encode_properties(values) == raw
    assert Properties(raw).values == values
    assert Properties.of(**values) == Properties(raw)


@given(properties_of())
def test_properties_that_were_encoded_are_decoded_as_equal(values: dict[str, Any]) -> None:
    raw = encode_properties(values)
    assert decode_properties(raw) == values
    assert Properties(raw).flags == sum(FLAGS[name] for name in values)


@given(raw_properties.filter(lambda raw: len(raw) > 2), st.data())
def test_properties_cut_short_or_too_long_are_refused(raw: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(raw) - 1))
    for bad in (raw[:end], raw + b"\0"):
        with pytest.raises(PropertyError):
            decode_properties(bad)


def test_known_bytes() -> None:
    raw = bytes.fromhex("9800") + b"\x0atext/plain" + b"\2" + b"\5"
    assert decode_properties(raw) == {"content_type": "text/plain", "delivery_mode": 2, "priority": 5}
    assert encode_properties({"priority": 5, "delivery_mode": 2, "content_type": "text/plain"}) == raw
    assert encode_properties({}) == NO_PROPERTIES == b"\0\0"


def test_none_counts_as_absent_and_empty_does_not() -> None:
    assert encode_properties({"type": None}) == NO_PROPERTIES
    assert decode_properties(encode_properties({"type": "", "priority": 0})) == {"type": "", "priority": 0}


def test_strings_that_are_not_utf_8_pass_through() -> None:
    raw = lay_out({"correlation_id": b"\2\xff\xfe", "message_id": b"\2\xc3\xa9"})
    values = decode_properties(raw)
    assert values["message_id"] == "é"
    assert encode_properties(values) == raw
    assert encode_properties({"correlation_id": b"\xff\xfe", "message_id": "é"}) == raw


def test_the_flags_of_no_property_are_ignored() -> None:  # CONN-FRAME-24, CONN-FRAME-25
    assert decode_properties(b"\x10\x02\x02") == {"delivery_mode": 2}
    assert decode_properties(b"\x10\x01\x02") == {"delivery_mode": 2}
    with pytest.raises(PropertyError, match="do not end where"):
        decode_properties(b"\x10\x01\0\0\x02")


def test_an_unknown_field_type_in_the_headers_is_named() -> None:
    headers = write_table({"k": None}).replace(b"V", b"U")
    with pytest.raises(UnknownFieldType, match="'U'"):
        decode_properties(lay_out({"headers": headers}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"contenttype": "x", "priority": 1}, "no basic property is named contenttype"),
        ({"type": "é" * 128}, "type is 256 bytes long, 255 at most"),
        ({"type": 5}, "type=5 does not fit its wire type, shortstr"),
        ({"priority": 256}, "priority=256 does not fit its wire type, octet"),
        ({"delivery_mode": "2"}, "delivery_mode='2' does not fit its wire type, octet"),
        ({"timestamp": -1}, "timestamp=-1 does not fit its wire type, timestamp"),
        ({"timestamp": 1 << 64}, "does not fit its wire type, timestamp"),
        ({"headers": [1]}, r"headers=\[1\] does not fit its wire type, table"),
        ({"headers": {"k": Int8(200)}}, "'k': 200 is out of range"),
    ],
)
def test_what_cannot_be_encoded_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_properties(values)


def test_properties_are_decoded_only_when_read() -> None:
    broken = Properties(b"\xff\xff")
    assert broken.flags == 0xFFFF
    assert broken == Properties(b"\xff\xff")
    assert hash(broken) == hash(Properties(b"\xff\xff"))
    with pytest.raises(PropertyError):
        _ = broken.values
    assert "runs past its header" in repr(broken)
    assert Properties(b"").flags == 0


def test_headers_and_repr() -> None:
    properties = Properties.of(headers={"a": 1}, type="t")
    assert properties.headers == {"a": 1}
    assert repr(properties) == "Properties(headers={'a': 1}, type='t')"
    assert Properties().headers == {}
    assert Properties() != NO_PROPERTIES

"""pamqp as an independent opinion, in both directions, on whatever it can say.

What it cannot say, and is therefore left out here: class ``access``; numbers above the signed range in ``longlong``
fields and behind the tag ``L``; seconds past the year 2106, which it takes for milliseconds; short strings that are not
UTF-8; writing any of the tags ``B``, ``d``, ``L``; choosing the width of an integer, which it takes from the value;
writing a property that is an empty string.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, decode, encode, frame, header, heartbeat

from hutch.wire.fields import Float32, Timestamp, read_table, write_table
from hutch.wire.frames import BODY, HEADER, HEARTBEAT_FRAME, METHOD, FrameParser, content_header, method_frame
from hutch.wire.frames import frame as frame_bytes
from hutch.wire.methods import METHODS, PROTOCOL_HEADER, Method, decode_method
from hutch.wire.properties import PROPERTIES, decode_properties, encode_properties
from tests.wire.strategies import (
    BY_KIND,
    PER_CASE,
    SCALAR_BYTES,
    kinds_of,
    methods_of,
    properties_of,
    table_bytes_of,
)

COMMANDS: Mapping[int, Any] = commands.INDEX_MAPPING
BOTH = [METHODS[index] for index in sorted(COMMANDS)]
each_method = pytest.mark.parametrize("method", BOTH, ids=lambda method: method.NAME)

text = st.text(st.characters(codec="utf-8"), max_size=20)
seconds = st.integers(0, 0xFFFFFFFF)
moments = seconds.map(lambda value: datetime.fromtimestamp(value, UTC))


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


# Tables that pamqp writes.

pamqp_scalars: st.SearchStrategy[Any] = (
    st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(width=32, allow_nan=False)
    | text
    | st.binary(max_size=20).map(bytearray)
    | st.decimals(min_value=-200000, max_value=200000, places=4, allow_nan=False, allow_infinity=False)
    | moments
    | st.none()
)
pamqp_values = st.recursive(
    pamqp_scalars,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(text, values, max_size=4),
    max_leaves=8,
)
pamqp_tables: st.SearchStrategy[dict[str, Any]] = st.dictionaries(text, pamqp_values, max_size=4)

# Tables that pamqp reads.

READABLE = {
    **SCALAR_BYTES,
    "L": st.integers(0, (1 << 63) - 1).map(lambda value: value.to_bytes(8)),
    "T": seconds.map(lambda value: value.to_bytes(8)),
}
readable_scalars = st.one_of([content.map(tag.encode().__add__) for tag, content in READABLE.items()])
keys = text.map(str.encode).map(lambda raw: raw[:12].decode(errors="ignore").encode())


def readable_tables(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return table_bytes_of(values, keys=keys)


def nested(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    arrays = st.lists(values, max_size=4).map(b"".join).map(lambda raw: b"A" + len(raw).to_bytes(4) + raw)
    return readable_tables(values).map(lambda raw: b"F" + raw) | arrays


readable_values = st.recursive(readable_scalars, nested, max_leaves=8)


def as_ours(value: Any) -> Any:
    """A value of pamqp's in the types of ours."""
    if isinstance(value, datetime):
        return naive(value)
    if isinstance(value, dict):
        return {key: as_ours(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_ours(item) for item in value]
    return value


def same(ours: Any, theirs: Any) -> bool:
    """Whether values are equal and of one type, as far as both tell it."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(value, theirs[key]) for key, value in ours.items())
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    kind = next(
        (each for each in (bool, int, float, str, Decimal, datetime) if isinstance(ours, each)),
        (bytes, bytearray, type(None)),
    )
    return isinstance(theirs, kind) and bool(ours == theirs)


@given(pamqp_tables)
def test_tables_that_pamqp_wrote(table: dict[str, Any]) -> None:
    raw = encode.field_table(table)
    ours, end = read_table(raw)
    assert end == len(raw)
    assert same(ours, as_ours(table))
    assert write_table(ours) == raw


@given(readable_tables(readable_values))
def test_tables_that_pamqp_reads(raw: bytes) -> None:
    ours, end = read_table(raw)
    assert write_table(ours) == raw
    consumed, theirs = decode.field_table(raw)
    assert consumed == end
    assert same(ours, as_ours(theirs))


@pytest.mark.parametrize("tag", READABLE)
@given(st.data())
def test_every_tag(tag: str, data: st.DataObject) -> None:
    value = tag.encode() + data.draw(READABLE[tag])
    raw = (len(value) + 2).to_bytes(4) + b"\x01k" + value
    ours, _ = read_table(raw)
    assert write_table(ours) == raw
    assert same(ours, as_ours(decode.field_table(raw)[1]))


# Methods.


def test_what_is_ours_alone() -> None:
    assert {method.NAME for index, method in METHODS.items() if index not in COMMANDS} == {
        "access.request",
        "access.request-ok",
        "basic.credit",
        "basic.credit-drained",
        "basic.credit-ok",
    }
    assert METHODS.keys() >= COMMANDS.keys()


@each_method
def test_declarations(method: type[Method]) -> None:
    command = COMMANDS[method.ID]
    theirs = {name: command.amqp_type(name) for name in command.attributes()}
    assert list(kinds_of(method).values()) == list(theirs.values())
    assert bool(method.REPLIES) == command.synchronous
    if command.synchronous:
        assert [name.replace(".", "") for name in command.valid_responses] == list(method.REPLIES)
    for name, other in zip(method.FIELDS, theirs, strict=True):
        reserved = name == "ticket" or name.startswith("reserved")
        renamed = {"type": "exchange_type"}.get(name, name)
        assert other == renamed or reserved


WHAT_PAMQP_READS = {
    **BY_KIND,
    "longlong": st.integers(0, (1 << 63) - 1),
    "longstr": text.map(str.encode) | st.binary(max_size=20),
    "table": readable_tables(readable_values).map(lambda raw: read_table(raw)[0]),
    "timestamp": seconds,
}


@each_method
@PER_CASE
@given(st.data())
def test_methods_that_pamqp_reads(method: type[Method], data: st.DataObject) -> None:
    ours = data.draw(methods_of(method, WHAT_PAMQP_READS))
    theirs = COMMANDS[method.ID].__new__(COMMANDS[method.ID])  # the constructor refuses unusual values
    theirs.unmarshal(ours.encode()[4:])
    kinds = kinds_of(method)
    for name, (_, value) in zip(method.FIELDS, theirs, strict=True):
        assert same(
            getattr(ours, name),
            value.encode() if isinstance(value, str) and kinds[name] == "longstr" else as_ours(value),
        )


WHAT_PAMQP_WRITES = {
    **BY_KIND,
    "longlong": st.integers(0, (1 << 63) - 1),
    "longstr": text,
    "table": pamqp_tables,
    "timestamp": moments,
}


@each_method
@PER_CASE
@given(st.data())
def test_methods_that_pamqp_wrote(method: type[Method], data: st.DataObject) -> None:
    command = COMMANDS[method.ID]
    unchecked: Any = type(command.__name__, (command,), {"validate": lambda _: None})
    theirs = unchecked.__new__(unchecked)
    for name in command.attributes():
        setattr(theirs, name, data.draw(WHAT_PAMQP_WRITES[command.amqp_type(name)]))
    raw = frame.marshal(theirs, 7)
    ((frame_type, channel, payload),) = FrameParser().feed(raw)
    assert (frame_type, channel) == (METHOD, 7)
    ours = decode_method(payload)
    assert method_frame(7, ours.encode()) == raw
    for name, (_, value) in zip(method.FIELDS, theirs, strict=True):
        ours_value = getattr(ours, name)
        assert same(ours_value.decode() if isinstance(ours_value, bytes) else ours_value, as_ours(value))


# Content.

THEIR_NAMES = {name: {"type": "message_type"}.get(name, name) for name, _, _ in PROPERTIES}


@given(properties_of(WHAT_PAMQP_READS), st.integers(0, (1 << 63) - 1))
def test_content_headers_that_pamqp_reads(values: dict[str, Any], size: int) -> None:
    raw = frame_bytes(HEADER, 3, content_header(size, encode_properties(values)))
    consumed, channel, theirs = frame.unmarshal(raw)
    assert (consumed, channel) == (len(raw), 3)
    assert isinstance(theirs, header.ContentHeader)
    assert [theirs.class_id, theirs.weight, theirs.body_size] == [60, 0, size]
    for name, other in THEIR_NAMES.items():
        value = getattr(theirs.properties, other)
        if name not in values:
            assert not value
        elif name == "timestamp":
            assert value == datetime.fromtimestamp(values[name], UTC)
        else:
            assert same(values[name], as_ours(value))


@given(properties_of(WHAT_PAMQP_WRITES), st.integers(0, (1 << 63) - 1))
def test_content_headers_that_pamqp_wrote(values: dict[str, Any], size: int) -> None:
    properties = commands.Basic.Properties()
    for name, value in values.items():
        setattr(properties, THEIR_NAMES[name], value)
    raw = frame.marshal(header.ContentHeader(body_size=size, properties=properties), 3)
    ((frame_type, channel, payload),) = FrameParser().feed(raw)
    assert (frame_type, channel) == (HEADER, 3)
    ours = decode_properties(payload[12:])
    assert frame_bytes(HEADER, 3, content_header(size, encode_properties(ours))) == raw
    written = {name: value for name, value in values.items() if value != ""}
    assert ours.keys() == written.keys()
    for name, value in written.items():
        assert same(ours[name], int(value.timestamp()) if name == "timestamp" else as_ours(value))


@given(st.binary(min_size=1, max_size=60), st.integers(0, 0xFFFF))
def test_body_frames(content: bytes, channel: int) -> None:
    raw = frame.marshal(body.ContentBody(content), channel)
    assert raw == frame_bytes(BODY, channel, content)
    assert list(FrameParser().feed(raw)) == [(BODY, channel, content)]


def test_heartbeat_and_protocol_header() -> None:
    assert frame.marshal(heartbeat.Heartbeat(), 0) == HEARTBEAT_FRAME
    assert isinstance(frame.unmarshal(HEARTBEAT_FRAME)[2], heartbeat.Heartbeat)
    assert header.ProtocolHeader().marshal() == PROTOCOL_HEADER


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Float32(0.1), b"f" + encode.floating_point(0.1)),
        (0.1, b"d" + encode.double(0.1)),
        (Timestamp(0xFFFFFFFF), b"T" + encode.timestamp(datetime(2106, 2, 7, 6, 28, 15))),
        (Decimal("-1.50"), b"D" + encode.decimal(Decimal("-1.50"))),
    ],
)
def test_values_whose_tag_pamqp_does_not_choose(ours: Any, theirs: bytes) -> None:
    assert write_table({"k": ours})[6:] == theirs

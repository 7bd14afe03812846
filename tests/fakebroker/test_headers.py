"""Headers exchanges: which values equal which, as live brokers have it.

``recorded/headers.json`` holds field values (tag and bytes, in hex) by made-up names and, for RabbitMQ 3.10 and 4.3,
the names of the bindings ``k=value`` that a message with a header ``k`` matched; a void argument, which matched always,
is left out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.fakebroker import Broker
from hutch.wire.fields import FieldTable, FieldValue
from hutch.wire.frames import content_frames, content_header, method_frame
from hutch.wire.methods import BasicPublish, ChannelClose, QueueBind, QueueBindOk

from .conftest import Connect
from .peers import Peer

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("headers.json").read_text())
VALUES: Mapping[str, bytes] = {name: bytes.fromhex(value) for name, value in RECORDED["values"].items()}


def table(name: str, value: bytes) -> bytes:
    """A field table of one field, whose value is raw: its tag first."""
    field = bytes((len(name),)) + name.encode() + value
    return pack(">I", len(field)) + field


def raw_bind(queue: str, exchange: str, name: str, value: bytes) -> bytes:
    """The frame of a queue.bind with one argument."""
    arguments = table(name, value)
    method = QueueBind(0, queue, exchange).encode()
    return method_frame(1, method.removesuffix(pack(">I", 0)) + arguments)


def raw_publish(exchange: str, name: str, value: bytes) -> bytes:
    """The frames of a basic.publish with one header."""
    header = content_header(0, pack(">H", 1 << 13) + table(name, value))
    return method_frame(1, BasicPublish(0, exchange).encode()) + content_frames(1, header, b"", 131072)


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_values_match_as_they_do_in_live_brokers(profile: str) -> None:
    with Broker(profile) as broker, Peer.opened(broker.transport()) as peer:
        for name, value in VALUES.items():
            peer.declare(name)
            peer.send(raw_bind(name, "amq.headers", "k", value))
            peer.expect(QueueBindOk)
        for name, value in VALUES.items():
            broker.history.clear()
            peer.send(raw_publish("amq.headers", "k", value))
            (published,) = broker.history.of("published")
            assert set(published.routed_to) == {*RECORDED[profile][name], "void"}, name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"F" + table("a", pack(">ci", b"I", 1)), 'type table (value [{<<"a">>,signedint,1}])'),
        (
            pack(">cIcicI3s", b"A", 13, b"I", 1, b"S", 3, b"abc"),
            'type array (value [{signedint,1},{longstr,<<"abc">>}])',
        ),
        (pack(">cBi", b"D", 2, 256), "type decimal (value {2,256})"),
        (pack(">cQ", b"T", 1700000000), "type timestamp (value 1700000000)"),
        (b"V", "type void (value undefined)"),
        (pack(">cI3s", b"x", 3, b"abc"), 'type binary (value <<"abc">>)'),
        (pack(">cd", b"d", 1e300), "type double (value 1.0e300)"),
        (pack(">cf", b"f", 1.5), "type float (value 1.5)"),
        (b"t\1", "type bool (value true)"),
        (b"b\xff", "type byte (value -1)"),
    ],
)
def test_an_x_match_of_another_type_is_shown_as_erlang_shows_it(manual: Broker, value: bytes, shown: str) -> None:
    with Peer.opened(manual.transport()) as peer:
        peer.declare("q")
        peer.send(raw_bind("q", "amq.headers", "x-match", value))
        text = f"PRECONDITION_FAILED - Invalid x-match field {shown}; expected longstr"
        assert peer.expect(ChannelClose) == ChannelClose(406, text, 50, 20)


def test_an_x_match_that_is_no_text_is_shown_character_by_character(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.send(raw_bind("q", "amq.headers", "x-match", b"S\0\0\0\2\xff\xfe"))
    assert '<<"ÿþ">>; expected all' in peer.expect(ChannelClose).reply_text


# Compared with a simple implementation of the rules

SCALARS: st.SearchStrategy[FieldValue] = st.sampled_from(["", "a", 0, 1, True, False, None])
KEYS = st.sampled_from(["a", "b", "x-c"])
MODES = st.sampled_from([None, "all", "any", "all-with-x", "any-with-x"])


def matches(mode: str | None, wanted: FieldTable, headers: FieldTable) -> bool:
    """As the documentation has it (EXCH-HEADERS-01 to EXCH-HEADERS-05)."""
    mode = mode or "all"
    results = [
        key in headers and (value is None or (type(value) is type(headers[key]) and value == headers[key]))
        for key, value in wanted.items()
        if mode.endswith("-with-x") or not key.startswith("x-")
    ]
    return all(results) if mode.startswith("all") else any(results)


@given(
    st.lists(st.tuples(MODES, st.dictionaries(KEYS, SCALARS)), max_size=5),
    st.lists(st.dictionaries(KEYS, SCALARS), min_size=1, max_size=5),
)
def test_bindings_match_as_documented(
    bindings: list[tuple[str | None, dict[str, FieldValue]]], messages: list[dict[str, FieldValue]]
) -> None:
    with Broker() as broker, Peer.opened(broker.transport()) as peer:
        for number, (mode, wanted) in enumerate(bindings):
            peer.declare(f"q{number}")
            arguments = {**wanted, **({"x-match": mode} if mode else {})}
            peer.method(QueueBind(0, f"q{number}", "amq.headers", arguments=arguments))
            peer.expect(QueueBindOk)
        for headers in messages:
            broker.history.clear()
            peer.publish("", b"", "amq.headers", headers=headers)
            (published,) = broker.history.of("published")
            expected = {f"q{number}" for number, binding in enumerate(bindings) if matches(*binding, headers)}
            assert set(published.routed_to) == expected

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.wire import methods
from hutch.wire.fields import TruncatedField, UnknownFieldType
from hutch.wire.methods import (
    METHODS,
    BasicDeliver,
    BasicGetOk,
    BasicPublish,
    ConnectionClose,
    ConnectionStart,
    ExchangeUnbindOk,
    MalformedShortStr,
    Method,
    MethodDecodeError,
    QueueDeclare,
    QueueDeclareOk,
    TxSelect,
    decode_method,
)
from tests.wire.strategies import PER_CASE, every_method, methods_of


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.NAME)
@PER_CASE
@given(st.data())
def test_a_method_that_was_encoded_is_decoded_as_equal(method: type[Method], data: st.DataObject) -> None:
    sent = data.draw(methods_of(method))
    payload = sent.encode()
    received = decode_method(payload)
    assert received == sent
    assert type(received) is method
    assert received.encode() == payload
    assert method.decode(b"behind" + payload[4:], offset=6) == sent


@given(every_method, st.data())
def test_a_method_cut_short_or_too_long_is_refused(sent: Method, data: st.DataObject) -> None:
    payload = sent.encode()
    bad = data.draw(st.sampled_from(range(4, len(payload))).map(lambda end: payload[:end])) if len(payload) > 4 else b""
    for raw in filter(None, [bad, payload + b"\0"]):
        with pytest.raises(MethodDecodeError) as raised:
            decode_method(raw)
        assert raised.value.arguments == raw[4:]
        assert raised.value.method is type(sent)


# Expected encodings, written by hand from the spec's grammar.
KNOWN: list[tuple[Method, bytes]] = [
    (TxSelect(), b"\0\x5a\0\x0a"),
    (ExchangeUnbindOk(), b"\0\x28\0\x33"),
    (
        QueueDeclare(queue="q", durable=True, auto_delete=True, arguments={"x": 1}),
        b"\0\x32\0\x0a" + b"\0\0" + b"\1q" + bytes((0b01010,)) + b"\0\0\0\7\1xI\0\0\0\1",
    ),
    (QueueDeclareOk("q", 2, 3), b"\0\x32\0\x0b" + b"\1q" + b"\0\0\0\2" + b"\0\0\0\3"),
    (
        BasicDeliver("tag", 1 << 40, True, "x", "key"),
        b"\0\x3c\0\x3c" + b"\3tag" + b"\0\0\1\0\0\0\0\0" + b"\1" + b"\1x" + b"\3key",
    ),
    (BasicPublish(exchange="x", mandatory=True), b"\0\x3c\0\x28" + b"\0\0" + b"\1x" + b"\0" + b"\1"),
    (
        ConnectionStart(mechanisms=b"PLAIN AMQPLAIN"),
        b"\0\x0a\0\x0a" + b"\0\x09" + b"\0\0\0\0" + b"\0\0\0\x0ePLAIN AMQPLAIN" + b"\0\0\0\5en_US",
    ),
    (ConnectionClose(320, "bye", 50, 10), b"\0\x0a\0\x32" + b"\1\x40" + b"\3bye" + b"\0\x32\0\x0a"),
]


@pytest.mark.parametrize(("method", "payload"), KNOWN, ids=lambda value: getattr(value, "NAME", ""))
def test_known_bytes(method: Method, payload: bytes) -> None:
    assert method.encode() == payload
    assert decode_method(payload) == method


def test_bits_are_packed_from_the_lowest() -> None:
    fields = ("passive", "durable", "exclusive", "auto_delete", "nowait")
    for place, name in enumerate(fields):
        declare = QueueDeclare()
        setattr(declare, name, True)
        assert declare.encode()[7] == 1 << place


def test_ids_and_names() -> None:
    assert BasicGetOk.ID == 60 << 16 | 71
    assert BasicGetOk.NAME == "basic.get-ok"
    assert methods.BasicRecoverAsync.NAME == "basic.recover-async"
    assert methods.ConnectionUpdateSecretOk.NAME == "connection.update-secret-ok"
    assert len({method.NAME for method in METHODS.values()}) == len(METHODS) == 69
    for number, method in METHODS.items():
        assert number == method.CLASS_ID << 16 | method.METHOD_ID
        assert getattr(methods, method.__name__) is method


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.NAME)
def test_replies_are_methods_of_the_same_class_that_the_other_side_sends(method: type[Method]) -> None:
    assert method.CLIENT or method.SERVER
    for name in method.REPLIES:
        reply = getattr(methods, name)
        assert reply.CLASS_ID == method.CLASS_ID
        assert reply.SERVER if method.CLIENT else reply.CLIENT
        assert reply.NAME.startswith(method.NAME)


def test_who_sends_what_carries_content() -> None:
    assert {method.NAME for method in METHODS.values() if method.CONTENT} == {
        "basic.publish",
        "basic.return",
        "basic.deliver",
        "basic.get-ok",
    }
    assert [(m.CLIENT, m.SERVER) for m in (BasicPublish, BasicDeliver, methods.BasicCancel)] == [
        (True, False),
        (False, True),
        (True, True),
    ]


def test_methods_compare_by_type_and_value() -> None:
    assert methods.ConnectionCloseOk() == methods.ConnectionCloseOk()
    assert methods.ConnectionCloseOk() != methods.ChannelCloseOk()
    assert methods.BasicAck(1) != methods.BasicAck(2)
    assert methods.BasicAck(1) != "basic.ack"
    assert repr(methods.BasicAck(1)) == "BasicAck(delivery_tag=1, multiple=False)"


def test_an_unknown_method_is_a_key_error() -> None:
    for ids in (99 << 16 | 1, 60 << 16 | 99):
        with pytest.raises(KeyError) as raised:
            decode_method(ids.to_bytes(4) + b"arguments")
        assert raised.value.args == (ids,)


@pytest.mark.parametrize("size", range(4))
def test_a_payload_without_room_for_two_ids_is_refused(size: int) -> None:
    with pytest.raises(TruncatedField):
        decode_method(b"\0\x3c\0"[:size])


def test_a_short_string_that_is_not_utf_8_is_refused() -> None:
    payload = QueueDeclareOk("q").encode().replace(b"\1q", b"\1\xff")
    with pytest.raises(MalformedShortStr):
        decode_method(payload)


def test_an_unknown_field_type_in_an_argument_table_is_refused() -> None:
    payload = QueueDeclare(arguments={"k": None}).encode().replace(b"\1kV", b"\1kZ")
    with pytest.raises(UnknownFieldType, match="'Z'"):
        decode_method(payload)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (BasicPublish(exchange="é" * 128), "255 bytes at most, not 256"),
        (BasicPublish(routing_key="\ud800"), "surrogates not allowed"),
    ],
)
def test_a_short_string_that_cannot_be_sent_is_refused(method: Method, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method.encode()


@pytest.mark.parametrize("method", [methods.BasicQos(prefetch_count=65536), methods.BasicAck(-1)])
def test_a_number_that_does_not_fit_is_refused(method: Any) -> None:
    with pytest.raises(ValueError, match=r"delivery_tag=-1 does not|prefetch_count=65536 does not"):
        method.encode()


def test_method_itself_is_not_on_the_wire() -> None:
    with pytest.raises(TypeError):
        Method.decode(b"")
    with pytest.raises(TypeError):
        Method.encode(TxSelect())

"""Messages by themselves."""

import copy
import pickle
from typing import Any

import amqp
import amqp.method_framing
import pytest

from hutch.client import Channel, FrameSyntaxError, Message
from hutch.client.message import ReceivedMessage
from hutch.wire.declaration import Method
from hutch.wire.fields import FieldError
from hutch.wire.frames import BODY, HEADER, METHOD, content_header, frame, method_frame
from hutch.wire.methods import BasicDeliver, BasicGet, BasicGetOk, BasicReturn
from hutch.wire.properties import NO_PROPERTIES, PROPERTIES, Properties, decode_properties, encode_properties
from tests.client.scripted import Server


def test_a_message() -> None:
    message = Message(b"body", content_type="text/plain", application_headers={"a": 1})
    assert message.body == b"body"
    assert message.properties == {"content_type": "text/plain", "application_headers": {"a": 1}}
    assert message.headers == {"a": 1}
    assert message.content_type == "text/plain"
    assert message.delivery_info is None
    assert message.delivery_tag is None
    assert message.channel is None
    assert Message().body == ""


def test_properties_are_attributes_and_others_are_not() -> None:
    message = Message(b"", priority=3)
    assert message.priority == 3
    with pytest.raises(AttributeError, match="'correlation_id'"):
        _ = message.correlation_id
    assert not hasattr(message, "content_encoding")
    setattr(message, "seen", True)  # noqa: B010  (applications hang their own things on messages)
    assert message.seen
    message.delivery_info = {"delivery_tag": 4}
    assert message.delivery_tag == 4


def test_what_an_application_sets_comes_before_a_property() -> None:
    """As with py-amqp's messages, which have what they are given under any name, and keep properties apart."""
    for kind in (Message, amqp.Message):
        message: Any = kind(b"", priority=3, color="red")
        assert (message.priority, message.color) == (3, "red")
        message.priority = 4
        assert message.priority == 4
        assert message.properties == {"priority": 3, "color": "red"}


def test_every_property_goes_out_and_comes_back() -> None:
    properties = {
        name: {"a": [1, None]} if kind == "table" else 7 if kind in {"octet", "timestamp"} else "x"
        for name, _, kind in PROPERTIES
    }
    properties["application_headers"] = properties.pop("headers")
    raw, body = Message(b"body", **properties).content()
    assert len(decode_properties(raw)) == 14
    received = ReceivedMessage(None, body, raw)
    assert received.properties == properties
    assert list(received.properties)[:4] == ["content_type", "content_encoding", "application_headers", "delivery_mode"]


def test_the_same_properties_are_the_same_bytes() -> None:
    first, _ = Message(b"", content_type="a", delivery_mode=2).content()
    second, _ = Message(b"", content_type="a", delivery_mode=2).content()
    third, _ = Message(b"", content_type="a", delivery_mode=1).content()
    assert first == second == Properties.of(content_type="a", delivery_mode=2).raw
    assert third != first
    assert Message(b"").content() == (NO_PROPERTIES, b"")


def test_many_different_properties() -> None:
    for number in range(2000):
        raw, _ = Message(b"", content_type=str(number)).content()
        assert decode_properties(raw) == {"content_type": str(number)}


def test_a_received_message() -> None:
    message = ReceivedMessage(None, b"body", NO_PROPERTIES, 5, ("tag", False, "e", "k"))
    assert isinstance(message, Message)
    assert message.delivery_tag == 5
    info = message.delivery_info
    assert info == {
        "consumer_tag": "tag",
        "delivery_tag": 5,
        "redelivered": False,
        "exchange": "e",
        "routing_key": "k",
    }
    assert message.delivery_info is info
    info["delivery_tag"] = 6
    assert message.delivery_tag == 6
    message.properties = {"type": "t"}
    assert message.type == "t"


def test_properties_that_cannot_be_read_are_an_error_when_read() -> None:
    message = ReceivedMessage(None, b"body", b"\x80\x00\xff", 5, ("tag", False, "e", "k"))
    assert message.delivery_tag == 5
    with pytest.raises(FieldError):
        _ = message.properties
    for raw in (b"\xc0\x00", b"\x40\x00", b"\xc0\x00\x09a"):
        message = ReceivedMessage(None, b"body", raw)
        message.decode_body()
        assert message.body == b"body"


@pytest.mark.parametrize(
    "message",
    [
        Message(b"body", type="t"),
        ReceivedMessage(None, b"body", Properties.of(type="t").raw, 5, ("tag", False, "e", "k")),
    ],
)
def test_copies(message: Message) -> None:
    for other in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert other.body == b"body"
        assert other.properties == {"type": "t"}
        assert other.delivery_info == message.delivery_info


def test_repr() -> None:
    assert repr(Message("häj", type="t")) == "<Message of 3 str, {'type': 't'}>"


# the attributes of received messages in py-amqp

FRAMING = ["frame_method", "frame_args", "body_size", "body_received", "ready"]


def test_a_message_that_did_not_come_in() -> None:
    assert [getattr(Message(b"body"), name) for name in FRAMING] == [
        getattr(amqp.Message(b"body"), name) for name in FRAMING
    ]
    assert amqp.Message.CLASS_ID == Message.CLASS_ID
    assert amqp.Message.PROPERTIES == Message.PROPERTIES


@pytest.mark.parametrize("properties", [{}, {"content_encoding": "utf-8", "priority": 3}], ids=["bare", "text"])
@pytest.mark.parametrize("body", [b"", "é".encode()], ids=["empty", "body"])
@pytest.mark.parametrize("how", [BasicDeliver, BasicGetOk])
def test_a_message_that_came_in(
    server: Server, channel: Channel, how: type[Method], body: bytes, properties: dict[str, Any]
) -> None:
    """All that py-amqp's own frame handler would have made of it."""
    deliver, get_ok = BasicDeliver("made-up", 5, True, "x", "k"), BasicGetOk(5, True, "x", "k", 7)
    method = deliver if how is BasicDeliver else get_ok
    header = content_header(len(body), encode_properties(properties))
    frames = [(METHOD, 1, method.encode()), (HEADER, 1, header), *([(BODY, 1, body)] if body else [])]
    made: list[Any] = []
    on_frame = amqp.method_framing.frame_handler(amqp.Connection(), lambda *args: made.append(args[3]))
    for one in frames:
        on_frame(one)

    got: list[Any] = []
    channel.basic_consume("q", callback=got.append)
    if method is deliver:
        server.say(*[frame(*one) for one in frames])
        assert channel.connection is not None
        channel.connection.drain_events(timeout=1)
    else:
        server.answers[BasicGet] = lambda _: [frame(*one) for one in frames]
        got.append(channel.basic_get("q"))
    assert {name: getattr(got[0], name) for name in FRAMING} == {name: getattr(made[0], name) for name in FRAMING}


def test_a_message_that_came_back(server: Server, channel: Channel) -> None:
    back: list[Message] = []
    channel.events["basic_return"].add(lambda *args: back.append(args[3]))
    returned = method_frame(1, BasicReturn(312, "NO_ROUTE", "x", "k").encode())
    server.say(returned, frame(HEADER, 1, content_header(2, NO_PROPERTIES)), frame(BODY, 1, b"hi"))
    assert channel.connection is not None
    channel.connection.drain_events(timeout=1)
    assert (back[0].frame_method, back[0].body_size, back[0].ready) == ((60, 50), 2, True)


def test_a_message_put_together_by_hand() -> None:
    raw = encode_properties({"headers": {"a": 1}, "type": "t"})
    message = Message(frame_method=(60, 60), frame_args=b"arguments")
    assert message.inbound_header(b"skip" + content_header(3, raw), 4) == 4 + 12
    assert (message.body_size, message.body_received, message.ready) == (3, 0, False)
    message.inbound_body(b"a")
    assert (message.body_received, message.ready) == (1, False)
    message.inbound_body(b"bc")
    assert (message.body_received, message.ready, message.body) == (3, True, b"abc")
    assert (message.frame_method, message.frame_args) == ((60, 60), b"arguments")
    assert message.properties == {"application_headers": {"a": 1}, "type": "t"}
    assert message.content() == (raw, b"abc")


@pytest.mark.parametrize("header", [b"", content_header(1, b"\x80\0\x05ab")], ids=["cut short", "a property cut short"])
def test_a_header_that_cannot_be_read(header: bytes) -> None:
    with pytest.raises(FrameSyntaxError, match="header that cannot be read"):
        Message().inbound_header(header)

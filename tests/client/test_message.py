"""Messages by themselves."""

import copy
import pickle

import pytest

from hutch.client import Message
from hutch.client.message import ReceivedMessage
from hutch.wire.fields import FieldError
from hutch.wire.properties import NO_PROPERTIES, PROPERTIES, Properties, decode_properties


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

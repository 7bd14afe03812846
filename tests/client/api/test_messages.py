"""Messages: what goes in comes out, on every broker."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from hutch.client import Channel, FrameSyntaxError, Message, ReceivedMessage
from hutch.wire.fields import ByteArray, Float32, Int8, Int16, Int64, Timestamp, UInt8, UInt16, UInt32
from tests.client.api.reference import shows
from tests.client.api.steps import fetch

PROPERTIES: dict[str, Any] = {
    "content_type": "application/json",
    "content_encoding": "utf-8",
    "application_headers": {"attempt": 2},
    "delivery_mode": 2,
    "priority": 7,
    "correlation_id": "c-1",
    "reply_to": "answers",
    "expiration": "60000",
    "message_id": "m-1",
    "timestamp": 1_700_000_000,
    "type": "order.created",
    "user_id": "guest",
    "app_id": "shop",
    "cluster_id": "east",
}


def there_and_back(channel: Channel, queue: str, message: Message) -> ReceivedMessage:
    channel.basic_publish(message, routing_key=queue)
    return fetch(channel, queue)


@shows("Message.properties", *(f"Message.{name}" for name in PROPERTIES))
def test_all_fourteen_properties(channel: Channel, queue: str) -> None:
    received = there_and_back(channel, queue, Message(b'{"id": 1}', **PROPERTIES))
    assert received.properties == PROPERTIES
    for name, value in PROPERTIES.items():
        assert getattr(received, name) == value


@pytest.mark.parametrize("name", PROPERTIES)
def test_each_property_alone(channel: Channel, queue: str, name: str) -> None:
    received = there_and_back(channel, queue, Message(b"x", **{name: PROPERTIES[name]}))
    assert received.properties == {name: PROPERTIES[name]}


@shows("Message.properties")
def test_what_is_absent_is_absent(channel: Channel, queue: str) -> None:
    received = there_and_back(channel, queue, Message(b"x", content_type=None))
    assert received.properties == {}
    assert received.headers is None
    with pytest.raises(AttributeError, match="content_type"):
        _ = received.content_type


@shows("Message.__init__(body)", "Message.body")
@pytest.mark.parametrize(
    ("body", "properties", "received", "encoding"),
    [
        (b"\x00\xff", {}, b"\x00\xff", None),
        ("Grüße", {}, "Grüße", "utf-8"),
        ("Grüße", {"content_encoding": "latin-1"}, "Grüße", "latin-1"),
        (b"\xff", {"content_encoding": "utf-8"}, b"\xff", "utf-8"),
        (b"\x1f\x8b", {"content_encoding": "gzip"}, b"\x1f\x8b", "gzip"),
        (bytearray(b"1"), {}, b"1", None),
        ("", {}, "", "utf-8"),
        (b"", {}, b"", None),
    ],
    ids=["bytes", "text", "text in latin-1", "no utf-8", "no codec of text", "bytearray", "no text", "no bytes"],
)
def test_bodies(
    channel: Channel, queue: str, body: Any, properties: dict[str, str], received: object, encoding: str | None
) -> None:
    message = there_and_back(channel, queue, Message(body, **properties))
    assert message.body == received
    assert message.properties.get("content_encoding") == encoding


@shows("Message.headers", "Message.application_headers")
def test_headers_of_every_type(channel: Channel, queue: str) -> None:
    headers = {
        "text": "Grüße",
        "small": 1,
        "negative": -(2**40),
        "large": 2**62,
        "true": True,
        "false": False,
        "float": 1.5,
        "void": None,
        "moment": datetime(2026, 11, 23, 12, 0, 0),  # UTC
        "decimal": Decimal("12.34"),
        "list": [1, "two", [3.0, None], {"four": 5}],
        "table": {"nested": {"deeper": [True]}},
        "empty list": [],
        "empty table": {},
    }
    received = there_and_back(channel, queue, Message(b"x", application_headers=headers))
    assert received.headers == received.application_headers == headers
    assert received.headers is not None
    for name, value in headers.items():
        assert isinstance(received.headers[name], type(value)), name


@shows("Message.headers")
@pytest.mark.parametrize(
    "value",
    [
        Int8(-7),
        UInt8(200),
        Int16(-300),
        UInt16(60000),
        UInt32(4_000_000_000),
        Int64(2**60),
        Timestamp(2**60),
        Float32(0.5),
        ByteArray(b"\x00\xff"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_headers_of_a_type_that_is_asked_for(channel: Channel, queue: str, value: object) -> None:
    received = there_and_back(channel, queue, Message(b"x", application_headers={"value": value}))
    assert received.headers == {"value": value}


@shows("Message.__init__(channel)", "Message.channel", "Message.delivery_info", "Message.delivery_tag")
def test_a_message_of_ones_own(channel: Channel, queue: str) -> None:
    message = Message(b"x", channel=channel, message_id="1")
    assert (message.channel, message.delivery_info, message.delivery_tag) == (channel, None, None)
    received = there_and_back(channel, queue, message)
    assert received.channel is channel
    assert received.delivery_tag == 1
    assert received.delivery_info["delivery_tag"] == 1


@shows("Message.properties")
def test_properties_may_be_changed(channel: Channel, queue: str) -> None:
    message = Message(b"1", priority=1)
    message.properties["priority"] = 2
    message.properties["message_id"] = "m"
    received = there_and_back(channel, queue, message)
    assert received.properties == {"priority": 2, "message_id": "m"}
    received.properties["priority"] = 3
    received.body = b"2"
    again = there_and_back(channel, queue, received)
    assert (again.body, again.properties) == (b"2", {"priority": 3, "message_id": "m"})


@shows("Message.__init__")
def test_names_that_are_no_properties_are_not_sent(channel: Channel, queue: str) -> None:
    assert there_and_back(channel, queue, Message(b"x", colour="blue", app_id="a")).properties == {"app_id": "a"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("priority", 256), ("priority", "high"), ("message_id", "x" * 256), ("application_headers", {"": object()})],
)
def test_a_property_that_does_not_fit(channel: Channel, queue: str, name: str, value: object) -> None:
    with pytest.raises(FrameSyntaxError):
        channel.basic_publish(Message(b"x", **{name: value}), routing_key=queue)
    assert there_and_back(channel, queue, Message(b"1")).body == b"1"  # nothing was sent, so the channel stays usable

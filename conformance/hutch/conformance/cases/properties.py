"""Message properties and headers, and how they come back (PUB-11 to PUB-16, PUB-24)."""

import struct
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table, true
from hutch.conformance.rabbit import Rabbit, body
from hutch.conformance.raw import RawChannel, properties_of
from hutch.wire import methods as amqp
from hutch.wire.fields import (
    ByteArray,
    FieldTable,
    FieldValue,
    Float32,
    Int8,
    Int16,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from hutch.wire.properties import PropertyValue


def _raw_properties(channel: RawChannel, queue: str) -> bytes:
    content = channel.get(queue, no_ack=True)
    if content is None:
        raise AssertionError(f"no message in {queue!r}")
    return content.properties


def _round_trip(channel: RawChannel, queue: str, **properties: Any) -> Mapping[str, PropertyValue]:
    channel.publish(b"x", routing_key=queue, **properties)
    content = channel.get(queue, no_ack=True)
    if content is None:
        raise AssertionError(f"no message in {queue!r}")
    return properties_of(content)


@case("PUB-13")
def all_properties_round_trip(rabbit: Rabbit) -> None:
    """All fourteen properties come back as they were."""
    channel, queue = rabbit.raw_queue()
    properties: dict[str, PropertyValue] = {
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "headers": {"a": 1},
        "delivery_mode": 2,
        "priority": 5,
        "correlation_id": "correlation",
        "reply_to": "reply",
        "expiration": "60000",
        "message_id": "message",
        "timestamp": 1600000000,
        "type": "type",
        "user_id": rabbit.userid,
        "app_id": "app",
        "cluster_id": "cluster",
    }
    equal(_round_trip(channel, queue, **properties), properties)


@case("PUB-13")
def absent_properties_stay_absent(rabbit: Rabbit) -> None:
    """A message without properties has none; an empty string, a zero and an empty table are not absent."""
    channel, queue = rabbit.raw_queue()
    equal(_round_trip(channel, queue), {})
    present: dict[str, PropertyValue] = {"correlation_id": "", "priority": 0, "timestamp": 0, "headers": {}}
    for name, value in present.items():
        equal(_round_trip(channel, queue, **{name: value}), {name: value})


@case("PUB-11", profiles=["3.10"])
def unknown_delivery_modes_are_refused(rabbit: Rabbit) -> None:
    """3.x knows the delivery modes 1 and 2 only."""
    channel, queue = rabbit.raw_queue()
    for number, mode in enumerate((0, 3, 255), 2):
        refused = channel.connection.channel(number)
        refused.publish(b"x", routing_key=queue, delivery_mode=mode)
        refused.expect_close(406, f"invalid message: {{delivery_mode_unknown,{mode}}}", (60, 40))


@case("PUB-11", profiles=["4.3"])
def unknown_delivery_modes_are_kept(rabbit: Rabbit) -> None:
    """4.x takes any delivery mode and gives it back."""
    channel, queue = rabbit.raw_queue()
    for mode in (0, 3, 255):
        equal(_round_trip(channel, queue, delivery_mode=mode), {"delivery_mode": mode})


@case("PUB-12")
def priorities_are_kept(rabbit: Rabbit) -> None:
    """Any priority comes back, on a queue without priorities too."""
    channel, queue = rabbit.raw_queue()
    for priority in (0, 1, 9, 255):
        equal(_round_trip(channel, queue, priority=priority), {"priority": priority})


@case("PUB-14")
def header_types_round_trip(rabbit: Rabbit) -> None:
    """Every type of header field comes back with its wire type and value, nested ones and empty ones too."""
    channel, queue = rabbit.raw_queue()
    headers: dict[str, FieldValue] = {
        "t": True,
        "b": Int8(-5),
        "B": UInt8(200),
        "s": Int16(-3000),
        "u": UInt16(60000),
        "I": -70000,
        "i": UInt32(4000000000),
        "l": Int64(-5000000000),
        "f": Float32(1.5),
        "d": 3.25,
        "D": Decimal("12.34"),
        "S": "text",
        "x": ByteArray(b"\0\xff"),
        "T": datetime(2020, 5, 17, 12, 0, 1),
        "F": {"nested": {"deeper": [1, {"x": Int8(1)}]}},
        "A": [1, "two", [3.0], {}],
        "V": None,
        "empty table": {},
        "empty array": [],
        "": "empty key",
    }
    same_table(_round_trip(channel, queue, headers=headers)["headers"], headers)


@case("PUB-14")
def unsigned_64_bit_headers(rabbit: Rabbit) -> None:
    """An unsigned 64-bit integer comes back as one in 3.x, as a signed one in 4.x."""
    channel, queue = rabbit.raw_queue()
    got = _round_trip(channel, queue, headers={"L": UInt64(5)})["headers"]
    same_table(got, {"L": rabbit.by_profile({"3.10": UInt64(5), "4.3": Int64(5)})})


@case("PUB-14", "DLX-02", "PUB-20", "QUORUM-02", "RPC-05")
def headers_that_are_rewritten(rabbit: Rabbit) -> None:
    """In 3.x, too, an unsigned 64-bit integer comes back as a signed one where the broker adds a header, or takes one
    out: from a dead-letter exchange, with BCC, from a quorum queue, with the name for replies.
    """
    channel, queue = rabbit.raw_queue()
    published: dict[str, FieldValue] = {"L": UInt64((1 << 63) + 5), "A": [UInt64(7), {"L": UInt64(8)}]}
    wanted: dict[str, FieldValue] = {"L": Int64(5 - (1 << 63)), "A": [Int64(7), {"L": Int64(8)}]}
    dying, quorum = rabbit.name(), rabbit.name()
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue, "x-message-ttl": 0}
    channel.call(amqp.QueueDeclare(queue=dying, arguments=arguments))
    channel.call(amqp.QueueDeclare(queue=quorum, durable=True, arguments={"x-queue-type": "quorum"}))
    channel.call(amqp.BasicConsume(queue="amq.rabbitmq.reply-to", no_ack=True))
    ways: tuple[tuple[str, FieldTable, dict[str, Any]], ...] = (
        (dying, {}, {}),
        (queue, {"BCC": []}, {}),
        (quorum, {}, {}),
        (queue, {}, {"reply_to": "amq.rabbitmq.reply-to"}),
    )
    for where, more, properties in ways:
        channel.publish(routing_key=where, headers={**published, **more}, **properties)
        source = quorum if where == quorum else queue
        channel.expect_ready(source, 1)
        got = properties_of(channel.got(source, no_ack=True))["headers"]
        true(isinstance(got, dict), f"no headers from {where}")
        if isinstance(got, dict):
            same_table({name: got[name] for name in wanted}, wanted)


def _table(*pairs: tuple[bytes, int]) -> bytes:
    """A headers property alone, as bytes: repeated keys, any order."""
    fields = b"".join(bytes((len(key),)) + key + b"I" + struct.pack(">i", value) for key, value in pairs)
    return b"\x20\0" + len(fields).to_bytes(4) + fields


@case("PUB-15")
def order_of_headers(rabbit: Rabbit) -> None:
    """Headers come back in the order they were published in 3.x, sorted in 4.x."""
    channel, queue = rabbit.raw_queue()
    published = _table((b"b", 1), (b"a", 2), (b"C", 3), (b"aa", 4))
    channel.publish_raw(amqp.BasicPublish(routing_key=queue), published, b"x")
    wanted = {"3.10": published, "4.3": _table((b"C", 3), (b"a", 2), (b"aa", 4), (b"b", 1))}
    equal(_raw_properties(channel, queue), rabbit.by_profile(wanted))


@case("PUB-16")
def repeated_headers(rabbit: Rabbit) -> None:
    """A header that is there twice comes back twice in 3.x; in 4.x its first value does."""
    channel, queue = rabbit.raw_queue()
    published = _table((b"b", 1), (b"a", 2), (b"b", 3))
    channel.publish_raw(amqp.BasicPublish(routing_key=queue), published, b"x")
    wanted = {"3.10": published, "4.3": _table((b"a", 2), (b"b", 1))}
    equal(_raw_properties(channel, queue), rabbit.by_profile(wanted))


@case("PUB-24")
def headers_that_the_broker_writes(rabbit: Rabbit) -> None:
    """Headers with the names of those the broker writes are delivered as they were published, whatever their types."""
    channel, queue = rabbit.raw_queue()
    headers: dict[str, FieldValue] = {"x-death": "never", "x-delivery-count": "many", "x-first-death-queue": 5}
    same_table(_round_trip(channel, queue, headers=headers)["headers"], headers)


@case("PUB-13", "PUB-25")
def bodies_are_not_looked_at(rabbit: Rabbit) -> None:
    """A body is bytes, whatever content_type and content_encoding say."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    payload = bytes(range(256))
    rabbit.publish(channel, payload, routing_key=queue, content_type="application/json", content_encoding="binary")
    message = rabbit.get(channel, queue)
    equal(body(message), payload)
    true(message.properties["content_type"] == "application/json", "the content type is another")


@case("PUB-13", "CONSUME-07", "PUB-27")
def properties_of_deliveries(rabbit: Rabbit) -> None:
    """A consumer is told a message's properties and headers, its exchange and its routing key."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.QueueBind(queue=queue, exchange="amq.direct", routing_key="key"))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a", no_ack=True))
    properties: dict[str, Any] = {"content_type": "text/plain", "delivery_mode": 2, "priority": 3, "message_id": "m"}
    channel.publish(b"x", "amq.direct", "key", headers={"a": "1"}, **properties)
    content = channel.message(amqp.BasicDeliver)
    equal((content.method, content.body), (amqp.BasicDeliver("a", 1, False, "amq.direct", "key"), b"x"))
    found = dict(properties_of(content))
    same_table(found.pop("headers"), {"a": "1"})
    equal(found, properties)

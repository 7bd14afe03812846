"""What becomes of messages in a stream: properties, headers, dead letters (STREAM-09, STREAM-13)."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields, properties_of
from hutch.conformance.streams import bodies, headers_of, publish, reader, stream, take
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
    join_table,
)
from hutch.wire.properties import join_properties


def _expect_properties(rabbit: Rabbit, published: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Messages published to a stream with these properties must come out with those; offsets aside."""
    channel, queue = stream(rabbit)
    for properties in published:
        publish(channel, queue, b"m", **properties)
    for number, content in enumerate(take(reader(rabbit, queue), len(wanted))):
        got: dict[str, Any] = dict(properties_of(content))
        headers = dict(got.pop("headers"))
        equal(headers.pop("x-stream-offset"), Int64(number))
        same_table(headers, wanted[number].get("headers", {}), f"headers of {published[number]}")
        equal(got, {name: value for name, value in wanted[number].items() if name != "headers"}, str(published[number]))


def _told(rabbit: Rabbit, properties: dict[str, Any]) -> dict[str, Any]:
    """Properties with what 4.x adds."""
    return properties if rabbit.profile == "3.10" else {"delivery_mode": 1, **properties}


@case("STREAM-09", "STREAM-13")
def properties_in_a_stream(rabbit: Rabbit) -> None:
    """All properties come back but the cluster id; 4.x tells a delivery mode even where none was given."""
    whole: list[dict[str, Any]] = [
        {},
        {"content_type": "text/plain", "content_encoding": "gzip"},
        {"delivery_mode": 1},
        {"delivery_mode": 2},
        {"priority": 0},
        {"priority": 255, "expiration": "0"},
        {"correlation_id": "c", "reply_to": "r", "message_id": "m" * 255},
        {"expiration": "60000", "timestamp": 1577836800},
        {"timestamp": 0, "type": "t", "user_id": rabbit.userid, "app_id": "é"},
        {"content_type": "", "correlation_id": "", "type": ""},
    ]
    published = [*whole, {"cluster_id": "c", "app_id": "a"}]
    wanted = [*whole, {"app_id": "a"}]
    _expect_properties(rabbit, published, [_told(rabbit, properties) for properties in wanted])


@case("STREAM-13")
def nothing_expires_in_a_stream(rabbit: Rabbit) -> None:
    """Expiration means nothing to a stream, nor does priority: all messages come, in order."""
    channel, queue = stream(rabbit)
    published: list[dict[str, Any]] = [{"expiration": "1"}, {"priority": 9}, {"expiration": "0"}, {"priority": 200}]
    for number, properties in enumerate(published):
        publish(channel, queue, b"%d" % number, **properties)
    rabbit.advance(0.1)
    got = take(reader(rabbit, queue), 4)
    equal([content.body for content in got], [b"0", b"1", b"2", b"3"])
    equal([properties_of(got[number])["expiration"] for number in (0, 2)], ["1", "0"])
    equal([properties_of(got[number])["priority"] for number in (1, 3)], [9, 200])


#: Headers that a stream returns unchanged.
_KEPT: FieldTable = {
    "text": "é",
    "no text": b"\xff\xfe",
    "empty": "",
    "int8": Int8(-5),
    "uint8": UInt8(5),
    "int16": Int16(-5),
    "uint16": UInt16(5),
    "int32": -5,
    "uint32": UInt32(5),
    "int64": Int64(1 << 62),
    "float": Float32(1.5),
    "double": 1.5,
    "true": True,
    "false": False,
    "void": None,
    "time": datetime(2020, 1, 1),
}


@case("STREAM-09")
def headers_in_a_stream(rabbit: Rabbit) -> None:
    """Headers come back with their types, be their names of the x- kind or not; unsigned 64-bit integers as signed
    ones, and byte arrays in 4.x as strings.
    """
    table = {**_KEPT, **{f"x-{name}": value for name, value in _KEPT.items()}}
    binary: FieldValue = ByteArray(b"ab")
    text = rabbit.by_profile({"3.10": binary, "4.3": "ab"})
    published: list[FieldTable] = [table, {"u": UInt64(5), "x-u": UInt64(5)}, {"b": binary, "x-b": binary}, {"": 1}]
    wanted: list[FieldTable] = [table, {"u": Int64(5), "x-u": Int64(5)}, {"b": text, "x-b": text}, {"": 1}]
    _expect_properties(
        rabbit,
        [{"headers": headers} for headers in published],
        [_told(rabbit, {"headers": headers}) for headers in wanted],
    )


@case("STREAM-09", "PUB-15")
def the_order_of_headers_in_a_stream(rabbit: Rabbit) -> None:
    """Headers come back in the order of their names, the offset among them."""
    channel, queue = stream(rabbit)
    publish(channel, queue, b"m", headers={"z": 1, "y": 2, "x-b": 3, "x-a": 4, "m": 5})
    (content,) = take(reader(rabbit, queue))
    equal(list(headers_of(content)), ["m", "x-a", "x-b", "x-stream-offset", "y", "z"])


@case("STREAM-09", "PUB-15", profiles=["4.3"])
def a_header_that_is_there_twice_in_a_stream(rabbit: Rabbit) -> None:
    """In 4.x a stream keeps the first value of a header that is there twice."""
    channel, queue = stream(rabbit)
    headers = join_table([(b"a", b"I\0\0\0\1"), (b"b", b"t\1"), (b"a", b"I\0\0\0\2")])
    channel.publish_raw(amqp.BasicPublish(routing_key=queue), join_properties({"headers": headers}), b"m")
    channel.expect(amqp.BasicAck)
    (content,) = take(reader(rabbit, queue))
    equal(headers_of(content), {"a": 1, "b": True, "x-stream-offset": 0})


@case("STREAM-09")
def tables_and_arrays_in_a_stream(rabbit: Rabbit) -> None:
    """Tables and arrays in headers are lost, in 4.x only where the name does not begin with x- and is not CC. Names of
    the broker's own are lost in 4.x.
    """
    table: FieldTable = {"b": [1, "s"], "a": None}
    array: FieldValue = [{"b": 1}, 2]
    lost: FieldTable = {"table": table, "array": array, "none": {}, "X-array": array, "BCC": ["no-such-queue"]}
    kept: FieldTable = {"x-table": table, "x-array": array, "x-none": [], "CC": ["no-such-queue"]}
    newer = rabbit.profile == "4.3"
    published: list[FieldTable] = [{**lost, **kept, "s": "t"}, {"x-death": [{"a": 1}]}, {"x-stream-offset": "mine"}]
    wanted: list[FieldTable] = [{**(kept if newer else {}), "s": "t"}, {}, {}]
    if newer:
        published.append({"x-exchange": "e", "x-routing-key": "k"})
        wanted.append({})
        odd: FieldTable = {"b": ByteArray(b"z"), "u": UInt64(7), "n": None, "f": Float32(1.5), "bad": b"\xff"}
        published.append({"x-odd": odd, "x-array": [odd]})
        even: FieldTable = {**odd, "b": "z", "u": Int64(7)}
        wanted.append({"x-odd": even, "x-array": [even]})
    _expect_properties(
        rabbit,
        [{"headers": headers} for headers in published],
        [_told(rabbit, {"headers": headers}) for headers in wanted],
    )


@case("STREAM-09", "DLX-14")
def headers_of_deaths_in_a_stream(rabbit: Rabbit) -> None:
    """An x-death of a publisher's that is no array comes back from 3.x's streams as any header does; 4.x, whose own
    header it is, loses it.
    """
    values: list[FieldValue] = [-1, "a", "", True, None, 1.5, Int64(1), UInt64(1), b"\xff", [], [1, "a"], {"a": 1}]
    kept: list[FieldValue] = [-1, "a", "", True, None, 1.5, Int64(1), Int64(1), b"\xff"]
    wanted: list[FieldTable] = [*({"x-death": value} for value in kept), {}, {}, {}]
    _expect_properties(
        rabbit,
        [{"headers": {"x-death": value}} for value in values],
        [_told(rabbit, {"headers": rabbit.by_profile({"3.10": headers, "4.3": {}})}) for headers in wanted],
    )


@case("STREAM-09")
def decimals_in_a_stream(rabbit: Rabbit) -> None:
    """A header that is a decimal closes the publisher's connection with 541, in 4.x within an x- header too, be it one
    that does not come back.
    """
    channel, queue = stream(rabbit)
    bad: list[FieldTable] = [{"d": Decimal("0.5")}, {"x-d": Decimal("0.5")}]
    fine: list[FieldTable] = [{"t": {"d": Decimal("0.5")}}]
    (bad if rabbit.profile == "4.3" else fine).extend([{"x-t": {"d": Decimal(1)}}, {"x-a": [Decimal(1)]}])
    for name in ("x-death", "x-exchange", "x-routing-key"):
        bad.append({name: Decimal("1.5")})
        (bad if rabbit.profile == "4.3" else fine).extend([{name: [{"d": Decimal(1)}]}, {name: {"d": [Decimal(1)]}}])
    for headers in bad:
        publisher = rabbit.raw().channel()
        publisher.publish(b"lost", routing_key=queue, headers=headers)
        publisher.connection.expect_close(541, "", (0, 0))
    for headers in fine:
        publish(channel, queue, b"kept", headers=headers)
    equal(bodies(reader(rabbit, queue), len(fine)), [b"kept"] * len(fine))


@case("STREAM-09")
def bodies_in_a_stream(rabbit: Rabbit) -> None:
    """Bodies of any size come back."""
    channel, queue = stream(rabbit)
    sizes = (0, 1, 255, 256, 65536, 300000)
    for size in sizes:
        publish(channel, queue, bytes(size))
    equal([len(body) for body in bodies(reader(rabbit, queue), len(sizes))], list(sizes))


def _dead_letter(rabbit: Rabbit, channel: RawChannel, queue: str, **properties: Any) -> str:
    """Have a message rejected that goes to ``queue`` then; the queue it died in."""
    source = rabbit.name()
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    channel.call(amqp.QueueDeclare(queue=source, arguments=arguments))
    channel.publish(b"dead", routing_key=source, **properties)
    channel.expect(amqp.BasicAck)
    channel.send(amqp.BasicReject(delivery_tag(channel.got(source)), requeue=False))
    return source


@case("STREAM-01", "DLX-01", profiles=["4.3"])
def dead_letters_in_a_stream(rabbit: Rabbit) -> None:
    """In 4.x a dead letter gets into a stream with its headers, not redelivered, and keeps its expiration."""
    channel, queue = stream(rabbit)
    source = _dead_letter(rabbit, channel, queue, headers={"a": 1, "x-b": [1]}, expiration="50000", message_id="m")
    (content,) = take(reader(rabbit, queue))
    equal((content.body, fields(content).redelivered, fields(content).routing_key), (b"dead", False, queue))
    properties = dict(properties_of(content))
    headers: Any = properties.pop("headers")
    equal(properties, {"delivery_mode": 1, "expiration": "50000", "message_id": "m"})
    (death,) = headers.pop("x-death")
    del death["time"]
    wanted: FieldTable = {
        "original-expiration": "50000",
        "count": Int64(1),
        "reason": "rejected",
        "queue": source,
        "exchange": "",
        "routing-keys": [source],
    }
    same_table(death, wanted)
    where: FieldTable = {"reason": "rejected", "queue": source, "exchange": ""}
    deaths = {f"x-{which}-death-{name}": value for which in ("first", "last") for name, value in where.items()}
    same_table(headers, {"a": 1, "x-b": [1], "x-stream-offset": Int64(0), **deaths})


@case("STREAM-01", "DLX-01", profiles=["3.10"])
def dead_letters_are_lost_on_a_stream(rabbit: Rabbit) -> None:
    """In 3.x no dead letter of a classic queue gets into a stream."""
    channel, queue = stream(rabbit)
    source = _dead_letter(rabbit, channel, queue)
    equal(channel.call(amqp.QueueDelete(queue=source)), amqp.QueueDeleteOk(0))
    publish(channel, queue, b"published")
    (content,) = take(reader(rabbit, queue))
    equal((content.body, headers_of(content)["x-stream-offset"]), (b"published", 0))


@case("STREAM-01", "QUEUE-ARG-19")
def dead_letters_at_least_once_in_a_stream(rabbit: Rabbit) -> None:
    """Dead letters of a quorum queue get into a stream, in 3.x too, if the queue sees to it that they arrive."""
    channel, queue = stream(rabbit)
    source = rabbit.name()
    arguments: FieldTable = {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-message-ttl": 10,
    }
    channel.call(amqp.QueueDeclare(queue=source, durable=True, arguments=arguments))
    publish(channel, source, b"dead", headers={"a": 1})
    rabbit.advance(0.1)
    (content,) = take(reader(rabbit, queue))
    headers = headers_of(content)
    equal((content.body, headers["a"], headers["x-first-death-queue"]), (b"dead", 1, source))
    equal("x-death" in headers, rabbit.profile == "4.3")

"""Publishing: routing, returns, checks, sizes, CC and BCC (PUB)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table
from hutch.conformance.plugins import declare
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldValue

_PUBLISH = (60, 40)


def _taken(channel: RawChannel, queue: str) -> list[bytes]:
    bodies = []
    while content := channel.get(queue, no_ack=True):
        bodies.append(content.body)
    return bodies


@case("PUB-01")
def unroutable_messages_are_dropped(rabbit: Rabbit) -> None:
    """A message that no queue takes is dropped without a word."""
    channel, _ = rabbit.raw_queue()
    for type_ in ("", "direct", "fanout", "topic", "headers"):
        exchange = type_ and declare(rabbit, channel, type_)
        channel.publish(b"x", exchange, "no-such-queue")
    channel.expect_nothing()


@case("PUB-02", "CONFIRM-06")
def unroutable_mandatory_messages_come_back(rabbit: Rabbit) -> None:
    """A mandatory message that no queue takes is returned whole with 312 NO_ROUTE; it is confirmed after that."""
    channel, _ = rabbit.raw_queue()
    channel.call(amqp.ConfirmSelect())
    for tag, payload in enumerate((b"body", b""), 1):
        channel.publish(payload, "amq.direct", "key", mandatory=True, correlation_id="c", headers={"a": 1})
        returned = channel.message(amqp.BasicReturn)
        equal(returned.method, amqp.BasicReturn(312, "NO_ROUTE", "amq.direct", "key"))
        equal((returned.body, properties_of(returned)["correlation_id"]), (payload, "c"))
        same_table(properties_of(returned)["headers"], {"a": 1})
        equal(channel.expect(amqp.BasicAck).delivery_tag, tag)
    channel.expect_nothing()


@case("PUB-02")
def mandatory_messages_that_are_routed(rabbit: Rabbit) -> None:
    """A mandatory message that a queue takes is not returned."""
    channel, queue = rabbit.raw_queue()
    channel.publish(b"x", routing_key=queue, mandatory=True)
    equal(channel.got(queue, no_ack=True).body, b"x")
    channel.expect_nothing()


@case("PUB-04")
def immediate_is_not_implemented(rabbit: Rabbit) -> None:
    """The immediate flag closes the connection, before the exchange is looked at."""
    for exchange in ("", "missing"):
        channel, queue = rabbit.raw_queue()
        channel.publish(b"x", exchange, queue, immediate=True)
        channel.connection.expect_close(540, "immediate=true", _PUBLISH)


@case("PUB-05", "PUB-06")
def user_id_must_be_true(rabbit: Rabbit) -> None:
    """A message's user_id, where it has one, must be its connection's user."""
    channel, queue = rabbit.raw_queue()
    channel.publish(b"x", routing_key=queue, user_id=rabbit.userid)
    equal(properties_of(channel.got(queue, no_ack=True))["user_id"], rabbit.userid)
    for number, pretended in enumerate(("other", ""), 2):
        liar = channel.connection.channel(number)
        liar.publish(b"x", routing_key=queue, user_id=pretended)
        text = f"user_id property set to '{pretended}' but authenticated user was '{rabbit.userid}'"
        liar.expect_close(406, text, _PUBLISH)


@case("PUB-07", "TTL-04")
def valid_expirations(rabbit: Rabbit) -> None:
    """An expiration is a number in decimal digits, up to ten years of 365 days; 4.x delivers it in its plainest form.

    (The catalogue has it delivered as it was written in 4.x too.)
    """
    channel, queue = rabbit.raw_queue()
    for expiration, plain in (("60000",) * 2, ("060000", "60000"), ("+60000", "60000"), ("315360000000",) * 2):
        channel.publish(b"x", routing_key=queue, expiration=expiration)
        wanted = rabbit.by_profile({"3.10": expiration, "4.3": plain})
        equal(properties_of(channel.got(queue, no_ack=True))["expiration"], wanted)


@case("PUB-08", "PUB-09", "PUB-10")
def invalid_expirations(rabbit: Rabbit) -> None:
    """An expiration that is no number, negative, too large, or followed by something closes the channel with 406."""
    channel, queue = rabbit.raw_queue()
    reasons = {
        "abc": "no_integer",
        "": "no_integer",
        " 5": "no_integer",
        "-1": "{value_negative,-1}",
        "315360000001": "{value_too_large,315360000001}",
        "1.5": '{leftover_string,".5"}',
        "5 ": '{leftover_string," "}',
        "1e3": '{leftover_string,"e3"}',
        "5ms": '{leftover_string,"ms"}',
    }
    for number, (expiration, reason) in enumerate(reasons.items(), 2):
        refused = channel.connection.channel(number)
        refused.publish(b"x", routing_key=queue, expiration=expiration)
        refused.expect_close(406, f"invalid expiration '{expiration}': {reason}", _PUBLISH)
    equal(_taken(channel, queue), [])


@case("PUB-17")
def bodies_of_every_size(rabbit: Rabbit) -> None:
    """Bodies come back byte for byte, in as few frames as frame_max allows, whatever frames they came in."""
    channel, queue = rabbit.raw_queue()
    for size, frames in ((0, 0), (1, 1), (131064, 1), (131065, 2), (1000000, 8)):
        payload = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
        channel.publish(payload, routing_key=queue)
        channel.send(amqp.BasicGet(queue=queue, no_ack=True))
        channel.connection.read_frame()
        channel.connection.read_frame()
        parts = [channel.connection.read_frame()[2] for _ in range(frames)]
        equal(b"".join(parts) == payload, True, f"a body of {size} bytes is the same")
        equal([len(part) for part in parts[:-1]], [131064] * (frames - 1) if frames else [])


@case("PUB-19")
def cc_routes_to_more_queues(rabbit: Rabbit) -> None:
    """The keys in the CC header are routed like the routing key, each queue once; the header and the key stay."""
    channel, queue = rabbit.raw_queue()
    others = [rabbit.name(), rabbit.name()]
    for other in others:
        channel.call(amqp.QueueDeclare(queue=other))
    headers: dict[str, FieldValue] = {"CC": [*others, queue, "no-such-queue"], "a": 1}
    channel.publish(b"x", routing_key=queue, headers=headers)
    for name in (queue, *others):
        content = channel.got(name, no_ack=True)
        equal(fields(content).routing_key, queue)
        same_table(properties_of(content)["headers"], headers)
        equal(_taken(channel, name), [])


@case("PUB-20")
def bcc_is_not_shown(rabbit: Rabbit) -> None:
    """The keys in the BCC header are routed too; receivers do not see the header."""
    channel, queue = rabbit.raw_queue()
    other = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=other))
    channel.publish(b"x", routing_key=queue, headers={"BCC": [other], "CC": [other], "a": 1})
    for name in (queue, other):
        content = channel.got(name, no_ack=True)
        equal(fields(content).routing_key, queue)
        same_table(properties_of(content)["headers"], {"CC": [other], "a": 1})
        equal(_taken(channel, name), [])
    channel.publish(b"x", routing_key="no-such-queue", mandatory=True, headers={"BCC": ["missing"]})
    same_table(properties_of(channel.message(amqp.BasicReturn))["headers"], {})


@case("PUB-21")
def mandatory_with_cc(rabbit: Rabbit) -> None:
    """A mandatory message that only its CC routes is not returned."""
    channel, queue = rabbit.raw_queue()
    channel.publish(b"x", routing_key="no-such-queue", mandatory=True, headers={"CC": [queue]})
    equal(channel.got(queue, no_ack=True).body, b"x")
    channel.expect_nothing()


@case("PUB-22", "PUB-23")
def malformed_cc(rabbit: Rabbit) -> None:
    """CC and BCC must be arrays; what is no string in them is passed over, and lower-case cc means nothing."""
    channel, queue = rabbit.raw_queue()
    wrong: list[tuple[str, Any, str]] = [("CC", "key", "longstr"), ("BCC", 5, "signedint"), ("CC", {"a": 1}, "table")]
    for number, (header, value, kind) in enumerate(wrong, 2):
        refused = channel.connection.channel(number)
        refused.publish(b"x", routing_key=queue, headers={header: value})
        text = f'invalid message: {{unacceptable_type_in_header,"{header}",{kind}}}'
        refused.expect_close(406, text, _PUBLISH)
    channel.publish(b"1", routing_key="no-such-queue", headers={"CC": [5, queue]})
    channel.publish(b"2", routing_key=queue, headers={"CC": []})
    channel.publish(b"3", routing_key="no-such-queue", headers={"cc": [queue]})
    equal(_taken(channel, queue), [b"1", b"2"])


@case("PUB-25")
def persistent_messages_in_transient_queues(rabbit: Rabbit) -> None:
    """A persistent message may go to a queue that is not durable, and stays marked as it was."""
    channel, queue = rabbit.raw_queue()
    for mode in (1, 2):
        channel.publish(b"x", routing_key=queue, delivery_mode=mode)
        equal(properties_of(channel.got(queue, no_ack=True))["delivery_mode"], mode)


@case("PUB-01", "EXCH-DIRECT-01")
def messages_keep_their_order(rabbit: Rabbit) -> None:
    """Messages that one channel publishes to one queue stay in order."""
    channel, queue = rabbit.raw_queue()
    for number in range(200):
        channel.publish(b"%d" % number, routing_key=queue)
    equal(_taken(channel, queue), [b"%d" % number for number in range(200)])


@case("PUB-18", profiles=["4.3"])
def the_largest_message(rabbit: Rabbit) -> None:
    """A message may have 16 MiB in 4.x; one byte more closes the channel, once all of it was sent."""
    largest = 16 * 1024 * 1024
    channel, _ = rabbit.raw_queue()
    channel.call(amqp.ConfirmSelect())
    channel.publish(b"x" * largest, routing_key="no-such-queue")
    equal(channel.read(), amqp.BasicAck(1))
    channel.publish(b"x" * (largest + 1), routing_key="no-such-queue")
    channel.expect_close(406, f"message size {largest + 1} is larger than configured max size {largest}", _PUBLISH)


@case("PUB-18", profiles=["3.10"])
def larger_messages(rabbit: Rabbit) -> None:
    """A message may have more than 16 MiB in 3.x."""
    channel, _ = rabbit.raw_queue()
    channel.call(amqp.ConfirmSelect())
    channel.publish(b"x" * (16 * 1024 * 1024 + 1), routing_key="no-such-queue")
    equal(channel.read(), amqp.BasicAck(1))


@case("PUB-24")
def headers_that_the_broker_might_set(rabbit: Rabbit) -> None:
    """X-death and x-delivery-count that a client sets are delivered as they are, whatever their types."""
    channel, queue = rabbit.raw_queue()
    values: list[FieldValue] = ["text", 5, [{"queue": queue, "count": 7}], {"a": 1}]
    for value in values:
        headers: dict[str, FieldValue] = {"x-death": value, "x-delivery-count": value}
        channel.publish(b"x", routing_key=queue, headers=headers)
        same_table(properties_of(channel.got(queue, no_ack=True))["headers"], headers)

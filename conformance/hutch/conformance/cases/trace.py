"""The firehose: copies of what is published and delivered (https://www.rabbitmq.com/docs/firehose)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable

TRACE = "amq.rabbitmq.trace"


@contextmanager
def _traced(rabbit: Rabbit, key: str = "#") -> Iterator[tuple[RawChannel, str]]:
    """A channel and its queue of copies with such keys; the vhost is traced meanwhile."""
    channel, copies = rabbit.raw_queue()
    channel.call(amqp.QueueBind(queue=copies, exchange=TRACE, routing_key=key))
    rabbit.control.trace_on(rabbit.vhost)
    yield channel, copies
    rabbit.control.trace_off(rabbit.vhost)


def _copy(rabbit: Rabbit, channel: RawChannel, copies: str) -> tuple[Content, dict[str, Any]]:
    """The next copy, and its headers but for those that name the node and the connection, which are looked at here."""
    copy = rabbit.eventually(lambda: channel.get(copies, no_ack=True), "no copy of the message")
    properties = properties_of(copy)
    equal(list(properties), ["headers"], "properties")
    headers: dict[str, Any] = dict(cast("FieldTable", properties["headers"]))
    equal((got_ok(copy).exchange, headers.pop("vhost"), headers.pop("user")), (TRACE, rabbit.vhost, rabbit.userid))
    for name in ("node", "connection"):
        true(isinstance(headers.pop(name), str), f"{name} is no text")
    return copy, headers


def got_ok(copy: Content) -> amqp.BasicGetOk:
    """How a copy was got."""
    if not isinstance(copy.method, amqp.BasicGetOk):
        raise AssertionError(f"expected basic.get-ok, got {copy.method!r}")
    return copy.method


def _expect(
    rabbit: Rabbit, traced: tuple[RawChannel, str], key: str, body: bytes, headers: FieldTable, number: int = 1
) -> None:
    """The next copy must have this key, body and headers, and tell of channel ``number``."""
    copy, got = _copy(rabbit, *traced)
    equal((got_ok(copy).routing_key, copy.body), (key, body))
    same_table(got, {"properties": {}, "channel": number, **headers})


@case("EXCH-SYS-01")
def the_firehose_copies_what_is_published(rabbit: Rabbit) -> None:
    """A copy has the body, the key ``publish.`` with the exchange's name, and headers that tell of the publish: keys of
    CC and BCC, properties last first, numbers among them as signed 32-bit ones, and the queues it is routed to.
    """
    channel, queue = rabbit.raw_queue()
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type="topic"))
    channel.call(amqp.QueueBind(queue=queue, exchange=exchange, routing_key="a.#"))
    channel.publish(b"before", exchange, "a.b")
    with _traced(rabbit, "publish.#") as traced:
        properties: dict[str, Any] = {
            "content_type": "text/plain",
            "headers": {"n": 1, "CC": ["a.c"], "BCC": ["a.d"]},
            "priority": 5,
            "message_id": "m",
            "timestamp": 2**40 + 5,
        }
        channel.publish(b"full", exchange, "a.b", **properties)
        told = {**properties, "timestamp": 5, "headers": {"n": 1, "CC": ["a.c"]}}
        found: FieldTable = {
            "exchange_name": exchange,
            "routing_keys": ["a.b", "a.c", "a.d"],
            "routed_queues": [queue],
            "properties": told,
        }
        copy, headers = _copy(rabbit, *traced)
        equal(list(headers["properties"]), [*reversed(properties)])
        equal((got_ok(copy).routing_key, copy.body), (f"publish.{exchange}", b"full"))
        same_table(headers, {"channel": 1, **found})
        channel.publish(b"default", "", queue)
        routed: FieldTable = {"exchange_name": "", "routing_keys": [queue], "routed_queues": [queue]}
        _expect(rabbit, traced, "publish.", b"default", routed)
        channel.publish(b"unroutable", exchange, "b", mandatory=True)
        nowhere: FieldTable = {"exchange_name": exchange, "routing_keys": ["b"], "routed_queues": []}
        _expect(rabbit, traced, f"publish.{exchange}", b"unroutable", nowhere)
        channel.message(amqp.BasicReturn)
        other = channel.connection.channel(7)
        other.call(amqp.TxSelect())
        other.publish(b"not committed", "", queue)
        _expect(rabbit, traced, "publish.", b"not committed", routed, 7)
        refused = channel.connection.channel(8)
        refused.publish(b"x", f"{exchange}-not")
        refused.expect(amqp.ChannelClose)
    channel.publish(b"after", exchange, "a.b")
    channel.expect_ready(queue, 4)
    equal(traced[0].get(traced[1]), None)


@case("EXCH-SYS-01")
def the_firehose_copies_what_is_delivered(rabbit: Rabbit) -> None:
    """The firehose also copies basic.deliver and basic.get, with the key ``deliver.`` and the queue's name, and
    redelivered as a number. A dead letter is copied when it is delivered; the firehose's own copies never are.
    """
    channel, queue = rabbit.raw_queue(1)
    with _traced(rabbit, "deliver.#") as traced:
        tag = got_ok(channel.got(queue)).delivery_tag
        headers: FieldTable = {"exchange_name": "", "routing_keys": [queue], "redelivered": 0}
        key = f"deliver.{queue}"
        _expect(rabbit, traced, key, b"0", headers)
        channel.send(amqp.BasicReject(tag, requeue=True))
        channel.call(amqp.BasicConsume(queue=queue))
        content = channel.message(amqp.BasicDeliver)
        _expect(rabbit, traced, key, b"0", {**headers, "redelivered": 1})
        dying = rabbit.name()
        arguments: FieldTable = {
            "x-message-ttl": 0,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": queue,
        }
        channel.call(amqp.QueueDeclare(queue=dying, arguments=arguments))
        channel.publish(b"dies", "", dying)
        equal(channel.message(amqp.BasicDeliver).body, b"dies")
        copy, got = _copy(rabbit, *traced)
        equal((got_ok(copy).routing_key, copy.body, got["routing_keys"]), (key, b"dies", [queue]))
        equal(got["properties"]["headers"]["x-death"][0]["queue"], dying)
        true(content.body == b"0", "the message that was requeued is another")
        equal(traced[0].get(traced[1]), None)


@case("EXCH-SYS-01", "RPC-05")
def the_firehose_and_replies(rabbit: Rabbit) -> None:
    """Replies are published like anything. To 4.x their name is a queue, which is told of; to 3.x it is none."""
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicConsume(queue="amq.rabbitmq.reply-to", no_ack=True))
    other, requests = rabbit.raw_queue()
    channel.publish(b"request", routing_key=requests, reply_to="amq.rabbitmq.reply-to")
    request = rabbit.eventually(lambda: other.get(requests, no_ack=True), "no request")
    name = str(properties_of(request)["reply_to"])
    with _traced(rabbit) as traced:
        other.publish(b"reply", routing_key=name)
        equal(channel.message(amqp.BasicDeliver).body, b"reply")
        headers: FieldTable = {"exchange_name": "", "routing_keys": [name]}
        routed: list[str] = rabbit.by_profile({"3.10": [], "4.3": [name]})
        _expect(rabbit, traced, "publish.", b"reply", {**headers, "routed_queues": routed})
        if rabbit.profile == "4.3":
            _expect(rabbit, traced, f"deliver.{name}", b"reply", {**headers, "redelivered": 0})
        equal(traced[0].get(traced[1]), None)


@case("EXCH-SYS-01")
def the_firehose_is_one_vhosts(rabbit: Rabbit) -> None:
    """A queue bound to the exchange gets copies from its own virtual host only. Other exchanges may be bound to it as
    well.
    """
    channel, queue = rabbit.raw_queue()
    with _traced(rabbit, "nothing") as (reader, copies):
        reader.call(amqp.ExchangeBind(destination="amq.topic", source=TRACE, routing_key="publish.*"))
        reader.call(amqp.QueueBind(queue=copies, exchange="amq.topic", routing_key="publish.#"))
        elsewhere = rabbit.connect(virtual_host=rabbit.admin.add_vhost()).channel()
        elsewhere.queue_declare(queue)
        rabbit.publish_confirmed(elsewhere, b"elsewhere", routing_key=queue)
        channel.publish(b"here", routing_key=queue)
        equal(_copy(rabbit, reader, copies)[0].body, b"here")
        equal(reader.get(copies), None)

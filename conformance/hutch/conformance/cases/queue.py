"""Declaring, purging, deleting and losing queues (QUEUE-DECLARE, -AUTODEL, -PURGE, -DELETE, -EXPIRES)."""

# ruff: noqa: B023  (what is handed to refused() and eventually() is called before the loop goes on)

import re
from decimal import Decimal
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.plugins import declare
from hutch.conformance.rabbit import Rabbit, body, delivered, tag_of
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, Int8, Int16, Int64

_DECLARE = (50, 10)
_PURGE = (50, 30)
_DELETE = (50, 40)


def _missing(rabbit: Rabbit, queue: str = "missing") -> str:
    return f"no queue '{queue}' in vhost '{rabbit.vhost}'"


def _different(rabbit: Rabbit, argument: str, queue: str, received: str, current: str) -> str:
    where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    return f"inequivalent arg '{argument}' for {where}: received {received} but current is {current}"


@case("QUEUE-DECLARE-01", "QUEUE-DECLARE-02")
def declaring_a_queue(rabbit: Rabbit) -> None:
    """Declare-ok has the queue's name, the number of its ready messages (without the unacknowledged ones) and of its
    consumers.
    """
    channel = rabbit.channel()
    name = rabbit.name()
    equal(rabbit.declared(channel, name, auto_delete=False), (name, 0, 0))
    for number in range(3):
        rabbit.publish(channel, b"%d" % number, routing_key=name)
    rabbit.get(channel, name)
    rabbit.expect_ready(channel, name, 2)
    channel.basic_qos(0, 1, False)
    for _ in range(2):
        rabbit.consume(channel, name).one()
    equal(rabbit.declared(channel, name, auto_delete=False), (name, 0, 2))


@case("QUEUE-DECLARE-03", "QUEUE-DECLARE-04")
def server_named_queues(rabbit: Rabbit) -> None:
    """Without a name every declare makes another queue, named by the broker, durable too."""
    channel = rabbit.channel()
    names = [rabbit.queue(channel, "", **kwargs) for kwargs in ({}, {}, {"durable": True}, {"exclusive": True})]
    for name in names:
        true(re.fullmatch(r"amq\.gen-[A-Za-z0-9_-]{22}", name), f"{name!r} is not of the form amq.gen-...")
    equal(len(set(names)), 4, "different names")


@case("QUEUE-DECLARE-05")
def redeclaring_a_server_named_queue(rabbit: Rabbit) -> None:
    """A server-named queue cannot be declared by its name, save passively; it can be bound and consumed from."""
    channel = rabbit.channel()
    name = rabbit.queue(channel, "")
    channel.queue_declare(name, passive=True)
    channel.queue_bind(name, "amq.direct", name)
    rabbit.publish(channel, b"x", "amq.direct", name)
    equal(body(rabbit.consume(channel, name).one()), b"x")
    text = f"queue name '{name}' contains reserved prefix 'amq.*'"
    rabbit.refused(lambda channel: rabbit.queue(channel, name), 403, text, _DECLARE)


@case("QUEUE-DECLARE-06")
def reserved_queue_names(rabbit: Rabbit) -> None:
    """Names that begin with amq. are reserved; amq alone and AMQ. are not."""
    for name in ("amq.foo", "amq."):
        text = f"queue name '{name}' contains reserved prefix 'amq.*'"
        rabbit.refused(lambda channel: rabbit.queue(channel, name), 403, text, _DECLARE)
    for name in ("AMQ.x", "amq"):
        rabbit.queue(rabbit.channel(), name)


@case("QUEUE-DECLARE-07")
def passive_declare_of_a_missing_queue(rabbit: Rabbit) -> None:
    """Looking for a queue that is not there closes the channel with 404."""
    rabbit.refused(lambda channel: channel.queue_declare("missing", passive=True), 404, _missing(rabbit), _DECLARE)


@case("QUEUE-DECLARE-08")
def passive_queue_declare_ignores_everything_but_the_name(rabbit: Rabbit) -> None:
    """A passive declare of a queue that exists succeeds whatever else it says."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"x", routing_key=queue)
    rabbit.expect_ready(channel, queue, 1)
    others: list[dict[str, Any]] = [
        {"durable": True},
        {"exclusive": True},
        {"auto_delete": True},
        {"arguments": {"x-max-length": -1}},
    ]
    for other in others:
        equal(rabbit.declared(channel, queue, passive=True, **{"auto_delete": False, **other}), (queue, 1, 0))


@case("QUEUE-DECLARE-09", "QUEUE-DELETE-10", "QUEUE-PURGE-03")
def queue_methods_without_a_reply(rabbit: Rabbit) -> None:
    """With nowait, declare, purge, bind and delete are carried out and not answered."""
    channel = rabbit.raw().channel()
    queue, exchange = rabbit.name(), declare(rabbit, channel, "fanout")
    channel.send(amqp.QueueDeclare(queue=queue, nowait=True))
    channel.send(amqp.QueueDeclare(queue=queue, passive=True, nowait=True))
    channel.send(amqp.QueueBind(queue=queue, exchange=exchange, nowait=True))
    channel.publish(b"x", exchange)
    channel.send(amqp.QueuePurge(queue=queue, nowait=True))
    equal(channel.get(queue), None)
    channel.send(amqp.QueueDelete(queue=queue, nowait=True))
    channel.expect_nothing()
    channel.send(amqp.QueueDeclare(queue=queue, passive=True))
    channel.expect_close(404, _missing(rabbit, queue), _DECLARE)


@case("QUEUE-DECLARE-10")
def queue_names(rabbit: Rabbit) -> None:
    """Names may hold 255 bytes of any UTF-8; CR and LF are taken out of them."""
    channel = rabbit.raw().channel()
    for name in (rabbit.name().ljust(255, "x"), rabbit.name("a b/c"), rabbit.name("größe-鼠")):
        rabbit.remember(name)
        equal(channel.call(amqp.QueueDeclare(queue=name)), amqp.QueueDeclareOk(name))
    name = rabbit.name("spa ce")
    equal(channel.call(amqp.QueueDeclare(queue=f"\r{name}\r\n")), amqp.QueueDeclareOk(name))
    equal(channel.call(amqp.QueueDeclare(queue=f"{name}\n", passive=True)), amqp.QueueDeclareOk(name))


@case("QUEUE-DECLARE-11", "QUEUE-DECLARE-12")
def redeclaring_a_queue_with_other_flags(rabbit: Rabbit) -> None:
    """Declaring a queue again with another durable or auto_delete closes the channel with 406."""
    channel = rabbit.channel()
    transient, durable = rabbit.queue(channel), rabbit.queue(channel, durable=True)
    for queue, kwargs, argument, received, current in (
        (transient, {"durable": True}, "durable", "'true'", "'false'"),
        (durable, {"durable": False}, "durable", "'false'", "'true'"),
        (transient, {"auto_delete": True}, "auto_delete", "'true'", "'false'"),
    ):
        text = _different(rabbit, argument, queue, received, current)
        rabbit.refused(lambda channel: rabbit.queue(channel, queue, **kwargs), 406, text, _DECLARE)


@case("QUEUE-DECLARE-14")
def order_of_the_equivalence_checks(rabbit: Rabbit) -> None:
    """Of several differences one is told: durable, auto_delete, then arguments, x-expires before x-message-ttl."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    arguments = {"x-expires": 50000, "x-message-ttl": 6}
    added = ("the value '50000' of type 'signedint'", "none")
    for kwargs, argument, (received, current) in (
        ({"durable": True, "auto_delete": True, "arguments": arguments}, "durable", ("'true'", "'false'")),
        ({"auto_delete": True, "arguments": arguments}, "auto_delete", ("'true'", "'false'")),
        ({"arguments": arguments}, "x-expires", added),
    ):
        text = _different(rabbit, argument, queue, received, current)
        rabbit.refused(lambda channel: rabbit.queue(channel, queue, **kwargs), 406, text, _DECLARE)


def _expect_difference(
    rabbit: Rabbit, declared: FieldTable, redeclared: FieldTable, argument: str, received: str, current: str
) -> None:
    channel = rabbit.raw().channel()
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments=declared))
    channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments=redeclared))
    channel.expect_close(406, _different(rabbit, argument, queue, received, current), _DECLARE)


@case("QUEUE-DECLARE-15", "QUEUE-DECLARE-16")
def redeclaring_a_queue_with_an_argument_added_or_dropped(rabbit: Rabbit) -> None:
    """A known argument that is added or dropped closes the channel with 406; the text shows its value and type."""
    known: dict[str, Any] = {
        "x-message-ttl": 1000,
        "x-expires": 100000,
        "x-dead-letter-exchange": "amq.fanout",
    }
    for argument, value in known.items():
        kind = "longstr" if isinstance(value, str) else "signedint"
        shown = f"the value '{value}' of type '{kind}'"
        _expect_difference(rabbit, {}, {argument: value}, argument, shown, "none")
        _expect_difference(rabbit, {argument: value}, {}, argument, "none", shown)
    dlx = {"x-dead-letter-exchange": "amq.fanout"}
    key = {"x-dead-letter-routing-key": "k"}
    shown = "the value 'k' of type 'longstr'"
    _expect_difference(rabbit, dlx, {**dlx, **key}, "x-dead-letter-routing-key", shown, "none")
    _expect_difference(rabbit, {**dlx, **key}, dlx, "x-dead-letter-routing-key", "none", shown)


@case("QUEUE-DECLARE-17", "QUEUE-DECLARE-19", "QUEUE-DECLARE-24")
def redeclaring_a_queue_with_an_argument_changed(rabbit: Rabbit) -> None:
    """A known argument that is changed closes the channel with 406, a float for an integer and an invalid value too."""
    for received, shown in ((2000, "2000"), (-1, "-1"), (1000.0, "1.0e3"), ("1000", "1000")):
        _expect_difference(
            rabbit, {"x-message-ttl": 1000}, {"x-message-ttl": received}, "x-message-ttl", f"'{shown}'", "'1000'"
        )
    _expect_difference(
        rabbit,
        {"x-dead-letter-exchange": "one"},
        {"x-dead-letter-exchange": "other"},
        "x-dead-letter-exchange",
        "'other'",
        "'one'",
    )


@case("QUEUE-DECLARE-17")
def redeclaring_a_queue_with_a_decimal(rabbit: Rabbit) -> None:
    """A decimal in place of another value is 541, for RabbitMQ cannot print it; a void one counts as none."""
    for argument, value in (("x-dead-letter-exchange", "e"), ("x-max-length", 1), ("x-overflow", "drop-head")):
        _expect_difference(rabbit, {argument: value}, {argument: None}, argument, "none", f"'{value}'")
        channel = rabbit.raw().channel()
        queue = rabbit.name()
        channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments={argument: value}))
        channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments={argument: Decimal("1.5")}))
        channel.connection.expect_close(541, "", (0, 0))


@case("QUEUE-DECLARE-18")
def integer_widths_are_equivalent(rabbit: Rabbit) -> None:
    """The same integer of another width is the same argument."""
    channel = rabbit.raw().channel()
    queue = rabbit.name()
    for value in (100, Int8(100), Int16(100), Int64(100)):
        channel.call(amqp.QueueDeclare(queue=queue, arguments={"x-message-ttl": value}))


@case("QUEUE-DECLARE-20", "QUEUE-ARG-22", "QUEUE-DECLARE-21")
def unknown_queue_arguments(rabbit: Rabbit) -> None:
    """Arguments that mean nothing are taken and not compared; x-queue-type=classic is no difference either."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, durable=True, arguments={"foo": "bar", "x-unknown": 1, "x-ha-policy": "all"})
    for arguments in ({}, {"foo": 5}, {"x-bogus": [1]}, {"x-queue-type": "classic"}):
        rabbit.queue(channel, queue, durable=True, arguments=arguments)
    typed = rabbit.queue(channel, durable=True, arguments={"x-queue-type": "classic"})
    rabbit.queue(channel, typed, durable=True)


@case("QUEUE-DECLARE-26")
def transient_queues(rabbit: Rabbit) -> None:
    """A queue that is neither durable nor exclusive is allowed."""
    rabbit.queue(rabbit.channel(), durable=False, exclusive=False)


@case("QUEUE-AUTODEL-01")
def auto_delete_queue_without_consumers(rabbit: Rabbit) -> None:
    """An auto-delete queue that never had a consumer stays, though it was got from and its connection is gone."""
    connection = rabbit.connect()
    channel = connection.channel()
    queue = rabbit.queue(channel, auto_delete=True)
    rabbit.publish(channel, b"x", routing_key=queue)
    rabbit.get(channel, queue, no_ack=True)
    equal(channel.basic_get(queue), None)
    watch = rabbit.connect()
    connection.close()
    watch.channel().queue_declare(queue, passive=True)


@case("QUEUE-AUTODEL-02")
def auto_delete_queue_losing_its_last_consumer(rabbit: Rabbit) -> None:
    """An auto-delete queue goes, with its messages, when its last consumer is cancelled or its channel closes."""
    for number in range(3):
        connection = rabbit.connect()
        channel = connection.channel()
        queue = rabbit.queue(channel, auto_delete=True)
        channel.basic_qos(0, 1, False)
        consumer = rabbit.consume(channel, queue)
        for payload in (b"one", b"two"):
            rabbit.publish(channel, payload, routing_key=queue)
        consumer.one()
        if number == 0:
            channel.basic_cancel(consumer.tag)
            true(not rabbit.has_queue(queue, connection), "the queue is still there after cancel-ok")
        elif number == 1:
            channel.close()
        else:
            connection.close()
        watch = rabbit.connect()
        rabbit.eventually(lambda: not rabbit.has_queue(queue, watch), "the queue is still there")


@case("QUEUE-AUTODEL-03")
def auto_delete_queue_keeping_a_consumer(rabbit: Rabbit) -> None:
    """An auto-delete queue stays while it has a consumer."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, auto_delete=True)
    first, second = rabbit.consume(channel, queue), rabbit.consume(channel, queue)
    channel.basic_cancel(first.tag)
    true(rabbit.has_queue(queue), "the queue went with a consumer left")
    channel.basic_cancel(second.tag)
    true(not rabbit.has_queue(queue), "the queue is still there")


@case("QUEUE-AUTODEL-04", "QUEUE-DELETE-09")
def acknowledging_what_a_deleted_queue_delivered(rabbit: Rabbit) -> None:
    """A delivery of a queue that is gone can be acknowledged, once."""
    for auto_delete in (True, False):
        channel = rabbit.channel()
        queue = rabbit.queue(channel, auto_delete=auto_delete)
        rabbit.publish(channel, b"x", routing_key=queue)
        consumer = rabbit.consume(channel, queue)
        message = consumer.one()
        channel.basic_cancel(consumer.tag)
        if not auto_delete:
            channel.queue_delete(queue)
        channel.basic_ack(tag_of(message))
        with rabbit.expect_channel_error(channel, 406, "unknown delivery tag 1", (60, 80)):
            channel.basic_ack(tag_of(message))


@case("QUEUE-PURGE-01")
def purging_a_queue(rabbit: Rabbit) -> None:
    """Purge removes the ready messages and tells how many; the unacknowledged ones can still be requeued."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for number in range(5):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
    held = [rabbit.get(channel, queue) for _ in range(2)]
    equal(channel.queue_purge(queue), 3)
    equal(channel.queue_purge(queue), 0)
    for message in held:
        channel.basic_reject(tag_of(message), requeue=True)
    equal([delivered(rabbit.get(channel, queue)) for _ in range(2)], [(b"0", True), (b"1", True)])


@case("QUEUE-PURGE-02")
def purging_a_missing_queue(rabbit: Rabbit) -> None:
    """Purging a queue that is not there closes the channel with 404."""
    rabbit.refused(lambda channel: channel.queue_purge("missing"), 404, _missing(rabbit), _PURGE)


@case("QUEUE-DELETE-01", "QUEUE-DELETE-06")
def deleting_a_queue(rabbit: Rabbit) -> None:
    """Delete-ok counts the ready messages only, and if-empty looks at them only."""
    channel = rabbit.channel()
    for kwargs, ready in (({}, 2), ({"if_empty": True}, 0), ({"if_unused": True}, 2)):
        queue = rabbit.queue(channel)
        for _ in range(ready + 1):
            rabbit.publish(channel, b"x", routing_key=queue)
        rabbit.get(channel, queue)
        equal(channel.queue_delete(queue, **kwargs), ready)
        true(not rabbit.has_queue(queue), "the queue is still there")


@case("QUEUE-DELETE-02")
def deleting_a_missing_queue(rabbit: Rabbit) -> None:
    """Deleting a queue that is not there succeeds and counts no messages."""
    channel = rabbit.channel()
    for kwargs in ({}, {"if_unused": True}, {"if_empty": True}):
        equal(channel.queue_delete("missing", **kwargs), 0)


@case("QUEUE-DELETE-03", "QUEUE-DELETE-04", "QUEUE-DELETE-05")
def deleting_a_queue_in_use(rabbit: Rabbit) -> None:
    """With if-empty a queue with messages stays, with if-unused one with consumers; messages are told first."""
    channel = rabbit.channel()
    full, used, both = rabbit.queue(channel), rabbit.queue(channel), rabbit.queue(channel)
    channel.basic_qos(0, 1, False)
    for queue in (used, both):
        rabbit.consume(channel, queue)
    for queue in (full, both, both):
        rabbit.publish(channel, b"x", routing_key=queue)
    rabbit.expect_ready(channel, both, 1)
    for queue, kwargs, why in (
        (full, {"if_empty": True}, "not empty"),
        (used, {"if_unused": True}, "in use"),
        (both, {"if_unused": True, "if_empty": True}, "not empty"),
    ):
        text = f"queue '{queue}' in vhost '{rabbit.vhost}' {why}"
        rabbit.refused(lambda channel: channel.queue_delete(queue, **kwargs), 406, text, _DELETE)


@case("QUEUE-EXPIRES-01", "QUEUE-EXPIRES-03", "QUEUE-EXPIRES-04", "DLX-18")
def an_unused_queue_expires(rabbit: Rabbit) -> None:
    """A queue with x-expires goes when it was not used that long; publishing is no use of it."""
    channel = rabbit.channel()
    dead = rabbit.queue(channel)
    arguments = {"x-expires": 1200, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = rabbit.queue(channel, arguments=arguments)
    used = rabbit.queue(channel, arguments={"x-expires": 1200})
    rabbit.publish(channel, b"x", routing_key=queue)
    for _ in range(2):
        rabbit.advance(0.7)
        rabbit.publish(channel, b"x", routing_key=queue)
        channel.queue_declare(used, passive=True)
    rabbit.eventually(lambda: not rabbit.has_queue(queue), "the queue did not expire")
    true(rabbit.has_queue(used), "a queue that was looked for expired")
    equal(rabbit.bodies(channel, dead), [])


@case("QUEUE-EXPIRES-02", "QUEUE-EXPIRES-01")
def a_consumer_keeps_a_queue(rabbit: Rabbit) -> None:
    """A queue does not expire while it has a consumer or is got from; its time begins when the consumer ends."""
    channel = rabbit.channel()
    consumed, got = (rabbit.queue(channel, arguments={"x-expires": 1200}) for _ in range(2))
    consumer = rabbit.consume(channel, consumed)
    for _ in range(3):
        rabbit.advance(0.7)
        channel.basic_get(got)
    channel.basic_cancel(consumer.tag)
    true(rabbit.has_queue(got), "a queue that was got from expired")
    rabbit.advance(0.7)
    rabbit.publish(channel, b"x", routing_key=consumed)
    equal([body(message) for message in [rabbit.get(channel, consumed)]], [b"x"], "after the consumer's end")
    rabbit.advance(1.4)
    rabbit.eventually(lambda: not rabbit.has_queue(consumed), "the queue did not expire")

"""What the differential machine met where features meet: each case is a difference that it found."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue, Int64, UInt64
from hutch.wire.properties import PropertyValue, encode_properties


@case("QUEUE-ARG-21")
def first_of_several_refused_arguments(rabbit: Rabbit) -> None:
    """Of several arguments that the queue type does not take, the text names the first; 4.x sorts them if it fills in
    the type itself.
    """
    refused: FieldTable = {"x-max-age": "1h", "x-initial-cluster-size": 1}
    tables: list[tuple[FieldTable, str]] = [
        (refused, rabbit.by_profile({"3.10": "x-max-age", "4.3": "x-initial-cluster-size"})),
        ({**refused, "x-queue-type": "classic"}, "x-max-age"),
    ]
    for number, (arguments, named) in enumerate(tables, 1):
        channel, queue = rabbit.raw().channel(number), rabbit.name()
        channel.send(amqp.QueueDeclare(queue=queue, arguments=arguments))
        where = f"for queue '{queue}' in vhost '{rabbit.vhost}'"
        channel.expect_close(406, f"invalid arg '{named}' {where} of queue type rabbit_classic_queue", (50, 10))


@case("QUEUE-ARG-30")
def server_named_queue_of_an_unknown_type(rabbit: Rabbit) -> None:
    """A server-named queue of an unknown type: 3.x crashes. 4.x refuses text, and crashes over every other value except
    void.
    """
    values: list[tuple[FieldValue, str]] = [("foo", "foo"), (True, "true"), *((value, "") for value in (1, 1.5, [1]))]
    for value, text in values:
        channel = rabbit.raw().channel()
        channel.send(amqp.QueueDeclare(arguments={"x-queue-type": value}))
        if text and rabbit.profile == "4.3":
            channel.expect_close(406, f"unknown queue type '{text}'", (50, 10))
        else:
            channel.connection.expect_close(541, "", (0, 0))


@case("QUEUE-ARG-01")
def unsigned_64_bit_argument_of_the_wrong_type(rabbit: Rabbit) -> None:
    """In reply texts an unsigned 64-bit number is a long."""
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.send(amqp.QueueDeclare(queue=queue, arguments={"x-overflow": UInt64(5)}))
    where = f"for queue '{queue}' in vhost '{rabbit.vhost}'"
    channel.expect_close(406, f"invalid arg 'x-overflow' {where}: {{unacceptable_type,long}}", (50, 10))


@case("TTL-01", "GET-02")
def getting_counts_without_what_expired_behind(rabbit: Rabbit) -> None:
    """Messages that have expired behind the one that basic.get fetches are dropped before the rest is counted."""
    channel, queue = rabbit.raw_queue()
    for body in (b"a", b"b", b"c", b"d"):
        channel.publish(body, routing_key=queue, expiration="0" if body in {b"b", b"d"} else None)
    channel.expect_ready(queue, 4)
    for body, left in ((b"a", 2), (b"c", 0)):
        got = channel.got(queue)
        equal((got.body, fields(got).message_count), (body, left))


@case("TTL-01", "PRIO-01")
def overtaking_message_expires_unnoticed(rabbit: Rabbit) -> None:
    """A message that is at the head because of its priority does not expire until a message is taken out or returned.
    The head itself is delivered, although it has expired.
    """
    channel, queue = rabbit.raw_queue(arguments={"x-max-priority": 3})
    channel.publish(b"low", routing_key=queue)
    channel.publish(b"high", routing_key=queue, priority=2, expiration="50")
    channel.publish(b"higher", routing_key=queue, priority=3, expiration="50")
    channel.expect_ready(queue, 3)
    rabbit.advance(0.2)
    equal(channel.ready(queue), 3, "ready messages")
    got = channel.got(queue)
    equal((got.body, fields(got).message_count), (b"higher", 1))


@case("CONSUME-19")
def cancels_come_in_the_order_of_the_tags(rabbit: Rabbit) -> None:
    """When a queue is deleted, a channel is told of its consumers there in the order of their tags."""
    channel, queue = rabbit.raw_queue()
    for tag, priority in (("b", 0), ("a", 0), ("c", 5)):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments={"x-priority": priority}))
    channel.send(amqp.QueueDelete(queue=queue))
    channel.expect(amqp.QueueDeleteOk)
    equal([channel.expect(amqp.BasicCancel).consumer_tag for _ in range(3)], ["a", "b", "c"], "cancelled")


def _dying(channel: RawChannel, queue: str, headers: FieldTable) -> None:
    """Have a message of ``queue`` rejected."""
    channel.publish(b"x", routing_key=queue, headers=headers)
    channel.expect_ready(queue, 1)
    channel.send(amqp.BasicReject(fields(channel.got(queue)).delivery_tag, requeue=False))


@case("DLX-03", "DLX-04")
def rejected_message_to_who_waits_for_it(rabbit: Rabbit) -> None:
    """A rejected message is not redelivered to a consumer that waits for it; in 4.x it returns to its first place in
    the queue. The headers of a dead letter are sorted by name.
    """
    channel, target = rabbit.raw_queue()
    dying: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target}
    source = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=source, arguments=dying))
    _dying(channel, source, {"z": 1, "a": 1})
    channel.expect_ready(target, 1)
    equal(fields(channel.got(target)).redelivered, rabbit.profile == "4.3", "redelivered from the queue")
    channel.call(amqp.BasicConsume(queue=target))
    _dying(channel, source, {"z": 1, "a": 1})
    delivered = channel.message(amqp.BasicDeliver)
    equal(fields(delivered).redelivered, False, "redelivered at once")
    headers = properties_of(delivered)["headers"]
    names = [name for name in headers if isinstance(name, str)] if isinstance(headers, dict) else []
    equal(names, sorted(names), "names of headers")
    equal((names[0], names[-1]), ("a", "z"), "names of headers")


@case("QOS-05", "QOS-06", profiles=["3.10"])
def shared_limit_begins_with_all_that_is_outstanding(rabbit: Rabbit) -> None:
    """A limit that consumers share counts everything outstanding from its beginning, also messages from basic.get,
    although acknowledging those makes no room.
    """
    channel, queue = rabbit.raw_queue(5)
    channel.expect_ready(queue, 5)
    got = channel.got(queue)
    channel.call(amqp.BasicQos(prefetch_count=2, global_=True))
    channel.call(amqp.BasicConsume(queue=queue))
    first = channel.message(amqp.BasicDeliver)
    equal(first.body, b"1")
    channel.send(amqp.BasicAck(fields(got).delivery_tag))
    channel.expect_nothing(queue)
    channel.send(amqp.BasicAck(fields(first).delivery_tag))
    equal(channel.message(amqp.BasicDeliver).body, b"2")
    channel.expect_nothing(queue)


@case("PUB-11", "PUB-19", profiles=["3.10"])
def first_of_several_refused_properties(rabbit: Rabbit) -> None:
    """Of several invalid properties, the text names the expiration first, then the headers, then the delivery mode."""
    raw = rabbit.raw()
    refused: list[tuple[dict[str, PropertyValue], str]] = [
        ({"headers": {"BCC": 1}, "delivery_mode": 0}, 'invalid message: {unacceptable_type_in_header,"BCC",signedint}'),
        ({"headers": {"CC": 1}, "expiration": "a"}, "invalid expiration 'a': no_integer"),
        ({"delivery_mode": 0, "expiration": "a"}, "invalid expiration 'a': no_integer"),
    ]
    for number, (properties, text) in enumerate(refused, 1):
        channel = raw.channel(number)
        channel.publish_raw(amqp.BasicPublish(), encode_properties(properties), b"")
        channel.expect_close(406, text, (60, 40))


@case("EXCH-TOPIC-01")
def binding_key_of_many_hashes(rabbit: Rabbit) -> None:
    """4.x takes at most two words "#" in the binding key of a topic exchange; unbinding takes any key."""
    raw = rabbit.raw()
    channel, topic, queue = raw.channel(1), rabbit.name("x"), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.ExchangeDeclare(exchange=topic, type="topic"))
    for number, (key, count) in enumerate((("#.#", 2), ("##.#.#a.#", 2), ("#.#.#", 3), ("#.a.#.#.b.#", 4)), 2):
        bindings: list[amqp.Method] = [
            amqp.QueueBind(queue=queue, exchange=topic, routing_key=key),
            amqp.ExchangeBind(destination="amq.direct", source=topic, routing_key=key),
        ]
        for bind in bindings:
            channel = raw.channel(number * 100 + bind.CLASS_ID)
            if count <= 2 or rabbit.profile == "3.10":
                channel.call(bind)
                continue
            channel.send(bind)
            text = f"Topic binding key '{key}' uses {count} '#' wildcards, at most 2 are allowed"
            channel.expect_close(406, text, (bind.CLASS_ID, bind.METHOD_ID))
        raw.channel(number).call(amqp.QueueUnbind(queue=queue, exchange=topic, routing_key=key))


@case("EXCH-HEADERS-10", "QUEUE-EXCL-01")
def refused_arguments_come_before_the_owner(rabbit: Rabbit) -> None:
    """A binding's arguments are looked at before whether the queue is another connection's."""
    queue = rabbit.name()
    rabbit.raw().channel().call(amqp.QueueDeclare(queue=queue, exclusive=True))
    raw = rabbit.raw()
    channel = raw.channel(1)
    channel.send(amqp.QueueBind(queue=queue, exchange="amq.headers", arguments={"x-match": 1}))
    channel.expect_close(406, "Invalid x-match field type signedint (value 1); expected longstr", (50, 20))
    if rabbit.profile == "4.3":
        channel = raw.channel(2)
        channel.send(amqp.QueueBind(queue=queue, exchange="amq.topic", routing_key="#.#.#"))
        channel.expect_close(406, "Topic binding key '#.#.#' uses 3 '#' wildcards, at most 2 are allowed", (50, 20))
    channel = raw.channel(3)
    channel.send(amqp.QueueBind(queue="missing", exchange="amq.headers", arguments={"x-match": 1}))
    channel.expect_close(404, f"no queue 'missing' in vhost '{rabbit.vhost}'", (50, 20))


@case("CONSUME-03")
def reused_tag_without_a_queue(rabbit: Rabbit) -> None:
    """An empty queue name on a channel without a last declared queue is refused before a consumer tag that is taken."""
    queue = rabbit.raw_queue()[1]
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="t"))
    channel.send(amqp.BasicConsume(consumer_tag="t"))
    channel.expect_close(404, "no previously declared queue", (60, 20))


@case("DLX-04", "DLX-14", profiles=["3.10"])
def death_of_what_claims_to_have_died(rabbit: Rabbit) -> None:
    """3.x writes headers about the first death only if there is no x-death at all. It replaces an x-death that is no
    array.
    """
    channel, target = rabbit.raw_queue()
    source = rabbit.name()
    dying: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target}
    channel.call(amqp.QueueDeclare(queue=source, arguments=dying))
    claimed: FieldTable = {"queue": source, "reason": "rejected"}
    for headers, count, is_first in (
        ({"x-first-death-queue": "q"}, 1, True),
        ({"x-death": "x"}, 1, False),
        ({"x-death": []}, 1, False),
        ({"x-death": [{**claimed, "count": Int64(2)}, {**claimed, "count": Int64(7)}]}, 3, False),
    ):
        _dying(channel, source, headers)
        channel.expect_ready(target, 1)
        died = properties_of(channel.got(target, no_ack=True))["headers"]
        deaths = died["x-death"] if isinstance(died, dict) else None
        true(isinstance(died, dict) and ("x-first-death-queue" in died) is is_first, f"first death in {died!r}")
        true(not is_first or (isinstance(died, dict) and died["x-first-death-queue"] == source), f"first in {died!r}")
        true(isinstance(deaths, list) and len(deaths) == 1, f"one death in {died!r}")
        if isinstance(deaths, list) and isinstance(deaths[0], dict):
            equal(deaths[0]["count"], count, "count")


@case("DLX-07")
def routing_keys_of_a_death_without_the_blind_ones(rabbit: Rabbit) -> None:
    """A death lists the routing key and the keys of CC. In 4.x each key of BCC removes the first key that equals it."""
    channel, target = rabbit.raw_queue()
    source, fanout = rabbit.name(), rabbit.name("x")
    dying: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target}
    channel.call(amqp.QueueDeclare(queue=source, arguments=dying))
    channel.call(amqp.ExchangeDeclare(exchange=fanout, type="fanout"))
    channel.call(amqp.QueueBind(queue=source, exchange=fanout))
    channel.publish(exchange=fanout, routing_key="k", headers={"CC": ["a"], "BCC": ["k"]})
    channel.expect_ready(source, 1)
    channel.send(amqp.BasicReject(fields(channel.got(source)).delivery_tag, requeue=False))
    channel.expect_ready(target, 1)
    headers = properties_of(channel.got(target))["headers"]
    deaths = headers["x-death"] if isinstance(headers, dict) else None
    death = deaths[0] if isinstance(deaths, list) else None
    keys = death["routing-keys"] if isinstance(death, dict) else None
    equal(keys, rabbit.by_profile({"3.10": ["k", "a"], "4.3": ["a", "k"]}), "routing keys")


@case("QOS-06", "TX-08", profiles=["3.10"])
def shared_limit_does_not_count_what_a_transaction_holds(rabbit: Rabbit) -> None:
    """A limit that consumers share does not count what a transaction holds when the limit begins, and the commit makes
    no room.
    """
    channel, queue = rabbit.raw_queue(1)
    channel.call(amqp.TxSelect())
    channel.call(amqp.BasicConsume(queue=queue))
    channel.send(amqp.BasicAck(fields(channel.message(amqp.BasicDeliver)).delivery_tag))
    channel.call(amqp.BasicQos(prefetch_count=1, global_=True))
    channel.call(amqp.TxCommit())
    publisher = rabbit.raw().channel()
    for body in (b"a", b"b"):
        publisher.publish(body, routing_key=queue)
    equal(channel.message(amqp.BasicDeliver).body, b"a")
    publisher.expect_ready(queue, 1)
    channel.expect_nothing(queue)


@case("QUORUM-02")
def delivery_count_of_a_first_delivery(rabbit: Rabbit) -> None:
    """In 3.x only basic.get tells that a message of a quorum queue was not delivered before."""
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments={"x-queue-type": "quorum"}))
    for _ in range(2):
        channel.publish(routing_key=queue)
    channel.expect_ready(queue, 2)
    headers = properties_of(channel.got(queue, no_ack=True)).get("headers")
    equal(headers, rabbit.by_profile({"3.10": {"x-delivery-count": 0}, "4.3": None}), "headers by basic.get")
    channel.call(amqp.BasicConsume(queue=queue))
    equal(properties_of(channel.message(amqp.BasicDeliver)).get("headers"), None, "headers of a delivery")

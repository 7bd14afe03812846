"""What other stand-ins for RabbitMQ were seen to get wrong, where no case says it in passing."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit, body, delivered, tag_of, told
from hutch.wire import methods as amqp


@case("EXCH-DEFAULT-05", "PUB-01")
def publishing_creates_no_queue(rabbit: Rabbit) -> None:
    """A message to the default exchange does not bring the queue into being that its key names."""
    channel = rabbit.channel()
    name = rabbit.name()
    rabbit.publish(channel, b"x", routing_key=name)
    true(not rabbit.has_queue(name), "the queue is there")
    rabbit.queue(channel, name)
    equal(channel.basic_get(name), None)


@case("EXCH-DELETE-05")
def publishing_creates_no_exchange(rabbit: Rabbit) -> None:
    """A message to an exchange that is missing does not bring it into being."""
    name = rabbit.name("x")
    text = f"no exchange '{name}' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda channel: rabbit.publish(channel, b"x", name), 404, text, (60, 40))
    true(not rabbit.has_exchange(name), "the exchange is there")


@case("EXCH-TOPIC-01", "EXCH-TOPIC-02", "EXCH-TOPIC-05")
def topics_are_words_not_text(rabbit: Rabbit) -> None:
    """Topic patterns are compared word by word: a pattern is no prefix, no suffix and no regular expression."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "topic")
    odd = "a.-_:/é"
    matches = {
        "a.#": ["a", "a.b", "a.bc", "a.b.c", "a.cb", "a.*", odd, "a.x.é"],
        "a.*": ["a.b", "a.bc", "a.cb", "a.*", odd],
        "a.b": ["a.b"],
        "#.b": ["b", "a.b"],
        "a.#.b": ["a.b"],
        "*.b": ["a.b"],
        "*.*.c": ["ca.b.c", "a.b.c"],
    }
    keys = ["a", "b", "ab", "a.b", "axb", "a.bc", "ca.b.c", "a.b.c", "a.cb", "a.*", odd, "a.x.é", "A.B"]
    queues = {pattern: rabbit.bound(channel, exchange, pattern) for pattern in matches}
    for key in keys:
        rabbit.publish(channel, key.encode(), exchange, key)
    for pattern, wanted in matches.items():
        got = [payload.decode() for payload in rabbit.bodies(channel, queues[pattern])]
        equal(got, wanted, f"keys that match {pattern!r}")


@case("ACK-07", "EXCH-DIRECT-02")
def requeueing_concerns_one_queue(rabbit: Rabbit) -> None:
    """A requeued message goes back to its own queue and is not routed again."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "fanout")
    queue, sibling = rabbit.bound(channel, exchange), rabbit.bound(channel, exchange)
    rabbit.publish(channel, b"x", exchange)
    channel.basic_reject(tag_of(rabbit.get(channel, queue)), requeue=True)
    rabbit.bound(channel, exchange)
    equal(delivered(rabbit.get(channel, queue)), (b"x", True))
    equal(rabbit.bodies(channel, sibling), [b"x"])


@case("EXCH-BIND-03", "QUEUE-DELETE-01")
def a_deleted_queue_takes_its_bindings_along(rabbit: Rabbit) -> None:
    """A deleted queue is not revived by publishing; declared again it has neither bindings nor messages."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "fanout")
    queue = rabbit.bound(channel, exchange)
    rabbit.publish(channel, b"x", exchange)
    rabbit.expect_ready(channel, queue, 1)
    equal(channel.queue_delete(queue), 1)
    rabbit.publish(channel, b"x", exchange)
    true(not rabbit.has_queue(queue), "the queue is back")
    rabbit.queue(channel, queue)
    rabbit.publish(channel, b"x", exchange)
    equal(channel.basic_get(queue), None)


@case("QUEUE-DELETE-01", "EXCH-DELETE-01")
def unbound_queues_are_deleted_and_bound_ones_outlive_their_exchange(rabbit: Rabbit) -> None:
    """A queue without bindings can be deleted; a queue stays, with its messages, when its exchange is deleted."""
    channel = rabbit.channel()
    lonely = rabbit.queue(channel)
    channel.queue_delete(lonely)
    true(not rabbit.has_queue(lonely), "the queue is still there")
    exchange = rabbit.exchange(channel, "fanout")
    queue, empty = rabbit.bound(channel, exchange), rabbit.bound(channel, exchange)
    rabbit.publish(channel, b"x", exchange)
    equal(body(rabbit.get(channel, empty, no_ack=True)), b"x")
    channel.exchange_delete(exchange)
    equal((rabbit.bodies(channel, queue), rabbit.bodies(channel, empty)), ([b"x"], []))


@case("CONSUME-22", "CONSUME-02")
def consumers_of_two_connections(rabbit: Rabbit) -> None:
    """Two connections may use one consumer tag; a queue's message goes to one consumer, with its exchange and key."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "direct")
    queue = rabbit.bound(channel, exchange, "key")
    consumers = [
        rabbit.consume(rabbit.channel(connection), queue, consumer_tag="same")
        for connection in (rabbit.connect(), rabbit.connect())
    ]
    for number in range(4):
        rabbit.publish(channel, b"%d" % number, exchange, "key")
    for consumer, wanted in zip(consumers, ([b"0", b"2"], [b"1", b"3"]), strict=True):
        messages = consumer.take(2)
        equal([body(message) for message in messages], wanted)
        equal([tag_of(message) for message in messages], [1, 2])
        for message in messages:
            info = told(message)
            equal((info["exchange"], info["routing_key"], info["consumer_tag"]), (exchange, "key", "same"))
        consumer.expect_nothing()


@case("CHAN-11", "ACK-02")
def closing_requeues_everything_unsettled(rabbit: Rabbit) -> None:
    """Messages that a closing connection holds are delivered to the remaining consumers, marked redelivered."""
    leaving, staying = rabbit.connect(), rabbit.connect()
    channel = leaving.channel()
    queue = rabbit.queue(channel)
    for number in range(4):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
    consumer = rabbit.consume(channel, queue)
    messages = consumer.take(4)
    channel.basic_ack(tag_of(messages[1]), multiple=True)
    heir = rabbit.consume(staying.channel(), queue)
    heir.expect_nothing()
    leaving.close()
    equal([delivered(message) for message in heir.take(2)], [(b"2", True), (b"3", True)])


@case("EXCH-BIND-11", "EXCH-BIND-04")
def exchange_bindings_carry_messages(rabbit: Rabbit) -> None:
    """A binding between exchanges carries messages until it is unbound, or either exchange is deleted."""
    channel = rabbit.channel()
    front, back = rabbit.exchange(channel, "direct"), rabbit.exchange(channel, "fanout")
    queue = rabbit.bound(channel, back)
    channel.exchange_bind(back, front, "key")
    for key in ("key", "other"):
        rabbit.publish(channel, key.encode(), front, key)
    equal(rabbit.bodies(channel, queue), [b"key"])
    channel.exchange_delete(back)
    rabbit.exchange(channel, "fanout", back)
    channel.queue_bind(queue, back)
    rabbit.publish(channel, b"late", front, "key")
    equal(channel.basic_get(queue), None)


@case("CONFIRM-05", "PUB-02")
def one_connection_for_everything(rabbit: Rabbit) -> None:
    """Replies, deliveries, returns and confirms of two channels of one connection do not get mixed up."""
    raw = rabbit.raw()
    consumer, publisher = raw.channel(1), raw.channel(2)
    queue = rabbit.name()
    consumer.call(amqp.QueueDeclare(queue=queue))
    consumer.call(amqp.BasicConsume(queue=queue, consumer_tag="a", no_ack=True))
    publisher.call(amqp.ConfirmSelect())
    for number in range(1, 11):
        publisher.publish(b"%d" % number, routing_key=queue if number % 2 else "no-such-queue", mandatory=True)
        if number % 2:
            equal(consumer.message(amqp.BasicDeliver).body, b"%d" % number)
        else:
            equal(publisher.message(amqp.BasicReturn).body, b"%d" % number)
        equal(publisher.expect(amqp.BasicAck).delivery_tag, number)
    consumer.expect_nothing(queue)
    publisher.expect_nothing()

"""Prefetch (QOS)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit, body
from hutch.conformance.raw import RawChannel, delivery_tag
from hutch.wire import methods as amqp


def _filled(rabbit: Rabbit, count: int) -> tuple[RawChannel, str]:
    """A channel, and a queue with ``count`` ready messages."""
    channel, queue = rabbit.raw_queue(count)
    channel.expect_ready(queue, count)
    return channel, queue


def _expect(channel: RawChannel, queue: str, count: int) -> list[int]:
    """Exactly ``count`` deliveries come; their tags."""
    tags = [delivery_tag(channel.message(amqp.BasicDeliver)) for _ in range(count)]
    channel.expect_nothing(queue)
    return tags


@case("QOS-01")
def prefetch_size_is_not_implemented(rabbit: Rabbit) -> None:
    """A prefetch size in bytes closes the connection with 540."""
    channel = rabbit.raw().channel()
    channel.send(amqp.BasicQos(prefetch_size=10))
    channel.connection.expect_close(540, "prefetch_size!=0 (10)", (60, 10))


@case("QOS-02")
def prefetch_counts_per_consumer(rabbit: Rabbit) -> None:
    """A prefetch holds for consumers that start after it, for each by itself; those that are there keep theirs."""
    channel, queue = _filled(rabbit, 9)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    _expect(channel, queue, 1)
    channel.call(amqp.BasicQos(prefetch_count=2))
    channel.expect_nothing(queue)
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="b"))
    _expect(channel, queue, 2)
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    _expect(channel, queue, 2)


@case("QOS-03", "QOS-04")
def prefetch_without_limit(rabbit: Rabbit) -> None:
    """A prefetch of 0 is no limit; 65535 is the largest."""
    for count in (0, 65535):
        channel, queue = _filled(rabbit, 50)
        channel.call(amqp.BasicQos(prefetch_count=1))
        channel.call(amqp.BasicQos(prefetch_count=count))
        channel.call(amqp.BasicConsume(queue=queue))
        _expect(channel, queue, 50)


@case("QOS-05")
def getting_is_not_limited(rabbit: Rabbit) -> None:
    """Messages that are got are not limited by a prefetch and do not count for it."""
    channel = rabbit.channel()
    queue, other = rabbit.queue(channel), rabbit.queue(channel)
    for number in range(3):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
        rabbit.publish(channel, b"%d" % number, routing_key=other)
    rabbit.expect_ready(channel, other, 3)
    channel.basic_qos(0, 1, False)
    for _ in range(3):
        rabbit.get(channel, queue)
    consumer = rabbit.consume(channel, other)
    consumer.one()
    consumer.expect_nothing()
    equal(body(rabbit.get(channel, other)), b"1")


@case("QOS-06", profiles=["3.10"])
def global_prefetch_is_shared(rabbit: Rabbit) -> None:
    """In 3.x a global prefetch is shared by a channel's consumers; raising it lets more through at once, 0 all."""
    channel, queue = _filled(rabbit, 10)
    channel.call(amqp.BasicQos(prefetch_count=3, global_=True))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="b"))
    _expect(channel, queue, 3)
    channel.call(amqp.BasicQos(prefetch_count=5, global_=True))
    tags = _expect(channel, queue, 2)
    channel.send(amqp.BasicAck(tags[-1]))
    _expect(channel, queue, 1)
    channel.call(amqp.BasicQos(prefetch_count=0, global_=True))
    _expect(channel, queue, 4)


@case("QOS-06", profiles=["4.3"])
def global_prefetch_counts_per_consumer(rabbit: Rabbit) -> None:
    """In 4.x a global prefetch is one for each consumer that starts after it."""
    channel, queue = _filled(rabbit, 10)
    channel.call(amqp.BasicQos(prefetch_count=3, global_=True))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    _expect(channel, queue, 3)
    channel.call(amqp.BasicQos(prefetch_count=2, global_=True))
    channel.expect_nothing(queue)
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="b"))
    _expect(channel, queue, 2)


@case("QOS-05", "QOS-06", profiles=["3.10"])
def a_global_prefetch_that_is_changed_counts_nothing_anew(rabbit: Rabbit) -> None:
    """In 3.x what was got under a global prefetch does not count for the next one either."""
    channel, queue = _filled(rabbit, 10)
    channel.call(amqp.BasicQos(prefetch_count=5, global_=True))
    for _ in range(2):
        channel.got(queue)
    channel.call(amqp.BasicQos(prefetch_count=3, global_=True))
    channel.call(amqp.BasicConsume(queue=queue))
    _expect(channel, queue, 3)


@case("QOS-07")
def both_kinds_of_prefetch(rabbit: Rabbit) -> None:
    """Two per consumer and three in all: 3.x keeps both limits, in 4.x the last one counts for each consumer."""
    channel, queue = _filled(rabbit, 10)
    channel.call(amqp.BasicQos(prefetch_count=2))
    channel.call(amqp.BasicQos(prefetch_count=3, global_=True))
    for tag, count in zip("ab", rabbit.by_profile({"3.10": (2, 1), "4.3": (3, 3)}), strict=True):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag))
        _expect(channel, queue, count)


@case("QOS-07", "QOS-06", profiles=["3.10"])
def a_prefetch_ends_the_global_one(rabbit: Rabbit) -> None:
    """In 3.x a prefetch for later consumers takes the global one back, and lets through what waited for that."""
    channel, queue = _filled(rabbit, 6)
    channel.call(amqp.BasicQos(prefetch_count=2, global_=True))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    _expect(channel, queue, 2)
    channel.call(amqp.BasicQos(prefetch_count=1))
    _expect(channel, queue, 4)


@case("QOS-08")
def acknowledging_makes_room(rabbit: Rabbit) -> None:
    """Each acknowledged message makes room for one, several for several."""
    channel, queue = _filled(rabbit, 10)
    channel.call(amqp.BasicQos(prefetch_count=3))
    channel.call(amqp.BasicConsume(queue=queue))
    equal(_expect(channel, queue, 3), [1, 2, 3])
    channel.send(amqp.BasicAck(2))
    equal(_expect(channel, queue, 1), [4])
    channel.send(amqp.BasicAck(3, multiple=True))
    equal(_expect(channel, queue, 2), [5, 6])
    channel.send(amqp.BasicReject(4, requeue=False))
    equal(_expect(channel, queue, 1), [7])


@case("QOS-08")
def requeueing_makes_room(rabbit: Rabbit) -> None:
    """A requeued message makes room too, and comes back into it under a new tag, marked redelivered."""
    channel, queue = _filled(rabbit, 3)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    equal(channel.message(amqp.BasicDeliver).body, b"0")
    for tag in (1, 2):
        channel.send(amqp.BasicNack(tag, multiple=False, requeue=True))
        content = channel.message(amqp.BasicDeliver)
        equal((content.method, content.body), (amqp.BasicDeliver("a", tag + 1, True, "", queue), b"0"))
    channel.expect_nothing(queue)


@case("QOS-06", "CONSUME-15", profiles=["3.10"])
def a_global_prefetch_and_no_acknowledgements(rabbit: Rabbit) -> None:
    """In 3.x a consumer that does not acknowledge takes nothing of a global prefetch, but waits while it is used up."""
    channel, queue = _filled(rabbit, 5)
    other = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=other))
    channel.call(amqp.BasicQos(prefetch_count=1, global_=True))
    channel.call(amqp.BasicConsume(queue=other, consumer_tag="a"))
    channel.publish(b"x", routing_key=other)
    (tag,) = _expect(channel, other, 1)
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="b", no_ack=True))
    channel.expect_nothing(queue)
    channel.send(amqp.BasicAck(tag))
    _expect(channel, queue, 5)
    channel.publish(b"y", routing_key=other)
    _expect(channel, other, 1)

"""Acknowledging, rejecting, recovering (ACK)."""

from collections.abc import Callable

from hutch.client import Channel
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit, body, delivered
from hutch.conformance.raw import RawChannel, delivery_tag, fields
from hutch.wire import methods as amqp


def _held(rabbit: Rabbit, count: int = 4) -> tuple[Channel, str]:
    """A channel that has got ``count`` messages, tagged from 1, from a queue that has no more."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for number in range(count):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
    for _ in range(count):
        rabbit.get(channel, queue)
    return channel, queue


def _left(rabbit: Rabbit, channel: Channel, queue: str, count: int) -> list[bytes]:
    """What comes back when the channel that holds messages is closed."""
    channel.close()
    other = rabbit.channel()
    rabbit.expect_ready(other, queue, count)
    return rabbit.bodies(other, queue)


def _unknown(rabbit: Rabbit, method: amqp.Method, tag: int) -> None:
    channel = rabbit.raw().channel()
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    for _ in range(2):
        channel.publish(b"x", routing_key=queue)
        channel.get(queue)
    channel.send(method)
    channel.expect_close(406, f"unknown delivery tag {tag}", (method.CLASS_ID, method.METHOD_ID))


@case("ACK-01")
def unknown_delivery_tags(rabbit: Rabbit) -> None:
    """Settling a tag that is not outstanding closes the channel with 406: unknown, huge, or 0 for a single one."""
    for tag in (3, 0, 1 << 40, (1 << 64) - 1):
        _unknown(rabbit, amqp.BasicAck(tag), tag)
        _unknown(rabbit, amqp.BasicReject(tag, requeue=True), tag)
        _unknown(rabbit, amqp.BasicNack(tag, multiple=False, requeue=True), tag)


@case("ACK-01")
def settling_twice(rabbit: Rabbit) -> None:
    """A delivery can be settled once."""
    ways: list[tuple[Callable[[Channel], object], tuple[int, int]]] = [
        (lambda channel: channel.basic_ack(1), (60, 80)),
        (lambda channel: channel.basic_reject(1, requeue=True), (60, 90)),
        (lambda channel: channel.basic_nack(1, requeue=True), (60, 120)),
    ]
    for settle, method in ways:
        channel, _ = _held(rabbit, 1)
        channel.basic_ack(1)
        with rabbit.expect_channel_error(channel, 406, "unknown delivery tag 1", method):
            settle(channel)


@case("ACK-01")
def delivery_tags_of_another_channel(rabbit: Rabbit) -> None:
    """A delivery can be settled on its own channel only."""
    _held(rabbit, 1)
    rabbit.refused(lambda channel: channel.basic_ack(1), 406, "unknown delivery tag 1", (60, 80))


@case("ACK-02")
def acknowledging_several(rabbit: Rabbit) -> None:
    """With multiple all deliveries up to the tag are acknowledged."""
    channel, queue = _held(rabbit, 5)
    channel.basic_ack(3, multiple=True)
    equal(_left(rabbit, channel, queue, 2), [b"3", b"4"])


@case("ACK-02")
def multiple_needs_its_own_tag(rabbit: Rabbit) -> None:
    """With multiple the tag itself must be outstanding. Outstanding deliveries below it make no difference."""
    for acked, tag in ((2, 2), (None, 9)):
        channel, queue = _held(rabbit, 3)
        if acked is not None:
            channel.basic_ack(acked)
        with rabbit.expect_channel_error(channel, 406, f"unknown delivery tag {tag}", (60, 80)):
            channel.basic_ack(tag, multiple=True)
        rabbit.expect_ready(rabbit.channel(), queue, 3 if acked is None else 2)


@case("ACK-03")
def tag_zero_means_all(rabbit: Rabbit) -> None:
    """Tag 0 with multiple settles everything. It may be repeated, and is no error when nothing is outstanding."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    channel.basic_ack(0, multiple=True)
    channel.basic_nack(0, multiple=True, requeue=True)
    for number in range(3):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
    for _ in range(2):
        rabbit.get(channel, queue)
    channel.basic_ack(0, multiple=True)
    channel.basic_ack(0, multiple=True)
    rabbit.get(channel, queue)
    channel.basic_nack(0, multiple=True, requeue=True)
    equal(delivered(rabbit.get(channel, queue)), (b"2", True))
    equal(_left(rabbit, channel, queue, 1), [b"2"])


@case("ACK-04")
def multiple_spans_gaps(rabbit: Rabbit) -> None:
    """With multiple, deliveries below the tag that are already settled make no difference."""
    channel, queue = _held(rabbit, 5)
    channel.basic_ack(3)
    channel.basic_ack(4, multiple=True)
    equal(_left(rabbit, channel, queue, 1), [b"4"])


def _three_consumers(rabbit: Rabbit, queue_type: str) -> RawChannel:
    """A channel with the consumers c, b and a, whose prefetches, 2, 1 and 2, the first of ten messages have used up."""
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.call(amqp.ConfirmSelect())
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments={"x-queue-type": queue_type}))
    for number in range(10):
        channel.publish(b"%d" % number, routing_key=queue)
        channel.expect(amqp.BasicAck)
    expected = iter(range(10))
    for tag, prefetch in (("c", 2), ("b", 1), ("a", 2)):
        channel.call(amqp.BasicQos(prefetch_count=prefetch))
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag))
        equal(_received(channel, prefetch), [(tag, b"%d" % next(expected)) for _ in range(prefetch)])
    return channel


def _received(channel: RawChannel, count: int) -> list[tuple[str, bytes]]:
    """The next deliveries: to which consumer, and what."""
    deliveries = [channel.message(amqp.BasicDeliver) for _ in range(count)]
    return [(fields(content).consumer_tag, content.body) for content in deliveries]


@case("ACK-02", "QOS-02")
def settling_for_several_consumers(rabbit: Rabbit) -> None:
    """Multiple settles the deliveries of one consumer after the other, in the order of their tags. Each consumer's
    queue serves it before the next consumer has credit again.
    """
    for queue_type in ("classic", "quorum"):
        for method in (amqp.BasicAck(0, multiple=True), amqp.BasicNack(0, multiple=True, requeue=False)):
            channel = _three_consumers(rabbit, queue_type)
            channel.send(method)
            expected = [("a", b"5"), ("a", b"6"), ("b", b"7"), ("c", b"8"), ("c", b"9")]
            equal(_received(channel, 5), expected)


@case("ACK-07", "ACK-08", "ACK-10", "ACK-12", "QOS-02")
def requeueing_for_several_consumers(rabbit: Rabbit) -> None:
    """Requeueing with multiple, and basic.recover, go from consumer to consumer in the same way. Each consumer gets its
    own messages again; from 3.x's quorum queues without a delivery limit it gets those that were waiting.
    """
    own = [("a", b"3"), ("a", b"4"), ("b", b"2"), ("c", b"0"), ("c", b"1")]
    waiting = [("a", b"5"), ("a", b"6"), ("b", b"7"), ("c", b"8"), ("c", b"9")]
    for queue_type in ("classic", "quorum"):
        expected = waiting if queue_type == "quorum" and rabbit.profile == "3.10" else own
        for method in (
            amqp.BasicNack(0, multiple=True, requeue=True),
            amqp.BasicRecover(requeue=True),
            amqp.BasicRecoverAsync(requeue=True),
        ):
            channel = _three_consumers(rabbit, queue_type)
            channel.send(method)
            if isinstance(method, amqp.BasicRecover):
                channel.expect(amqp.BasicRecoverOk)
            equal(_received(channel, 5), expected)


@case("ACK-05", "CHAN-13")
def settled_before_an_error(rabbit: Rabbit) -> None:
    """What was acknowledged before an unknown tag stays so; the rest comes back."""
    channel, queue = _held(rabbit, 3)
    with rabbit.expect_channel_error(channel, 406, "unknown delivery tag 9", (60, 80)):
        channel.basic_ack(2)
        channel.basic_ack(9)
    other = rabbit.channel()
    rabbit.expect_ready(other, queue, 2)
    equal(rabbit.bodies(other, queue), [b"0", b"2"])


@case("ACK-06")
def rejecting_without_requeue(rabbit: Rabbit) -> None:
    """A message rejected without requeue is gone, by reject and by nack."""
    channel, queue = _held(rabbit, 4)
    channel.basic_reject(1, requeue=False)
    channel.basic_nack(3, multiple=True, requeue=False)
    equal(_left(rabbit, channel, queue, 1), [b"3"])


@case("ACK-07", "ACK-09")
def requeued_messages_return_to_their_places(rabbit: Rabbit) -> None:
    """Requeued messages go back where they were, before later ones, in whatever order they are rejected."""
    channel, queue = _held(rabbit, 4)
    rabbit.publish(channel, b"4", routing_key=queue)
    for tag in (1, 3, 2):
        channel.basic_reject(tag, requeue=True)
    wanted = [(b"0", True), (b"1", True), (b"2", True), (b"4", False)]
    equal([delivered(rabbit.get(channel, queue)) for _ in range(4)], wanted)


@case("ACK-07")
def negatively_acknowledging_several(rabbit: Rabbit) -> None:
    """Nack with multiple requeues all deliveries up to the tag, in order."""
    channel, queue = _held(rabbit, 4)
    channel.basic_nack(3, multiple=True, requeue=True)
    back = [delivered(rabbit.get(channel, queue)) for _ in range(3)]
    equal(back, [(b"0", True), (b"1", True), (b"2", True)])
    equal(channel.basic_get(queue), None)


@case("ACK-09")
def redelivered_stays(rabbit: Rabbit) -> None:
    """A message that was requeued once is marked redelivered from then on, whoever receives it."""
    channel, queue = _held(rabbit, 1)
    channel.basic_reject(1, requeue=True)
    other = rabbit.channel(rabbit.connect())
    consumer = rabbit.consume(other, queue)
    equal(delivered(consumer.one()), (b"0", True))
    other.close()
    equal(delivered(rabbit.get(channel, queue)), (b"0", True))


def _consuming(rabbit: Rabbit, count: int) -> tuple[RawChannel, str]:
    channel = rabbit.raw().channel()
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    for number in range(count):
        channel.publish(b"%d" % number, routing_key=queue)
        equal(delivery_tag(channel.message(amqp.BasicDeliver)), number + 1)
    return channel, queue


@case("ACK-10")
def recovering(rabbit: Rabbit) -> None:
    """Recover puts everything unacknowledged back; recover-ok comes before the redeliveries, which have new tags."""
    channel, queue = _consuming(rabbit, 3)
    channel.send(amqp.BasicAck(2))
    channel.send(amqp.BasicRecover(requeue=True))
    channel.expect(amqp.BasicRecoverOk)
    for tag, payload in ((4, b"0"), (5, b"2")):
        content = channel.message(amqp.BasicDeliver)
        equal((content.method, content.body), (amqp.BasicDeliver("a", tag, True, "", queue), payload))
    channel.send(amqp.BasicAck(1))
    channel.expect_close(406, "unknown delivery tag 1", (60, 80))


@case("ACK-10", "ACK-13")
def recovering_what_was_got(rabbit: Rabbit) -> None:
    """Recover puts back what a channel got, in order; with nothing to put back it succeeds."""
    channel, queue = _held(rabbit, 3)
    other = rabbit.channel()
    other.basic_recover(requeue=True)
    channel.basic_recover(requeue=True)
    equal([delivered(rabbit.get(other, queue)) for _ in range(3)], [(b"%d" % number, True) for number in range(3)])


@case("ACK-11", "ACK-12")
def recovering_without_requeue(rabbit: Rabbit) -> None:
    """Recover without requeue is not implemented, by either method."""
    for method in (amqp.BasicRecover(requeue=False), amqp.BasicRecoverAsync(requeue=False)):
        channel = rabbit.raw().channel()
        channel.send(method)
        channel.connection.expect_close(540, "requeue=false", (method.CLASS_ID, method.METHOD_ID))


@case("ACK-12")
def recovering_without_a_reply(rabbit: Rabbit) -> None:
    """Recover-async puts everything unacknowledged back, as recover does, and is not answered."""
    channel, queue = _consuming(rabbit, 1)
    channel.send(amqp.BasicRecoverAsync(requeue=True))
    content = channel.message(amqp.BasicDeliver)
    equal(content.method, amqp.BasicDeliver("a", 2, True, "", queue))
    channel.expect_nothing(queue)


@case("ACK-10")
def recovering_leaves_other_channels_alone(rabbit: Rabbit) -> None:
    """Recover concerns its own channel's deliveries only."""
    channel, queue = _held(rabbit, 1)
    other = rabbit.channel()
    rabbit.publish(other, b"other", routing_key=queue)
    equal(body(rabbit.get(other, queue)), b"other")
    channel.basic_recover(requeue=True)
    equal([delivered(rabbit.get(channel, queue))], [(b"0", True)])
    other.basic_ack(1)
    equal(other.basic_get(queue), None)


@case("ACK-09", "EXCH-DIRECT-02")
def redelivered_concerns_one_queue(rabbit: Rabbit) -> None:
    """A message in two queues that is requeued in one of them is marked redelivered only there."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "fanout")
    first, second = rabbit.bound(channel, exchange), rabbit.bound(channel, exchange)
    rabbit.publish(channel, b"x", exchange)
    rabbit.get(channel, first)
    channel.basic_reject(1, requeue=True)
    equal(delivered(rabbit.get(channel, second)), (b"x", False))
    equal(delivered(rabbit.get(channel, first)), (b"x", True))

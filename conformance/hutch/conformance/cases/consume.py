"""Consumers (CONSUME)."""

import re

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.plugins import declare
from hutch.conformance.rabbit import Rabbit, body, delivered, tag_of
from hutch.conformance.raw import CAPABILITIES, RawChannel, delivery_tag, fields
from hutch.wire import methods as amqp

_CONSUME = (60, 20)
_GENERATED = r"amq\.ctag-[A-Za-z0-9_-]{22}"


def _bodies(channel: RawChannel, count: int) -> list[bytes]:
    return [channel.message(amqp.BasicDeliver).body for _ in range(count)]


@case("CONSUME-01")
def generated_consumer_tags(rabbit: Rabbit) -> None:
    """Without a consumer tag the broker makes one up, with nowait too."""
    channel, queue = rabbit.raw_queue()
    tag = fields(channel.call(amqp.BasicConsume(queue=queue))).consumer_tag
    true(re.fullmatch(_GENERATED, tag), f"{tag!r} is not of the form amq.ctag-...")
    channel.call(amqp.BasicCancel(tag))
    channel.send(amqp.BasicConsume(queue=queue, nowait=True))
    channel.publish(b"x", routing_key=queue)
    silent = fields(channel.message(amqp.BasicDeliver)).consumer_tag
    true(re.fullmatch(_GENERATED, silent), f"{silent!r} is not of the form amq.ctag-...")
    true(silent != tag, "the same tag twice")


@case("CONSUME-02")
def consumer_tags_of_the_client(rabbit: Rabbit) -> None:
    """A client may choose any tag of up to 255 bytes, and the same on another channel."""
    channel, queue = rabbit.raw_queue()
    other = channel.connection.channel(2)
    for tag in ("a", "amq.ctag-x", "t" * 255, "größe"):
        for consumer in (channel, other):
            equal(consumer.call(amqp.BasicConsume(queue=queue, consumer_tag=tag)), amqp.BasicConsumeOk(tag))


@case("CONSUME-03")
def a_consumer_tag_twice(rabbit: Rabbit) -> None:
    """A tag that is in use on its channel closes the connection with 530."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.send(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.connection.expect_close(530, "attempt to reuse consumer tag 'a'", _CONSUME)


@case("CONSUME-04")
def a_consumer_tag_again(rabbit: Rabbit) -> None:
    """A tag is free again when its consumer is cancelled."""
    channel, queue = rabbit.raw_queue()
    for _ in range(2):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
        equal(channel.call(amqp.BasicCancel("a")), amqp.BasicCancelOk("a"))


@case("CONSUME-05")
def consuming_from_a_missing_queue(rabbit: Rabbit) -> None:
    """Consuming from a queue that is not there closes the channel with 404."""
    text = f"no queue 'missing' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda channel: channel.basic_consume("missing"), 404, text, _CONSUME)


@case("CONSUME-06")
def consume_ok_comes_first(rabbit: Rabbit) -> None:
    """Consume-ok comes before the first delivery."""
    channel, queue = rabbit.raw_queue(3)
    channel.send(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    equal(channel.expect(amqp.BasicConsumeOk).consumer_tag, "a")
    equal(_bodies(channel, 3), [b"0", b"1", b"2"])


@case("CONSUME-07")
def consuming_without_a_reply(rabbit: Rabbit) -> None:
    """With nowait there is no consume-ok, only the deliveries."""
    channel, queue = rabbit.raw_queue(1)
    channel.send(amqp.BasicConsume(queue=queue, consumer_tag="a", nowait=True))
    content = channel.message(amqp.BasicDeliver)
    equal(content.method, amqp.BasicDeliver("a", 1, False, "", queue))
    channel.expect_nothing(queue)


def _in_use(rabbit: Rabbit, queue: str) -> str:
    return f"queue '{queue}' in vhost '{rabbit.vhost}' in exclusive use"


@case("CONSUME-08", "CONSUME-10")
def exclusive_consumers(rabbit: Rabbit) -> None:
    """Beside an exclusive consumer nobody may consume, not even its own channel, until it is cancelled."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a", exclusive=True))
    other = channel.connection.channel(2)
    equal(other.get(queue), None)
    other.call(amqp.QueuePurge(queue=queue))
    other.send(amqp.BasicConsume(queue=queue))
    other.expect_close(403, _in_use(rabbit, queue), _CONSUME)
    stranger = rabbit.raw().channel()
    stranger.send(amqp.BasicConsume(queue=queue, exclusive=True))
    stranger.expect_close(403, _in_use(rabbit, queue), _CONSUME)
    channel.call(amqp.BasicCancel("a"))
    third = channel.connection.channel(3)
    third.call(amqp.BasicConsume(queue=queue, consumer_tag="b", exclusive=True))
    third.send(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    third.expect_close(403, _in_use(rabbit, queue), _CONSUME)


@case("CONSUME-09")
def exclusive_beside_another_consumer(rabbit: Rabbit) -> None:
    """A consumer cannot be exclusive if the queue has another consumer."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue))
    other = channel.connection.channel(2)
    other.send(amqp.BasicConsume(queue=queue, exclusive=True))
    other.expect_close(403, _in_use(rabbit, queue), _CONSUME)


@case("CONSUME-14")
def no_local_is_ignored(rabbit: Rabbit) -> None:
    """With no_local a connection still gets its own messages."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, no_local=True))
    channel.publish(b"own", routing_key=queue)
    equal(_bodies(channel, 1), [b"own"])


@case("CONSUME-15")
def consuming_without_acknowledgement(rabbit: Rabbit) -> None:
    """With no_ack a message is gone when delivered, prefetch does not count, and there is nothing to acknowledge."""
    channel, queue = rabbit.raw_queue(5)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a", no_ack=True))
    equal(_bodies(channel, 5), [b"%d" % number for number in range(5)])
    channel.call(amqp.BasicCancel("a"))
    channel.expect_ready(queue, 0)
    channel.send(amqp.BasicAck(1))
    channel.expect_close(406, "unknown delivery tag 1", (60, 80))
    equal(channel.connection.channel(2).get(queue), None)


@case("CONSUME-16")
def delivery_tags_count_per_channel(rabbit: Rabbit) -> None:
    """Deliveries of all a channel's consumers and gets are numbered together, those that need no ack too."""
    channel, queue = rabbit.raw_queue(2)
    tags = [delivery_tag(channel.got(queue)), delivery_tag(channel.got(queue, no_ack=True))]
    for consumer_tag, no_ack in (("a", True), ("b", False)):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=consumer_tag, no_ack=no_ack))
        channel.publish(b"x", routing_key=queue)
        tags.append(delivery_tag(channel.message(amqp.BasicDeliver)))
    equal(channel.connection.channel(2).get(queue), None)
    equal(tags, [1, 2, 3, 4])


@case("CONSUME-17")
def cancelling(rabbit: Rabbit) -> None:
    """Cancel-ok repeats the tag, also of an unknown consumer; with nowait there is no cancel-ok."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    for tag in ("a", "a", "unknown"):
        equal(channel.call(amqp.BasicCancel(tag)), amqp.BasicCancelOk(tag))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="b"))
    channel.send(amqp.BasicCancel("b", nowait=True))
    channel.expect_nothing()
    channel.publish(b"x", routing_key=queue)
    channel.expect_ready(queue, 1)


@case("CONSUME-18")
def unacknowledged_messages_of_a_cancelled_consumer(rabbit: Rabbit) -> None:
    """A cancelled consumer's messages stay with its channel, to be acknowledged; they are requeued when it closes."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for number in range(3):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
    consumer = rabbit.consume(channel, queue)
    messages = consumer.take(3)
    channel.basic_cancel(consumer.tag)
    equal(channel.basic_get(queue), None, "a message of the cancelled consumer")
    channel.basic_ack(tag_of(messages[1]))
    rabbit.publish(channel, b"3", routing_key=queue)
    rabbit.expect_ready(channel, queue, 1)
    channel.close()
    other = rabbit.channel()
    rabbit.expect_ready(other, queue, 3)
    equal([delivered(rabbit.get(other, queue)) for _ in range(3)], [(b"0", True), (b"2", True), (b"3", False)])


@case("CONSUME-18", "QOS-02")
def consumer_with_the_tag_of_a_cancelled_one(rabbit: Rabbit) -> None:
    """Settling deliveries of a cancelled consumer makes room for the next consumer of the same tag at that queue,
    beyond its prefetch.
    """
    channel, queue = rabbit.raw_queue(9)
    channel.expect_ready(queue, 9)
    for prefetch, bodies in ((2, [b"0", b"1"]), (1, [b"2"])):
        channel.call(amqp.BasicQos(prefetch_count=prefetch))
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag="c"))
        equal(_bodies(channel, prefetch), bodies)
        if prefetch == 2:
            channel.call(amqp.BasicCancel("c"))
    for tag, body_ in enumerate((b"3", b"4", b"5"), 1):
        channel.send(amqp.BasicAck(tag))
        equal(_bodies(channel, 1), [body_])
    channel.expect_nothing(queue)
    channel.call(amqp.BasicCancel("c"))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="other"))
    equal(_bodies(channel, 1), [b"6"])
    channel.send(amqp.BasicAck(4))
    channel.expect_nothing(queue)


@case("CONSUME-19")
def consumers_of_a_deleted_queue(rabbit: Rabbit) -> None:
    """When its queue is deleted each consumer is told by basic.cancel, the deleting channel's own after delete-ok."""
    channel, queue = rabbit.raw_queue()
    other = channel.connection.channel(2)
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    other.call(amqp.BasicConsume(queue=queue, consumer_tag="b"))
    other.call(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    channel.send(amqp.QueueDelete(queue=queue))
    equal(channel.read(), amqp.QueueDeleteOk(0))
    equal(channel.read(), amqp.BasicCancel("a", nowait=True))
    told = [other.expect(amqp.BasicCancel) for _ in range(2)]
    equal(sorted(cancel.consumer_tag for cancel in told), ["b", "c"])


@case("CONSUME-20")
def cancel_notification_needs_the_capability(rabbit: Rabbit) -> None:
    """A client that did not announce consumer_cancel_notify is not told that its consumer's queue is gone."""
    capabilities = {name: True for name in CAPABILITIES if name != "consumer_cancel_notify"}
    channel, queue = rabbit.raw_queue(client_properties={"capabilities": capabilities})
    channel.call(amqp.BasicConsume(queue=queue))
    watch = rabbit.raw().channel()
    watch.call(amqp.BasicConsume(queue=queue, consumer_tag="w"))
    channel.call(amqp.QueueDelete(queue=queue))
    equal(watch.read(), amqp.BasicCancel("w", nowait=True))
    channel.expect_nothing()


@case("CONSUME-21")
def cancelling_a_consumer_that_the_broker_cancelled(rabbit: Rabbit) -> None:
    """Cancelling a consumer whose queue is gone is answered with cancel-ok."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.call(amqp.QueueDelete(queue=queue))
    channel.expect(amqp.BasicCancel)
    equal(channel.call(amqp.BasicCancel("a")), amqp.BasicCancelOk("a"))


@case("CONSUME-22")
def consumers_take_turns(rabbit: Rabbit) -> None:
    """A queue's consumers are served in turn, in the order they subscribed."""
    channel, queue = rabbit.raw_queue()
    for tag in ("a", "b", "c"):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, no_ack=True))
    for number in range(7):
        channel.publish(b"%d" % number, routing_key=queue)
    deliveries = [channel.message(amqp.BasicDeliver) for _ in range(7)]
    order = [(content.body, fields(content).consumer_tag) for content in deliveries]
    equal(order, [(b"%d" % number, "abcabca"[number]) for number in range(7)])


@case("CONSUME-22", "QOS-08")
def a_consumer_without_credit_is_passed_over(rabbit: Rabbit) -> None:
    """With a prefetch of one, the next message goes to the consumer that acknowledges."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicQos(prefetch_count=1))
    for tag in ("a", "b"):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag))
    for number in range(5):
        channel.publish(b"%d" % number, routing_key=queue)
    held: dict[str, int] = {}
    order = []
    for ack in ("", "", "b", "b", "a"):
        if ack:
            channel.send(amqp.BasicAck(held[ack]))
        content = channel.message(amqp.BasicDeliver)
        tag = fields(content).consumer_tag
        held[tag] = delivery_tag(content)
        order.append((content.body, tag))
    equal(order, [(b"0", "a"), (b"1", "b"), (b"2", "b"), (b"3", "b"), (b"4", "a")])
    channel.expect_nothing(queue)


@case("CONSUME-23")
def a_backlog_goes_to_the_first_consumer(rabbit: Rabbit) -> None:
    """Messages that have piled up go to the first consumer, unless a prefetch limits it."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for number in range(6):
        rabbit.publish(channel, b"%d" % number, routing_key=queue)
    first = rabbit.consume(channel, queue, no_ack=True)
    equal([body(message) for message in first.take(6)], [b"%d" % number for number in range(6)])
    second = rabbit.consume(channel, queue, no_ack=True)
    second.expect_nothing()


@case("CONSUME-26")
def consumer_arguments(rabbit: Rabbit) -> None:
    """Unknown consumer arguments are accepted; an argument for streams is refused.

    (The catalogue has that one accepted too.)
    """
    channel, queue = rabbit.raw_queue()
    for arguments in ({"foo": "bar"}, {"x-cancel-on-ha-failover": True}):
        channel.call(amqp.BasicConsume(queue=queue, arguments=arguments))
    channel.send(amqp.BasicConsume(queue=queue, arguments={"x-stream-offset": "first"}))
    where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    channel.expect_close(406, f"invalid arg 'x-stream-offset' for {where} of queue type rabbit_classic_queue", _CONSUME)


@case("CONSUME-31")
def requeued_messages_go_to_the_next_consumer(rabbit: Rabbit) -> None:
    """A message that is requeued goes to the next consumer in turn; if there is one only, back to it at once."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicQos(prefetch_count=1))
    for tags, wanted in ((["a"], "aaaa"), (["a", "b"], "abab")):
        for tag in tags:
            channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag))
        channel.publish(b"x", routing_key=queue)
        order = ""
        for _ in range(4):
            content = channel.message(amqp.BasicDeliver)
            order += fields(content).consumer_tag
            channel.send(amqp.BasicReject(delivery_tag(content), requeue=True))
        last = channel.message(amqp.BasicDeliver)
        channel.send(amqp.BasicAck(delivery_tag(last)))
        equal(order, wanted)
        for tag in tags:
            channel.call(amqp.BasicCancel(tag))


@case("CONSUME-16", "EXCH-DIRECT-02")
def every_queue_gets_its_own_copy(rabbit: Rabbit) -> None:
    """A message routed to two queues is delivered from each, and acknowledged on each by itself."""
    channel, queue = rabbit.raw_queue()
    other = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=other))
    exchange = declare(rabbit, channel, "fanout")
    for name in (queue, other):
        channel.call(amqp.QueueBind(queue=name, exchange=exchange))
        channel.call(amqp.BasicConsume(queue=name, consumer_tag=name))
    channel.publish(b"x", exchange)
    contents = [channel.message(amqp.BasicDeliver) for _ in range(2)]
    tags = sorted(fields(content).consumer_tag for content in contents)
    equal(tags, sorted([queue, other]))
    channel.send(amqp.BasicAck(delivery_tag(contents[0])))
    channel.close()
    again = channel.connection.channel(2)
    kept = fields(contents[1]).consumer_tag
    again.expect_ready(kept, 1)
    equal(again.get(queue if kept == other else other), None)


@case("CONSUME-27")
def a_consumer_timeout_for_one_consumer(rabbit: Rabbit) -> None:
    """3.x does not look at a consumer's x-consumer-timeout; 4.x refuses it on a classic queue."""
    channel, queue = rabbit.raw_queue()
    consume = amqp.BasicConsume(queue=queue, arguments={"x-consumer-timeout": 60000})
    if rabbit.profile == "3.10":
        channel.call(consume)
        return
    channel.send(consume)
    where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    text = f"invalid arg 'x-consumer-timeout' for {where} of queue type rabbit_classic_queue"
    channel.expect_close(406, text, _CONSUME)


@case("CONSUME-17", "CONSUME-02")
def cancelling_another_channels_consumer(rabbit: Rabbit) -> None:
    """A consumer tag belongs to its channel: cancelled on another, its consumer goes on."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a", no_ack=True))
    other = channel.connection.channel(2)
    equal(other.call(amqp.BasicCancel("a")), amqp.BasicCancelOk("a"))
    channel.publish(b"x", routing_key=queue)
    equal(channel.message(amqp.BasicDeliver).body, b"x")

"""Consumers of quorum queues (CONSUME, QOS, GET)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.quorum import Yard, expect_counts
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue

_CONSUME = (60, 20)
_GET = (60, 70)


def _consume(channel: RawChannel, queue: str, tag: str, priority: int = 0, *, no_ack: bool = False) -> None:
    arguments: FieldTable = {"x-priority": priority} if priority else {}
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, no_ack=no_ack, arguments=arguments))


def _expect(channel: RawChannel, *wanted: tuple[str, bytes]) -> list[int]:
    """These deliveries next, by consumer tag and body; their delivery tags."""
    found = [channel.message(amqp.BasicDeliver) for _ in wanted]
    equal([(fields(content).consumer_tag, content.body) for content in found], list(wanted))
    return [delivery_tag(content) for content in found]


def _count(yard: Yard, queue: str) -> int:
    return int(fields(yard.channel.call(amqp.QueueDeclare(queue=queue, passive=True))).consumer_count)


@case("CONSUME-11")
def exclusive_consumers_share(rabbit: Rabbit) -> None:
    """A quorum queue takes a consumer that wants it for itself, and others beside it, single active or not."""
    yard = Yard(rabbit)
    for queue in (yard.queue(), yard.queue(single_active_consumer=True)):
        for number, exclusive in enumerate((True, False, True)):
            tag = f"{queue}-{number}"
            yard.channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, exclusive=exclusive))


@case("CONSUME-22", "CONSUME-24")
def consumers_of_a_quorum_queue_take_turns(rabbit: Rabbit) -> None:
    """Messages go to the consumers in turn, to those of the highest priority that have room."""
    yard = Yard(rabbit)
    queue = yard.queue()
    for tag in "ab":
        _consume(yard.channel, queue, tag)
    for number, tag in enumerate("abab"):
        yard.publish(queue, b"%d" % number)
        _expect(yard.channel, (tag, b"%d" % number))
    high = yard.connection.channel(3)
    high.call(amqp.BasicQos(prefetch_count=1))
    _consume(high, queue, "high", 5)
    yard.publish(queue, b"x")
    _expect(high, ("high", b"x"))
    yard.publish(queue, b"y")
    _expect(yard.channel, ("a", b"y"))


@case("QOS-02", "QOS-03")
def prefetch_of_a_consumer(rabbit: Rabbit) -> None:
    """A consumer gets as many messages as its prefetch allows, and the next with each acknowledgement."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, b"0", b"1", b"2", b"3")
    yard.channel.call(amqp.BasicQos(prefetch_count=2))
    _consume(yard.channel, queue, "c")
    first, second = _expect(yard.channel, ("c", b"0"), ("c", b"1"))
    yard.channel.expect_ready(queue, 2)
    yard.channel.expect_nothing()
    yard.channel.send(amqp.BasicAck(second))
    _expect(yard.channel, ("c", b"2"))
    yard.channel.send(amqp.BasicReject(first, requeue=False))
    _expect(yard.channel, ("c", b"3"))


@case("QOS-01", "QUORUM-02")
def consumer_without_a_prefetch(rabbit: Rabbit) -> None:
    """A consumer without a prefetch gets 2000 messages at most before it acknowledges some."""
    yard = Yard(rabbit)
    queue = yard.queue()
    publisher = rabbit.raw().channel()
    for _ in range(2010):
        publisher.publish(b"", routing_key=queue)
    yard.channel.expect_ready(queue, 2010)
    _consume(yard.channel, queue, "c")
    for _ in range(2000):
        yard.channel.message(amqp.BasicDeliver)
    yard.channel.expect_ready(queue, 10)
    yard.channel.expect_nothing()
    yard.channel.send(amqp.BasicAck(5, multiple=True))
    for _ in range(5):
        yard.channel.message(amqp.BasicDeliver)
    yard.channel.expect_ready(queue, 5)


@case("QOS-09", "QOS-06")
def limit_over_the_channel_before_a_consumer(rabbit: Rabbit) -> None:
    """In 3.x a channel with a limit over all its consumers cannot consume from a quorum queue, in 4.x it can."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.channel.call(amqp.BasicQos(prefetch_count=1, global_=True))
    yard.channel.send(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    if rabbit.profile == "3.10":
        text = f"queue '{queue}' in vhost '{rabbit.vhost}' does not support global qos"
        yard.connection.expect_close(540, text, _CONSUME)
    else:
        equal(yard.channel.read(), amqp.BasicConsumeOk("c"))


@case("QOS-10")
def limit_over_the_channel_after_a_consumer(rabbit: Rabbit) -> None:
    """A limit over the channel that comes later does not concern the consumers of quorum queues."""
    yard = Yard(rabbit)
    queue = yard.queue()
    _consume(yard.channel, queue, "c")
    yard.channel.call(amqp.BasicQos(prefetch_count=1, global_=True))
    yard.publish(queue, b"0", b"1")
    _expect(yard.channel, ("c", b"0"), ("c", b"1"))


@case("GET-07")
def getting_from_a_quorum_queue_with_a_single_active_consumer(rabbit: Rabbit) -> None:
    """Basic.get is refused where there is to be a single active consumer, even while there is none."""
    yard = Yard(rabbit)
    queue = yard.queue(single_active_consumer=True)
    yard.channel.send(amqp.BasicGet(queue=queue))
    kind = "quorum" if rabbit.profile == "3.10" else '<<"quorum">>'
    text = f"cannot obtain access to locked queue '{queue}' in vhost '{rabbit.vhost}'. basic.get operations are not"
    yard.channel.expect_close(405, f"{text} supported by {kind} queues with single active consumer", _GET)


@case("CONSUME-30", "CONSUME-29")
def single_active_consumer_of_higher_priority(rabbit: Rabbit) -> None:
    """In 3.x the first consumer stays active; in 4.x one of higher priority takes over, once nothing is outstanding."""
    yard = Yard(rabbit)
    queue = yard.queue(single_active_consumer=True)
    _consume(yard.channel, queue, "low")
    yard.publish(queue, b"0")
    (tag,) = _expect(yard.channel, ("low", b"0"))
    _consume(yard.channel, queue, "high", 5)
    if rabbit.profile == "3.10":
        yard.publish(queue, b"1")
        _expect(yard.channel, ("low", b"1"))
        return
    yard.publish(queue, b"1")
    yard.channel.expect_ready(queue, 1)
    yard.channel.expect_nothing()
    yard.channel.send(amqp.BasicAck(tag))
    _expect(yard.channel, ("high", b"1"))
    yard.publish(queue, b"2")
    _expect(yard.channel, ("high", b"2"))


@case("CONSUME-30", "CONSUME-29")
def next_single_active_consumer(rabbit: Rabbit) -> None:
    """When the active consumer is cancelled, the next is in 3.x the one that came first, in 4.x the one of the highest
    priority; it is served at once, and what was outstanding stays so.
    """
    yard = Yard(rabbit)
    queue = yard.queue(single_active_consumer=True)
    yard.channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(yard.channel, queue, "a", 5)
    for tag, priority in (("b", 1), ("c", 3), ("d", 3)):
        _consume(yard.channel, queue, tag, priority)
    yard.publish(queue, b"0", b"1", b"2")
    _expect(yard.channel, ("a", b"0"))
    yard.channel.call(amqp.BasicCancel("a"))
    first, second = ("b", "c") if rabbit.profile == "3.10" else ("c", "d")
    _expect(yard.channel, (first, b"1"))
    yard.channel.call(amqp.BasicCancel(first))
    _expect(yard.channel, (second, b"2"))
    yard.reopen()
    yard.channel.expect_ready(queue, 3)


@case("CONSUME-29", "QUEUE-DECLARE-09")
def how_many_consumers_a_quorum_queue_tells_of(rabbit: Rabbit) -> None:
    """Each outstanding message from basic.get counts as a consumer, and so does a cancelled consumer with outstanding
    messages. Of single active consumers one counts.
    """
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, b"0", b"1", b"2")
    for _ in range(2):
        yard.get(queue)
    equal(_count(yard, queue), 2)
    other = yard.connection.channel(3)
    _consume(other, queue, "c")
    _expect(other, ("c", b"2"))
    equal(_count(yard, queue), 3)
    other.call(amqp.BasicCancel("c"))
    equal(_count(yard, queue), 3)
    yard.reopen()
    rabbit.eventually(lambda: _count(yard, queue) == 1, "the consumers that got messages do not end")
    queue = yard.queue(single_active_consumer=True)
    for tag in "xyz":
        _consume(yard.channel, queue, tag)
    equal(_count(yard, queue), 1)


@case("CONSUME-18", "QUORUM-10")
def deliveries_of_a_consumer_that_was_cancelled(rabbit: Rabbit) -> None:
    """What a consumer has outstanding when it is cancelled stays outstanding, until it is acknowledged or the channel
    ends.
    """
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, b"0", b"1")
    _consume(yard.channel, queue, "c")
    first, _second = _expect(yard.channel, ("c", b"0"), ("c", b"1"))
    yard.channel.call(amqp.BasicCancel("c"))
    yard.channel.expect_ready(queue, 0)
    yard.channel.send(amqp.BasicAck(first))
    yard.reopen()
    content = yard.get(queue)
    equal(content.body, b"1")
    expect_counts(rabbit, content, failed=1)


@case("CONSUME-18", "QOS-02")
def quorum_consumer_with_the_tag_of_a_cancelled_one(rabbit: Rabbit) -> None:
    """At a quorum queue the next consumer of a tag goes on where the cancelled one was: what that has outstanding takes
    up its prefetch, and one comes for each that is settled. In 3.x the channel crashes with the first that comes.
    """
    yard = Yard(rabbit)
    for prefetch in (1, 2, 3):
        queue = yard.queue()
        yard.publish(queue, *(b"%d" % number for number in range(6)))
        channel = rabbit.raw().channel()
        channel.call(amqp.BasicQos(prefetch_count=2))
        _consume(channel, queue, "c")
        _expect(channel, ("c", b"0"), ("c", b"1"))
        channel.call(amqp.BasicCancel("c"))
        channel.call(amqp.BasicQos(prefetch_count=prefetch))
        _consume(channel, queue, "c")
        following = [b"2", b"3"]
        if prefetch == 3 and rabbit.profile == "4.3":
            _expect(channel, ("c", following.pop(0)))
        if prefetch < 3 or rabbit.profile == "4.3":
            channel.expect_nothing()
            channel.send(amqp.BasicAck(1))
        if rabbit.profile == "4.3":
            _expect(channel, ("c", following.pop(0)))
            channel.expect_nothing()
            equal(_count(yard, queue), 1)
        else:
            channel.connection.expect_close(541, "", (0, 0))
            acked = prefetch < 3
            came = [(b"%d" % number, True) for number in range(acked, 3)]
            yard.expect_rest(queue, *came, *((b"%d" % number, False) for number in range(3, 6)))


@case("ACK-08", "QUORUM-03", "CONSUME-22")
def deliveries_made_at_once(rabbit: Rabbit) -> None:
    """What several consumers get at once each gets together: in 3.x by their tags, in 4.x as they came. 3.x takes back
    one by one where there is no delivery limit.
    """
    yard = Yard(rabbit)
    in_turn = [("c", b"0"), ("a", b"1"), ("b", b"2"), ("c", b"3"), ("a", b"4"), ("b", b"5")]
    by_tag = sorted(in_turn)
    as_they_came = sorted(in_turn, key=lambda delivery: "cab".index(delivery[0]))
    for limit in (None, 50):
        for ends in (False, True):
            queue = yard.queue() if limit is None else yard.queue(delivery_limit=limit)
            yard.publish(queue, *(body for _, body in in_turn))
            channel = rabbit.raw().channel()
            _consume(channel, queue, "all")
            _expect(channel, *(("all", body) for _, body in in_turn))
            for tag in "cab":
                _consume(yard.channel, queue, tag)
            if ends:
                channel.close()
            else:
                channel.call(amqp.BasicCancel("all"))
                channel.send(amqp.BasicNack(0, multiple=True, requeue=True))
            singly = limit is None and not ends
            _expect(yard.channel, *rabbit.by_profile({"3.10": in_turn if singly else by_tag, "4.3": as_they_came}))
            yard.reopen()


@case("ACK-08", "GET-03")
def messages_from_basic_get_return_singly(rabbit: Rabbit) -> None:
    """What several basic.gets have fetched is given back one by one, and goes to the consumers in turn."""
    for kind in ("classic", "quorum"):
        yard = Yard(rabbit)
        queue = yard.queue(kind=kind)
        yard.publish(queue, *(b"%d" % number for number in range(4)))
        channel = rabbit.raw().channel()
        for _ in range(4):
            channel.got(queue)
        for tag in "ba":
            _consume(yard.channel, queue, tag)
        channel.send(amqp.BasicNack(0, multiple=True, requeue=True))
        _expect(yard.channel, ("b", b"0"), ("a", b"1"), ("b", b"2"), ("a", b"3"))


@case("CHAN-11", "ACK-08")
def lost_deliveries_return_consumer_by_consumer(rabbit: Rabbit) -> None:
    """What a channel leaves goes back for one consumer after the other, in 3.x by their tags, in 4.x as they came. Each
    basic.get is one, last of all in 4.x, whose tag is that of its delivery, as text.
    """
    yard = Yard(rabbit)
    gotten, of_a, of_b = [b"10", b"2", b"9"], [b"12", b"13"], [b"11"]
    order = rabbit.by_profile({"3.10": [*gotten, *of_a, *of_b], "4.3": [*of_b, *of_a, *gotten]})
    for whole_connection in (False, True):
        queue = yard.queue()
        yard.publish(queue, *(b"%d" % number for number in range(1, 14)))
        channel = rabbit.raw().channel()
        for number in range(1, 11):
            equal(delivery_tag(channel.got(queue)), number)
            if b"%d" % number not in gotten:
                channel.send(amqp.BasicAck(number))
        for tag, bodies in (("b", of_b), ("a", of_a)):
            channel.call(amqp.BasicQos(prefetch_count=len(bodies)))
            _consume(channel, queue, tag)
            _expect(channel, *((tag, body) for body in bodies))
        if whole_connection:
            channel.connection.close()
        else:
            channel.close()
        yard.expect_rest(queue, *((body, True) for body in order))


@case("CONSUME-26", "CONSUME-24")
def arguments_of_consumers_of_quorum_queues(rabbit: Rabbit) -> None:
    """Arguments that only consumers of other queues have are refused, and a wrong priority is."""
    wrong: list[tuple[dict[str, FieldValue], str]] = [
        ({"x-priority": "high"}, ': "expected integer, got longstr"'),
        ({"x-stream-offset": "first"}, " of queue type rabbit_quorum_queue"),
    ]
    if rabbit.profile == "3.10":
        wrong.append(({"x-cancel-on-ha-failover": True}, " of queue type rabbit_quorum_queue"))
    else:
        wrong.append(({"x-stream-filter": "f"}, " of queue type rabbit_quorum_queue"))
        wrong.append(({"x-consumer-timeout": -1}, ": {value_negative,-1}"))
        wrong.append(({"x-consumer-timeout": "a"}, ': "expected integer, got longstr"'))
    yard = Yard(rabbit)
    queue = yard.queue()
    for number, (arguments, text) in enumerate(wrong, 3):
        channel = yard.connection.channel(number)
        channel.send(amqp.BasicConsume(queue=queue, arguments=arguments))
        where = f"invalid arg '{next(iter(arguments))}' for queue '{queue}' in vhost '{rabbit.vhost}'"
        channel.expect_close(406, where + text, _CONSUME)


def _not_in_time(rabbit: Rabbit, of_the_queue: dict[str, Any], of_the_consumer: FieldTable) -> None:
    yard = Yard(rabbit)
    queue = yard.queue(**of_the_queue)
    yard.channel.call(amqp.BasicConsume(queue=queue, consumer_tag="c", arguments=of_the_consumer))
    yard.publish(queue, b"0")
    (late,) = _expect(yard.channel, ("c", b"0"))
    rabbit.allow(2)
    rabbit.advance(0.7)
    equal(yard.channel.expect(amqp.BasicCancel), amqp.BasicCancel("c", nowait=True))
    other = yard.connection.channel(3)
    content = rabbit.eventually(lambda: other.get(queue), "no message")
    expect_counts(rabbit, content, failed=0, acquired=1)
    other.send(amqp.BasicAck(delivery_tag(content)))
    yard.publish(queue, b"1")
    yard.channel.expect_ready(queue, 1)
    yard.channel.send(amqp.BasicAck(late))
    _expect(yard.channel, ("c", b"1"))


@case("CONSUME-27", "QUORUM-02", profiles=["4.3"])
def delivery_that_is_not_acknowledged_in_time(rabbit: Rabbit) -> None:
    """In 4.x a quorum queue takes back what is not acknowledged in time, and tells the consumer that it is cancelled;
    once it has settled that, it is served again.
    """
    _not_in_time(rabbit, {"consumer_timeout": 500}, {})
    _not_in_time(rabbit, {}, {"x-consumer-timeout": 500})


@case("CONSUME-27", "TX-08", profiles=["4.3"])
def delivery_whose_acknowledgement_is_not_committed_in_time(rabbit: Rabbit) -> None:
    """In 4.x a quorum queue takes back what a transaction has acknowledged and not committed in time. The commit has
    the consumer served again.
    """
    yard = Yard(rabbit)
    queue = yard.queue(consumer_timeout=500)
    yard.channel.call(amqp.TxSelect())
    _consume(yard.channel, queue, "c")
    yard.publish(queue, b"0")
    (late,) = _expect(yard.channel, ("c", b"0"))
    yard.channel.send(amqp.BasicAck(late))
    rabbit.allow(2)
    rabbit.advance(0.7)
    equal(yard.channel.expect(amqp.BasicCancel), amqp.BasicCancel("c", nowait=True))
    yard.channel.expect_ready(queue, 1)
    yard.channel.call(amqp.TxCommit())
    _expect(yard.channel, ("c", b"0"))


@case("CONSUME-27", "ACK-05", profiles=["4.3"])
def delivery_that_is_requeued_too_late(rabbit: Rabbit) -> None:
    """In 4.x a consumer that requeues what was not acknowledged in time is not served again for that. It goes on
    counting as a consumer.
    """
    yard = Yard(rabbit)
    queue = yard.queue(consumer_timeout=500)
    yard.publish(queue, b"0", b"1")
    yard.channel.expect_ready(queue, 2)
    _consume(yard.channel, queue, "c")
    first, second = _expect(yard.channel, ("c", b"0"), ("c", b"1"))
    rabbit.allow(2)
    rabbit.advance(0.7)
    equal(yard.channel.expect(amqp.BasicCancel), amqp.BasicCancel("c", nowait=True))
    yard.channel.expect_ready(queue, 2)
    equal(_count(yard, queue), 1, "consumers")
    yard.channel.send(amqp.BasicNack(first, requeue=True))
    yard.channel.send(amqp.BasicNack(second, requeue=True))
    other = yard.connection.channel(3)
    content = rabbit.eventually(lambda: other.get(queue, no_ack=True), "no message")
    equal(content.body, b"0", "the message that is ready")
    yard.channel.expect_ready(queue, 1)


@case("CONSUME-27", "CONSUME-29", profiles=["4.3"])
def single_active_consumer_that_requeues_too_late(rabbit: Rabbit) -> None:
    """In 4.x a single active consumer whose delivery was not acknowledged in time does not count as a consumer; when it
    requeues the delivery it is served again.
    """
    yard = Yard(rabbit)
    queue = yard.queue(consumer_timeout=500, single_active_consumer=True)
    _consume(yard.channel, queue, "c")
    yard.publish(queue, b"0")
    (late,) = _expect(yard.channel, ("c", b"0"))
    rabbit.allow(2)
    rabbit.advance(0.7)
    equal(yard.channel.expect(amqp.BasicCancel), amqp.BasicCancel("c", nowait=True))
    yard.channel.expect_ready(queue, 1)
    equal(_count(yard, queue), 0, "consumers")
    yard.channel.send(amqp.BasicNack(late, requeue=True))
    _expect(yard.channel, ("c", b"0"))


@case("CONSUME-27", "GET-01", profiles=["4.3"])
def message_from_basic_get_that_is_not_acknowledged_in_time(rabbit: Rabbit) -> None:
    """In 4.x a channel is closed when what it got from a quorum queue is not acknowledged in time."""
    _got_and_not_in_time(rabbit, transactional=False)


@case("CONSUME-27", "GET-01", "TX-08", profiles=["4.3"])
def message_from_basic_get_whose_acknowledgement_is_not_committed_in_time(rabbit: Rabbit) -> None:
    """In 4.x a channel is closed, too, when a transaction holds the acknowledgement."""
    _got_and_not_in_time(rabbit, transactional=True)


def _got_and_not_in_time(rabbit: Rabbit, *, transactional: bool) -> None:
    yard = Yard(rabbit)
    queue = yard.queue(consumer_timeout=500)
    yard.publish(queue)
    if transactional:
        yard.channel.call(amqp.TxSelect())
    content = yard.get(queue)
    if transactional:
        yard.channel.send(amqp.BasicAck(delivery_tag(content)))
    rabbit.allow(2)
    rabbit.advance(0.7)
    text = "delivery acknowledgement on channel 1 timed out. Timeout value used: -1 ms. This timeout value can be "
    yard.channel.expect_close(406, f"{text}configured, see consumers doc guide to learn more", (0, 0))
    other = yard.connection.channel(3)
    content = rabbit.eventually(lambda: other.get(queue), "no message")
    expect_counts(rabbit, content, failed=0, acquired=1)

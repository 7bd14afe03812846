"""Priorities of messages (PRIO) and of consumers (CONSUME)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable, FieldValue, Int8, Int16, Int64, UInt8, UInt16, UInt32


def _declared(rabbit: Rabbit, **arguments: FieldValue) -> tuple[RawChannel, str]:
    """A channel and a queue; arguments without ``x-``, ``_`` for ``-``."""
    table: FieldTable = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
    return rabbit.raw_queue(arguments=table)


def _publish(channel: RawChannel, queue: str, *priorities: int | None) -> None:
    """Publish a message of each priority, which its body tells after a count."""
    for number, priority in enumerate(priorities):
        properties: dict[str, Any] = {} if priority is None else {"priority": priority}
        channel.publish(b"%d:%a" % (number, priority), routing_key=queue, **properties)


def _bodies(channel: RawChannel, queue: str) -> list[bytes]:
    found = []
    while content := channel.get(queue, no_ack=True):
        found.append(content.body)
    return found


# of messages


@case("PRIO-01", "PRIO-03")
def higher_priorities_come_first(rabbit: Rabbit) -> None:
    """Messages of a higher priority come first, equals in order; one without a priority has the lowest, 0."""
    channel, queue = _declared(rabbit, max_priority=5)
    _publish(channel, queue, 1, None, 5, 0, 3, 5, None, 1)
    wanted = [b"2:5", b"5:5", b"4:3", b"0:1", b"7:1", b"1:None", b"3:0", b"6:None"]
    equal(_bodies(channel, queue), wanted)


@case("PRIO-01", "PRIO-09")
def consumers_get_higher_priorities_first(rabbit: Rabbit) -> None:
    """A consumer that comes to waiting messages gets those of a higher priority first."""
    channel, queue = _declared(rabbit, max_priority=3)
    _publish(channel, queue, 1, 3, None, 2, 3)
    channel.expect_ready(queue, 5)
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True))
    wanted = [b"1:3", b"4:3", b"3:2", b"0:1", b"2:None"]
    equal([channel.message(amqp.BasicDeliver).body for _ in wanted], wanted)


@case("PRIO-02", "PRIO-05")
def priorities_beyond_the_highest(rabbit: Rabbit) -> None:
    """A priority beyond the queue's highest counts as that; the message still bears its own."""
    channel, queue = _declared(rabbit, max_priority=5)
    _publish(channel, queue, 4, 9, 5, 255, 6)
    got = [channel.got(queue, no_ack=True) for _ in range(5)]
    equal([content.body for content in got], [b"1:9", b"2:5", b"3:255", b"4:6", b"0:4"])
    equal([properties_of(content)["priority"] for content in got], [9, 5, 255, 6, 4])


@case("PRIO-01", "QUEUE-ARG-08")
def as_many_priorities_as_there_may_be(rabbit: Rabbit) -> None:
    """Of 256 priorities each is its own."""
    channel, queue = _declared(rabbit, max_priority=255)
    _publish(channel, queue, 0, 254, 255, 1, 128)
    equal(_bodies(channel, queue), [b"2:255", b"1:254", b"4:128", b"3:1", b"0:0"])


@case("PRIO-04")
def queues_without_priorities(rabbit: Rabbit) -> None:
    """A queue without priorities keeps the order; the messages bear theirs all the same."""
    channel, queue = _declared(rabbit)
    _publish(channel, queue, 1, 9, None, 5)
    got = [channel.got(queue, no_ack=True) for _ in range(4)]
    equal([content.body for content in got], [b"0:1", b"1:9", b"2:None", b"3:5"])
    equal([properties_of(content).get("priority") for content in got], [1, 9, None, 5])


@case("PRIO-04", "QUEUE-ARG-08")
def the_highest_priority_is_none(rabbit: Rabbit) -> None:
    """With 0 as the highest priority a queue of 3.x keeps the order; in 4.x it counts as 1."""
    channel, queue = _declared(rabbit, max_priority=0)
    _publish(channel, queue, None, 1, 9, 0, 5)
    in_order, two_levels = [b"0:None", b"1:1", b"2:9", b"3:0", b"4:5"], [b"1:1", b"2:9", b"4:5", b"0:None", b"3:0"]
    equal(_bodies(channel, queue), rabbit.by_profile({"3.10": in_order, "4.3": two_levels}))


@case("PRIO-06")
def requeueing_to_a_priority(rabbit: Rabbit) -> None:
    """A requeued message comes back to where it stood among those of its priority."""
    channel, queue = _declared(rabbit, max_priority=5)
    _publish(channel, queue, 2, 2, 2, 1)
    tags = [delivery_tag(channel.got(queue)) for _ in range(2)]
    _publish(channel, queue, 5, 2)
    for tag in tags:
        channel.send(amqp.BasicReject(tag, requeue=True))
    got = [channel.got(queue, no_ack=True) for _ in range(6)]
    told = [(content.body, fields(content).redelivered) for content in got]
    wanted = [(b"0:5", False), (b"0:2", True), (b"1:2", True), (b"2:2", False), (b"1:2", False), (b"3:1", False)]
    equal(told, wanted)


@case("PRIO-07", "DLX-20")
def dropping_the_highest_priority(rabbit: Rabbit) -> None:
    """A full queue drops its head, which is of the highest priority; what has just come may be it."""
    channel, queue = _declared(rabbit, max_priority=5, max_length=2)
    _publish(channel, queue, 5, 1, 3, 0)
    equal(_bodies(channel, queue), [b"1:1", b"3:0"])
    _publish(channel, queue, 1, 2, 5)
    equal(_bodies(channel, queue), [b"1:2", b"0:1"])


@case("PRIO-07", "DLX-23")
def dropping_the_highest_priority_for_bytes(rabbit: Rabbit) -> None:
    """A limit in bytes counts the bodies of all priorities, and the highest goes first."""
    channel, queue = _declared(rabbit, max_priority=5, max_length_bytes=6)
    for body, priority in ((b"aa", 1), (b"bb", 5), (b"cc", 3), (b"dd", 0), (b"e", 2)):
        channel.publish(body, routing_key=queue, priority=priority)
    equal(_bodies(channel, queue), [b"e", b"aa", b"dd"])


@case("PRIO-08", "TTL-01")
def expired_messages_behind_a_higher_priority(rabbit: Rabbit) -> None:
    """An expired message is not removed while one of a higher priority is before it, and is never delivered."""
    channel, queue = _declared(rabbit, max_priority=5)
    channel.publish(b"low", routing_key=queue, priority=1, expiration="100")
    channel.publish(b"high", routing_key=queue, priority=5)
    rabbit.advance(0.25)
    channel.expect_ready(queue, 2)
    equal(channel.got(queue, no_ack=True).body, b"high")
    channel.expect_ready(queue, 0)
    equal(channel.get(queue), None)


@case("PRIO-08", "TTL-02")
def a_higher_priority_before_a_message_with_a_time(rabbit: Rabbit) -> None:
    """A message at the head goes when its time is over, and then those of lower priorities that have expired."""
    channel, queue = _declared(rabbit, max_priority=5)
    channel.publish(b"low", routing_key=queue, priority=1, expiration="100")
    channel.publish(b"high", routing_key=queue, priority=5, expiration="1000")
    channel.publish(b"none", routing_key=queue)
    rabbit.advance(0.2)
    channel.expect_ready(queue, 3)
    rabbit.advance(0.9)
    channel.expect_ready(queue, 1)
    equal(_bodies(channel, queue), [b"none"])


@case("PRIO-09")
def a_delivered_message_is_not_replaced(rabbit: Rabbit) -> None:
    """What was sent to a consumer stays with it; a message of a higher priority is the next one."""
    channel, queue = _declared(rabbit, max_priority=5)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue))
    _publish(channel, queue, 1, 2, 5)
    channel.expect_ready(queue, 2)
    for wanted in (b"0:1", b"2:5", b"1:2"):
        delivery = channel.message(amqp.BasicDeliver)
        equal(delivery.body, wanted)
        channel.send(amqp.BasicAck(delivery_tag(delivery)))


@case("PRIO-06", "PRIO-09")
def requeueing_below_a_higher_priority(rabbit: Rabbit) -> None:
    """A consumer that gives a message back gets what is of a higher priority first."""
    channel, queue = _declared(rabbit, max_priority=5)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue))
    _publish(channel, queue, 1, 1, 5)
    channel.expect_ready(queue, 2)
    channel.send(amqp.BasicReject(delivery_tag(channel.message(amqp.BasicDeliver)), requeue=True))
    for wanted in ((b"2:5", False), (b"0:1", True), (b"1:1", False)):
        delivery = channel.message(amqp.BasicDeliver)
        equal((delivery.body, fields(delivery).redelivered), wanted)
        channel.send(amqp.BasicAck(delivery_tag(delivery)))


# of consumers


def _consume(channel: RawChannel, queue: str, tag: str, priority: FieldValue = 0, **kwargs: Any) -> None:
    """Start a consumer; one of priority 0 does not say so."""
    arguments: FieldTable = {} if priority == 0 else {"x-priority": priority}
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments=arguments, **kwargs))


def _deliveries(channel: RawChannel, queue: str, count: int) -> list[tuple[str, int]]:
    """Exactly ``count`` deliveries: the consumers' tags and the bodies, which are numbers."""
    found = [channel.message(amqp.BasicDeliver) for _ in range(count)]
    channel.expect_nothing(queue)
    return [(fields(content).consumer_tag, int(content.body)) for content in found]


def _served(channel: RawChannel, queue: str, numbers: Iterable[int]) -> str:
    """Publish messages that all are delivered at once: the tags of the consumers, each one character, in order."""
    bodies = [b"%d" % number for number in numbers]
    for body in bodies:
        channel.publish(body, routing_key=queue)
    deliveries = _deliveries(channel, queue, len(bodies))
    equal([number for _, number in deliveries], [int(body) for body in bodies], "messages delivered")
    return "".join(tag for tag, _ in deliveries)


@case("CONSUME-24")
def the_higher_consumer_comes_first(rabbit: Rabbit) -> None:
    """The consumer of the highest priority gets all it can take, then the next; 0 is the default."""
    channel, queue = _declared(rabbit)
    for tag, priority, prefetch in (("n", -5, 0), ("d", 0, 1), ("h", 10, 2)):
        channel.call(amqp.BasicQos(prefetch_count=prefetch))
        _consume(channel, queue, tag, priority)
    equal(_served(channel, queue, range(6)), "hhdnnn")


@case("CONSUME-24")
def a_negative_priority_is_below_none(rabbit: Rabbit) -> None:
    """A consumer without a priority comes before one with a negative priority, together with one of 0."""
    channel, queue = _declared(rabbit)
    _consume(channel, queue, "n", -1)
    _consume(channel, queue, "a")
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="b", arguments={"x-priority": 0}))
    equal(_served(channel, queue, range(4)), "abab")


@case("CONSUME-24", "CONSUME-22")
def equal_priorities_in_turn(rabbit: Rabbit) -> None:
    """Consumers of the same priority are served in turn, in the order in which they came."""
    channel, queue = _declared(rabbit)
    for tag, priority in (("x", 1), ("a", 7), ("y", 1), ("b", 7), ("c", 7)):
        _consume(channel, queue, tag, priority)
    equal(_served(channel, queue, range(7)), "abcabca")
    for tag in "abc":
        channel.call(amqp.BasicCancel(tag))
    equal(_served(channel, queue, range(3)), "xyx")


@case("CONSUME-24", "QOS-08")
def room_at_a_higher_consumer(rabbit: Rabbit) -> None:
    """A consumer of a higher priority that has room again comes first again."""
    channel, queue = _declared(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=2))
    _consume(channel, queue, "h", 5)
    channel.call(amqp.BasicQos(prefetch_count=0))
    _consume(channel, queue, "l")
    equal(_served(channel, queue, range(3)), "hhl")
    channel.send(amqp.BasicAck(1))
    equal(_served(channel, queue, range(3, 5)), "hl")
    channel.send(amqp.BasicAck(4, multiple=True))
    equal(_served(channel, queue, range(5, 8)), "hhl")


@case("CONSUME-24", "CONSUME-22", "QOS-08")
def equal_priorities_with_a_prefetch(rabbit: Rabbit) -> None:
    """Consumers of one priority with a prefetch are filled in turn before lower ones. A consumer that was skipped for
    lack of room comes last.
    """
    channel, queue = _declared(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=2))
    for tag, priority in (("a", 3), ("b", 3), ("l", 0)):
        _consume(channel, queue, tag, priority)
    equal(_served(channel, queue, range(6)), "ababll")
    channel.publish(b"6", routing_key=queue)
    channel.publish(b"7", routing_key=queue)
    channel.publish(b"8", routing_key=queue)
    channel.expect_nothing(queue)
    channel.send(amqp.BasicAck(5))
    equal(_deliveries(channel, queue, 1), [("l", 6)])
    channel.send(amqp.BasicAck(2))
    equal(_deliveries(channel, queue, 1), [("b", 7)])
    channel.send(amqp.BasicAck(1))
    equal(_deliveries(channel, queue, 1), [("a", 8)])
    # Consumer a has not been skipped since its prefetch filled up: no message was ready. It keeps its place ahead of
    # b.
    channel.send(amqp.BasicAck(4))
    channel.send(amqp.BasicAck(3))
    equal(_served(channel, queue, range(9, 11)), "ab")


@case("CONSUME-24")
def a_higher_consumer_that_comes_later(rabbit: Rabbit) -> None:
    """A consumer of a higher priority that comes later gets new messages, and waiting ones if there are any."""
    channel, queue = _declared(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, "l")
    channel.publish(b"0", routing_key=queue)
    channel.publish(b"1", routing_key=queue)
    equal(_deliveries(channel, queue, 1), [("l", 0)])
    _consume(channel, queue, "h", 5)
    equal(_deliveries(channel, queue, 1), [("h", 1)])
    channel.send(amqp.BasicAck(2, multiple=True))
    equal(_served(channel, queue, range(2, 4)), "hl")


@case("CONSUME-24")
def a_higher_consumer_on_another_connection(rabbit: Rabbit) -> None:
    """Priorities count across connections; when the higher consumer's ends, its messages go to the lower one."""
    channel, queue = _declared(rabbit)
    _consume(channel, queue, "l", 1)
    raw = rabbit.raw()
    other = raw.channel()
    _consume(other, queue, "h", 2)
    for number in range(2):
        channel.publish(b"%d" % number, routing_key=queue)
    channel.expect_nothing(queue)
    equal(_deliveries(other, queue, 2), [("h", 0), ("h", 1)])
    raw.close()
    found = [channel.message(amqp.BasicDeliver) for _ in range(2)]
    equal([(content.body, fields(content).redelivered) for content in found], [(b"0", True), (b"1", True)])


@case("CONSUME-24", "CONSUME-31")
def requeueing_goes_to_the_highest_consumer(rabbit: Rabbit) -> None:
    """A message that a lower consumer gives back goes to a higher one that has room, and else comes back."""
    channel, queue = _declared(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, "h", 1)
    _consume(channel, queue, "l")
    equal(_served(channel, queue, range(2)), "hl")
    channel.send(amqp.BasicReject(2, requeue=True))
    equal(_deliveries(channel, queue, 1), [("l", 1)])
    channel.send(amqp.BasicAck(1))
    channel.send(amqp.BasicReject(3, requeue=True))
    equal(_deliveries(channel, queue, 1), [("h", 1)])


@case("CONSUME-24")
def integers_for_consumer_priorities(rabbit: Rabbit) -> None:
    """A consumer's priority is an integer of any width."""
    channel, queue = _declared(rabbit)
    priorities: tuple[FieldValue, ...] = (
        *(0, -1, 10, Int8(-3), UInt8(3), Int16(3), UInt16(3), UInt32(3)),
        Int64(-(2**40)),
        Int64(2**62),
    )
    for number, priority in enumerate(priorities):
        tag = chr(ord("a") + number)
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments={"x-priority": priority}))
    equal(_served(channel, queue, range(2)), "jj")


@case("CONSUME-24")
def other_types_for_consumer_priorities(rabbit: Rabbit) -> None:
    """A consumer's priority of any other type closes the channel with 406, and there is no consumer."""
    channel, queue = _declared(rabbit)
    others: dict[str, FieldValue] = {
        "longstr": "1",
        "double": 1.5,
        "bool": True,
        "void": None,
        "timestamp": datetime(2020, 1, 1),
        "array": [1],
        "table": {"a": 1},
    }
    where = f"for queue '{queue}' in vhost '{rabbit.vhost}'"
    for number, (kind, value) in enumerate(others.items(), 2):
        other = channel.connection.channel(number)
        other.send(amqp.BasicConsume(queue=queue, arguments={"x-priority": value}))
        other.expect_close(406, f"invalid arg 'x-priority' {where}: \"expected integer, got {kind}\"", (60, 20))
    equal(channel.call(amqp.QueueDelete(queue=queue, if_unused=True)), amqp.QueueDeleteOk(0))


def _tags(contents: Iterable[Content]) -> list[str]:
    return [fields(content).consumer_tag for content in contents]


@case("CONSUME-24", "PRIO-01")
def both_kinds_of_priorities(rabbit: Rabbit) -> None:
    """The highest message goes to the highest consumer."""
    channel, queue = _declared(rabbit, max_priority=5)
    _publish(channel, queue, 1, 5, 3)
    channel.expect_ready(queue, 3)
    other = channel.connection.channel(2)
    other.call(amqp.BasicQos(prefetch_count=1))
    _consume(other, queue, "h", 9)
    equal(other.message(amqp.BasicDeliver).body, b"1:5")
    _consume(other, queue, "l", no_ack=True)
    found = [other.message(amqp.BasicDeliver) for _ in range(2)]
    equal([content.body for content in found], [b"2:3", b"0:1"])
    equal(_tags(found), ["l", "l"])

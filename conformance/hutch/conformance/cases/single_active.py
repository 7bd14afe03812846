"""Queues that serve one consumer at a time (CONSUME-29)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue

_CONSUME = (60, 20)
_ARGUMENT = "x-single-active-consumer"


def _declared(rabbit: Rabbit, **arguments: FieldValue) -> tuple[RawChannel, str]:
    """A channel and a queue with a single active consumer; more arguments without ``x-``, ``_`` for ``-``."""
    table: FieldTable = {_ARGUMENT: True, **{f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}}
    return rabbit.raw_queue(arguments=table)


def _consume(channel: RawChannel, queue: str, tag: str, priority: int = 0) -> None:
    arguments: FieldTable = {"x-priority": priority} if priority else {}
    equal(channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments=arguments)), amqp.BasicConsumeOk(tag))


def _publish(channel: RawChannel, queue: str, *bodies: bytes) -> None:
    for body in bodies:
        channel.publish(body, routing_key=queue)


def _expect(channel: RawChannel, queue: str, *wanted: tuple[str, bytes, bool]) -> list[int]:
    """Exactly these deliveries, by consumer tag, body and redelivered flag; their delivery tags."""
    found = [channel.message(amqp.BasicDeliver) for _ in wanted]
    got = [(fields(content).consumer_tag, content.body, fields(content).redelivered) for content in found]
    equal(got, list(wanted))
    channel.expect_nothing(queue)
    return [delivery_tag(content) for content in found]


@case("QUEUE-ARG-13", "QARG-M137", "QARG-M138", "QARG-M139", "QARG-M140")
def asking_for_a_single_active_consumer(rabbit: Rabbit) -> None:
    """Whether a queue has a single active consumer is a boolean; every other type is refused, and named."""
    raw = rabbit.raw()
    channel = raw.channel(1)
    for value in (True, False):
        channel.call(amqp.QueueDeclare(queue=rabbit.name(), arguments={_ARGUMENT: value}))
    others: dict[str, FieldValue] = {"longstr": "true", "signedint": 1, "void": None, "double": 1.0, "array": [True]}
    for number, (kind, other) in enumerate(others.items(), 2):
        queue, channel = rabbit.name(), raw.channel(number)
        channel.send(amqp.QueueDeclare(queue=queue, arguments={_ARGUMENT: other}))
        text = f"invalid arg '{_ARGUMENT}' for queue '{queue}' in vhost '{rabbit.vhost}'"
        channel.expect_close(406, f"{text}: {{unacceptable_type,{kind}}}", (50, 10))


@case("CONSUME-29")
def the_first_consumer_is_active(rabbit: Rabbit) -> None:
    """The first consumer gets every message. Others may subscribe and get none."""
    channel, queue = _declared(rabbit)
    other = rabbit.raw().channel()
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    _consume(other, queue, "c")
    _publish(channel, queue, b"0", b"1", b"2")
    _expect(channel, queue, ("a", b"0", False), ("a", b"1", False), ("a", b"2", False))
    other.expect_nothing(queue)
    equal(fields(channel.call(amqp.QueueDeclare(queue=queue, passive=True))).consumer_count, 3)


@case("CONSUME-29", "QOS-02")
def a_full_active_consumer_stays_active(rabbit: Rabbit) -> None:
    """While the active consumer has no room messages wait, though others had some."""
    channel, queue = _declared(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0", b"1", b"2")
    for body in (b"0", b"1", b"2"):
        (tag,) = _expect(channel, queue, ("a", body, False))
        channel.send(amqp.BasicAck(tag))


@case("CONSUME-29", "CONSUME-18")
def cancelling_the_active_consumer(rabbit: Rabbit) -> None:
    """When the active consumer is cancelled the next is served; what the old one has not acknowledged stays with it."""
    channel, queue = _declared(rabbit)
    for tag in "abc":
        _consume(channel, queue, tag)
    _publish(channel, queue, b"0")
    (first,) = _expect(channel, queue, ("a", b"0", False))
    for body, old, new in ((b"1", "a", "b"), (b"2", "b", "c")):
        channel.call(amqp.BasicCancel(old))
        channel.expect_nothing(queue)
        _publish(channel, queue, body)
        _expect(channel, queue, (new, body, False))
    channel.send(amqp.BasicAck(first))
    channel.expect_nothing(queue)


@case("CONSUME-29", profiles=["4.3"])
def messages_that_wait_when_the_active_consumer_is_cancelled(rabbit: Rabbit) -> None:
    """In 4.x the next consumer gets at once what the active one had no room for when it was cancelled."""
    channel, queue = _declared(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=1))
    for tag in "ab":
        _consume(channel, queue, tag)
    _publish(channel, queue, b"0", b"1", b"2")
    _expect(channel, queue, ("a", b"0", False))
    channel.call(amqp.BasicCancel("a"))
    (tag_,) = _expect(channel, queue, ("b", b"1", False))
    channel.send(amqp.BasicAck(tag_))
    _expect(channel, queue, ("b", b"2", False))


@case("CONSUME-29", profiles=["3.10"])
def messages_left_when_the_active_consumer_is_cancelled(rabbit: Rabbit) -> None:
    """In 3.x messages that the cancelled consumer had no room for stay until another consumer comes or a message
    returns.
    """
    for comes in (True, False):
        channel, queue = _declared(rabbit)
        channel.call(amqp.BasicQos(prefetch_count=1))
        for tag in "ab":
            _consume(channel, queue, tag)
        _publish(channel, queue, b"0", b"1", b"2")
        (first,) = _expect(channel, queue, ("a", b"0", False))
        channel.call(amqp.BasicCancel("a"))
        channel.expect_nothing(queue)
        if comes:
            channel.send(amqp.BasicAck(first))
            channel.expect_nothing(queue)
            _consume(channel, queue, "c")
            _expect(channel, queue, ("b", b"1", False))
        else:
            channel.send(amqp.BasicReject(first, requeue=True))
            _expect(channel, queue, ("b", b"0", True))


@case("CONSUME-29", "ACK-07")
def giving_back_after_the_active_consumer_was_cancelled(rabbit: Rabbit) -> None:
    """Messages that a cancelled consumer requeues go to the consumer that is active now."""
    channel, queue = _declared(rabbit)
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0")
    (tag,) = _expect(channel, queue, ("a", b"0", False))
    channel.call(amqp.BasicCancel("a"))
    channel.expect_nothing(queue)
    channel.send(amqp.BasicReject(tag, requeue=True))
    _expect(channel, queue, ("b", b"0", True))


@case("CONSUME-29", "CONSUME-31")
def giving_back_as_the_active_consumer(rabbit: Rabbit) -> None:
    """A message that the active consumer requeues comes back to it."""
    channel, queue = _declared(rabbit)
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0", b"1")
    tag = _expect(channel, queue, ("a", b"0", False), ("a", b"1", False))[-1]
    for _ in range(2):
        channel.send(amqp.BasicNack(tag, multiple=True, requeue=True))
        tag = _expect(channel, queue, ("a", b"0", True), ("a", b"1", True))[-1]


@case("CONSUME-29")
def closing_the_active_channel(rabbit: Rabbit) -> None:
    """When the active consumer's channel closes the next one gets what was not acknowledged, then what comes."""
    channel, queue = _declared(rabbit)
    active = channel.connection.channel(2)
    _consume(active, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0", b"1")
    _expect(active, queue, ("a", b"0", False), ("a", b"1", False))
    channel.expect_nothing(queue)
    active.close()
    _publish(channel, queue, b"2")
    _expect(channel, queue, ("b", b"0", True), ("b", b"1", True), ("b", b"2", False))


@case("CONSUME-29", "CHAN-11")
def closing_a_channel_with_several_consumers(rabbit: Rabbit) -> None:
    """When a channel with the active consumer and waiting ones closes, what waits goes to one of another channel."""
    channel, queue = _declared(rabbit)
    active = channel.connection.channel(2)
    active.call(amqp.BasicQos(prefetch_count=1))
    for tag in "ab":
        _consume(active, queue, tag)
    _consume(channel, queue, "c")
    _publish(channel, queue, b"0", b"1", b"2")
    _expect(active, queue, ("a", b"0", False))
    active.close()
    _expect(channel, queue, ("c", b"0", True), ("c", b"1", False), ("c", b"2", False))


@case("CONSUME-29")
def losing_the_active_connection(rabbit: Rabbit) -> None:
    """When the active consumer's connection is lost the next one takes over."""
    channel, queue = _declared(rabbit)
    raw = rabbit.raw()
    active = raw.channel()
    _consume(active, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0")
    _expect(active, queue, ("a", b"0", False))
    raw.close()
    delivery = channel.message(amqp.BasicDeliver)
    equal((delivery.body, fields(delivery).redelivered), (b"0", True))
    _publish(channel, queue, b"1")
    _expect(channel, queue, ("b", b"1", False))


@case("CONSUME-29")
def cancelling_a_waiting_consumer(rabbit: Rabbit) -> None:
    """A consumer that waits may be cancelled; it is passed over when the turn comes to it."""
    channel, queue = _declared(rabbit)
    for tag in "abc":
        _consume(channel, queue, tag)
    channel.call(amqp.BasicCancel("b"))
    _publish(channel, queue, b"0")
    _expect(channel, queue, ("a", b"0", False))
    channel.call(amqp.BasicCancel("a"))
    _publish(channel, queue, b"1")
    _expect(channel, queue, ("c", b"1", False))


@case("CONSUME-29", "CONSUME-04")
def coming_back_as_the_last(rabbit: Rabbit) -> None:
    """A consumer that is cancelled and starts again waits behind the others. If it is alone, it is active at once."""
    channel, queue = _declared(rabbit)
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    channel.call(amqp.BasicCancel("a"))
    _consume(channel, queue, "a")
    _publish(channel, queue, b"0")
    _expect(channel, queue, ("b", b"0", False))
    channel.call(amqp.BasicCancel("b"))
    _publish(channel, queue, b"1")
    _expect(channel, queue, ("a", b"1", False))
    channel.call(amqp.BasicCancel("a"))
    _publish(channel, queue, b"2")
    _consume(channel, queue, "c")
    _expect(channel, queue, ("c", b"2", False))


@case("CONSUME-30")
def a_higher_consumer_does_not_take_over(rabbit: Rabbit) -> None:
    """The active consumer stays active when one of a higher priority comes."""
    channel, queue = _declared(rabbit)
    _consume(channel, queue, "a")
    _consume(channel, queue, "b", 10)
    _publish(channel, queue, b"0", b"1")
    _expect(channel, queue, ("a", b"0", False), ("a", b"1", False))


@case("CONSUME-30", "CONSUME-29", "CONSUME-24")
def the_highest_consumer_is_next(rabbit: Rabbit) -> None:
    """When the active consumer ends, the next is the one of the highest priority that came first."""
    channel, queue = _declared(rabbit)
    for tag, priority in (("a", 0), ("b", -1), ("c", 5), ("d", 5)):
        _consume(channel, queue, tag, priority)
    for number, tag in enumerate("acdb"):
        _publish(channel, queue, b"%d" % number)
        _expect(channel, queue, (tag, b"%d" % number, False))
        if tag != "b":
            channel.call(amqp.BasicCancel(tag))


@case("CONSUME-13")
def exclusive_consumers_beside_a_single_active_one(rabbit: Rabbit) -> None:
    """Nobody may consume exclusively from such a queue, even with no other consumer."""
    channel, queue = _declared(rabbit)
    text = f"queue '{queue}' in vhost '{rabbit.vhost}' in exclusive use"
    for number in (2, 3):
        other = channel.connection.channel(number)
        other.send(amqp.BasicConsume(queue=queue, exclusive=True))
        other.expect_close(403, text, _CONSUME)
        _consume(channel, queue, f"c{number}")


@case("GET-08")
def getting_beside_a_single_active_consumer(rabbit: Rabbit) -> None:
    """Basic.get works, with and without an active consumer."""
    channel, queue = _declared(rabbit)
    _publish(channel, queue, b"0")
    equal(channel.got(queue).body, b"0")
    consumer = channel.connection.channel(2)
    consumer.call(amqp.BasicQos(prefetch_count=1))
    _consume(consumer, queue, "a")
    _publish(channel, queue, b"1", b"2")
    _expect(consumer, queue, ("a", b"1", False))
    equal(channel.got(queue, no_ack=True).body, b"2")


@case("CONSUME-29", "CONSUME-19")
def deleting_a_queue_with_waiting_consumers(rabbit: Rabbit) -> None:
    """When such a queue is deleted all its consumers are told, the waiting ones too."""
    channel, queue = _declared(rabbit)
    other = channel.connection.channel(2)
    for tag in "ab":
        _consume(other, queue, tag)
    channel.call(amqp.QueueDelete(queue=queue))
    equal(sorted(other.expect(amqp.BasicCancel).consumer_tag for _ in range(2)), ["a", "b"])


@case("CONSUME-29", "QUEUE-AUTODEL-02")
def auto_delete_with_waiting_consumers(rabbit: Rabbit) -> None:
    """A queue that deletes itself waits for its last consumer, active or not."""
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, auto_delete=True, arguments={_ARGUMENT: True}))
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    channel.call(amqp.BasicCancel("a"))
    _publish(channel, queue, b"0")
    _expect(channel, queue, ("b", b"0", False))
    channel.call(amqp.BasicCancel("b"))
    rabbit.eventually(lambda: not rabbit.has_queue(queue), f"queue {queue!r} is still there")


@case("CONSUME-29", "DLX-24", "DLX-22")
def a_limit_beside_a_single_active_consumer(rabbit: Rabbit) -> None:
    """What the active consumer has no room for counts for the limit, whoever else waits."""
    channel, queue = _declared(rabbit, max_length=1)
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0", b"1", b"2")
    (tag,) = _expect(channel, queue, ("a", b"0", False))
    channel.send(amqp.BasicAck(tag))
    _expect(channel, queue, ("a", b"2", False))


@case("CONSUME-29", "CONSUME-22")
def no_single_active_consumer(rabbit: Rabbit) -> None:
    """With the argument false consumers take turns as without it."""
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, arguments={_ARGUMENT: False}))
    _consume(channel, queue, "a")
    _consume(channel, queue, "b")
    _publish(channel, queue, b"0", b"1", b"2")
    _expect(channel, queue, ("a", b"0", False), ("b", b"1", False), ("a", b"2", False))

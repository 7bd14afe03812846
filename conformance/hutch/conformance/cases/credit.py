"""3.x's credit for consumers: the argument x-credit and basic.credit, which its AMQP 1.0 plugin needs (CONSUME)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.listener import Listener
from hutch.conformance.quorum import Yard
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import Item, RawChannel, fields
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable, Int64


def _asking(credit: int, *, drain: bool = False) -> FieldTable:
    return {"x-credit": {"credit": Int64(credit), "drain": drain}}


def _consume(channel: RawChannel, queue: str, arguments: FieldTable, tag: str = "c", *, no_ack: bool = False) -> None:
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, no_ack=no_ack, arguments=arguments))


def _grant(channel: RawChannel, credit: int, tag: str = "c", *, drain: bool = False) -> None:
    channel.send(amqp.BasicCredit(tag, credit, drain))


def _told(item: Item) -> object:
    """A delivery's body, the number of ready messages, or the tag and number of what was drained."""
    match item:
        case Content():
            return item.body
        case amqp.BasicCreditOk():
            return item.available
        case amqp.BasicCreditDrained():
            return item.consumer_tag, item.credit_drained
    return item


def _expect(channel: RawChannel, *told: object) -> None:
    """What must come next on a channel, and nothing behind it."""
    equal([_told(channel.read()) for _ in told], list(told))
    channel.expect_nothing()


def _left(channel: RawChannel, queue: str, count: int) -> list[tuple[bytes, bool]]:
    """The messages of a queue, of which there must be so many, and whether they came back."""
    channel.expect_ready(queue, count)
    messages = [channel.got(queue) for _ in range(count)]
    return [(message.body, fields(message).redelivered) for message in messages]


@case("CONSUME-26", profiles=["3.10"])
def credit_limits_a_consumer(rabbit: Rabbit) -> None:
    """With x-credit a consumer gets that many deliveries, whatever it acknowledges and whatever its prefetch is.
    Basic.credit sets a new number, and its answer has the number of ready messages.
    """
    for no_ack in (False, True):
        channel, queue = rabbit.raw_queue(7)
        channel.expect_ready(queue, 7)
        channel.call(amqp.BasicQos(prefetch_count=1))
        _consume(channel, queue, _asking(2), no_ack=no_ack)
        _expect(channel, b"0", b"1")
        if not no_ack:
            channel.send(amqp.BasicAck(2, multiple=True))
        _expect(channel)
        _grant(channel, 1)
        _expect(channel, 5, b"2")
        _grant(channel, 0)
        _expect(channel, 4)
        _grant(channel, 9)
        _expect(channel, 4, b"3", b"4", b"5", b"6")
        _grant(channel, 1)  # this replaces the credit left over from the nine
        _expect(channel, 0)
        channel.publish(b"7", routing_key=queue)
        channel.publish(b"8", routing_key=queue)
        equal(_told(channel.read()), b"7")
        channel.expect_nothing(queue)


@case("CONSUME-26", profiles=["3.10"])
def credit_for_a_consumer_without(rabbit: Rabbit) -> None:
    """After basic.credit, acknowledging brings a consumer no more messages, as it would with its prefetch."""
    channel, queue = rabbit.raw_queue(4)
    channel.expect_ready(queue, 4)
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, {})
    _expect(channel, b"0")
    _grant(channel, 1)
    _expect(channel, 3, b"1")
    channel.send(amqp.BasicAck(2, multiple=True))
    channel.expect_nothing(queue)
    channel.call(amqp.BasicQos(prefetch_count=1, global_=True))  # the global prefetch limit applies beside the credit
    _grant(channel, 5)
    _expect(channel, 2, b"2")
    channel.send(amqp.BasicAck(3))
    equal(_told(channel.read()), b"3")


@case("CONSUME-26", "CONSUME-29", profiles=["3.10"])
def credit_of_who_waits(rabbit: Rabbit) -> None:
    """A consumer that is not the active one keeps its credit for later. A consumer whose credit is below 0 waits for
    more.
    """
    channel, queue = rabbit.raw_queue(4, {"x-single-active-consumer": True})
    channel.expect_ready(queue, 4)
    _consume(channel, queue, _asking(-1), "a")
    _consume(channel, queue, _asking(0), "b")
    _grant(channel, 2, "b")
    _expect(channel, 4)
    _grant(channel, 1, "a")
    _expect(channel, 4, b"0")
    channel.call(amqp.BasicCancel("a"))
    channel.send(amqp.BasicNack(1))
    equal([_told(channel.read()) for _ in range(2)], [b"0", b"1"])
    channel.expect_nothing(queue)
    _grant(channel, 1, "a")
    channel.expect_close(406, "unknown consumer tag 'a'", (60, 200))


@case("CONSUME-26", profiles=["3.10"])
def draining_a_classic_queue(rabbit: Rabbit) -> None:
    """Draining a classic queue, which tells the consumer that there are no more messages, ends the connection before
    the last message arrives: 3.10's channels do not know the message that the queue sends. Without credit left nothing
    is told.
    """
    channel, queue = rabbit.raw_queue()
    channel.send(amqp.BasicConsume(queue=queue, arguments=_asking(3, drain=True)))
    channel.connection.expect_close(541, "", (0, 0))
    channel, queue = rabbit.raw_queue()
    _consume(channel, queue, {})
    _grant(channel, 0, drain=True)
    channel.connection.expect_close(541, "", (0, 0))
    for no_ack, left in ((False, [(b"0", True), (b"1", True), (b"2", True)]), (True, [])):
        other, queue = rabbit.raw_queue(3)
        other.expect_ready(queue, 3)
        channel = rabbit.raw().channel()
        asking = _asking(3, drain=True)
        channel.send(amqp.BasicConsume(queue=queue, consumer_tag="c", no_ack=no_ack, arguments=asking))
        channel.connection.expect_close(541, "", (0, 0))
        # On a busy machine the end of the connection sometimes overtakes the channel's last frames (seen in 5 of 80
        # runs).
        told = [_told(item) for item in channel.connection.waiting_on(channel.number)]
        equal(told, [amqp.BasicConsumeOk("c"), b"0", b"1"] if told else [])
        equal(_left(other, queue, len(left)), left)
    channel, queue = rabbit.raw_queue(3)
    channel.expect_ready(queue, 3)
    _consume(channel, queue, _asking(1, drain=True))
    _expect(channel, b"0")
    _grant(channel, 1, drain=True)
    _expect(channel, 2, b"1")
    equal(channel.call(amqp.QueuePurge(queue=queue)), amqp.QueuePurgeOk(1))
    channel.expect_nothing(queue)


@case("CONSUME-26", profiles=["3.10"])
def others_empty_a_queue_that_is_drained(rabbit: Rabbit) -> None:
    """The connection ends in the same way when another consumer takes the last message, a client purges the queue, or
    the message expires.
    """
    for how in ("get", "purge", "expire", "consume"):
        other, queue = rabbit.raw_queue(1)
        other.publish(b"1", routing_key=queue, expiration="1000" if how == "expire" else "60000")
        other.expect_ready(queue, 2)
        channel = rabbit.raw().channel()
        channel.call(amqp.BasicQos(prefetch_count=1, global_=True))
        _consume(channel, queue, _asking(5, drain=True))
        equal(_told(channel.read()), b"0")
        if how == "get":
            equal(other.got(queue, no_ack=True).body, b"1")
        elif how == "purge":
            equal(other.call(amqp.QueuePurge(queue=queue)), amqp.QueuePurgeOk(1))
        elif how == "consume":
            _consume(other, queue, {}, no_ack=True)
            equal(_told(other.read()), b"1")
            equal(_told(other.read()), b"0")
        elif how == "expire":
            rabbit.allow(1.5)
        channel.connection.expect_close(541, "", (0, 0))
        if how != "consume":
            equal(_left(other, queue, 1), [(b"0", True)])


@case("CONSUME-26", "QUORUM-03", profiles=["3.10"])
def asking_a_quorum_queue_for_credit(rabbit: Rabbit) -> None:
    """A consumer of a quorum queue with x-credit ends its connection. Messages that it should get return to the queue,
    even those without acknowledgement.
    """
    yard = Yard(rabbit)
    for drain, no_ack in ((False, False), (True, False), (False, True)):
        queue = yard.queue()
        yard.publish(queue, b"0", b"1", b"2")
        channel = rabbit.raw().channel()
        _consume(channel, queue, _asking(2, drain=drain), no_ack=no_ack)
        channel.connection.expect_close(541, "", (0, 0))
        equal(_left(yard.channel, queue, 3), [(b"0", True), (b"1", True), (b"2", False)])
    channel = rabbit.raw().channel()
    queue = yard.queue(single_active_consumer=True)
    channel.send(amqp.BasicConsume(queue=queue, arguments=_asking(1)))
    channel.connection.expect_close(541, "", (0, 0))


@case("CONSUME-26", profiles=["3.10"])
def granting_credit_of_a_quorum_queue(rabbit: Rabbit) -> None:
    """A consumer with x-credit of 0 gets as many messages as basic.credit grants, after the number of messages that
    stay ready.
    """
    yard = Yard(rabbit)
    for no_ack in (False, True):
        queue = yard.queue()
        yard.publish(queue, b"0", b"1", b"2")
        channel = rabbit.raw().channel()
        _consume(channel, queue, _asking(0), no_ack=no_ack)
        _grant(channel, 2)
        _expect(channel, 1, b"0", b"1")
        if not no_ack:
            channel.send(amqp.BasicAck(2, multiple=True))
        _grant(channel, 0)
        _expect(channel, 1)
        _grant(channel, 5)
        _expect(channel, 0, b"2")
        _grant(channel, 1)
        _expect(channel, 0)
        yard.publish(queue, b"3", b"4")
        _expect(channel, b"3")


@case("CONSUME-26", profiles=["3.10"])
def granting_credit_beside_a_prefetch(rabbit: Rabbit) -> None:
    """A consumer of a quorum queue that came without x-credit gets as much more as it is granted, and again one for
    each delivery that it acknowledges.
    """
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, *(b"%d" % number for number in range(7)))
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, {})
    _expect(channel, b"0")
    _grant(channel, 2)
    _expect(channel, 4, b"1", b"2")
    channel.send(amqp.BasicAck(2, multiple=True))
    equal([_told(channel.read()) for _ in range(2)], [b"3", b"4"])
    _grant(channel, 0)
    _expect(channel, 2)
    channel.send(amqp.BasicAck(3))
    equal(_told(channel.read()), b"5")
    channel.expect_nothing()


@case("CONSUME-26", profiles=["3.10"])
def draining_a_quorum_queue(rabbit: Rabbit) -> None:
    """A consumer that drains a quorum queue first learns how much of its credit finds no message, and then gets the
    messages. That part is subtracted from all credit that is granted later.
    """
    yard = Yard(rabbit)
    for arguments in (_asking(0), {}):
        queue = yard.queue()
        channel = rabbit.raw().channel()
        _consume(channel, queue, arguments)
        _grant(channel, 5, drain=True)
        _expect(channel, 0, ("c", 5))
        yard.publish(queue, b"0", b"1")
        _grant(channel, 5)
        _expect(channel, 2)
        _grant(channel, 6)
        _expect(channel, 1, b"0")
        _grant(channel, 9, drain=True)
        _expect(channel, 0, ("c", 3), b"1")
        yard.publish(queue, b"2")
        _grant(channel, 8, drain=True)
        _expect(channel, 1, ("c", 0))
        _grant(channel, 9)
        _expect(channel, 0, b"2")


@case("CONSUME-26", "CONSUME-29", profiles=["3.10"])
def draining_while_another_is_active(rabbit: Rabbit) -> None:
    """A consumer that is not the active one of a quorum queue keeps its credit, though it drains."""
    yard = Yard(rabbit)
    queue = yard.queue(single_active_consumer=True)
    yard.publish(queue, b"0", b"1", b"2")
    channel = rabbit.raw().channel()
    _consume(channel, queue, _asking(0), "a")
    _consume(channel, queue, _asking(0), "b")
    _grant(channel, 2, "b", drain=True)
    _expect(channel, 3)
    _grant(channel, 1, "a")
    _expect(channel, 2, b"0")
    channel.send(amqp.BasicAck(1))
    channel.call(amqp.BasicCancel("a"))
    equal([_told(channel.read()) for _ in range(2)], [b"1", b"2"])


@case("CONSUME-26", "STREAM-10", profiles=["3.10"])
def credit_of_a_stream(rabbit: Rabbit) -> None:
    """A reader of a stream gets granted credit beside its prefetch. The number of messages comes before them; the
    credit that draining takes away comes behind them.
    """
    yard = Yard(rabbit)
    queue = yard.queue(kind="stream")
    yard.publish(queue, *(b"%d" % number for number in range(5)))
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicQos(prefetch_count=1))
    _consume(channel, queue, {"x-stream-offset": "first"})
    _expect(channel, b"0")
    _grant(channel, 2)
    _expect(channel, 2, b"1", b"2")
    channel.send(amqp.BasicAck(1))
    equal(_told(channel.read()), b"3")
    _grant(channel, 5, drain=True)
    _expect(channel, 1, b"4", ("c", 4))
    yard.publish(queue, b"5")
    channel.expect_nothing()
    channel.send(amqp.BasicAck(2))
    equal(_told(channel.read()), b"5")


@case("CONSUME-26", profiles=["3.10"])
def events_of_consumers_with_credit(rabbit: Rabbit) -> None:
    """The event of a consumer with x-credit tells of its prefetch, of a quorum queue's of none."""
    listener, channel = Listener(rabbit, "consumer.created"), rabbit.raw().channel()
    channel.call(amqp.BasicQos(prefetch_count=5))
    for kind, prefetch in (("classic", 5), ("quorum", 0)):
        queue = Yard(rabbit).queue(kind=kind)
        _consume(channel, queue, _asking(0), kind)
        asked = ['{<<"x-credit">>,table,[{<<"credit">>,long,0},{<<"drain">>,bool,false}]}']
        facts: FieldTable = {
            "queue": queue,
            "consumer_tag": kind,
            "prefetch_count": Int64(prefetch),
            "arguments": asked,
        }
        listener.expect(("consumer.created", {**facts, "exclusive": False, "ack_required": True}))

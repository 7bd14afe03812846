"""Quorum queues: what comes back, how often it may, and in which order things are delivered (QUORUM, ACK)."""

from collections.abc import Callable, Mapping
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.quorum import Yard, counts, expect_counts
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldValue


def headers_of(content: Content) -> Mapping[str, FieldValue]:
    """A message's headers."""
    headers = properties_of(content).get("headers", {})
    return headers if isinstance(headers, Mapping) else {}


def _redelivered(content: Content) -> bool:
    return bool(fields(content).redelivered)


@case("QUORUM-02", "QUORUM-04")
def counts_of_rejected_deliveries(rabbit: Rabbit) -> None:
    """Each delivery that is rejected counts: 3.x tells how many from the first delivery on, 4.x once there is one."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue)
    for failed in range(4):
        content = yard.get(queue)
        expect_counts(rabbit, content, failed=failed)
        equal(_redelivered(content), failed > 0, "redelivered")
        yard.reject(content)


@case("QUORUM-02", "QUORUM-03")
def counts_of_deliveries_handed_back(rabbit: Rabbit) -> None:
    """Basic.nack and basic.recover hand messages back; in 3.x that is failing, in 4.x it counts as being acquired."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue)
    ways: tuple[Callable[[Content], object], ...] = (
        yard.nack,
        lambda _content: yard.channel.call(amqp.BasicRecover(requeue=True)),
        lambda content: yard.nack(content, multiple=True),
        yard.reject,
        yard.nack,
    )
    failed = 0
    for acquired, way in enumerate(ways):
        content = yard.get(queue)
        expect_counts(rabbit, content, failed=acquired if rabbit.profile == "3.10" else failed, acquired=acquired)
        equal(_redelivered(content), acquired > 0, "redelivered")
        way(content)
        failed += way == yard.reject
    expect_counts(rabbit, yard.get(queue), failed=5 if rabbit.profile == "3.10" else 1, acquired=5)


@case("QUORUM-10", "QUORUM-02")
def counts_of_deliveries_that_end_with_their_channel(rabbit: Rabbit) -> None:
    """What was outstanding when its channel or connection ended has failed."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue)
    yard.get(queue)
    yard.reopen()
    expect_counts(rabbit, yard.get(queue), failed=1)
    yard.reopen()
    other = rabbit.raw()
    channel = other.channel()
    rabbit.eventually(lambda: channel.get(queue), "no message")
    other.close()
    content = yard.get(queue)
    expect_counts(rabbit, content, failed=3)
    equal(_redelivered(content), True, "redelivered")


@case("PUB-15", "QUORUM-02")
def counts_among_headers_of_the_publisher(rabbit: Rabbit) -> None:
    """The counts take the place of headers of their names; all headers come out in the order of their names."""
    yard = Yard(rabbit)
    queue = yard.queue()
    own = {"z": 1, "x-delivery-count": "mine", "b": True, "a": "x", "x-acquired-count": 5}
    yard.publish(queue, headers=own)
    content = yard.get(queue)
    of_the_first = {"3.10": {"x-acquired-count": ("signedint", 5), "x-delivery-count": ("long", 0)}}
    unchanged = {"x-acquired-count": ("signedint", 5), "x-delivery-count": ("longstr", "mine")}
    equal(counts(content), of_the_first.get(rabbit.profile, unchanged))
    names = ["a", "b", "x-acquired-count", "x-delivery-count", "z"]
    equal(list(headers_of(content)), names)
    yard.reject(content)
    content = yard.get(queue)
    acquired = ("signedint", 5) if rabbit.profile == "3.10" else ("long", 1)
    equal(counts(content), {"x-acquired-count": acquired, "x-delivery-count": ("long", 1)})
    equal(list(headers_of(content)), names)


@case("ACK-08")
def place_of_messages_handed_back(rabbit: Rabbit) -> None:
    """Messages that return go before all others; in 3.x without a delivery limit they go behind them."""
    yard = Yard(rabbit)
    limits: tuple[dict[str, Any], ...] = ({}, {"delivery_limit": 10})
    for arguments in limits:
        for multiple in (False, True):
            queue = yard.queue(**arguments)
            yard.publish(queue, b"0", b"1", b"2", b"3", b"4")
            got = [yard.get(queue) for _ in range(3)]
            for content in got[-1:] if multiple else got:
                yard.nack(content, multiple=multiple)
            came_back, others = [(b"0", True), (b"1", True), (b"2", True)], [(b"3", False), (b"4", False)]
            to_tail = rabbit.profile == "3.10" and not arguments
            yard.expect_rest(queue, *(others + came_back if to_tail else came_back + others))


@case("ACK-08")
def order_of_messages_rejected_in_another_order(rabbit: Rabbit) -> None:
    """Messages that return one by one are in the order in which they returned, not in that of their arrival."""
    yard = Yard(rabbit)
    queue = yard.queue(delivery_limit=10)
    yard.publish(queue, b"0", b"1", b"2", b"3")
    first, second, third = (yard.get(queue) for _ in range(3))
    for content in (second, third, first):
        yard.reject(content)
    yard.expect_rest(queue, (b"1", True), (b"2", True), (b"0", True), (b"3", False))


@case("ACK-08", "QUORUM-10")
def place_of_messages_of_a_channel_that_ends(rabbit: Rabbit) -> None:
    """Messages whose channel ends go before all others, with or without a delivery limit."""
    yard = Yard(rabbit)
    for queue in (yard.queue(), yard.queue(delivery_limit=10)):
        yard.publish(queue, b"0", b"1", b"2", b"3")
        for _ in range(2):
            yard.get(queue)
        yard.reopen()
        yard.expect_rest(queue, (b"0", True), (b"1", True), (b"2", False), (b"3", False))


def _deliveries(yard: Yard, most: int, how: Callable[[Content], object], **arguments: Any) -> int:
    """How many deliveries of a message may come back before it is dead-lettered, ``most`` if it is not by then."""
    dead = yard.queue(kind="classic")
    queue = yard.queue(dead, **arguments)
    yard.publish(queue)
    for number in range(most):
        content = yard.rabbit.eventually(lambda: yard.channel.get(queue) or yard.channel.get(dead), "no message")
        if "x-death" in headers_of(content):
            return number
        how(content)
    return most


@case("QUORUM-05", "QUORUM-07", "QUORUM-08", "QUEUE-ARG-24", "QARG-M199", "QARG-M200", "QARG-M201", "QARG-M202")
def delivery_limit(rabbit: Rabbit) -> None:
    """A message is delivered once more than x-delivery-limit says; what is no number is no limit, and a negative one a
    limit in 3.x alone.
    """
    limits: list[tuple[FieldValue, int, int]] = [
        (2, 3, 3),
        (0, 1, 1),
        (-1, 1, 24),
        ("a", 24, 21),
        (True, 24, 21),
        (1.5, 2, 21),
    ]
    for limit, of_3, of_4 in limits:
        yard = Yard(rabbit)
        equal(_deliveries(yard, 24, yard.reject, delivery_limit=limit), of_3 if rabbit.profile == "3.10" else of_4)


@case("QUORUM-06")
def delivery_limit_by_default(rabbit: Rabbit) -> None:
    """Without x-delivery-limit 3.x delivers without end, 4.x 21 times."""
    yard = Yard(rabbit)
    equal(_deliveries(yard, 24, yard.reject), 24 if rabbit.profile == "3.10" else 21)


@case("QUORUM-03", "QUORUM-05")
def what_counts_towards_the_delivery_limit(rabbit: Rabbit) -> None:
    """In 4.x basic.nack and basic.recover do not count towards the limit; the end of a channel always does."""
    yard = Yard(rabbit)
    handed_back = 2 if rabbit.profile == "3.10" else 6
    equal(_deliveries(yard, 6, yard.nack, delivery_limit=1), handed_back, "by basic.nack")
    recover = amqp.BasicRecover(requeue=True)
    equal(_deliveries(yard, 6, lambda _content: yard.channel.call(recover), delivery_limit=1), handed_back, "recover")
    equal(_deliveries(yard, 6, lambda _content: yard.reopen(), delivery_limit=1), 2, "by the end of the channel")


@case("QUORUM-05")
def over_the_delivery_limit_without_dead_lettering(rabbit: Rabbit) -> None:
    """Without a dead-letter exchange a message that came back too often is dropped."""
    yard = Yard(rabbit)
    queue = yard.queue(delivery_limit=0)
    yard.publish(queue, b"0", b"1")
    yard.reject(yard.get(queue))
    yard.expect_rest(queue, (b"1", False))


@case("QUORUM-11")
def priorities_without_asking(rabbit: Rabbit) -> None:
    """3.x knows no priorities; in 4.x there are 32, messages of higher ones go first, and those without have 4."""
    yard = Yard(rabbit)
    queue = yard.queue()
    priorities = (None, 0, 1, 2, 3, 4, 5, 6, 9, 31, 32, 255, 3, 4, None)
    for place, priority in enumerate(priorities):
        yard.publish(queue, b"%d" % place, **({} if priority is None else {"priority": priority}))
    order = sorted(range(15), key=lambda place: -min(4 if (it := priorities[place]) is None else it, 31))
    wanted = range(15) if rabbit.profile == "3.10" else order
    yard.expect_rest(queue, *((b"%d" % place, False) for place in wanted))


@case("QUORUM-11", "ACK-08")
def priority_of_what_came_back(rabbit: Rabbit) -> None:
    """What came back goes before all others, whatever their priority."""
    yard = Yard(rabbit)
    queue = yard.queue(delivery_limit=10)
    yard.publish(queue, b"low", priority=1)
    content = yard.get(queue)
    yard.publish(queue, b"high", priority=9)
    yard.reject(content)
    yard.expect_rest(queue, (b"low", True), (b"high", False))


@case("QUORUM-14", "QUEUE-PURGE-01", "QUEUE-DELETE-01")
def purge_and_delete_count_ready_messages(rabbit: Rabbit) -> None:
    """Purging and deleting tell how many messages were ready."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, b"0", b"1", b"2", b"3")
    yard.get(queue)
    equal(fields(yard.channel.call(amqp.QueuePurge(queue=queue))).message_count, 3)
    yard.publish(queue, b"4", b"5")
    yard.channel.expect_ready(queue, 2)
    equal(fields(yard.channel.call(amqp.QueueDelete(queue=queue))).message_count, 2)


@case("QUEUE-DELETE-07")
def deleting_on_conditions(rabbit: Rabbit) -> None:
    """A quorum queue cannot be deleted on the condition that it is unused or empty."""
    for conditions, name in (
        ({"if_empty": True}, "if-empty"),
        ({"if_unused": True}, "if-unused"),
        ({"if_unused": True, "if_empty": True}, "if-unused"),
    ):
        yard = Yard(rabbit)
        queue = yard.queue()
        yard.channel.send(amqp.QueueDelete(queue=queue, **conditions))
        text = f"cannot delete queue '{queue}' in vhost '{rabbit.vhost}'. queue.delete operations with {name} flag set"
        yard.connection.expect_close(540, f"{text} are not supported by quorum queues", (50, 40))


@case("QUORUM-16", "RESTART-09")
def all_messages_survive_a_restart(rabbit: Rabbit) -> None:
    """A restart leaves a quorum queue all its messages, persistent or not; what was outstanding has failed."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, b"0", delivery_mode=1)
    yard.publish(queue, b"1", delivery_mode=2)
    yard.publish(queue, b"2")
    yard.get(queue)
    rabbit.restart()
    yard = Yard(rabbit)
    yard.channel.expect_ready(queue, 3)
    first = yard.get(queue)
    equal((first.body, bool(fields(first).redelivered)), (b"0", True))
    expect_counts(rabbit, first, failed=1)
    yard.expect_rest(queue, (b"1", False), (b"2", False))


@case("QUORUM-15", "CONSUME-19")
def consumer_of_a_queue_that_is_deleted(rabbit: Rabbit) -> None:
    """A consumer is told by basic.cancel that its quorum queue was deleted."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.channel.call(amqp.BasicConsume(queue=queue, consumer_tag="c"))
    rabbit.raw().channel().call(amqp.QueueDelete(queue=queue))
    equal(yard.channel.expect(amqp.BasicCancel), amqp.BasicCancel("c", nowait=True))


@case("QUORUM-04", "QUORUM-03", profiles=["4.3"])
def delayed_retries(rabbit: Rabbit) -> None:
    """In 4.x what comes back may have to wait, those that failed, those handed back, or all; each time that it failed
    makes it longer. It is not ready meanwhile, and a purge takes it too.
    """
    yard = Yard(rabbit)
    for kind, failed_waits, returned_waits in (("failed", True, False), ("returned", False, True), ("all", True, True)):
        for way, waits in ((yard.reject, failed_waits), (yard.nack, returned_waits)):
            queue = yard.queue(delayed_retry_type=kind, delayed_retry_min=400, delayed_retry_max=4000)
            yard.publish(queue)
            way(yard.get(queue))
            if waits:
                equal(yard.channel.get(queue), None, f"{kind}: it is ready at once")
                rabbit.allow(1)
                rabbit.advance(0.5)
            equal(yard.get(queue).body, b"x")
    queue = yard.queue(delayed_retry_type="failed", delayed_retry_min=400, delayed_retry_max=500)
    yard.publish(queue)
    yard.reject(yard.get(queue))
    equal(yard.channel.get(queue), None)
    equal(fields(yard.channel.call(amqp.QueuePurge(queue=queue))).message_count, 1)
    for other in ({"delayed_retry_type": "bogus", "delayed_retry_min": 400}, {"delayed_retry_type": "all"}):
        queue = yard.queue(**other)
        yard.publish(queue)
        yard.reject(yard.get(queue))
        yard.get(queue)

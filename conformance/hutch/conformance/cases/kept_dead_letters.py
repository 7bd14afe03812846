"""Dead letters that a quorum queue keeps until others have taken them (DLX-27)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.quorum import Yard, offer
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import delivery_tag, fields
from hutch.wire import methods as amqp

_REJECTING: dict[str, Any] = {"overflow": "reject-publish", "max_length": 3}
_KEEPING: dict[str, Any] = {"dead_letter_strategy": "at-least-once", **_REJECTING}


def _expect_kept(yard: Yard, queue: str, count: int) -> None:
    """An empty queue of :data:`_REJECTING` must come to keep so many dead letters: it takes the fewer messages."""

    def is_kept() -> bool:
        publisher, taken = yard.another_publisher(), 0
        while offer(publisher, queue):
            taken += 1
        for _ in range(taken):
            yard.get(queue, no_ack=True)
        return taken == 4 - count

    yard.rabbit.eventually(is_kept, f"{queue!r} does not keep {count} dead letters")


def _let_die(yard: Yard, queue: str) -> None:
    yard.publish(queue)
    yard.reject(yard.get(queue), requeue=False)


@case("DLX-27", "QUORUM-14")
def dead_letters_that_nobody_takes(rabbit: Rabbit) -> None:
    """With at-least-once, a dead letter stays and counts towards the limit while no queue takes it, in 4.x until a
    purge. With at-most-once it is gone.
    """
    yard = Yard(rabbit)
    missing = rabbit.name()
    full = yard.queue(kind="classic", max_length=0, overflow="reject-publish")
    for strategy, kept in (("at-least-once", 1), ("at-most-once", 0)):
        for target in (missing, full):
            queue = yard.queue(target, dead_letter_strategy=strategy, overflow="reject-publish", max_length=1)
            yard.publish(queue)
            yard.reject(yard.get(queue), requeue=False)
            equal(yard.channel.get(queue), None)
            yard.publish(queue)
            equal(yard.offer(queue), not kept, f"room for another message, {strategy}")
            yard.channel.expect_ready(queue, 2 - kept)
            purged = 2 - kept if rabbit.profile == "3.10" else 2
            equal(fields(yard.channel.call(amqp.QueuePurge(queue=queue))).message_count, purged)


@case("DLX-27", "QUORUM-13")
def publisher_that_is_told_of_kept_dead_letters(rabbit: Rabbit) -> None:
    """A queue rejects publishes as soon as it keeps too many dead letters that no queue takes."""
    yard = Yard(rabbit)
    queue = yard.queue(rabbit.name(), **{**_KEEPING, "max_length": 1})
    channel = yard.another_publisher()
    equal([offer(channel, queue) for _ in range(2)], [True, True])
    for content in (channel.got(queue), channel.got(queue)):
        channel.send(amqp.BasicReject(delivery_tag(content), requeue=False))
    equal(channel.get(queue), None)
    equal(offer(channel, queue), False)


@case("DLX-27", "DLX-13")
def dead_letters_to_the_queue_itself(rabbit: Rabbit) -> None:
    """A queue may take its own dead letters. In 3.x it does not learn that it took them, and keeps them as well."""
    yard = Yard(rabbit)
    queue = yard.queue(**_KEEPING, dead_letter_exchange="")
    _let_die(yard, queue)
    equal(fields(yard.get(queue, no_ack=True)).routing_key, queue)
    _expect_kept(yard, queue, rabbit.by_profile({"3.10": 1, "4.3": 0}))


@case("DLX-27", "QUORUM-13")
def dead_letters_to_the_queue_itself_that_is_full(rabbit: Rabbit) -> None:
    """A queue that is full refuses its own first dead letter. In 3.x, a queue that has taken one before takes the next
    ones, full or not.
    """
    yard = Yard(rabbit)
    limits = {**_KEEPING, "max_length": 1}
    queue = yard.queue(**limits, dead_letter_exchange="")
    yard.publish(queue, expiration="1")
    rabbit.advance(0.1)  # a message that expires back into its own queue is not routed, and the queue keeps it
    _let_die(yard, queue)
    equal(yard.channel.get(queue), None)
    if rabbit.profile == "3.10":
        queue = yard.queue(**limits, dead_letter_exchange="")
        _let_die(yard, queue)
        for _ in range(3):
            yard.reject(yard.get(queue), requeue=False)
        equal(offer(yard.another_publisher(), queue), False)
        yard.get(queue)


@case("DLX-27", "QUORUM-13")
def dead_letter_that_fills_its_own_queue(rabbit: Rabbit) -> None:
    """A queue that has taken a dead letter of its own before takes the one that makes it full, because it learns later
    that it is full.
    """
    yard = Yard(rabbit)
    queue = yard.queue(
        dead_letter_exchange="",
        dead_letter_strategy="at-least-once",
        overflow="reject-publish",
        max_length_bytes=50,
    )
    _let_die(yard, queue)
    yard.get(queue, no_ack=True)
    large = b"large" * 20
    yard.publish(queue, large)
    yard.reject(yard.get(queue), requeue=False)
    equal(yard.get(queue).body, large)


@case("DLX-27", "POLICY-04")
def policies_have_dead_letters_tried_again(rabbit: Rabbit) -> None:
    """When another policy applies to the queue, dead letters that found no queue are published once more, as the new
    policy says.
    """
    yard = Yard(rabbit)
    dead, exchange = yard.queue(kind="classic"), rabbit.name()
    queue = yard.queue(**_KEEPING, dead_letter_exchange=exchange)
    _let_die(yard, queue)
    _expect_kept(yard, queue, 1)
    yard.channel.call(amqp.ExchangeDeclare(exchange=exchange))
    yard.channel.call(amqp.QueueBind(queue=dead, exchange=exchange, routing_key=queue))
    rabbit.admin.set_policy("any", f"^{queue}$", {"message-ttl": 3600000})
    found = fields(yard.get(dead, no_ack=True))
    equal((found.exchange, found.routing_key), (exchange, queue))
    yard.channel.call(amqp.QueueUnbind(queue=dead, exchange=exchange, routing_key=queue))
    yard.channel.call(amqp.QueueBind(queue=dead, exchange=exchange, routing_key="key"))
    _let_die(yard, queue)
    _expect_kept(yard, queue, 1)
    rabbit.admin.set_policy("any", f"^{queue}$", {"dead-letter-routing-key": "key"})
    found = fields(yard.get(dead, no_ack=True))
    equal((found.exchange, found.routing_key), (exchange, "key"))
    _expect_kept(yard, queue, 0)


@case("DLX-27", "POLICY-04")
def dead_letters_are_gone_with_the_strategy(rabbit: Rabbit) -> None:
    """A policy may make a queue keep dead letters. When the policy is deleted, they are gone."""
    yard = Yard(rabbit)
    queue = yard.queue(rabbit.name(), **_REJECTING)
    rabbit.admin.set_policy("keep", f"^{queue}$", {"dead-letter-strategy": "at-least-once"})
    _let_die(yard, queue)
    _expect_kept(yard, queue, 1)
    rabbit.admin.delete_policy("keep")
    _expect_kept(yard, queue, 0)

"""What a quorum queue holds, for how long, and what becomes of what dies in it (QUORUM, DLX, TTL, QUEUE-EXPIRES)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table, true
from hutch.conformance.quorum import Yard, counts, expect_counts, offer
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldValue, Int64, type_name

_BYTES_OF_A_HEADER = 13  # the property flags, and the headers {"k": 1}


@case("QUORUM-13", "CONFIRM-10")
def publisher_that_is_told_of_a_full_queue(rabbit: Rabbit) -> None:
    """With reject-publish a queue takes one message more than its limit; then it has told its publishers, and takes
    none until it has room for a fifth of its limit.
    """
    yard = Yard(rabbit)
    queue = yard.queue(max_length=10, overflow="reject-publish")
    yard.publish(queue, *[b"%d" % number for number in range(11)])
    equal([yard.offer(queue) for _ in range(2)], [False, False])
    equal(offer(yard.another_publisher(), queue), False, "another publisher is told at once")
    for left in (10, 9):
        yard.channel.call(amqp.BasicGet(queue=queue, no_ack=True))
        yard.channel.expect_ready(queue, left)
        equal(yard.offer(queue), False, f"with {left} messages")
    equal(offer(yard.another_publisher(), queue), True, "a new publisher was not told that the queue was full")
    yard.channel.call(amqp.BasicGet(queue=queue, no_ack=True))
    yard.channel.call(amqp.BasicGet(queue=queue, no_ack=True))
    yard.channel.expect_ready(queue, 8)
    rabbit.eventually(lambda: yard.offer(queue), "the queue does not tell that it has room")


@case("QUORUM-13")
def limit_of_one_message(rabbit: Rabbit) -> None:
    """A queue whose limit is one message takes two; what is outstanding does not count."""
    yard = Yard(rabbit)
    queue = yard.queue(max_length=1, overflow="reject-publish")
    equal([yard.offer(queue) for _ in range(4)], [True, True, False, False])
    yard.take(queue, 2)
    rabbit.eventually(lambda: yard.offer(queue), "the queue does not tell that it has room")


@case("QUORUM-13")
def room_in_a_queue_of_three(rabbit: Rabbit) -> None:
    """Four fifths of the limit are rounded down: a queue of three that was full takes messages again with two."""
    yard = Yard(rabbit)
    queue = yard.queue(max_length=3, overflow="reject-publish")
    yard.publish(queue, b"0", b"1", b"2", b"3")
    equal([yard.offer(queue) for _ in range(2)], [False, False])
    yard.get(queue, no_ack=True)
    yard.channel.expect_ready(queue, 3)
    equal(yard.offer(queue), False, "with three messages")
    yard.get(queue, no_ack=True)
    rabbit.eventually(lambda: yard.offer(queue), "the queue does not tell that it has room")


@case("QUORUM-12")
def first_message_of_a_channel(rabbit: Rabbit) -> None:
    """A channel's first message to a quorum queue arrives behind the dead letter that another queue makes of the same
    message. Later ones arrive ahead of it.
    """
    yard = Yard(rabbit)
    queue = yard.queue()
    both = rabbit.name("x")
    yard.channel.call(amqp.ExchangeDeclare(exchange=both, type="fanout"))
    for each in (queue, yard.queue(queue, kind="classic", message_ttl=0)):
        yard.channel.call(amqp.QueueBind(queue=each, exchange=both))
    for wanted in ((True, False), (False, True)):
        yard.channel.publish(b"x", exchange=both)
        yard.channel.expect_ready(queue, 2)
        found = [yard.get(queue, no_ack=True) for _ in wanted]
        headers = [properties_of(content).get("headers") for content in found]
        equal(tuple("x-death" in str(each) for each in headers), wanted, "which of the two is a dead letter")


@case("QUORUM-12", "QUEUE-ARG-12")
def head_is_dropped(rabbit: Rabbit) -> None:
    """Too many messages, or bytes, drop the head; reject-publish-dlx does so too, quorum queues do not have it."""
    limits: tuple[dict[str, Any], ...] = (
        {"max_length": 2},
        {"max_length": 2, "overflow": "drop-head"},
        {"max_length": 2, "overflow": "reject-publish-dlx"},
        {"max_length_bytes": 2 if rabbit.profile == "3.10" else 6},
    )
    for limit in limits:
        yard = Yard(rabbit)
        dead = yard.queue(kind="classic")
        queue = yard.queue(dead, **limit)
        yard.publish(queue, b"1", b"2", b"3")
        yard.expect_rest(queue, (b"2", False), (b"3", False))
        yard.expect_rest(dead, (b"1", False))


@case("QUORUM-12", "QUORUM-11")
def size_of_a_message(rabbit: Rabbit) -> None:
    """Towards x-max-length-bytes 3.x counts bodies alone, 4.x the properties as they are sent too."""
    yard = Yard(rabbit)
    for size, fits in ((20 - _BYTES_OF_A_HEADER, True), (20 - _BYTES_OF_A_HEADER + 1, rabbit.profile == "3.10")):
        queue = yard.queue(max_length_bytes=20)
        yard.publish(queue, b"x" * size, headers={"k": 1})
        yard.channel.expect_ready(queue, int(fits))
    queue = yard.queue(max_length_bytes=20)
    yard.publish(queue, b"x" * 21)
    yard.channel.expect_ready(queue, 0)


@case("QUORUM-12", "DLX-25")
def size_of_a_dead_letter(rabbit: Rabbit) -> None:
    """Towards x-max-length-bytes the headers that tell of its deaths do not count; the expiration that it had does."""
    yard = Yard(rabbit)
    left = 20 - _BYTES_OF_A_HEADER - len("\x0550000")
    for size, fits in ((left, True), (left + 1, rabbit.profile == "3.10")):
        dead = yard.queue(max_length_bytes=20)
        queue = yard.queue(dead, kind="classic", message_ttl=60000)
        yard.publish(queue, b"x" * size, headers={"k": 1}, expiration="50000")
        yard.nack(yard.get(queue), requeue=False)
        yard.channel.expect_ready(queue, 0)
        yard.channel.expect_ready(dead, int(fits))


@case("QUORUM-12", "QUORUM-11")
def which_message_is_the_head(rabbit: Rabbit) -> None:
    """Dropped is what would be delivered next: what came back, in 4.x then what has the highest priority."""
    yard = Yard(rabbit)
    queue = yard.queue(max_length=2)
    for priority in (1, 9, None, 5):
        yard.publish(queue, b"%d" % (priority or 0), **({} if priority is None else {"priority": priority}))
    rest = [b"0", b"5"] if rabbit.profile == "3.10" else [b"0", b"1"]
    yard.expect_rest(queue, *((body, False) for body in rest))
    queue = yard.queue(max_length=2, delivery_limit=5)
    yard.publish(queue, b"1")
    content = yard.get(queue)
    yard.publish(queue, b"2", b"3")
    yard.reject(content)
    rabbit.eventually(lambda: yard.channel.ready(queue) == 2, "two messages stay")
    yard.expect_rest(queue, (b"2", False), (b"3", False))


def _deaths(content: Content) -> dict[str, FieldValue]:
    """A dead letter's headers, the times of its deaths and the counts of a quorum queue taken out."""
    headers: Any = properties_of(content)["headers"]
    deaths = [{key: value for key, value in death.items() if key != "time"} for death in headers["x-death"]]
    equal([type_name(death["time"]) for death in headers["x-death"]], ["timestamp"] * len(deaths))
    rest = {name: value for name, value in headers.items() if name not in counts(content)}
    return {**rest, "x-death": deaths}


def _expect_death(rabbit: Rabbit, content: Content, queue: str, reason: str, **more: FieldValue) -> None:
    death: dict[str, FieldValue] = {
        "count": Int64(1),
        "reason": reason,
        "queue": queue,
        "exchange": "",
        "routing-keys": [queue],
        **more,
    }
    wanted: dict[str, FieldValue] = {"x-death": [death]}
    for key in ("reason", "queue", "exchange"):
        for place in ("first",) if rabbit.profile == "3.10" else ("first", "last"):
            wanted[f"x-{place}-death-{key}"] = death[key]
    same_table(_deaths(content), wanted)


@case("QUORUM-12", "DLX-01", "DLX-02", "QUORUM-05")
def headers_of_dead_letters(rabbit: Rabbit) -> None:
    """Dead letters of a quorum queue tell what those of a classic one do; in 4.x failed deliveries still count."""
    yard = Yard(rabbit)
    for kind in ("classic", "quorum"):
        dead = yard.queue(kind=kind)
        ways: tuple[tuple[str, dict[str, Any], int], ...] = (
            ("rejected", {}, 1),
            ("handed back", {}, 0),
            ("delivery_limit", {"delivery_limit": 0}, 1),
            ("expired", {"message_ttl": 100}, 0),
            ("maxlen", {"max_length": 0}, 0),
        )
        for reason, arguments, failed in ways:
            queue = yard.queue(dead, **arguments)
            yard.publish(queue)
            if reason == "expired":
                rabbit.advance(0.2)
            elif reason in {"rejected", "delivery_limit"}:
                yard.reject(yard.get(queue), requeue=reason == "delivery_limit")
            elif reason == "handed back":
                yard.nack(yard.get(queue), requeue=False)
            content = yard.get(dead)
            _expect_death(rabbit, content, queue, "rejected" if reason == "handed back" else reason)
            kept = 0 if rabbit.profile == "3.10" else failed
            equal(bool(fields(content).redelivered), kept > 0, f"redelivered, {reason}")
            if kind == "quorum":
                expect_counts(rabbit, content, failed=kept)
                yard.reject(content)
                expect_counts(rabbit, yard.get(dead), failed=kept + 1, acquired=1)


@case("DLX-03", "QUORUM-02", "DLX-12")
def failed_deliveries_of_a_dead_letter(rabbit: Rabbit) -> None:
    """In 4.x a message's failed deliveries count on through all its deaths, in classic queues too."""
    yard = Yard(rabbit)
    last = yard.queue()
    middle = yard.queue(last, kind="classic", message_ttl=300)
    first = yard.queue(middle, kind="classic")
    yard.publish(first)
    yard.reject(yard.get(first))
    content = yard.get(first)
    yard.nack(content, requeue=False)
    rabbit.allow(1)
    rabbit.advance(0.5)
    content = yard.get(last)
    kept = 0 if rabbit.profile == "3.10" else 1
    equal(bool(fields(content).redelivered), kept > 0)
    expect_counts(rabbit, content, failed=kept)


@case("QUORUM-12", "QUORUM-04", profiles=["4.3"])
def limits_and_delayed_retries(rabbit: Rabbit) -> None:
    """In 4.x a message that waits for its retry counts towards its queue's limits, and is not dropped."""
    yard = Yard(rabbit)
    limits: tuple[dict[str, Any], ...] = ({"max_length": 2}, {"max_length_bytes": 1500})
    for limit in limits:
        queue = yard.queue(delayed_retry_type="all", delayed_retry_min=60000, **limit)
        yard.publish(queue, bytes(600))
        yard.reject(yard.get(queue))
        yard.channel.expect_ready(queue, 0)
        yard.publish(queue, bytes(600), bytes(600), bytes(600))
        yard.channel.expect_ready(queue, 1)
        equal(fields(yard.channel.call(amqp.QueuePurge(queue=queue))).message_count, 2)


@case("QUORUM-12", "TTL-02", "DLX-10")
def expiration_in_a_quorum_queue(rabbit: Rabbit) -> None:
    """A message expires by the smaller of its own and its queue's time to live, the head alone in 3.x and 4.x alike."""
    yard = Yard(rabbit)
    dead = yard.queue(kind="classic")
    queue = yard.queue(dead, message_ttl=60000)
    yard.publish(queue, b"stays")
    yard.publish(queue, b"behind", expiration="100")
    rabbit.advance(0.3)
    equal(yard.channel.get(dead), None)
    yard.get(queue, no_ack=True)
    content = yard.get(dead)
    equal(content.body, b"behind")
    _expect_death(rabbit, content, queue, "expired", **{"original-expiration": "100"})


@case("QUORUM-12", "GET-01")
def expired_messages_behind_one_that_is_fetched(rabbit: Rabbit) -> None:
    """What has expired behind the message of basic.get-ok counts there, unless that is acknowledged at once."""
    yard = Yard(rabbit)
    for no_ack in (False, True):
        queue = yard.queue()
        yard.publish(queue, b"first")
        yard.publish(queue, b"behind", expiration="100")
        rabbit.advance(0.3)
        content = yard.channel.got(queue, no_ack=no_ack)
        equal(fields(content).message_count, 0 if no_ack else 1, "message_count")
        yard.channel.expect_ready(queue, 0)


@case("QUORUM-11", "QUORUM-12")
def expiration_behind_a_message_of_higher_priority(rabbit: Rabbit) -> None:
    """In 4.x a message expires at the head of its priority, though messages of higher ones stand before it."""
    yard = Yard(rabbit)
    queue = yard.queue()
    yard.publish(queue, b"high", priority=9)
    yard.publish(queue, b"low", priority=1, expiration="100")
    rabbit.advance(0.3)
    yard.channel.expect_ready(queue, 2 if rabbit.profile == "3.10" else 1)


@case("QUORUM-11", "QUORUM-12", "ACK-08")
def expiration_behind_a_message_that_came_back(rabbit: Rabbit) -> None:
    """In 4.x a message expires behind one that came back; in 3.x it waits until that is gone."""
    yard = Yard(rabbit)
    queue = yard.queue(delivery_limit=5)
    yard.publish(queue, b"back")
    content = yard.get(queue)
    yard.publish(queue, b"expires", expiration="1000")
    yard.channel.expect_ready(queue, 1)
    yard.reject(content)
    rabbit.advance(1.2)
    yard.channel.expect_ready(queue, 2 if rabbit.profile == "3.10" else 1)
    equal([yard.get(queue, no_ack=True).body, yard.channel.get(queue)], [b"back", None])


@case("DLX-27", "DLX-01")
def dead_lettering_at_least_once(rabbit: Rabbit) -> None:
    """With the strategy at-least-once dead letters have the same headers."""
    yard = Yard(rabbit)
    dead = yard.queue(kind="classic")
    queue = yard.queue(dead, dead_letter_strategy="at-least-once", overflow="reject-publish", delivery_limit=0)
    yard.publish(queue, b"rejected")
    yard.reject(yard.get(queue), requeue=False)
    _expect_death(rabbit, yard.get(dead), queue, "rejected")
    yard.publish(queue, b"limit")
    yard.reject(yard.get(queue))
    _expect_death(rabbit, yard.get(dead), queue, "delivery_limit")
    yard.publish(queue, b"expired", expiration="50")
    rabbit.advance(0.2)
    _expect_death(rabbit, yard.get(dead), queue, "expired", **{"original-expiration": "50"})


@case("QUORUM-09", "POLICY-02")
def delivery_limit_by_policy(rabbit: Rabbit) -> None:
    """A policy may limit the deliveries of a quorum queue."""
    yard = Yard(rabbit)
    queue = yard.queue()
    rabbit.admin.set_policy("limit", f"^{queue}$", {"delivery-limit": 1})
    yard.publish(queue)
    for _ in range(2):
        yard.reject(yard.get(queue))
    yard.channel.expect_ready(queue, 0)
    true(yard.channel.get(queue) is None, "it is delivered a third time")


@case("QUEUE-EXPIRES-01", "QUEUE-EXPIRES-03")
def lease_of_a_quorum_queue(rabbit: Rabbit) -> None:
    """A quorum queue looks every five seconds whether x-expires is over; what declares it again does not prolong that,
    and getting from it does.
    """
    yard = Yard(rabbit)
    queue, used = yard.queue(expires=4000), yard.queue(expires=4000)
    rabbit.advance(3)
    yard.channel.call(amqp.QueueDeclare(queue=queue, passive=True))
    yard.channel.get(used)
    rabbit.advance(1.5)
    probe = yard.connection.channel(3)
    probe.call(amqp.QueueDeclare(queue=queue, passive=True))
    rabbit.allow(3)
    rabbit.advance(1)
    rabbit.eventually(lambda: not rabbit.has_queue(queue), "the queue does not expire")
    true(rabbit.has_queue(used), "the queue expires although it was used")


@case("QUORUM-13", "DLX-20", "POLICY-04")
def several_messages_that_are_too_much_at_once(rabbit: Rabbit) -> None:
    """Where one large message, or a smaller limit, has a quorum queue drop several, they are dead-lettered oldest
    first; by 3.x newest first.
    """
    yard = Yard(rabbit)
    channel, dead = yard.channel, rabbit.name()
    channel.call(amqp.QueueDeclare(queue=dead))
    to_dead = {"dead_letter_exchange": "", "dead_letter_routing_key": dead}
    large = yard.queue(max_length_bytes=20, **to_dead)
    yard.publish(large, b"1", b"2", b"3" + b"." * 29)
    by_policy = yard.queue(**to_dead)
    for queue, policy in ((large, None), (by_policy, {"max-length": 1})):
        if policy is not None:
            yard.publish(queue, b"1", b"2", b"3", b"4")
            rabbit.admin.set_policy("p", f"^{queue}$", policy)
        channel.expect_ready(dead, 3)
        order = [channel.got(dead, no_ack=True).body[:1] for _ in range(3)]
        equal(order, rabbit.by_profile({"3.10": [b"3", b"2", b"1"], "4.3": [b"1", b"2", b"3"]}))

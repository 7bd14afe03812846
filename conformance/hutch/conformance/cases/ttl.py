"""Messages that expire (TTL)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit, body, delivered


@case("TTL-01")
def expired_messages_behind_a_live_one(rabbit: Rabbit) -> None:
    """A message with an expiration is removed when it comes to the head of its queue; until then it is counted."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"live", routing_key=queue)
    rabbit.publish(channel, b"short", routing_key=queue, expiration="100")
    rabbit.publish(channel, b"after", routing_key=queue)
    rabbit.advance(0.25)
    rabbit.expect_ready(channel, queue, 3)
    equal(body(rabbit.get(channel, queue)), b"live")
    rabbit.expect_ready(channel, queue, 1)
    equal(rabbit.bodies(channel, queue), [b"after"])


@case("TTL-01", "TTL-02")
def expired_messages_at_the_head(rabbit: Rabbit) -> None:
    """A message at the head of its queue goes when its time is over, nobody asking for it."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for payload in (b"one", b"two"):
        rabbit.publish(channel, payload, routing_key=queue, expiration="1000")
    rabbit.expect_ready(channel, queue, 2)
    rabbit.advance(1.1)
    rabbit.expect_ready(channel, queue, 0)
    equal(channel.basic_get(queue), None)


@case("TTL-02")
def the_shorter_time_counts(rabbit: Rabbit) -> None:
    """Where queue and message both have a time to live, the shorter one counts."""
    channel = rabbit.channel()
    short = rabbit.queue(channel, arguments={"x-message-ttl": 200})
    long = rabbit.queue(channel, arguments={"x-message-ttl": 60000})
    for queue, expiration in ((short, "60000"), (short, None), (long, "200"), (long, None)):
        properties = {} if expiration is None else {"expiration": expiration}
        rabbit.publish(channel, (expiration or "none").encode(), routing_key=queue, **properties)
    rabbit.advance(0.3)
    rabbit.expect_ready(channel, short, 0)
    rabbit.expect_ready(channel, long, 1)
    equal((rabbit.bodies(channel, short), rabbit.bodies(channel, long)), ([], [b"none"]))


@case("TTL-03")
def no_time_to_live(rabbit: Rabbit) -> None:
    """A message with a time to live of 0 is delivered if a consumer waits for it, and else dropped."""
    channel = rabbit.channel()
    plain, short = rabbit.queue(channel), rabbit.queue(channel, arguments={"x-message-ttl": 0})
    for queue, properties in ((plain, {"expiration": "0"}), (short, {})):
        rabbit.publish(channel, b"lost", routing_key=queue, **properties)
        equal(channel.basic_get(queue), None)
        consumer = rabbit.consume(channel, queue, no_ack=True)
        rabbit.publish(channel, b"in time", routing_key=queue, **properties)
        equal(body(consumer.one()), b"in time")


@case("TTL-05")
def unacknowledged_messages_do_not_expire(rabbit: Rabbit) -> None:
    """A message that was delivered does not expire; if it is requeued after its time it goes at once."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, arguments={"x-message-ttl": 1000})
    for payload in (b"one", b"two"):
        rabbit.publish(channel, payload, routing_key=queue)
    rabbit.get(channel, queue)
    rabbit.get(channel, queue)
    rabbit.advance(1.1)
    channel.basic_ack(1)
    channel.basic_reject(2, requeue=True)
    rabbit.expect_ready(channel, queue, 0)
    equal(channel.basic_get(queue), None)


@case("TTL-05", "TTL-02")
def requeueing_does_not_prolong(rabbit: Rabbit) -> None:
    """A requeued message keeps the end of its time."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, arguments={"x-message-ttl": 1200})
    rabbit.publish(channel, b"x", routing_key=queue)
    rabbit.get(channel, queue)
    rabbit.advance(0.5)
    channel.basic_reject(1, requeue=True)
    equal(delivered(rabbit.get(channel, queue)), (b"x", True))
    channel.basic_reject(2, requeue=True)
    rabbit.advance(0.8)
    rabbit.expect_ready(channel, queue, 0)

"""Policies for quorum queues and streams (POLICY, QUORUM-09)."""

from collections.abc import Mapping
from typing import Any

from hutch.client import Channel
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.quorum import Yard
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import fields
from hutch.wire.fields import FieldTable

#: Seconds that a live broker may take to apply a policy to existing queues.
_MOMENT = 0.6
_DEAD = {"dead-letter-exchange": ""}


def _set(rabbit: Rabbit, name: str, queue: str, definition: Mapping[str, Any]) -> None:
    """Have a policy for a queue, and let it hold."""
    rabbit.admin.set_policy(name, f"^{queue}$", definition)
    rabbit.advance(_MOMENT)


def _deliveries(yard: Yard, queue: str, dead: str, most: int = 24) -> int:
    """How often a message is delivered until it is dead-lettered, ``most`` if it is not by then."""
    yard.publish(queue)
    for number in range(most):
        content = yard.rabbit.eventually(lambda: yard.channel.get(queue) or yard.channel.get(dead), "no message")
        if fields(content).routing_key == dead:
            return number
        yard.reject(content)
    return most


@case("QUORUM-09", "POLICY-02", "POLICY-04")
def a_delivery_limit_by_a_policy(rabbit: Rabbit) -> None:
    """A policy may limit deliveries, of queues that are there too; the smaller one of that and an argument counts, and
    an operator policy's. A negative limit is none to 4.x.
    """
    yard = Yard(rabbit)
    dead = yard.queue(kind="classic")
    queue = yard.queue(dead)
    _set(rabbit, "p", queue, {"delivery-limit": 1})
    equal(_deliveries(yard, queue, dead), 2)
    rabbit.admin.set_operator_policy("o", f"^{queue}$", {"delivery-limit": 0})
    rabbit.advance(_MOMENT)
    equal(_deliveries(yard, queue, dead), 1)
    arguments: list[tuple[Any, int, int]] = [(5, 2, 2), (0, 1, 1), (-1, 1, 2), ("a", 2, 2)]
    for argument, of_3, of_4 in arguments:
        queue = yard.queue(dead, delivery_limit=argument)
        _set(rabbit, "p", queue, {"delivery-limit": 1})
        equal(_deliveries(yard, queue, dead), of_3 if rabbit.profile == "3.10" else of_4, f"argument {argument!r}")


@case("QUORUM-09", "QUORUM-07", profiles=["4.3"])
def no_delivery_limit_by_a_policy(rabbit: Rabbit) -> None:
    """To 4.x a negative limit of a policy is none, and leaves those that an argument or an operator policy sets; a
    second negative one is none too.
    """
    yard = Yard(rabbit)
    dead = yard.queue(kind="classic")
    queue, limited, operated = yard.queue(dead), yard.queue(dead, delivery_limit=1), yard.queue(dead)
    unlimited = yard.queue(dead, delivery_limit=-1)
    rabbit.admin.set_operator_policy("o", f"^{operated}$", {"delivery-limit": 2})
    rabbit.admin.set_policy("p", f"^({queue}|{limited}|{operated}|{unlimited})$", {"delivery-limit": -1})
    rabbit.advance(_MOMENT)
    equal([_deliveries(yard, each, dead) for each in (limited, operated, queue, unlimited)], [2, 3, 24, 24])
    rabbit.admin.set_operator_policy("o", f"^{unlimited}$", {"delivery-limit": -1})
    rabbit.advance(_MOMENT)
    equal(_deliveries(yard, unlimited, dead), 24)


@case("POLICY-04", "POLICY-02", "QUORUM-12")
def limits_of_quorum_queues_by_policies(rabbit: Rabbit) -> None:
    """A policy limits a quorum queue that is there, and dead-letters at once what is too much; the smaller limit and
    the shorter time count. Messages that are there keep their time.
    """
    yard = Yard(rabbit)
    dead = yard.queue(kind="classic")
    queue, limited = yard.queue(), yard.queue(max_length=2)
    for each in (queue, limited):
        yard.publish(each, b"0", b"1", b"2", b"3")
    rabbit.admin.set_policy("p", f"^({queue}|{limited})$", {**_DEAD, "max-length": 3, "dead-letter-routing-key": dead})
    yard.expect_rest(dead, (b"0", False))
    yard.expect_rest(limited, (b"2", False), (b"3", False))
    _set(rabbit, "p", queue, {"message-ttl": 300})
    yard.publish(queue, b"4")
    rabbit.advance(0.5)
    yard.channel.expect_ready(queue, 4)  # the last message has expired, but messages that have not are ahead of it
    equal([yard.get(queue).body for _ in range(3)], [b"1", b"2", b"3"])
    equal(yard.channel.get(queue), None)


@case("POLICY-02", "QUORUM-13")
def overflow_of_quorum_queues_by_policies(rabbit: Rabbit) -> None:
    """What a policy says of overflow counts before an argument with quorum queues; where publishes are rejected nothing
    that is there is dropped.
    """
    yard = Yard(rabbit)
    dropping, rejecting = yard.queue(overflow="drop-head"), yard.queue(overflow="reject-publish")
    yard.publish(dropping, b"0", b"1", b"2", b"3")
    _set(rabbit, "p", dropping, {"max-length": 2, "overflow": "reject-publish"})
    equal(yard.offer(dropping), False)
    yard.channel.expect_ready(dropping, 4)
    _set(rabbit, "p", rejecting, {"max-length": 2, "overflow": "drop-head"})
    yard.publish(rejecting, b"0", b"1", b"2", b"3")
    yard.expect_rest(rejecting, (b"2", False), (b"3", False))


@case("POLICY-01", "QUORUM-09")
def policies_with_settings_that_quorum_queues_have_not(rabbit: Rabbit) -> None:
    """A policy with a setting of other queue types does not hold for a quorum queue; its own settings it may have."""
    yard = Yard(rabbit)
    queue = yard.queue()
    rabbit.admin.set_policy("low", f"^{queue}$", {"max-length": 2}, priority=-1)
    foreign = {"queue-mode": "lazy", "max-age": "1h", "initial-cluster-size": 1}
    if rabbit.profile == "3.10":
        foreign |= {"ha-mode": "all", "queue-master-locator": "random"}
    for settings, kept in ((foreign, 2), ({"dead-letter-strategy": "at-most-once", "delivery-limit": 5}, 1)):
        for key, value in settings.items():
            _set(rabbit, "p", queue, {"max-length": 1, key: value})
            yard.publish(queue, b"0", b"1", b"2")
            yard.channel.expect_ready(queue, kept)


@case("POLICY-02", profiles=["4.3"])
def delayed_retries_by_policies(rabbit: Rabbit) -> None:
    """Whether there are delayed retries, an operator policy decides before a policy, and a policy before an argument.
    Of the least delays of a policy and an argument the smaller one counts.
    """
    yard = Yard(rabbit)
    queue = yard.queue(delayed_retry_type="all", delayed_retry_min=60000)
    _set(rabbit, "p", queue, {"delayed-retry-min": 1000})
    yard.publish(queue)
    yard.reject(yard.get(queue))
    yard.channel.expect_ready(queue, 0)
    rabbit.advance(1.2)
    yard.channel.expect_ready(queue, 1)
    for set_policy, kind in ((rabbit.admin.set_policy, "disabled"), (rabbit.admin.set_operator_policy, "all")):
        set_policy("p", f"^{queue}$", {"delayed-retry-type": kind, "delayed-retry-min": 60000})
        rabbit.advance(_MOMENT)
        yard.reject(yard.get(queue))
        yard.channel.expect_ready(queue, 1 if kind == "disabled" else 0)


@case("POLICY-04", "POLICY-02")
def a_stream_that_is_cut_by_a_policy(rabbit: Rabbit) -> None:
    """For a stream a policy counts before an argument, and drops old segments at once; but the size of the segments is
    settled when it is declared.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    stream: FieldTable = {"x-queue-type": "stream"}
    limited: FieldTable = {**stream, "x-stream-max-segment-size-bytes": 10000, "x-max-length-bytes": 60000}
    cut = rabbit.queue(channel, durable=True, arguments=limited)
    _fill(rabbit, channel, cut, 31)
    equal(_first_offset(rabbit, cut), 24)
    _set(rabbit, "p", cut, {"max-length-bytes": 20000})
    rabbit.advance(_MOMENT)
    equal(_first_offset(rabbit, cut), 36)
    _set(rabbit, "p", cut, {"max-length-bytes": 120000})
    rabbit.advance(_MOMENT)
    _fill(rabbit, channel, cut, 20)
    equal(_first_offset(rabbit, cut), 36)
    before = rabbit.queue(channel, durable=True, arguments=stream)
    _fill(rabbit, channel, before, 5)
    small = {"max-length-bytes": 20000, "stream-max-segment-size-bytes": 10000}
    _set(rabbit, "p", before, small)
    after = rabbit.name()
    _set(rabbit, "q", after, small)
    rabbit.advance(_MOMENT)
    rabbit.queue(channel, after, durable=True, arguments=stream)
    for queue, offset in ((before, 0), (after, 36)):
        _fill(rabbit, channel, queue, 31)
        equal(_first_offset(rabbit, queue), offset)


def _fill(rabbit: Rabbit, channel: Channel, queue: str, messages: int) -> None:
    """Publish so many messages, three of which fill a segment of 10000 bytes."""
    for _ in range(messages):
        rabbit.publish_confirmed(channel, bytes(4000), routing_key=queue)


def _first_offset(rabbit: Rabbit, stream: str) -> object:
    """The offset of the oldest message that there is in a stream."""
    channel = rabbit.channel()
    channel.basic_qos(0, 1, False)
    message = rabbit.consume(channel, stream, arguments={"x-stream-offset": "first"}).one()
    channel.close()
    return (message.headers or {})["x-stream-offset"]

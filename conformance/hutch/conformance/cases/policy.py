"""Policies and operator policies: which one holds, for what, and what it does to queues and exchanges (POLICY)."""

from collections.abc import Mapping
from typing import Any

from hutch.client import Channel, MessageNacked
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit, body, tag_of
from hutch.wire.fields import FieldTable

#: Seconds that a live broker may take to apply a policy to existing queues.
_MOMENT = 0.6


def _queue(rabbit: Rabbit, channel: Channel, arguments: FieldTable | None = None, messages: int = 0) -> str:
    """A durable queue with so many messages, ``0``, ``1`` ..., in it."""
    queue = rabbit.queue(channel, durable=True, arguments=dict(arguments or {}))
    _publish(rabbit, channel, queue, messages)
    return queue


def _publish(rabbit: Rabbit, channel: Channel, queue: str, messages: int) -> None:
    for number in range(messages):
        rabbit.publish_confirmed(channel, b"%d" % number, routing_key=queue)


def _set(rabbit: Rabbit, name: str, queue: str, definition: Mapping[str, Any], **kwargs: Any) -> None:
    """Have a policy for a queue, or for an exchange."""
    rabbit.admin.set_policy(name, f"^{queue}$", definition, **kwargs)


def _operate(rabbit: Rabbit, name: str, queue: str, definition: Mapping[str, Any], **kwargs: Any) -> None:
    """Have an operator policy for a queue."""
    rabbit.admin.set_operator_policy(name, f"^{queue}$", definition, **kwargs)


def _expect_kept(rabbit: Rabbit, channel: Channel, queue: str, count: int) -> None:
    """Of three more messages and those there are, a queue must keep so many: the newest ones."""
    rabbit.advance(_MOMENT)
    _publish(rabbit, channel, queue, 3)
    rabbit.expect_ready(channel, queue, count)


@case("POLICY-04", "POLICY-02")
def a_length_limit_for_a_queue_that_is_there(rabbit: Rabbit) -> None:
    """A policy that limits the length of a queue drops at once what is too much, publish or no publish; it can be
    changed and deleted.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, messages=6)
    _set(rabbit, "limit", queue, {"max-length": 4})
    rabbit.expect_ready(channel, queue, 4)
    _set(rabbit, "limit", queue, {"max-length-bytes": 2})
    rabbit.expect_ready(channel, queue, 2)
    rabbit.admin.delete_policy("limit")
    _expect_kept(rabbit, channel, queue, 5)
    equal(rabbit.bodies(channel, queue), [b"4", b"5", b"0", b"1", b"2"])


@case("POLICY-04", "DLX-20")
def what_a_new_limit_drops_is_dead_lettered(rabbit: Rabbit) -> None:
    """What a policy drops goes to the dead-letter exchange of the same policy; without the policy there is none."""
    channel = rabbit.channel()
    channel.confirm_select()
    dead, queue = _queue(rabbit, channel), _queue(rabbit, channel, messages=5)
    _set(rabbit, "p", queue, {"max-length": 2, "dead-letter-exchange": "", "dead-letter-routing-key": dead})
    rabbit.expect_ready(channel, dead, 3)
    equal(rabbit.bodies(channel, dead), [b"0", b"1", b"2"])
    rabbit.admin.delete_policy("p")
    rabbit.advance(_MOMENT)
    channel.basic_reject(tag_of(rabbit.get(channel, queue)), requeue=False)
    rabbit.expect_ready(channel, queue, 1)
    rabbit.expect_ready(channel, dead, 0)


@case("POLICY-01")
def the_policy_of_the_highest_priority(rabbit: Rabbit) -> None:
    """Of the policies that match, the one of the highest priority holds alone: what else others ask for does not
    count, until it is deleted.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel)
    _set(rabbit, "low", queue, {"max-length": 1}, priority=-1)
    _set(rabbit, "high", queue, {"max-length": 2}, priority=7)
    _set(rabbit, "default", queue, {"max-length": 3})
    _expect_kept(rabbit, channel, queue, 2)
    _set(rabbit, "high", queue, {"max-length-bytes": 1000}, priority=7)
    _expect_kept(rabbit, channel, queue, 5)
    _set(rabbit, "high", queue, {"max-length-bytes": 1000}, priority=-1.5)
    rabbit.expect_ready(channel, queue, 3)
    rabbit.admin.delete_policy("default")
    rabbit.expect_ready(channel, queue, 1)


@case("POLICY-01")
def patterns_are_searched_for(rabbit: Rabbit) -> None:
    """A pattern may match anywhere in a name; the empty one matches all names, those of the broker's making and of
    exclusive queues too.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    named = rabbit.queue(channel, rabbit.name("some.orders.x"), durable=True)
    other = rabbit.queue(channel, rabbit.name("some-orders-y"), durable=True)
    generated = rabbit.queue(channel, "")
    exclusive = rabbit.queue(channel, exclusive=True)
    rabbit.admin.set_policy("p", r"\.orders\.x", {"max-length": 1})
    rabbit.admin.set_policy("generated", r"^amq\.gen-", {"max-length": 2})
    _expect_kept(rabbit, channel, named, 1)
    _expect_kept(rabbit, channel, generated, 2)
    _expect_kept(rabbit, channel, other, 3)
    rabbit.admin.set_policy("all", "", {"max-length": 1}, priority=1)
    for queue in (named, other, generated, exclusive):
        _expect_kept(rabbit, channel, queue, 1)


@case("POLICY-01", "POLICY-11")
def what_a_policy_applies_to(rabbit: Rabbit) -> None:
    """A policy applies to queues, exchanges or both; in 4.x it may be for queues of one type."""
    channel = rabbit.channel()
    channel.confirm_select()
    targets = {"exchanges": 3, "queues": 1, "all": 1}
    if rabbit.profile == "4.3":
        targets |= {"classic_queues": 1, "quorum_queues": 3, "streams": 3}
    for target, kept in targets.items():
        queue = _queue(rabbit, channel)
        _set(rabbit, "p", queue, {"max-length": 1}, apply_to=target)
        _expect_kept(rabbit, channel, queue, kept)


@case("POLICY-01", "POLICY-04")
def queues_that_are_declared_later(rabbit: Rabbit) -> None:
    """A policy holds for what is declared after it was set; to declarations its settings are no arguments."""
    channel = rabbit.channel()
    channel.confirm_select()
    rabbit.admin.set_policy("p", "", {"max-length": 2})
    rabbit.advance(_MOMENT)
    queue = _queue(rabbit, channel, messages=5)
    rabbit.expect_ready(channel, queue, 2)
    rabbit.queue(channel, queue, durable=True)
    text = f"inequivalent arg 'x-max-length' for queue '{queue}' in vhost '{rabbit.vhost}': "
    rabbit.refused(
        lambda channel: channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-max-length": 2}),
        *(406, f"{text}received the value '2' of type 'signedint' but current is none", (50, 10)),
    )


@case("POLICY-01")
def a_policy_with_settings_of_another_queue_type(rabbit: Rabbit) -> None:
    """A policy with a setting that the queue's type does not have does not hold for it at all; another one may."""
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel)
    _set(rabbit, "low", queue, {"max-length": 2})
    foreign = {"delivery-limit": 5, "max-age": "1h", "dead-letter-strategy": "at-most-once", "initial-cluster-size": 1}
    for key, value in foreign.items():
        _set(rabbit, "high", queue, {"max-length": 1, key: value}, priority=1)
        _expect_kept(rabbit, channel, queue, 2)
    for key, value in {"alternate-exchange": "x", "queue-mode": "lazy", "queue-version": 2}.items():
        _set(rabbit, "high", queue, {"max-length": 1, key: value}, priority=1)
        _expect_kept(rabbit, channel, queue, 1)
        rabbit.admin.delete_policy("high")
        _expect_kept(rabbit, channel, queue, 2)


@case("POLICY-02")
def of_limits_the_smaller_one(rabbit: Rabbit) -> None:
    """Of a limit that an argument sets and a policy's, the smaller one counts."""
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, {"x-max-length": 2})
    _set(rabbit, "p", queue, {"max-length": 3})
    _expect_kept(rabbit, channel, queue, 2)
    _set(rabbit, "p", queue, {"max-length": 1})
    rabbit.expect_ready(channel, queue, 1)


@case("POLICY-02")
def dead_letter_arguments_win(rabbit: Rabbit) -> None:
    """A dead-letter exchange given by an argument counts before a policy's; the routing key may come from the
    other.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    mine, other = _queue(rabbit, channel), _queue(rabbit, channel)
    policy = {"dead-letter-exchange": "missing", "dead-letter-routing-key": other}
    for arguments, to in (
        ({"x-dead-letter-exchange": ""}, other),
        ({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": mine}, mine),
    ):
        queue = _queue(rabbit, channel, arguments, messages=1)
        _set(rabbit, "p", queue, policy)
        rabbit.advance(_MOMENT)
        channel.basic_reject(tag_of(rabbit.get(channel, queue)), requeue=False)
        equal(body(rabbit.get(channel, to, no_ack=True)), b"0")


@case("POLICY-02", "DLX-21")
def a_policy_for_overflow(rabbit: Rabbit) -> None:
    """A policy decides what a full queue does, unless an argument does. Where publishes are rejected nothing is dropped
    for a smaller limit; on the change from dropping to rejecting the limit of the same policy comes first.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, messages=6)
    _set(rabbit, "p", queue, {"max-length": 2, "overflow": "reject-publish"})
    rabbit.expect_ready(channel, queue, 2)
    equal(_is_accepted(rabbit, queue), False)
    _set(rabbit, "p", queue, {"max-length": 1, "overflow": "reject-publish"})
    rabbit.advance(_MOMENT)
    rabbit.expect_ready(channel, queue, 2)
    _set(rabbit, "p", queue, {"max-length": 1})
    rabbit.expect_ready(channel, queue, 1)
    equal(_is_accepted(rabbit, queue), True)
    rejecting = _queue(rabbit, channel, {"x-overflow": "reject-publish"}, messages=4)
    _set(rabbit, "p", rejecting, {"max-length": 2, "overflow": "drop-head"})
    rabbit.advance(_MOMENT)
    rabbit.expect_ready(channel, rejecting, 4)
    equal(_is_accepted(rabbit, rejecting), False)


def _is_accepted(rabbit: Rabbit, queue: str) -> bool:
    """Whether a message that is published is confirmed, not nacked."""
    channel = rabbit.channel()
    channel.confirm_select()
    try:
        rabbit.publish_confirmed(channel, routing_key=queue)
    except MessageNacked:
        return False
    return True


@case("POLICY-03")
def an_operator_policy(rabbit: Rabbit) -> None:
    """An operator policy holds beside a policy: of limits the smallest counts, be it the operator's, the policy's or
    the argument's, and what one of them does not set the other may.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, {"x-max-length": 5}, messages=6)
    _operate(rabbit, "o", queue, {"max-length": 4})
    rabbit.expect_ready(channel, queue, 4)
    _set(rabbit, "p", queue, {"max-length": 3})
    rabbit.expect_ready(channel, queue, 3)
    _operate(rabbit, "o", queue, {"max-length": 2})
    rabbit.expect_ready(channel, queue, 2)
    _operate(rabbit, "o", queue, {"max-length-bytes": 1})
    rabbit.expect_ready(channel, queue, 1)
    rabbit.admin.delete_operator_policy("o")
    _expect_kept(rabbit, channel, queue, 3)
    rabbit.admin.delete_policy("p")
    _expect_kept(rabbit, channel, queue, 5)


@case("POLICY-03", "POLICY-01")
def the_operator_policy_of_the_highest_priority(rabbit: Rabbit) -> None:
    """Among operator policies the priority decides as among policies, and not between the two."""
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, messages=6)
    _set(rabbit, "p", queue, {"max-length": 5}, priority=9)
    _operate(rabbit, "low", queue, {"max-length": 3})
    _operate(rabbit, "high", queue, {"max-length": 4}, priority=1)
    rabbit.expect_ready(channel, queue, 3)
    _expect_kept(rabbit, channel, queue, 4)


@case("POLICY-03", profiles=["4.3"])
def an_operator_decides_on_overflow(rabbit: Rabbit) -> None:
    """What an operator policy of 4.x says of overflow counts before a policy, and an argument before both."""
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, messages=2)
    _operate(rabbit, "o", queue, {"overflow": "reject-publish"})
    _set(rabbit, "p", queue, {"max-length": 2, "overflow": "drop-head"})
    rabbit.advance(_MOMENT)
    equal(_is_accepted(rabbit, queue), False)
    queue = _queue(rabbit, channel, {"x-max-length": 2, "x-overflow": "drop-head"}, messages=2)
    _operate(rabbit, "o", queue, {"overflow": "reject-publish"})
    rabbit.advance(_MOMENT)
    equal(_is_accepted(rabbit, queue), True)


@case("POLICY-03", "TTL-07")
def of_times_to_live_the_shorter_one(rabbit: Rabbit) -> None:
    """Of the times to live of arguments, a policy and an operator policy the shortest counts."""
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, {"x-message-ttl": 60000})
    short = _queue(rabbit, channel, {"x-message-ttl": 300})
    _set(rabbit, "p", queue, {"message-ttl": 50000})
    _set(rabbit, "q", short, {"message-ttl": 60000})
    _operate(rabbit, "o", queue, {"message-ttl": 200})
    rabbit.advance(_MOMENT)
    _publish(rabbit, channel, queue, 2)
    _publish(rabbit, channel, short, 2)
    rabbit.advance(0.4)
    rabbit.expect_ready(channel, queue, 0)
    rabbit.expect_ready(channel, short, 0)


@case("TTL-06")
def a_time_to_live_for_what_comes(rabbit: Rabbit) -> None:
    """A policy's time to live applies to messages that are published after it. They keep it when the policy is
    deleted.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    queue = _queue(rabbit, channel, messages=1)
    later = _queue(rabbit, channel)
    rabbit.admin.set_policy("p", f"^({queue}|{later})$", {"message-ttl": 1200})
    rabbit.advance(_MOMENT)
    _publish(rabbit, channel, later, 1)
    rabbit.admin.delete_policy("p")
    rabbit.advance(_MOMENT)
    rabbit.expect_ready(channel, later, 1)
    rabbit.advance(1.0)
    rabbit.expect_ready(channel, later, 0)
    rabbit.expect_ready(channel, queue, 1)


@case("POLICY-05")
def a_lease_by_a_policy(rabbit: Rabbit) -> None:
    """A policy with an expiry starts the lease of a queue that is there, if nobody consumes; without it the queue
    stays.
    """
    channel = rabbit.channel()
    queue, consumed = _queue(rabbit, channel), _queue(rabbit, channel)
    rabbit.consume(channel, consumed)
    rabbit.admin.set_policy("p", f"^({queue}|{consumed})$", {"expires": 600})
    rabbit.advance(1.5)
    equal((rabbit.has_queue(queue), rabbit.has_queue(consumed)), (False, True))
    kept = _queue(rabbit, channel)
    _set(rabbit, "q", kept, {"expires": 1500})
    rabbit.advance(_MOMENT)
    rabbit.admin.delete_policy("q")
    rabbit.advance(1.5)
    equal(rabbit.has_queue(kept), True)


@case("EXCH-AE-05")
def an_alternate_exchange_by_a_policy(rabbit: Rabbit) -> None:
    """A policy gives exchanges an alternate exchange, those that are predeclared too, unless an argument does or a
    policy of a higher priority asks for something else.
    """
    channel = rabbit.channel()
    alternate, other = rabbit.exchange(channel, "fanout"), rabbit.exchange(channel, "fanout")
    unroutable, elsewhere = rabbit.bound(channel, alternate), rabbit.bound(channel, other)
    exchange = rabbit.exchange(channel)
    arguing = rabbit.exchange(channel, arguments={"alternate-exchange": other})
    rabbit.admin.set_policy("p", f"^({exchange}|{arguing}|amq\\.topic)$", {"alternate-exchange": alternate})
    rabbit.advance(_MOMENT)
    for source, queue in ((exchange, unroutable), (arguing, elsewhere), ("amq.topic", unroutable)):
        rabbit.publish(channel, source.encode(), source, "nowhere")
        equal(body(rabbit.get(channel, queue, no_ack=True)), source.encode())
    rabbit.admin.set_policy("hiding", "", {"max-length": 5}, priority=1)
    rabbit.advance(_MOMENT)
    channel.confirm_select()
    rabbit.publish_confirmed(channel, b"lost", exchange, "nowhere")
    rabbit.expect_ready(channel, unroutable, 0)


@case("POLICY-14")
def policies_that_are_not_there(rabbit: Rabbit) -> None:
    """Deleting a policy that is not there is refused, an operator policy too; each kind has its own names."""
    admin = rabbit.admin
    admin.set_policy("p", "^none$", {"max-length": 1})
    admin.set_policy("p", "^none$", {"max-length": 2})
    admin.set_policy("q", "^none$", {"max-length": 2})
    admin.delete_policy("p")
    for delete, name in ((admin.delete_policy, "p"), (admin.delete_operator_policy, "q")):
        try:
            delete(name)
        except LookupError:
            continue
        raise AssertionError("a policy that is not there was deleted")


@case("POLICY-04", "TTL-03")
def a_policy_that_leaves_messages_no_time(rabbit: Rabbit) -> None:
    """What comes into a queue whose messages have no time to live is dropped at once, behind older messages too that
    live on; but where it would be dead-lettered it waits until it is at the head.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    dead = _queue(rabbit, channel)
    for policy, kept in (({}, 1), ({"dead-letter-exchange": "", "dead-letter-routing-key": dead}, 3)):
        queue = _queue(rabbit, channel, messages=1)
        _set(rabbit, "p", queue, {"message-ttl": 0, **policy})
        rabbit.advance(_MOMENT)
        _publish(rabbit, channel, queue, 2)
        rabbit.expect_ready(channel, queue, kept)
        rabbit.expect_ready(channel, dead, 0)
        equal(body(rabbit.get(channel, queue, no_ack=True)), b"0")
        rabbit.expect_ready(channel, queue, 0)
    equal(rabbit.bodies(channel, dead), [b"0", b"1"])


@case("POLICY-04", "TTL-01", "PRIO-01")
def a_policy_has_a_queue_look_at_its_head(rabbit: Rabbit) -> None:
    """A message that has overtaken others, and expired unnoticed, is removed when a policy changes anything for its
    queue.
    """
    channel = rabbit.channel()
    channel.confirm_select()
    arguments: FieldTable = {"x-max-priority": 1, "x-overflow": "reject-publish"}
    queue = _queue(rabbit, channel, arguments, messages=1)
    rabbit.publish_confirmed(channel, b"first", routing_key=queue, priority=1, expiration="0")
    rabbit.expect_ready(channel, queue, 2)
    _set(rabbit, "p", queue, {"dead-letter-routing-key": "x"})
    rabbit.expect_ready(channel, queue, 1)
    equal(rabbit.bodies(channel, queue), [b"0"])

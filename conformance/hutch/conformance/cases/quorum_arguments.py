"""Declaring quorum queues: what they must be, and the arguments that they have (QUEUE-ARG, QARG, QUEUE-DECLARE)."""

from collections.abc import Mapping
from typing import Any

from hutch.conformance.arguments import expect_accepted, expect_refused, matrix
from hutch.conformance.case import case
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue, Int64

_DECLARE = (50, 10)


def _quorum(arguments: Mapping[str, FieldValue]) -> FieldTable:
    return {"x-queue-type": "quorum", **arguments}


@case(
    "QUORUM-01",
    "QUEUE-ARG-03",
    "QUEUE-ARG-25",
    *matrix((219, 222)),
)
def properties_of_classic_queues(rabbit: Rabbit) -> None:
    """A quorum queue is durable, shared and not deleted with its consumers, and says which it is not in this order."""
    raw = rabbit.raw()
    refusals: list[tuple[dict[str, bool], str]] = [
        ({}, "non-durable"),
        ({"exclusive": True}, "exclusive-owner"),
        ({"exclusive": True, "durable": True}, "exclusive-owner"),
        ({"auto_delete": True}, "auto-delete"),
        ({"auto_delete": True, "durable": True}, "auto-delete"),
        ({"exclusive": True, "auto_delete": True}, "auto-delete"),
    ]
    for number, (properties, refused) in enumerate(refusals, 1):
        channel, queue = raw.channel(number), rabbit.name()
        channel.send(amqp.QueueDeclare(queue=queue, arguments=_quorum({}), **properties))
        text = f"invalid property '{refused}' for queue '{queue}' in vhost '{rabbit.vhost}'"
        channel.expect_close(406, text, _DECLARE)


@case("QUEUE-ARG-30")
def server_named_quorum_queues(rabbit: Rabbit) -> None:
    """The broker makes up no names for quorum queues, and says so before all else."""
    raw = rabbit.raw()
    others: tuple[FieldTable, ...] = ({}, {"x-expires": -1})
    for number, other in enumerate(others, 1):
        channel = raw.channel(number)
        channel.send(amqp.QueueDeclare(queue="", durable=number == 1, arguments=_quorum(other)))
        text = "Cannot declare a server-named queue for type rabbit_quorum_queue"
        channel.expect_close(406, text, _DECLARE)


@case(
    "QUEUE-ARG-24",
    *matrix(142, (164, 165), (188, 191), (195, 205), (207, 209), (214, 218)),
)
def arguments_of_quorum_queues(rabbit: Rabbit) -> None:
    """These arguments a quorum queue may be declared with."""
    accepted: tuple[FieldTable, ...] = (
        {},
        {"x-dead-letter-strategy": "at-most-once"},
        {"x-dead-letter-strategy": "at-least-once"},
        {"x-message-ttl": 1000},
        {"x-expires": 100000},
        {"x-max-length": 5},
        {"x-max-length-bytes": 5},
        {"x-overflow": "drop-head"},
        {"x-overflow": "reject-publish"},
        {"x-overflow": "reject-publish-dlx"},
        {"x-single-active-consumer": True},
        {"x-delivery-limit": 5},
        {"x-delivery-limit": 0},
        {"x-delivery-limit": -1},
        {"x-delivery-limit": "a"},
        {"x-max-in-memory-length": 5},
        {"x-max-in-memory-bytes": 5},
        {"x-quorum-initial-group-size": 1},
        {"x-quorum-initial-group-size": 3},
        {"x-quorum-target-group-size": 3},
        {"x-quorum-target-group-size": "a"},
        {"x-queue-leader-locator": "balanced"},
        {"x-queue-leader-locator": "client-local"},
        {"x-queue-leader-locator": "least-leaders"},
        {"x-queue-leader-locator": "random"},
        {"x-consumer-timeout": 1000},
        {"x-consumer-disconnected-timeout": 1000},
        {"x-dead-letter-exchange": "x"},
        {"foo": "bar"},
        {"x-foo": "bar"},
        {"x-delayed-retry-type": 5},
        {"x-delayed-retry-type": "bogus", "x-delayed-retry-min": -1, "x-delayed-retry-max": "a"},
    )
    expect_accepted(rabbit, [_quorum(arguments) for arguments in accepted])


@case("QUEUE-ARG-02", "QUEUE-ARG-23", *matrix((192, 194), (210, 213)))
def arguments_that_quorum_queues_have_not(rabbit: Rabbit) -> None:
    """Arguments that only other queue types have are refused, whatever their value, and the first of them is named."""
    others: dict[str, FieldValue] = {
        "x-max-priority": 5,
        "x-queue-mode": "lazy",
        "x-queue-version": 2,
        "x-queue-master-locator": "min-masters",
        "x-max-age": "1h",
        "x-stream-max-segment-size-bytes": 5,
        "x-initial-cluster-size": 1,
    }
    if rabbit.profile != "3.10":
        others["x-stream-filter-size-bytes"] = 16
    text = "invalid arg '{}' for <> of queue type rabbit_quorum_queue"
    refusals = [(_quorum({name: value}), text.format(name)) for name, value in others.items()]
    several: FieldTable = {"x-queue-mode": "bogus", "x-max-priority": -1, "x-max-length": 5}
    refusals.append((_quorum(several), text.format("x-queue-mode")))
    expect_refused(rabbit, refusals)


@case("QUEUE-ARG-19", "QUEUE-ARG-04", "QUEUE-ARG-05", "QUEUE-ARG-17", *matrix((166, 167), 206))
def wrong_values_for_quorum_queues(rabbit: Rabbit) -> None:
    """A wrong value of an argument is refused with its reason, before arguments of other queue types are."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"x-dead-letter-strategy": "bogus"}, "invalid_dlx_strategy"),
        ({"x-dead-letter-strategy": 5}, "{unacceptable_type,signedint}"),
        ({"x-quorum-initial-group-size": 0}, "{value_zero,0}"),
        ({"x-quorum-initial-group-size": -1}, "{value_negative,-1}"),
        ({"x-quorum-initial-group-size": "a"}, '"expected integer, got longstr"'),
        ({"x-max-in-memory-length": -1}, "{value_negative,-1}"),
        ({"x-max-in-memory-bytes": "a"}, '"expected integer, got longstr"'),
        ({"x-queue-leader-locator": 5}, "{unacceptable_type,signedint}"),
        ({"x-queue-leader-locator": "bogus"}, "invalid_queue_locator_arg"),
        ({"x-single-active-consumer": 5, "x-queue-leader-locator": "bogus"}, "{unacceptable_type,signedint}"),
        ({"x-expires": -1, "x-max-priority": 5}, "{value_negative,-1}"),
    ]
    if rabbit.profile == "3.10":
        wrong.append(({"x-queue-leader-locator": "min-masters"}, "invalid_queue_locator_arg"))
    else:
        for name in ("x-consumer-timeout", "x-consumer-disconnected-timeout"):
            wrong.append(({name: -1}, "{value_negative,-1}"))
            wrong.append(({name: "a"}, '"expected integer, got longstr"'))
    expect_refused(
        rabbit,
        [
            (_quorum(arguments), f"invalid arg '{next(iter(arguments))}' for <>: {reason}")
            for arguments, reason in wrong
        ],
    )
    expect_refused(
        rabbit, [(_quorum({"x-expires": -1}), "invalid arg 'x-expires' for <>: {value_negative,-1}")], durable=False
    )


@case("QUEUE-ARG-20", "QUORUM-08", profiles=["3.10"])
def timeouts_of_consumers_in_3_10(rabbit: Rabbit) -> None:
    """3.x does not know the timeouts of consumers, nor delayed retries, and takes any value."""
    names = ("x-consumer-timeout", "x-consumer-disconnected-timeout", "x-delayed-retry-type", "x-delayed-retry-min")
    expect_accepted(rabbit, [_quorum({name: value}) for name in names for value in (-1, "a")])


@case("QUEUE-DECLARE-22", "QUEUE-DECLARE-23")
def another_queue_type(rabbit: Rabbit) -> None:
    """A queue stays what it was declared as: one without a type is a classic queue."""
    raw = rabbit.raw()
    pairs: list[tuple[FieldTable, FieldTable, str, str]] = [
        ({}, _quorum({}), "received the value 'quorum' of type 'longstr' but current is none", "'quorum' 'classic'"),
        (_quorum({}), {}, "received none but current is the value 'quorum' of type 'longstr'", "'classic' 'quorum'"),
        (
            _quorum({}),
            {"x-queue-type": "classic"},
            "received 'classic' but current is 'quorum'",
            "'classic' 'quorum'",
        ),
        (
            {"x-queue-type": "classic"},
            _quorum({}),
            "received 'quorum' but current is 'classic'",
            "'quorum' 'classic'",
        ),
    ]
    for number, (first, second, of_3, of_4) in enumerate(pairs, 1):
        channel, queue = raw.channel(number), rabbit.name()
        channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments=first))
        channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments=second))
        received, current = of_4.split()
        difference = of_3 if rabbit.profile == "3.10" else f"received {received} but current is {current}"
        where = f"inequivalent arg 'x-queue-type' for queue '{queue}' in vhost '{rabbit.vhost}'"
        channel.expect_close(406, f"{where}: {difference}", _DECLARE)


@case("QUEUE-DECLARE-14", "QUEUE-DECLARE-15", "QUEUE-DECLARE-20", "QUEUE-ARG-24")
def redeclaring_a_quorum_queue(rabbit: Rabbit) -> None:
    """All arguments that quorum queues have are compared, in an order of their own; others are not."""
    raw = rabbit.raw()
    names = ["x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy", "x-expires"]
    names += ["x-max-length", "x-max-length-bytes", "x-max-in-memory-length", "x-max-in-memory-bytes", "x-overflow"]
    names += ["x-single-active-consumer", "x-quorum-initial-group-size", "x-delivery-limit", "x-message-ttl"]
    names += ["x-queue-leader-locator"]
    if rabbit.profile != "3.10":
        names += ["x-consumer-disconnected-timeout", "x-consumer-timeout"]
        names += ["x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max"]
    queue = rabbit.name()
    declare = amqp.QueueDeclare(queue=queue, durable=True, arguments=_quorum({"x-delivery-limit": 3}))
    raw.channel(1).call(declare)
    unknown: FieldTable = {"x-delivery-limit": Int64(3), "foo": 1, "x-quorum-target-group-size": 3, "x-max-priority": 5}
    raw.channel(2).call(amqp.QueueDeclare(queue=queue, durable=True, arguments=_quorum(unknown)))
    others = [name for name in names if name != "x-delivery-limit"]
    for number, name in enumerate(names, 3):
        differing: dict[str, FieldValue] = {"x-delivery-limit": 3}
        # This argument and all later ones differ. The table lists them in reverse order.
        differing |= dict.fromkeys(reversed(names[names.index(name) :]), "other")
        channel = raw.channel(number)
        channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments=_quorum(differing)))
        current = "none" if name in others else "'3'"
        received = "the value 'other' of type 'longstr'" if name in others else "'other'"
        channel.expect_close(
            406,
            f"inequivalent arg '{name}' for queue '{queue}' in vhost '{rabbit.vhost}': "
            f"received {received} but current is {current}",
            _DECLARE,
        )

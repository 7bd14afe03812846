"""Arguments that classic queues and their consumers do not take, or take in one version alone (QUEUE-ARG, CONSUME)."""

from hutch.conformance.arguments import expect_refused
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue

_CONSUME = (60, 20)


@case("CONSUME-26")
def consumer_arguments_of_streams(rabbit: Rabbit) -> None:
    """3.x does not look at the filters that a consumer of a stream may ask for; 4.x refuses them on a classic queue."""
    for name in ("x-stream-filter", "x-stream-match-unfiltered"):
        channel, queue = rabbit.raw_queue()
        consume = amqp.BasicConsume(queue=queue, arguments={name: "x"})
        if rabbit.profile == "3.10":
            channel.call(consume)
        else:
            channel.send(consume)
            where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
            channel.expect_close(406, f"invalid arg '{name}' for {where} of queue type rabbit_classic_queue", _CONSUME)


@case("CONSUME-26")
def cancelling_on_failover_is_a_boolean(rabbit: Rabbit) -> None:
    """3.x checks the type of x-cancel-on-ha-failover, behind that of x-priority; 4.x does not know it."""
    name = "x-cancel-on-ha-failover"
    refusals: list[tuple[FieldTable, str]] = [
        ({name: 1, "x-priority": "high"}, "invalid arg 'x-priority' for <>: \"expected integer, got longstr\"")
    ]
    if rabbit.profile == "3.10":
        refusals.append(({name: "yes"}, f"invalid arg '{name}' for <>: {{unacceptable_type,longstr}}"))
        offset: FieldTable = {name: 1, "x-stream-offset": "first"}
        refusals.append((offset, f"invalid arg '{name}' for <>: {{unacceptable_type,signedint}}"))
    else:
        channel, queue = rabbit.raw_queue()
        channel.call(amqp.BasicConsume(queue=queue, arguments={name: "yes"}))
    for arguments, text in refusals:
        channel, queue = rabbit.raw_queue()
        channel.send(amqp.BasicConsume(queue=queue, arguments=arguments))
        channel.expect_close(406, text.replace("<>", f"queue '{queue}' in vhost '{rabbit.vhost}'"), _CONSUME)


@case("CONSUME-26", profiles=["3.10"])
def credit_that_is_no_table(rabbit: Rabbit) -> None:
    """3.x crashes over an x-credit that is no table, and ignores a table that lacks a field."""
    values: tuple[FieldValue, ...] = ("1", 1, True, None, [1])
    for value in values:
        channel, queue = rabbit.raw_queue()
        channel.send(amqp.BasicConsume(queue=queue, arguments={"x-credit": value}))
        channel.connection.expect_close(541, "", (0, 0))
    channel, queue = rabbit.raw_queue(2)
    channel.call(amqp.BasicConsume(queue=queue, arguments={"x-credit": {"credit": 1, "drain": False}}))
    for number in (b"0", b"1"):  # a credit that is not a 64-bit number sets no limit
        equal(channel.message(amqp.BasicDeliver).body, number)


@case("QUEUE-ARG-19")
def delayed_retry_of_quorum_queues(rabbit: Rabbit) -> None:
    """3.x does not know the arguments for delayed retries; 4.x refuses them on a classic queue."""
    for name in ("x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max"):
        channel, queue = rabbit.raw().channel(), rabbit.name()
        declare = amqp.QueueDeclare(queue=queue, durable=True, arguments={name: 1})
        if rabbit.profile == "3.10":
            channel.call(declare)
        else:
            channel.send(declare)
            text = f"invalid arg '{name}' for queue '{queue}' in vhost '{rabbit.vhost}' of queue type"
            channel.expect_close(406, f"{text} rabbit_classic_queue", (50, 10))


@case("QUEUE-ARG-14", "QUEUE-DECLARE-22")
def an_empty_queue_type_is_not_the_name_of_the_default(rabbit: Rabbit) -> None:
    """An empty x-queue-type differs from "classic" when a queue is declared again, and from none at all."""
    name = "x-queue-type"
    added = {
        "3.10": "received the value '' of type 'longstr' but current is none",
        "4.3": "received '' but current is 'classic'",
    }
    attempts: list[tuple[dict[str, FieldValue], dict[str, FieldValue], str]] = [
        ({}, {name: ""}, rabbit.by_profile(added)),
        ({name: "classic"}, {name: ""}, "received '' but current is 'classic'"),
    ]
    if rabbit.profile != "3.10":  # 3.10 refuses the empty value for a new queue
        attempts.append(({name: ""}, {}, "received 'classic' but current is ''"))
        attempts.append(({name: ""}, {name: "quorum"}, "received 'quorum' but current is ''"))
    for before, after, difference in attempts:
        channel, queue = rabbit.raw().channel(), rabbit.name()
        channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments=before))
        channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments=after))
        text = f"inequivalent arg '{name}' for queue '{queue}' in vhost '{rabbit.vhost}': {difference}"
        channel.expect_close(406, text, (50, 10))


@case("QUEUE-ARG-14", "QUEUE-ARG-21", profiles=["4.3"])
def an_empty_queue_type_refuses_what_the_default_refuses(rabbit: Rabbit) -> None:
    """With an empty x-queue-type, arguments of other queue types are refused as without one."""
    others: dict[str, FieldValue] = {"x-delivery-limit": 5, "x-max-age": "1h"}
    expect_refused(
        rabbit,
        [
            ({"x-queue-type": "", name: value}, f"invalid arg '{name}' for <> of queue type rabbit_classic_queue")
            for name, value in others.items()
        ],
    )


@case("QUEUE-ARG-18", profiles=["4.3"])
def what_4_x_says_of_master_locators(rabbit: Rabbit) -> None:
    """4.x refuses a master locator with a long explanation, and names queue.declare as the failing method."""
    channel = rabbit.raw().channel()
    channel.send(amqp.QueueDeclare(queue=rabbit.name(), durable=True, arguments={"x-queue-master-locator": "random"}))
    text = (
        "Feature `queue_master_locator` is deprecated.\nBy default, this feature is not permitted anymore.\n"
        "The feature will be removed from a future major RabbitMQ version, regardless of the configuration; "
        "actual version to be determined.\nTo con..."
    )
    channel.connection.expect_close(541, text, (50, 10))

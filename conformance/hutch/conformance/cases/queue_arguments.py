"""The arguments a queue is declared with, and how wrong ones are refused (QUEUE-ARG, QARG-M)."""

from hutch.conformance.arguments import INTEGERS, OTHERS, expect_accepted, expect_refused
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue, Int64


@case("QUEUE-ARG-04", "QARG-M009", "QARG-M031")
def integers_of_every_width(rabbit: Rabbit) -> None:
    """Where an argument is an integer, every width of integer will do."""
    for argument in ("x-message-ttl", "x-expires"):
        expect_accepted(rabbit, ({argument: value} for value in INTEGERS))


@case("QUEUE-ARG-04", "QUEUE-ARG-01", "QARG-M004", "QARG-M026")
def other_types_for_integers(rabbit: Rabbit) -> None:
    """Where an argument is an integer, every other type is refused, and named."""
    for argument in ("x-message-ttl", "x-expires"):
        expect_refused(
            rabbit,
            (
                ({argument: value}, f"invalid arg '{argument}' for <>: \"expected integer, got {kind}\"")
                for kind, value in OTHERS.items()
            ),
        )


@case("QUEUE-ARG-05", "QARG-M003", "QARG-M025")
def negative_integers(rabbit: Rabbit) -> None:
    """A negative time is refused."""
    expect_refused(
        rabbit,
        [
            ({argument: value}, f"invalid arg '{argument}' for <>: {{value_negative,{value}}}")
            for argument in ("x-message-ttl", "x-expires")
            for value in (-1, Int64(-5))
        ],
    )


@case("QUEUE-ARG-06", "QARG-M001", "QARG-M023")
def zero(rabbit: Rabbit) -> None:
    """Messages may live no time at all; queues may not."""
    expect_accepted(rabbit, [{"x-message-ttl": 0}])
    expect_refused(rabbit, [({"x-expires": 0}, "invalid arg 'x-expires' for <>: {value_zero,0}")])


@case("QUEUE-ARG-07", "QARG-M017", "QARG-M018")
def the_longest_time(rabbit: Rabbit) -> None:
    """Times go up to ten years of 365 days, in milliseconds."""
    longest = 315360000000
    expect_accepted(rabbit, [{"x-message-ttl": longest}, {"x-expires": longest}, {"x-message-ttl": 4294967296}])
    expect_refused(
        rabbit,
        [
            ({argument: longest + 1}, f"invalid arg '{argument}' for <>: {{value_too_large,{longest + 1}}}")
            for argument in ("x-message-ttl", "x-expires")
        ],
    )


@case("QUEUE-ARG-09", "QARG-M113", "QARG-M114")
def dead_letter_exchange_of_another_type(rabbit: Rabbit) -> None:
    """A dead-letter exchange that is not a string is refused, in words of its own."""
    others: dict[str, FieldValue] = {"signedint": 5, **OTHERS}
    del others["longstr"]
    expect_refused(
        rabbit,
        (
            ({"x-dead-letter-exchange": value}, f"invalid type '{kind}' for arg 'x-dead-letter-exchange' in <>")
            for kind, value in others.items()
        ),
    )


@case("QUEUE-ARG-10", "QARG-M111", "QARG-M112")
def dead_letter_exchange_that_is_missing(rabbit: Rabbit) -> None:
    """The dead-letter exchange need not exist, and may be the default one."""
    expect_accepted(rabbit, [{"x-dead-letter-exchange": "missing"}, {"x-dead-letter-exchange": ""}])


@case("QUEUE-ARG-11")
def dead_letter_routing_key(rabbit: Rabbit) -> None:
    """A dead-letter routing key must be a string and needs a dead-letter exchange; it may be empty."""
    dlx: FieldTable = {"x-dead-letter-exchange": "x"}
    expect_accepted(rabbit, [{**dlx, "x-dead-letter-routing-key": "k"}, {**dlx, "x-dead-letter-routing-key": ""}])
    where = "invalid arg 'x-dead-letter-routing-key' for <>"
    expect_refused(
        rabbit,
        [
            ({"x-dead-letter-routing-key": "k"}, f"{where}: routing_key_but_no_dlx_defined"),
            ({"x-dead-letter-routing-key": 5}, f"{where}: {{unacceptable_type,signedint}}"),
            ({**dlx, "x-dead-letter-routing-key": 5}, f"{where}: {{unacceptable_type,signedint}}"),
        ],
    )


@case("QUEUE-ARG-14")
def queue_types(rabbit: Rabbit) -> None:
    """An unknown queue type is refused; the empty one too in 3.x, in 4.x it stands for the default."""
    if rabbit.profile == "4.3":
        expect_accepted(rabbit, [{"x-queue-type": ""}])
    where = "invalid arg 'x-queue-type' for <>"
    expect_refused(
        rabbit,
        [
            ({"x-queue-type": "bogus"}, f"{where}: \"unsupported queue type 'bogus'\""),
            ({"x-queue-type": 5}, f"{where}: {{unacceptable_type,signedint}}"),
            *([({"x-queue-type": ""}, f"{where}: \"unsupported queue type ''\"")] if rabbit.profile == "3.10" else []),
        ],
    )


@case("QUEUE-ARG-22")
def arguments_without_a_meaning(rabbit: Rabbit) -> None:
    """Arguments that mean nothing to the broker are taken, whatever their values."""
    expect_accepted(
        rabbit,
        ({name: value} for name in ("foo", "x-bogus", "x-ha-policy") for value in (*INTEGERS, *OTHERS.values())),
    )


@case("QUEUE-ARG-15")
def queue_modes(rabbit: Rabbit) -> None:
    """The mode of a queue is default or lazy in 3.x; 4.x does not look at it."""
    name = "x-queue-mode"
    expect_accepted(rabbit, [{name: "default"}, {name: "lazy"}])
    odd: list[tuple[FieldValue, str]] = [
        ("bogus", "\"unsupported queue mode 'bogus'\""),
        (5, "{unacceptable_type,signedint}"),
    ]
    if rabbit.profile == "3.10":
        expect_refused(rabbit, (({name: mode}, f"invalid arg '{name}' for <>: {reason}") for mode, reason in odd))
    else:
        expect_accepted(rabbit, ({name: mode} for mode, _ in odd))


@case("QUEUE-ARG-16")
def queue_versions(rabbit: Rabbit) -> None:
    """The version of a classic queue is 1 or 2 in 3.x, 2 alone in 4.x."""
    name = "x-queue-version"
    accepted = rabbit.by_profile({"3.10": (1, 2), "4.3": (2,)})
    expect_accepted(rabbit, ({name: version} for version in accepted))
    expect_refused(
        rabbit,
        (
            ({name: version}, f"invalid arg '{name}' for <>: \"unsupported queue version '{version}'\"")
            for version in {0, 1, 3} - set(accepted)
        ),
    )


@case("QUEUE-ARG-17")
def leader_locators(rabbit: Rabbit) -> None:
    """3.x takes no leader locator for a classic queue; 4.x takes those that it knows."""
    name = "x-queue-leader-locator"
    known = ("client-local", "balanced", "random", "least-leaders", "min-masters")
    if rabbit.profile == "3.10":
        text = f"invalid arg '{name}' for <> of queue type rabbit_classic_queue"
        expect_refused(rabbit, (({name: locator}, text) for locator in (*known, "bogus")))
    else:
        expect_accepted(rabbit, ({name: locator} for locator in known))
        expect_refused(rabbit, [({name: "bogus"}, f"invalid arg '{name}' for <>: invalid_queue_locator_arg")])


@case("QUEUE-ARG-18", profiles=["3.10"])
def master_locators(rabbit: Rabbit) -> None:
    """3.x takes the master locators that it knows; any other is an internal error."""
    name = "x-queue-master-locator"
    expect_accepted(rabbit, ({name: locator} for locator in ("min-masters", "client-local", "random")))
    channel = rabbit.raw().channel()
    channel.send(amqp.QueueDeclare(queue=rabbit.name(), durable=True, arguments={name: "bogus"}))
    channel.connection.expect_close(541, "", (0, 0))


@case("QUEUE-ARG-18", "CHAN-17", profiles=["4.3"])
def master_locators_are_no_more(rabbit: Rabbit) -> None:
    """4.x closes the connection for a master locator; its explanation is cut at 255 bytes, the last three dots."""
    channel = rabbit.raw().channel()
    arguments: FieldTable = {"x-queue-master-locator": "min-masters"}
    channel.send(amqp.QueueDeclare(queue=rabbit.name(), durable=True, arguments=arguments))
    close = channel.connection.expect(amqp.ConnectionClose)
    begin = "INTERNAL_ERROR - Feature `queue_master_locator` is deprecated.\nBy default, this feature is not permitted"
    text = close.reply_text
    equal((close.reply_code, len(text.encode()), text[-3:]), (541, 255, "..."))
    equal(text[: len(begin)], begin)


@case("QUEUE-ARG-02", "QUEUE-ARG-19", "QUEUE-ARG-20", "QUEUE-ARG-21")
def arguments_of_other_queue_types(rabbit: Rabbit) -> None:
    """What only quorum queues or streams take a classic queue refuses; the more so in 4.x."""
    refused: dict[str, FieldValue] = {
        "x-delivery-limit": 5,
        "x-dead-letter-strategy": "at-most-once",
        "x-initial-cluster-size": 1,
        "x-max-age": "1h",
        "x-max-in-memory-bytes": 5,
        "x-max-in-memory-length": 5,
        "x-quorum-initial-group-size": 1,
        "x-stream-max-segment-size-bytes": 5000,
    }
    newer: dict[str, FieldValue] = {
        "x-consumer-timeout": 60000,
        "x-consumer-disconnected-timeout": 60000,
        "x-stream-filter-size-bytes": 16,
    }
    if rabbit.profile == "3.10":
        expect_accepted(rabbit, ({name: value} for name, value in newer.items()))
    else:
        refused |= newer
    expect_refused(
        rabbit,
        (
            ({name: value}, f"invalid arg '{name}' for <> of queue type rabbit_classic_queue")
            for name, value in refused.items()
        ),
    )


@case("QUEUE-DECLARE-22", "QUEUE-DECLARE-21")
def redeclaring_with_another_queue_type(rabbit: Rabbit) -> None:
    """A classic queue is not declared again as a quorum queue; 3.x speaks of a type that was added, 4.x of another."""
    channel = rabbit.raw().channel(1)
    queue = rabbit.name()
    name = "x-queue-type"
    channel.call(amqp.QueueDeclare(queue=queue, durable=True))
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments={name: "classic"}))
    channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments={name: "quorum"}))
    difference = rabbit.by_profile(
        {
            "3.10": "received the value 'quorum' of type 'longstr' but current is none",
            "4.3": "received 'quorum' but current is 'classic'",
        }
    )
    channel.expect_close(
        406, f"inequivalent arg '{name}' for queue '{queue}' in vhost '{rabbit.vhost}': {difference}", (50, 10)
    )

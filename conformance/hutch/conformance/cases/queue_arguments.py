"""The arguments a queue is declared with, and how wrong ones are refused (QUEUE-ARG, QARG-M)."""

from hutch.conformance.arguments import INTEGERS, OTHERS, expect_accepted, expect_refused, matrix
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Int64


@case("QUEUE-ARG-04", *matrix(2, (9, 14), 19, 20, 24, (31, 36), 41, 42))
def integers_of_every_width(rabbit: Rabbit) -> None:
    """Where an argument is an integer, every width of integer will do."""
    for argument in ("x-message-ttl", "x-expires"):
        expect_accepted(rabbit, ({argument: value} for value in (1, *INTEGERS, 255, 256)))


@case("QUEUE-ARG-04", "QUEUE-ARG-01", *matrix((4, 8), 15, 16, 21, 22, (26, 30), 37, 38, 43, 44))
def other_types_for_integers(rabbit: Rabbit) -> None:
    """Where an argument is an integer, every other type is refused, and named."""
    for argument in ("x-message-ttl", "x-expires"):
        expect_refused(
            rabbit,
            (
                ({argument: value}, f"invalid arg '{argument}' for <>: \"expected integer, got {kind}\"")
                for kind, value in (*OTHERS.items(), ("longstr", ""))
            ),
        )


@case("QUEUE-ARG-05", *matrix(3, 25))
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


@case("QUEUE-ARG-06", *matrix(1, 23))
def zero(rabbit: Rabbit) -> None:
    """Messages may live no time at all; queues may not."""
    expect_accepted(rabbit, [{"x-message-ttl": 0}])
    expect_refused(rabbit, [({"x-expires": 0}, "invalid arg 'x-expires' for <>: {value_zero,0}")])


@case("QUEUE-ARG-07", *matrix(17, 18, 39, 40))
def the_longest_time(rabbit: Rabbit) -> None:
    """Times go up to ten years of 365 days, in milliseconds."""
    longest = 315360000000
    expect_accepted(rabbit, [{"x-message-ttl": longest}, {"x-expires": longest}])
    expect_accepted(rabbit, [{"x-message-ttl": Int64(2**32)}, {"x-expires": Int64(2**32)}])
    expect_refused(
        rabbit,
        [
            ({argument: Int64(time)}, f"invalid arg '{argument}' for <>: {{value_too_large,{time}}}")
            for argument in ("x-message-ttl", "x-expires")
            for time in (longest + 1, 2**32 * 1000)
        ],
    )


@case("QUEUE-ARG-09", *matrix((113, 116)))
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


@case("QUEUE-ARG-10", *matrix(111, 112))
def dead_letter_exchange_that_is_missing(rabbit: Rabbit) -> None:
    """The dead-letter exchange need not exist, and may be the default one."""
    expect_accepted(rabbit, [{"x-dead-letter-exchange": "missing"}, {"x-dead-letter-exchange": ""}])


@case("QUEUE-ARG-11", *matrix((117, 119)))
def dead_letter_routing_key(rabbit: Rabbit) -> None:
    """A dead-letter routing key must be a string and needs a dead-letter exchange; it may be empty."""
    dlx: FieldTable = {"x-dead-letter-exchange": "x"}
    expect_accepted(rabbit, [{**dlx, "x-dead-letter-routing-key": "k"}, {**dlx, "x-dead-letter-routing-key": ""}])
    expect_accepted(rabbit, [{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "k"}])
    where = "invalid arg 'x-dead-letter-routing-key' for <>"
    expect_refused(
        rabbit,
        [
            ({"x-dead-letter-routing-key": "k"}, f"{where}: routing_key_but_no_dlx_defined"),
            ({"x-dead-letter-routing-key": 5}, f"{where}: {{unacceptable_type,signedint}}"),
            ({**dlx, "x-dead-letter-routing-key": 5}, f"{where}: {{unacceptable_type,signedint}}"),
        ],
    )


@case("QUEUE-ARG-14", *matrix(141, (144, 147)))
def queue_types(rabbit: Rabbit) -> None:
    """An unknown queue type is refused; the empty one too in 3.x, in 4.x it stands for the default."""
    expect_accepted(rabbit, [{"x-queue-type": "classic"}])
    if rabbit.profile == "4.3":
        expect_accepted(rabbit, [{"x-queue-type": ""}])
    where = "invalid arg 'x-queue-type' for <>"
    expect_refused(
        rabbit,
        [
            *(
                ({"x-queue-type": name}, f"{where}: \"unsupported queue type '{name}'\"")
                for name in ("bogus", "rabbit_classic_queue")
            ),
            ({"x-queue-type": 5}, f"{where}: {{unacceptable_type,signedint}}"),
            *([({"x-queue-type": ""}, f"{where}: \"unsupported queue type ''\"")] if rabbit.profile == "3.10" else []),
        ],
    )


@case("QUEUE-ARG-22", *matrix((171, 174), 183, 184, 185, 187))
def arguments_without_a_meaning(rabbit: Rabbit) -> None:
    """Arguments that mean nothing to the broker are taken, whatever their values."""
    expect_accepted(
        rabbit,
        ({name: value} for name in ("foo", "x-bogus", "x-ha-policy") for value in (*INTEGERS, *OTHERS.values())),
    )
    unknown: list[FieldTable] = [
        {"x-ha-policy": "all"},
        {"x-quorum-target-group-size": 3},
        {"x-cancel-on-ha-failover": True},
        {"x-internal-purpose": "x"},
        {"x-queue-parallelism": 5},
    ]
    expect_accepted(rabbit, unknown)


@case("QUEUE-ARG-15", *matrix((126, 130)))
def queue_modes(rabbit: Rabbit) -> None:
    """The mode of a queue is default or lazy in 3.x; 4.x does not look at it."""
    name = "x-queue-mode"
    expect_accepted(rabbit, [{name: "default"}, {name: "lazy"}])
    odd: list[tuple[FieldValue, str]] = [
        ("bogus", "\"unsupported queue mode 'bogus'\""),
        ("", "\"unsupported queue mode ''\""),
        (5, "{unacceptable_type,signedint}"),
    ]
    if rabbit.profile == "3.10":
        expect_refused(rabbit, (({name: mode}, f"invalid arg '{name}' for <>: {reason}") for mode, reason in odd))
    else:
        expect_accepted(rabbit, ({name: mode} for mode, _ in odd))


@case("QUEUE-ARG-16", *matrix((131, 136)))
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
    wrong: list[tuple[FieldValue, str]] = [("2", '"expected integer, got longstr"'), (-1, "{value_negative,-1}")]
    expect_refused(rabbit, (({name: version}, f"invalid arg '{name}' for <>: {reason}") for version, reason in wrong))


@case("QUEUE-ARG-17", *matrix((148, 154)))
def leader_locators(rabbit: Rabbit) -> None:
    """3.x takes no leader locator for a classic queue; 4.x takes those that it knows."""
    name = "x-queue-leader-locator"
    known = ("client-local", "balanced", "random", "least-leaders", "min-masters")
    if rabbit.profile == "3.10":
        text = f"invalid arg '{name}' for <> of queue type rabbit_classic_queue"
        expect_refused(rabbit, (({name: locator}, text) for locator in (*known, "bogus", 5)))
    else:
        expect_accepted(rabbit, ({name: locator} for locator in known))
        wrong: list[tuple[FieldValue, str]] = [
            ("bogus", "invalid_queue_locator_arg"),
            (5, "{unacceptable_type,signedint}"),
        ]
        expect_refused(rabbit, (({name: locator}, f"invalid arg '{name}' for <>: {why}") for locator, why in wrong))


@case("QUEUE-ARG-18", *matrix((155, 159)), profiles=["3.10"])
def master_locators(rabbit: Rabbit) -> None:
    """3.x takes the master locators that it knows; any other is an internal error. An exclusive queue takes all."""
    name = "x-queue-master-locator"
    known: tuple[FieldValue, ...] = ("min-masters", "client-local", "random", ByteArray(b"random"))
    expect_accepted(rabbit, ({name: locator} for locator in known))
    wrong: tuple[FieldValue, ...] = ("bogus", 5, "", ByteArray(b"bogus"), None, True, [1, "a"], {"k": 1})
    for locator in wrong:
        channel = rabbit.raw().channel()
        channel.call(amqp.QueueDeclare(exclusive=True, arguments={name: locator}))
        channel.send(amqp.QueueDeclare(queue=rabbit.name(), durable=True, arguments={name: locator}))
        channel.connection.expect_close(541, "", (0, 0))


@case("QUEUE-ARG-18", "CHAN-17", *matrix((155, 159)), profiles=["4.3"])
def master_locators_are_no_more(rabbit: Rabbit) -> None:
    """4.x closes the connection for a master locator; its explanation is cut at 255 bytes, the last three dots."""
    begin = "INTERNAL_ERROR - Feature `queue_master_locator` is deprecated.\nBy default, this feature is not permitted"
    locators: tuple[FieldValue, ...] = ("min-masters", "client-local", "random", "bogus", 5)
    for locator in locators:
        channel = rabbit.raw().channel()
        arguments: FieldTable = {"x-queue-master-locator": locator}
        channel.send(amqp.QueueDeclare(queue=rabbit.name(), durable=True, arguments=arguments))
        close = channel.connection.expect(amqp.ConnectionClose)
        text = close.reply_text
        equal((close.reply_code, len(text.encode()), text[-3:]), (541, 255, "..."))
        equal(text[: len(begin)], begin)


@case(
    *("QUEUE-ARG-02", "QUEUE-ARG-19", "QUEUE-ARG-20", "QUEUE-ARG-21"),
    *matrix((160, 163), (168, 170), (175, 182), 186),
)
def arguments_of_other_queue_types(rabbit: Rabbit) -> None:
    """What only quorum queues or streams take a classic queue refuses; the more so in 4.x."""
    refused: list[tuple[str, FieldValue]] = [
        ("x-delivery-limit", 5),
        *(("x-dead-letter-strategy", value) for value in ("at-most-once", "at-least-once", "bogus", 5)),
        ("x-initial-cluster-size", 1),
        ("x-max-age", "1h"),
        ("x-max-in-memory-bytes", 5),
        ("x-max-in-memory-length", 5),
        ("x-quorum-initial-group-size", 1),
        ("x-stream-max-segment-size-bytes", 5),
    ]
    newer: list[tuple[str, FieldValue]] = [
        *(("x-consumer-timeout", value) for value in (1000, -1, "a")),
        ("x-consumer-disconnected-timeout", 5),
        ("x-stream-filter-size-bytes", 16),
    ]
    if rabbit.profile == "3.10":
        expect_accepted(rabbit, ({name: value} for name, value in newer))
    else:
        refused += newer
    expect_refused(
        rabbit,
        (({name: value}, f"invalid arg '{name}' for <> of queue type rabbit_classic_queue") for name, value in refused),
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

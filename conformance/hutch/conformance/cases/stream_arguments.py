"""What streams are declared with, what they refuse, and redeclaring them (QUEUE-ARG, QARG-M)."""

from decimal import Decimal

from hutch.conformance.arguments import INTEGERS, OTHERS, expect_accepted, expect_refused
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.streams import FIRST, declare, read, stream
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Int64

_STREAM: FieldTable = {"x-queue-type": "stream"}


def _streams(argument: str, values: tuple[FieldValue, ...]) -> list[FieldTable]:
    return [{**_STREAM, argument: value} for value in values]


def _refusals(argument: str, reasons: dict[str, FieldValue]) -> list[tuple[FieldTable, str]]:
    """Declarations of streams, and why they are refused."""
    return [
        ({**_STREAM, argument: value}, f"invalid arg '{argument}' for <>: {reason}")
        for reason, value in reasons.items()
    ]


@case("QARG-M143", "QARG-M226", "QARG-M233", "QARG-M241", "QARG-M242", "QARG-M247", "QARG-M251", "QUEUE-ARG-22")
def arguments_of_streams(rabbit: Rabbit) -> None:
    """A stream takes limits for its length and its segments, the size of a cluster, and what means nothing to it."""
    expect_accepted(
        rabbit,
        [
            _STREAM,
            *_streams("x-max-length-bytes", (0, 5, *INTEGERS)),
            *_streams("x-stream-max-segment-size-bytes", (0, 5000, Int64(3000000000))),
            *_streams("x-initial-cluster-size", (1, 5)),
            *_streams("foo", ("bar",)),
            *_streams("x-stream-offset", ("bar",)),
            *_streams("x-cancel-on-ha-failover", ("bar",)),
        ],
    )


_REFUSED: FieldTable = {
    "x-message-ttl": 1000,
    "x-expires": 100000,
    "x-max-length": 5,
    "x-max-priority": 5,
    "x-queue-mode": "lazy",
    "x-queue-version": 2,
    "x-queue-master-locator": "random",
    "x-overflow": "drop-head",
    "x-single-active-consumer": True,
    "x-delivery-limit": 5,
    "x-quorum-initial-group-size": 1,
    "x-max-in-memory-length": 5,
    "x-max-in-memory-bytes": 5,
    "x-dead-letter-exchange": "x",
    "x-dead-letter-routing-key": "k",
    "x-dead-letter-strategy": "at-least-once",
}
_REFUSED_BY_4: FieldTable = {
    "x-consumer-timeout": 1000,
    "x-consumer-disconnected-timeout": 5,
    "x-delayed-retry-type": "all",
    "x-delayed-retry-min": 5,
    "x-delayed-retry-max": 5,
}


@case(
    "QUEUE-ARG-26",
    *("QARG-M223", "QARG-M224", "QARG-M225", "QARG-M228", "QARG-M229", "QARG-M230", "QARG-M231", "QARG-M232"),
    *("QARG-M249", "QARG-M250", "QARG-M252"),
)
def arguments_that_streams_refuse(rabbit: Rabbit) -> None:
    """A stream refuses what queues have for messages that go, for a length in messages, for priorities and more; their
    values are not looked at. 4.x has more of that.
    """
    refused = dict(_REFUSED)
    if rabbit.profile == "4.3":
        refused.update(_REFUSED_BY_4)
    else:
        expect_accepted(rabbit, ({**_STREAM, name: value} for name, value in _REFUSED_BY_4.items()))
    expect_refused(
        rabbit,
        (
            ({**_STREAM, name: odd}, f"invalid arg '{name}' for <> of queue type rabbit_stream_queue")
            for name, value in refused.items()
            for odd in ((value,) if name == "x-dead-letter-exchange" else (value, Decimal(1)))
        ),
    )


@case("QUEUE-ARG-26", "QUEUE-ARG-05", "QARG-M227")
def limits_of_streams(rabbit: Rabbit) -> None:
    """The limits of a stream are integers that are not negative."""
    for argument in ("x-max-length-bytes", "x-stream-max-segment-size-bytes"):
        expect_refused(rabbit, _refusals(argument, {"{value_negative,-5}": -5}))
        expect_refused(
            rabbit, _refusals(argument, {f'"expected integer, got {kind}"': value for kind, value in OTHERS.items()})
        )


@case("QUEUE-ARG-28", "QARG-M243")
def the_largest_segment(rabbit: Rabbit) -> None:
    """A segment has at most 3 GB, which is looked at last."""
    large: FieldTable = {**_STREAM, "x-stream-max-segment-size-bytes": Int64(3000000001)}
    expect_refused(rabbit, [(large, "Exceeded max value for x-stream-max-segment-size-bytes")])
    expect_refused(rabbit, [(large, "invalid property 'non-durable' for <>")], durable=False)


@case("QUEUE-ARG-29", "QARG-M244", "QARG-M245", "QARG-M246")
def sizes_of_filters(rabbit: Rabbit) -> None:
    """A filter of 4.x has 16 to 255 bytes; to 3.x its size means nothing."""
    argument = "x-stream-filter-size-bytes"
    expect_accepted(rabbit, _streams(argument, (16, 255)))
    odd: tuple[FieldValue, ...] = (15, 256, -1, "16", 16.0)
    if rabbit.profile == "3.10":
        expect_accepted(rabbit, _streams(argument, odd))
        return
    text = "Invalid value for x-stream-filter-size-bytes"
    expect_refused(rabbit, [({**_STREAM, argument: 15}, text), ({**_STREAM, argument: 256}, text)])
    reasons: dict[str, FieldValue] = {
        "{value_negative,-1}": -1,
        '"expected integer, got longstr"': "16",
        '"expected integer, got double"': 16.0,
    }
    expect_refused(rabbit, _refusals(argument, reasons))


@case("QARG-M248")
def sizes_of_clusters(rabbit: Rabbit) -> None:
    """The initial size of a cluster is an integer above zero."""
    reasons: dict[str, FieldValue] = {
        "{value_zero,0}": 0,
        "{value_negative,-1}": -1,
        '"expected integer, got longstr"': "1",
    }
    expect_refused(rabbit, _refusals("x-initial-cluster-size", reasons))


@case("QUEUE-ARG-17", "QARG-M233")
def leaders_of_streams(rabbit: Rabbit) -> None:
    """A stream takes the leader locators that there are; 4.x has one more."""
    locators = ("client-local", "balanced", "random", "least-leaders")
    expect_accepted(rabbit, _streams("x-queue-leader-locator", locators))
    name = "x-queue-leader-locator"
    expect_refused(rabbit, _refusals(name, {"invalid_queue_locator_arg": "bogus", "{unacceptable_type,signedint}": 5}))
    older: tuple[FieldValue, ...] = ("min-masters",)
    if rabbit.profile == "4.3":
        expect_accepted(rabbit, _streams(name, older))
    else:
        expect_refused(rabbit, _refusals(name, {"invalid_queue_locator_arg": "min-masters"}))


@case("QUEUE-ARG-27", "QARG-M234", "QARG-M238")
def ages(rabbit: Rabbit) -> None:
    """The age of a stream's messages is a number of years, months, days, hours, minutes or seconds."""
    expect_accepted(rabbit, _streams("x-max-age", ("1Y", "2M", "3D", "1h", "50m", "6s", "01h")))


@case("QUEUE-ARG-27", "QARG-M235", "QARG-M236", "QARG-M237", "QARG-M240")
def what_is_no_age(rabbit: Rabbit) -> None:
    """An age has a number above zero and one of the units, and is a string."""
    where = "invalid arg 'x-max-age' for <>"
    bad: tuple[FieldValue, ...] = ("1", "0s", "1hh", "1d", "1H", "1.5h", "1 h")
    expect_refused(rabbit, [({**_STREAM, "x-max-age": age}, f"{where}: invalid_max_age") for age in bad])
    kinds: dict[str, FieldValue] = {"signedint": 5, "bool": True, "binary": ByteArray(b"1h")}
    expect_refused(
        rabbit,
        [({**_STREAM, "x-max-age": age}, f"{where}: {{unacceptable_type,{kind}}}") for kind, age in kinds.items()],
    )


@case("QUEUE-ARG-27", "QARG-M239")
def an_age_without_a_number(rabbit: Rabbit) -> None:
    """An age that does not begin with a digit is refused by 4.x; in 3.x it is an internal error."""
    for age in ("x", "", "h", "-1h"):
        channel, queue = rabbit.raw().channel(), rabbit.name()
        channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments={**_STREAM, "x-max-age": age}))
        if rabbit.profile == "3.10":
            channel.connection.expect_close(541, "", (0, 0))
        else:
            text = f"invalid arg 'x-max-age' for queue '{queue}' in vhost '{rabbit.vhost}': invalid_max_age"
            channel.expect_close(406, text, (50, 10))


@case("QUEUE-ARG-03", "QARG-M253", "QARG-M254", "QARG-M255")
def properties_that_streams_refuse(rabbit: Rabbit) -> None:
    """A stream must be durable, not exclusive and not auto-delete. This is checked after its arguments, in an order of
    its own.
    """
    raw = rabbit.raw()
    for number, (what, durable, exclusive, auto_delete) in enumerate(
        [
            ("non-durable", False, False, False),
            ("exclusive-owner", True, True, False),
            ("auto-delete", True, False, True),
            ("auto-delete", False, True, True),
            ("exclusive-owner", False, True, False),
        ],
        1,
    ):
        channel, queue = raw.channel(number), rabbit.name()
        arguments = {**_STREAM, "x-max-length-bytes": 5}
        flags = {"durable": durable, "exclusive": exclusive, "auto_delete": auto_delete}
        channel.send(amqp.QueueDeclare(queue=queue, arguments=arguments, **flags))
        channel.expect_close(406, f"invalid property '{what}' for queue '{queue}' in vhost '{rabbit.vhost}'", (50, 10))
    where = "invalid arg 'x-max-age' for <>"
    expect_refused(rabbit, [({**_STREAM, "x-max-age": "1"}, f"{where}: invalid_max_age")], durable=False)


@case("QUEUE-ARG-30")
def a_stream_without_a_name(rabbit: Rabbit) -> None:
    """The broker makes up no names for streams, whatever else may be wrong with them."""
    raw = rabbit.raw()
    for number, more in enumerate(({}, {"x-max-age": "bogus"}), 1):
        channel = raw.channel(number)
        channel.send(amqp.QueueDeclare(durable=True, arguments={**_STREAM, **more}))
        channel.expect_close(406, "Cannot declare a server-named queue for type rabbit_stream_queue", (50, 10))


_DECLARED: FieldTable = {
    **_STREAM,
    "x-max-age": "1h",
    "x-max-length-bytes": 5000,
    "x-stream-max-segment-size-bytes": 500,
    "x-initial-cluster-size": 1,
    "x-queue-leader-locator": "client-local",
}


@case("QUEUE-DECLARE-14", "QUEUE-DECLARE-15", "QUEUE-DECLARE-20")
def redeclaring_a_stream(rabbit: Rabbit) -> None:
    """A stream may be declared again with the same arguments; what streams do not have makes no difference."""
    channel, queue = stream(rabbit, 1, _DECLARED)
    declare(channel, queue, {**_DECLARED, "x-max-length-bytes": Int64(5000)})
    for name, value in (("foo", 2), ("x-message-ttl", 5), ("x-max-priority", 4), ("x-single-active-consumer", True)):
        declare(channel, queue, {**_DECLARED, name: value})
    if rabbit.profile == "3.10":
        declare(channel, queue, {**_DECLARED, "x-stream-filter-size-bytes": 20})
    else:
        declare(channel, queue, {**_DECLARED, "x-max-age": "60m"})
    equal(read(rabbit, queue, 1, FIRST), [b"0"])


def _expect_inequivalent(rabbit: Rabbit, queue: str, arguments: FieldTable, argument: str, text: str) -> None:
    channel = rabbit.raw().channel()
    channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments=arguments))
    where = f"for queue '{queue}' in vhost '{rabbit.vhost}'"
    channel.expect_close(406, f"inequivalent arg '{argument}' {where}: received {text}", (50, 10))


@case("QUEUE-DECLARE-15", "QUEUE-DECLARE-16", "QUEUE-DECLARE-17")
def redeclaring_a_stream_otherwise(rabbit: Rabbit) -> None:
    """A stream is not declared with other arguments than it has; 4.x tells ages in milliseconds."""
    _, queue = stream(rabbit, 0, _DECLARED)
    hour, two_hours, minute = rabbit.by_profile({"3.10": ("1h", "2h", "1m"), "4.3": ("3600000", "7200000", "60000")})
    for argument, current in (
        ("x-max-age", f"'{hour}' of type 'longstr'"),
        ("x-max-length-bytes", "'5000' of type 'signedint'"),
        ("x-stream-max-segment-size-bytes", "'500' of type 'signedint'"),
        ("x-initial-cluster-size", "'1' of type 'signedint'"),
        ("x-queue-leader-locator", "'client-local' of type 'longstr'"),
    ):
        fewer = {name: value for name, value in _DECLARED.items() if name != argument}
        _expect_inequivalent(rabbit, queue, fewer, argument, f"none but current is the value {current}")
    others: dict[str, tuple[FieldValue, str]] = {
        "x-max-age": ("2h", f"'{two_hours}' but current is '{hour}'"),
        "x-max-length-bytes": (6, "'6' but current is '5000'"),
        "x-stream-max-segment-size-bytes": (6, "'6' but current is '500'"),
        "x-initial-cluster-size": (3, "'3' but current is '1'"),
        "x-queue-leader-locator": ("balanced", "'balanced' but current is 'client-local'"),
        "x-queue-type": ("classic", "'classic' but current is 'stream'"),
    }
    for argument, (value, text) in others.items():
        _expect_inequivalent(rabbit, queue, {**_DECLARED, argument: value}, argument, text)
    _expect_inequivalent(
        rabbit, queue, {**_DECLARED, "x-max-age": "bogus"}, "x-max-age", f"'bogus' but current is '{hour}'"
    )
    _, queue = stream(rabbit)
    text = f"the value '{minute}' of type 'longstr' but current is none"
    _expect_inequivalent(rabbit, queue, {**_STREAM, "x-max-age": "1m"}, "x-max-age", text)


@case("QUEUE-DECLARE-22", "QUEUE-DECLARE-23")
def streams_and_classic_queues(rabbit: Rabbit) -> None:
    """A stream is not declared again as a classic queue, nor the other way round."""
    channel, queue = stream(rabbit)
    text = rabbit.by_profile(
        {
            "3.10": "none but current is the value 'stream' of type 'longstr'",
            "4.3": "'classic' but current is 'stream'",
        }
    )
    _expect_inequivalent(rabbit, queue, {}, "x-queue-type", text)
    classic = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=classic, durable=True, arguments={"x-max-length-bytes": 5}))
    text = rabbit.by_profile(
        {
            "3.10": "the value 'stream' of type 'longstr' but current is none",
            "4.3": "'stream' but current is 'classic'",
        }
    )
    _expect_inequivalent(rabbit, classic, {**_STREAM, "x-max-length-bytes": 5}, "x-queue-type", text)
    channel.call(amqp.QueueDeclare(queue=classic, durable=True, arguments={"x-max-length-bytes": 5, "x-max-age": "1h"}))


@case("QUEUE-DECLARE-15", profiles=["4.3"])
def redeclaring_the_size_of_filters(rabbit: Rabbit) -> None:
    """In 4.x the size of filters counts on a redeclaration."""
    argument = "x-stream-filter-size-bytes"
    _, queue = stream(rabbit, 0, {argument: 20})
    _expect_inequivalent(rabbit, queue, {**_STREAM, argument: 30}, argument, "'30' but current is '20'")
    text = "none but current is the value '20' of type 'signedint'"
    _expect_inequivalent(rabbit, queue, _STREAM, argument, text)

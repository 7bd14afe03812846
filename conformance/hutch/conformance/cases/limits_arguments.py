"""The arguments that limit queues, and how wrong ones are refused (QUEUE-ARG, QARG-M)."""

from collections.abc import Iterable

from hutch.conformance.arguments import INTEGERS, OTHERS, expect_accepted, expect_refused, matrix
from hutch.conformance.case import case
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Int8, Int64

_INTEGER_ARGUMENTS = ("x-max-length", "x-max-length-bytes", "x-max-priority")


def _refused(rabbit: Rabbit, refusals: Iterable[tuple[str, FieldTable, str]]) -> None:
    """Declarations that must be refused: the argument that is blamed, all arguments, the reason."""
    expect_refused(
        rabbit,
        ((arguments, f"invalid arg '{blamed}' for <>: {reason}") for blamed, arguments, reason in refusals),
        durable=False,
    )


@case(
    "QUEUE-ARG-04",
    *matrix(45, 46, (53, 58), (61, 64)),
    *matrix(67, 68, (75, 80), (83, 86)),
    *matrix(89, 90, (97, 102), 107),
)
def integers_for_limits(rabbit: Rabbit) -> None:
    """Lengths and the highest priority are integers of any width, 0 among them; lengths may be very large."""
    integers = (0, 1, 255, *INTEGERS)
    expect_accepted(rabbit, ({name: value} for name in _INTEGER_ARGUMENTS for value in integers))
    lengths = ("x-max-length", "x-max-length-bytes")
    expect_accepted(rabbit, ({name: Int64(value)} for name in lengths for value in (256, 2**32, 2**32 * 1000)))


@case(
    *("QUEUE-ARG-04", "QUEUE-ARG-01"),
    *matrix((48, 52), 59, 60, 65, 66),
    *matrix((70, 74), 81, 82, 87, 88),
    *matrix((92, 96), 103, 104, 109, 110),
)
def other_types_for_limits(rabbit: Rabbit) -> None:
    """Lengths and the highest priority of any other type are refused, and the type is named."""
    others = [*OTHERS.items(), ("longstr", ""), ("bool", False)]
    _refused(
        rabbit,
        (
            (name, {name: value}, f'"expected integer, got {kind}"')
            for name in _INTEGER_ARGUMENTS
            for kind, value in others
        ),
    )


@case("QUEUE-ARG-05", *matrix(47, 69, 91))
def negative_limits(rabbit: Rabbit) -> None:
    """A negative length or highest priority is refused."""
    values = (-1, Int8(-1), Int64(-5))
    _refused(
        rabbit,
        ((name, {name: value}, f"{{value_negative,{value}}}") for name in _INTEGER_ARGUMENTS for value in values),
    )


@case("QUEUE-ARG-08", *matrix((105, 108)))
def the_highest_priority_there_may_be(rabbit: Rabbit) -> None:
    """There are up to 256 priorities, from 0 to 255."""
    expect_accepted(rabbit, ({"x-max-priority": value} for value in (0, 1, 255, Int64(255))))
    name = "x-max-priority"
    values = (256, Int64(4294967296), Int64(4294967296000))
    _refused(rabbit, ((name, {name: value}, f"{{max_value_exceeded,{value}}}") for value in values))


@case("QUEUE-ARG-12", *matrix((120, 125)))
def ways_to_overflow(rabbit: Rabbit) -> None:
    """A queue that is full drops its head, rejects what is published, or rejects and dead-letters it; no other way."""
    name = "x-overflow"
    expect_accepted(rabbit, ({name: way} for way in ("drop-head", "reject-publish", "reject-publish-dlx")))
    wrong: list[tuple[FieldValue, str]] = [
        *((way, "invalid_overflow") for way in ("bogus", "", "Drop-Head", "drop-head ")),
        (5, "{unacceptable_type,signedint}"),
        (True, "{unacceptable_type,bool}"),
        (None, "{unacceptable_type,void}"),
        (ByteArray(b"drop-head"), "{unacceptable_type,binary}"),
    ]
    _refused(rabbit, ((name, {name: value}, reason) for value, reason in wrong))


@case("QUEUE-ARG-01", "QUEUE-ARG-05", "QUEUE-ARG-12")
def several_wrong_limits(rabbit: Rabbit) -> None:
    """Of several wrong arguments the text names one, in a fixed order that is not that of the declaration."""
    wrong: list[tuple[str, FieldValue, str]] = [
        ("x-max-length", -1, "{value_negative,-1}"),
        ("x-max-length-bytes", -1, "{value_negative,-1}"),
        ("x-max-priority", 256, "{max_value_exceeded,256}"),
        ("x-overflow", "bogus", "invalid_overflow"),
        ("x-single-active-consumer", 1, "{unacceptable_type,signedint}"),
    ]
    _refused(
        rabbit,
        (
            (name, {later: value for later, value, _ in reversed(wrong[rank:])}, reason)
            for rank, (name, _, reason) in enumerate(wrong)
        ),
    )


@case("QUEUE-DECLARE-15", "QUEUE-DECLARE-16", "QUEUE-DECLARE-17")
def declaring_with_other_limits(rabbit: Rabbit) -> None:
    """A queue cannot be declared again with another limit, one more or one less; the same in another width will do."""
    channel = rabbit.raw().channel(1)
    queue = rabbit.name()
    limits: dict[str, FieldValue] = {"x-max-length": 5, "x-overflow": "drop-head", "x-max-priority": 3}
    channel.call(amqp.QueueDeclare(queue=queue, arguments=limits))
    channel.call(amqp.QueueDeclare(queue=queue, arguments={**limits, "x-max-length": Int64(5)}))
    fewer = {name: value for name, value in limits.items() if name != "x-overflow"}
    wrong: list[tuple[str, FieldTable, str]] = [
        ("x-max-length", {**limits, "x-max-length": 6}, "'6' but current is '5'"),
        ("x-max-priority", {**limits, "x-max-priority": 4}, "'4' but current is '3'"),
        ("x-overflow", {**limits, "x-overflow": "reject-publish"}, "'reject-publish' but current is 'drop-head'"),
        ("x-overflow", fewer, "none but current is the value 'drop-head' of type 'longstr'"),
        (
            "x-max-length-bytes",
            {**limits, "x-max-length-bytes": 5},
            "the value '5' of type 'signedint' but current is none",
        ),
        (
            "x-single-active-consumer",
            {**limits, "x-single-active-consumer": True},
            "the value 'true' of type 'bool' but current is none",
        ),
    ]
    for number, (blamed, arguments, received) in enumerate(wrong, 2):
        channel = channel.connection.channel(number)
        channel.send(amqp.QueueDeclare(queue=queue, arguments=arguments))
        text = f"inequivalent arg '{blamed}' for queue '{queue}' in vhost '{rabbit.vhost}': received {received}"
        channel.expect_close(406, text, (50, 10))

"""The arguments a queue is declared with, and how wrong ones are refused (QUEUE-ARG, QARG-M)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from hutch.conformance.case import case
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import (
    ByteArray,
    FieldTable,
    FieldValue,
    Float32,
    Int8,
    Int16,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)

_INTEGERS: tuple[FieldValue, ...] = (5, Int8(5), UInt8(5), Int16(5), UInt16(5), UInt32(5), Int64(5), UInt64(5))
_OTHERS: dict[str, FieldValue] = {
    "longstr": "1",
    "double": 1.5,
    "float": Float32(1.5),
    "bool": True,
    "void": None,
    "timestamp": datetime(2020, 1, 1),
    "decimal": Decimal("0.5"),
    "array": [1],
    "table": {"a": 1},
    "binary": ByteArray(b"1"),
}


def _accepted(rabbit: Rabbit, tables: Iterable[FieldTable]) -> None:
    channel = rabbit.raw().channel()
    for arguments in tables:
        channel.call(amqp.QueueDeclare(queue=rabbit.name(), durable=True, arguments=arguments))


def _refused(rabbit: Rabbit, refusals: Iterable[tuple[FieldTable, str]]) -> None:
    """Each declaration must close its channel; ``<>`` in the text stands for ``queue 'Q' in vhost 'V'``."""
    raw = rabbit.raw()
    for number, (arguments, text) in enumerate(refusals, 1):
        channel = raw.channel(number)
        queue = rabbit.name()
        channel.send(amqp.QueueDeclare(queue=queue, durable=True, arguments=arguments))
        channel.expect_close(406, text.replace("<>", f"queue '{queue}' in vhost '{rabbit.vhost}'"), (50, 10))


@case("QUEUE-ARG-04", "QARG-M009", "QARG-M031")
def integers_of_every_width(rabbit: Rabbit) -> None:
    """Where an argument is an integer, every width of integer will do."""
    for argument in ("x-message-ttl", "x-expires"):
        _accepted(rabbit, ({argument: value} for value in _INTEGERS))


@case("QUEUE-ARG-04", "QUEUE-ARG-01", "QARG-M004", "QARG-M026")
def other_types_for_integers(rabbit: Rabbit) -> None:
    """Where an argument is an integer, every other type is refused, and named."""
    for argument in ("x-message-ttl", "x-expires"):
        _refused(
            rabbit,
            (
                ({argument: value}, f"invalid arg '{argument}' for <>: \"expected integer, got {kind}\"")
                for kind, value in _OTHERS.items()
            ),
        )


@case("QUEUE-ARG-05", "QARG-M003", "QARG-M025")
def negative_integers(rabbit: Rabbit) -> None:
    """A negative time is refused."""
    _refused(
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
    _accepted(rabbit, [{"x-message-ttl": 0}])
    _refused(rabbit, [({"x-expires": 0}, "invalid arg 'x-expires' for <>: {value_zero,0}")])


@case("QUEUE-ARG-07", "QARG-M017", "QARG-M018")
def the_longest_time(rabbit: Rabbit) -> None:
    """Times go up to ten years of 365 days, in milliseconds."""
    longest = 315360000000
    _accepted(rabbit, [{"x-message-ttl": longest}, {"x-expires": longest}, {"x-message-ttl": 4294967296}])
    _refused(
        rabbit,
        [
            ({argument: longest + 1}, f"invalid arg '{argument}' for <>: {{value_too_large,{longest + 1}}}")
            for argument in ("x-message-ttl", "x-expires")
        ],
    )


@case("QUEUE-ARG-09", "QARG-M113", "QARG-M114")
def dead_letter_exchange_of_another_type(rabbit: Rabbit) -> None:
    """A dead-letter exchange that is not a string is refused, in words of its own."""
    others: dict[str, FieldValue] = {"signedint": 5, **_OTHERS}
    del others["longstr"]
    _refused(
        rabbit,
        (
            ({"x-dead-letter-exchange": value}, f"invalid type '{kind}' for arg 'x-dead-letter-exchange' in <>")
            for kind, value in others.items()
        ),
    )


@case("QUEUE-ARG-10", "QARG-M111", "QARG-M112")
def dead_letter_exchange_that_is_missing(rabbit: Rabbit) -> None:
    """The dead-letter exchange need not exist, and may be the default one."""
    _accepted(rabbit, [{"x-dead-letter-exchange": "missing"}, {"x-dead-letter-exchange": ""}])


@case("QUEUE-ARG-11")
def dead_letter_routing_key(rabbit: Rabbit) -> None:
    """A dead-letter routing key must be a string and needs a dead-letter exchange; it may be empty."""
    dlx: FieldTable = {"x-dead-letter-exchange": "x"}
    _accepted(rabbit, [{**dlx, "x-dead-letter-routing-key": "k"}, {**dlx, "x-dead-letter-routing-key": ""}])
    where = "invalid arg 'x-dead-letter-routing-key' for <>"
    _refused(
        rabbit,
        [
            ({"x-dead-letter-routing-key": "k"}, f"{where}: routing_key_but_no_dlx_defined"),
            ({"x-dead-letter-routing-key": 5}, f"{where}: {{unacceptable_type,signedint}}"),
            ({**dlx, "x-dead-letter-routing-key": 5}, f"{where}: {{unacceptable_type,signedint}}"),
        ],
    )


@case("QUEUE-ARG-14")
def queue_types(rabbit: Rabbit) -> None:
    """An unknown queue type is refused."""
    where = "invalid arg 'x-queue-type' for <>"
    _refused(
        rabbit,
        [
            ({"x-queue-type": "bogus"}, f"{where}: \"unsupported queue type 'bogus'\""),
            ({"x-queue-type": 5}, f"{where}: {{unacceptable_type,signedint}}"),
        ],
    )


@case("QUEUE-ARG-22")
def arguments_without_a_meaning(rabbit: Rabbit) -> None:
    """Arguments that mean nothing to the broker are taken, whatever their values."""
    _accepted(
        rabbit,
        ({name: value} for name in ("foo", "x-bogus", "x-ha-policy") for value in (*_INTEGERS, *_OTHERS.values())),
    )

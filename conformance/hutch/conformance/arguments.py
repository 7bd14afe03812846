"""What the cases about the arguments of queues share: values of every type, and declarations one after the other."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

from hutch.conformance.rabbit import Rabbit
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
from hutch.wire.methods import QueueDeclare

#: The integer 5 in every width.
INTEGERS: Final[tuple[FieldValue, ...]] = (
    *(Int8(5), UInt8(5), Int16(5), UInt16(5)),
    *(5, UInt32(5), Int64(5), UInt64(5)),
)
#: One value of each non-integer type; the keys are the type names in reply texts.
OTHERS: Final[dict[str, FieldValue]] = {
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


def matrix(*spans: int | tuple[int, int]) -> list[str]:
    """The ids of rows of the catalogue's matrix of x-arguments: single ones, and spans by their first and last."""
    ends = [(span, span) if isinstance(span, int) else span for span in spans]
    return [f"QARG-M{row:03}" for first, last in ends for row in range(first, last + 1)]


def expect_accepted(rabbit: Rabbit, tables: Iterable[FieldTable], *, durable: bool = True) -> None:
    """A new queue must be declared with each of these tables of arguments."""
    channel = rabbit.raw().channel()
    for arguments in tables:
        channel.call(QueueDeclare(queue=rabbit.name(), durable=durable, arguments=arguments))


def expect_refused(rabbit: Rabbit, refusals: Iterable[tuple[FieldTable, str]], *, durable: bool = True) -> None:
    """Each declaration must close its channel with 406; ``<>`` in the text stands for ``queue 'Q' in vhost 'V'``."""
    raw = rabbit.raw()
    for number, (arguments, text) in enumerate(refusals, 1):
        channel, queue = raw.channel(number), rabbit.name()
        channel.send(QueueDeclare(queue=queue, durable=durable, arguments=arguments))
        channel.expect_close(406, text.replace("<>", f"queue '{queue}' in vhost '{rabbit.vhost}'"), (50, 10))

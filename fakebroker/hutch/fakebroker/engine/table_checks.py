"""Field tables that can be read, and still are too much: for RabbitMQ, or for the emulator."""

import math
from typing import Final

from hutch.fakebroker.engine.errors import BrokerError, not_implemented
from hutch.wire.fields import FieldTable, FieldValue, Float32

_FLOATS: Final = frozenset({float, Float32})

#: The deepest nesting of tables and arrays. RabbitMQ accepts thousands of levels. Here recursion walks a value, even
#: when Python frees it, and Python limits recursion.
MAX_DEPTH: Final = 64


class NotFinite(ValueError):
    """A float that is infinite or not a number. Erlang has no such floats: RabbitMQ crashes when it reads one."""


def too_deep() -> BrokerError:
    """540 for a table that is nested too deeply."""
    return not_implemented(f"field table nested more than {MAX_DEPTH} levels deep")


def check_table(table: FieldTable) -> None:
    """Refuse a table that cannot be worked with; it was read from the wire, so it is made of dicts and lists.

    Raises:
        NotFinite: there is an infinite float in it, or one that is not a number.
        BrokerError: 540, it is nested too deeply.
    """
    level: list[FieldValue] = list(table.values())
    for _ in range(MAX_DEPTH):
        if not level:
            return
        below: list[FieldValue] = []
        for value in level:
            if type(value) is dict:
                below += value.values()
            elif type(value) is list:
                below += value
            elif type(value) in _FLOATS and not math.isfinite(value):  # type: ignore[arg-type]
                raise NotFinite(repr(value))
        level = below
    if level:
        raise too_deep()

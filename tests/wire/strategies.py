"""Hypothesis strategies for what is on the wire, and the settings that keep their tests quick and repeatable."""

import math
import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from hutch.wire.fields import FieldValue
from hutch.wire.methods import METHODS, Method
from hutch.wire.properties import PROPERTIES

#: For tests with very many parameters.
PER_CASE = settings(max_examples=settings().max_examples // 4)

short_strings = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("é€", max_size=85)
octets = st.integers(0, 0xFF)
shorts = st.integers(0, 0xFFFF)
longs = st.integers(0, 0xFFFFFFFF)
long_longs = st.integers(0, 0xFFFFFFFFFFFFFFFF)


# Field tables as bytes, value by value. None of this code uses the code under test.


def _sized(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _floats(code: str, width: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=width, max_size=width).filter(lambda raw: not math.isnan(*struct.unpack(code, raw)))


SCALAR_BYTES: Mapping[str, st.SearchStrategy[bytes]] = {
    "t": st.sampled_from([b"\0", b"\1"]),
    "b": st.binary(min_size=1, max_size=1),
    "B": st.binary(min_size=1, max_size=1),
    "s": st.binary(min_size=2, max_size=2),
    "u": st.binary(min_size=2, max_size=2),
    "I": st.binary(min_size=4, max_size=4),
    "i": st.binary(min_size=4, max_size=4),
    "l": st.binary(min_size=8, max_size=8),
    "L": st.binary(min_size=8, max_size=8),
    "f": _floats(">f", 4),
    "d": _floats(">d", 8),
    "D": st.binary(min_size=5, max_size=5),
    "S": (st.binary(max_size=20) | st.text(max_size=10).map(lambda text: text.encode(errors="replace"))).map(_sized),
    "x": st.binary(max_size=20).map(_sized),
    "T": st.integers(0, 1 << 38).map(lambda seconds: struct.pack(">Q", seconds)) | st.binary(min_size=8, max_size=8),
    "V": st.just(b""),
}


def _tagged(tag: str) -> Callable[[bytes], bytes]:
    return lambda content: tag.encode() + content


def table_bytes_of(
    values: st.SearchStrategy[bytes],
    keys: st.SearchStrategy[bytes] = st.binary(max_size=12),  # noqa: B008  (a strategy is never changed)
) -> st.SearchStrategy[bytes]:
    """Field tables, length first, whose values (tag first) are drawn from ``values``."""
    return st.dictionaries(keys, values, max_size=4).map(
        lambda table: _sized(b"".join(bytes((len(key),)) + key + value for key, value in table.items()))
    )


def _nested(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    arrays = st.lists(values, max_size=4).map(lambda items: _sized(b"".join(items)))
    return table_bytes_of(values).map(_tagged("F")) | arrays.map(_tagged("A"))


scalar_bytes = st.one_of([content.map(_tagged(tag)) for tag, content in SCALAR_BYTES.items()])
value_bytes = st.recursive(scalar_bytes, _nested, max_leaves=8)
table_bytes = table_bytes_of(value_bytes)


# Field tables as Python values, as users write them.

scalar_values: st.SearchStrategy[FieldValue] = (
    st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-20000, max_value=20000, places=4)
    | st.datetimes(min_value=datetime(1970, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
    | st.none()
)
tables: st.SearchStrategy[dict[str, FieldValue]] = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.recursive(
        scalar_values,
        lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text("abc", max_size=4), values, max_size=4),
        max_leaves=8,
    ),
    max_size=4,
)


# Methods and properties.

BY_KIND: Mapping[str, st.SearchStrategy[Any]] = {
    "octet": octets,
    "short": shorts,
    "long": longs,
    "longlong": long_longs,
    "bit": st.booleans(),
    "shortstr": short_strings,
    "longstr": st.binary(max_size=40),
    "table": tables,
    "timestamp": long_longs,
}


def kinds_of(method: type[Method]) -> dict[str, str]:
    """The wire type of each field of a method, in wire order."""
    return {name: hint.__metadata__[0] for name, hint in method.__annotations__.items()}


def methods_of(method: type[Method], by_kind: Mapping[str, st.SearchStrategy[Any]] = BY_KIND) -> st.SearchStrategy[Any]:
    """Instances of one method; ``by_kind`` draws its fields."""
    return st.builds(method, **{name: by_kind[kind] for name, kind in kinds_of(method).items()})


every_method = st.one_of([methods_of(method) for method in METHODS.values()])


def properties_of(by_kind: Mapping[str, st.SearchStrategy[Any]] = BY_KIND) -> st.SearchStrategy[dict[str, Any]]:
    """Basic properties by name, each present or not."""
    return st.fixed_dictionaries({}, optional={name: by_kind[kind] for name, _, kind in PROPERTIES})

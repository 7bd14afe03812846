"""Arguments by py-amqp's letters: the same bytes as py-amqp's, and the same values back."""

from datetime import datetime
from typing import Any

import amqp.serialization
import amqp.spec
import pytest

import hutch.client.spec
from hutch.client import FrameSyntaxError
from hutch.client.serialization import dumps, loads

#: Format letters and values that both clients write and read alike.
ALIKE: list[tuple[str, tuple[Any, ...]]] = [
    ("", ()),
    ("BsbbbbbF", (0, "q", True, False, True, False, True, {"a": 1, "b": "x"})),
    ("bbbbbbbbbbob", (True, False) * 5 + (7, True)),
    ("AT", ([1, "x", [True, None], {"z": 2.5}], datetime(2020, 1, 2, 3, 4, 5))),
    ("oBlLf", (255, 65535, 2**32 - 1, 2**64 - 1, 1.5)),
    ("sSx", ("é", "ü" * 200, b"\xff\x00")),
]


@pytest.mark.parametrize(("letters", "values"), ALIKE, ids=[letters or "nothing" for letters, _ in ALIKE])
def test_bytes_and_values_are_py_amqps(letters: str, values: tuple[Any, ...]) -> None:
    raw = dumps(letters, values)
    assert raw == amqp.serialization.dumps(letters, values)
    assert loads(letters, b"skip" + raw, 4) == (list(values), 4 + len(raw))
    assert amqp.serialization.loads(letters, raw, 0) == (list(values), len(raw))


def test_none_is_an_empty_string_table_or_array() -> None:
    raw = dumps("sSxFA", (None,) * 5)
    assert raw == amqp.serialization.dumps("sSxFA", (None,) * 5)
    assert loads("sSxFA", raw, 0) == (["", "", b"", {}, []], len(raw))


def test_a_string_may_be_given_as_bytes_and_what_is_no_utf_8_goes_back_as_it_came() -> None:
    raw = dumps("sS", (b"PLAIN", b"\xff"))
    values, _ = loads("sS", raw, 0)
    assert values[0] == "PLAIN"
    assert dumps("sS", values) == raw


@pytest.mark.parametrize(
    ("letters", "values", "why"),
    [
        ("b", (), "0 values for 1 letters"),
        ("b", (1, 2), "2 values for 1 letters"),
        ("q", (1,), "no such letter"),
        ("B", (65536,), "cannot be written as 'B'"),
        ("o", (-1,), "cannot be written as 'o'"),
        ("L", ("7",), "cannot be written as 'L'"),
        ("s", ("x" * 256,), "cannot be written as 's'"),
        ("s", (3,), "of type int"),
        ("S", (["x"],), "of type list"),
        ("F", ({"a": object()},), "'a': a value of type object"),
        ("F", ([1],), "of type list"),
        ("A", ("abc",), "of type str"),
        ("T", (3,), "of type int"),
    ],
)
def test_what_cannot_be_written(letters: str, values: tuple[Any, ...], why: str) -> None:
    with pytest.raises(FrameSyntaxError, match=why):
        dumps(letters, values)


@pytest.mark.parametrize(
    ("letters", "raw"),
    [
        ("b", b""),
        ("o", b""),
        ("B", b"\0"),
        ("s", b"\x05ab"),
        ("S", b"\0\0"),
        ("F", b"\0\0\0\x01"),
        ("F", b"\0"),
        ("A", b"\0\0\0\x09"),
        ("A", b"\0\0\0\x01?"),
        ("T", b"1234567"),
        ("q", b"x"),
    ],
)
def test_what_cannot_be_read(letters: str, raw: bytes) -> None:
    with pytest.raises(FrameSyntaxError, match=f"no '{letters}' can be read"):
        loads(letters, raw, 0)


@pytest.mark.parametrize("name", ["Connection", "Channel", "Exchange", "Queue", "Basic", "Confirm", "Tx"])
def test_the_ids_of_methods_are_py_amqps(name: str) -> None:
    theirs = {key: value for key, value in vars(getattr(amqp.spec, name)).items() if not key.startswith("_")}
    mine = vars(getattr(hutch.client.spec, name))
    assert {key: mine.get(key) for key in theirs} == theirs

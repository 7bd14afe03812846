"""The public names and signatures, compared with py-amqp's."""

import inspect
from typing import Any

import amqp
import amqp.sasl
import pytest

import hutch.client
import hutch.client.sasl

#: Parameters of py-amqp that this client leaves out everywhere, with the reason.
DROPPED_PARAMETERS = {
    "argsig": "the wire types of a method's fields are declared with the method",
}

#: Parameters that py-amqp lacks, with the reason.
ADDED_PARAMETERS = {
    "Connection": {"transport": "connects to something else than a TCP port"},
}

#: Signatures that differ in another way, with the reason.
DIFFERENT = {
    "Channel.basic_publish_confirm": "spelled out; py-amqp's takes *args and **kwargs and hands them to basic_publish",
}

CLASSES = ["Connection", "Channel", "Message"]


INSTANCES = {
    "Connection": (hutch.client.Connection(), amqp.Connection()),
    "Channel": (hutch.client.Channel(hutch.client.Connection()), amqp.Channel(amqp.Connection())),
    "Message": (hutch.client.Message(), amqp.Message()),
}


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def shape(function: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults of the parameters; a default that is a function by its name."""
    return [
        (parameter.name, parameter.kind, getattr(parameter.default, "__name__", parameter.default))
        for parameter in inspect.signature(function).parameters.values()
    ]


METHODS = [
    f"{name}.{method}"
    for name in CLASSES
    for method in ["__init__", "__enter__", *sorted(public(getattr(hutch.client, name)))]
    if callable(getattr(getattr(hutch.client, name), method, None))
    and callable(getattr(getattr(amqp, name), method, None))
    and method != "Channel"
]


@pytest.mark.parametrize("qualified", METHODS)
def test_signatures_are_py_amqps(qualified: str) -> None:
    name, method = qualified.split(".")
    mine = shape(getattr(getattr(hutch.client, name), method))
    theirs = shape(getattr(getattr(amqp, name), method))
    if qualified in DIFFERENT:
        assert mine != theirs, "no difference to be excused"
        return
    added = ADDED_PARAMETERS.get(name, {}) if method == "__init__" else {}
    if qualified != "Message.__init__":
        theirs = [parameter for parameter in theirs if parameter[0] not in DROPPED_PARAMETERS]
    assert [parameter for parameter in mine if parameter[0] not in added] == theirs


def test_unknown_keywords_are_ignored_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"^Connection ignores .*\) colour, taste, as py-amqp"):
        connection = hutch.client.Connection("localhost:1", colour="red", insist=True, taste="salty")  # type: ignore[arg-type]
    with pytest.warns(DeprecationWarning, match=r"^Connection\.Transport ignores .* colour, as py-amqp"):
        connection.Transport("localhost:1", 1.0, colour="red")  # type: ignore[arg-type]


def test_the_class_asks_for_no_heartbeat() -> None:
    assert hutch.client.Connection.client_heartbeat is amqp.Connection.client_heartbeat is None


def test_publishing_with_confirm_takes_what_publishing_takes() -> None:
    assert shape(hutch.client.Channel.basic_publish_confirm) == shape(hutch.client.Channel.basic_publish)


@pytest.mark.parametrize("name", CLASSES)
def test_no_public_name_is_missing(name: str) -> None:
    mine, theirs = INSTANCES[name]
    assert [attribute for attribute in sorted(public(theirs) - public(mine)) if not hasattr(mine, attribute)] == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN", "EXTERNAL", "GSSAPI", "RAW"])
def test_mechanisms(mechanism: str) -> None:
    mine, theirs = getattr(hutch.client.sasl, mechanism), getattr(amqp.sasl, mechanism)
    assert shape(mine.__init__) == shape(theirs.__init__)
    if mechanism == "GSSAPI":  # if the library is not installed, py-amqp uses a stand-in class
        theirs = amqp.sasl.SASL
    assert shape(mine.start) == shape(theirs.start)


def test_top_level_names() -> None:
    missing = {name for name in amqp.__all__ if not hasattr(hutch.client, name)}
    assert not missing


def test_answers_are_named_alike() -> None:
    from amqp.protocol import queue_declare_ok_t  # noqa: PLC0415

    assert hutch.client.queue_declare_ok_t._fields == queue_declare_ok_t._fields

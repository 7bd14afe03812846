"""The same program through kombu's ``pyamqp`` and through this client: it sees the same."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from queue import Empty
from typing import Any

import amqp
import kombu
import pytest
from kombu.common import maybe_declare
from kombu.transport import pyamqp

import hutch.client
import hutch.client.kombu as seat
from tests.client.api.admin import eventually
from tests.kombu.steps import drain_until, tcp_url, url
from tests.targets import PATIENCE, Target

NAME = "same"  # name of everything that the programs declare: it is exclusive, or deleted when they end
HEADERS = {
    "text": "ümlaut",
    "bytes": b"\xff",
    "int": -5,
    "big": 1 << 40,
    "float": 1.5,
    "true": True,
    "none": None,
    "decimal": Decimal("1.25"),
    "time": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    "list": [1, "a", {"x": None}],
    "table": {"nested": {"deep": 1}},
}


def told(error: BaseException) -> dict[str, Any]:
    """What a program can see of an error."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return {
        "class": names[: names.index("AMQPError") + 1] if "AMQPError" in names else names[0],
        "code": getattr(error, "code", None),
        "reply_code": getattr(error, "reply_code", None),
        "reply_text": getattr(error, "reply_text", None),
        "method_sig": getattr(error, "method_sig", None),
        "method_name": getattr(error, "method_name", None),
        "text": str(error),
    }


def kinds(connection: kombu.Connection, error: BaseException) -> list[str]:
    """Which of kombu's kinds an error is."""
    names = ["connection_errors", "channel_errors", "recoverable_connection_errors", "recoverable_channel_errors"]
    return [name for name in names if isinstance(error, getattr(connection, name))]


def failure(connection: kombu.Connection, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """How a call fails."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return told(error), kinds(connection, error)


def seen(message: kombu.Message) -> dict[str, Any]:
    """What a program can see of a message."""
    info = {key: value for key, value in message.delivery_info.items() if key != "consumer_tag"}
    return {
        "body": message.body,
        "payload": message.payload,
        "headers": message.headers,
        "properties": message.properties,
        "info": info,
        "keys": list(message.delivery_info),
        "type": message.content_type,
        "encoding": message.content_encoding,
        "tag": message.delivery_tag,
        "errors": message.errors,
        "acknowledged": message.acknowledged,
        "accept": message.accept,
        "state": repr(message).partition(" with details ")[2],
    }


def queue(connection: kombu.Connection, **options: Any) -> kombu.Queue:
    """A queue of the program's own."""
    bound = kombu.Queue(NAME, exclusive=True, **options)(connection.default_channel)
    bound.declare()
    return bound


def consuming(connection: kombu.Connection) -> list[Any]:
    bound = queue(connection)
    got: list[Any] = []

    def on_message(message: kombu.Message) -> None:
        got.append(seen(message))
        message.ack()
        got.append(message.acknowledged)

    producer = connection.Producer(routing_key=NAME)
    producer.publish({"a": [1, None]}, headers=HEADERS, priority=3, expiration=60, correlation_id="c", reply_to="r")
    producer.publish("ümlaut", compression="gzip", delivery_mode=1, timestamp=1714953600)
    producer.publish(
        b"\x00\xff", content_type="application/data", message_id="m", type="t", app_id="app", user_id="guest"
    )
    producer.publish("täxt", content_type="text/plain", content_encoding="latin-1")
    producer.publish("", serializer="raw")
    connection.default_channel.basic_publish(connection.default_channel.prepare_message(b"bare"), routing_key=NAME)
    with connection.Consumer(bound, on_message=on_message, accept=["json", "text/plain"]):
        drain_until(connection, lambda: len(got) == 12)
    return got


def fetching(connection: kombu.Connection) -> list[Any]:
    bound = queue(connection)
    connection.Producer().publish([1], routing_key=NAME, headers={"h": 1})
    connection.Producer().publish([2], routing_key=NAME)
    bound.queue_declare(passive=True)
    first = bound.get(accept=["json"])
    observed = [seen(first)]
    first.requeue()
    bound.queue_declare(passive=True)
    again = bound.get()
    observed += [seen(again), again.reject(), again.acknowledged, failure(connection, again.ack)]
    return [*observed, seen(bound.get(no_ack=True)), bound.get()]


def declaring(connection: kombu.Connection) -> list[Any]:
    bound = queue(connection, max_length=2, expires=60)
    channel = connection.default_channel
    declare = bound.queue_declare
    observed: list[Any] = [
        tuple(declare(passive=True)),
        type(declare(passive=True))._fields,
        failure(connection, kombu.Queue(NAME, exclusive=True, max_length=3, expires=60)(channel).declare),
        failure(connection, kombu.Queue(f"{NAME}-missing")(channel).queue_declare, passive=True),
        failure(connection, kombu.Exchange(f"{NAME}-missing")(channel).declare, passive=True),
        failure(connection, kombu.Exchange("amq.direct", type="fanout")(channel).declare),
        failure(connection, bound.bind_to, kombu.Exchange(f"{NAME}-missing"), "key"),
        failure(connection, channel.basic_consume, f"{NAME}-missing"),
        channel.is_open,
    ]
    observed += [maybe_declare(bound, channel), len(connection.declared_entities)]
    for change in (bound.bind_to, bound.unbind_from):
        change(kombu.Exchange("amq.direct"), "key")
    return [*observed, bound.purge(), bound.delete()]


def publishing(connection: kombu.Connection) -> list[Any]:
    returned: list[Any] = []

    def on_return(error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        returned.append((told(error), exchange, routing_key, message.body, message.properties))

    connection.Producer(on_return=on_return).publish([1], routing_key=f"{NAME}-no", mandatory=True, headers={"h": 1})
    drain_until(connection, lambda: returned)
    connection.Producer().publish([1], exchange=f"{NAME}-missing")
    return [returned, failure(connection, connection.drain_events, timeout=PATIENCE)]


def simple(connection: kombu.Connection) -> list[Any]:
    simple = connection.SimpleQueue(queue(connection))
    observed: list[Any] = [simple.qsize(), bool(simple)]
    simple.put({"a": 1}, headers={"h": 1}, compression="bzip2", routing_key=NAME)
    message = simple.get(timeout=PATIENCE)
    message.ack()
    observed.append(seen(message))
    try:
        simple.get(timeout=0.01)
    except Empty as empty:
        observed.append(type(empty))
    simple.close()
    return observed


def ending_of_a_consumer(connection: kombu.Connection) -> list[Any]:
    bound = queue(connection)
    ended: list[str] = []
    bound.consume("tag", callback=lambda _: None, on_cancel=ended.append)
    bound.delete()
    while not ended:
        connection.drain_events(timeout=PATIENCE)
    return ended


def the_connection(connection: kombu.Connection) -> list[Any]:
    opened = connection.connect()
    info = {key: value for key, value in connection.info().items() if key not in {"transport", "hostname", "port"}}
    return [
        connection.qos_semantics_matches_spec,
        connection.supports_heartbeats,
        connection.get_heartbeat_interval(),
        opened.frame_max,
        opened.channel_max,
        opened.server_properties["product"],
        connection.transport.driver_type,
        connection.transport.implements.exchange_type,
        connection.connected,
        {key: value for key, value in info.items() if key not in {"transport_options", "ssl"}},
        connection.default_channel.channel_id,
        [connection.channel().channel_id for _ in range(2)],
    ]


def the_end(connection: kombu.Connection) -> list[Any]:
    channel = connection.channel()
    channel.close()
    channel.close()
    observed = [channel.connection]
    observed.append(failure(connection, channel.basic_publish, channel.prepare_message("x"), routing_key=NAME)[1])
    connection.release()
    observed += [connection.connected, connection.connection]
    connection.connect()
    return [*observed, connection.connected]


PROGRAMS = [
    consuming,
    fetching,
    declaring,
    publishing,
    simple,
    ending_of_a_consumer,
    the_connection,
    the_end,
]


def has_no_queue(target: Target) -> bool | None:
    """Whether the queue is gone. A live broker deletes it a moment after its connection has ended."""
    with target.connect() as connection:
        try:
            connection.channel().queue_declare(NAME, passive=True)
        except hutch.client.NotFound:
            return True
        except hutch.client.ResourceLocked:
            return None
    return None


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_same_program_sees_the_same(target: Target, program: Callable[[kombu.Connection], list[Any]]) -> None:
    observations = []
    for address, transport, ssl in (
        (tcp_url(target, "pyamqp://"), pyamqp.Transport, False),
        (url(target), seat.Transport, target.parameters.get("ssl", False)),
    ):
        with kombu.Connection(address, heartbeat=30, ssl=ssl) as connection:
            connection.connect()
            assert isinstance(connection.transport, transport)
            observations.append(program(connection))
        eventually(lambda: has_no_queue(target), "the end of the queue")
    through_pyamqp, through_hutch = observations
    assert through_hutch == through_pyamqp


@pytest.mark.parametrize("refusal", ["password", "virtual host"])
def test_the_same_refusals(target: Target, refusal: str) -> None:
    observations = []
    for address, ssl in ((tcp_url(target, "pyamqp://"), False), (url(target), target.parameters.get("ssl", False))):
        wrong = address.replace(":guest@", ":wrong@") if refusal == "password" else address.rpartition("/")[0] + "/no"
        with kombu.Connection(wrong, ssl=ssl) as connection:
            error, kind = failure(connection, connection.connect)
            observations.append([error["class"], error["reply_code"], error["reply_text"], kind])
    assert observations[1] == observations[0]


def shapes(kind: type, base: type) -> dict[str, Any]:
    """The public names that a class has beyond ``base``, with the parameters of what can be called."""

    def shape(name: str) -> Any:
        thing = getattr(kind, name)
        if not inspect.isfunction(thing):
            return None
        return [(each.name, each.kind) for each in inspect.signature(thing).parameters.values()]

    public = {name for name in dir(kind) if not name.startswith("_")}
    return {name: shape(name) for name in public - set(dir(base))} | {"__init__": shape("__init__")}


@pytest.mark.parametrize(
    ("mine", "theirs", "my_base", "their_base"),
    [
        (seat.Transport, pyamqp.Transport, object, object),
        (seat.SSLTransport, pyamqp.SSLTransport, object, object),
        (seat.Message, pyamqp.Message, object, object),
        (seat.Channel, pyamqp.Channel, hutch.client.Channel, amqp.Channel),
    ],
    ids=["Transport", "SSLTransport", "Message", "Channel"],
)
def test_names_and_parameters_are_pyamqps(mine: type, theirs: type, my_base: type, their_base: type) -> None:
    assert shapes(mine, my_base) == shapes(theirs, their_base)

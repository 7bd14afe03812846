"""Producers: what they send, and how they go about errors."""

import time
from typing import Any

import kombu
import pytest
from kombu.exceptions import OperationalError

from hutch.client import NotFound
from tests.client.api.admin import eventually
from tests.kombu.steps import connect, drain_until, end, sever
from tests.targets import PATIENCE, Target


def published(channel: Any, queue: kombu.Queue, body: Any = "x", **options: Any) -> Any:
    """What arrives of a publish to ``queue``."""
    options.setdefault("routing_key", queue.name)
    channel.Producer().publish(body, **options)
    message = eventually(lambda: queue.get(no_ack=True, accept=["json", "pickle", "text/plain"]), "it")
    assert isinstance(message, kombu.Message)
    return message


@pytest.mark.parametrize("serializer", ["json", "pickle", "raw"])
def test_serializers(channel: Any, queue: kombu.Queue, serializer: str) -> None:
    body: Any = b"\x00\xff" if serializer == "raw" else {"name": "ümlaut", "numbers": [1, 2.5, None]}
    message = published(channel, queue, body, serializer=serializer)
    assert message.payload == body


@pytest.mark.parametrize("compression", ["gzip", "bzip2"])
def test_compression(channel: Any, queue: kombu.Queue, compression: str) -> None:
    message = published(channel, queue, ["long"] * 1000, compression=compression)
    assert message.headers["compression"].startswith("application/x-")
    assert message.payload == ["long"] * 1000
    assert message.content_encoding == "utf-8"


def test_properties(channel: Any, queue: kombu.Queue) -> None:
    message = published(
        channel,
        queue,
        headers={"text": "ü", "number": -1, "none": None, "nested": {"list": [True, 1.5]}},
        priority=7,
        expiration=12.5,
        delivery_mode="transient",
        correlation_id="c",
        reply_to="r",
        message_id="m",
        app_id="a",
        type="t",
        timestamp=1700000000,
        user_id="guest",
    )
    assert message.headers == {"text": "ü", "number": -1, "none": None, "nested": {"list": [True, 1.5]}}
    properties = dict(message.properties)
    timestamp = properties.pop("timestamp")
    assert getattr(timestamp, "timestamp", lambda: timestamp)() == 1700000000
    assert properties == {
        "application_headers": message.headers,
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "priority": 7,
        "expiration": "12500",
        "delivery_mode": 1,
        "correlation_id": "c",
        "reply_to": "r",
        "message_id": "m",
        "app_id": "a",
        "type": "t",
        "user_id": "guest",
    }


def test_a_body_that_is_serialized_already(channel: Any, queue: kombu.Queue) -> None:
    message = published(channel, queue, "täxt", content_type="application/data", content_encoding="latin-1")
    assert (message.body, message.content_encoding) == ("täxt", "latin-1")
    message = published(channel, queue, b"\xff", content_type="application/data")
    assert (message.body, message.content_encoding, message.payload) == (b"\xff", "binary", b"\xff")


def test_large_bodies(channel: Any, queue: kombu.Queue) -> None:
    text = "0123456789" * 50_000
    assert published(channel, queue, text).payload == text


def test_declaring_what_is_published_to(channel: Any, target: Target, connection: kombu.Connection) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type="topic", durable=True)
    queue = kombu.Queue(target.name("queue"), exchange, "a.#", durable=True)
    producer = connection.Producer(exchange=exchange, routing_key="a.b", auto_declare=True)
    producer.publish("x", declare=[queue])
    bound = queue(channel)
    assert eventually(bound.get, "the message").payload == "x"
    assert bound.queue_declare(passive=True).queue == queue.name
    assert len(connection.declared_entities) == 2
    assert not producer.maybe_declare(queue)
    assert len(connection.declared_entities) == 2
    bound.delete()
    exchange(channel).delete()


def test_routing_by_exchange_and_key(channel: Any, queue: kombu.Queue, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type="direct", auto_delete=True)(channel)
    exchange.declare()
    queue.bind_to(exchange, "key")
    message = published(channel, queue, exchange=exchange, routing_key="key")
    assert message.delivery_info["exchange"] == exchange.name
    assert message.delivery_info["routing_key"] == "key"


def test_what_comes_back(connection: kombu.Connection, target: Target) -> None:
    returned: list[tuple[Any, ...]] = []
    channel = connection.default_channel
    producer = connection.Producer(on_return=lambda *args: returned.append(args))
    producer.publish({"a": 1}, routing_key=target.name("nowhere"), mandatory=True, correlation_id="7")
    drain_until(connection, lambda: returned)
    ((error, exchange, routing_key, message),) = returned
    assert "NO_ROUTE" in str(error)
    assert error.reply_code == 312
    assert (exchange, routing_key.partition("-")[0]) == ("", "nowhere")
    assert channel.message_to_python(message).payload == {"a": 1}
    assert message.properties["correlation_id"] == "7"


def test_confirms(target: Target) -> None:
    connection = connect(target, transport_options={"confirm_publish": True})
    channel = connection.default_channel
    queue = kombu.Queue(
        target.name("queue"), exclusive=True, max_length=1, queue_arguments={"x-overflow": "reject-publish"}
    )
    queue = queue(channel)
    queue.declare()
    producer = connection.Producer(routing_key=queue.name)
    producer.publish(1)
    # kombu counts a nack as an error after which a retry may help
    with pytest.raises(connection.recoverable_connection_errors) as nacked:
        producer.publish(2, confirm_timeout=PATIENCE)
    assert type(nacked.value).__name__ == "MessageNacked"
    with pytest.raises(NotFound, match="no exchange 'nowhere'"):
        producer.publish(3, exchange="nowhere")
    assert queue.get().payload == 1


def test_without_confirms_an_error_comes_later(connection: kombu.Connection) -> None:
    producer = connection.Producer()
    producer.publish("x", exchange="nowhere")
    with pytest.raises(NotFound, match="no exchange 'nowhere'"):
        connection.drain_events(timeout=PATIENCE)
    assert connection.default_channel.is_open  # the channel reopened itself


@pytest.mark.parametrize("how", ["ended", "severed"])
def test_retrying(connection: kombu.Connection, target: Target, how: str) -> None:
    queue = kombu.Queue(target.name("queue"), durable=True)
    target.cleanup.callback(lambda: queue(connection.default_channel).delete())
    producer = connection.Producer(routing_key=queue.name)
    producer.publish(1, declare=[queue])
    # after this answer, the first message has arrived
    assert queue(connection.default_channel).queue_declare(passive=True).queue
    first = connection.connection
    (end if how == "ended" else sever)(target, first)
    errors = []
    policy = {"max_retries": 3, "interval_start": 0, "errback": lambda error, _: errors.append(error)}
    deadline = time.monotonic() + PATIENCE
    number = 1
    while connection.connection is first and time.monotonic() < deadline:
        number += 1  # a publish may be lost until the client notices the end
        producer.publish(number, retry=True, retry_policy=policy, declare=[queue])
    assert errors
    assert connection.connection is not first
    bound = queue(connection.default_channel)
    bodies: list[int] = []

    def last_is_there() -> bool | None:
        while (message := bound.get(no_ack=True)) is not None:
            bodies.append(message.payload)
        return True if bodies and bodies[-1] == number else None

    eventually(last_is_there, f"message {number}")
    assert bodies[0] == 1


def test_giving_up(target: Target) -> None:
    connection = connect(target)
    producer = connection.Producer(routing_key="nowhere")
    producer.publish("x")
    sever(target, connection.connection)
    connection.collect()
    # no broker listens there, and no in-process broker has this name
    connection.hostname, connection.port = "127.0.0.1", 1
    with pytest.raises(OperationalError):
        producer.publish("x", retry=True, retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0})


def test_a_timeout(channel: Any, queue: kombu.Queue) -> None:
    assert published(channel, queue, timeout=PATIENCE).payload == "x"


def test_a_producer_of_a_channel_that_closed(connection: kombu.Connection) -> None:
    with connection.channel() as channel:
        producer = channel.Producer()
    with pytest.raises(connection.recoverable_connection_errors):
        producer.publish("x", routing_key="nowhere")


def test_reviving(connection: kombu.Connection, queue: kombu.Queue) -> None:
    with connection.channel() as channel:
        producer = kombu.Producer(channel, routing_key=queue.name)
    producer.revive(connection.default_channel)
    producer.publish("x")
    assert eventually(queue.get, "the message").payload == "x"

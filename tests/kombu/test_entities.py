"""Exchanges and queues as kombu declares them, and what it remembers of them."""

from typing import Any

import kombu
import pytest
from kombu.common import Broadcast, maybe_declare

from hutch.client import NotFound, PreconditionFailed
from tests.client.api.admin import eventually
from tests.kombu.steps import connect, drain_until
from tests.targets import Target


def test_an_exchange(channel: Any, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type="topic", durable=True, arguments={"x-note": "x"})(channel)
    with pytest.raises(NotFound):
        exchange.declare(passive=True)
    exchange.declare()
    exchange.declare(passive=True)
    with pytest.raises(PreconditionFailed, match="inequivalent arg 'type'"):
        kombu.Exchange(exchange.name, type="fanout", channel=channel).declare()
    exchange.delete()
    with pytest.raises(NotFound):
        exchange.declare(passive=True)
    exchange.delete()  # deleting a missing exchange succeeds


def test_an_exchange_that_is_used(channel: Any, queue: kombu.Queue, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type="direct")(channel)
    exchange.declare()
    queue.bind_to(exchange, "key")
    with pytest.raises(PreconditionFailed, match="in use"):
        exchange.delete(if_unused=True)
    queue.unbind_from(exchange, "key")
    exchange.delete(if_unused=True)


@pytest.mark.parametrize("kind", ["direct", "topic", "fanout", "headers"])
def test_types_of_exchanges(channel: Any, queue: kombu.Queue, target: Target, kind: str) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type=kind, auto_delete=True)(channel)
    exchange.declare()
    arguments = {"x-match": "all", "colour": "red"}
    key = "a.*" if kind == "topic" else "a.b"
    queue.bind_to(exchange, key, arguments=arguments if kind == "headers" else None)
    producer = kombu.Producer(channel, exchange, auto_declare=False)
    producer.publish("taken", routing_key="a.b", headers={"colour": "red"})
    producer.publish("left", routing_key="b", headers={"colour": "blue"})
    assert eventually(queue.get, "the message").payload == "taken"
    rest = queue.get()
    assert (rest and rest.payload) == ("left" if kind == "fanout" else None)


def test_binding_exchanges(channel: Any, queue: kombu.Queue, target: Target) -> None:
    source = kombu.Exchange(target.name("source"), type="fanout", auto_delete=True)(channel)
    middle = kombu.Exchange(target.name("middle"), type="direct", auto_delete=True)(channel)
    for exchange in (source, middle):
        exchange.declare()
    middle.bind_to(source, "any")
    queue.bind_to(middle, "key")
    kombu.Producer(channel, source, auto_declare=False).publish("x", routing_key="key")
    assert eventually(queue.get, "the message").payload == "x"
    middle.unbind_from(source, "any")


def test_publishing_by_an_exchange(channel: Any, queue: kombu.Queue, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), auto_delete=True)(channel)
    exchange.declare()
    queue.bind_to(exchange, "key")
    message = exchange.Message({"a": 1}, delivery_mode="transient", priority=2, headers={"h": 1})
    assert message.properties["delivery_mode"] == 1
    exchange.publish(exchange.Message("[1]", content_type="application/json"), routing_key="key")
    got = eventually(queue.get, "the message")
    assert (got.payload, got.properties["delivery_mode"]) == ([1], 2)


def test_a_queue(channel: Any, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type="direct")
    queue = kombu.Queue(target.name("queue"), exchange, "key", durable=True, max_length=3, expires=600)(channel)
    with pytest.raises(NotFound):
        queue.queue_declare(passive=True)
    assert queue.declare() == queue.name
    assert queue.queue_declare(passive=True) == (queue.name, 0, 0)
    with pytest.raises(PreconditionFailed, match="inequivalent arg 'x-max-length'"):
        kombu.Queue(queue.name, durable=True, max_length=4, expires=600, channel=channel).declare()
    producer = kombu.Producer(channel, exchange, "key", auto_declare=False)
    for number in range(3):
        producer.publish(number)
    assert eventually(lambda: queue.get(no_ack=True), "a message").payload == 0
    with pytest.raises(PreconditionFailed, match="not empty"):
        queue.delete(if_empty=True)
    assert queue.purge() == 2
    queue.unbind_from(exchange, "key")
    producer.publish("x")
    assert queue.get() is None
    queue.consume("tag", lambda _: None)
    with pytest.raises(PreconditionFailed, match="in use"):
        queue.delete(if_unused=True)
    queue.delete(if_empty=True)
    queue.delete()
    exchange(channel).delete()


def test_a_queue_that_the_broker_names(channel: Any) -> None:
    queue = kombu.Queue("", exclusive=True)(channel)
    queue.declare()
    assert queue.name.startswith("amq.gen-")
    assert queue.queue_declare(passive=True).queue == queue.name


def test_several_bindings(channel: Any, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), type="direct", auto_delete=True)
    bindings = [kombu.binding(exchange, key) for key in ("a", "b")]
    queue = kombu.Queue(target.name("queue"), bindings=bindings, exclusive=True)(channel)
    queue.declare()
    producer = kombu.Producer(channel, exchange)
    for key in ("a", "b", "c"):
        producer.publish(key, routing_key=key)
    assert [eventually(queue.get, "a message").payload for _ in range(2)] == ["a", "b"]
    assert queue.get() is None


def test_without_waiting(channel: Any, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), auto_delete=True)
    queue = kombu.Queue(target.name("queue"), exchange, "key", exclusive=True)(channel)
    exchange(channel).declare(nowait=True)
    queue.queue_declare(nowait=True)
    queue.queue_bind(nowait=True)
    kombu.Producer(channel, exchange, auto_declare=False).publish("x", routing_key="key")
    assert eventually(queue.get, "the message").payload == "x"
    queue.purge(nowait=True)
    queue.delete(nowait=True)
    with pytest.raises(NotFound):
        queue.queue_declare(passive=True)


def test_declaring_once(connection: kombu.Connection, channel: Any, target: Target) -> None:
    queue = kombu.Queue(target.name("queue"), durable=True)
    assert maybe_declare(queue, channel)
    assert not maybe_declare(queue, channel)
    queue(channel).delete()
    assert not maybe_declare(queue, channel)  # kombu does not know that the queue is deleted
    connection.collect()
    channel = connection.default_channel
    assert maybe_declare(queue, channel)  # on a new connection kombu declares again
    bound = queue(channel)
    assert bound.queue_declare(passive=True).queue == queue.name
    bound.delete()
    assert maybe_declare(kombu.Queue(target.name("queue"), exclusive=True), channel, retry=True, max_retries=1)


def test_a_closed_channel_declares_nothing(connection: kombu.Connection, target: Target) -> None:
    channel = connection.channel()
    channel.close()
    with pytest.raises(connection.recoverable_connection_errors):
        kombu.Queue(target.name("queue"), exclusive=True)(channel).declare()
    with pytest.raises((*connection.recoverable_connection_errors, *connection.channel_errors)):
        maybe_declare(kombu.Queue(target.name("queue"), exclusive=True), channel)


def test_broadcast(connection: kombu.Connection, target: Target) -> None:
    name = target.name("broadcast")
    got: list[str] = []
    exchange = kombu.Exchange(name, type="fanout", auto_delete=True)
    consumers = [
        connection.Consumer(
            Broadcast(name, unique=True, exclusive=True, exchange=exchange),
            on_message=lambda _, who=who: got.append(who),
            no_ack=True,
        )
        for who in ("first", "second")
    ]
    for consumer in consumers:
        consumer.consume()
    connection.Producer(exchange=exchange).publish("x")
    drain_until(connection, lambda: len(got) == 2)
    assert sorted(got) == ["first", "second"]


def test_dead_letters(connection: kombu.Connection, channel: Any, queue: kombu.Queue, target: Target) -> None:
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue.name}
    source = kombu.Queue(target.name("source"), exclusive=True, queue_arguments=arguments)(channel)
    source.declare()
    kombu.Producer(channel).publish("x", routing_key=source.name)
    eventually(source.get, "the message").reject()
    message = eventually(queue.get, "the dead letter")
    (death,) = message.headers["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == (source.name, "rejected", 1)


def test_a_queue_of_another_connection(queue: kombu.Queue, target: Target) -> None:
    other = connect(target)
    with pytest.raises(other.recoverable_channel_errors, match="cannot obtain exclusive access"):
        queue(other.default_channel).declare()

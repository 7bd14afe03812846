"""Consumers: what they hand on, how many at a time, and how they end."""

from typing import Any

import kombu
import pytest
from kombu.exceptions import ContentDisallowed, DecodeError

from hutch.client import ConsumerCancelled
from tests.client.api.admin import eventually
from tests.kombu.steps import connect, drain_until
from tests.targets import PATIENCE, Target


def publish(connection: kombu.Connection, queue: kombu.Queue, *bodies: Any, **options: Any) -> None:
    """Publish to a queue, and return once they are there."""
    producer = connection.Producer(routing_key=queue.name)
    for body in bodies:
        producer.publish(body, **options)
    queue.queue_declare(passive=True)


def test_callbacks(connection: kombu.Connection, queue: kombu.Queue) -> None:
    first: list[Any] = []
    second: list[Any] = []
    consumer = connection.Consumer(queue, callbacks=[lambda body, _: first.append(body)])

    def acknowledge(_body: Any, message: kombu.Message) -> None:
        second.append(message)
        message.ack()

    consumer.register_callback(acknowledge)
    publish(connection, queue, "a", ["b"])
    with consumer:
        assert consumer.consuming_from(queue)
        drain_until(connection, lambda: len(second) == 2)
    assert not consumer.consuming_from(queue)
    assert first == ["a", ["b"]]
    assert [message.payload for message in second] == first
    assert second[0].delivery_info == {
        "consumer_tag": second[0].delivery_info["consumer_tag"],
        "delivery_tag": 1,
        "redelivered": False,
        "exchange": "",
        "routing_key": queue.name,
    }
    assert all(message.acknowledged for message in second)


def test_on_message_gets_what_is_not_decoded(connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[kombu.Message] = []
    publish(connection, queue, {1}, serializer="pickle")
    with connection.Consumer(queue, on_message=got.append, accept=["pickle"]):
        drain_until(connection, lambda: got)
    assert got[0].content_type == "application/x-python-serialize"
    assert got[0].payload == {1}


def test_what_is_not_accepted(connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[Any] = []
    publish(connection, queue, {1}, serializer="pickle")
    publish(connection, queue, ["x"])
    with connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], accept=["json"]):
        with pytest.raises(ContentDisallowed, match="pickle"):
            connection.drain_events(timeout=PATIENCE)
        drain_until(connection, lambda: got)
    assert got == [["x"]]


def test_decode_errors(connection: kombu.Connection, queue: kombu.Queue) -> None:
    failed: list[Any] = []
    publish(connection, queue, "{", content_type="application/json")
    consumer = connection.Consumer(queue, callbacks=[pytest.fail], on_decode_error=lambda *args: failed.append(args))
    with consumer:
        drain_until(connection, lambda: failed)
    ((message, error),) = failed
    assert message.body == "{"
    assert isinstance(error, DecodeError)


def test_no_ack(connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[kombu.Message] = []
    publish(connection, queue, "a", "b")
    with connection.Consumer(queue, on_message=got.append, no_ack=True):
        drain_until(connection, lambda: len(got) == 2)
        got[0].ack()  # kombu knows that the message needs no acknowledgement
        assert not got[0].acknowledged
        assert queue.queue_declare(passive=True).message_count == 0


def test_prefetch(connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[kombu.Message] = []
    publish(connection, queue, *range(5))
    with connection.Consumer(queue, on_message=got.append, prefetch_count=2) as consumer:
        drain_until(connection, lambda: len(got) == 2)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        got[1].ack(multiple=True)
        drain_until(connection, lambda: len(got) == 4)
        consumer.qos(prefetch_count=10)
        consumer.recover(requeue=True)
    assert [message.payload for message in got[:4]] == [0, 1, 2, 3]


def test_declaring(connection: kombu.Connection, target: Target) -> None:
    exchange = kombu.Exchange(target.name("exchange"), auto_delete=True)
    queue = kombu.Queue(target.name("queue"), exchange, "key", exclusive=True)
    other = kombu.Queue(target.name("other"), exchange, "key", exclusive=True)
    got: list[Any] = []
    consumer = connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True)
    consumer.add_queue(other)
    with consumer:
        connection.Producer(exchange=exchange, routing_key="key").publish("x")
        drain_until(connection, lambda: len(got) == 2)
        consumer.cancel_by_queue(other)
        connection.Producer(exchange=exchange, routing_key="key").publish("y")
        drain_until(connection, lambda: len(got) == 3)
    assert got == ["x", "x", "y"]
    undeclared = connection.Consumer(kombu.Queue(target.name("undeclared")), auto_declare=False, callbacks=[])
    with pytest.raises(connection.channel_errors, match="no queue 'undeclared"):
        undeclared.consume()


def test_purging(connection: kombu.Connection, queue: kombu.Queue) -> None:
    publish(connection, queue, 1, 2, 3)
    consumer = connection.Consumer(queue, callbacks=[])
    assert eventually(lambda: consumer.purge() or None, "what is to be purged") <= 3
    assert queue.get() is None


@pytest.mark.parametrize("told", [True, False])
def test_when_the_broker_ends_the_consumer(connection: kombu.Connection, queue: kombu.Queue, told: bool) -> None:
    ended: list[str] = []
    on_cancel = ended.append if told else None
    queue.consume("tag", callback=lambda _: None, on_cancel=on_cancel)

    def delete() -> None:
        queue.delete()
        drain_until(connection, lambda: ended)

    if told:
        delete()
        assert ended == ["tag"]
    else:
        with pytest.raises(connection.recoverable_connection_errors, match="tag") as cancelled:
            delete()
        assert type(cancelled.value) is ConsumerCancelled


def test_cancelling(connection: kombu.Connection, target: Target) -> None:
    got: list[Any] = []
    queue = kombu.Queue(target.name("queue"), durable=True)(connection.default_channel)
    queue.declare()
    target.cleanup.callback(queue.delete)
    consumer = connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True)
    consumer.consume()
    consumer.consume()  # has no further effect
    assert queue.queue_declare(passive=True).consumer_count == 1
    consumer.cancel()
    assert queue.queue_declare(passive=True).consumer_count == 0
    publish(connection, queue, "x")
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.1)
    assert got == []


def test_a_callback_that_asks_the_broker(connection: kombu.Connection, queue: kombu.Queue, target: Target) -> None:
    """Deliveries that come while a callback waits for its answer are handed on after it."""
    running: list[int] = []
    order: list[tuple[str, int]] = []

    def callback(body: int, message: kombu.Message) -> None:
        assert not running
        running.append(body)
        order.append(("begins", body))
        connection.default_channel.queue_declare(target.name("asked"), exclusive=True)
        message.ack()
        order.append(("ends", body))
        running.clear()

    publish(connection, queue, *range(4))
    with connection.Consumer(queue, callbacks=[callback]):
        drain_until(connection, lambda: len(order) == 8)
    assert order == [(what, number) for number in range(4) for what in ("begins", "ends")]


def test_a_callback_that_raises(connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[Any] = []

    def callback(body: int, _message: kombu.Message) -> None:
        got.append(body)
        if body == 0:
            raise LookupError("zero")

    publish(connection, queue, 0, 1)
    with connection.Consumer(queue, callbacks=[callback]):
        with pytest.raises(LookupError, match="zero"):
            drain_until(connection, lambda: got)
        drain_until(connection, lambda: len(got) == 2)
    assert got == [0, 1]


def test_a_consumer_revived_on_a_new_connection(target: Target) -> None:
    got: list[Any] = []
    connection = connect(target)
    queue = kombu.Queue(target.name("queue"), durable=True)
    consumer = connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True)
    consumer.consume()
    connection.release()
    connection.connect()
    consumer.revive(connection.default_channel)
    assert consumer.consuming_from(queue)
    connection.Producer().publish("x", routing_key=queue.name)
    drain_until(connection, lambda: got)
    consumer.cancel()
    queue(connection.default_channel).delete()


def test_consumers_by_priority(connection: kombu.Connection, target: Target) -> None:
    queue = kombu.Queue(target.name("queue"), exclusive=True)(connection.default_channel)
    queue.declare()
    got: list[str] = []

    def consumer(name: str, priority: int) -> Any:
        entity = kombu.Queue(queue.name, exclusive=True, consumer_arguments={"x-priority": priority})
        return connection.Consumer(entity, on_message=lambda _: got.append(name), prefetch_count=1)

    with consumer("low", 1), consumer("high", 10):
        publish(connection, queue, 1, 2)
        drain_until(connection, lambda: len(got) == 2)
    assert got == ["high", "low"]

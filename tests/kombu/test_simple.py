"""SimpleQueue and SimpleBuffer."""

from queue import Empty

import kombu
import pytest
from kombu.simple import SimpleQueue

from tests.client.api.admin import eventually
from tests.targets import PATIENCE, Target


def test_a_simple_queue(connection: kombu.Connection, target: Target) -> None:
    with connection.SimpleQueue(target.name("simple"), exchange_opts={"auto_delete": True}) as queue:
        target.cleanup.callback(queue.queue.delete)
        with pytest.raises(Empty):
            queue.get(block=False)
        with pytest.raises(Empty):
            queue.get(timeout=0.05)
        queue.put({"a": 1}, headers={"h": "x"})
        queue.put("text", serializer="json", compression="gzip")
        message = queue.get(timeout=PATIENCE)
        assert (message.payload, message.headers) == ({"a": 1}, {"h": "x"})
        message.ack()
        message = queue.get(timeout=PATIENCE)
        assert message.payload == "text"
        message.requeue()
        again = queue.get(timeout=PATIENCE)
        assert again.delivery_info["redelivered"]
        again.ack()
        with pytest.raises(Empty):
            queue.get_nowait()


def test_size_and_clearing(connection: kombu.Connection, target: Target) -> None:
    queue = connection.SimpleQueue(target.name("simple"), exchange_opts={"auto_delete": True})
    target.cleanup.callback(queue.queue.delete)
    for number in range(3):
        queue.put(number)
    assert eventually(lambda: queue.qsize() == 3 or None, "three messages")
    assert len(queue) == 3
    assert queue
    assert queue.clear() == 3
    assert queue.qsize() == 0
    queue.close()


def test_what_is_fetched_and_not_acknowledged_stays(connection: kombu.Connection, target: Target) -> None:
    name = target.name("simple")
    opts = {"exchange_opts": {"auto_delete": False}}
    with connection.channel() as channel:
        queue = connection.SimpleQueue(name, channel=channel, **opts)
        queue.put("x")
        assert eventually(lambda: _or_none(queue), "the message").payload == "x"
    with connection.SimpleQueue(name, **opts) as queue:
        message = queue.get(timeout=PATIENCE)
        assert message.delivery_info["redelivered"]
        message.ack()
    queue.queue.delete()
    queue.queue.exchange.delete()


def _or_none(queue: SimpleQueue) -> kombu.Message | None:
    try:
        message: kombu.Message = queue.get_nowait()
    except Empty:
        return None
    return message


def test_a_simple_buffer(connection: kombu.Connection, target: Target) -> None:
    with connection.SimpleBuffer(target.name("buffer"), exchange_opts={"durable": True}) as buffer:
        buffer.put(["x"])
        message = buffer.get(timeout=PATIENCE)
        assert message.payload == ["x"]
        assert message.properties["delivery_mode"] == 1
        message.ack()  # does nothing, because get(no_ack) has settled the message
        with pytest.raises(Empty):
            buffer.get(block=False)


def test_a_queue_of_ones_own(connection: kombu.Connection, target: Target) -> None:
    entity = kombu.Queue(
        target.name("own"), kombu.Exchange(target.name("exchange"), auto_delete=True), "key", exclusive=True
    )
    with connection.SimpleQueue(entity, no_ack=True) as queue:
        queue.put("x")
        assert queue.get(timeout=PATIENCE).payload == "x"

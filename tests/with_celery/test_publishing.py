"""Calling tasks where no worker is: confirms, brokers that are down, failover, and RabbitMQ 4.3's refusals."""

import socket

import pytest
from celery.beat import Scheduler
from kombu import Queue
from kombu.exceptions import OperationalError

from tests.with_celery import app as tasks
from tests.with_celery.conftest import Stand, closing


def nowhere(stand: Stand) -> str:
    """A URL like the stand's where nobody listens."""
    scheme = stand.url.partition(":")[0]
    if stand.in_process:
        return f"{scheme}://guest:guest@no-such-broker/"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"{scheme}://guest:guest@127.0.0.1:{port}/"


def test_what_a_call_publishes(stand: Stand) -> None:
    with closing(stand.app()) as app:
        result = tasks.add.apply_async((1, 2), countdown=60, priority=3)
        with app.connection_for_read() as connection:
            message = Queue(app.conf.task_default_queue)(connection.default_channel).get(no_ack=True)
    assert message.payload[:2] == [[1, 2], {}]
    assert (message.headers["task"], message.headers["id"]) == (tasks.add.name, result.id)
    assert message.properties["correlation_id"] == result.id
    assert (message.properties["priority"], message.properties["delivery_mode"]) == (3, 2)
    assert message.headers["eta"] is not None


def test_confirmed_publishing_tells_of_a_full_queue(stand: Stand) -> None:
    name = stand.target.name("full")
    full = Queue(name, queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    options = {"confirm_publish": True}
    with closing(stand.app(task_queues=[full], task_default_queue=name, broker_transport_options=options)):
        tasks.note.delay("fits")
        with pytest.raises(OperationalError):
            tasks.note.apply_async(("does not fit",), retry=False)


def test_a_broker_that_is_down_is_told_of(stand: Stand) -> None:
    """``retry=False`` is about publishing; how often to connect for it is a transport option."""
    options = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    app = stand.app(broker_url=nowhere(stand), broker_transport_options=options)
    with closing(app), pytest.raises(OperationalError):
        tasks.note.apply_async(("lost",), retry=False)


def test_the_next_broker_of_the_list_is_taken(stand: Stand) -> None:
    urls = [nowhere(stand), stand.url]
    with closing(stand.app(broker_url=urls)) as app:
        tasks.note.delay("arrives")
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=2, interval_start=0)
            message = Queue(app.conf.task_default_queue)(connection.default_channel).get(no_ack=True)
    assert message.headers["task"] == tasks.note.name


def test_beat_publishes_what_is_due(stand: Stand) -> None:
    schedule = {"often": {"task": tasks.note.name, "schedule": 0.0, "args": ("tick",)}}
    with closing(stand.app(beat_schedule=schedule, beat_max_loop_interval=5)) as app:
        scheduler = Scheduler(app=app)
        scheduler.tick()
        scheduler.tick()
        with app.connection_for_read() as connection:
            message = Queue(app.conf.task_default_queue)(connection.default_channel).get(no_ack=True)
        scheduler.close()
    assert (message.headers["task"], message.payload[0]) == (tasks.note.name, ["tick"])

"""Where tasks go: priorities, exchanges of every type, broadcasts, queues with arguments, producers of one's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue
from kombu.common import Broadcast

from tests.client.api.admin import eventually
from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE, Stand, closing, told

#: One task at a time, so that the broker determines the order.
WORKER = {"concurrency": 1}
SETTINGS = {"worker_prefetch_multiplier": 1, "task_acks_late": True}


@pytest.fixture(scope="module")
def app(stand: Stand) -> Iterator[Celery]:
    """With queues on exchanges of every type, under names that nobody else has."""
    name = stand.target.name
    shop, alarm, headers = Exchange(name("shop"), "topic"), Broadcast(name("alarm")), Exchange(name("tags"), "headers")
    dead = Queue(name("dead"), Exchange(name("dead"), "fanout"))
    queues = {
        "default": Queue(name("default")),
        "orders": Queue(name("orders"), shop, "order.#"),
        "mail": Queue(name("mail"), shop, "mail.*"),
        "tagged": Queue(name("tagged"), headers, binding_arguments={"x-match": "all", "colour": "red"}),
        "careful": Queue(name("careful"), dead_letter_exchange=dead.exchange),
        "alarm": alarm,
    }
    queues["careful"].queue_arguments = {"x-dead-letter-exchange": dead.exchange.name}
    settings = {
        **SETTINGS,
        "task_queues": list(queues.values()),
        "task_default_queue": queues["default"].name,
        "task_routes": ([("tests.with_celery.app.total", {"queue": queues["mail"].name, "routing_key": "mail.sum"})],),
    }
    with closing(stand.app(**settings)) as app:
        app.places = {**queues, "shop": shop, "tags": headers, "dead": dead}
        with app.connection_for_write() as connection:
            dead(connection.default_channel).declare()
        yield app


pytestmark = pytest.mark.usefixtures("worker")


def test_routes_choose_the_queue(app: Celery) -> None:
    assert tasks.total.delay([1, 2]).get(timeout=PATIENCE) == 3
    assert tasks.total.app.amqp.router.route({}, tasks.total.name)["queue"].name == app.places["mail"].name


def test_a_topic_exchange(app: Celery) -> None:
    seen = tasks.whoami.apply_async(exchange=app.places["shop"], routing_key="order.created.eu").get(timeout=PATIENCE)
    assert (seen["exchange"], seen["routing_key"]) == (app.places["shop"].name, "order.created.eu")


def test_a_headers_exchange(app: Celery) -> None:
    tags = app.places["tags"]
    for colour in ("blue", "red"):  # without a routing key Celery uses the default exchange
        tasks.note.apply_async((colour,), exchange=tags, routing_key="any", headers={"colour": colour})
    assert told() == "red"


def test_a_broadcast_reaches_everybody(app: Celery, stand: Stand) -> None:
    alarm = app.places["alarm"]
    with app.connection_for_read() as connection:
        listener = Broadcast(alarm.exchange.name)(connection.default_channel)
        listener.declare()
        tasks.note.apply_async(("fire",), exchange=alarm.exchange, routing_key="any")
        assert told() == "fire"
        message = eventually(lambda: listener.get(no_ack=True), "the broadcast")
        assert message.headers["task"] == tasks.note.name


def test_what_fails_late_is_dead_lettered(app: Celery) -> None:
    result = tasks.refuse_and_reject.apply_async(queue=app.places["careful"].name)
    with pytest.raises(tasks.Refused):
        result.get(timeout=PATIENCE)
    with app.connection_for_read() as connection:
        dead = app.places["dead"](connection.default_channel)
        message = eventually(lambda: dead.get(no_ack=True), "the dead-lettered message")
    assert message.headers["id"] == result.id
    (death,) = message.headers["x-death"]
    assert (death["queue"], death["reason"]) == (app.places["careful"].name, "rejected")


def test_priorities_are_heeded_by_the_queue(app: Celery, worker: Any, stand: Stand) -> None:
    queue = Queue(stand.target.name("priorities"), max_priority=9)
    for priority in (1, 9, 5):
        tasks.note.apply_async((priority,), queue=queue, priority=priority)
    options = {"destination": [worker.hostname], "reply": True, "timeout": PATIENCE, "limit": 1}
    app.amqp.queues.add(queue)  # otherwise add_consumer would declare another queue
    app.control.add_consumer(queue.name, **options)
    assert [told(), told(), told()] == [9, 5, 1]
    app.control.cancel_consumer(queue.name, **options)


def test_a_task_sees_its_priority() -> None:
    assert tasks.whoami.apply_async(priority=7).get(timeout=PATIENCE)["priority"] == 7


def test_a_producer_of_ones_own(app: Celery) -> None:
    """``app.amqp`` makes the message; any producer of kombu sends it."""
    message = app.amqp.as_task_v2("by-hand", tasks.note.name, args=("by hand",), kwargs={})
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        producer.publish(
            message.body,
            exchange="",
            routing_key=app.conf.task_default_queue,
            headers=message.headers,
            serializer="json",
            **message.properties,
        )
    assert told() == "by hand"


def test_a_producer_may_be_handed_to_a_call(app: Celery) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        results = [tasks.add.apply_async((number, 1), producer=producer) for number in range(5)]
    assert [result.get(timeout=PATIENCE) for result in results] == [1, 2, 3, 4, 5]

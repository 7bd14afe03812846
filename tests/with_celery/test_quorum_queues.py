"""A worker told to use quorum queues."""

import pytest
from celery import Celery

from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE

SETTINGS = {
    "task_default_queue_type": "quorum",
    "worker_detect_quorum_queues": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
}

pytestmark = pytest.mark.usefixtures("worker")


def test_tasks_run(app: Celery) -> None:
    results = [tasks.add.delay(number, 1) for number in range(10)]
    assert [result.get(timeout=PATIENCE) for result in results] == list(range(1, 11))


def test_the_queue_is_a_quorum_queue(app: Celery) -> None:
    assert tasks.whoami.delay().get(timeout=PATIENCE)["routing_key"] == app.conf.task_default_queue
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        name = app.conf.task_default_queue
        with pytest.raises(connection.channel_errors, match="inequivalent arg 'x-queue-type'"):
            channel.queue_declare(name, durable=True, auto_delete=False, arguments={"x-queue-type": "classic"})


def test_a_task_that_is_tried_again(app: Celery) -> None:
    assert tasks.flaky.delay(2).get(timeout=PATIENCE) == 2

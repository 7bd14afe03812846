"""Celery's native delayed delivery: the broker keeps a task until its countdown is over."""

import pytest

from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE, told

SETTINGS = {
    "task_default_queue_type": "quorum",
    "task_default_exchange_type": "topic",  # with a direct exchange the worker keeps the task
}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]


def test_a_task_with_a_countdown_comes_later() -> None:
    tasks.note.apply_async(["later"], countdown=1)
    assert told() == "later"


def test_it_comes_from_the_queues_where_it_waited() -> None:
    request = tasks.whoami.apply_async(countdown=1).get(timeout=PATIENCE)
    assert request["exchange"] == "celery_delayed_delivery"
    assert request["routing_key"].startswith("0.0.0.")
    assert request["eta"] is not None


def test_a_countdown_of_less_than_a_second_is_refused_by_celery() -> None:
    with pytest.raises(ValueError, match="countdown must be a positive number"):
        tasks.note.apply_async(["never"], countdown=0.5)

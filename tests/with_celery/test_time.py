"""Time: the broker's is the test's, Celery's own is the machine's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.worker.request import Request
from freezegun import freeze_time
from kombu import Queue

from hutch.fakebroker import SystemClock
from hutch.pytest_plugin import FakeBroker
from tests.with_celery import app as tasks
from tests.with_celery.app import create_app, journal
from tests.with_celery.conftest import PATIENCE, closing, embedded_worker, told


@pytest.fixture(params=["hutch-memory", "hutch"])
def url(request: pytest.FixtureRequest, fakebroker: FakeBroker) -> str:
    given = fakebroker.memory_url if request.param == "hutch-memory" else fakebroker.url
    return f"{request.param}://{given.partition('://')[2]}"


@pytest.fixture
def app(url: str) -> Iterator[Celery]:
    """With a queue where messages wait an hour, and then go to the worker's."""
    later = {"x-message-ttl": 3_600_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"}
    queues = [Queue("work"), Queue("later", queue_arguments=later)]
    with closing(create_app(url, task_queues=queues, task_default_queue="work")) as app:
        yield app


@pytest.fixture
def worker(app: Celery) -> Iterator[Any]:
    with embedded_worker(app, queues=["work"]) as worker:
        yield worker


@pytest.mark.usefixtures("worker")
def test_a_task_that_waits_in_a_queue_comes_an_hour_later(fakebroker: FakeBroker) -> None:
    tasks.note.apply_async(("an hour later",), queue="later")
    fakebroker.wait_until(lambda: fakebroker.queue("later").ready == 1)
    fakebroker.clock.advance(minutes=59)
    assert fakebroker.queue("later").ready == 1
    fakebroker.clock.advance(minutes=1)
    assert told() == "an hour later"


@pytest.mark.usefixtures("worker")
def test_a_refused_task_is_tried_again_an_hour_later(fakebroker: FakeBroker) -> None:
    """A retry by the broker: the queue of the second attempt is one in which messages wait."""
    tasks.tries_later.apply_async(("later",))
    fakebroker.wait_until(lambda: fakebroker.queue("later").ready == 1)
    assert journal.empty()
    fakebroker.clock.advance(hours=1)
    assert told() == ("attempt", 1)
    fakebroker.published("later", count=1, headers={"retries": 1})


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_the_brokers_clock_does_not_move_an_eta(app: Celery, fakebroker: FakeBroker, worker: Any) -> None:
    """The worker takes such a task at once, and keeps it by its own clock."""
    task_id = tasks.note.apply_async(("in an hour",), countdown=3600).id
    (message,) = fakebroker.published("work", count=1, correlation_id=task_id)
    assert datetime.fromisoformat(str(message.headers["eta"])) > datetime.now(UTC) + timedelta(minutes=59)
    fakebroker.wait_until(lambda: fakebroker.queue("work").unacked == 1)
    fakebroker.clock.advance(hours=2)
    assert app.control.ping(timeout=PATIENCE, limit=1) == [{worker.hostname: {"ok": "pong"}}]
    assert journal.empty()
    assert fakebroker.queue("work").unacked == 1


class RunsOnArrival(Request):  # type: ignore[misc, unused-ignore]
    eta = None


@pytest.mark.slow
@pytest.mark.parametrize("request_class", [Request, RunsOnArrival])
def test_what_the_broker_delays_arrives_in_an_hour_and_the_worker_waits_for_its_own_clock(
    url: str, fakebroker: FakeBroker, request_class: type[Request]
) -> None:
    """With Celery's native delayed delivery the broker's clock moves a countdown, but not the worker's."""
    topic = {"task_default_exchange": "tasks", "task_default_exchange_type": "topic"}
    with closing(create_app(url, task_default_queue="work", task_default_queue_type="quorum", **topic)) as app:
        app.Task.Request = request_class
        with embedded_worker(app) as worker:
            tasks.note.apply_async(("in an hour",), countdown=3600)
            fakebroker.published(exchange="celery_delayed_27", count=1)
            fakebroker.clock.advance(3599)
            assert fakebroker.history.of("delivered") == []
            fakebroker.clock.advance(1)
            (delivered,) = fakebroker.history.of("delivered")
            assert (delivered.at, delivered.queue) == (3600.0, "work")
            if request_class is RunsOnArrival:
                assert told() == "in an hour"
            else:
                assert app.control.ping(timeout=PATIENCE, limit=1) == [{worker.hostname: {"ok": "pong"}}]
                assert journal.empty()
                assert fakebroker.queue("work").unacked == 1


@pytest.mark.fakebroker(clock="system")
def test_the_broker_goes_along_with_freezegun(app: Celery, fakebroker: FakeBroker) -> None:
    assert isinstance(fakebroker.clock, SystemClock)
    with freeze_time() as frozen, embedded_worker(app, queues=["work"]):
        tasks.note.apply_async(("an hour later",), queue="later")
        fakebroker.wait_until(lambda: fakebroker.queue("later").ready == 1)
        frozen.tick(3600)
        fakebroker.run_due()
        assert told() == "an hour later"

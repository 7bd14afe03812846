"""A Celery application and a worker for each test, on the broker of that test."""

from collections.abc import Iterator
from contextlib import suppress

import kombu.pools
import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from hutch.pytest_plugin import FakeBroker
from tasks import create_app


@pytest.fixture
def app(fakebroker: FakeBroker) -> Iterator[Celery]:
    """The application; what it keeps open is closed afterwards."""
    app = create_app(fakebroker.url)
    app.set_default()
    yield app
    with suppress(AttributeError):  # where no result was waited for, there is no consumer of results
        app.backend.result_consumer.stop()
    kombu.pools.reset()
    app.close()


@pytest.fixture
def worker(app: Celery) -> Iterator[None]:
    """A worker in a thread of this process, consuming all queues."""
    with start_worker(app, perform_ping_check=False) as worker:
        yield
        app.control.shutdown(destination=[worker.hostname])  # else it would look up only once in a while
        worker.blueprint.join(10)

"""Events: what workers and clients tell of themselves, to whoever listens."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery
from celery.events.snapshot import Polaroid
from celery.events.state import State

from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE

pytestmark = pytest.mark.usefixtures("worker")

SETTINGS = {"task_send_sent_event": True, "worker_prefetch_multiplier": 1}
WORKER = {"task_events": True, "without_heartbeat": False, "heartbeat_interval": 0.2}


@contextmanager
def listening(app: Celery, enough: Callable[[dict[str, Any]], object], state: State) -> Iterator[list[Any]]:
    """Collect events, and keep ``state``, until one is enough. The block is left when that has come."""
    events: list[dict[str, Any]] = []
    begun = threading.Event()
    error: list[BaseException] = []

    def take(event: dict[str, Any]) -> None:
        events.append(event)
        state.event(event)
        if enough(event):
            receiver.should_stop = True

    def capture() -> None:
        try:
            for _ in receiver.itercapture(limit=None, timeout=PATIENCE, wakeup=False):
                begun.set()
        except BaseException as caught:
            error.append(caught)
            begun.set()

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": take})
        thread = threading.Thread(target=capture)
        thread.start()
        assert begun.wait(PATIENCE)
        try:
            yield events
        finally:
            thread.join(PATIENCE)
    assert not error, error
    assert not thread.is_alive()


def all_of(*types: str) -> Callable[[dict[str, Any]], bool]:
    """Whether there was one of each by now."""
    missing = set(types)

    def enough(event: dict[str, Any]) -> bool:
        missing.discard(event["type"])
        return not missing

    return enough


def test_the_life_of_a_task(app: Celery, worker: Any) -> None:
    types = {"task-sent", "task-received", "task-started", "task-succeeded"}
    with listening(app, all_of(*types), State()) as events:
        task_id = tasks.add.delay(1, 2).id
    seen = {event["type"]: event for event in events if event.get("uuid") == task_id}
    assert set(seen) == types
    assert seen["task-sent"]["queue"] == app.conf.task_default_queue
    assert seen["task-received"]["name"] == tasks.add.name
    assert seen["task-succeeded"]["result"] == "3"
    assert seen["task-succeeded"]["hostname"] == worker.hostname


def test_a_failure_and_a_retry(app: Celery) -> None:
    with listening(app, lambda event: event["type"] == "task-failed", State()) as events:
        tasks.flaky.delay(10)
    seen = [event["type"] for event in events]
    assert seen.count("task-retried") == 3
    (failed,) = (event for event in events if event["type"] == "task-failed")
    assert failed["exception"] == "Refused('attempt 3')"


def test_a_worker_tells_that_it_lives(app: Celery, worker: Any) -> None:
    state = State()
    with listening(app, lambda event: event["type"] == "worker-heartbeat", state):
        pass
    assert state.workers[worker.hostname].alive


def test_a_snapshot_camera(app: Celery, worker: Any) -> None:
    """As ``celery events --camera`` takes them."""
    shots: list[tuple[list[str], int]] = []

    class Camera(Polaroid):
        def on_shutter(self, state: State) -> None:
            shots.append(([worker.hostname for worker in state.alive_workers()], state.task_count))

    state = State()
    with listening(app, all_of("worker-heartbeat", "task-succeeded"), state):
        tasks.add.delay(1, 2)
    with Camera(state, app=app, freq=3600) as camera:
        camera.capture()
    assert shots[0] == ([worker.hostname], 1)

"""Real workers: ``celery worker`` with its processes and its event loop, asked over the broker alone.

They run on the transport of hutch, and on kombu's own one with hutch's client in py-amqp's place (docs/celery.md).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import Celery
from celery.exceptions import TaskRevokedError, TimeLimitExceeded

from tests.client.api.admin import eventually
from tests.pages.blocks import read_page
from tests.with_celery import app as tasks
from tests.with_celery.app import VARIABLE
from tests.with_celery.conftest import PATIENCE, Stand, closing

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: The script in docs/celery.md. CHECKED asserts that its alias works.
(SCRIPT,) = (block.code for block in read_page("docs/celery.md") if block.title == "worker.py")
IMPORT = "from celery.__main__ import main\n"
CHECKED = f"{IMPORT}from kombu.transport import pyamqp\n\nassert issubclass(pyamqp.Connection, client.Connection)\n"


def aliased(folder: Path) -> list[str]:
    """The command that starts ``celery`` with the client under the name ``amqp``."""
    assert IMPORT in SCRIPT
    script = folder / "worker.py"
    script.write_text(SCRIPT.replace(IMPORT, CHECKED))
    return [sys.executable, str(script)]


@contextmanager
def worker_process(
    command: list[str], settings: dict[str, Any], output: Path, pool: str = "prefork"
) -> Iterator["subprocess.Popen[bytes]"]:
    """``celery worker`` as a process of its own; its output is shown where a test fails."""
    environment = {**os.environ, VARIABLE: json.dumps(settings)}
    options = ["-A", "tests.with_celery.app", "worker", "--concurrency=2", f"--pool={pool}", "--loglevel=INFO"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module", params=["transport", "alias"])
def way(request: pytest.FixtureRequest) -> str:
    """How the worker comes to this client."""
    return str(request.param)


@pytest.fixture(scope="module")
def settings(stand: Stand, way: str) -> dict[str, Any]:
    if stand.in_process:
        pytest.skip("another process does not reach a broker in this one")
    if stand.transport != "hutch" or stand.target.id == "live-4.3-tls":
        pytest.skip("shown by another worker; they take seconds to start")
    if way == "alias" and stand.target.id not in {"tcp-4.3", "live-4.3"}:
        pytest.skip("shown on two brokers; they take seconds to start")
    return {**stand.settings, "broker_url": stand.url, "task_default_queue": stand.target.name("processes")}


@pytest.fixture(scope="module")
def app(stand: Stand, settings: dict[str, Any]) -> Iterator[Celery]:
    with closing(stand.app(broker_pool_limit=0, **settings)) as app:  # see SETTINGS in test_control
        yield app


@pytest.fixture(scope="module")
def output(way: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker") / "output"


@pytest.fixture(scope="module")
def process(
    stand: Stand, way: str, app: Celery, settings: dict[str, Any], output: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "celery"]
    if way == "alias":
        command = aliased(output.parent)
        settings = {**settings, "broker_url": replace(stand, transport="pyamqp").url}
    with worker_process(command, settings, output) as process:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, output.read_text()


@pytest.fixture
def worker(app: Celery, process: "subprocess.Popen[bytes]", output: Path) -> Iterator[str]:
    """The name of the worker, which is up."""

    def ready() -> str | None:
        assert process.poll() is None, output.read_text()
        replies = app.control.ping(timeout=1, limit=1)
        return next(iter(replies[0])) if replies else None

    yield eventually(ready, "the worker")
    print(output.read_text())


@pytest.fixture
def tell(app: Celery, worker: str) -> Any:
    def tell(method: str, *args: Any, **kwargs: Any) -> Any:
        options = {"destination": [worker], "reply": True, "timeout": PATIENCE, "limit": 1}
        (reply,) = getattr(app.control, method)(*args, **options, **kwargs)
        return reply[worker]

    return tell


@pytest.fixture
def pool(stand: Stand, worker: str) -> str:
    """The worker, for what takes seconds and has to do with its pool rather than the broker."""
    if stand.target.id != "tcp-4.3":
        pytest.skip("shown once")
    return worker


def stats(app: Celery, worker: str) -> Any:
    return app.control.inspect(destination=[worker], timeout=PATIENCE, limit=1).stats()[worker]


@pytest.mark.usefixtures("worker")
def test_tasks_run_in_processes_of_the_pool(process: "subprocess.Popen[bytes]") -> None:
    ids = {result.get(timeout=PATIENCE) for result in [tasks.process_id.delay() for _ in range(20)]}
    assert ids
    assert process.pid not in ids


def test_the_worker_has_the_event_loop(app: Celery, worker: str) -> None:
    """Only then does its pool write without waiting, and tell how much."""
    assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3
    assert "writes" in stats(app, worker)["pool"]


@pytest.mark.usefixtures("worker")
def test_retries_and_errors_cross_processes() -> None:
    assert tasks.flaky.delay(2).get(timeout=PATIENCE) == 2
    with pytest.raises(tasks.Refused, match="over there"):
        tasks.refuse.delay("over there").get(timeout=PATIENCE)


@pytest.mark.usefixtures("pool")
def test_a_task_whose_process_died_is_told_of() -> None:
    with pytest.raises(WorkerLostError):
        tasks.dies.delay().get(timeout=PATIENCE)


@pytest.mark.usefixtures("worker")
def test_a_task_whose_process_died_may_be_delivered_again() -> None:
    assert tasks.dies_once.delay().get(timeout=PATIENCE) == "lives"


@pytest.mark.usefixtures("pool")
def test_time_limits() -> None:
    softly = tasks.sleeps.apply_async((PATIENCE,), soft_time_limit=1)
    hard = tasks.sleeps.apply_async((PATIENCE,), time_limit=1)
    assert softly.get(timeout=PATIENCE) == "softly"
    with pytest.raises(TimeLimitExceeded):
        hard.get(timeout=PATIENCE)


def test_a_running_task_is_revoked_and_killed(app: Celery, worker: str, tell: Any) -> None:
    result = tasks.sleeps.delay(PATIENCE)

    def active() -> bool | None:
        inspect = app.control.inspect(destination=[worker], timeout=PATIENCE, limit=1)
        return result.id in {task["id"] for task in inspect.active()[worker]} or None

    eventually(active, "the running task")
    assert result.id in tell("revoke", result.id, terminate=True, signal="SIGKILL")["ok"]
    with pytest.raises(TaskRevokedError, match="terminated"):
        result.get(timeout=PATIENCE)


def test_the_pool_grows_and_shrinks(app: Celery, pool: str, tell: Any) -> None:
    before = len(stats(app, pool)["pool"]["processes"])
    assert tell("pool_grow", 1) == {"ok": "pool will grow"}
    eventually(lambda: len(stats(app, pool)["pool"]["processes"]) == before + 1 or None, "the new process")
    assert tell("pool_shrink", 1) == {"ok": "pool will shrink"}


def test_workers_see_each_other(worker: str, output: Path) -> None:
    """It looked for neighbours as it started (mingle), over the broker; gossip and heartbeats are on as well."""
    assert "mingle: all alone" in output.read_text()
    assert worker in output.read_text()


def test_a_worker_without_processes_has_the_event_loop(stand: Stand, tmp_path: Path) -> None:
    """The pool ``solo`` runs tasks in the loop itself, and acknowledges them there."""
    if stand.target.id != "tcp-4.3" or stand.transport != "pyamqp":
        pytest.skip("shown once")
    settings = {"broker_url": stand.url, "task_default_queue": stand.target.name("solo"), "task_acks_late": True}
    output = tmp_path / "output"
    with (
        closing(stand.app(**settings)),
        worker_process(aliased(tmp_path), {**settings, "worker_prefetch_multiplier": 1}, output, "solo") as process,
    ):
        ids = {result.get(timeout=PATIENCE) for result in [tasks.process_id.delay() for _ in range(20)]}
        assert ids == {process.pid}
        assert tasks.flaky.delay(2).get(timeout=PATIENCE) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, output.read_text()

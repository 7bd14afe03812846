"""The application under test: its tasks, for workers in this process and for worker processes of ``celery -A``.

A worker's process is told what to do by the environment: ``HUTCH_TESTS_CELERY`` is JSON of the arguments of
:func:`create_app`.
"""

import json
import os
import signal
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, ClassVar, Final
from uuid import uuid4

from celery import Celery, Task, shared_task
from celery.backends.rpc import RPCBackend
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

import hutch.client.kombu  # noqa: F401  (makes hutch:// known to kombu)

VARIABLE: Final = "HUTCH_TESTS_CELERY"

#: Reports of tasks that run in a worker of this process.
journal: SimpleQueue[Any] = SimpleQueue()

#: Events that tasks of a worker in this process wait for, by name.
gates: dict[str, threading.Event] = {}


class Refused(Exception):
    """What tasks fail by here."""


class Results(RPCBackend):
    """``rpc://``, which can be closed. Celery makes one for each thread that calls tasks, and never looks back."""

    opened: ClassVar[list["Results"]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opened.append(self)

    @classmethod
    def close_all(cls) -> None:
        while cls.opened:
            consumer = cls.opened.pop().result_consumer
            if consumer._connection is not None:
                with suppress(*consumer._connection_errors):  # the connection's broker may no longer exist
                    consumer.stop()


RPC: Final = f"{Results.__module__}:{Results.__name__}"


def create_app(broker_url: str | list[str], result_backend: str = RPC, **settings: Any) -> Celery:
    """An application with the tasks of this module; its default queue is like no other."""
    app = Celery("tests", broker=broker_url, backend=result_backend, set_as_current=False)
    queue = f"tests-{uuid4().hex[:8]}"
    app.conf.update(
        {
            "task_default_queue": queue,
            "task_default_exchange": queue,
            "task_default_routing_key": queue,
            "worker_hijack_root_logger": False,
            "worker_redirect_stdouts": False,
            "broker_connection_retry_on_startup": True,
            **settings,
        }
    )
    return app


@shared_task
def add(x: Any, y: Any) -> Any:
    return x + y


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task
def echo(value: Any = None) -> Any:
    return value


@shared_task(ignore_result=True)
def note(value: Any) -> None:
    journal.put(value)


@shared_task(bind=True)
def whoami(self: Task) -> dict[str, Any]:
    """How the task's message came."""
    request = self.request
    return {
        "redelivered": request.delivery_info["redelivered"],
        "routing_key": request.delivery_info["routing_key"],
        "exchange": request.delivery_info["exchange"],
        "priority": request.delivery_info["priority"],
        "eta": request.eta,
        "now": time.time(),
        "headers": request.headers,
        "retries": request.retries,
    }


@shared_task
def refuse(text: str = "no") -> None:
    raise Refused(text)


@shared_task
def on_error(request: Any, error: Exception, traceback: Any) -> None:
    """An errback, in the signature that Celery has for them."""
    journal.put((request.id, repr(error)))


@shared_task
def note_error(task_id: str) -> None:
    """An errback in the older signature, which goes over the broker."""
    journal.put(("failed", task_id))


@shared_task(bind=True, autoretry_for=(Refused,), max_retries=3, default_retry_delay=0.05)
def flaky(self: Task, failures: int) -> int:
    """Fails so many times; then tells how often it was tried again."""
    if self.request.retries < failures:
        raise Refused(f"attempt {self.request.retries}")
    return int(self.request.retries)


@shared_task(bind=True, max_retries=1)
def retries_by_hand(self: Task, countdown: float) -> tuple[str, float]:
    """Asks to be tried again once; then tells its ETA, and when it ran."""
    if not self.request.retries:
        raise self.retry(countdown=countdown)
    return self.request.eta, time.time()


@shared_task(bind=True, max_retries=1)
def never_content(self: Task) -> None:
    raise self.retry(countdown=0)


@shared_task(bind=True, acks_late=True)
def rejects_once(self: Task) -> bool:
    """Goes back to the queue once; whether it came again."""
    redelivered: bool = self.request.delivery_info["redelivered"]
    if not redelivered:
        raise Reject("not now", requeue=True)
    return redelivered


@shared_task(bind=True, acks_late=True, acks_on_failure_or_timeout=False)
def refuse_and_reject(self: Task) -> None:
    raise Refused("the message is to be dead-lettered")


@shared_task
def ignored() -> None:
    journal.put("ignored")
    raise Ignore


@shared_task(bind=True, acks_late=True)
def wait_for(self: Task, gate: str) -> bool:
    """Runs until the test opens the gate; whether it was delivered before."""
    redelivered: bool = self.request.delivery_info["redelivered"]
    journal.put(("began", gate, redelivered))
    if not gates[gate].wait(20):
        raise TimeoutError(f"nobody opened the gate {gate!r}")
    return redelivered


@shared_task(bind=True)
def replaced(self: Task, x: int, y: int) -> Any:
    raise self.replace(add.s(x, y))


@shared_task(bind=True, track_started=True)
def tells_progress(self: Task) -> str:
    self.update_state(state="HALFWAY", meta={"done": 50})
    return "all"


@shared_task(bind=True, max_retries=1)
def tries_later(self: Task, queue: str) -> None:
    """Fails at first, and has the broker keep it in that queue until the second attempt."""
    if not self.request.retries:
        raise self.retry(queue=queue, countdown=0)
    journal.put(("attempt", self.request.retries))


# For tests with worker processes


@shared_task
def process_id() -> int:
    return os.getpid()


@shared_task(bind=True, acks_late=True)
def dies(self: Task) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "unreachable"


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def dies_once(self: Task) -> str:
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return "lives"


@shared_task
def sleeps(seconds: float) -> str:
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return "softly"
    return "slept"


def __getattr__(name: str) -> Any:
    if name != "app" or VARIABLE not in os.environ:
        raise AttributeError(name)
    globals()["app"] = created = create_app(**json.loads(os.environ[VARIABLE]))
    return created

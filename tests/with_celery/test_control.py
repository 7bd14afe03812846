"""Remote control: a worker is asked, and told, over the broker."""

from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError

from tests.client.api.admin import eventually
from tests.with_celery import app as tasks
from tests.with_celery.app import journal
from tests.with_celery.conftest import PATIENCE, Stand, gate, told

pytestmark = pytest.mark.usefixtures("worker")

WORKER = {"without_heartbeat": False}

#: The queue of replies is exclusive to a connection. A pool with several connections may give out another one while
#: the queue still belongs to the first; RabbitMQ refuses that. Without a pool, the queue is deleted with its
#: connection.
SETTINGS = {"broker_pool_limit": 0}


@pytest.fixture
def ask(app: Celery, worker: Any) -> Any:
    """Asks the worker by the name of the method of ``inspect``, and returns what it answers."""

    def ask(method: str, *args: Any) -> Any:
        inspect = app.control.inspect(destination=[worker.hostname], timeout=PATIENCE, limit=1)
        replies = getattr(inspect, method)(*args)
        assert list(replies) == [worker.hostname]
        return replies[worker.hostname]

    return ask


@pytest.fixture
def tell(app: Celery, worker: Any) -> Any:
    """Has the worker do something, and returns its answer."""

    def tell(method: str, *args: Any, **kwargs: Any) -> Any:
        ((answer,),) = (
            [reply[worker.hostname]]
            for reply in getattr(app.control, method)(
                *args, destination=[worker.hostname], reply=True, timeout=PATIENCE, limit=1, **kwargs
            )
        )
        return answer

    return tell


def test_ping(ask: Any) -> None:
    assert ask("ping") == {"ok": "pong"}


def test_everybody_is_asked(app: Celery, worker: Any) -> None:
    assert app.control.ping(timeout=PATIENCE, limit=1) == [{worker.hostname: {"ok": "pong"}}]


def test_who_is_not_meant_does_not_answer(app: Celery) -> None:
    assert app.control.ping(destination=["nobody@nowhere"], timeout=0.05) == []


def test_registered_tasks(ask: Any) -> None:
    assert tasks.add.name in ask("registered")


def test_stats_tell_of_the_broker(ask: Any, stand: Stand) -> None:
    stats = ask("stats")
    assert stats["pool"]["max-concurrency"] == 2
    assert stats["broker"]["transport"] == stand.url.partition(":")[0].replace("pyamqp", "amqp")
    assert stats["broker"]["virtual_host"] == stand.virtual_host
    assert stats["prefetch_count"] >= 8  # four for each thread, and one for each scheduled task


def test_the_workers_settings(ask: Any, app: Celery) -> None:
    assert ask("conf")["task_default_queue"] == app.conf.task_default_queue


def test_active_queues(ask: Any, app: Celery) -> None:
    (queue,) = ask("active_queues")
    assert (queue["name"], queue["durable"], queue["exchange"]["type"]) == (app.conf.task_default_queue, True, "direct")


def test_active_tasks(ask: Any) -> None:
    opened = gate("active")
    result = tasks.wait_for.delay("active")
    assert told() == ("began", "active", False)
    (active,) = ask("active")
    assert (active["id"], active["name"], active["acknowledged"]) == (result.id, tasks.wait_for.name, False)
    opened.set()
    assert result.get(timeout=PATIENCE) is False
    eventually(lambda: ask("active") == [] or None, "the end of the task")


def test_reserved_tasks_wait_for_a_free_thread(ask: Any) -> None:
    opened = gate("busy")
    busy = [tasks.wait_for.delay("busy") for _ in range(2)]
    assert {told(), told()} == {("began", "busy", False)}
    waiting = tasks.add.delay(1, 2)
    (reserved,) = eventually(lambda: ask("reserved") or None, "the reserved task")
    assert reserved["id"] == waiting.id
    opened.set()
    assert waiting.get(timeout=PATIENCE) == 3
    assert [result.get(timeout=PATIENCE) for result in busy] == [False, False]


def test_scheduled_tasks(ask: Any, tell: Any) -> None:
    result = tasks.add.apply_async((1, 2), countdown=3600)

    def scheduled() -> bool | None:
        return result.id in {entry["request"]["id"] for entry in ask("scheduled")} or None

    eventually(scheduled, "the scheduled task")
    assert ask("query_task", result.id)[result.id][0] == "scheduled"
    assert result.id in tell("revoke", result.id)["ok"]  # the worker checks this when the task is due


def test_a_revoked_task_does_not_run(app: Celery, ask: Any, tell: Any) -> None:
    task_id = "revoked-before-it-came"
    assert task_id in tell("revoke", task_id)["ok"]
    assert task_id in ask("revoked")
    with pytest.raises(TaskRevokedError, match="revoked"):
        tasks.note.apply_async(("never",), task_id=task_id, ignore_result=False).get(timeout=PATIENCE)
    assert journal.empty()


def test_revoking_by_a_stamped_header(tell: Any) -> None:
    tell("revoke_by_stamped_headers", {"tenant": "acme"})
    canvas = tasks.add.si(1, 2)
    canvas.stamp(tenant="acme")
    with pytest.raises(TaskRevokedError):
        canvas.apply_async().get(timeout=PATIENCE)


def test_a_rate_limit(tell: Any) -> None:
    assert "rate limit" in tell("rate_limit", tasks.echo.name, "1/h")["ok"]
    first, second = tasks.echo.delay(1), tasks.echo.delay(2)
    assert first.get(timeout=PATIENCE) == 1
    assert "disabled" in tell("rate_limit", tasks.echo.name, 0)["ok"]
    assert tasks.echo.delay(3).get(timeout=PATIENCE) == 3
    assert not second.ready()  # the rate limit allows the task in an hour
    tell("revoke", second.id)


def test_time_limits_are_set_from_afar(tell: Any) -> None:
    assert tell("time_limit", tasks.sleeps.name, hard=60, soft=30) == {"ok": "time limits set successfully"}


def test_a_worker_takes_up_a_queue_and_leaves_it(stand: Stand, ask: Any, tell: Any) -> None:
    name = stand.target.name("more")
    assert tell("add_consumer", name) == {"ok": f"add consumer {name}"}
    eventually(lambda: name in {queue["name"] for queue in ask("active_queues")} or None, "the queue")
    assert tasks.whoami.apply_async(queue=name).get(timeout=PATIENCE)["routing_key"] == name
    assert tell("cancel_consumer", name) == {"ok": f"no longer consuming from {name}"}
    result = tasks.note.apply_async(("later",), queue=name)
    assert ask("ping") == {"ok": "pong"}
    assert journal.empty()
    assert result.id


def test_an_exchange_and_a_key_for_a_queue_from_afar(stand: Stand, app: Celery, ask: Any, tell: Any) -> None:
    name = stand.target.name("topics")
    tell("add_consumer", name, exchange=name, exchange_type="topic", routing_key="order.#")
    eventually(lambda: name in {queue["name"] for queue in ask("active_queues")} or None, "the queue")
    seen = tasks.whoami.apply_async(exchange=name, routing_key="order.created.eu").get(timeout=PATIENCE)
    assert (seen["exchange"], seen["routing_key"]) == (name, "order.created.eu")
    tell("cancel_consumer", name)


def test_what_a_pool_of_threads_cannot_do_is_said(tell: Any) -> None:
    assert "error" in tell("pool_grow", 1)


def test_an_unknown_command_is_answered_by_an_error(app: Celery, worker: Any) -> None:
    (reply,) = app.control.broadcast("nonsense", destination=[worker.hostname], reply=True, timeout=PATIENCE, limit=1)
    assert "nonsense" in reply[worker.hostname]["error"]


def test_events_are_switched_on_and_off(tell: Any) -> None:
    assert tell("enable_events") == {"ok": "task events enabled"}
    assert tell("disable_events") == {"ok": "task events disabled"}

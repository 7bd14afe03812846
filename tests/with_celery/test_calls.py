"""Calling tasks: results, errors, retries, time, serialization."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, states
from celery.exceptions import MaxRetriesExceededError, TaskRevokedError

from tests.with_celery import app as tasks
from tests.with_celery.app import journal
from tests.with_celery.conftest import PATIENCE, Stand, told

pytestmark = pytest.mark.usefixtures("worker")

SETTINGS = {"accept_content": ["json", "pickle"], "result_accept_content": ["json"]}


def test_the_worker_has_the_loop_that_fits(worker: Any, stand: Stand) -> None:
    """The in-process pipe has no file descriptor that an event loop could watch; Celery finds out by itself."""
    assert worker.consumer.loop.__name__ == ("synloop" if stand.in_process else "asynloop")


def test_a_result_comes_back() -> None:
    assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3


def test_many_results_come_back() -> None:
    results = [tasks.add.delay(number, number) for number in range(50)]
    assert [result.get(timeout=PATIENCE) for result in results] == [2 * number for number in range(50)]


def test_a_large_argument_and_a_large_result() -> None:
    text = "x" * 1_000_000
    assert tasks.echo.delay(text).get(timeout=PATIENCE) == text


def test_an_error_comes_back_with_its_type_text_and_traceback() -> None:
    result = tasks.refuse.delay("not today")
    with pytest.raises(tasks.Refused, match="not today"):
        result.get(timeout=PATIENCE)
    assert result.state == states.FAILURE
    assert "raise Refused(text)" in result.traceback


def test_an_error_need_not_be_raised() -> None:
    error = tasks.refuse.delay("x").get(timeout=PATIENCE, propagate=False)
    assert repr(error) == "Refused('x')"


def test_an_errback_is_called_in_the_worker() -> None:
    result = tasks.refuse.apply_async(("x",), link_error=tasks.on_error.s())
    assert told() == (result.id, "Refused('x')")


def test_an_errback_of_the_older_kind_goes_over_the_broker() -> None:
    result = tasks.refuse.apply_async(("x",), link_error=tasks.note_error.s())
    assert told() == ("failed", result.id)


def test_a_task_without_a_result() -> None:
    tasks.note.delay({"noted": [1, 2]})
    assert told() == {"noted": [1, 2]}


def test_a_task_may_tell_how_far_it_is() -> None:
    bodies: list[Any] = []
    result = tasks.tells_progress.delay()
    assert result.get(timeout=PATIENCE, on_message=bodies.append) == "all"
    seen = [(body["status"], body["result"]) for body in bodies if body["task_id"] == result.id]
    assert [status for status, _ in seen] == [states.STARTED, "HALFWAY", states.SUCCESS]
    assert seen[1] == ("HALFWAY", {"done": 50})


def test_callbacks_get_the_result() -> None:
    result = tasks.add.apply_async((1, 2), link=tasks.note.s())
    assert (result.get(timeout=PATIENCE), told()) == (3, 3)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_arguments_in_other_serializations(serializer: str) -> None:
    value = {"text": "grüße", "numbers": [1, 2.5, None, True]}
    assert tasks.echo.apply_async((value,), serializer=serializer).get(timeout=PATIENCE) == value


@pytest.mark.parametrize("compression", ["gzip", "bzip2"])
def test_compressed_arguments(compression: str) -> None:
    text = "x" * 10_000
    assert tasks.echo.apply_async((text,), compression=compression).get(timeout=PATIENCE) == text


def test_headers_reach_the_task() -> None:
    assert tasks.whoami.apply_async(headers={"tenant": "acme"}).get(timeout=PATIENCE)["headers"] == {"tenant": "acme"}


def test_send_task_needs_no_task_but_its_name(app: Celery) -> None:
    assert app.send_task(tasks.add.name, (2, 3)).get(timeout=PATIENCE) == 5


# retries


def test_a_task_is_tried_again_after_an_error() -> None:
    assert tasks.flaky.delay(2).get(timeout=PATIENCE) == 2


def test_after_max_retries_the_error_comes_back() -> None:
    with pytest.raises(tasks.Refused, match="attempt 3"):
        tasks.flaky.delay(10).get(timeout=PATIENCE)


def test_a_retry_waits_for_its_countdown() -> None:
    eta, now = tasks.retries_by_hand.delay(0.2).get(timeout=PATIENCE)
    assert now >= datetime.fromisoformat(eta).timestamp()


def test_a_task_that_retries_without_an_error_runs_out_of_retries() -> None:
    with pytest.raises(MaxRetriesExceededError):
        tasks.never_content.delay().get(timeout=PATIENCE)


# time


def test_a_task_with_a_countdown_waits_in_the_worker() -> None:
    before = time.time()
    seen = tasks.whoami.apply_async(countdown=0.3).get(timeout=PATIENCE)
    assert before + 0.3 <= datetime.fromisoformat(seen["eta"]).timestamp() <= seen["now"]


def test_a_task_with_an_eta() -> None:
    eta = datetime.now(UTC) + timedelta(milliseconds=200)
    seen = tasks.whoami.apply_async(eta=eta).get(timeout=PATIENCE)
    assert (datetime.fromisoformat(seen["eta"]), seen["now"] >= eta.timestamp()) == (eta, True)


def test_an_expired_task_is_revoked() -> None:
    with pytest.raises(TaskRevokedError, match="expired"):
        tasks.note.apply_async(("too late",), expires=datetime(2020, 1, 1, tzinfo=UTC), ignore_result=False).get(
            timeout=PATIENCE
        )
    assert journal.empty()


def test_a_task_that_is_in_time_for_its_expiry() -> None:
    assert tasks.add.apply_async((1, 2), expires=60).get(timeout=PATIENCE) == 3


# acknowledgement


def test_a_rejected_task_is_delivered_again() -> None:
    assert tasks.rejects_once.delay().get(timeout=PATIENCE) is True


def test_a_task_that_ignores_itself_has_no_result(app: Celery) -> None:
    result = tasks.ignored.delay()
    assert told() == "ignored"
    assert tasks.echo.delay("next").get(timeout=PATIENCE) == "next"
    assert result.state == states.PENDING

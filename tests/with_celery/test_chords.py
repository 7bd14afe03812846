"""Chords, with a result backend that can: the one in the process's own memory."""

from typing import Final

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError

from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE, told

#: Polling interval for this backend, in seconds.
OFTEN: Final = 0.01

pytestmark = pytest.mark.usefixtures("worker")

SETTINGS = {"result_backend": "cache+memory://"}


def test_a_chord() -> None:
    assert (
        chord(tasks.add.s(number, number) for number in range(5))(tasks.total.s()).get(timeout=PATIENCE, interval=OFTEN)
        == 20
    )


def test_a_group_chained_with_a_task_is_a_chord() -> None:
    assert (group(tasks.add.s(1, 1), tasks.add.s(2, 2)) | tasks.total.s())().get(timeout=PATIENCE, interval=OFTEN) == 6


def test_a_chord_in_a_chain() -> None:
    canvas = chain(tasks.add.s(1, 1), group(tasks.add.s(1), tasks.add.s(2)), tasks.total.s(), tasks.add.s(100))
    assert canvas().get(timeout=PATIENCE, interval=OFTEN) == 107


def test_a_chord_of_chords() -> None:
    inner = chord([tasks.add.s(1, 1), tasks.add.s(2, 2)], tasks.total.s())
    assert chord([inner, inner.clone()], tasks.total.s())().get(timeout=PATIENCE, interval=OFTEN) == 12


def test_a_chord_of_which_one_fails() -> None:
    result = chord([tasks.add.s(1, 1), tasks.refuse.s("one of two")])(tasks.total.s())
    # the kind of error depends on which task ends last
    with pytest.raises((ChordError, tasks.Refused), match="one of two"):
        result.get(timeout=PATIENCE, interval=OFTEN)


def test_a_failing_chord_calls_the_errback_of_its_body() -> None:
    result = chord([tasks.add.s(1, 1), tasks.refuse.s("x")])(tasks.total.s().on_error(tasks.note_error.s()))
    assert told() == ("failed", result.id)


def test_groups_and_chains_here_too() -> None:
    assert group(tasks.add.s(number, 1) for number in range(3))().get(timeout=PATIENCE, interval=OFTEN) == [1, 2, 3]
    assert chain(tasks.add.s(1, 1), tasks.add.s(5))().get(timeout=PATIENCE, interval=OFTEN) == 7


def test_a_task_that_is_replaced_by_another() -> None:
    """Not with ``rpc://``: Celery sends the result of the other one to the worker."""
    assert tasks.replaced.delay(3, 4).get(timeout=PATIENCE, interval=OFTEN) == 7

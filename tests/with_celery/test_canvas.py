"""Groups, chains and chunks with the result backend ``rpc://``, and what it does not do: chords."""

import pytest
from celery import chain, chord, group

from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE

pytestmark = pytest.mark.usefixtures("worker")


def test_a_group() -> None:
    assert group(tasks.add.s(number, number) for number in range(10))().get(timeout=PATIENCE) == list(range(0, 20, 2))


def test_a_group_of_which_one_fails() -> None:
    result = group(tasks.add.s(1, 1), tasks.refuse.s("one of two"))()
    with pytest.raises(tasks.Refused, match="one of two"):
        result.get(timeout=PATIENCE)


def test_results_of_a_group_as_they_come() -> None:
    result = group(tasks.echo.s(number) for number in range(5))()
    assert sorted(value["result"] for _, value in result.iter_native(timeout=PATIENCE)) == [0, 1, 2, 3, 4]


def test_a_chain_hands_on_results() -> None:
    assert chain(tasks.add.s(1, 1), tasks.add.s(5), tasks.add.s(6))().get(timeout=PATIENCE) == 13


def test_the_parts_of_a_chain_have_results_too() -> None:
    result = (tasks.add.s(1, 1) | tasks.add.s(5))()
    assert result.get(timeout=PATIENCE) == 7
    assert result.parent.get(timeout=PATIENCE) == 2


def test_a_chain_ends_where_one_fails() -> None:
    result = chain(tasks.add.s(1, 1), tasks.refuse.si("broken"), tasks.note.si("unreachable"))()
    with pytest.raises(tasks.Refused, match="broken"):
        result.parent.get(timeout=PATIENCE)
    assert tasks.journal.empty()


def test_an_immutable_signature_takes_no_result() -> None:
    assert chain(tasks.add.s(1, 1), tasks.add.si(2, 2))().get(timeout=PATIENCE) == 4


def test_chunks() -> None:
    result = tasks.add.chunks(zip(range(6), range(6), strict=True), 2)()
    assert result.get(timeout=PATIENCE) == [[0, 2], [4, 6], [8, 10]]


def test_map_and_starmap() -> None:
    assert tasks.echo.map(range(3)).delay().get(timeout=PATIENCE) == [0, 1, 2]
    assert tasks.add.starmap([(1, 2), (3, 4)]).delay().get(timeout=PATIENCE) == [3, 7]


@pytest.mark.parametrize("shape", ["chord", "group in a chain"])
def test_rpc_results_know_no_chords(shape: str) -> None:
    """That is Celery's own, whatever the broker and the transport."""
    header, body = group(tasks.add.s(1, 1), tasks.add.s(2, 2)), tasks.total.s()
    canvas = chord(header, body) if shape == "chord" else chain(header, body)
    with pytest.raises(NotImplementedError, match='The "rpc" result backend does not support chords!'):
        canvas.apply_async()

"""Fixed scripts make as many function calls as calls.json says: a guard of hutch's cost that needs no clock.

More calls fail: every test of every user pays for them. Fewer calls fail too: a budget above the count would let later
growth pass. In both cases `python -m tests.budgets` writes today's numbers, and the commit shows them.
"""

import cProfile
import gc
import sys

import pytest

from hutch.client.reader import ToPeers
from hutch.fakebroker.amqp091 import session
from hutch.wire.cutter import Envelope

from . import budget, counting
from .scripts import MESSAGES, SCRIPTS


@pytest.fixture(autouse=True)
def _countable() -> None:
    reason = counting.obstacle()
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_makes_the_calls_of_its_budget(script: str) -> None:
    allowed = budget.read().get(script, {})
    calls = counting.count(SCRIPTS[script])
    if calls.total() != sum(allowed.values()):
        pytest.fail(budget.explain(script, allowed, calls), pytrace=False)


def test_each_budget_has_a_script() -> None:
    assert budget.read().keys() == SCRIPTS.keys()


@pytest.mark.parametrize(("script", "messages"), [("a hundred messages", MESSAGES), ("a whole test", 1)])
def test_a_script_acknowledges_its_messages(script: str, messages: int) -> None:
    with SCRIPTS[script]() as run:
        assert len(run().history.of("acked")) == messages


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_total_is_what_cprofile_counts(script: str) -> None:
    total = counting.count(SCRIPTS[script]).total()
    profile = cProfile.Profile()
    with SCRIPTS[script]() as run, counting.no_garbage_collection():
        run()
        profile.enable()
        run()
        profile.disable()
    of_the_script_itself = 2  # the calls of run and disable
    assert sum(entry.callcount for entry in profile.getstats()) - of_the_script_itself == total


deliver = ToPeers.deliver


def deliver_slowly(
    peers: ToPeers, channel: int, delivery_tag: int, envelope: Envelope, properties: bytes, body: bytes
) -> None:
    repr(body)
    deliver(peers, channel, delivery_tag, envelope, properties, body)


def test_the_table_begins_with_the_module_that_grew(monkeypatch: pytest.MonkeyPatch) -> None:
    script = SCRIPTS["a hundred messages"]
    before = budget.budget_of(counting.count(script))
    monkeypatch.setattr(ToPeers, "deliver", deliver_slowly)
    calls = counting.count(script)
    headline, _, _, grown, *made = budget.explain("a hundred messages", before, calls).splitlines()
    assert f"({2 * MESSAGES:+}). Remove the new calls." in headline
    assert grown.split(maxsplit=2)[2] == "+200  hutch.wire.cutter"
    callers = [line.split(maxsplit=1) for line in made]
    assert ["100", "Cutter._take_content -> repr"] in callers
    assert ["100", f"Cutter._take_content -> {__name__}.deliver_slowly"] in callers


def test_fewer_calls_ask_for_new_numbers() -> None:
    calls = counting.count(SCRIPTS["a whole test"])
    assert f"(-1). Run `{budget.COMMAND}` to lower" in budget.explain("it", {"module": calls.total() + 1}, calls)


def test_counting_ends() -> None:
    counting.count(SCRIPTS["a whole test"])
    assert sys.getprofile() is None
    assert gc.isenabled()


def test_obstacles(monkeypatch: pytest.MonkeyPatch) -> None:
    with cProfile.Profile():
        profiled = counting.obstacle()
    assert "profiler" in str(profiled)
    with monkeypatch.context() as patch:
        patch.setattr(counting, "PYTHON", (3, 0))
        assert f"CPython 3.0, not on CPython 3.{sys.version_info[1]}" in str(counting.obstacle())
    with monkeypatch.context() as patch:
        patch.setattr(session, "__file__", "session.cpython-311-x86_64-linux-gnu.so")
        assert "compiled" in str(counting.obstacle())
    assert counting.obstacle() is None

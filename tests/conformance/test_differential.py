import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import Any

import pytest

from hutch.conformance.cli import main
from hutch.conformance.differential.command import told
from hutch.conformance.differential.dead_letters import harmless
from hutch.conformance.differential.duel import Difference
from hutch.conformance.differential.machine import Arena, Outcome, run
from hutch.conformance.differential.operations import Administer, Call, Operation, Place, Publish
from hutch.conformance.differential.shrinking import shrink
from hutch.conformance.differential.vocabulary import Vocabulary
from hutch.conformance.targets import Live
from hutch.fakebroker import Broker
from hutch.fakebroker.engine import profiles
from hutch.wire import methods as wire


def test_the_emulator_is_like_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker("3.10") as broker:
        assert main(["--differential", broker.url, "--operations", "300", "--seed", "5"]) == 0
        assert not broker.node.connections
        assert not broker.node.vhosts["/"].queues
    output = capsys.readouterr().out.splitlines()
    assert output[0].endswith("(RabbitMQ 3.10.8 as 3.10) and the emulator: 300 operations, --seed 5")
    assert output[-1] == "no difference"
    assert any(line.endswith(" basic.publish") for line in output)


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_the_emulator_is_like_itself_with_plugins_and_an_operator(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Broker(profile, plugins=["rabbitmq_consistent_hash_exchange", "rabbitmq_recent_history_exchange"]) as broker:
        with Live(broker.url).site() as site:
            monkeypatch.setattr(site, "operator", lambda: broker.admin)
            outcome = run(Arena(site, profile), 1200, 5)
        assert outcome.difference is None
        assert outcome.played["set_policy"]
        assert outcome.played["set_permissions"]
        assert list(broker.node.users) == ["guest"]
        policies = broker.node.vhosts["/"].policies
        assert not policies.user
        assert not policies.operator
        assert set(broker.node.vhosts["/"].limits) == set()


def test_policies_are_made_small() -> None:
    def attempt(operations: Sequence[Operation]) -> Difference | None:
        differs = any(
            isinstance(operation, Administer) and "expires" in operation.arguments.get("definition", {})
            for operation in operations
        )
        return Difference([str(operation) for operation in operations], [], []) if differs else None

    definition = {"max-length": 1, "expires": 300, "overflow": "drop-head"}
    policy = {"name": "p1", "pattern": "", "definition": definition, "priority": 1, "apply_to": "queues"}
    script = [Administer("delete_policy", {"name": "p1"}), Administer("set_policy", policy)]
    found = shrink(script, attempt, 10)
    assert found is not None
    assert found.script == ["operator set_policy(name='p1', pattern='', definition={'expires': 300}, priority=1)"]


def test_a_planted_difference_is_found_and_made_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = replace(profiles.V4_3, sorts_headers=False)
    monkeypatch.setitem(profiles.PROFILES, "planted", planted)
    with Broker("planted") as broker:
        assert main(["--differential", broker.url, "--operations", "20000", "--seed", "1"]) == 1
    output = capsys.readouterr().out.splitlines()
    assert output[-1] == "they differ"
    begin = output.index("These operations differ in the last step:") + 1
    script = list(takewhile(lambda line: line.startswith("  "), output[begin:]))
    (publish,) = [line for line in script if "basic.publish" in line]
    assert "headers" in publish
    assert len(script) < 8, script
    emulator, rabbit = (output[output.index(f"{who} says:") + 1] for who in ("The emulator", "RabbitMQ"))
    assert "basic." in emulator
    assert "basic." in rabbit
    assert emulator != rabbit


class Recorder:
    """An arena in which nothing happens."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self.operations: list[str] = []
        self.played: Counter[str] = Counter()

    @contextmanager
    def duel(self, played: "Counter[str]", _patience: float) -> Iterator["Recorder"]:
        self.played = played
        yield self

    def play(self, operation: Operation) -> None:
        self.played[operation.kind] += 1
        self.operations.append(str(operation))

    def finish(self) -> None:
        pass


def recorded(seed: int) -> list[str]:
    recorder: Any = Recorder()
    run(recorder, 500, seed)
    operations: list[str] = recorder.operations
    return operations


def test_the_same_seed_gives_the_same_operations() -> None:
    assert recorded(7) == recorded(7)
    assert recorded(7) != recorded(8)


def test_no_decimal_gets_to_a_queue_that_dead_letters_at_least_once() -> None:
    def operations(strategy: str) -> list[Operation]:
        headers = {"headers": {"a": Decimal("1.5"), "b": 1}}
        publish = Publish(Place(1, 1), wire.BasicPublish(routing_key="q1"), headers)
        declare = wire.QueueDeclare(queue="q1", arguments={"x-dead-letter-strategy": strategy})
        return [publish, Call(Place(1, 1), declare)]

    def headers(script: list[Operation]) -> list[str]:
        return [name for each in script if isinstance(each, Publish) for name in each.properties["headers"]]

    assert headers(harmless(operations("at-most-once"))) == ["a", "b"]
    assert headers(harmless(operations("at-least-once"))) == ["b"]
    by_policy = Administer("set_policy", {"definition": {"dead-letter-strategy": "at-least-once"}})
    assert headers(harmless([*operations("at-most-once"), by_policy])) == ["b"]


def test_a_difference_that_is_not_seen_again_is_told_of() -> None:
    outcome = Outcome(Counter({"basic.get": 1}), scripts=1, seconds=1.0)
    assert told(outcome)[-1] == "no difference"


def test_without_hypothesis(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("hutch.conformance.differential")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert main(["--differential", "amqp://localhost"]) == 1
    assert capsys.readouterr().err == (
        "hutch conformance: --differential needs Hypothesis: pip install 'hutch[differential]'\n"
    )


def test_without_a_live_broker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--differential"]) == 1
    assert "no URL is given" in capsys.readouterr().err

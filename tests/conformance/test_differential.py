import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import count, takewhile
from typing import Any

import pytest

from hutch.conformance.cli import main
from hutch.conformance.differential.command import told
from hutch.conformance.differential.dead_letters import harmless
from hutch.conformance.differential.duel import Difference
from hutch.conformance.differential.machine import Arena, Outcome, run
from hutch.conformance.differential.operations import (
    USER,
    USERS_OWN,
    Administer,
    Call,
    Operation,
    Place,
    Publish,
    Restart,
)
from hutch.conformance.differential.shrinking import shrink, simpler
from hutch.conformance.differential.vocabulary import Vocabulary
from hutch.conformance.live import Live
from hutch.fakebroker import Broker, profiles
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable


@pytest.mark.slow
def test_the_emulator_is_like_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker("3.10") as broker:
        assert main(["--differential", broker.url, "--operations", "300", "--seed", "5"]) == 0
        assert not broker.hub.node.connections
        assert not broker.hub.node.vhosts["/"].queues
    output = capsys.readouterr().out.splitlines()
    assert output[0].endswith("(RabbitMQ 3.10.8 as 3.10) and the emulator: 300 operations, --seed 5")
    assert output[-1] == "no difference"
    assert any(line.endswith(" basic.publish") for line in output)


@pytest.mark.slow
@pytest.mark.timeout(300)  # plays as many scripts as are needed; a busy machine gives some up
@pytest.mark.parametrize(("profile", "first"), [("3.10", 68), ("4.3", 20)])
def test_the_emulator_is_like_itself_with_plugins_and_an_operator(
    profile: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``first`` is a random seed whose scripts soon have all that is asked for."""
    with Broker(profile, plugins=["rabbitmq_consistent_hash_exchange", "rabbitmq_recent_history_exchange"]) as broker:
        with Live(broker.url).site() as site:
            monkeypatch.setattr(site, "operator", lambda: broker.admin)
            monkeypatch.setattr(site, "control", lambda: broker.admin)
            played: Counter[str] = Counter()
            for number in count(first):
                outcome = run(Arena(site, profile), 300, number)
                assert outcome.difference is None
                played += outcome.played
                if {"set_policy", "set_permissions", "set_user_limit", "advance", "restart"} <= played.keys():
                    break
        assert list(broker.hub.node.users) == ["guest"]
        policies = broker.hub.node.vhosts["/"].policies
        assert not policies.user
        assert not policies.operator
        assert set(broker.hub.node.vhosts["/"].limits) == set()


@pytest.mark.slow
def test_connections_and_channels_may_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(name: str, value: int) -> Administer:
        return Administer("set_user_limit", {"user": USER, "limit": name, "value": value})

    select, other_select = (Call(Place(USERS_OWN, channel), wire.TxSelect()) for channel in (1, 2))
    declare = Call(Place(USERS_OWN, 1), wire.QueueDeclare(queue="q", exclusive=True))
    script: list[Operation] = [
        *(limit("max-channels", 1), declare, select),  # asking after the queue needs one channel more
        *(limit("max-channels", 2), declare, other_select),
        *(limit("max-connections", 0), select, limit("max-connections", -1)),
        *(Administer("clear_permissions", {"user": USER}), select),
    ]
    with Broker() as broker, Live(broker.url).site() as site:
        monkeypatch.setattr(site, "operator", lambda: broker.admin)
        with Arena(site, "4.3").duel(Counter(), 1.0) as duel:
            for operation in script:
                duel.play(operation)
            duel.finish()
        refused = [event.reason for event in broker.history.of("refused") if event.reason.startswith("NOT_ALLOWED")]
    channels = "NOT_ALLOWED - number of channels opened for user '' has reached the maximum allowed user limit of "
    assert [re.sub("hutch-user-[0-9a-f]+", "", text) for text in refused] == [
        channels + "1",
        channels + "2",
        "NOT_ALLOWED - connection refused for user '': user connection limit (0) is reached",
        "NOT_ALLOWED - access to vhost '/' refused for user ''",
    ]


def test_the_broker_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    place, other = Place(1, 1), Place(2, 1)
    persistent, get = Publish(place, wire.BasicPublish(routing_key="q"), {"delivery_mode": 2}), wire.BasicGet(queue="q")
    script: list[Operation] = [
        Call(place, wire.QueueDeclare(queue="q", durable=True)),
        *(persistent, persistent, Call(place, get), Restart(), Call(other, get)),
        *(Call(place, wire.BasicConsume(queue="q")), Restart()),  # the order of requeued messages is not determined
    ]
    with Broker() as broker, Live(broker.url).site() as site:
        monkeypatch.setattr(site, "control", lambda: broker.admin)
        played: Counter[str] = Counter()
        with Arena(site, "4.3").duel(played, 1.0) as duel:
            for operation in script:
                duel.play(operation)
            duel.finish()
    assert played["restart"] == 1
    assert [event.redelivered for event in broker.history.of("got")] == [False, True]


def test_policies_are_made_small() -> None:
    def attempt(operations: Sequence[Operation]) -> Difference | None:
        differs = any(
            isinstance(operation, Administer) and "expires" in operation.arguments.get("definition", {})
            for operation in operations
        )
        return Difference([str(operation) for operation in operations], [], []) if differs else None

    definition = {"max-length": 1, "expires": 300, "overflow": "drop-head"}
    policy = {"name": "p1", "pattern": "", "definition": definition, "priority": 1, "apply_to": "queues"}
    script: list[Operation] = [Administer("delete_policy", {"name": "p1"}), Administer("set_policy", policy)]
    found = shrink(script, attempt, 10, simpler)
    assert found is not None
    assert found.script == ["operator set_policy(name='p1', pattern='', definition={'expires': 300}, priority=1)"]


@pytest.mark.slow
def test_a_planted_difference_is_found_and_made_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = profiles.V4_3
    messages = replace(version.engine.messages, sorts_headers=False)
    planted = replace(version, engine=replace(version.engine, messages=messages))
    monkeypatch.setitem(profiles.PROFILES, "planted", planted)
    with Broker("planted") as broker:
        assert main(["--differential", broker.url, "--operations", "20000", "--seed", "1"]) == 1
    output = capsys.readouterr().out.splitlines()
    assert output[-1] == "they differ"
    # Earlier output may contain differences that did not occur again.
    output = output[len(output) - output[::-1].index("These operations differ in the last step:") :]
    script = list(takewhile(lambda line: line.startswith("  "), output))
    assert any("basic.publish" in line for line in script)
    assert len(script) < 12, script  # the size depends on how much a busy machine can try in the time limit
    emulator, rabbit = (output[output.index(f"{who} says:") + 1] for who in ("The emulator", "RabbitMQ"))
    assert "headers=" in emulator
    assert emulator != rabbit
    assert sorted(emulator) == sorted(rabbit)


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


@pytest.mark.slow
def test_the_same_seed_gives_the_same_operations() -> None:
    assert recorded(7) == recorded(7)
    assert recorded(7) != recorded(8)


def test_no_decimal_gets_where_the_broker_crashes_over_it() -> None:
    def operations(*settings: FieldTable) -> list[Operation]:
        headers = {"headers": {"a": Decimal("1.5"), "b": 1}}
        publish = Publish(Place(1, 1), wire.BasicPublish(routing_key="q1"), headers)
        return [publish, *(Call(Place(1, 1), wire.QueueDeclare(queue="q1", arguments=each)) for each in settings)]

    def headers(script: list[Operation]) -> list[str]:
        return [name for each in script if isinstance(each, Publish) for name in each.properties["headers"]]

    stream: FieldTable = {"x-queue-type": "stream"}
    dead: FieldTable = {"x-dead-letter-exchange": "x"}
    for harmless_one in (stream, dead, {"x-dead-letter-strategy": "at-most-once"}):
        assert headers(harmless(operations(harmless_one))) == ["a", "b"]
    assert headers(harmless(operations(stream, dead))) == ["b"]
    assert headers(harmless(operations({"x-dead-letter-strategy": "at-least-once"}))) == ["b"]
    by_policy = Administer("set_policy", {"definition": {"dead-letter-strategy": "at-least-once"}})
    assert headers(harmless([*operations(), by_policy])) == ["b"]


def test_a_difference_that_is_not_seen_again_is_told_of() -> None:
    outcome = Outcome(Counter({"basic.get": 1}), scripts=1, seconds=1.0)
    assert told(outcome)[-1] == "no difference"


def test_without_a_live_broker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--differential"]) == 1
    assert "no URL is given" in capsys.readouterr().err

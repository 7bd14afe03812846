import re

import pytest

from hutch.conformance.case import PROFILES, TOPICS, Registry, all_cases, select
from hutch.conformance.rabbit import Rabbit
from tests.conformance.conftest import made, passing


def test_the_suite_is_large_and_names_are_unique() -> None:
    cases = all_cases()
    assert len(cases) >= 170
    assert len({case.name for case in cases}) == len({case.id for case in cases}) == len(cases)


def test_the_order_is_that_of_the_topics() -> None:
    cases = all_cases()
    assert [case.topic for case in cases] == sorted((case.topic for case in cases), key=TOPICS.index)
    assert cases == all_cases()
    assert {case.topic for case in cases} == set(TOPICS)


def test_every_case_says_its_behaviour_in_one_sentence() -> None:
    for case in all_cases():
        assert re.fullmatch(r"[A-Z0-9].*\.", case.summary), case.id
        assert "\n" not in case.summary, case.id


def test_a_behaviour_of_one_profile_has_a_case_for_the_other_or_is_told_alone() -> None:
    for case in all_cases():
        assert set(case.profiles) <= set(PROFILES)
        assert case.profiles


def test_names_are_taken_once() -> None:
    registry = Registry()
    registry.case("QUEUE-DECLARE-01")(passing)
    with pytest.raises(ValueError, match="there is a case named passing already"):
        registry.case("QUEUE-DECLARE-02")(passing)


@pytest.mark.parametrize("behaviour", ["", "QUEUE", "queue-declare-01", "QUEUE-DECLARE", "QUEUE-DECLARE-x"])
def test_a_behaviour_must_be_of_the_catalogue(behaviour: str) -> None:
    with pytest.raises(ValueError, match="is no id of the behaviour catalogue"):
        Registry().case(behaviour)(passing)


def test_profiles_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"unknown profile '2\.0'; there are 3\.10, 4\.3"):
        Registry().case("QUEUE-DECLARE-01", profiles=["2.0"])(passing)


def test_a_case_must_say_what_it_shows() -> None:
    def silent(rabbit: Rabbit) -> None: ...

    with pytest.raises(ValueError, match="case silent does not say its behaviour in a docstring"):
        Registry().case("QUEUE-DECLARE-01")(silent)


def test_id_and_reason() -> None:
    case = made(passing, "PUB-01", profiles=("3.10",))
    assert case.id == "PUB-01-passing"
    assert case.topic == "conftest"
    assert case.inapplicable("3.10") is None
    assert case.inapplicable("4.3") == "a behaviour of 3.10"


@pytest.mark.parametrize(
    ("expression", "picked"),
    [
        ("", ["exclusive", "queue", "topic"]),
        ("QUEUE-EXCL", ["exclusive"]),
        ("queue-excl or topic", ["exclusive", "topic"]),
        ("queue and not excl", ["queue"]),
        ("not topic", ["exclusive", "queue"]),
        ("not not topic", ["topic"]),
        ("declare and queue or topic", ["queue", "topic"]),
        ("nothing", []),
    ],
)
def test_select(expression: str, picked: list[str]) -> None:
    names = ["exclusive_queues_belong_to_a_connection", "declaring_a_queue", "topic_matrix_01"]
    cases = [case for case in all_cases() if case.name in names]
    assert sorted(case.topic for case in select(cases, expression)) == picked


@pytest.mark.parametrize("expression", ["and", "a or", "not", "a and and b", "a b", "or a"])
def test_select_does_not_guess(expression: str) -> None:
    with pytest.raises(ValueError, match="words joined by 'and', 'or', 'not' are wanted"):
        select(all_cases(), expression)

"""Policies, as an operator sets them on the emulator."""

from typing import Any

import pytest

from hutch.client import Message
from hutch.fakebroker import Broker, InvalidPolicy
from hutch.pytest_plugin import FakeBroker


def fill(broker: FakeBroker, queue: str, messages: int = 5, **kwargs: Any) -> None:
    """Declare a queue and publish to it."""
    channel = broker.connect().channel()
    channel.queue_declare(queue, auto_delete=False, **kwargs)
    for _ in range(messages):
        channel.basic_publish(Message(b"x"), routing_key=queue)


def test_a_policy_holds_at_once_and_its_dead_letters_are_there(fakebroker: FakeBroker) -> None:
    fill(fakebroker, "dead", 0)
    fill(fakebroker, "orders")
    fakebroker.admin.set_policy(
        "p", "^orders$", {"max-length": 2, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"}
    )
    assert (fakebroker.queue("orders").ready, fakebroker.queue("dead").ready) == (2, 3)
    fakebroker.admin.delete_policy("p")
    fill(fakebroker, "orders")
    assert fakebroker.queue("orders").ready == 7


def test_of_equal_priorities_the_first_name_wins(fakebroker: FakeBroker) -> None:
    fill(fakebroker, "q", 0)
    for name, length in (("b", 2), ("a", 3), ("c", 1)):
        fakebroker.admin.set_policy(name, "q", {"max-length": length})
    fill(fakebroker, "q")
    assert fakebroker.queue("q").ready == 3


def test_setting_the_same_again_does_not_begin_a_lease_anew(fakebroker: FakeBroker) -> None:
    fill(fakebroker, "q", 0)
    fakebroker.admin.set_policy("p", "q", {"expires": 1000})
    fakebroker.clock.advance(seconds=0.6)
    fakebroker.admin.set_policy("p", "q", {"expires": 1000})
    fakebroker.clock.advance(seconds=0.6)
    with pytest.raises(LookupError):
        fakebroker.queue("q")


def test_policies_are_for_one_virtual_host_and_outlive_a_restart() -> None:
    with FakeBroker(vhosts=("/", "other")) as broker:
        broker.admin.set_policy("p", "q", {"max-length": 1}, vhost="other")
        fill(broker, "q", durable=True)
        assert broker.queue("q").ready == 5
        with pytest.raises(LookupError, match="no policy 'p'; there are: none"):
            broker.admin.delete_policy("p")
        with pytest.raises(LookupError, match="no vhost 'third'"):
            broker.admin.set_operator_policy("p", "q", {"max-length": 1}, vhost="third")
        broker.admin.set_policy("p", "q", {"max-length": 2})
        broker.admin.restart()
        fill(broker, "q", durable=True)
        assert broker.queue("q").ready == 2


def test_a_refusal_has_the_words_of_rabbitmq_and_changes_nothing(fakebroker: FakeBroker) -> None:
    fill(fakebroker, "q")
    fakebroker.admin.set_policy("p", "q", {"max-length": 3})
    with pytest.raises(InvalidPolicy) as caught:
        fakebroker.admin.set_policy("p", "q", {"max-length": -1})
    assert str(caught.value) == "Validation failed\n\n-1 is not a valid maximum length\n"
    assert isinstance(caught.value, ValueError)
    fill(fakebroker, "q")
    assert fakebroker.queue("q").ready == 3


def test_many_unknown_settings_are_told_in_several_lines() -> None:
    with Broker() as broker, pytest.raises(InvalidPolicy) as caught:
        broker.admin.set_policy(
            "p", "q", {"bogus-one": "x" * 20, "bogus-two": 'a"b', "bogus-three": {"a": [1.5, None]}}
        )
    assert str(caught.value) == (
        'Validation failed\n\n[{<<"bogus-one">>,<<"xxxxxxxxxxxxxxxxxxxx">>},\n {<<"bogus-three">>,#'
        '{<<"a">> => [1.5,null]}},\n {<<"bogus-two">>,<<"a\\"b">>}] are not recognised policy settings\n'
    )


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        ({"übel": 1}, '[{<<"übel"/utf8>>,1}] are not recognised policy settings'),
        ({"max-length": "Ω€"}, '<<"Ω€"/utf8>> is not a valid maximum length'),
        ({"max-length": "\x85"}, "<<194,133>> is not a valid maximum length"),
    ],
)
def test_text_in_refusals_of_the_newer_version_is_as_rabbitmqctl_prints_it(
    definition: dict[str, object], complaint: str
) -> None:
    with Broker() as broker, pytest.raises(InvalidPolicy) as caught:
        broker.admin.set_policy("p", "q", definition)
    assert str(caught.value) == f"Validation failed\n\n{complaint}\n"


@pytest.mark.parametrize("pattern", [r"\R", r"\p{L}", "(a(?i)b|c)", "a(?i)b|c", "a{2}{3}", "(?|a|b)"])
def test_expressions_that_python_reads_otherwise_are_not_taken(pattern: str) -> None:
    with Broker() as broker, pytest.raises(NotImplementedError, match="regular expression"):
        broker.admin.set_policy("p", pattern, {"max-length": 1})


@pytest.mark.parametrize("definition", [{"dead-letter-routing-key": "x" * 256}])
def test_what_the_emulator_lacks_is_not_taken(definition: dict[str, object]) -> None:
    with Broker() as broker, pytest.raises(NotImplementedError):
        broker.admin.set_policy("p", "q", definition)


def test_a_dot_is_one_byte(fakebroker: FakeBroker) -> None:
    fill(fakebroker, "bücher", 0)
    fakebroker.admin.set_policy("p", "^b..cher$", {"max-length": 1})
    fill(fakebroker, "bücher")
    assert fakebroker.queue("bücher").ready == 1


def test_denied_and_permitted_master_locators() -> None:
    locator = {"queue-master-locator": "random"}
    with Broker() as broker, pytest.raises(InvalidPolicy, match="use of deprecated queue-master-locator argument"):
        broker.admin.set_policy("p", "q", locator)
    with Broker(permit_deprecated_features={"queue_master_locator": True}) as broker:
        broker.admin.set_policy("p", "q", locator)

"""What the emulator lacks is refused by name; what RabbitMQ does not look at, it does not look at either."""

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable, Int64
from hutch.wire.methods import BasicConsume, BasicConsumeOk, BasicCredit, ConnectionClose

from .conftest import Connect


@pytest.mark.parametrize("drain", [True, False])
def test_credit_for_a_consumer_is_not_implemented(pipe: Connect, drain: bool) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        peer.declare("q")
        peer.method(BasicConsume(queue="q", arguments={"x-credit": {"credit": Int64(1), "drain": drain}}))
        assert peer.read() == ConnectionClose(540, "NOT_IMPLEMENTED - x-credit", 60, 20)


@pytest.mark.parametrize("credit", [{"credit": Int64(1)}, {"credit": 1, "drain": False}, {}])
def test_credit_that_lacks_something_is_ignored(pipe: Connect, credit: FieldTable) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        peer.declare("q")
        peer.method(BasicConsume(queue="q", consumer_tag="c", arguments={"x-credit": credit}))
        assert peer.read() == BasicConsumeOk("c")


def test_credit_for_a_consumer_that_is_there_is_not_implemented_either(pipe: Connect) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        peer.declare("q")
        peer.consume("q", "c")
        peer.method(BasicCredit("c", 1))
        assert peer.read() == ConnectionClose(540, "NOT_IMPLEMENTED - basic.credit", 60, 200)


def test_the_newer_version_knows_no_credit(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.method(BasicConsume(queue="q", consumer_tag="c", arguments={"x-credit": "any"}))
    assert peer.read() == BasicConsumeOk("c")


def test_a_history_of_nothing_holds_no_message(pipe: Connect) -> None:
    with Broker(clock=ManualClock(), history_limit=0) as broker:
        peer = pipe(broker)
        peer.publish("nowhere", b"x")
        assert len(broker.history) == 0

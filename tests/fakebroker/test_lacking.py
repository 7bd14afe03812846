"""What RabbitMQ does not look at, the emulator does not look at either."""

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable, Int64
from hutch.wire.methods import BasicConsume, BasicConsumeOk

from .conftest import Connect


@pytest.mark.parametrize("credit", [{"credit": Int64(1)}, {"credit": 1, "drain": False}, {}])
def test_credit_that_lacks_something_is_ignored(pipe: Connect, credit: FieldTable) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        peer.declare("q")
        peer.method(BasicConsume(queue="q", consumer_tag="c", arguments={"x-credit": credit}))
        assert peer.read() == BasicConsumeOk("c")


def test_the_newer_version_knows_no_credit(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.method(BasicConsume(queue="q", consumer_tag="c", arguments={"x-credit": "any"}))
    assert peer.read() == BasicConsumeOk("c")


def test_a_history_of_nothing_holds_no_message(pipe: Connect) -> None:
    with Broker(clock=ManualClock(), history_events=0) as broker:
        peer = pipe(broker)
        peer.publish("nowhere", b"x")
        assert len(broker.history) == 0

"""Dead letters with an x-death header that a publisher made up, where RabbitMQ 3.10 crashes over it."""

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable, FieldValue
from hutch.wire.methods import BasicReject

from .conftest import Connect

_TYPES: list[FieldTable] = [
    {"x-queue-type": "classic"},
    {"x-queue-type": "quorum"},
    {"x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"},
]
_MINE: FieldTable = {"queue": "q", "reason": "rejected"}
_CLAIMED: list[list[FieldValue]] = [
    [1],
    [_MINE, None],
    [[_MINE]],
    [{**_MINE, "count": "2"}],
    [{**_MINE, "count": 2.5}],
    [{**_MINE, "count": True}],
]


@pytest.mark.parametrize("queue_type", _TYPES)
@pytest.mark.parametrize("claimed", _CLAIMED)
def test_a_message_that_rabbitmq_crashes_over_is_lost(
    pipe: Connect, queue_type: FieldTable, claimed: list[FieldValue]
) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        peer.declare("dead")
        dead_to: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        peer.declare("q", {**queue_type, **dead_to}, durable=True)
        peer.publish("q", b"lost", headers={"x-death": claimed})
        peer.publish("q", b"kept")
        for tag, body in enumerate((b"lost", b"kept"), 1):
            assert peer.get("q", no_ack=False) == body
            peer.method(BasicReject(tag, requeue=False))
        assert peer.count("q") == 0
        assert [message.body for message in broker.queue("dead").messages] == [b"kept"]
        assert [event.message.body for event in broker.history.of("dropped") if event.message] == [b"lost"]

"""What a live broker would take too long to show of quorum queues, and how they look from outside."""

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable
from hutch.wire.methods import BasicCancel, BasicNack, BasicReject, QueueDeclare, QueueDeclareOk

from .conftest import Connect
from .peers import Peer


def declare(peer: Peer, name: str, **arguments: object) -> None:
    table: FieldTable = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}  # type: ignore[misc]
    peer.method(QueueDeclare(queue=name, durable=True, arguments={"x-queue-type": "quorum", **table}))
    peer.expect(QueueDeclareOk)


KEPT = {
    "dead_letter_exchange": "",
    "dead_letter_routing_key": "dead",
    "dead_letter_strategy": "at-least-once",
    "overflow": "reject-publish",
}


def test_a_dead_letter_is_published_again_after_three_minutes(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    peer = pipe(manual)
    declare(peer, "q", **KEPT)
    peer.publish("q", b"1")
    peer.get("q", no_ack=False)
    peer.method(BasicReject(1, requeue=False))
    declare(peer, "dead")
    clock.advance(179)
    assert manual.queue("dead").ready == 0
    clock.advance(1)
    assert [message.body for message in manual.queue("dead").messages] == [b"1"]
    clock.advance(1000)
    assert manual.queue("dead").ready == 1


def test_a_delayed_retry(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    declare(peer, "q", delayed_retry_type="failed", delayed_retry_min=1000, delayed_retry_max=1500)
    peer.publish("q", b"1")
    for tag, wait in enumerate((1.0, 1.5, 1.5), 1):
        assert peer.get("q", no_ack=False) == b"1"
        peer.method(BasicReject(tag, requeue=True))
        clock.advance(wait - 0.1)
        assert manual.queue("q").ready == 0
        clock.advance(0.1)
        assert manual.queue("q").ready == 1
    assert peer.get("q", no_ack=False) == b"1"
    peer.method(BasicNack(4, requeue=True))
    assert manual.queue("q").ready == 1


def test_half_an_hour_to_acknowledge(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    declare(peer, "q")
    tag = peer.consume("q", "c")
    peer.publish("q", b"1")
    peer.message()
    assert manual.queue("q").unacked == 1
    clock.advance(minutes=29)
    assert manual.queue("q").unacked == 1
    clock.advance(minutes=1)
    assert peer.read() == BasicCancel(tag, nowait=True)
    assert (manual.queue("q").ready, manual.queue("q").unacked) == (1, 0)

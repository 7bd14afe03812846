"""What a live broker would take too long to show of quorum queues, and how they look from outside."""

import gc

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.amqp091.channel import Channel
from hutch.wire.fields import FieldTable
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicNack,
    BasicQos,
    BasicQosOk,
    BasicReject,
    ChannelClose,
    ChannelCloseOk,
    QueueDeclare,
    QueueDeclareOk,
    QueueDelete,
    QueueDeleteOk,
)

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


def test_a_dead_letter_is_published_again_every_three_minutes(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    peer = pipe(manual)
    declare(peer, "q", **KEPT)
    peer.publish("q", b"1")
    peer.get("q", no_ack=False)
    peer.method(BasicReject(1, requeue=False))
    clock.advance(minutes=10)
    declare(peer, "dead")
    clock.advance(minutes=3)
    assert [message.body for message in manual.queue("dead").messages] == [b"1"]


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


def test_a_queue_forgets_the_channels_that_published_to_it(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    declare(peer, "q", max_length=1, overflow="reject-publish")
    before = channels()
    for _ in range(50):
        peer.open_channel(2)
        peer.publish("q", channel=2)
        peer.method(ChannelClose(200), 2)
        peer.expect(ChannelCloseOk)
    assert channels() <= before + 1


def channels() -> int:
    """How many channels of brokers there are in memory, open or not."""
    gc.collect()
    return sum(isinstance(thing, Channel) for thing in gc.get_objects())


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


def test_what_a_deleted_queue_delivered_may_be_acknowledged(manual: Broker, pipe: Connect) -> None:
    """The consumer has room again then, and the queue looks for a single active consumer of a higher priority."""
    peer = pipe(manual)
    declare(peer, "q", single_active_consumer=True)
    peer.method(BasicQos(prefetch_count=1))
    peer.expect(BasicQosOk)
    peer.consume("q", "c")
    peer.publish("q", b"1")
    peer.message()
    peer.method(QueueDelete(queue="q"))
    peer.expect(QueueDeleteOk)
    peer.expect(BasicCancel)
    peer.method(BasicAck(1))
    declare(peer, "q")
    assert peer.count("q") == 0

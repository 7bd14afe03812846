"""The delivery acknowledgement timeout, which takes a live broker minutes, or another setting (CONSUME-27, -28)."""

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicConsumeOk,
    BasicGet,
    BasicRecover,
    BasicRecoverOk,
    ChannelClose,
    ChannelCloseOk,
    TxCommit,
    TxCommitOk,
    TxRollback,
    TxRollbackOk,
    TxSelect,
    TxSelectOk,
)

from .conftest import Connect
from .peers import Peer


def close(timeout: int = 1800000, channel: int = 1) -> ChannelClose:
    text = (
        f"PRECONDITION_FAILED - delivery acknowledgement on channel {channel} timed out. Timeout value used: {timeout} "
        "ms. This timeout value can be configured, see consumers doc guide to learn more"
    )
    return ChannelClose(406, text, 0, 0)


def consuming(peer: Peer, messages: int = 1, *, no_ack: bool = False) -> None:
    """Have a peer be delivered so many messages."""
    peer.declare("q")
    peer.consume("q", "c", no_ack=no_ack)
    for _ in range(messages):
        peer.publish("q")
        peer.message()


def test_it_closes_the_channel_with_the_minute_after(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        consuming(peer)
        clock.advance(minutes=30)
        assert peer.count("q") == 0
        clock.advance(minutes=1)
        assert peer.read() == close()
        peer.method(ChannelCloseOk())
        peer.open_channel(2)
        assert broker.queue("q").ready == 1, "the delivery is back in its queue"
        assert broker.history.of("refused")


@pytest.mark.parametrize(("timeout", "seconds"), [(60000, 120), (1000, 60), (59999, 60), (90000, 120), (61000, 120)])
def test_it_looks_once_a_minute(clock: ManualClock, pipe: Connect, timeout: int, seconds: int) -> None:
    with Broker("3.10", clock, consumer_timeout=timeout) as broker:
        peer = pipe(broker)
        consuming(peer)
        clock.advance(seconds - 1)
        assert broker.queue("q").unacked == 1
        clock.advance(1)
        assert broker.queue("q").unacked == 0
        assert peer.read() == close(timeout)


def test_the_oldest_delivery_counts(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        consuming(peer, 2)
        clock.advance(minutes=20)
        peer.publish("q")
        peer.message()
        peer.method(BasicAck(2, multiple=True))
        assert peer.count("q") == 0
        clock.advance(minutes=29)
        assert broker.queue("q").unacked == 1
        clock.advance(minutes=2)
        assert peer.read() == close()


def test_what_is_got_counts_too(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        peer.declare("q")
        peer.publish("q")
        clock.advance(minutes=45)
        peer.method(BasicGet(queue="q"))
        peer.message()
        clock.advance(minutes=31)
        assert peer.read() == close()


def test_a_cancelled_consumer_still_has_to_acknowledge(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        consuming(peer)
        peer.method(BasicCancel("c"))
        peer.expect(BasicCancelOk)
        clock.advance(minutes=31)
        assert peer.read() == close()


def test_redelivery_begins_anew(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        consuming(peer)
        for _ in range(3):
            clock.advance(minutes=20)
            peer.method(BasicRecover(requeue=True))
            peer.expect(BasicRecoverOk)
            peer.message()
        clock.advance(minutes=31)
        assert peer.read() == close()


def test_what_a_transaction_acknowledges_has_none_until_it_is_rolled_back(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        peer.method(TxSelect())
        peer.expect(TxSelectOk)
        peer.declare("q")
        peer.consume("q", "c")
        peer.publish("q")
        peer.method(TxCommit())
        peer.message()
        peer.expect(TxCommitOk)
        peer.method(BasicAck(1))
        peer.count("q")
        clock.advance(hours=2)
        peer.method(TxRollback())
        peer.expect(TxRollbackOk)
        clock.advance(minutes=1)
        assert peer.read() == close()


def test_what_was_got_has_one_again_when_it_is_rolled_back(clock: ManualClock, pipe: Connect) -> None:
    """Nothing was outstanding for hours, and nobody consumes: the channel begins to watch again."""
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        peer.declare("q")
        peer.publish("q")
        peer.method(TxSelect())
        peer.expect(TxSelectOk)
        peer.get("q", no_ack=False)
        peer.method(BasicAck(1))
        peer.count("q")
        clock.advance(hours=2)
        assert broker.hub.node.timers.next_at() is None
        peer.method(TxRollback())
        peer.expect(TxRollbackOk)
        clock.advance(minutes=1)
        assert peer.read() == close()


@pytest.mark.parametrize(
    ("profile", "timeout", "no_ack", "messages"),
    [("3.10", None, False, 1), ("3.10", 1000, True, 1), ("3.10", 1000, False, 0), ("4.3", 1000, False, 1)],
)
def test_who_has_no_timeout(
    clock: ManualClock, pipe: Connect, profile: str, timeout: int | None, no_ack: bool, messages: int
) -> None:
    with Broker(profile, clock, consumer_timeout=timeout) as broker:
        peer = pipe(broker)
        consuming(peer, messages, no_ack=no_ack)
        clock.advance(hours=24)
        assert peer.count("q") == 0
        assert peer.waiting() == []


def test_nothing_is_left_of_a_closed_channel(clock: ManualClock, pipe: Connect) -> None:
    with Broker("3.10", clock) as broker:
        peer = pipe(broker)
        peer.method(TxSelect())
        peer.expect(TxSelectOk)
        peer.declare("q")
        peer.consume("q", "c")
        peer.publish("q")
        peer.method(TxCommit())
        peer.message()
        peer.expect(TxCommitOk)
        peer.method(BasicAck(1))
        peer.method(ChannelClose(200))
        peer.expect(ChannelCloseOk)
        assert broker.hub.node.timers.next_at() is None


def test_a_timeout_is_positive() -> None:
    with pytest.raises(ValueError, match="consumer_timeout takes milliseconds, 1 or more, or None for none, not 0"):
        Broker(consumer_timeout=0)


# 4.3, as seen on a live 4.3.6 with another consumer_timeout


def watched(broker: Broker, pipe: Connect, of_queue: int | None, of_consumer: int | None) -> Peer:
    """A peer that is delivered a message from a quorum queue, which or whose consumer may have a timeout of its own."""
    peer = pipe(broker)
    own: FieldTable = {} if of_queue is None else {"x-consumer-timeout": of_queue}
    peer.declare("q", durable=True, arguments={"x-queue-type": "quorum", **own})
    arguments: FieldTable = {} if of_consumer is None else {"x-consumer-timeout": of_consumer}
    peer.method(BasicConsume(queue="q", consumer_tag="c", arguments=arguments))
    peer.expect(BasicConsumeOk)
    peer.publish("q")
    peer.message()
    return peer


@pytest.mark.parametrize(
    ("setting", "of_queue", "of_consumer", "seconds"),
    [
        (1800000, None, None, 1800),
        (4000, None, None, 4),
        (4000, 60000, None, 60),
        (4000, None, 60000, 60),
        (4000, 50000, 60000, 60),
        (None, None, None, 86400),
        (None, 60000, None, 60),
    ],
)
def test_quorum_queues_take_back_in_time(
    clock: ManualClock,
    pipe: Connect,
    setting: int | None,
    of_queue: int | None,
    of_consumer: int | None,
    seconds: int,
) -> None:
    with Broker("4.3", clock, consumer_timeout=setting) as broker:
        peer = watched(broker, pipe, of_queue, of_consumer)
        clock.advance(seconds - 0.001)
        assert (broker.queue("q").unacked, peer.waiting()) == (1, [])
        clock.advance(0.001)
        assert peer.read() == BasicCancel("c", nowait=True)
        assert broker.queue("q").ready == 1


def test_each_delivery_of_a_quorum_queue_has_its_own_time(clock: ManualClock, pipe: Connect) -> None:
    with Broker("4.3", clock, consumer_timeout=4000) as broker:
        peer = watched(broker, pipe, None, None)
        clock.advance(3)
        peer.publish("q")
        peer.message()
        peer.method(BasicAck(1))
        clock.advance(3.999)
        assert (broker.queue("q").unacked, peer.waiting()) == (1, [])
        clock.advance(0.001)
        assert peer.read() == BasicCancel("c", nowait=True)
        assert broker.queue("q").ready == 1


def test_a_later_delivery_of_a_quorum_queue_may_have_less_time(clock: ManualClock, pipe: Connect) -> None:
    with Broker("4.3", clock) as broker:
        patient = watched(broker, pipe, None, 60000)
        hasty = pipe(broker)
        patient.method(BasicCancel("c"))
        patient.expect(BasicCancelOk)
        hasty.method(BasicConsume(queue="q", consumer_tag="h", arguments={"x-consumer-timeout": 4000}))
        hasty.expect(BasicConsumeOk)
        hasty.publish("q")
        hasty.message()
        clock.advance(4)
        assert hasty.read() == BasicCancel("h", nowait=True)
        assert (broker.queue("q").ready, broker.queue("q").unacked) == (1, 1)


def test_what_was_got_closes_its_channel(clock: ManualClock, pipe: Connect) -> None:
    with Broker("4.3", clock, consumer_timeout=4000) as broker:
        peer = pipe(broker)
        peer.declare("q", durable=True, arguments={"x-queue-type": "quorum"})
        peer.publish("q")
        peer.method(BasicGet(queue="q"))
        peer.message()
        clock.advance(4)
        assert peer.read() == close(-1)


def test_a_channel_that_closes_gives_back_what_else_is_late(clock: ManualClock, pipe: Connect) -> None:
    """One message was got, another delivered to a consumer of the same channel; both are late at once."""
    with Broker("4.3", clock, consumer_timeout=4000) as broker:
        peer = pipe(broker)
        peer.declare("q", durable=True, arguments={"x-queue-type": "quorum"})
        for _ in range(2):
            peer.publish("q")
        peer.method(BasicGet(queue="q"))
        peer.message()
        peer.method(BasicConsume(queue="q", consumer_tag="c"))
        peer.expect(BasicConsumeOk)
        peer.message()
        clock.advance(4)
        assert peer.read() == close(-1)
        assert (broker.queue("q").ready, broker.queue("q").unacked) == (2, 0)

"""What a channel tells of publishes that came in one read.

The conformance suite has what RabbitMQ does always, or now and then. The emulator does each time what is most frequent.
"""

from collections.abc import Sequence

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable
from hutch.wire.frames import method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicGet,
    BasicNack,
    BasicQos,
    BasicQosOk,
    ChannelClose,
    ChannelCloseOk,
    ConfirmSelect,
    ConfirmSelectOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    Method,
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    QueueDeclareOk,
)

from .conftest import Connect
from .peers import Item, Peer, publishing

REJECTING: FieldTable = {"x-queue-type": "quorum", "x-max-length": 3, "x-overflow": "reject-publish"}


def ack(number: int) -> BasicAck:
    """The ack of all up to a number."""
    return BasicAck(number, multiple=True)


def nack(number: int) -> BasicNack:
    """The nack of all up to a number."""
    return BasicNack(number, multiple=True)


@pytest.fixture
def peer(manual: Broker, pipe: Connect) -> Peer:
    """A client in confirm mode, with a queue ``q``."""
    return confirming(manual, pipe)


def confirming(broker: Broker, pipe: Connect) -> Peer:
    peer = pipe(broker)
    peer.declare("q")
    peer.confirm()
    return peer


def told(peer: Peer, data: bytes) -> Sequence[Item]:
    """What the broker answers to some bytes."""
    peer.send(data)
    return peer.waiting()


def test_one_ack_confirms_a_burst(peer: Peer) -> None:
    assert told(peer, publishing("q") * 5) == [ack(5)]
    assert told(peer, publishing("q") * 2) == [ack(7)]
    assert told(peer, publishing("q")) == [BasicAck(8)]


@pytest.mark.parametrize("queue_type", ["classic", "quorum", "stream"])
@pytest.mark.parametrize("delivery_mode", [1, 2])
def test_queues_of_all_types_confirm_alike(peer: Peer, queue_type: str, delivery_mode: int) -> None:
    peer.declare("other", {"x-queue-type": queue_type}, durable=True)
    assert told(peer, publishing("other", delivery_mode=delivery_mode) * 5) == [ack(5)]


def test_confirms_come_behind_all_else(peer: Peer) -> None:
    """Answers to what stands behind a publish in the same read, and deliveries."""
    peer.consume("q", "c", no_ack=True)
    items = told(peer, publishing("q") * 2 + method_frame(1, BasicQos().encode()) + publishing("q"))
    assert [type(item) for item in items] == [Content, Content, BasicQosOk, Content, BasicAck]
    assert items[-1] == ack(3)


def test_unroutable_messages_are_confirmed_at_once(peer: Peer) -> None:
    data = publishing("q") * 2 + publishing("nowhere") + publishing("q")
    assert told(peer, data) == [BasicAck(3), ack(4)]
    assert told(peer, publishing("nowhere") * 3) == [BasicAck(5), BasicAck(6), BasicAck(7)]


def test_a_refused_message_is_covered_by_no_ack(peer: Peer) -> None:
    peer.declare("few", {"x-max-length": 3, "x-overflow": "reject-publish"})
    assert told(peer, publishing("few") * 6) == [ack(3), BasicNack(4), BasicNack(5), BasicNack(6)]
    assert told(peer, publishing("few") * 3) == [nack(9)]
    assert told(peer, publishing("few")) == [nack(10)]
    assert told(peer, (publishing("few") + publishing("q")) * 2) == [
        *(BasicAck(12), BasicAck(14), nack(11), BasicNack(13)),
    ]
    assert told(peer, publishing("few") + publishing("q")) == [BasicAck(16), nack(15)]


def test_channels_by_themselves(peer: Peer) -> None:
    peer.open_channel(2)
    peer.method(ConfirmSelect(), 2)
    peer.expect(ConfirmSelectOk)
    peer.send((publishing("q") + publishing("q", channel=2)) * 3)
    peer.fill()
    assert [channel for _, channel, _ in peer.frames] == [1, 2]
    assert peer.waiting() == [ack(3), ack(3)]


@pytest.mark.parametrize(
    ("behind", "answer"),
    [(method_frame(1, ChannelClose(200).encode()), ChannelCloseOk), (publishing("q", b"", "nowhere"), ChannelClose)],
)
def test_a_channel_that_closes_confirms_no_more(peer: Peer, behind: bytes, answer: type[Method]) -> None:
    assert [type(item) for item in told(peer, publishing("q") * 3 + behind)] == [answer]
    assert peer.waiting() == []


def test_a_read_is_the_measure(peer: Peer) -> None:
    """However the bytes are cut: what is complete is confirmed, the rest with the next read."""
    data = publishing("q", b"0123456789") * 5
    for cut in (1, len(data) // 2, len(data) - 1):
        before = told(peer, data[:cut])
        after = told(peer, data[cut:])
        numbers = [item.delivery_tag for item in (*before, *after) if isinstance(item, BasicAck)]
        assert numbers == sorted(numbers)
        assert len(numbers) == len(before) + len(after) <= 2
        assert numbers[-1] % 5 == 0


def test_a_channel_without_credit_comes_to_its_confirms(peer: Peer) -> None:
    assert told(peer, publishing("q") * 1000) == [ack(400), ack(600), ack(800), ack(1000)]
    assert told(peer, publishing("q") * 350) == [ack(1350)]


def test_single_confirms(pipe: Connect) -> None:
    with Broker(clock=ManualClock(), single_confirms=True) as broker:
        peer = confirming(broker, pipe)
        assert told(peer, publishing("q") * 3) == [BasicAck(1), BasicAck(2), BasicAck(3)]
        peer.declare("few", {"x-max-length": 1, "x-overflow": "reject-publish"})
        assert told(peer, publishing("few") * 3) == [BasicAck(4), nack(5), nack(6)]


# quorum queues that reject publishes


@pytest.mark.parametrize(("count", "taken"), [(5, 5), (400, 400), (401, 400), (2000, 400)])
def test_a_burst_is_taken_as_far_as_credit_goes(manual: Broker, peer: Peer, count: int, taken: int) -> None:
    peer.declare("few", REJECTING, durable=True)
    peer.send(publishing("few") * count)
    assert manual.queue("few").ready == taken
    peer.waiting()
    assert told(peer, publishing("few")) == [nack(count + 1)]


@pytest.mark.parametrize(
    ("before", "taken"),
    [(0, 400), (1, 399), (50, 350), (100, 300), (199, 401), (200, 400), (201, 399), (300, 300), (399, 401), (450, 350)],
)
def test_credit_that_was_used_before(manual: Broker, peer: Peer, before: int, taken: int) -> None:
    """As RabbitMQ has it: it gives 200 more with each 200 publishes that are done."""
    peer.declare("few", REJECTING, durable=True)
    for _ in range(before):
        peer.publish("q")
    peer.send(publishing("few") * 1000)
    assert manual.queue("few").ready == taken


def test_all_publishes_take_of_the_credit(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("few", REJECTING, durable=True)
    peer.send(publishing("nowhere") * 100 + publishing("few") * 1000)
    assert manual.queue("few").ready == 300


def test_awaited_publishes(peer: Peer) -> None:
    peer.declare("few", REJECTING, durable=True)
    answers = [told(peer, publishing("few")) for _ in range(6)]
    assert answers == [[BasicAck(1)], [BasicAck(2)], [BasicAck(3)], [BasicAck(4)], [nack(5)], [nack(6)]]


def test_a_refusal_known_beforehand_is_told_at_once(peer: Peer) -> None:
    peer.declare("few", REJECTING, durable=True)
    assert told(peer, publishing("few") * 5) == [ack(5)]
    assert told(peer, publishing("few") * 2) == [nack(6), nack(7)]
    assert told(peer, publishing("q") + publishing("few")) == [BasicNack(9), BasicAck(8)]


def test_a_channel_hears_of_room_behind_its_read(manual: Broker, peer: Peer, pipe: Connect) -> None:
    peer.declare("few", REJECTING, durable=True)
    assert told(peer, publishing("few") * 4) == [ack(4)]
    get = method_frame(1, BasicGet(0, "few", no_ack=True).encode())
    *_, first, second = told(peer, get * 3 + publishing("few") * 2)
    assert [first, second] == [nack(5), nack(6)]
    assert told(peer, publishing("few")) == [BasicAck(7)]
    assert told(peer, publishing("few") * 2) == [ack(9)]
    assert told(peer, publishing("few")) == [nack(10)]
    other = pipe(manual)  # an idle channel is notified at once of another client's actions
    for _ in range(3):
        other.get("few")
    assert told(peer, publishing("few")) == [BasicAck(11)]


def test_a_fan_out_to_one_that_is_known_to_be_full(peer: Peer) -> None:
    """One nack, at once; the others keep the message."""
    peer.method(ExchangeDeclare(0, "fan", "fanout"))
    peer.expect(ExchangeDeclareOk)
    peer.declare("few", REJECTING, durable=True)
    for queue in ("q", "few"):
        peer.method(QueueBind(0, queue, "fan"))
        peer.expect(QueueBindOk)
    assert told(peer, publishing("", b"", "fan") * 4) == [ack(4)]
    assert told(peer, publishing("", b"", "fan") * 2) == [nack(5), nack(6)]
    assert peer.count("q") == 6


def test_two_channels_fill_a_queue(manual: Broker, peer: Peer) -> None:
    peer.declare("few", REJECTING, durable=True)
    peer.open_channel(2)
    peer.send((publishing("few") + publishing("few", channel=2)) * 5)
    assert manual.queue("few").ready == 10
    peer.waiting()
    peer.send(publishing("few") + publishing("few", channel=2) + method_frame(1, QueueDeclare(queue="q").encode()))
    declared = [item for item in peer.waiting() if isinstance(item, QueueDeclareOk)]
    assert len(declared) == 1
    assert manual.queue("few").ready == 10

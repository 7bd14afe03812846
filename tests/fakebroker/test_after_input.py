"""What is answered only when the bytes that came at once are used up.

On a live RabbitMQ most of it is a race that nearly always has one outcome: the one here. What is certain stands in the
conformance suite.
"""

import pytest

from hutch.fakebroker import Broker
from hutch.wire.frames import method_frame
from hutch.wire.methods import (
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicConsumeOk,
    BasicDeliver,
    BasicQos,
    BasicQosOk,
    ChannelClose,
    ChannelCloseOk,
    ChannelOpen,
    ConnectionClose,
    ConnectionCloseOk,
    Method,
    QueueDeclare,
    QueueDelete,
    QueueDeleteOk,
)

from .conftest import Connect
from .peers import Item, Peer, publishing

CONSUME = BasicConsume(queue="q", consumer_tag="c")
CLOSE = method_frame(0, ConnectionClose(200).encode())


def frames(*methods: Method, channel: int = 1) -> bytes:
    return b"".join(method_frame(channel, method.encode()) for method in methods)


def said(peer: Peer) -> list[type[Method]]:
    """What the broker has said."""
    peer.fill()
    items: list[Item] = []
    while peer.frames:
        items.append(peer.read())
    return [type(item) if isinstance(item, Method) else type(item.method) for item in items]


@pytest.fixture
def peer(manual: Broker, pipe: Connect) -> Peer:
    """A client with two channels and the queue ``q``."""
    made = pipe(manual)
    made.open_channel(2)
    made.declare("q")
    return made


def test_consumers_are_answered_behind_everything_else(peer: Peer) -> None:
    peer.send(publishing("q", b"x") + frames(CONSUME, BasicQos()) + frames(BasicQos(), channel=2))
    assert said(peer) == [BasicQosOk, BasicQosOk, BasicConsumeOk, BasicDeliver]
    peer.send(frames(BasicCancel("c"), BasicQos(), BasicCancel("nobody")))
    assert said(peer) == [BasicQosOk, BasicCancelOk, BasicCancelOk]


def test_a_queue_that_goes_at_once_tells_its_consumer_last(peer: Peer) -> None:
    peer.send(frames(CONSUME, QueueDelete(queue="q"), BasicQos()))
    assert said(peer) == [QueueDeleteOk, BasicQosOk, BasicConsumeOk, BasicCancel]


def test_a_consumer_of_replies_is_answered_at_once(peer: Peer) -> None:
    peer.send(frames(BasicConsume(queue="amq.rabbitmq.reply-to", no_ack=True), BasicQos()))
    assert said(peer) == [BasicConsumeOk, BasicQosOk]


@pytest.mark.parametrize(
    ("end", "answers"),
    [
        (frames(QueueDeclare(queue="missing", passive=True)), [ChannelClose]),
        (frames(ChannelClose(200)), [ChannelCloseOk]),
        (frames(CONSUME), [ConnectionClose]),
        (frames(BasicQos(), channel=7), [ConnectionClose]),
        (CLOSE, [ConnectionCloseOk]),
    ],
)
def test_a_channel_that_ends_hears_from_no_queue(
    manual: Broker, peer: Peer, end: bytes, answers: list[type[Method]]
) -> None:
    peer.send(publishing("q", b"x") + frames(CONSUME) + end)
    assert said(peer) == answers
    assert manual.queue("q").ready == 1


def test_a_channel_of_which_the_client_closes_the_connection_says_nothing(peer: Peer) -> None:
    peer.send(frames(ChannelClose(200)) + CLOSE)
    assert said(peer) == [ConnectionCloseOk]


def test_what_a_failed_channel_held_goes_to_others(manual: Broker, peer: Peer) -> None:
    """They have it before the connection closes, with what comes along behind the error."""
    peer.method(BasicQos(prefetch_count=1))
    peer.method(CONSUME)
    peer.publish("q", b"1")
    peer.method(BasicConsume(queue="q", consumer_tag="d"), 2)
    assert said(peer) == [BasicQosOk, BasicConsumeOk, BasicDeliver, BasicConsumeOk]
    peer.send(frames(ChannelOpen(), QueueDelete(queue="q")) + publishing("q", b"2", channel=2))
    assert peer.message().method == BasicDeliver("d", 1, True, routing_key="q")
    assert peer.message().method == BasicDeliver("d", 2, False, routing_key="q")
    assert peer.expect(ConnectionClose).reply_code == 504
    assert manual.queue("q").ready == 2


def test_of_two_channels_that_fail_the_first_is_told_of(peer: Peer) -> None:
    peer.send(frames(BasicQos(), channel=7) + frames(ChannelOpen(), channel=2))
    close = peer.expect(ConnectionClose)
    assert (close.class_id, close.method_id) == (60, 10)
    assert said(peer) == []

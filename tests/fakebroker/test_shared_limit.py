"""Whom a prefetch that consumers share lets through next: what RabbitMQ leaves to chance goes by the random seed."""

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.methods import BasicAck, BasicConsume, BasicDeliver, BasicQos, BasicQosOk

from .conftest import Connect
from .peers import Peer


def _consuming(peer: Peer, queues: str, messages: int, prefetch: int) -> None:
    """Consume from queues with so many ready messages each; the first has used up the prefetch that they share."""
    for queue in queues:
        peer.declare(queue)
        for _ in range(messages):
            peer.publish(queue)
    peer.method(BasicQos(prefetch_count=prefetch, global_=True))
    peer.expect(BasicQosOk)
    for queue in queues:
        peer.method(BasicConsume(queue=queue, consumer_tag=queue, nowait=True))
    assert _taken(peer, prefetch) == queues[0] * prefetch


def _taken(peer: Peer, count: int) -> str:
    """The consumers of the next messages; all are acknowledged at once."""
    tags = ""
    for _ in range(count):
        method = peer.message().method
        assert isinstance(method, BasicDeliver)
        tags += method.consumer_tag
    peer.method(BasicAck(0, multiple=True))
    return tags


def test_the_queue_served_first_goes_by_the_seed(pipe: Connect) -> None:
    taken = []
    for seed in (1, 1, 2):
        with Broker("3.10", ManualClock(), seed=seed) as broker:
            peer = pipe(broker)
            _consuming(peer, "abc", 30, 1)
            taken.append("".join(_taken(peer, 1) for _ in range(30)))
    assert taken[0] == taken[1] != taken[2]
    assert all(taken[0].count(queue) > 3 for queue in "abc")


def test_queues_have_their_turns_from_the_newest_to_the_oldest(pipe: Connect) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        _consuming(peer, "abcd", 50, 6)
        rounds = [_taken(peer, 6) for _ in range(20)]
    starts = [("dcba" * 3).find(taken) for taken in rounds]
    assert set(starts) == {0, 1, 2, 3}

"""What a transaction leaves in the history, and the one text of its own that RabbitMQ breaks into lines."""

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.erlang.terms import print_missing_queue
from hutch.wire.methods import (
    BasicAck,
    BasicNack,
    ConnectionClose,
    QueueDelete,
    QueueDeleteOk,
    TxCommit,
    TxCommitOk,
    TxRollback,
    TxRollbackOk,
    TxSelect,
    TxSelectOk,
)

from .conftest import Connect
from .own import own
from .peers import Peer

TOLD = ("published", "returned", "delivered", "acked", "requeued", "committed", "rolled-back", "refused")


def transactional(broker: Broker, pipe: Connect) -> Peer:
    """A client with a queue ``q`` and a transactional channel."""
    peer = pipe(broker)
    peer.declare("q")
    peer.method(TxSelect())
    peer.expect(TxSelectOk)
    return peer


def told(broker: Broker) -> list[tuple[str, bytes | None, object]]:
    """The history of messages: kind, body, and what events of this kind tell besides."""
    return [
        (event.kind, event.message.body if event.message else None, own(event)) for event in broker.history.of(*TOLD)
    ]


def test_the_history_of_a_commit(manual: Broker, pipe: Connect) -> None:
    peer = transactional(manual, pipe)
    for body in (b"1", b"2"):
        peer.publish("q", body)
    peer.publish("nowhere", b"3")
    assert told(manual) == []
    peer.method(TxCommit())
    peer.expect(TxCommitOk)
    assert told(manual) == [
        ("published", b"1", ("q",)),
        ("published", b"2", ("q",)),
        ("published", b"3", ()),
        ("committed", None, (3, 0)),
    ]


def test_the_history_of_acknowledgements(manual: Broker, pipe: Connect) -> None:
    peer = transactional(manual, pipe)
    for body in (b"1", b"2"):
        pipe(manual).publish("q", body)
    peer.consume("q", "c")
    for _ in range(2):
        peer.message()
    before = len(told(manual))
    peer.method(BasicAck(1))
    peer.method(BasicNack(2, requeue=True))
    assert len(told(manual)) == before
    assert manual.queue("q").unacked == 2
    peer.method(TxRollback())
    peer.expect(TxRollbackOk)
    assert manual.queue("q").unacked == 2
    peer.method(BasicAck(2, multiple=True))
    peer.method(TxCommit())
    peer.expect(TxCommitOk)
    assert told(manual)[before:] == [
        ("rolled-back", None, (0, 2)),
        ("committed", None, (0, 2)),
        ("acked", b"1", None),
        ("acked", b"2", None),
    ]
    assert manual.queue("q").unacked == 0


def test_the_history_of_a_rollback(manual: Broker, pipe: Connect) -> None:
    peer = transactional(manual, pipe)
    peer.publish("q", b"never")
    peer.method(TxRollback())
    peer.expect(TxRollbackOk)
    assert told(manual) == [("rolled-back", None, (1, 0))]
    assert manual.queue("q").ready == 0


def test_the_history_of_a_commit_that_fails(manual: Broker, pipe: Connect) -> None:
    peer = transactional(manual, pipe)
    peer.declare("gone")
    for queue in ("q", "gone", "q"):
        peer.publish(queue, queue.encode())
    peer.method(QueueDelete(queue="gone"))
    peer.expect(QueueDeleteOk)
    peer.method(TxCommit())
    text = 'RESOURCE_ERROR - failed to deliver message: {not_found,{resource,<<"/">>,queue,<<"gone">>}}'
    assert peer.expect(ConnectionClose) == ConnectionClose(506, text, 90, 20)
    assert told(manual) == [("published", b"q", ("q",)), ("refused", None, text)]


def test_a_transaction_goes_with_its_client(manual: Broker, pipe: Connect) -> None:
    peer = transactional(manual, pipe)
    peer.publish("q", b"never")
    peer.vanish()
    assert told(manual) == []
    assert manual.queue("q").ready == 0


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_large_transaction(profile: str, pipe: Connect) -> None:
    """Many messages, rolled back, published again, committed, and acknowledged one by one from the last to the
    first.
    """
    count = 5_000
    with Broker(profile, ManualClock(), history_events=10) as broker:
        peer = transactional(broker, pipe)
        for end, answer, ready in ((TxRollback(), TxRollbackOk, 0), (TxCommit(), TxCommitOk, count)):
            for _ in range(count):
                peer.publish("q", b"x")
            assert broker.queue("q").ready == 0
            peer.method(end)
            peer.expect(answer)
            assert broker.queue("q").ready == ready
        peer.consume("q", "c")
        for _ in range(count):
            peer.message()
        for end, answer, unacked in ((TxRollback(), TxRollbackOk, count), (TxCommit(), TxCommitOk, 0)):
            for tag in range(count, 0, -1):
                peer.method(BasicAck(tag))
            peer.method(end)
            peer.expect(answer)
            assert broker.queue("q").unacked == unacked


NEXT, INNER = "\n" + " " * 31, "\n" + " " * 35


@pytest.mark.parametrize(
    ("vhost", "queue", "printed"),
    [
        ("v" * 1, "q" * 8, "{not_found,{resource,V,queue,Q}}"),
        ("v" * 1, "q" * 9, f"{{not_found,{NEXT}{{resource,V,queue,Q}}}}"),
        ("v" * 1, "q" * 15, f"{{not_found,{NEXT}{{resource,V,queue,Q}}}}"),
        ("v" * 1, "q" * 16, f"{{not_found,{NEXT}{{resource,V,queue,{INNER}Q}}}}"),
        ("v" * 23, "q" * 255, f"{{not_found,{NEXT}{{resource,V,queue,{INNER}Q}}}}"),
        ("v" * 24, "q" * 29, f"{{not_found,{NEXT}{{resource,V,{INNER}queue,Q}}}}"),
        ("v" * 24, "q" * 30, f"{{not_found,{NEXT}{{resource,V,{INNER}queue,{INNER}Q}}}}"),
        ("v" * 29, "q" * 1, f"{{not_found,{NEXT}{{resource,V,{INNER}queue,Q}}}}"),
        ("v" * 30, "q" * 1, f"{{not_found,{NEXT}{{resource,{INNER}V,queue,{INNER}Q}}}}"),
        ("v" * 31, "q" * 29, f"{{not_found,{NEXT}{{resource,{INNER}V,{INNER}queue,Q}}}}"),
        ("v" * 31, "q" * 30, f"{{not_found,{NEXT}{{resource,{INNER}V,{INNER}queue,{INNER}Q}}}}"),
    ],
)
def test_lines_of_a_missing_queue(vhost: str, queue: str, printed: str) -> None:
    """As Erlang/OTP 25 broke these into lines."""
    assert print_missing_queue(vhost, queue) == printed.replace("V", f'<<"{vhost}">>').replace("Q", f'<<"{queue}">>')


def test_a_missing_queue_with_a_name_beyond_ascii() -> None:
    """As RabbitMQ 4.3 printed it."""
    printed = print_missing_queue("hutch-54e3ea7e", "ü日")
    assert printed == f'{{not_found,{NEXT}{{resource,<<"hutch-54e3ea7e">>,queue,{INNER}<<"ü日"/utf8>>}}}}'

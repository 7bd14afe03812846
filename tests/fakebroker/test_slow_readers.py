"""Clients that do not read: what they are handed, and when they are cut off. The numbers are those of live brokers."""

import gc
import logging
import ssl
import tracemalloc
from contextlib import ExitStack

import pytest

from hutch.client.transports.tls import TlsTransport
from hutch.fakebroker import Broker, ManualClock
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicConsumeOk,
    BasicNack,
    BasicQos,
    BasicQosOk,
    QueueDelete,
    QueueDeleteOk,
)
from hutch.wire.url import parse_url
from tests import certificates

from .conftest import Connect
from .peers import Peer, publishing

REFUSAL = "the client does not read: nothing could be sent to it for 30 seconds"
#: Fewer than 50 messages of this size fit into the buffers of sockets, or into the pipe.
SIZE = 100_000
#: Number of messages that a queue passes to a channel at once.
HANDED = 200


def fill(broker: Broker, first: int, last: int, queue: str = "q", size: int = SIZE) -> None:
    """Publish messages of these numbers."""
    with Peer.opened(broker.transport()) as peer:
        for number in range(first, last):
            peer.publish(queue, (b"%d " % number).ljust(size))


def numbers(peer: Peer, count: int) -> list[int]:
    """Those of the next messages, which must come next."""
    return [int(peer.message().body) for _ in range(count)]


def read_to_end(peer: Peer) -> None:
    """Read messages until the stream ends."""
    while True:
        peer.message()


@pytest.fixture
def stalled(manual: Broker, tcp: Connect) -> Peer:
    """A TCP client whose consumer does not read; 60 messages are left in its queue."""
    peer = tcp(manual)
    peer.declare("q")
    peer.consume("q")
    fill(manual, 0, HANDED + 60)
    assert manual.queue("q").ready == 60
    return peer


# TCP


def test_a_client_that_does_not_read_for_30_seconds_is_reset(
    manual: Broker, clock: ManualClock, stalled: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hutch.fakebroker")
    clock.advance(seconds=29.9)
    assert manual.queue("q").unacked == HANDED
    clock.advance(seconds=0.1)
    assert manual.queue("q").unacked == 0
    assert [event.reason for event in manual.history.of("refused")] == [REFUSAL]
    with pytest.raises(ConnectionResetError):
        read_to_end(stalled)
    manual.drain_clients()
    assert f"closed: {REFUSAL}" in caplog.text


def test_what_it_was_handed_comes_back_in_its_place(manual: Broker, clock: ManualClock, stalled: Peer) -> None:
    clock.advance(seconds=30)
    stalled.fill_until_end()
    with Peer.opened(manual.transport()) as other:
        other.consume("q", no_ack=True)
        messages = [other.message() for _ in range(HANDED + 60)]
    assert [int(message.body) for message in messages] == list(range(HANDED + 60))
    flags = [message.method.redelivered for message in messages]  # type: ignore[attr-defined]
    assert flags == [True] * HANDED + [False] * 60


def test_a_client_that_reads_again_in_time_gets_everything(manual: Broker, clock: ManualClock, stalled: Peer) -> None:
    clock.advance(seconds=25)
    assert numbers(stalled, HANDED + 60) == list(range(HANDED + 60))
    assert manual.queue("q").ready == 0
    clock.advance(hours=1)
    fill(manual, HANDED + 60, HANDED + 61)
    assert numbers(stalled, 1) == [HANDED + 60]


def test_messages_that_come_one_by_one(manual: Broker, tcp: Connect, pipe: Connect) -> None:
    peer, publisher = tcp(manual), pipe(manual)
    peer.declare("q")
    peer.consume("q", no_ack=True)
    for _ in range(HANDED + 60):
        publisher.publish("q", bytes(SIZE))
        manual.drain_clients()
    assert manual.queue("q").ready == 60


def test_the_time_begins_anew_with_each_stall(manual: Broker, clock: ManualClock, stalled: Peer) -> None:
    clock.advance(seconds=20)
    numbers(stalled, HANDED + 60)
    fill(manual, 1000, 1000 + HANDED)
    clock.advance(seconds=20)
    assert numbers(stalled, HANDED) == list(range(1000, 1000 + HANDED))


def test_the_time_is_that_of_the_client(tcp: Connect, clock: ManualClock) -> None:
    peers_time = ManualClock()
    with Broker(clock=clock, peer_clock=peers_time) as broker:
        peer = tcp(broker)
        peer.declare("q")
        peer.consume("q", no_ack=True)
        fill(broker, 0, HANDED + 1)
        clock.advance(hours=1)
        assert not broker.history.of("refused")
        peers_time.advance(seconds=30)
        broker.run_due()
        assert [event.reason for event in broker.history.of("refused")] == [REFUSAL]
        peer.fill_until_end()
        assert broker.queue("q").ready == 1


def test_a_connection_that_is_closed_but_not_read_ends(manual: Broker, clock: ManualClock, stalled: Peer) -> None:
    manual.admin.close_connections()
    assert manual.queue("q").ready == HANDED + 60
    clock.advance(seconds=30)
    stalled.fill_until_end()


def test_what_a_client_that_does_not_read_sends_is_done(manual: Broker, stalled: Peer, pipe: Connect) -> None:
    pipe(manual).declare("other")
    for number in range(5):
        stalled.publish("other", b"%d" % number)
    assert manual.queue("other").ready == 5


def test_a_client_over_tls_is_reset_too(manual: Broker, clock: ManualClock) -> None:
    (address,) = parse_url(manual.listen_tls(certificates.server_context(verify=ssl.CERT_NONE)))
    assert address.port is not None
    transport = TlsTransport(address.host, address.port, certificates.client_context())
    with ExitStack() as stack:
        stack.callback(transport.close)
        peer = Peer.opened(transport)
        peer.declare("q")
        peer.consume("q", no_ack=True)
        fill(manual, 0, HANDED + 60)
        assert manual.queue("q").ready == 60
        clock.advance(seconds=29)
        numbers(peer, 20)
        clock.advance(seconds=30)
        assert manual.queue("q").ready == 60
        with pytest.raises(ConnectionResetError):
            read_to_end(peer)


def test_a_client_that_reads_is_handed_everything(broker: Broker, tcp: Connect) -> None:
    peer, publisher = tcp(broker), tcp(broker)
    peer.declare("q")
    publisher.send(b"".join(publishing("q", b"%d " % number) for number in range(5000)))
    assert broker.queue("q").ready == 5000
    peer.consume("q", no_ack=True)
    assert broker.queue("q").ready == 0  # all messages fit into the buffers
    assert numbers(peer, 5000) == list(range(5000))


# in-process


@pytest.mark.parametrize("before", [True, False])
def test_the_bound_holds_in_process_and_nobody_is_cut_off(
    manual: Broker, clock: ManualClock, pipe: Connect, before: bool
) -> None:
    peer = pipe(manual)
    peer.declare("q")
    if before:
        fill(manual, 0, 400)
    peer.method(BasicConsume(queue="q", no_ack=True))
    if not before:
        fill(manual, 0, 400)
    assert manual.queue("q").ready == 400 - HANDED
    clock.advance(hours=1)
    assert manual.queue("q").ready == 400 - HANDED
    peer.expect(BasicConsumeOk)
    assert numbers(peer, 400) == list(range(400))
    assert manual.queue("q").ready == 0


@pytest.mark.parametrize(("size", "handed"), [(1024, 3800), (10_000, 550), (SIZE, 200), (1_000_000, 200)])
def test_the_pipe_holds_what_sockets_hold(manual: Broker, pipe: Connect, size: int, handed: int) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.consume("q", "t10", no_ack=True)
    fill(manual, 0, handed + 10, size=size)
    assert manual.queue("q").ready == 10


def test_a_queue_hears_of_50_at_a_time(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.consume("q", no_ack=True)
    fill(manual, 0, 130)
    numbers(peer, 130)
    fill(manual, 130, 430)
    # 130 were sent, and 38 more fit into the pipe. The queue has been notified of 150 of these.
    assert manual.queue("q").ready == 430 - 150 - HANDED


def test_small_messages_all_go_into_the_pipe(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    fill(manual, 0, 1000, size=10)
    peer.method(BasicConsume(queue="q", no_ack=True))
    assert manual.queue("q").ready == 0


@pytest.mark.parametrize("before", [True, False])
def test_the_same_calls_give_the_same_bytes(before: bool) -> None:
    def play() -> bytes:
        with Broker(clock=ManualClock()) as broker, Peer.opened(broker.transport()) as peer:
            peer.declare("q")
            if before:
                fill(broker, 0, 300)
            peer.consume("q")
            if not before:
                fill(broker, 0, 300)
            read = []
            for tag in range(1, 4):
                read.append(peer.transport.receive())
                peer.method(BasicNack(tag * 20, multiple=True))
            while peer.transport.readable():
                read.append(peer.transport.receive())
            return b"".join(read)

    first = play()
    assert len(first) > 300 * SIZE
    assert play() == first


def test_memory_does_not_grow_with_what_is_published(clock: ManualClock) -> None:
    with Broker(clock=clock, history_bytes=0) as broker, Peer.opened(broker.transport()) as peer:
        peer.declare("q", {"x-max-length": 10})
        peer.consume("q", no_ack=True)
        tracemalloc.start()
        try:
            fill(broker, 0, 3000)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert HANDED * SIZE < held < 40_000_000
        assert numbers(peer, HANDED + 10) == [*range(HANDED), *range(2990, 3000)]


def test_acknowledgements_alone_make_no_room(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.method(BasicQos(prefetch_count=100))
    peer.expect(BasicQosOk)
    peer.consume("q")
    fill(manual, 0, 500)
    assert manual.queue("q").unacked == 100
    peer.method(BasicAck(100, multiple=True))
    assert manual.queue("q").unacked == 100
    peer.method(BasicAck(200, multiple=True))
    assert manual.queue("q").unacked == 0
    assert manual.queue("q").ready == 300
    assert numbers(peer, 300) == list(range(300))
    assert manual.queue("q").unacked == 100


def test_consumers_that_have_ended_leave_nothing_behind(clock: ManualClock) -> None:
    with Broker(clock=clock, history_events=0) as broker, Peer.opened(broker.transport()) as peer:

        def come_and_go(queue: str) -> None:
            peer.declare(queue)
            for _ in range(2):
                peer.consume(queue, "a", no_ack=True)
                fill(broker, 0, 60, queue, size=1)
                numbers(peer, 60)
                peer.method(BasicCancel("a"))
                peer.expect(BasicCancelOk)
            peer.method(QueueDelete(0, queue))
            peer.expect(QueueDeleteOk)
            peer.declare(queue)
            peer.consume(queue, "b")
            peer.method(QueueDelete(0, queue))
            peer.expect(QueueDeleteOk)
            peer.expect(BasicCancel)

        for number in range(10):
            come_and_go(f"before-{number}")
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(50):
                come_and_go(f"queue-{number}")
            gc.collect()
            of_engine = tracemalloc.Filter(True, "*/fakebroker/engine/*")  # other threads may allocate memory, too
            traces = tracemalloc.take_snapshot().filter_traces([of_engine]).traces
            held = sum(trace.size for trace in traces)
        finally:
            tracemalloc.stop()
        assert held < 50 * 1000, held

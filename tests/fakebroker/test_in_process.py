"""The in-process pipe: when a blocking read lets time pass, when it waits, and when it gives up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from hutch.client import AMQPError, Connection
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.realtime import monotonic
from hutch.wire.frames import HEARTBEAT_FRAME
from hutch.wire.methods import ConnectionClose, ConnectionCloseOk, ConnectionOpen

from .conftest import Connect
from .peers import PATIENCE, Peer

TO_DEAD = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}


@pytest.fixture
def other_thread() -> Iterator[Callable[[], None]]:
    """Starts a thread that does nothing until the test is over."""
    over = threading.Event()
    yield lambda: threading.Thread(target=over.wait, args=(PATIENCE,)).start()
    over.set()


def expects_a_dead_letter(peer: Peer, seconds: int) -> None:
    """Have a message delivered to the peer in so many seconds."""
    peer.declare("dead")
    peer.declare("q", TO_DEAD)
    peer.consume("dead", no_ack=True)
    peer.publish("q", b"m", expiration=str(seconds * 1000))


# A single thread


def test_a_read_jumps_to_what_happens_next(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    expects_a_dead_letter(peer, 50)
    assert b"m" in peer.transport.receive(60.0)
    assert clock.monotonic() == 50.0


def test_a_read_without_a_deadline_jumps_as_far_as_it_takes(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    expects_a_dead_letter(peer, 86_400)
    peer.declare("idle", {"x-expires": 3_600_000})
    assert b"m" in peer.transport.receive()
    assert clock.monotonic() == 86_400.0
    assert [event.at for event in manual.history.of("deleted")] == [3600.0]


def test_a_read_with_a_deadline_stops_there(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    expects_a_dead_letter(peer, 50)
    with pytest.raises(TimeoutError, match="timed out"):
        peer.transport.receive(49.5)
    assert clock.monotonic() == 49.5
    assert b"m" in peer.transport.receive(50.0)
    with pytest.raises(TimeoutError, match="timed out"):
        peer.transport.receive(1000.0)
    assert clock.monotonic() == 1000.0


def test_a_deadline_in_the_past_takes_no_time(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    clock.advance(10)
    for deadline in (0.0, 10.0, -5.0):
        with pytest.raises(TimeoutError):
            peer.transport.receive(deadline)
        assert clock.monotonic() == 10.0


def test_what_is_there_is_read_at_once_whatever_the_deadline(manual: Broker, clock: ManualClock) -> None:
    with Peer(manual.transport()) as peer:
        clock.advance(5)
        peer.send(b"AMQP\0\0\x09\x01")
        assert peer.transport.receive(0.0)
        assert clock.monotonic() == 5.0


def test_a_read_that_can_never_end_says_so(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual, heartbeat=10)
    with pytest.raises(TimeoutError, match="nothing can arrive: no timer is pending on the broker's clock"):
        peer.transport.receive()
    assert clock.monotonic() == 0.0
    expects_a_dead_letter(peer, 5)
    assert b"m" in peer.transport.receive()


def test_heartbeats_come_to_who_waits_with_a_deadline(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual, heartbeat=10)
    for moment in (5.0, 10.0, 15.0, 20.0, 25.0):
        assert peer.transport.receive(100.0) == HEARTBEAT_FRAME
        assert clock.monotonic() == moment
    with pytest.raises(ConnectionResetError):
        peer.transport.receive(100.0)
    assert clock.monotonic() == 30.0


def test_a_second_pipe_of_the_same_thread_hinders_nobody(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer, other = pipe(manual), pipe(manual)
    expects_a_dead_letter(peer, 50)
    assert b"m" in peer.transport.receive(60.0)
    other.declare("x")
    assert clock.monotonic() == 50.0


def test_a_listener_without_clients_hinders_nobody(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    assert manual.url
    peer = pipe(manual)
    expects_a_dead_letter(peer, 50)
    assert b"m" in peer.transport.receive(60.0)


def test_a_thread_that_is_older_than_the_broker_hinders_nobody(
    clock: ManualClock, pipe: Connect, other_thread: Callable[[], None]
) -> None:
    other_thread()
    with Broker(clock=clock) as broker:
        peer = pipe(broker)
        expects_a_dead_letter(peer, 50)
        assert b"m" in peer.transport.receive(60.0)
        assert clock.monotonic() == 50.0


# With other threads or clients: the clock stands still, and reads wait in real time


def waits_really(peer: Peer, clock: ManualClock) -> None:
    """A read with a short deadline takes that long, and the clock stays where it is."""
    before, started = clock.monotonic(), monotonic()
    with pytest.raises(TimeoutError):
        peer.transport.receive(before + 0.05)
    assert 0.04 < monotonic() - started < PATIENCE
    assert clock.monotonic() == before


def test_while_another_thread_lives_a_read_waits(
    manual: Broker, clock: ManualClock, pipe: Connect, other_thread: Callable[[], None]
) -> None:
    peer = pipe(manual)
    expects_a_dead_letter(peer, 50)
    other_thread()
    waits_really(peer, clock)


def test_while_a_tcp_client_is_there_a_read_waits(
    manual: Broker, clock: ManualClock, pipe: Connect, tcp: Connect
) -> None:
    peer = pipe(manual)
    expects_a_dead_letter(peer, 50)
    far = tcp(manual)
    waits_really(peer, clock)
    far.close()
    manual.drain_clients()
    assert b"m" in peer.transport.receive(60.0)


class Reader(threading.Thread):
    """Reads from a pipe on a thread of its own; ``waiting`` is set when it has nothing to read."""

    def __init__(self, broker: Broker, peer: Peer, monkeypatch: pytest.MonkeyPatch, deadline: float | None) -> None:
        super().__init__()
        self.waiting = threading.Event()
        self.got: bytes | OSError | None = None
        self._peer = peer
        self._deadline = deadline
        wait = broker.hub.turn._change.wait

        def tell_and_wait(seconds: float | None) -> None:
            self.waiting.set()  # this thread holds the lock; wait() releases it
            wait(seconds)

        monkeypatch.setattr(broker.hub.turn._change, "wait", tell_and_wait)
        self.start()
        assert self.waiting.wait(PATIENCE)

    def run(self) -> None:
        try:
            self.got = self._peer.transport.receive(self._deadline)
        except OSError as error:
            self.got = error

    def result(self) -> bytes | OSError | None:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.got


def test_a_waiting_thread_gets_what_another_publishes(
    manual: Broker, clock: ManualClock, pipe: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, publisher = pipe(manual), pipe(manual)
    reader.declare("q")
    reader.consume("q", no_ack=True)
    thread = Reader(manual, reader, monkeypatch, None)
    publisher.publish("q", b"from another thread")
    assert b"from another thread" in bytes(thread.result())  # type: ignore[arg-type]
    assert clock.monotonic() == 0.0


def test_a_waiting_thread_gets_what_comes_when_another_advances_the_clock(
    manual: Broker, clock: ManualClock, pipe: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pipe(manual)
    expects_a_dead_letter(reader, 50)
    thread = Reader(manual, reader, monkeypatch, None)
    clock.advance(50)
    assert b"m" in bytes(thread.result())  # type: ignore[arg-type]


def test_a_waiting_thread_is_timed_out_when_another_advances_the_clock_past_its_deadline(
    manual: Broker, clock: ManualClock, pipe: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pipe(manual)
    thread = Reader(manual, reader, monkeypatch, 3600.0)
    clock.advance(hours=2)
    assert isinstance(thread.result(), TimeoutError)


def test_a_waiting_thread_is_told_when_the_broker_closes(
    manual: Broker, pipe: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pipe(manual)
    thread = Reader(manual, reader, monkeypatch, None)
    manual.close()
    assert b"CONNECTION_FORCED" in bytes(thread.result())  # type: ignore[arg-type]


def test_a_waiting_thread_is_told_when_its_pipe_is_closed(
    manual: Broker, pipe: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pipe(manual)
    thread = Reader(manual, reader, monkeypatch, None)
    reader.vanish()
    assert isinstance(thread.result(), OSError)


def test_what_a_tcp_client_publishes_reaches_a_waiting_pipe(
    manual: Broker, pipe: Connect, tcp: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, publisher = pipe(manual), tcp(manual)
    reader.declare("q")
    reader.consume("q", no_ack=True)
    thread = Reader(manual, reader, monkeypatch, None)
    publisher.publish("q", b"from afar")
    assert b"from afar" in bytes(thread.result())  # type: ignore[arg-type]


# The end of a stream


def test_a_pipe_that_is_not_connected_or_closed_is_an_os_error(manual: Broker) -> None:
    pipe = manual.transport()
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            pipe.send(b"AMQP")
        with pytest.raises(OSError, match="closed"):
            pipe.receive(0.0)
        pipe.close()
        pipe.connect(None)
        with pytest.raises(OSError, match="connected already"):
            pipe.connect(None)
        pipe.close()
    assert pipe.fileno() is None


def test_what_the_broker_said_last_is_read_before_the_end(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.method(ConnectionOpen("/"), 0)
    peer.method(ConnectionCloseOk(), 0)
    assert peer.expect(ConnectionClose).reply_code == 504
    with pytest.raises(ConnectionResetError):
        peer.transport.receive()
    with pytest.raises(BrokenPipeError):
        peer.send(b"x")


def test_many_threads_may_use_one_broker(manual: Broker, pipe: Connect) -> None:
    """Each thread has a pipe of its own; nothing gets lost, and each thread's messages stay in order."""
    consumer = pipe(manual)
    consumer.declare("q")
    consumer.consume("q", no_ack=True)
    failures: list[BaseException] = []

    def publish(thread: int) -> None:
        try:
            with Peer.opened(manual.transport()) as peer:
                peer.confirm()
                for number in range(50):
                    peer.publish_and_wait("q", b"%d %d" % (thread, number))
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    bodies = [consumer.message().body.split() for _ in range(300)]
    for thread in threads:
        thread.join(PATIENCE)
    assert not failures
    for number in range(6):
        assert [int(body[1]) for body in bodies if int(body[0]) == number] == list(range(50))
    with suppress(TimeoutError):
        assert not consumer.transport.receive(manual.clock.monotonic())


def test_connections_that_ended_leave_no_timer_behind() -> None:
    with Broker(clock=ManualClock()) as broker:
        for _ in range(3):
            connection = Connection(transport=broker.transport, heartbeat=10)
            connection.connect()
            connection.close()
            Peer.opened(broker.transport()).close()
            with suppress(AMQPError):
                Connection(transport=broker.transport, password="wrong").connect()
        assert broker.hub.next_timer_at() is None

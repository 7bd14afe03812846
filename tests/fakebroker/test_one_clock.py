"""Two brokers on one manual clock: whoever moves it goes from timer to timer over both."""

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.clocks import Follower
from hutch.fakebroker.realtime import monotonic
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT_FRAME

from .conftest import Connect
from .peers import PATIENCE, Peer


@pytest.fixture
def other(clock: ManualClock) -> Iterator[Broker]:
    """A second broker on the clock of ``manual``."""
    with Broker(clock=clock) as made:
        yield made


def climbs(peer: Peer, seconds: int = 1) -> None:
    """Publish a message that waits on two rungs, so many seconds each, and then comes to the peer."""
    ladder: FieldTable = {"x-message-ttl": seconds * 1000, "x-dead-letter-exchange": ""}
    peer.declare("top")
    peer.declare("second", {**ladder, "x-dead-letter-routing-key": "top"})
    peer.declare("first", {**ladder, "x-dead-letter-routing-key": "second"})
    peer.consume("top", no_ack=True)
    peer.publish("first", b"from the ladder")


def moments(broker: Broker) -> list[float]:
    return [event.at for event in broker.history.of("expired")]


# One thread


def test_a_read_that_lets_time_pass_takes_the_other_broker_from_timer_to_timer(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect
) -> None:
    reader, climber = pipe(manual), pipe(other)
    climbs(climber)
    with pytest.raises(TimeoutError, match="timed out"):
        reader.transport.receive(10.0)
    assert clock.monotonic() == 10.0
    assert moments(other) == [1.0, 2.0]
    assert b"from the ladder" in climber.transport.receive(10.0)


def test_a_read_stops_at_what_arrives_although_the_other_broker_goes_on(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect
) -> None:
    reader, climber = pipe(manual), pipe(other)
    climbs(climber, seconds=2)
    climbs(reader, seconds=1)
    assert b"from the ladder" in reader.transport.receive()
    assert clock.monotonic() == 2.0
    assert (moments(manual), moments(other)) == ([1.0, 2.0], [2.0])
    assert b"from the ladder" in climber.transport.receive()
    assert moments(other) == [2.0, 4.0]


def test_a_read_without_a_deadline_minds_the_housekeeping_on_its_way(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect
) -> None:
    """Heartbeats are nothing to wait for, but each has its moment."""
    reader, climber, idle = pipe(manual), pipe(other), pipe(other, heartbeat=10)
    with pytest.raises(TimeoutError, match="nothing can arrive"):
        reader.transport.receive()
    assert clock.monotonic() == 0.0
    climbs(climber, seconds=6)
    assert b"from the ladder" in climber.transport.receive()
    assert idle.transport.receive(12.0) == 2 * HEARTBEAT_FRAME
    assert clock.monotonic() == 12.0


def test_a_read_with_the_deadline_now_takes_no_time(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect
) -> None:
    reader, climber = pipe(manual), pipe(other)
    climbs(climber)
    clock.advance(1)
    for deadline in (1.0, 0.5):
        with pytest.raises(TimeoutError):
            reader.transport.receive(deadline)
    assert clock.monotonic() == 1.0


def test_the_downtime_of_one_broker_passes_for_the_other(manual: Broker, other: Broker, pipe: Connect) -> None:
    climbs(pipe(other))
    manual.admin.restart(downtime=30)
    assert moments(other) == [1.0, 2.0]


def test_what_falls_due_while_time_passes_may_concern_a_broker_that_is_closed(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    with Broker(clock=clock) as closed:
        climbs(pipe(closed))
    climbs(pipe(manual), seconds=3)
    clock.advance(10)
    assert (moments(closed), moments(manual)) == ([], [3.0, 6.0])


class Witness(Follower):
    """Goes along with a clock, and looks from another thread whether the brokers' locks are free."""

    def __init__(self, *brokers: Broker) -> None:
        self.brokers = brokers
        self.found: list[bool] = []

    @property
    def threads(self) -> set[threading.Thread]:
        return self.brokers[0].hub.threads

    def is_left_to_this_thread(self, strangers: Collection[threading.Thread]) -> bool:
        return self.brokers[0].hub.is_left_to_this_thread(strangers)

    def look(self) -> None:
        def take() -> None:
            for broker in self.brokers:
                lock = broker.hub.turn.lock
                self.found.append(lock.acquire(timeout=PATIENCE))
                if self.found[-1]:
                    lock.release()

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()

    drain_clients = run_due = look

    def next_timer_at(self, *, background: bool = True) -> None:  # noqa: ARG002
        self.look()


@pytest.mark.parametrize("way", ["advance", "read", "restart"])
def test_who_moves_the_clock_holds_no_brokers_lock(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect, way: str
) -> None:
    reader = pipe(manual)
    climbs(pipe(other))
    witness = Witness(manual, other)
    clock.subscribe(witness)
    if way == "advance":
        clock.advance(5)
    elif way == "restart":
        manual.admin.restart(downtime=5)
    else:
        with pytest.raises(TimeoutError):
            reader.transport.receive(5.0)
    clock.unsubscribe(witness)
    assert len(witness.found) > 4
    assert all(witness.found)


# With other threads or clients: the clock stands still, and reads wait in real time


def waits_really(peer: Peer, clock: ManualClock) -> None:
    """A read with a short deadline takes that long, and the clock stays where it is."""
    before, started = clock.monotonic(), monotonic()
    with pytest.raises(TimeoutError):
        peer.transport.receive(before + 0.05)
    assert 0.04 < monotonic() - started < PATIENCE
    assert clock.monotonic() == before


def test_a_listener_of_the_other_broker_hinders_nobody(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect
) -> None:
    assert other.url
    reader = pipe(manual)
    climbs(reader)
    assert b"from the ladder" in reader.transport.receive(10.0)
    assert clock.monotonic() == 2.0


def test_while_the_other_broker_has_a_tcp_client_a_read_waits(
    manual: Broker, other: Broker, clock: ManualClock, pipe: Connect, tcp: Connect
) -> None:
    reader, far = pipe(manual), tcp(other)
    climbs(reader)
    waits_really(reader, clock)
    far.close()
    other.drain_clients()
    assert b"from the ladder" in reader.transport.receive(10.0)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Two threads that are older than the brokers of the test."""
    with ThreadPoolExecutor(2) as pool:
        gate = threading.Barrier(3)
        for _ in range(2):
            pool.submit(gate.wait, PATIENCE)
        gate.wait(PATIENCE)
        yield pool


def test_while_an_older_thread_has_a_client_of_the_other_broker_a_read_waits(
    pool: ThreadPoolExecutor, clock: ManualClock, pipe: Connect
) -> None:
    with Broker(clock=clock) as one, Broker(clock=clock) as two:
        reader = pipe(one)
        climbs(reader)
        elsewhere = pool.submit(pipe, two).result(PATIENCE)
        waits_really(reader, clock)
        elsewhere.vanish()
        assert b"from the ladder" in reader.transport.receive(10.0)


def test_two_older_threads_that_wait_for_two_brokers_do_not_wait_for_each_other(
    pool: ThreadPoolExecutor, clock: ManualClock
) -> None:
    def read(broker: Broker, seconds: float) -> bytes:
        with Peer.opened(broker.transport()) as peer:
            climbs(peer)
            met.wait(PATIENCE)
            try:
                return peer.transport.receive(seconds)
            except TimeoutError:
                return b"nothing"

    met = threading.Barrier(2)
    with Broker(clock=clock) as one, Broker(clock=clock) as two:
        reads = [pool.submit(read, one, 0.05), pool.submit(read, two, 0.1)]
        # After the first read ends, the other thread is alone, and the clock may move for it.
        assert reads[0].result(PATIENCE) == b"nothing"
        assert reads[1].result(PATIENCE) == b"nothing"
        assert moments(one) == moments(two) == []


# Several threads


def test_what_arrived_is_read_although_the_deadline_went_by_meanwhile(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    """Somebody moves the clock past message and deadline right behind the look at what is there."""
    reader = pipe(manual)
    climbs(reader)

    class Mover(Follower):
        """Moves the clock when a read asks who else uses it. Somebody else does."""

        def drain_clients(self) -> None: ...

        def next_timer_at(self, *, background: bool = True) -> float | None:  # noqa: ARG002
            return None

        def run_due(self) -> None: ...

        threads = manual.hub.threads

        def is_left_to_this_thread(self, strangers: object) -> bool:  # noqa: ARG002
            clock.advance(60)
            return False

    clock.subscribe(Mover())
    assert b"from the ladder" in reader.transport.receive(10.0)


def test_a_read_does_not_move_a_clock_that_was_moved_since_it_looked(clock: ManualClock) -> None:
    clock.advance(5)
    assert clock.step(since=4.0, limit=60.0)
    assert clock.monotonic() == 5.0
    assert not clock.step(since=5.0, limit=60.0)
    assert clock.monotonic() == 60.0


def in_threads(*jobs: Callable[[], None]) -> None:
    """Run all at once; each has to end in time, and well."""
    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    deadline = monotonic() + PATIENCE
    for thread in threads:
        thread.join(deadline - monotonic())
    assert not [thread for thread in threads if thread.is_alive()]
    assert not failures


def test_two_threads_each_wait_on_a_pipe_of_their_own_while_a_third_advances(
    manual: Broker, other: Broker, clock: ManualClock
) -> None:
    ready, got = threading.Barrier(3), []

    def read(broker: Broker) -> None:
        with Peer.opened(broker.transport()) as peer:
            climbs(peer)
            ready.wait(PATIENCE)
            got.append(peer.transport.receive(100.0))

    def advance() -> None:
        ready.wait(PATIENCE)
        clock.advance(50)

    in_threads(lambda: read(manual), lambda: read(other), advance)
    assert [b"from the ladder" in data for data in got] == [True, True]
    assert moments(manual) == moments(other) == [1.0, 2.0]


def test_two_threads_that_advance_the_clock_take_turns(manual: Broker, other: Broker, clock: ManualClock) -> None:
    with Peer.opened(manual.transport()) as one, Peer.opened(other.transport()) as two:
        climbs(one, seconds=7)
        climbs(two, seconds=11)

        def advance() -> None:
            for _ in range(100):
                clock.advance(0.25)

        in_threads(advance, advance, lambda: clock.advance(50))
        assert clock.monotonic() == 100.0
        assert (moments(manual), moments(other)) == ([7.0, 14.0], [11.0, 22.0])


def test_publishers_readers_and_who_moves_the_clock_get_on_together(
    manual: Broker, other: Broker, clock: ManualClock
) -> None:
    """Every message of both brokers climbs its ladder and comes down again, whoever waits for whom."""
    over, rounds = threading.Event(), 30
    opened = threading.Barrier(3)  # the handshake times out after ten seconds of the clock

    def play(mine: Broker, theirs: Broker) -> None:
        with Peer.opened(mine.transport()) as peer, Peer.opened(theirs.transport()) as second:
            climbs(peer)
            opened.wait(PATIENCE)
            assert peer.message().body == b"from the ladder"
            for _ in range(rounds):
                peer.publish("first", b"again")
                second.declare("x")
                assert peer.message().body == b"again"

    def move() -> None:
        opened.wait(PATIENCE)
        while not over.is_set():
            clock.advance(0.5)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        in_threads(lambda: play(manual, other), lambda: play(other, manual))
    finally:
        over.set()
        mover.join(PATIENCE)
    assert not mover.is_alive()
    assert len(moments(manual)) == len(moments(other)) == 2 * (rounds + 1)


def test_an_advance_that_would_never_get_its_turn_says_so(
    manual: Broker, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hutch.fakebroker.clocks._PATIENCE", 0.05)
    moving, waited = threading.Event(), threading.Event()

    class Slow(Witness):
        def run_due(self) -> None:
            moving.set()
            assert waited.wait(3 * PATIENCE)

        def next_timer_at(self, *, background: bool = True) -> None:  # noqa: ARG002
            return None

        def drain_clients(self) -> None:
            return None

    slow = Slow(manual)
    clock.subscribe(slow)
    thread = threading.Thread(target=clock.advance, args=(1,))
    thread.start()
    assert moving.wait(PATIENCE)
    with pytest.raises(TimeoutError, match="another thread moves this clock, and got nowhere"):
        clock.advance(1)
    waited.set()
    thread.join(PATIENCE)
    clock.unsubscribe(slow)

"""Time on the machine's clock: real, or moved by freezegun."""

import sys
import threading
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from hutch.fakebroker import Broker, Clock, SystemClock
from hutch.fakebroker.realtime import monotonic
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT
from hutch.wire.methods import BasicNack

from .conftest import Connect
from .peers import PATIENCE, Peer

NOW = "2031-05-06 07:08:09"
TO_DEAD: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}


# Frozen


@pytest.mark.parametrize("way", ["in-process", "TCP"])
def test_freezegun_makes_messages_and_queues_expire(broker: Broker, way: str, pipe: Connect, tcp: Connect) -> None:
    with freeze_time(NOW) as frozen:
        peer = pipe(broker) if way == "in-process" else tcp(broker)
        peer.declare("dead")
        peer.declare("q", {"x-message-ttl": 60_000, **TO_DEAD})
        peer.declare("idle", {"x-expires": 90_000})
        peer.publish("q", b"m")
        assert peer.count("q") == 1
        frozen.tick(59)
        broker.run_due()
        assert (broker.queue("q").ready, broker.queue("dead").ready) == (1, 0)
        frozen.tick(1)
        broker.run_due()
        assert (broker.queue("q").ready, broker.queue("dead").ready) == (0, 1)
        frozen.tick(timedelta(minutes=1))
        broker.run_due()
        with pytest.raises(LookupError):
            broker.queue("idle")


def test_a_consumer_over_tcp_is_told_once_the_broker_settles(broker: Broker, tcp: Connect) -> None:
    with freeze_time(NOW) as frozen:
        peer = tcp(broker)
        peer.declare("dead")
        peer.declare("q", {"x-message-ttl": 3_600_000, **TO_DEAD})
        peer.consume("dead", no_ack=True)
        peer.publish("q", b"an hour later")
        assert peer.count("q") == 1
        frozen.tick(3600)
        broker.run_due()
        assert peer.message().body == b"an hour later"


def test_an_in_process_client_settles_the_broker_by_asking(broker: Broker, pipe: Connect) -> None:
    with freeze_time(NOW) as frozen:
        peer = pipe(broker)
        peer.declare("q", {"x-message-ttl": 1000})
        peer.publish("q", b"m")
        frozen.tick(2)
        assert peer.count("q") == 0


def test_timestamps_are_those_of_the_frozen_time(broker: Broker, pipe: Connect) -> None:
    with freeze_time(NOW):
        peer = pipe(broker)
        peer.declare("dead")
        peer.declare("q", TO_DEAD)
        peer.publish("q", b"m")
        peer.get("q", no_ack=False)
        peer.method(BasicNack(1, requeue=False))
        (message,) = broker.queue("dead").messages
        assert "datetime.datetime(2031, 5, 6, 7, 8, 9)" in repr(dict(message.headers))


def test_freezing_and_thawing_time_is_no_leap(broker: Broker, pipe: Connect) -> None:
    peer = pipe(broker, heartbeat=1000)
    peer.declare("q", {"x-expires": 3_600_000})
    peer.publish("q", b"before", expiration="60000")
    for date in ("2050-01-01", "1999-01-01"):
        with freeze_time(date) as frozen:
            assert peer.count("q") == 1
            peer.publish("q", b"during", expiration="60000")
            frozen.tick(61)
            assert peer.count("q") == 0
            peer.publish("q", b"at the end", expiration="60000")
        assert peer.count("q") == 1
        peer.publish("q", b"behind it", expiration="90000")
        with freeze_time(date) as frozen:
            assert peer.count("q") == 2
            frozen.tick(61)
            assert peer.count("q") == 1
            frozen.tick(30)
            assert peer.count("q") == 0
            peer.publish("q", b"before", expiration="60000")
    assert peer.count("q") == 1


def test_a_step_back_is_none(broker: Broker, pipe: Connect) -> None:
    with freeze_time(NOW) as frozen:
        peer = pipe(broker)
        peer.declare("q")
        peer.publish("q", b"", expiration="60000")
        frozen.move_to("1990-01-01")
        assert peer.count("q") == 1
        frozen.tick(60)
        assert peer.count("q") == 0


def test_a_wait_ends_although_time_stands_still(broker: Broker, pipe: Connect) -> None:
    with freeze_time(NOW):
        peer = pipe(broker)
        started = monotonic()
        with pytest.raises(TimeoutError):
            peer.transport.receive(peer.transport.monotonic() + 0.05)
        assert 0.04 < monotonic() - started < PATIENCE


def test_closing_ends_although_time_stands_still_and_a_client_does_not_answer(broker: Broker, tcp: Connect) -> None:
    with freeze_time(NOW):
        tcp(broker)
        started = monotonic()
        broker.close(grace=0.1)
        assert monotonic() - started < PATIENCE


LADDER: FieldTable = {"x-dead-letter-exchange": "", "x-message-ttl": 60_000}


def declare_ladder(peer: Peer) -> None:
    """Queues in which a message waits a minute each: "first", "second", "third"; then it goes to "dead"."""
    for queue, behind in (("dead", ""), ("third", "dead"), ("second", "third"), ("first", "second")):
        peer.declare(queue, {**LADDER, "x-dead-letter-routing-key": behind} if behind else {})


@pytest.mark.parametrize("start", ["2031-05-06 07:08:09", "2031-05-06 07:08:09.123457"])
@pytest.mark.parametrize("way", ["in-process", "TCP"])
def test_one_tick_takes_a_message_over_a_ladder_each_rung_at_its_moment(
    broker: Broker, way: str, start: str, pipe: Connect, tcp: Connect
) -> None:
    with freeze_time(start) as frozen:
        peer = pipe(broker) if way == "in-process" else tcp(broker)
        declare_ladder(peer)
        peer.publish("first", b"m")
        assert peer.count("first") == 1
        (published,) = broker.history.of("published")
        frozen.tick(180)
        broker.run_due()
        assert broker.queue("dead").ready == 1
        expired = broker.history.of("expired")
        assert [event.queue for event in expired] == ["first", "second", "third"]
        assert [event.at - published.at for event in expired] == pytest.approx([60, 120, 180])
        (message,) = broker.queue("dead").messages
        deaths: Any = message.headers["x-death"]
        assert [(death["queue"], death["time"].time()) for death in deaths] == [
            ("third", time(7, 11, 9)),
            ("second", time(7, 10, 9)),
            ("first", time(7, 9, 9)),
        ]


@pytest.mark.parametrize("way", ["command", "alarm", "end of an alarm", "policy", "stop"])
def test_whoever_comes_first_after_a_tick_finds_all_done_that_fell_due(broker: Broker, way: str, pipe: Connect) -> None:
    acts: dict[str, Callable[[Peer], object]] = {
        "command": lambda peer: peer.publish("dead", b""),
        "alarm": lambda _: broker.admin.raise_alarm("memory"),
        "end of an alarm": lambda _: broker.admin.clear_alarm("disk"),
        "policy": lambda _: broker.admin.set_policy("p", "^x", {"max-length": 1}),
        "stop": lambda _: broker.admin.stop(),
    }
    with freeze_time(NOW) as frozen:
        peer = pipe(broker)
        declare_ladder(peer)
        peer.publish("first", b"m")
        if way == "end of an alarm":
            broker.admin.raise_alarm("disk")
        broker.history.clear()
        before = broker.clock.monotonic()
        frozen.tick(200)
        acts[way](peer)
        told = [(round(event.at - before), event.kind) for event in broker.history]
        assert told[0:6:2] == [(60, "expired"), (120, "expired"), (180, "expired")]
        assert [at for at, _ in told[6:]] == [200] * (len(told) - 6) != []


def test_a_tick_of_exactly_a_ttl_is_enough_at_any_microsecond(broker: Broker, pipe: Connect) -> None:
    with freeze_time(NOW) as frozen:
        peer = pipe(broker)
        peer.declare("q", {"x-message-ttl": 1000})
        for _ in range(100):
            frozen.tick(timedelta(microseconds=9973))
            peer.publish("q", b"m")
            frozen.tick(timedelta(milliseconds=999))
            assert peer.count("q") == 1
            frozen.tick(timedelta(milliseconds=1))
            assert peer.count("q") == 0


def test_what_expired_with_a_consumer_expires_when_it_comes_back_and_not_before(broker: Broker, pipe: Connect) -> None:
    with freeze_time(NOW) as frozen:
        peer = pipe(broker)
        peer.declare("q", {"x-message-ttl": 1000})
        peer.publish("q", b"m")
        peer.get("q", no_ack=False)
        before = broker.clock.monotonic()
        frozen.tick(60)
        peer.method(BasicNack(1, requeue=True))
        (expired,) = broker.history.of("expired")
        assert expired.at - before == pytest.approx(60)


def test_two_brokers_on_one_frozen_clock_have_each_its_own_moments(pipe: Connect) -> None:
    clock = SystemClock()
    with freeze_time(NOW) as frozen, Broker(clock=clock) as one, Broker(clock=clock) as two:
        start = clock.monotonic()
        for broker in (one, two):
            peer = pipe(broker)
            declare_ladder(peer)
            peer.publish("first", b"m")
        frozen.tick(180)
        for broker in (one, two):
            broker.run_due()
            assert [event.at - start for event in broker.history.of("expired")] == pytest.approx([60, 120, 180])


def test_a_clock_of_ones_own_that_leaps_does_the_same(pipe: Connect) -> None:
    class Leaping(Clock):
        now = 100.0

        def monotonic(self) -> float:
            return self.now

        def time(self) -> float:
            return 1_700_000_000.0 + self.now

    clock = Leaping()
    with Broker(clock=clock) as broker:
        peer = pipe(broker)
        declare_ladder(peer)
        peer.publish("first", b"m")
        clock.now += 180
        assert peer.count("dead") == 1
        assert [event.at for event in broker.history.of("expired")] == [160, 220, 280]


def test_a_leap_does_not_make_up_for_heartbeats(broker: Broker, tcp: Connect) -> None:
    """A process that was suspended for an hour does not give up its clients for their silence."""
    with freeze_time(NOW) as frozen:
        peer = tcp(broker, heartbeat=10)
        peer.declare("q")
        frozen.tick(3600)
        broker.run_due()
        broker.run_due()
        assert peer.waiting() == []
        assert peer.declare("q").queue == "q"


def test_reading_a_clock_from_many_threads_does_not_move_it() -> None:
    """What another thread has read later is no step back."""
    clock = SystemClock()

    def ahead() -> float:
        return max(clock.monotonic() - monotonic() for _ in range(50))

    def read() -> None:
        for _ in range(20_000):
            clock.monotonic()

    before = ahead()
    threads = [threading.Thread(target=read) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(interval)
    assert ahead() == pytest.approx(before, abs=1e-4)


# Running


def test_a_message_expires_by_itself_for_who_waits_alone(broker: Broker, pipe: Connect) -> None:
    peer = pipe(broker)
    peer.declare("dead")
    peer.declare("q", TO_DEAD)
    peer.consume("dead", no_ack=True)
    peer.publish("q", b"m", expiration="30")
    assert peer.transport.receive()  # waits without a deadline


def test_a_message_expires_by_itself_for_a_client_over_tcp(broker: Broker, tcp: Connect) -> None:
    peer = tcp(broker)
    peer.declare("dead")
    peer.declare("q", TO_DEAD)
    peer.consume("dead", no_ack=True)
    peer.publish("q", b"m", expiration="30")
    assert peer.message().body == b"m"


def test_what_an_in_process_client_publishes_expires_for_one_over_tcp(
    broker: Broker, pipe: Connect, tcp: Connect
) -> None:
    near, far = pipe(broker), tcp(broker)
    far.declare("dead")
    far.declare("q", TO_DEAD)
    far.consume("dead", no_ack=True)
    near.publish("q", b"m", expiration="30")
    assert far.message().body == b"m"


@pytest.mark.parametrize("way", ["in-process", "TCP"])
def test_what_another_client_publishes_expires_for_one_that_waits_already(
    broker: Broker, pipe: Connect, tcp: Connect, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, publisher = pipe(broker), pipe(broker) if way == "in-process" else tcp(broker)
    reader.declare("dead")
    reader.declare("q", TO_DEAD)
    reader.consume("dead", no_ack=True)
    bodies: list[bytes] = []
    waiting, wait = threading.Event(), broker.hub.turn._change.wait

    def tell_and_wait(seconds: float | None) -> None:
        waiting.set()  # this thread holds the lock; wait() releases it
        wait(seconds)

    monkeypatch.setattr(broker.hub.turn._change, "wait", tell_and_wait)
    thread = threading.Thread(target=lambda: bodies.append(reader.message().body))
    thread.start()
    assert waiting.wait(PATIENCE)
    publisher.publish("q", b"m", expiration="30")
    thread.join(PATIENCE)
    assert bodies == [b"m"]


def test_heartbeats_run_in_real_time(broker: Broker, tcp: Connect) -> None:
    assert tcp(broker, heartbeat=1).read_frame()[0] == HEARTBEAT

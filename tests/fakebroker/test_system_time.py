"""Time on the machine's clock: real, or moved by freezegun."""

import threading
from datetime import timedelta

import pytest
from freezegun import freeze_time

from hutch.fakebroker import Broker
from hutch.fakebroker.realtime import monotonic
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT
from hutch.wire.methods import BasicNack

from .conftest import Connect
from .peers import PATIENCE

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
        broker.settle()
        assert (broker.queue("q").ready, broker.queue("dead").ready) == (1, 0)
        frozen.tick(1)
        broker.settle()
        assert (broker.queue("q").ready, broker.queue("dead").ready) == (0, 1)
        frozen.tick(timedelta(minutes=1))
        broker.settle()
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
        broker.settle()
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


# Running


def test_a_message_expires_by_itself_for_who_waits_alone(broker: Broker, pipe: Connect) -> None:
    peer = pipe(broker)
    peer.declare("dead")
    peer.declare("q", TO_DEAD)
    peer.consume("dead", no_ack=True)
    peer.publish("q", b"m", expiration="30")
    assert peer.transport.receive()  # without a deadline


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
    waiting, wait = threading.Event(), broker.wait

    def tell_and_wait(seconds: float | None) -> None:
        waiting.set()  # with the lock held, which the wait gives up
        wait(seconds)

    monkeypatch.setattr(broker, "wait", tell_and_wait)
    thread = threading.Thread(target=lambda: bodies.append(reader.message().body))
    thread.start()
    assert waiting.wait(PATIENCE)
    publisher.publish("q", b"m", expiration="30")
    thread.join(PATIENCE)
    assert bodies == [b"m"]


def test_heartbeats_run_in_real_time(broker: Broker, tcp: Connect) -> None:
    assert tcp(broker, heartbeat=1).read_frame()[0] == HEARTBEAT

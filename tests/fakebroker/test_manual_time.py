"""Time on a manual clock: what falls due, when, and in which order."""

from datetime import datetime, timedelta
from math import inf, nan
from typing import Any

import pytest

from hutch.fakebroker import Broker, ManualClock, SystemClock
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT, HEARTBEAT_FRAME
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicGet,
    BasicNack,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionTune,
    ConnectionTuneOk,
)

from .conftest import Connect
from .peers import Peer, properties_of

# The clock


@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        ({"seconds": 1.5}, 1.5),
        ({"seconds": timedelta(minutes=1, microseconds=1)}, 60.000001),
        ({"milliseconds": 250}, 0.25),
        ({"minutes": 2}, 120),
        ({"hours": 1.5}, 5400),
        ({"seconds": 1, "milliseconds": 1, "minutes": 1, "hours": 1}, 3661.001),
        ({"minutes": 1, "seconds": -60}, 0),
        ({}, 0),
    ],
)
def test_a_clock_is_advanced_by_the_sum_of_what_is_given(step: dict[str, Any], seconds: float) -> None:
    clock = ManualClock(start=1000.0)
    clock.advance(**step)
    assert clock.monotonic() == pytest.approx(seconds)
    assert clock.time() == pytest.approx(1000 + seconds)


def test_a_clock_starts_at_a_moment_of_its_own_and_stands_still() -> None:
    clock = ManualClock()
    assert [clock.monotonic(), clock.monotonic()] == [0.0, 0.0]
    assert clock.time() == clock.time() > 1_600_000_000
    clock.advance(5)
    assert clock.monotonic() == 5.0


@pytest.mark.parametrize("step", [{"seconds": -1}, {"seconds": 1, "minutes": -1}, {"seconds": timedelta(-1)}])
def test_a_clock_does_not_go_back(step: dict[str, Any], clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(**step)
    assert clock.monotonic() == 0.0


@pytest.mark.parametrize("seconds", [inf, nan])
def test_a_clock_does_not_go_to_the_end_of_time(seconds: float, manual: Broker, clock: ManualClock) -> None:
    with Peer.opened(manual.transport(), heartbeat=10), pytest.raises(ValueError, match="finite"):
        clock.advance(seconds)
    assert clock.monotonic() == 0.0


def test_many_small_steps_make_a_large_one(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """Floats that sum up to nearly the same are the same moment."""
    peer = pipe(manual)
    peer.declare("q", {"x-message-ttl": 1000})
    for step in range(1, 100):
        peer.publish("q", b"")
        before = clock.monotonic()
        for _ in range(step):
            clock.advance(milliseconds=1000 // step)
        clock.advance(milliseconds=1000 % step)
        assert clock.monotonic() == before + 1
        assert manual.queue("q").ready == 0, step


def test_a_system_clock_cannot_be_advanced() -> None:
    with pytest.raises(TypeError, match="ManualClock"):
        SystemClock().advance(5)


# Messages and queues


def test_a_message_expires_at_its_moment_and_not_before(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.publish("q", b"", expiration="1000")
    clock.advance(milliseconds=999)
    assert manual.queue("q").ready == 1
    clock.advance(milliseconds=1)
    assert manual.queue("q").ready == 0


def test_what_expires_together_goes_in_the_order_in_which_it_came(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    peer = pipe(manual)
    for name in "cab":
        peer.declare(name)
    for name in "bcabca":
        peer.publish(name, name.encode(), expiration="500")
    clock.advance(1)
    assert [event.queue for event in manual.history.of("expired")] == ["b", "b", "c", "c", "a", "a"]


def test_each_thing_happens_at_its_own_moment_on_a_long_way(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """A retry that goes round through a waiting queue twice within one advance."""
    peer = pipe(manual)
    peer.declare("done")
    for queue, behind in (("second", "done"), ("first", "second")):
        to: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": behind}
        peer.declare(queue, {"x-message-ttl": 10_000, **to})
    peer.publish("first", b"m")
    peer.declare("idle", {"x-expires": 15_000})
    clock.advance(minutes=1)
    assert [(event.at, event.queue) for event in manual.history.of("expired", "deleted")] == [
        (10.0, "first"),
        (15.0, "idle"),
        (20.0, "second"),
    ]
    assert clock.monotonic() == 60.0
    peer.method(BasicGet(0, "done", no_ack=True))
    got = peer.read()
    assert isinstance(got, Content)
    headers: Any = properties_of(got)["headers"]
    start = datetime(1970, 1, 1) + timedelta(seconds=int(ManualClock().time()))
    times = {death["queue"]: death["time"] - start for death in headers["x-death"]}
    assert times == {"first": timedelta(seconds=10), "second": timedelta(seconds=20)}


def test_an_unused_queue_goes_when_its_lease_is_over(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    lease: FieldTable = {"x-expires": 1000}
    peer.declare("q", lease)
    clock.advance(milliseconds=900)
    peer.publish("q", b"")  # a publish does not count as use
    peer.declare("q", passive=True)
    clock.advance(milliseconds=900)
    assert peer.get("q") == b""
    clock.advance(milliseconds=900)
    tag = peer.consume("q")
    clock.advance(hours=1)
    peer.method(BasicCancel(tag))
    peer.expect(BasicCancelOk)
    clock.advance(milliseconds=999)
    assert manual.queue("q").ready == 0
    clock.advance(milliseconds=1)
    with pytest.raises(LookupError):
        manual.queue("q")


def test_a_lease_from_before_a_consumer_does_not_end_the_queue(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    peer = pipe(manual)
    peer.declare("q", {"x-expires": 10_000})
    clock.advance(1)
    tag = peer.consume("q")
    clock.advance(1)
    peer.method(BasicCancel(tag))
    peer.expect(BasicCancelOk)
    clock.advance(9)
    assert manual.queue("q").ready == 0
    clock.advance(1)
    with pytest.raises(LookupError):
        manual.queue("q")


def test_a_queue_that_is_made_anew_has_a_lease_of_its_own(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q", {"x-expires": 1000})
    clock.advance(milliseconds=600)
    peer.method(BasicNack(1))  # 406: the channel is closed
    peer.read()
    peer.open_channel(2)
    other = pipe(manual)
    other.declare("q", {"x-expires": 1000})
    clock.advance(milliseconds=600)
    assert manual.queue("q").name == "q"
    clock.advance(milliseconds=400)
    with pytest.raises(LookupError):
        manual.queue("q")


def test_a_delivery_does_not_expire_before_it_comes_back(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.publish("q", b"", expiration="1000")
    peer.get("q", no_ack=False)
    clock.advance(5)
    assert manual.queue("q").unacked == 1
    assert manual.history.of("expired") == []
    peer.method(BasicNack(1, requeue=True))
    assert manual.history.of("expired") != []
    assert manual.queue("q").ready == 0


def test_two_brokers_on_one_clock_go_in_step(clock: ManualClock, pipe: Connect) -> None:
    moments = []
    with Broker(clock=clock) as one, Broker(clock=clock) as two:
        for broker, ttl in ((one, "3000"), (two, "2000"), (one, "1000")):
            peer = pipe(broker)
            peer.declare(f"q{ttl}")
            peer.publish(f"q{ttl}", b"", expiration=ttl)
        clock.advance(5)
        moments = [event.at for broker in (one, two) for event in broker.history.of("expired")]
    assert moments == [1.0, 3.0, 2.0]
    clock.advance(5)  # no broker follows the clock any more


def test_a_tcp_client_is_told_what_falls_due(manual: Broker, clock: ManualClock, tcp: Connect) -> None:
    peer = tcp(manual)
    peer.declare("dead")
    peer.declare("q", {"x-message-ttl": 60_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    peer.consume("dead", no_ack=True)
    peer.publish("q", b"late")
    clock.advance(minutes=1)
    assert peer.message().body == b"late"


# Heartbeats


def heartbeats(peer: Peer) -> int:
    """How many heartbeats have come, and nothing else."""
    peer.fill()
    count = len(peer.frames)
    assert all(frame[0] == HEARTBEAT for frame in peer.frames)
    peer.frames.clear()
    return count


def test_the_broker_sends_a_heartbeat_each_half_interval(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual, heartbeat=10)
    for _ in range(6):
        clock.advance(milliseconds=4999)
        assert heartbeats(peer) == 0
        peer.send(HEARTBEAT_FRAME)
        clock.advance(milliseconds=1)
        assert heartbeats(peer) == 1


def test_other_traffic_stands_in_for_heartbeats(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """But not for the first one, which a client may wait for."""
    peer = pipe(manual, heartbeat=10)
    for beats in (1, *[0] * 20):
        clock.advance(4)
        peer.declare("q")
        clock.advance(1)
        assert heartbeats(peer) == beats


def test_a_client_is_given_up_after_two_silent_intervals(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer, witness = pipe(manual, heartbeat=10), pipe(manual)
    witness.declare("q")
    witness.publish("q", b"m")
    peer.get("q", no_ack=False)
    clock.advance(29)
    assert manual.queue("q").unacked == 1
    clock.advance(1)  # one interval with input, then two without
    assert manual.queue("q").ready == 1
    peer.fill_until_end()


def test_any_byte_counts_as_a_sign_of_life(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual, heartbeat=10)
    for byte in HEARTBEAT_FRAME * 2:
        clock.advance(19)
        peer.send(bytes((byte,)))
    assert peer.declare("q").queue == "q"


def test_a_client_without_heartbeats_may_be_silent_for_ever(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    clock.advance(hours=1000)
    assert heartbeats(peer) == 0
    assert peer.declare("q").queue == "q"
    assert manual.hub.next_timer_at() is None


# Limits on the handshake


@pytest.mark.parametrize("said", ["nothing", "half a header", "header", "login"])
def test_a_client_has_ten_seconds_to_open_its_connection(manual: Broker, clock: ManualClock, said: str) -> None:
    with Peer(manual.transport()) as peer:
        if said == "half a header":
            peer.send(PROTOCOL_HEADER[:4])
        elif said != "nothing":
            peer.greet()
        if said == "login":
            peer.log_in()
            peer.expect(ConnectionTune)
        clock.advance(milliseconds=9999)
        peer.send(b"") if said == "nothing" else peer.fill()
        clock.advance(milliseconds=1)
        assert peer.ended()


def test_an_open_connection_has_no_such_limit(manual: Broker, clock: ManualClock) -> None:
    with Peer(manual.transport()) as peer:
        peer.greet()
        peer.log_in()
        peer.expect(ConnectionTune)
        peer.method(ConnectionTuneOk(2047, 131072, 0), 0)
        clock.advance(9)
        peer.method(ConnectionOpen("/"), 0)
        peer.expect(ConnectionOpenOk)
        clock.advance(hours=1)
        peer.open_channel()


@pytest.mark.parametrize("mistake", ["tune", "login"])
def test_a_client_that_asks_for_the_impossible_is_dropped_after_three_silent_seconds(
    manual: Broker, clock: ManualClock, mistake: str
) -> None:
    with Peer(manual.transport()) as peer:
        peer.greet()
        if mistake == "login":
            peer.method(ConnectionOpen("/"), 0)
        else:
            peer.log_in()
            peer.expect(ConnectionTune)
            peer.method(ConnectionTuneOk(0, 0, 0), 0)
        clock.advance(milliseconds=2999)
        assert peer.waiting() == []
        clock.advance(milliseconds=1)
        assert peer.ended()


def test_a_client_that_does_not_confirm_its_closing_is_dropped_after_thirty_seconds(
    manual: Broker, clock: ManualClock, pipe: Connect
) -> None:
    peer = pipe(manual)
    peer.method(ConnectionOpen("/"), 0)
    peer.read()
    clock.advance(milliseconds=29_999)
    peer.method(BasicAck(1))
    assert peer.waiting() == []
    clock.advance(milliseconds=1)
    assert peer.ended()

"""What a broker's history keeps, and what it drops."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import pytest

from hutch.fakebroker import Broker, Clock, Event, ManualClock
from hutch.wire.fields import FieldTable
from hutch.wire.methods import BasicNack

from .conftest import Connect
from .peers import Peer

LIMITS = "history_events=None, history_bytes=1000"


@pytest.fixture
def limited() -> Iterator[Callable[..., Broker]]:
    """Makes brokers with limits, and closes them behind the test."""
    made = []

    def make(history_events: int | None = None, history_bytes: int | None = None) -> Broker:
        made.append(Broker(clock=ManualClock(), history_events=history_events, history_bytes=history_bytes))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


def bodies(broker: Broker, kind: str = "published") -> list[bytes | int]:
    """The bodies of all such messages, oldest first; the size of one that is no longer kept."""
    told: list[bytes | int] = []
    for event in broker.history.of(kind):
        assert event.message is not None
        try:
            told.append(event.message.body)
        except LookupError:
            told.append(event.message.body_size)
    return told


# Events


@pytest.mark.parametrize("limit", [0, 1, 2, 10, 1000])
def test_it_keeps_the_newest_events(limit: int, limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_events=limit)
    peer = pipe(broker)
    before = len(broker.history) + broker.history.dropped()
    for number in range(100):
        peer.publish("nowhere", b"%d" % number)
        assert len(broker.history) == len(list(broker.history)) == min(before + number + 1, limit)
        assert len(broker.history) + broker.history.dropped() == before + number + 1
        assert broker.history.dropped("published") == number + 1 - len(broker.history.of("published"))
    newest = [b"%d" % number for number in range(100)][-limit:] if limit else []
    assert bodies(broker) == newest


def test_a_list_of_events_tells_how_many_are_gone(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_events=3)
    peer = pipe(broker)
    peer.declare("q")
    for _ in range(5):
        peer.publish("nowhere", b"")
    limits = "history_events=3, history_bytes=None"
    assert repr(broker.history.of("declared")) == f"<[]; 1 older ones are no longer kept ({limits})>"
    assert repr(broker.history.of("published")).endswith(f"; 2 older ones are no longer kept ({limits})>")
    assert repr(broker.history.of("published", "declared")).endswith(f"; 3 older ones are no longer kept ({limits})>")
    assert repr(broker.history.of("expired")) == "[]"
    assert broker.history.dropped() == 4  # the connection, too
    broker.history.clear()
    assert broker.history.dropped() == 0
    assert repr(broker.history.of("published")) == "[]"


def test_a_history_without_limits_keeps_all(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited()
    peer = pipe(broker)
    for number in range(3000):
        peer.publish("nowhere", b"%d" % number)
    assert bodies(broker) == [b"%d" % number for number in range(3000)]
    assert broker.history.dropped() == 0


def test_a_plain_broker_has_limits(pipe: Connect) -> None:
    with Broker(clock=ManualClock()) as broker:
        assert broker.history.limits == "history_events=10000, history_bytes=16777216"


@pytest.mark.parametrize("limits", [{"history_events": -1}, {"history_bytes": -1}])
def test_a_negative_limit_is_a_mistake(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"0 or more events and bytes, or None for no limit; not .*=-1"):
        Broker(**limits)  # type: ignore[arg-type]


def test_the_dates_of_events_never_go_back(pipe: Connect) -> None:
    class Unsteady(Clock):
        now = 100.0

        def monotonic(self) -> float:
            return self.now

        def time(self) -> float:
            return 1_700_000_000.0

    clock = Unsteady()
    with Broker(clock=clock) as broker:
        peer = pipe(broker)
        broker.history.clear()
        for now in (100.0, 99.5, 101.0):
            clock.now = now
            peer.publish("nowhere", b"")
        assert [event.at for event in broker.history] == [100.0, 100.0, 101.0]


# Bodies


def test_the_oldest_bodies_go_until_half_of_the_limit_is_left(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_bytes=1000)
    peer = pipe(broker)
    sent = [b"%d" % (number % 10) * 100 for number in range(11)]
    for body in sent[:10]:
        peer.publish("nowhere", body)
    assert bodies(broker) == sent[:10]
    peer.publish("nowhere", sent[10])
    assert bodies(broker) == [100] * 6 + sent[6:]
    assert broker.history.dropped() == 0


def test_an_event_stays_with_all_but_the_body(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_bytes=1000)
    peer = pipe(broker)
    peer.publish("nowhere", b"x" * 2000, message_id="7", headers={"a": 1})
    (event,) = broker.history.of("published")
    message = event.message
    assert message is not None
    assert (message.exchange, message.routing_key, message.headers) == ("", "nowhere", {"a": 1})
    assert message.properties.values["message_id"] == "7"
    assert message.body_size == 2000
    assert repr(message).endswith("<body of 2000 bytes, no longer kept>)")
    with pytest.raises(LookupError) as failure:
        message.body  # noqa: B018
    assert str(failure.value) == f"the history no longer keeps this body of 2000 bytes ({LIMITS})"


def test_an_empty_body_is_always_kept(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_bytes=1000)
    peer = pipe(broker)
    for body in (b"", b"a" * 600, b"", b"b" * 600):
        peer.publish("nowhere", body)
    assert bodies(broker) == [b"", 600, b"", b"b" * 600]


def test_a_body_too_large_for_it_takes_no_other_with_it(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_bytes=1000)
    peer = pipe(broker)
    for size in (400, 1001, 600, 1002):
        peer.publish("nowhere", b"x" * size)
    assert bodies(broker) == [b"x" * 400, 1001, b"x" * 600, 1002]


def test_without_bodies(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_bytes=0)
    peer = pipe(broker)
    for body in (b"", b"x", b"xy"):
        peer.publish("nowhere", body)
    assert bodies(broker) == [b"", 1, 2]


def test_a_body_goes_from_all_events_of_its_message_and_stays_in_the_queue(
    limited: Callable[..., Broker], pipe: Connect
) -> None:
    broker = limited(history_bytes=1000)
    peer = pipe(broker)
    peer.declare("q")
    peer.publish("q", b"a" * 600)
    peer.get("q", no_ack=False)
    peer.publish("nowhere", b"b" * 600)
    assert (bodies(broker), bodies(broker, "got")) == ([600, b"b" * 600], [600])
    peer.method(BasicNack(1, requeue=True))
    assert [message.body for message in broker.queue("q").messages] == [b"a" * 600]
    assert bodies(broker, "requeued") == [b"a" * 600]  # body a is kept again, and body b is dropped
    assert bodies(broker) == [600, 600]


def test_dead_letters_share_a_body_that_is_counted_once(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_bytes=1000)
    assert isinstance(broker.clock, ManualClock)
    peer = pipe(broker)
    for queue, behind in (("c", "nowhere"), ("b", "c"), ("a", "b")):
        to: FieldTable = {"x-message-ttl": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": behind}
        peer.declare(queue, to)
    peer.publish("a", b"a" * 400)
    peer.publish("nowhere", b"b" * 500)
    broker.clock.advance(1)
    assert bodies(broker) == [b"a" * 400, b"b" * 500]
    assert bodies(broker, "dead-lettered") == [b"a" * 400] * 3
    peer.publish("nowhere", b"c" * 101)
    assert (bodies(broker), bodies(broker, "dead-lettered")) == ([400, 500, b"c" * 101], [400] * 3)


def test_clearing_it_makes_room(limited: Callable[..., Broker], pipe: Connect) -> None:
    broker = limited(history_events=10, history_bytes=1000)
    peer = pipe(broker)
    peer.declare("q")
    peer.publish("q", b"a" * 600)
    broker.history.clear()
    peer.publish("q", b"b" * 300)
    assert bodies(broker) == [b"b" * 300]
    assert peer.get("q") == b"a" * 600
    assert (bodies(broker), bodies(broker, "got")) == ([b"b" * 300], [b"a" * 600])
    peer.publish("q", b"c" * 101)
    assert (bodies(broker), bodies(broker, "got")) == ([300, b"c" * 101], [600])
    broker.history.clear()
    for body in (b"d" * 600, b"e" * 600):
        peer.publish("nowhere", body)
    assert bodies(broker) == [600, b"e" * 600]


def play(peer: Peer, messages: int, size: int, beside: Callable[[], object]) -> None:
    """Put messages through a queue where a hundred wait always, with events without bodies in between."""
    peer.declare("q")
    for number in range(messages):
        peer.publish("q", b"%8d" % number + b"x" * size)
        if number >= 100:
            peer.get("q")
        peer.publish("nowhere", b"")
        beside()


@pytest.mark.parametrize("events", [None, 500])
@pytest.mark.parametrize("size", [1000, 20_000])
def test_what_bodies_hold_is_bounded(
    size: int, events: int | None, limited: Callable[..., Broker], pipe: Connect
) -> None:
    limit = 1_000_000
    broker = limited(history_events=events, history_bytes=limit)
    peer = pipe(broker)
    seen: list[int] = []

    def look() -> None:
        seen.append(sum({id(body): len(body) for body in held_by(broker.undrained_history)}.values()))

    play(peer, 3000 if size == 1000 else 600, size, lambda: None)
    look()
    play(peer, 50, size, look)
    assert max(seen) <= limit
    if events is None:
        assert min(seen) > limit // 3


def test_memory_is_bounded(limited: Callable[..., Broker], pipe: Connect) -> None:
    """Nothing else holds what the history has dropped."""
    broker = limited(history_events=500, history_bytes=1_000_000)
    peer = pipe(broker)
    play(peer, 600, 20_000, lambda: None)
    gc.collect()
    tracemalloc.start()
    try:
        play(peer, 600, 20_000, lambda: None)  # 12 MB, of which 4 MB stay in the queue
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 6_000_000


def held_by(events: Iterable[Event]) -> Iterator[bytes]:
    for event in events:
        if event.message is not None:
            with suppress(LookupError):
                yield event.message.body

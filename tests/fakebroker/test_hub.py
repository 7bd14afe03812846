"""The hub: what a turn does, what may not be done inside one, and what is done beside turns."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hutch.client import Connection, Message, ReceivedMessage
from hutch.fakebroker import Broker, Clock, ManualClock, SystemClock
from hutch.fakebroker.realtime import monotonic

from .conftest import Connect
from .peers import PATIENCE


class Hand(Clock):
    """A clock that moves by itself: it tells no broker that it has moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def by_hand(hand: Hand) -> Iterator[Broker]:
    with Broker(clock=hand) as broker:
        yield broker


@contextmanager
def thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """A thread that does some work, and has done it at the end of the context."""
    made = threading.Thread(target=work)
    made.start()
    yield made
    made.join(PATIENCE)
    assert not made.is_alive()


def until(condition: Callable[[], object], what: str) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, what


def is_free(broker: Broker) -> bool:
    """Whether another thread can have a turn now."""
    lock, found = broker.hub.turn.lock, list[bool]()

    def take() -> None:
        found.append(lock.acquire(False))
        if found[0]:
            lock.release()

    with thread(take):
        pass
    return found[0]


# a turn


def test_a_turn_begins_and_ends_with_what_is_due(by_hand: Broker, hand: Hand) -> None:
    order: list[str] = []
    with by_hand.hub.turn as node:
        node.timers.set(5, lambda: order.append("due before"))
    hand.now = 6
    with by_hand.hub.turn as node:
        order.append("turn")
        node.timers.set(0, lambda: order.append("due behind"))
    assert order == ["due before", "turn", "due behind"]


def test_nothing_is_left_pending_at_the_end_of_a_turn(manual: Broker) -> None:
    done: list[int] = []
    with manual.hub.turn as node:
        node.pending.append(lambda: node.pending.append(lambda: done.append(1)))
        assert done == []
    assert done == [1]
    assert not node.pending


def test_a_turn_inside_a_turn_is_a_part_of_it(by_hand: Broker, hand: Hand) -> None:
    """What is due waits for the end of the outer one, and so does whoever waits for a change."""
    order: list[str] = []
    before = by_hand.hub.changes
    with by_hand.hub.turn as node:
        node.timers.set(5, lambda: order.append("due"))
        hand.now = 6
        with by_hand.hub.turn as same:
            assert same is node
        assert not is_free(by_hand)
        order.append("outer")
        assert by_hand.hub.changes == before
    assert order == ["outer", "due"]
    assert by_hand.hub.changes == before + 1


def test_one_thread_at_a_time_has_a_turn(manual: Broker) -> None:
    inside, most = list[int](), 0

    def work() -> None:
        nonlocal most
        for _ in range(200):
            with manual.hub.turn:
                inside.append(1)
                most = max(most, len(inside))
                inside.pop()

    with thread(work), thread(work), thread(work):
        pass
    assert most == 1


def test_an_error_ends_a_turn_like_any_other(by_hand: Broker, hand: Hand, pipe: Connect) -> None:
    done: list[int] = []
    before = by_hand.hub.changes
    with pytest.raises(ZeroDivisionError), by_hand.hub.turn as node, by_hand.hub.turn:  # noqa: PT012
        node.timers.set(5, lambda: done.append(1))
        hand.now = 6
        raise ZeroDivisionError
    assert done == [1]
    assert by_hand.hub.changes == before + 1
    assert is_free(by_hand)
    assert pipe(by_hand).declare("q").queue == "q"


@pytest.mark.parametrize("when", ["before", "behind"])
def test_an_error_of_what_is_due_leaves_the_broker_usable(
    by_hand: Broker, hand: Hand, pipe: Connect, when: str
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with by_hand.hub.turn as node:
        node.timers.set(5, fail)
    reached = False
    if when == "before":
        hand.now = 6
    with pytest.raises(ZeroDivisionError), by_hand.hub.turn:  # noqa: PT012
        reached = True
        hand.now = 6
    assert reached is (when == "behind")
    assert is_free(by_hand)
    assert pipe(by_hand).declare("q").queue == "q"


# order of waiting threads


def test_who_stands_in_line_is_first(manual: Broker) -> None:
    """Else a thread that gives the lock away has it back before another wakes up."""
    order: list[str] = []

    def enter() -> None:
        with manual.hub.turn:
            order.append("who waits")

    with manual.hub.turn:
        waiting = threading.Thread(target=enter)
        waiting.start()
        until(lambda: manual.hub.turn.is_awaited, "nobody comes")
    manual.hub.turn.let_others_in()
    with manual.hub.turn:
        order.append("who comes again")
    waiting.join(PATIENCE)
    assert order == ["who waits", "who comes again"]


def test_nobody_is_let_into_a_turn(manual: Broker) -> None:
    """It would wait for a thread that waits for it."""
    entered: list[int] = []

    def enter() -> None:
        with manual.hub.turn:
            entered.append(1)

    with manual.hub.turn:
        waiting = threading.Thread(target=enter)
        waiting.start()
        until(lambda: manual.hub.turn.is_awaited, "nobody comes")
        manual.hub.turn.let_others_in()
        assert entered == []
    waiting.join(PATIENCE)
    assert entered == [1]


# waiting


@contextmanager
def waiter(broker: Broker) -> Iterator[Callable[[], bool]]:
    """A thread that waits for a change. Gives whether it has heard of one, right away."""
    since = broker.hub.changes
    heard: list[bool] = []
    with thread(lambda: heard.append(broker.hub.wait(since, PATIENCE))):
        until(lambda: broker.hub.turn._sleepers, "nobody sleeps")
        yield lambda: bool(heard)
    assert heard == [True]


def test_the_end_of_a_turn_wakes_who_waits(manual: Broker) -> None:
    with waiter(manual) as has_heard, manual.hub.turn:
        assert not has_heard()


def test_looking_and_taking_wake_nobody(manual: Broker, pipe: Connect) -> None:
    """Or a condition that somebody waits for would be asked again because it was asked."""
    peer = pipe(manual)
    peer.declare("q")
    since = manual.hub.changes
    assert manual.queue("q").ready == 0
    assert manual.hub.look(lambda: 17) == 17
    (session,) = manual.hub.pipes.values()
    assert manual.hub.take(session) == b""
    assert manual.hub.changes == since


def test_a_wait_ends_with_its_time(manual: Broker) -> None:
    hub, begun = manual.hub, monotonic()
    assert not hub.wait(hub.changes, 0)
    assert not hub.wait(hub.changes, 0.02)
    assert monotonic() - begun >= 0.02
    assert hub.wait(hub.changes - 1, 0)


def test_what_falls_due_while_somebody_waits_is_done(broker: Broker) -> None:
    done: list[int] = []
    with broker.hub.turn as node:
        node.timers.set(0.02, lambda: done.append(1))
    assert broker.hub.wait(broker.hub.changes, PATIENCE)
    assert done == [1]


WAITS: dict[str, Callable[[Broker], object]] = {
    "hub.wait": lambda broker: broker.hub.wait(broker.hub.changes, 0.01),
    "run_due": lambda broker: broker.run_due(),
    "drain_clients": lambda broker: broker.drain_clients(),
    "admin": lambda broker: broker.admin.set_loopback_users(),
    "restart": lambda broker: broker.admin.restart(),
    "queue": lambda broker: broker.queue("q"),
    "advance": lambda broker: getattr(broker.clock, "advance")(1),  # noqa: B009  (any clock has the type Clock)
    "close": lambda broker: broker.close(),
}


@pytest.mark.parametrize("way", WAITS)
def test_nothing_waits_and_no_clock_moves_inside_a_turn(manual: Broker, pipe: Connect, way: str) -> None:
    """It says so at once."""
    pipe(manual).declare("q")
    with manual.hub.turn, pytest.raises(RuntimeError, match="a turn of the broker neither waits nor moves a clock"):
        WAITS[way](manual)
    assert manual.queue("q").ready == 0
    WAITS[way](manual)


def test_a_read_that_would_wait_inside_a_turn_says_so(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q", {"x-expires": 1000})
    with manual.hub.turn, pytest.raises(RuntimeError, match="neither waits nor moves a clock"):
        peer.transport.receive(5.0)
    with pytest.raises(TimeoutError):
        peer.transport.receive(clock.monotonic() + 5)


def test_a_clients_callback_is_called_outside_of_turns(manual: Broker) -> None:
    free: list[bool] = []

    def on_message(_: ReceivedMessage) -> None:
        free.append(is_free(manual))

    with Connection(transport=manual.transport) as connection, connection.channel() as channel:
        channel.queue_declare("q")
        channel.basic_consume("q", no_ack=True, callback=on_message)
        channel.basic_publish(Message(b""), routing_key="q")
        connection.drain_events(timeout=1)
    assert free == [True]


# output and timers


def test_output_is_taken_once_and_what_is_due_comes_first(by_hand: Broker, hand: Hand, pipe: Connect) -> None:
    peer = pipe(by_hand)
    peer.declare("dead")
    peer.declare("q", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    peer.consume("dead", no_ack=True)
    peer.publish("q", b"expires", expiration="1000")
    (session,) = by_hand.hub.pipes.values()
    assert by_hand.hub.take(session) == b""
    hand.now = 2
    assert b"expires" in by_hand.hub.take(session)
    assert by_hand.hub.take(session) == b""


@pytest.mark.parametrize("kind", [ManualClock, SystemClock])
def test_a_listener_wakes_up_for_timers_that_another_thread_sets(kind: type[ManualClock | SystemClock]) -> None:
    with Broker(clock=kind(), peer_clock=SystemClock()) as broker:
        assert broker.url
        done = threading.Event()
        with broker.hub.turn:
            broker.hub.peer_timers.set_for_client(0.02, done.set)
        assert done.wait(PATIENCE)


def test_a_closed_broker_has_no_listener_that_follows_it(broker: Broker) -> None:
    assert broker.url
    assert len(broker.hub.turn.followers) == 1
    broker.close()
    assert broker.hub.turn.followers == []

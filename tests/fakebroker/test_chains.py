"""Long chains and cycles: of dead-lettering, of bindings, of what goes together."""

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable
from hutch.wire.methods import (
    BasicNack,
    BasicReturn,
    ExchangeBind,
    ExchangeBindOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    Method,
    QueueBind,
    QueueBindOk,
    QueueDelete,
    QueueDeleteOk,
)

from .conftest import Connect
from .peers import Peer

LONG = 1000
MANY = 130


def dead_letters_to(queue: str, **arguments: int) -> FieldTable:
    """Arguments of a queue whose dead letters go to another queue."""
    more = {f"x-{name.replace('_', '-')}": value for name, value in arguments.items()}
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue, **more}


def declare_exchange(peer: Peer, name: str, **options: Any) -> None:
    peer.method(ExchangeDeclare(0, name, "fanout", **options))
    peer.expect(ExchangeDeclareOk)


def deaths(broker: Broker, queue: str) -> Any:
    (message,) = broker.queue(queue).messages
    return message.headers["x-death"]


# Dead-lettering


@pytest.fixture
def shallow() -> Iterator[None]:
    """Hardly any room for recursion."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 120)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_message_may_die_many_times_at_once(profile: str) -> None:
    with Broker(profile, ManualClock()) as broker, Peer.opened(broker.transport()) as peer:
        for number in range(MANY):
            peer.declare(f"q{number}", dead_letters_to(f"q{number + 1}", message_ttl=0))
        peer.declare(f"q{MANY}")
        peer.publish("q0", b"m")
        assert len(broker.history.of("dead-lettered")) == MANY
        assert len(deaths(broker, f"q{MANY}")) == MANY


@pytest.mark.usefixtures("shallow")
def test_messages_may_die_in_a_thousand_queues_at_once(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    declare_exchange(peer, "dlx")
    peer.declare("dead")
    peer.method(QueueBind(0, "dead", "dlx"))
    peer.expect(QueueBindOk)
    declare_exchange(peer, "all")
    for number in range(LONG):
        peer.declare(f"q{number}", {"x-dead-letter-exchange": "dlx", "x-message-ttl": 0})
        peer.method(QueueBind(0, f"q{number}", "all"))
        peer.expect(QueueBindOk)
    peer.publish("", b"m", "all")
    assert manual.queue("dead").ready == LONG


def test_a_message_dies_many_times_as_time_passes(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    for number in range(MANY):
        peer.declare(f"q{number}", dead_letters_to(f"q{number + 1}", message_ttl=1000))
    last = f"q{MANY}"
    peer.declare(last)
    peer.publish("q0", b"m")
    clock.advance(MANY - 1)
    assert manual.queue(last).ready == 0
    clock.advance(1)
    assert manual.queue(last).ready == 1
    assert [event.at for event in manual.history.of("expired")] == [float(n) for n in range(1, MANY + 1)]


def test_many_messages_die_together_in_order(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("dead")
    peer.declare("q", dead_letters_to("dead"))
    for number in range(5 * LONG):
        peer.publish("q", b"%d" % number, expiration="1000")
    clock.advance(1)
    assert [int(message.body) for message in manual.queue("dead").messages] == list(range(5 * LONG))


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_a_cycle_of_expiring_ends_where_it_began(profile: str, length: int) -> None:
    clock = ManualClock()
    with Broker(profile, clock) as broker, Peer.opened(broker.transport()) as peer:
        for number in range(length):
            peer.declare(f"q{number}", dead_letters_to(f"q{(number + 1) % length}", message_ttl=10))
        peer.publish("q0", b"m")
        clock.advance(60)
        assert sum(broker.queue(f"q{number}").ready for number in range(length)) == 0
        assert len(broker.history.of("expired")) == length
        assert broker.hub.next_timer_at() is None


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_cycle_with_a_rejection_in_it_goes_on(profile: str) -> None:
    """The usual retry: rejected into a waiting queue, expired back into the work queue."""
    clock = ManualClock()
    with Broker(profile, clock) as broker, Peer.opened(broker.transport()) as peer:
        peer.declare("work", dead_letters_to("wait"))
        peer.declare("wait", dead_letters_to("work", message_ttl=1000))
        peer.publish("work", b"m")
        for attempt in range(1, 100):
            assert peer.get("work", no_ack=False) == b"m"
            peer.method(BasicNack(attempt, requeue=False))
            assert broker.queue("wait").ready == 1
            clock.advance(1)
        counts = {death["queue"]: death["count"] for death in deaths(broker, "work")}
        assert counts == {"work": 99, "wait": 99}


def test_a_dead_letter_exchange_that_routes_back_many_ways_delivers_once(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    declare_exchange(peer, "dlx")
    peer.declare("q", {"x-dead-letter-exchange": "dlx"})
    for name in ("q", "a", "b"):
        if name != "q":
            peer.declare(name)
        for key in ("", "1", "2"):
            peer.method(QueueBind(0, name, "dlx", key))
            peer.expect(QueueBindOk)
    peer.publish("q", b"m")
    peer.get("q", no_ack=False)
    peer.method(BasicNack(1, requeue=False))
    assert [manual.queue(name).ready for name in ("q", "a", "b")] == [1, 1, 1]


# Bindings


def chain(peer: Peer, length: int, *, auto_delete: bool = False) -> None:
    """Exchanges e0 to e[length - 1], each bound to the next, the last one to the queue ``end``."""
    peer.declare("end")
    for number in reversed(range(length)):
        declare_exchange(peer, f"e{number}", auto_delete=auto_delete)
        link: Method = ExchangeBind(0, f"e{number + 1}", f"e{number}")
        if number == length - 1:
            link = QueueBind(0, "end", f"e{number}")
        peer.method(link)
        peer.read()


def test_a_message_passes_a_thousand_exchanges(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    chain(peer, LONG)
    peer.method(ExchangeBind(0, "e0", f"e{LONG - 1}"))  # closes the circle
    peer.expect(ExchangeBindOk)
    peer.publish("", b"m", "e0")
    assert peer.get("end") == b"m"
    assert peer.get("end") is None


def test_a_thousand_exchanges_go_with_the_queue_at_their_end(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    chain(peer, LONG, auto_delete=True)
    peer.method(QueueDelete(0, "end"))
    peer.expect(QueueDeleteOk)
    deleted = manual.history.of("deleted")
    assert len(deleted) == LONG + 1
    peer.publish("", b"", "e0")
    assert "NOT_FOUND" in repr(peer.read())


def test_a_cycle_of_exchanges_keeps_itself_alive(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    chain(peer, 3, auto_delete=True)
    peer.method(ExchangeBind(0, "e0", "e2"))
    peer.expect(ExchangeBindOk)
    peer.method(QueueDelete(0, "end"))
    peer.expect(QueueDeleteOk)
    assert [event.queue for event in manual.history.of("deleted")] == ["end"]  # e2 still has a binding
    peer.publish("", b"", "e0", mandatory=True)
    assert isinstance(peer.message().method, BasicReturn)


def test_alternate_exchanges_may_be_a_long_way_or_a_circle(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    for number in range(LONG):
        declare_exchange(peer, f"a{number}", arguments={"alternate-exchange": f"a{(number + 1) % LONG}"})
    peer.publish("k", b"lost", "a0", mandatory=True)
    assert isinstance(peer.message().method, BasicReturn)
    peer.declare("q")
    peer.method(QueueBind(0, "q", f"a{LONG - 1}"))
    peer.expect(QueueBindOk)
    peer.publish("k", b"found", "a0", mandatory=True)
    assert peer.get("q") == b"found"

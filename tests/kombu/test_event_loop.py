"""kombu's event loop: what comes is handed on, also what was read before; and a lost connection is told."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import kombu
import pytest
from kombu.asynchronous import Hub
from kombu.utils import eventio

import hutch.client.kombu as seat
from tests.client.api.reference import shows
from tests.kombu.steps import connect, end, sever
from tests.targets import PATIENCE, Target

POLLERS = [
    kind for kind in (getattr(eventio, name, None) for name in ("_epoll", "_poll", "_select")) if kind is not None
]


@pytest.fixture
def hub(request: pytest.FixtureRequest, target: Target) -> Iterator[Hub]:
    """An event loop; it never sleeps, for a pipe in it is always readable."""
    if target.url.startswith("memory"):
        pytest.skip("an event loop has nothing to watch there")
    hub = Hub()
    if hasattr(request, "param"):
        hub.poller.close()
        hub.poller = request.param()
    reading, writing = os.pipe()
    os.write(writing, b"!")
    hub.add_reader(reading, lambda: None)
    yield hub
    hub.close()
    os.close(reading)
    os.close(writing)


def run_until(hub: Hub, done: Callable[[], Any], turns: int = 100_000) -> None:
    """Run the loop until ``done`` gives something true."""
    for _ in range(turns):
        if done():
            return
        hub.run_once()
    pytest.fail(f"not done in {turns} turns of the loop")


def watched(hub: Hub) -> int:
    """How many descriptors the loop watches, beside the one that the fixture put in."""
    return len(hub.readers) - 1


@shows("kombu.Transport.register_with_event_loop")
def test_who_can_be_watched(connection: kombu.Connection, target: Target) -> None:
    hub = Hub()
    try:
        if connection.is_evented:
            connection.register_with_event_loop(hub)
            assert connection.connection.sock.fileno() in hub.readers
            connection.transport.unregister_from_event_loop(connection.connection, hub)
        else:
            with pytest.raises(NotImplementedError, match="no file descriptor"):
                connection.register_with_event_loop(hub)
        assert not hub.readers
        assert not hub.on_tick
    finally:
        hub.close()


@pytest.mark.parametrize("hub", POLLERS, indirect=True, ids=lambda kind: kind.__name__.strip("_"))
def test_deliveries(hub: Hub, connection: kombu.Connection, queue: kombu.Queue, target: Target) -> None:
    got: list[Any] = []

    def callback(body: Any, message: kombu.Message) -> None:
        got.append(body)
        message.ack()

    connection.register_with_event_loop(hub)
    with connection.Consumer(queue, callbacks=[callback], prefetch_count=7):
        other = connect(target)
        for number in range(300):
            other.Producer().publish(number, routing_key=queue.name)
        run_until(hub, lambda: len(got) == 300)
    assert got == list(range(300))


def test_a_large_message(hub: Hub, connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[str] = []
    connection.register_with_event_loop(hub)
    with connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True):
        connection.Producer().publish("0123456789" * 100_000, routing_key=queue.name)
        run_until(hub, lambda: got)
    assert got == ["0123456789" * 100_000]


def test_what_was_read_while_looking_whether_there_is_something(hub: Hub, target: Target) -> None:
    """TLS takes from the socket what it looks at, and the loop, which looks at the socket, sees nothing there."""
    got: list[str] = []
    connection = connect(target, heartbeat=60)
    queue = kombu.Queue(target.name("queue"), exclusive=True, durable=False)(connection)
    queue.declare()
    connection.register_with_event_loop(hub)
    publisher = connect(target).Producer(routing_key=queue.name)

    def done() -> bool:
        connection.heartbeat_check()  # reads from the socket, as publishing does
        return len(got) == 20

    with connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True):
        for _ in range(20):
            publisher.publish("0123456789" * 30_000)
        run_until(hub, done)
    assert set(got) == {"0123456789" * 30_000}


def test_what_was_read_by_another_call(
    hub: Hub, connection: kombu.Connection, queue: kombu.Queue, target: Target
) -> None:
    """One read brings many messages; the socket tells of none of them any more."""
    got: list[int] = []
    opened = connection.connection
    publisher = connect(target).Producer(routing_key=queue.name)
    connection.register_with_event_loop(hub)
    published = 0
    with connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True):
        while not opened.holds_unread:
            for _ in range(20):
                publisher.publish(published)
                published += 1
            while len(got) < published and not opened.holds_unread:
                opened.blocking_read(timeout=PATIENCE)  # handles one message, and may read several
        before = len(got)
        hub.run_once()
        assert len(got) > before
        run_until(hub, lambda: len(got) == published)
        assert not opened.holds_unread
    assert got == list(range(published))


def test_what_a_callback_wants_soon_does_not_wait(
    hub: Hub, connection: kombu.Connection, queue: kombu.Queue, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop sleeps up to ten seconds at a time; never with something left to do."""
    hub.readers.clear()  # removes the pipe that keeps the loop awake, too
    hub.poller = type(hub.poller)()
    hub.call_later(3600, lambda: None)
    called: list[int] = []
    in_vain = 0
    poll = hub.poller.poll

    def quick_poll(timeout: float) -> Any:
        nonlocal in_vain
        events = poll(0) or ()
        in_vain += not events and bool(hub._ready)
        return events

    monkeypatch.setattr(hub.poller, "poll", quick_poll)
    publisher = connect(target).Producer(routing_key=queue.name)
    connection.register_with_event_loop(hub)
    callbacks = [lambda body, _: hub.call_soon(called.append, body)]
    with connection.Consumer(queue, callbacks=callbacks, no_ack=True):
        for number in range(200):
            publisher.publish(number)
            if number % 20 == 0:
                # the wait for the answer reads deliveries, too
                connection.default_channel.queue_declare(queue.name, passive=True)
                hub.run_once()
        run_until(hub, lambda: len(called) == 200, turns=1_000_000)
    assert in_vain == 0


def test_a_timer_that_asks_the_broker(
    hub: Hub, connection: kombu.Connection, queue: kombu.Queue, target: Target
) -> None:
    got: list[int] = []
    asked: list[Any] = []
    connection.register_with_event_loop(hub)
    publisher = connect(target).Producer(routing_key=queue.name)

    def timer() -> None:
        for _ in range(10):
            publisher.publish(len(asked))
        asked.append(connection.default_channel.queue_declare(queue.name, passive=True))

    with connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True):
        hub.call_repeatedly(0.001, timer)
        run_until(hub, lambda: len(asked) >= 10)
        hub.timer.clear()
        run_until(hub, lambda: len(got) >= 100)
    assert got == sorted(got)


def test_a_callback_that_raises(hub: Hub, connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[int] = []

    def callback(body: int, _message: kombu.Message) -> None:
        got.append(body)
        if body == 0:
            raise LookupError("zero")

    for number in range(5):
        connection.Producer().publish(number, routing_key=queue.name)
    connection.register_with_event_loop(hub)
    with connection.Consumer(queue, callbacks=[callback], no_ack=True):
        with pytest.raises(LookupError, match="zero"):
            run_until(hub, lambda: len(got) == 5)
        run_until(hub, lambda: len(got) == 5)
    assert got == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("how", ["ended", "severed"])
def test_a_lost_connection(hub: Hub, connection: kombu.Connection, target: Target, how: str) -> None:
    connection.register_with_event_loop(hub)
    assert watched(hub) == 1
    (end if how == "ended" else sever)(target, connection.connection)
    with pytest.raises(connection.recoverable_connection_errors):
        run_until(hub, lambda: False)
    assert watched(hub) == 0
    assert not connection.connected


def test_a_loss_noticed_elsewhere(hub: Hub, connection: kombu.Connection, target: Target) -> None:
    connection.register_with_event_loop(hub)
    opened = connection.connection
    sever(target, opened)
    with pytest.raises(OSError, match=r"ended|reset"):
        opened.drain_events(timeout=10)
    assert watched(hub) == 0  # the socket's number may already belong to another socket
    with pytest.raises(connection.recoverable_connection_errors, match="was lost"):
        hub.run_once()
    hub.run_once()  # the error is raised only once
    assert not hub.on_tick


@pytest.mark.parametrize("ending", ["release", "collect", "unregister", "hub"])
def test_endings(hub: Hub, connection: kombu.Connection, ending: str) -> None:
    connection.register_with_event_loop(hub)
    opened = connection.connection
    if ending == "unregister":
        connection.transport.unregister_from_event_loop(opened, hub)
        assert opened.connected
    elif ending == "hub":
        hub.reset()
        connection.release()
    else:
        getattr(connection, ending)()
    assert opened.sock is None or opened.sock.fileno() not in hub.readers
    assert not hub.on_tick
    if ending != "hub":
        assert watched(hub) == 0
        hub.run_once()


def test_registering_again(hub: Hub, connection: kombu.Connection) -> None:
    connection.register_with_event_loop(hub)
    connection.register_with_event_loop(hub)
    assert watched(hub) == len(hub.on_tick) == 1
    connection.release()
    connection.connect()
    connection.register_with_event_loop(hub)
    assert watched(hub) == len(hub.on_tick) == 1


def test_two_connections(hub: Hub, connection: kombu.Connection, queue: kombu.Queue, target: Target) -> None:
    other = connect(target)
    other.connect()
    got: list[str] = []
    theirs = kombu.Queue(target.name("theirs"), exclusive=True)
    consumers = [
        connection.Consumer(queue, on_message=lambda _: got.append("mine"), no_ack=True),
        other.Consumer(theirs, on_message=lambda _: got.append("theirs"), no_ack=True),
    ]
    for consumer in consumers:
        consumer.connection.register_with_event_loop(hub)
        consumer.consume()
    for name in (queue.name, theirs.name):
        connection.Producer().publish("x", routing_key=name)
    run_until(hub, lambda: len(got) == 2)
    assert sorted(got) == ["mine", "theirs"]


def test_heartbeats(hub: Hub, target: Target) -> None:
    connection = connect(target, heartbeat=2)
    connection.connect()
    connection.register_with_event_loop(hub)
    opened = connection.connection
    sent = opened.bytes_sent
    hub.call_repeatedly(0.01, connection.heartbeat_check, 40)
    run_until(hub, lambda: opened.bytes_sent >= sent + 3, turns=10_000_000)
    assert opened.connected


def test_on_readable_may_find_nothing(connection: kombu.Connection) -> None:
    transport = connection.transport
    assert isinstance(transport, seat.Transport)
    transport.on_readable(connection.connection, None)

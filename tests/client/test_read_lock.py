"""Which thread reads, while one thread waits for what the broker owes it for a while."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hutch.client import Connection, Message, connect
from hutch.fakebroker import Broker
from tests.targets import PATIENCE

Begin = Callable[[], "Future[None]"]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def connection(broker: Broker) -> Iterator[Connection]:
    with connect(broker.url, confirm_publish=True, connect_timeout=PATIENCE) as connection:
        yield connection


@pytest.fixture
def begin(broker: Broker, connection: Connection) -> Iterator[Begin]:
    """Has another thread publish, and wait for its confirm, which comes once the broker is not low on memory."""
    channel = connection.channel()
    channel.confirm_select()

    def publish() -> None:
        channel.basic_publish(Message(b"x"), routing_key="nowhere", confirm_timeout=PATIENCE)

    with ThreadPoolExecutor(1) as pool:

        def submit() -> "Future[None]":
            broker.admin.raise_alarm("memory")
            future = pool.submit(publish)
            changes = broker.hub.changes
            while not broker.history.of("blocked"):
                assert broker.hub.wait(changes, PATIENCE)
                changes = broker.hub.changes
            return future

        yield submit
        broker.admin.clear_alarm("memory")


def drain(connection: Connection) -> None:
    """Drain events until there are none."""
    try:
        while True:
            connection.drain_events(timeout=0.2)
    except TimeoutError:
        pass


def test_a_thread_that_waits_reads_on_when_another_has_drained(
    broker: Broker, connection: Connection, begin: Begin
) -> None:
    confirmed: list[Future[None]] = []
    channel = connection.channel()
    channel.queue_declare("q")
    channel.basic_publish(Message(b"1"), routing_key="q")
    channel.basic_consume("q", no_ack=True, callback=lambda _: confirmed.append(begin()))
    connection.drain_events(timeout=PATIENCE)
    drain(connection)
    assert not confirmed[0].done()
    broker.admin.clear_alarm("memory")
    confirmed[0].result(PATIENCE / 2)


def test_draining_is_over_when_it_is(broker: Broker, connection: Connection, begin: Begin) -> None:
    """A thread that waits for an answer of its own keeps nobody from draining."""
    drain(connection)
    confirmed = begin()
    for _ in range(3):
        drain(connection)
    assert not confirmed.done()
    broker.admin.clear_alarm("memory")
    confirmed.result(PATIENCE / 2)

"""ConsumerMixin and ConsumerProducerMixin, also when the broker drops the connection."""

from collections.abc import Callable
from typing import Any

import kombu
import pytest
from kombu.mixins import ConsumerMixin, ConsumerProducerMixin
from kombu.utils.limits import TokenBucket

from tests.client.api.admin import eventually
from tests.kombu.steps import connect, end, sever
from tests.targets import PATIENCE, Target


class Worker(ConsumerMixin):  # type: ignore[misc]  # kombu is untyped
    """Hands messages to ``handle`` until that sets ``should_stop``."""

    restart_limit = TokenBucket(1000, capacity=1000)

    def __init__(self, connection: kombu.Connection, queue: kombu.Queue, handle: Callable[[Any, Any], None]) -> None:
        self.connection = connection
        self.queue = queue
        self.handle = handle
        self.revivals = 0
        self.ends = 0
        self.current: kombu.Connection = None

    def get_consumers(self, consumer: Any, _channel: Any) -> list[kombu.Consumer]:
        return [consumer(self.queue, callbacks=[self.handle], accept=["json", "text/plain"], prefetch_count=1)]

    def on_connection_revived(self) -> None:
        self.revivals += 1

    def on_consume_ready(self, connection: kombu.Connection, *_args: Any, **_kwargs: Any) -> None:
        self.current = connection

    def on_consume_end(self, *_args: Any) -> None:
        self.ends += 1


@pytest.fixture
def durable(connection: kombu.Connection, target: Target) -> kombu.Queue:
    """A queue that outlives connections, with nothing in it."""
    queue = kombu.Queue(target.name("queue"), durable=True)(connection.default_channel)
    queue.declare()
    target.cleanup.callback(queue.delete)
    return queue


def entity(queue: kombu.Queue) -> kombu.Queue:
    """The same queue, bound to no channel."""
    return kombu.Queue(queue.name, durable=True)


def test_a_worker(connection: kombu.Connection, durable: kombu.Queue) -> None:
    got: list[Any] = []

    def handle(body: Any, message: kombu.Message) -> None:
        got.append(body)
        message.ack()
        worker.should_stop = len(got) == 3

    worker = Worker(connection, entity(durable), handle)
    for number in range(3):
        connection.Producer().publish([number], routing_key=durable.name)
    worker.run()
    assert got == [[0], [1], [2]]
    assert (worker.revivals, worker.ends) == (1, 1)
    assert worker.current is not connection
    assert not worker.current.connected
    assert connection.connected


@pytest.mark.parametrize("how", ["ended", "severed"])
def test_a_worker_whose_connection_the_broker_drops(
    connection: kombu.Connection, durable: kombu.Queue, target: Target, how: str
) -> None:
    deliveries: list[tuple[str, bool]] = []

    def handle(body: str, message: kombu.Message) -> None:
        deliveries.append((body, message.delivery_info["redelivered"]))
        if len(deliveries) == 2:
            (end if how == "ended" else sever)(target, worker.current.connection)
            return  # without an acknowledgement
        message.ack()
        worker.should_stop = body == "last"

    worker = Worker(connection, entity(durable), handle)
    for body in ("first", "second", "last"):
        connection.Producer().publish(body, routing_key=durable.name)
    worker.run()
    assert deliveries == [("first", False), ("second", False), ("second", True), ("last", False)]
    assert worker.revivals == 2
    assert connection.connected


def test_a_worker_whose_queue_is_deleted(connection: kombu.Connection, durable: kombu.Queue) -> None:
    got: list[str] = []

    def handle(body: str, message: kombu.Message) -> None:
        got.append(body)
        message.ack()
        worker.should_stop = True

    class Deleting(Worker):
        def on_consume_ready(self, *_args: Any, **_kwargs: Any) -> None:
            if self.revivals == 1:
                durable.delete()
            else:
                connection.Producer().publish("x", routing_key=durable.name)

    worker = Deleting(connection, entity(durable), handle)
    worker.run()
    assert got == ["x"]
    assert worker.revivals == 2


def test_a_body_that_cannot_be_decoded(connection: kombu.Connection, durable: kombu.Queue) -> None:
    got: list[Any] = []

    def handle(body: Any, message: kombu.Message) -> None:
        got.append(body)
        message.ack()
        worker.should_stop = True

    worker = Worker(connection, entity(durable), handle)
    connection.Producer().publish("{", routing_key=durable.name, content_type="application/json")
    connection.Producer().publish(["x"], routing_key=durable.name)
    worker.run()
    assert got == [["x"]]
    assert durable.get() is None  # the mixin acknowledges a message that it cannot decode


def test_consuming_with_a_timeout(connection: kombu.Connection, durable: kombu.Queue) -> None:
    worker = Worker(connection, entity(durable), lambda *_: None)
    with pytest.raises(TimeoutError):
        list(worker.consume(timeout=0.1, safety_interval=0.05))


def test_a_service_that_replies(connection: kombu.Connection, durable: kombu.Queue, target: Target) -> None:
    class Service(ConsumerProducerMixin, Worker):  # type: ignore[misc]  # kombu is untyped
        pass

    def handle(body: int, message: kombu.Message) -> None:
        service.producer.publish(
            body * 2,
            exchange="",
            routing_key=message.properties["reply_to"],
            correlation_id=message.properties["correlation_id"],
            retry=True,
        )
        message.ack()
        service.should_stop = True

    service = Service(connection, entity(durable), handle)
    replies = kombu.Queue(target.name("replies"), exclusive=True)(connection.default_channel)
    replies.declare()
    connection.Producer().publish(21, routing_key=durable.name, reply_to=replies.name, correlation_id="7")
    service.run()
    reply = eventually(lambda: replies.get(no_ack=True), "the reply")
    assert (reply.payload, reply.properties["correlation_id"]) == (42, "7")
    assert service._producer_connection is None


def test_connecting_where_nobody_is(target: Target) -> None:
    nobody = "hutch-memory://nobody" if target.url.startswith("memory") else "hutch://127.0.0.1:1"
    told: list[Exception] = []

    class Patient(Worker):
        connect_max_retries = 2

        def on_connection_error(self, exc: Exception, _interval: float) -> None:
            told.append(exc)

    connection = connect(target, nobody, ssl=False, connect_timeout=PATIENCE)
    worker = Patient(connection, kombu.Queue("nowhere"), lambda *_: None)
    worker.create_connection = lambda: _without_waiting(connection)
    with pytest.raises(kombu.exceptions.OperationalError):
        next(worker.consume())
    assert told
    assert all(isinstance(error, ConnectionRefusedError) for error in told)


def _without_waiting(connection: kombu.Connection) -> kombu.Connection:
    """A copy that waits not at all between attempts to connect."""
    copy = connection.clone()
    ensure = copy.ensure_connection

    def ensure_at_once(errback: Any, max_retries: int) -> Any:
        return ensure(errback, max_retries, interval_start=0, interval_step=0)

    copy.ensure_connection = ensure_at_once
    return copy

"""What else of kombu works on a transport: replies, event loops without a loop, mailboxes."""

from collections.abc import Iterator
from typing import Any

import kombu
import kombu.pools
import pytest
from kombu.common import collect_replies, drain_consumer, eventloop, ignore_errors, itermessages, send_reply
from kombu.pidbox import Mailbox
from kombu.utils.uuid import uuid

from tests.client.api.admin import eventually
from tests.kombu.steps import connect, sever
from tests.targets import PATIENCE, Target


def test_draining_in_a_loop(connection: kombu.Connection, queue: kombu.Queue) -> None:
    got: list[Any] = []
    for number in range(3):
        connection.Producer().publish(number, routing_key=queue.name)
    queue.queue_declare(passive=True)
    with connection.Consumer(queue, callbacks=[lambda body, _: got.append(body)], no_ack=True):
        for _ in eventloop(connection, timeout=PATIENCE):
            if len(got) == 3:
                break
        with pytest.raises(TimeoutError):
            next(eventloop(connection, timeout=0.01))
        assert list(eventloop(connection, limit=2, timeout=0.01, ignore_timeouts=True)) == []
    assert got == [0, 1, 2]


def test_iterating_over_messages(connection: kombu.Connection, channel: Any, queue: kombu.Queue) -> None:
    for number in range(3):
        connection.Producer().publish([number], routing_key=queue.name)
    messages = itermessages(
        connection, channel, kombu.Queue(queue.name, exclusive=True, durable=False), limit=3, no_ack=True
    )
    assert [body for body, _ in messages] == [[0], [1], [2]]


def test_draining_a_consumer(connection: kombu.Connection, queue: kombu.Queue) -> None:
    connection.Producer().publish({"a": 1}, routing_key=queue.name)
    consumer = connection.Consumer(queue)
    ((body, message),) = drain_consumer(consumer, limit=1, timeout=PATIENCE)
    assert body == {"a": 1}
    message.ack()


def test_replies(connection: kombu.Connection, channel: Any, queue: kombu.Queue, target: Target) -> None:
    exchange = kombu.Exchange(target.name("replies"), type="direct", auto_delete=True)
    replies = kombu.Queue(target.name("replies"), exchange, "ticket", exclusive=True)
    replies(channel).declare()
    producer = connection.Producer()
    producer.publish(20, routing_key=queue.name, reply_to="ticket", correlation_id="7", serializer="json")
    request = eventually(lambda: queue.get(no_ack=True), "the request")
    for answer in (request.payload + 1, request.payload + 2):
        send_reply(exchange, request, answer, connection.Producer(auto_declare=False))
    assert list(collect_replies(connection, channel, replies, limit=2, timeout=PATIENCE)) == [21, 22]


def test_acknowledged_replies(connection: kombu.Connection, channel: Any, target: Target) -> None:
    replies = kombu.Queue(target.name("replies"), exclusive=True)
    replies(channel).declare()
    connection.Producer().publish("x", routing_key=replies.name)
    assert list(collect_replies(connection, channel, replies, limit=1, timeout=PATIENCE, no_ack=False)) == ["x"]


def test_ignoring_errors(connection: kombu.Connection, channel: Any, target: Target) -> None:
    missing = target.name("missing")
    with ignore_errors(connection):
        channel.queue_declare(missing, passive=True)
    ignore_errors(connection, channel.queue_declare, missing, passive=True)
    sever(target, connection.connection)
    with ignore_errors(connection):
        channel.queue_declare(missing, passive=True)
    with pytest.raises(LookupError), ignore_errors(connection):
        raise LookupError


class Boxes:
    """A mailbox, and nodes on channels of one connection."""

    def __init__(self, connection: kombu.Connection, kind: str) -> None:
        self.connection = connection
        self.state: dict[str, int] = {}
        self.mailbox = Mailbox(f"tests-{uuid()}", type=kind)(connection)
        self.mailbox.accept = ["json"]

    def node(self, name: str) -> Any:
        """A node that listens."""
        node = self.mailbox.Node(name, state=self.state, channel=self.connection.channel())

        def add(state: dict[str, int], amount: int) -> int:
            state[name] = state.get(name, 0) + amount
            return state[name]

        def fail(state: dict[str, int]) -> None:
            raise LookupError("as told")

        node.handler(add)
        node.handler(fail)
        node.listen()
        return node


@pytest.fixture(params=["direct", "fanout"])
def boxes(connection: kombu.Connection, request: pytest.FixtureRequest) -> Iterator[Boxes]:
    """A mailbox with two nodes."""
    boxes = Boxes(connection, request.param)
    boxes.node("one")
    boxes.node("two")
    yield boxes
    kombu.pools.reset()


def test_mailbox_calls(boxes: Boxes) -> None:
    replies = boxes.mailbox.call(["one"], "add", {"amount": 2}, timeout=PATIENCE)
    assert replies == [{"one": 2}]
    assert boxes.mailbox.call(["one"], "add", {"amount": 3}, timeout=PATIENCE) == [{"one": 5}]
    assert boxes.state == {"one": 5}


def test_mailbox_calls_that_fail(boxes: Boxes) -> None:
    ((reply,),) = [boxes.mailbox.call(["two"], "fail", timeout=PATIENCE)]
    assert "LookupError" in reply["two"]["error"]


def test_mailbox_casts(boxes: Boxes, connection: kombu.Connection) -> None:
    boxes.mailbox.cast(["two"], "add", {"amount": 1})
    while not boxes.state:
        connection.drain_events(timeout=PATIENCE)
    assert boxes.state == {"two": 1}


def test_mailbox_broadcasts(boxes: Boxes, connection: kombu.Connection) -> None:
    replies = boxes.mailbox.multi_call("add", {"amount": 1}, timeout=PATIENCE, limit=2)
    merged = {name: value for reply in replies for name, value in reply.items()}
    assert merged == {"one": 1, "two": 1}
    boxes.mailbox.abcast("add", {"amount": 1})
    while boxes.state != {"one": 2, "two": 2}:
        connection.drain_events(timeout=PATIENCE)


def test_a_mailbox_of_another_connection(boxes: Boxes, connection: kombu.Connection, target: Target) -> None:
    other = boxes.mailbox(connect(target))
    other.cast(["one"], "add", {"amount": 7})
    while not boxes.state:
        connection.drain_events(timeout=PATIENCE)
    assert boxes.state == {"one": 7}

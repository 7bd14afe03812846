"""Sinks: a queue serves whoever consumes, and that need not be an AMQP channel."""

from collections.abc import Iterator

import pytest

from hutch.client import Channel, Connection, Message
from hutch.fakebroker import Broker
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.deliveries import Delivery, TypedDelivery
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.message import Message as Kept
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.sinks import Sink
from hutch.wire.fields import FieldTable

QUEUE_TYPES = ("classic", "quorum", "stream")


class Shelf(Sink):
    """A sink that is no channel: it keeps what it is handed, and has room for so many. ``told`` is all else."""

    def __init__(self, room: int = 1000, *, has_shared_limit: bool = False) -> None:
        super().__init__(Origin(None, None, "shelf"))
        self.room = room
        self.shares = has_shared_limit
        self.bodies: list[bytes] = []
        self.deliveries: list[Delivery] = []
        self.told: list[object] = []

    @property
    def has_shared_limit(self) -> bool:
        return self.shares

    def has_room(self, consumer: Consumer) -> bool:  # noqa: ARG002
        return len(self.bodies) < self.room

    def deliver(self, consumer: Consumer, entry: Entry) -> None:
        self.bodies.append(entry.message.body)
        if not consumer.no_ack:
            self.deliveries.append(TypedDelivery(len(self.bodies), consumer.queue, entry, consumer, self))

    def reply(self, queue: ReplyQueue, message: Kept) -> None:
        self.told.append(("reply", queue.tag, message.body))

    def cancelled(self, consumer: Consumer) -> bool:
        self.told.append(("cancelled", consumer.tag))
        return True

    def credit(self, ready: int, *, at_once: bool = False) -> None:
        self.told.append(("credit", ready, at_once))

    def drained(self, consumer: Consumer, credit: int, *, at_once: bool = False) -> None:
        self.told.append(("drained", consumer.tag, credit, at_once))

    def timed_out(self) -> None:
        self.told.append("timed out")

    def crash(self) -> None:
        self.told.append("crashed")


@pytest.fixture
def channel(manual: Broker) -> Iterator[Channel]:
    with Connection(transport=manual.transport) as connection, connection.channel() as opened:
        yield opened


def declare(channel: Channel, name: str = "q", kind: str = "classic") -> None:
    channel.queue_declare(name, durable=True, auto_delete=False, arguments={"x-queue-type": kind})


def publish(channel: Channel, *bodies: bytes, to: str = "q") -> None:
    for body in bodies:
        channel.basic_publish(Message(body), routing_key=to)


def consume(
    node: Node,
    sink: Sink,
    tag: str = "c",
    *,
    queue: str = "q",
    no_ack: bool = False,
    prefetch: int = 0,
    arguments: FieldTable | None = None,
) -> Consumer:
    found = node.vhosts["/"].queues[queue]
    arguments = arguments or {}
    consumer = found.consumer_type(
        tag, found, sink, no_ack=no_ack, exclusive=False, prefetch=prefetch, arguments=arguments
    )
    found.check_consumer(consumer)
    sink.consumers[tag] = consumer
    found.add_consumer(consumer)
    found.begin(consumer)
    return consumer


@pytest.mark.parametrize("kind", QUEUE_TYPES)
def test_a_sink_gets_what_is_ready_and_what_comes(manual: Broker, channel: Channel, kind: str) -> None:
    declare(channel, kind=kind)
    shelf = Shelf()
    if kind != "stream":
        publish(channel, b"before")
    with manual.hub.turn as node:
        consume(node, shelf, prefetch=10)
    publish(channel, b"one", b"two")
    channel.queue_declare("q", passive=True)
    assert shelf.bodies == ([] if kind == "stream" else [b"before"]) + [b"one", b"two"]


def test_a_queue_waits_until_a_sink_has_room(manual: Broker, channel: Channel) -> None:
    declare(channel)
    shelf = Shelf(room=2)
    with manual.hub.turn as node:
        consume(node, shelf, no_ack=True)
    publish(channel, b"1", b"2", b"3", b"4")
    assert channel.queue_declare("q", passive=True).message_count == 2
    assert shelf.bodies == [b"1", b"2"]
    with manual.hub.turn as node:
        shelf.room = 3
        queue = node.vhosts["/"].queues["q"]
        assert queue.readmit(shelf)
        queue.dispatch()
    assert shelf.bodies == [b"1", b"2", b"3"]


def test_a_sink_and_a_channel_are_served_in_turn(manual: Broker, channel: Channel) -> None:
    declare(channel)
    got: list[object] = []
    channel.basic_consume("q", no_ack=True, callback=lambda message: got.append(message.body))
    shelf = Shelf(room=1)
    with manual.hub.turn as node:
        consume(node, shelf, no_ack=True)
    publish(channel, b"1", b"2", b"3", b"4")
    channel.queue_declare("q", passive=True)
    connection = channel.connection
    assert connection is not None
    while len(got) < 3:
        connection.drain_events(timeout=5)
    assert (got, shelf.bodies) == ([b"1", b"3", b"4"], [b"2"])


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_what_a_sink_gives_back_is_ready_again(manual: Broker, channel: Channel, kind: str) -> None:
    declare(channel, kind=kind)
    publish(channel, b"1")
    channel.queue_declare("q", passive=True)
    shelf = Shelf()
    with manual.hub.turn as node:
        consumer = consume(node, shelf)
        queue = consumer.queue
        queue.remove_consumer(consumer)
        delivery = shelf.deliveries.pop()
        delivery.settle()
        queue.requeue([delivery.entry], shelf.origin, failed=True)
        queue.dispatch()
        assert queue.unacked == consumer.unacked == 0
    message = channel.basic_get("q", no_ack=True)
    assert message is not None
    assert message.delivery_info["redelivered"]


@pytest.mark.parametrize("kind", QUEUE_TYPES)
def test_a_sink_hears_that_its_queue_is_deleted(manual: Broker, channel: Channel, kind: str) -> None:
    declare(channel, kind=kind)
    shelf = Shelf()
    with manual.hub.turn as node:
        consume(node, shelf, prefetch=1)
    channel.queue_delete("q")
    assert shelf.told == [("cancelled", "c")]
    assert not shelf.consumers


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_queues_that_heed_no_shared_limit_refuse_a_sink_that_has_one(
    manual: Broker, channel: Channel, kind: str
) -> None:
    declare(channel, kind=kind)
    with manual.hub.turn as node, pytest.raises(BrokerError, match="does not support global qos"):
        consume(node, Shelf(has_shared_limit=True), prefetch=1)


def test_a_sink_answers_basic_credit() -> None:
    with Broker("3.10") as broker, Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        for kind in QUEUE_TYPES:
            declare(channel, kind, kind)
        shelf = Shelf()
        with broker.hub.turn as node:
            for kind in QUEUE_TYPES:
                consumer = consume(node, shelf, kind, queue=kind, prefetch=1)
                consumer.queue.grant(consumer, 3, drain=kind != "classic")
        quorum = [("credit", 0, False), ("drained", "quorum", 3, False)]
        stream = [("credit", 0, True), ("drained", "stream", 4, True)]
        assert shelf.told == [("credit", 0, False), *quorum, *stream]


def test_replies_go_to_a_sink(manual: Broker, channel: Channel) -> None:
    shelf = Shelf()
    with manual.hub.turn as node:
        replies = node.replies.begin(node.vhosts["/"], shelf, "c")
    publish(channel, b"answer", to=replies.name)
    channel.queue_declare("q")
    assert shelf.told == [("reply", "c", b"answer")]
    with manual.hub.turn as node:
        node.replies.end(replies)
    publish(channel, b"late", to=replies.name)
    channel.queue_declare("q")
    assert len(shelf.told) == 1


def test_a_queue_takes_nothing_back_that_is_not_its_own(manual: Broker, channel: Channel) -> None:
    """It raises. It must not pass over the message, which would be lost without a word."""
    declare(channel, "c", "classic")
    declare(channel, "q", "quorum")
    publish(channel, b"1", to="c")
    channel.queue_declare("c", passive=True)
    shelf = Shelf()
    with manual.hub.turn as node:
        consume(node, shelf, queue="c")
        quorum = node.vhosts["/"].queues["q"]
        with pytest.raises((AttributeError, TypeError)):
            quorum.requeue([shelf.deliveries[0].entry], shelf.origin, failed=False)

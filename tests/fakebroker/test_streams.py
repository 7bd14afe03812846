"""Streams from outside, and read by other clients. What RabbitMQ does the conformance suite shows."""

from decimal import Decimal
from typing import Any

import amqp
import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from hutch.client import AMQPNotImplementedError, Channel, Message, connect
from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable
from hutch.wire.url import parse_url

from .peers import PATIENCE

STREAM: FieldTable = {"x-queue-type": "stream"}
KILOBYTE = b"k" * 1000


def publish(channel: Channel, *bodies: bytes, limits: FieldTable | None = None) -> None:
    """Declare a stream, and publish to it; all is done when this returns."""
    channel.queue_declare("s", durable=True, auto_delete=False, arguments={**STREAM, **(limits or {})})
    for body in bodies:
        channel.basic_publish(Message(body), "", "s")
    channel.flow(True)
    channel.queue_declare("s", passive=True)


def body_of(message: Message) -> bytes:
    body = message.body
    return body.encode() if isinstance(body, str) else bytes(body)


def offset_of(headers: FieldTable | None) -> int:
    offset = (headers or {}).get("x-stream-offset")
    assert isinstance(offset, int)
    return offset


def read(channel: Channel, count: int, offset: str = "first") -> list[tuple[bytes, int]]:
    """Body and offset of each of the next so many messages that a consumer gets."""
    found: list[tuple[bytes, int]] = []

    def note(message: Message) -> None:
        found.append((body_of(message), offset_of(message.headers)))

    channel.basic_qos(0, 100, False)
    tag = channel.basic_consume("s", callback=note, arguments={"x-stream-offset": offset})
    while len(found) < count:
        assert channel.connection is not None
        channel.connection.drain_events(timeout=PATIENCE)
    channel.basic_cancel(tag)
    return found


def test_a_stream_can_be_looked_into(manual: Broker) -> None:
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        publish(channel, b"a", b"b")
        view = manual.queue("s")
        assert [message.body for message in view.messages] == [b"a", b"b"]
        assert [message.headers["x-stream-offset"] for message in view.messages] == [0, 1]
        assert read(channel, 2) == [(b"a", 0), (b"b", 1)]
        assert (view.ready, view.unacked, view.consumers) == (2, 2, 0)
        channel.basic_ack(0, multiple=True)
        channel.flow(True)
        assert (view.ready, view.unacked) == (2, 0)


def test_history_tells_of_every_delivery_and_of_what_was_cut_off(manual: Broker) -> None:
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        publish(channel, *[KILOBYTE] * 5, limits={"x-stream-max-segment-size-bytes": 1000, "x-max-length-bytes": 3000})
        assert [event.offset for event in manual.history.of("truncated")] == [1, 3]
        assert [offset for _, offset in read(channel, 3)] == [4, 6, 8]
        assert [event.delivery_tag for event in manual.history.of("delivered")] == [1, 2, 3]


def test_a_stream_with_a_limit_does_not_grow(manual: Broker) -> None:
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        limits: FieldTable = {"x-stream-max-segment-size-bytes": 10_000, "x-max-length-bytes": 50_000}
        publish(channel, *[KILOBYTE] * 1000, limits=limits)
        kept = manual.queue("s").messages
        assert 30 <= len(kept) <= 50
        assert 1000 < len(kept) + offset_of(kept[0].headers) < 1200


def test_the_oldest_go_on_the_brokers_clock() -> None:
    """4.3 looks once an hour, 3.10 with a new segment alone."""
    for profile, left in (("4.3", 0), ("3.10", 2)):
        clock = ManualClock()
        with Broker(profile, clock) as broker, connect(broker.memory_url) as connection:
            channel = connection.channel()
            limits: FieldTable = {"x-stream-max-segment-size-bytes": 1000, "x-max-age": "50m"}
            publish(channel, KILOBYTE, KILOBYTE, b"newest", limits=limits)
            clock.advance(minutes=49)
            assert len(broker.queue("s").messages) == 3
            clock.advance(minutes=11)
            assert len(broker.queue("s").messages) == 1 + left


def test_the_clock_dates_messages(manual: Broker, clock: ManualClock) -> None:
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        publish(channel, b"yesterday")
        clock.advance(hours=24)
        publish(channel, b"today")
        clock.advance(minutes=5)
        assert read(channel, 1, "1h") == [(b"today", 1)]
        assert read(channel, 2, "2D") == [(b"yesterday", 0), (b"today", 1)]
        yesterday = manual.queue("s").messages[0]
        assert yesterday.body == b"yesterday"


def test_a_moment_finds_the_message_that_came_then(manual: Broker, clock: ManualClock) -> None:
    """Also the last one of a segment."""
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        limits: FieldTable = {"x-stream-max-segment-size-bytes": 2000}
        publish(channel, KILOBYTE, limits=limits)
        clock.advance(hours=1)
        publish(channel, KILOBYTE, limits=limits)
        clock.advance(hours=1)
        publish(channel, b"newest", limits=limits)
        assert [offset for _, offset in read(channel, 2, "1h")] == [1, 3]
        assert [offset for _, offset in read(channel, 3, "2h")] == [0, 1, 3]


def test_a_segment_goes_when_its_newest_message_is_older_than_allowed(clock: ManualClock) -> None:
    for age, left in (("60m", [2, 4]), ("3599s", [4])):
        with Broker("4.3", clock) as broker, connect(broker.memory_url) as connection:
            channel = connection.channel()
            limits: FieldTable = {"x-stream-max-segment-size-bytes": 1000, "x-max-age": age}
            publish(channel, KILOBYTE, limits=limits)
            clock.advance(minutes=30)
            publish(channel, KILOBYTE, limits=limits)
            clock.advance(hours=1)
            publish(channel, b"newest", limits=limits)
            assert [offset_of(message.headers) for message in broker.queue("s").messages][-len(left) :] == left
            assert len(broker.queue("s").messages) == len(left)


def test_a_reader_that_comes_upon_a_full_segment_begins_a_new_one(manual: Broker) -> None:
    """Which makes the oldest go, behind what the reader gets; so do live 3.10 and 4.3."""
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        limits: FieldTable = {"x-stream-max-segment-size-bytes": 2000, "x-max-length-bytes": 1000}
        publish(channel, KILOBYTE, KILOBYTE, limits=limits)
        assert len(manual.queue("s").messages) == 2
        assert read(channel, 2) == [(KILOBYTE, 0), (KILOBYTE, 1)]
        assert manual.queue("s").messages == []


def test_a_refusal_leaves_the_deliveries_of_others_alone() -> None:
    """In 3.10 a basic.nack over a stream's deliveries, too, closes the connection: a queue's go back to it."""
    with Broker("3.10", ManualClock()) as broker, connect(broker.memory_url) as connection:
        channel = connection.channel()
        publish(channel, b"streamed")
        channel.queue_declare("q", auto_delete=False)
        channel.basic_publish(Message(b"queued"), "", "q")
        channel.basic_qos(0, 10, False)
        channel.basic_consume("q", callback=lambda _: None)
        read(channel, 1)
        channel.basic_nack(0, multiple=True, requeue=False)
        with pytest.raises(AMQPNotImplementedError, match=r"basic\.nack and basic\.reject not supported"):
            connection.drain_events(timeout=PATIENCE)
        assert (broker.queue("q").ready, broker.queue("q").unacked) == (1, 0)
        assert broker.queue("s").unacked == 0


def test_a_dead_letter_that_a_stream_cannot_keep_is_dropped(manual: Broker, clock: ManualClock) -> None:
    with connect(manual.memory_url) as connection:
        channel = connection.channel()
        publish(channel)
        dlx = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "s", "x-message-ttl": 10}
        channel.queue_declare("q", auto_delete=False, arguments=dlx)
        channel.basic_publish(Message(b"odd", application_headers={"price": Decimal("1.5")}), "", "q")
        channel.basic_publish(Message(b"even"), "", "q")
        channel.queue_declare("q", passive=True)
        clock.advance(1)
        assert [message.body for message in manual.queue("s").messages] == [b"even"]
        assert [event.message.body for event in manual.history.of("dropped") if event.message] == [b"odd"]


@pytest.mark.parametrize("profile", ["4.3", "3.10"])
def test_pika_reads_a_stream(profile: str) -> None:
    with Broker(profile) as broker:
        parameters = pika.URLParameters(broker.url)
        parameters.blocked_connection_timeout = PATIENCE
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("s", durable=True, arguments=STREAM)
        for number in range(5):
            channel.basic_publish("", "s", b"%d" % number, pika.BasicProperties(headers={"n": number}))
        channel.basic_qos(prefetch_count=2)
        got = []
        deliveries = channel.consume("s", arguments={"x-stream-offset": 1}, inactivity_timeout=PATIENCE)
        for method, properties, body in deliveries:
            assert method is not None
            assert properties is not None
            got.append((body, properties.headers))
            channel.basic_ack(method.delivery_tag)
            if len(got) == 4:
                break
        assert got == [(b"%d" % number, {"n": number, "x-stream-offset": number}) for number in range(1, 5)]
        channel.cancel()
        unlimited = connection.channel()
        with pytest.raises(ChannelClosedByBroker, match="consumer prefetch count is not set"):
            unlimited.basic_consume("s", lambda *_: None)
        with pytest.raises(ConnectionClosedByBroker, match=r"basic\.get not supported by stream queues"):
            channel.basic_get("s")


@pytest.mark.parametrize("profile", ["4.3", "3.10"])
def test_py_amqp_reads_a_stream(profile: str) -> None:
    with Broker(profile) as broker:
        (address,) = parse_url(broker.url)
        connection = amqp.Connection(f"{address.host}:{address.port}", read_timeout=PATIENCE, confirm_publish=True)
        connection.connect()
        channel = connection.channel()
        channel.queue_declare("s", durable=True, auto_delete=False, arguments=STREAM)
        for number in range(4):
            channel.basic_publish(amqp.Message(b"%d" % number), routing_key="s")
        channel.basic_qos(0, 10, False)
        got: list[Any] = []
        channel.basic_consume("s", callback=got.append, arguments={"x-stream-offset": "last"})
        channel.basic_publish(amqp.Message(b"4"), routing_key="s")
        while len(got) < 2:
            connection.drain_events(timeout=PATIENCE)
        assert [(message.body, message.headers["x-stream-offset"]) for message in got] == [(b"3", 3), (b"4", 4)]
        channel.basic_ack(0, multiple=True)
        channel.close()
        connection.close()

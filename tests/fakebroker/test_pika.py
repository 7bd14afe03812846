"""pika's BlockingConnection against the broker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    NackError,
    ProbableAuthenticationError,
    UnroutableError,
)

from hutch.client import Connection as HutchConnection
from hutch.client import Message as HutchMessage
from hutch.fakebroker import Broker

from .peers import PATIENCE

Open = Callable[[], BlockingChannel]


@pytest.fixture
def channel_of(broker: Broker) -> Iterator[Open]:
    """Opens a connection with one channel, and closes what is open at the end."""
    with ExitStack() as stack:

        def make() -> BlockingChannel:
            parameters = pika.URLParameters(broker.url)
            parameters.blocked_connection_timeout = PATIENCE
            connection = pika.BlockingConnection(parameters)
            stack.callback(lambda: connection.close() if connection.is_open else None)
            return connection.channel()

        yield make


def test_it_declares_publishes_consumes_and_acknowledges(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    channel.confirm_delivery()
    channel.exchange_declare("orders", "topic")
    declared = channel.queue_declare("q")
    assert (declared.method.queue, declared.method.message_count) == ("q", 0)
    channel.queue_bind("q", "orders", "order.*")
    properties = pika.BasicProperties(
        content_type="application/json", headers={"n": 1, "s": "é", "t": {"x": None}}, delivery_mode=2, message_id="m"
    )
    channel.basic_publish("orders", "order.created", b"{}", properties)
    method, received, body = next(channel.consume("q", inactivity_timeout=PATIENCE))
    assert method is not None
    assert received is not None
    assert (body, method.routing_key, method.redelivered) == (b"{}", "order.created", False)
    assert vars(received) == vars(properties)
    channel.basic_ack(method.delivery_tag)
    assert channel.cancel() == 0
    assert broker.queue("q").unacked == broker.queue("q").ready == 0
    channel.connection.close()
    assert broker.history.of("disconnected")


def test_it_gets_requeues_and_rejects(channel_of: Open) -> None:
    channel = channel_of()
    channel.queue_declare("q")
    assert channel.basic_get("q") == (None, None, None)
    for number in range(3):
        channel.basic_publish("", "q", b"%d" % number)
    for number in range(3):
        method, _, body = channel.basic_get("q")
        assert method is not None
        assert (body, method.message_count) == (b"%d" % number, 2 - number)
    channel.basic_nack(2, multiple=True, requeue=True)
    channel.basic_nack(3, requeue=False)
    assert [channel.basic_get("q", auto_ack=True)[2] for _ in range(3)] == [b"0", b"1", None]


def test_a_message_that_nobody_wants_is_returned(channel_of: Open) -> None:
    channel = channel_of()
    channel.confirm_delivery()
    with pytest.raises(UnroutableError) as caught:
        channel.basic_publish("", "nowhere", b"m", mandatory=True)
    (returned,) = caught.value.messages
    assert (returned.method.reply_code, returned.method.reply_text, returned.body) == (312, "NO_ROUTE", b"m")


def test_a_queue_that_is_full_refuses(channel_of: Open) -> None:
    channel = channel_of()
    channel.confirm_delivery()
    channel.queue_declare("q", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.basic_publish("", "q", b"1")
    with pytest.raises(NackError):
        channel.basic_publish("", "q", b"2")


def test_errors_come_with_their_codes(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    with pytest.raises(ChannelClosedByBroker) as caught:
        channel.queue_declare("missing", passive=True)
    assert caught.value.reply_code == 404
    assert caught.value.reply_text == "NOT_FOUND - no queue 'missing' in vhost '/'"
    assert channel.connection.is_open
    again = channel.connection.channel()
    assert again.queue_declare("q").method.queue == "q"
    wrong = pika.URLParameters(broker.url)
    wrong.credentials = pika.PlainCredentials("guest", "wrong")
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(wrong)


def test_a_prefetch_limit_is_kept(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    channel.queue_declare("q")
    for number in range(5):
        channel.basic_publish("", "q", b"%d" % number)
    channel.basic_qos(prefetch_count=2)
    seen: list[bytes] = []
    for method, _, body in islice(channel.consume("q", inactivity_timeout=PATIENCE), 5):
        assert method is not None
        assert body is not None
        assert broker.queue("q").unacked <= 2
        seen.append(body)
        channel.basic_ack(method.delivery_tag)
    assert seen == [b"0", b"1", b"2", b"3", b"4"]
    channel.cancel()


def test_exchanges_are_bound_to_exchanges(channel_of: Open) -> None:
    channel = channel_of()
    channel.exchange_declare("source", "fanout")
    channel.exchange_declare("target", "headers")
    channel.exchange_bind("target", "source")
    channel.queue_declare("q")
    channel.queue_bind("q", "target", arguments={"x-match": "any", "colour": "red"})
    for colour in ("red", "blue"):
        properties = pika.BasicProperties(headers={"colour": colour})
        channel.basic_publish("source", "", colour.encode(), properties)
    assert [channel.basic_get("q", auto_ack=True)[2] for _ in range(2)] == [b"red", None]


def test_a_consumer_is_told_that_its_queue_is_gone(channel_of: Open) -> None:
    channel, other = channel_of(), channel_of()
    channel.queue_declare("q")
    cancelled: list[str] = []
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    tag = channel.basic_consume("q", lambda *_: None)
    other.queue_delete("q")
    channel.connection.process_data_events(PATIENCE)
    assert cancelled == [tag]


def test_a_body_of_many_frames(channel_of: Open) -> None:
    channel = channel_of()
    channel.queue_declare("q")
    body = bytes(range(256)) * 4096
    channel.basic_publish("", "q", body)
    assert channel.basic_get("q", auto_ack=True)[2] == body


def test_the_end_of_the_broker_is_told(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    broker.close(grace=0.1)
    with pytest.raises(ConnectionClosedByBroker) as caught:
        channel.connection.process_data_events(PATIENCE)
    assert caught.value.reply_code == 320


def test_what_hutchs_client_publishes_in_process_pika_gets_over_tcp(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    channel.queue_declare("there")
    channel.queue_declare("back")
    with HutchConnection(transport=broker.transport) as connection:
        near = connection.channel()
        near.basic_publish(HutchMessage(b"there", application_headers={"n": 1}), routing_key="there")
        method, properties, body = next(channel.consume("there", inactivity_timeout=PATIENCE))
        assert method is not None
        assert properties is not None
        assert (body, properties.headers) == (b"there", {"n": 1})
        channel.basic_publish("", "back", b"back", pika.BasicProperties(correlation_id="c"))
        channel.basic_ack(method.delivery_tag)
        assert broker.queue("back").ready == 1
        message = near.basic_get("back", no_ack=True)
        assert message is not None
        assert (message.body, message.correlation_id) == (b"back", "c")
    channel.cancel()

"""amqpstorm against the broker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import amqpstorm
import pytest

from hutch.fakebroker import Broker

from .peers import PATIENCE

Open = Callable[[], amqpstorm.Channel]


@pytest.fixture
def channel_of(broker: Broker) -> Iterator[Open]:
    """Opens a connection with one channel, and closes what is open at the end."""
    with ExitStack() as stack:

        def make() -> amqpstorm.Channel:
            connection = amqpstorm.UriConnection(f"{broker.url}%2F?timeout={PATIENCE:.0f}")
            stack.callback(connection.close)
            return connection.channel(rpc_timeout=int(PATIENCE))

        yield make


def inbound(channel: amqpstorm.Channel, count: int) -> list[Any]:
    """The next messages of a channel's consumers."""
    return list(islice(channel.build_inbound_messages(empty_timeout=PATIENCE), count))


def test_it_declares_publishes_consumes_and_acknowledges(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    channel.confirm_deliveries()
    channel.exchange.declare("orders", "topic")
    assert channel.queue.declare("q")["queue"] == "q"
    channel.queue.bind("q", "orders", "order.#")
    properties = {
        "content_type": "application/json",
        "headers": {"n": 1, "s": "é", "t": {"x": None}},
        "delivery_mode": 2,
        "message_id": "m",
        "correlation_id": "c",
    }
    assert channel.basic.publish(b"{}", "order.created", "orders", properties) is True
    channel.basic.consume(queue="q", consumer_tag="c")
    (message,) = inbound(channel, 1)
    assert (message.body, message.method["routing_key"], message.redelivered) == ("{}", "order.created", False)
    assert {name: message.properties[name] for name in properties} == properties
    message.ack()
    channel.basic.cancel("c")
    assert (broker.queue("q").ready, broker.queue("q").unacked) == (0, 0)


def test_it_gets_requeues_and_rejects(channel_of: Open) -> None:
    channel = channel_of()
    channel.queue.declare("q")
    assert channel.basic.get("q") is None
    for number in range(3):
        channel.basic.publish(b"%d" % number, "q")
    taken: list[Any] = [channel.basic.get("q") for _ in range(3)]
    assert [message.body for message in taken] == ["0", "1", "2"]
    channel.basic.nack(2, multiple=True, requeue=True)
    channel.basic.reject(3, requeue=False)
    again: list[Any] = [channel.basic.get("q", no_ack=True) for _ in range(3)]
    assert [message and (message.body, message.redelivered) for message in again] == [("0", True), ("1", True), None]


def test_a_message_that_nobody_wants_is_returned(channel_of: Open) -> None:
    channel = channel_of()
    channel.confirm_deliveries()
    with pytest.raises(amqpstorm.AMQPMessageError, match="NO_ROUTE") as caught:
        channel.basic.publish(b"m", "nowhere", mandatory=True)
    assert caught.value.error_code == 312


def test_a_queue_that_is_full_refuses(channel_of: Open) -> None:
    channel = channel_of()
    channel.confirm_deliveries()
    channel.queue.declare("q", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    assert channel.basic.publish(b"1", "q") is True
    assert channel.basic.publish(b"2", "q") is False


def test_errors_come_with_their_codes(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    with pytest.raises(amqpstorm.AMQPChannelError, match="NOT_FOUND - no queue 'missing' in vhost '/'") as caught:
        channel.queue.declare("missing", passive=True)
    assert caught.value.error_code == 404
    channel.open()
    assert channel.queue.declare("q")["queue"] == "q"
    channel.basic.publish(b"m", "q", immediate=True)
    with pytest.raises(amqpstorm.AMQPConnectionError, match="NOT_IMPLEMENTED - immediate=true") as closed:
        channel.queue.declare("q", passive=True)
    assert closed.value.error_code == 540
    with pytest.raises(amqpstorm.AMQPConnectionError, match="ACCESS_REFUSED") as refused:
        amqpstorm.UriConnection(f"{broker.url.replace(':guest@', ':wrong@')}%2F?timeout={PATIENCE:.0f}")
    assert refused.value.error_code == 403


def test_a_prefetch_limit_is_kept(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    channel.queue.declare("q")
    for number in range(5):
        channel.basic.publish(b"%d" % number, "q")
    channel.basic.qos(prefetch_count=2)
    channel.basic.consume(queue="q")
    seen = []
    for message in islice(channel.build_inbound_messages(empty_timeout=PATIENCE), 5):
        assert broker.queue("q").unacked <= 2
        seen.append(message.body)
        message.ack()
    assert seen == ["0", "1", "2", "3", "4"]


def test_a_consumer_puts_messages_back(channel_of: Open) -> None:
    channel = channel_of()
    channel.queue.declare("q")
    channel.basic.publish(b"m", "q")
    channel.basic.consume(queue="q")
    (first,) = inbound(channel, 1)
    first.nack(requeue=True)
    (second,) = inbound(channel, 1)
    assert (first.redelivered, second.redelivered, second.body) == (False, True, "m")
    second.reject(requeue=False)
    assert channel.queue.declare("q", passive=True)["message_count"] == 0


def test_a_transaction(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    channel.queue.declare("q")
    channel.tx.select()
    channel.basic.publish(b"1", "q")
    channel.tx.rollback()
    channel.basic.publish(b"2", "q")
    channel.tx.commit()
    assert [message.body for message in broker.queue("q").messages] == [b"2"]


def test_the_end_of_the_broker_is_told(broker: Broker, channel_of: Open) -> None:
    channel = channel_of()
    broker.close(grace=0.1)
    with pytest.raises(amqpstorm.AMQPConnectionError) as caught:
        channel.queue.declare("q")
    assert caught.value.error_code in {320, None}

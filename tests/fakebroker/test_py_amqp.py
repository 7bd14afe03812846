"""py-amqp against the broker: the client that Celery and kombu speak through."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import amqp
import pytest
from amqp.exceptions import AccessRefused, MessageNacked, NotFound, PreconditionFailed

from hutch.fakebroker import Broker
from hutch.wire.url import parse_url

from .peers import PATIENCE

Connect = Callable[..., Any]


@pytest.fixture
def connect(broker: Broker) -> Iterator[Connect]:
    """Opens connections, and closes those that are open at the end."""
    with ExitStack() as stack:

        def make(**options: Any) -> Any:
            (address,) = parse_url(broker.url)
            connection = amqp.Connection(
                f"{address.host}:{address.port}",
                userid=options.pop("userid", address.userid),
                password=options.pop("password", address.password),
                read_timeout=PATIENCE,
                **options,
            )
            stack.callback(connection.collect)
            connection.connect()
            return connection

        yield make


def bodies(connection: Any, into: list[Any], count: int) -> list[bytes]:
    """Drain events until that many messages are there."""
    while len(into) < count:
        connection.drain_events(timeout=PATIENCE)
    return [message.body for message in into]


def test_it_declares_publishes_consumes_and_acknowledges(broker: Broker, connect: Connect) -> None:
    connection = connect(confirm_publish=True)
    channel = connection.channel()
    channel.exchange_declare("orders", "topic", auto_delete=False)
    assert channel.queue_declare("q", auto_delete=False) == ("q", 0, 0)
    channel.queue_bind("q", "orders", "order.#")
    properties = {
        "content_type": "application/json",
        "application_headers": {"n": 1, "s": "é", "l": [1, {"x": None}], "b": True, "f": 0.5},
        "delivery_mode": 2,
        "priority": 3,
        "correlation_id": "c",
        "message_id": "m",
    }
    channel.basic_publish_confirm(amqp.Message(b"{}", **properties), "orders", "order.created")
    received: list[Any] = []
    tag = channel.basic_consume("q", callback=received.append)
    assert bodies(connection, received, 1) == [b"{}"]
    (message,) = received
    assert {name: message.properties[name] for name in properties} == properties
    assert message.delivery_info["routing_key"] == "order.created"
    assert message.delivery_info["consumer_tag"] == tag
    channel.basic_ack(message.delivery_tag)
    channel.basic_cancel(tag)
    assert broker.queue("q").unacked == broker.queue("q").ready == 0
    connection.close()
    assert [event.connection for event in broker.history.of("disconnected")]


def test_it_gets_requeues_and_rejects(connect: Connect) -> None:
    channel = connect().channel()
    channel.queue_declare("q", auto_delete=False)
    assert channel.basic_get("q") is None
    channel.basic_publish(amqp.Message("text"), routing_key="q")
    message = channel.basic_get("q")
    assert (message.body, message.delivery_info["redelivered"]) == ("text", False)
    channel.basic_reject(message.delivery_tag, requeue=True)
    message = channel.basic_get("q")
    assert message.delivery_info["redelivered"] is True
    channel.basic_reject(message.delivery_tag, requeue=False)
    assert channel.queue_purge("q") == 0


def test_a_message_that_nobody_wants_is_returned(connect: Connect) -> None:
    connection = connect(confirm_publish=True)
    channel = connection.channel()
    returned: list[Any] = []
    channel.events["basic_return"].add(lambda *arguments: returned.append(arguments))
    channel.basic_publish_confirm(amqp.Message(b"m"), routing_key="nowhere", mandatory=True)
    ((error, _exchange, key, message),) = returned
    assert (error.reply_code, error.reply_text, key, message.body) == (312, "NO_ROUTE", "nowhere", b"m")


def test_a_queue_that_is_full_refuses(connect: Connect) -> None:
    channel = connect(confirm_publish=True).channel()
    channel.queue_declare("q", auto_delete=False, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.basic_publish_confirm(amqp.Message(b"1"), routing_key="q")
    with pytest.raises(MessageNacked):
        channel.basic_publish_confirm(amqp.Message(b"2"), routing_key="q")


def test_errors_come_with_their_codes(connect: Connect) -> None:
    connection = connect()
    channel = connection.channel()
    with pytest.raises(NotFound, match="no queue 'missing' in vhost '/'") as caught:
        channel.queue_declare("missing", passive=True)
    assert caught.value.reply_code == 404
    channel = connection.channel()
    channel.queue_declare("q", durable=True, auto_delete=False)
    with pytest.raises(PreconditionFailed, match="inequivalent arg 'durable'"):
        channel.queue_declare("q", durable=False, auto_delete=False)
    assert connection.connected
    with pytest.raises(AccessRefused, match="Login was refused"):
        connect(userid="guest", password="wrong")


def test_a_prefetch_limit_is_kept(broker: Broker, connect: Connect) -> None:
    connection = connect()
    channel = connection.channel()
    channel.queue_declare("q", auto_delete=False)
    for number in range(5):
        channel.basic_publish(amqp.Message(b"%d" % number), routing_key="q")
    channel.basic_qos(0, 2, a_global=False)
    received: list[Any] = []
    channel.basic_consume("q", callback=received.append)
    assert bodies(connection, received, 2) == [b"0", b"1"]
    assert (broker.queue("q").unacked, broker.queue("q").ready) == (2, 3)
    channel.basic_ack(received[0].delivery_tag)
    assert bodies(connection, received, 3) == [b"0", b"1", b"2"]
    assert broker.queue("q").unacked == 2


def test_exchanges_are_bound_to_exchanges(connect: Connect) -> None:
    channel = connect().channel()
    channel.exchange_declare("source", "fanout", auto_delete=False)
    channel.exchange_declare("target", "direct", auto_delete=False)
    channel.exchange_bind("target", "source")
    channel.queue_declare("q", auto_delete=False)
    channel.queue_bind("q", "target", "k")
    channel.basic_publish(amqp.Message(b"m"), "source", "k")
    assert channel.basic_get("q", no_ack=True).body == b"m"
    channel.exchange_unbind("target", "source")
    channel.basic_publish(amqp.Message(b"m"), "source", "k")
    assert channel.basic_get("q", no_ack=True) is None


def test_the_end_of_the_broker_is_an_error_that_can_be_recovered_from(broker: Broker, connect: Connect) -> None:
    connection = connect()
    broker.close(grace=0.1)
    with pytest.raises(connection.recoverable_connection_errors, match="CONNECTION_FORCED"):
        connection.drain_events(timeout=PATIENCE)

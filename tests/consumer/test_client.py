"""Everything public in :mod:`hutch.client`, as a user's program writes it. ``assert_type`` fails the type check."""

import ssl
from collections.abc import Iterator
from typing import Any, assert_type

import pytest

from hutch import client
from hutch.client import (
    Channel,
    Connection,
    Message,
    ReceivedMessage,
    TcpTransport,
    connect,
    connection_to,
    exceptions,
    queue_declare_ok_t,
    sasl,
)
from hutch.client.protocol import queue_declare_ok_t as declare_ok
from hutch.client.serialization import dumps, loads
from hutch.client.transports.tls_settings import KEYS
from hutch.fakebroker import Broker
from hutch.wire.url import parse_url


@pytest.fixture
def url() -> Iterator[str]:
    with Broker() as broker:
        yield broker.memory_url


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with connect(url, heartbeat=0, connect_timeout=5, read_timeout=5, write_timeout=5) as connection:
        yield connection


@pytest.fixture
def channel(connection: Connection) -> Channel:
    return connection.channel()


def test_a_connection(connection: Connection) -> None:
    assert_type(connection.connected, bool)
    assert_type(connection.is_alive(), bool)
    assert_type(connection.heartbeat, int | None)
    assert_type(connection.server_heartbeat, int | None)
    assert_type(connection.client_heartbeat, float | None)
    assert_type(connection.channel_max, int)
    assert_type(connection.frame_max, int)
    assert_type(connection.mechanisms, list[bytes])
    assert_type(connection.locales, list[str])
    assert_type(connection.bytes_sent, int)
    assert_type(connection.bytes_recv, int)
    assert_type(connection.last_heartbeat_sent, float)
    assert_type(connection.last_heartbeat_received, float)
    assert_type(connection.prev_sent, int | None)
    assert_type(connection.prev_recv, int | None)
    assert_type(connection.connection_errors, tuple[type[Exception], ...])
    assert_type(connection.channel_errors, tuple[type[Exception], ...])
    assert_type(connection.recoverable_connection_errors, tuple[type[Exception], ...])
    assert_type(connection.recoverable_channel_errors, tuple[type[Exception], ...])
    assert_type(connection.virtual_host, str)
    assert connection.server_properties["product"] == "RabbitMQ"
    assert connection.server_capabilities["basic.nack"]
    assert connection.library_properties["product"]
    assert (connection.version_major, connection.version_minor) == (0, 9)
    assert connection.sock is None
    assert_type(connection.userid, str | None)
    connection.send_heartbeat()
    connection.heartbeat_tick(rate=2)
    connection.update_secret("new", "expired")
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0)
    connection.close()


def test_a_connection_by_its_parts() -> None:
    def opened(connection: Connection) -> None:
        assert connection.connected

    with Broker() as broker:
        connection = Connection(
            "localhost:5672",
            userid="guest",
            password="guest",
            virtual_host="/",
            client_properties={"product": "shop"},
            on_open=opened,
            on_blocked=print,
            on_unblocked=print,
            confirm_publish=True,
            authentication=[sasl.PLAIN("guest", "guest"), sasl.AMQPLAIN("guest", "guest"), sasl.EXTERNAL()],
            transport=broker.transport,
        )
        connection.connect()
        connection.collect()
    address = parse_url("amqp://guest:guest@127.0.0.1:1/")[0]
    with pytest.raises(OSError, match="cannot connect to 127"):
        connection_to(address, transport=lambda: TcpTransport("127.0.0.1", 1)).connect()
    with pytest.raises(OSError, match="cannot connect to 127"):
        Connection("127.0.0.1:1", ssl=ssl.create_default_context(), connect_timeout=5).connect()
    assert "ca_certs" in KEYS


def test_exchanges_and_queues(channel: Channel) -> None:
    channel.exchange_declare("shop", "topic", durable=True, auto_delete=False, arguments={"alternate-exchange": "rest"})
    channel.exchange_declare("all", "fanout")
    channel.exchange_bind("all", "shop", routing_key="#")
    channel.exchange_unbind("all", "shop", routing_key="#")
    declared = channel.queue_declare("orders", auto_delete=False, arguments={"x-message-ttl": 60_000})
    assert_type(declared, queue_declare_ok_t)
    assert declared == declare_ok("orders", 0, 0)
    assert_type(declared.queue, str)
    assert_type(declared.message_count, int)
    assert_type(declared.consumer_count, int)
    channel.queue_bind("orders", "shop", routing_key="order.*")
    channel.queue_unbind("orders", "shop", routing_key="order.*")
    assert_type(channel.queue_purge("orders"), int)
    assert_type(channel.queue_delete("orders", if_unused=True, if_empty=True), int)
    channel.exchange_delete("all")


def test_publishing_and_consuming(channel: Channel) -> None:
    seen: list[bytes | str] = []

    def take(message: ReceivedMessage) -> None:
        seen.append(message.body)
        channel.basic_ack(message.delivery_tag)

    def cancelled(tag: str) -> None:
        seen.append(tag)

    channel.queue_declare("orders", auto_delete=False)
    channel.confirm_select()
    channel.basic_qos(0, 10, False)
    channel.basic_publish(Message("order 1", content_type="text/plain", delivery_mode=2), routing_key="orders")
    channel.basic_publish_confirm(Message("order 2"), exchange="", routing_key="orders", mandatory=True)
    tag = channel.basic_consume("orders", callback=take, on_cancel=cancelled)
    assert_type(tag, str)
    connection = channel.connection
    assert connection is not None
    while len(seen) < 2:
        connection.drain_events(timeout=1)
    channel.basic_cancel(tag)
    channel.basic_publish(Message("order 3", application_headers={"n": 3}), routing_key="orders")
    for message in channel.consume("orders", timeout=1):
        assert_type(message, ReceivedMessage)
        channel.basic_nack(message.delivery_tag, requeue=True)
        break
    got = channel.basic_get("orders")
    assert_type(got, ReceivedMessage | None)
    assert got is not None
    assert_type(got.body, bytes | str)
    assert_type(got.headers, dict[str, Any] | None)
    assert_type(got.properties, dict[str, Any])
    assert_type(got.delivery_info, dict[str, Any])
    assert_type(got.delivery_tag, int)
    channel.basic_reject(got.delivery_tag, requeue=True)
    channel.basic_recover(requeue=True)
    channel.basic_recover_async(requeue=True)
    assert seen == ["order 1", "order 2"]


def test_properties_of_messages() -> None:
    message = Message("order 1", content_type="text/plain", application_headers={"n": 3}, delivery_mode=2, priority=1)
    assert_type(message.content_type, str)
    assert_type(message.application_headers, dict[str, Any])
    assert_type(message.delivery_mode, int)
    assert_type(message.priority, int)
    assert (message.content_type, message.application_headers) == ("text/plain", {"n": 3})
    assert (message.delivery_mode, message.priority) == (2, 1)
    request = Message(
        "", content_encoding="utf-8", correlation_id="7", reply_to="answers", expiration="500", type="ask"
    )
    assert (request.content_encoding, request.correlation_id, request.reply_to) == ("utf-8", "7", "answers")
    assert (request.expiration, request.type) == ("500", "ask")
    signed = Message("", message_id="m", timestamp=1, user_id="guest", app_id="shop", cluster_id="c")
    assert_type(signed.timestamp, int)
    assert (signed.message_id, signed.timestamp, signed.user_id) == ("m", 1, "guest")
    assert (signed.app_id, signed.cluster_id) == ("shop", "c")
    # Attributes that py-amqp uses while a message arrives.
    assert (signed.frame_method, signed.frame_args, signed.ready) == (None, None, False)
    assert (signed.body_size, signed.body_received) == (0, 0)


def test_returns_and_transactions(connection: Connection) -> None:
    returned: list[bytes | str] = []

    def take(error: exceptions.AMQPError, exchange: str, routing_key: str, message: Message) -> None:
        returned.append(message.body)

    channel = connection.channel()
    channel.events["basic_return"].add(take)
    channel.basic_publish(Message("nobody's"), routing_key="missing", mandatory=True)
    connection.drain_events(timeout=1)
    assert len(returned) == 1
    assert channel.returned_messages.empty()  # they were passed to the function
    channel.tx_select()
    channel.tx_commit()
    channel.tx_rollback()
    assert_type(channel.is_open, bool)
    assert_type(channel.channel_id, int | None)
    channel.flow(True)
    channel.on_open = print
    channel.open()  # it is open already
    channel.close()


def test_errors(channel: Channel) -> None:
    with pytest.raises(client.NotFound) as caught:
        channel.queue_declare("missing", passive=True)
    assert_type(caught.value.reply_code, int)
    assert_type(caught.value.reply_text, str | None)
    assert isinstance(caught.value, client.AMQPError)
    assert issubclass(client.AccessRefused, client.IrrecoverableChannelError)
    assert isinstance(client.error_for_code(404, "", None, client.AMQPError), client.NotFound)


def test_the_tree_of_errors() -> None:
    for_connections = (
        client.AMQPNotImplementedError,
        client.ChannelNotOpen,
        client.ConnectionForced,
        client.ConsumerCancelled,
        client.FrameError,
        client.FrameSyntaxError,
        client.InternalError,
        client.InvalidCommand,
        client.InvalidPath,
        client.NotAllowed,
        client.ResourceError,
        client.UnexpectedFrame,
    )
    assert_type(for_connections[0], type[client.AMQPNotImplementedError])
    recoverable = (client.RecoverableConnectionError, client.RecoverableChannelError)
    lasting = (client.IrrecoverableConnectionError, client.IrrecoverableChannelError)
    for error in for_connections:
        assert issubclass(error, client.ConnectionError)
        assert issubclass(error, (*recoverable, *lasting))
    for refusal in (client.ContentTooLarge, client.NoConsumers, client.PreconditionFailed, client.ResourceLocked):
        assert issubclass(refusal, client.ChannelError)
    assert issubclass(client.MessageNacked, Exception)


def test_promises() -> None:
    seen: list[int] = []
    later = client.promise(seen.append, (1,))
    later.then(print)
    later()
    assert seen == [1]


def test_bytes() -> None:
    assert loads("s", dumps("s", ["x"]), 0) == (["x"], 2)

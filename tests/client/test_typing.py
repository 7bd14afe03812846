"""What users' type checkers see: ``mypy --strict`` over this file is the test. What runs shows that it is also so.

``assert_type`` fails the check if a type is another one; a ``type: ignore`` fails it if there is no such error.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any, assert_type

import pytest

import hutch.client
from hutch.client import (
    AMQPError,
    Channel,
    Connection,
    Message,
    NotFound,
    ReceivedMessage,
    connect,
    error_for_code,
    queue_declare_ok_t,
)
from hutch.fakebroker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def test_connections(broker: Broker) -> None:
    connection = connect(broker.memory_url, heartbeat=10)
    assert_type(connection, Connection)
    assert_type(connection.connected, bool)
    assert_type(connection.is_alive(), bool)
    assert_type(connection.heartbeat, int | None)
    assert_type(connection.server_heartbeat, int | None)
    assert_type(connection.channel_max, int)
    assert_type(connection.frame_max, int)
    assert_type(connection.mechanisms, list[bytes])
    assert_type(connection.client_properties, dict[str, Any])
    assert_type(connection.server_capabilities, Mapping[str, Any])
    assert_type(connection.connection_errors, tuple[type[Exception], ...])
    with connection as entered, entered.channel() as channel:
        assert_type(entered, Connection)
        assert_type(channel, Channel)
        assert_type(channel.channel_id, int | None)
        assert_type(channel.connection, Connection | None)
        assert_type(channel.is_open, bool)
    assert not connection.connected


def test_what_methods_return(broker: Broker) -> None:
    with connect(broker.memory_url) as connection:
        channel = connection.channel()
        declared = channel.queue_declare("q", auto_delete=False)
        assert_type(declared, queue_declare_ok_t)
        assert_type(declared.message_count, int)
        assert_type(channel.queue_declare("q", auto_delete=False, nowait=True), queue_declare_ok_t | None)
        name, messages, consumers = declared
        assert_type(name, str)
        assert_type(consumers, int)
        assert_type(messages, int)
        tag = channel.basic_consume("q")
        assert_type(tag, str)
        assert_type(channel.basic_cancel(tag), str | None)
        channel.basic_publish(Message("text", delivery_mode=2), routing_key="q")
        message = channel.basic_get("q")
        assert_type(message, ReceivedMessage | None)
        assert message is not None
        channel.basic_ack(message.delivery_tag)
        assert_type(channel.queue_purge("q"), int)
        assert_type(channel.queue_purge("q", nowait=True), int | None)
        assert_type(channel.queue_delete("q"), int)
        assert_type(channel.queue_delete("q", nowait=True), int | None)


def test_messages(broker: Broker) -> None:
    properties = {"content_type": "text/plain", "app_id": "shop"}
    message = Message(b"x", **properties)
    assert_type(message.body, str | bytes)
    assert_type(message.headers, dict[str, Any] | None)
    assert_type(message.properties, dict[str, Any])
    assert_type(message.delivery_tag, int | None)  # None for a message that was not delivered
    assert_type(message.delivery_info, dict[str, Any] | None)
    with connect(broker.memory_url) as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        channel.basic_publish(message, routing_key="q")
        received = channel.basic_get("q")
        assert received is not None
        assert_type(received.body, str | bytes)
        assert_type(received.delivery_tag, int)
        assert_type(received.delivery_info, dict[str, Any])
        assert_type(received.delivery_info["redelivered"], Any)
        assert (received.delivery_tag, received.properties) == (1, properties)


def test_callbacks(broker: Broker) -> None:
    seen: list[object] = []

    def take(message: ReceivedMessage) -> None:
        message.channel.basic_ack(message.delivery_tag)
        seen.append(message.body)

    def look(message: Message) -> str | bytes:  # a callback may return anything, and may take any kind of message
        seen.append(message.body)
        return message.body

    def opened(connection: Connection) -> None:
        seen.append(connection.connected)

    def blocked(reason: str) -> None:
        seen.append(reason)

    def cancelled(tag: str) -> bool:
        seen.append(tag)
        return True

    with Connection(transport=broker.transport, on_open=opened, on_blocked=blocked) as connection:
        channel = connection.channel(callback=lambda channel: seen.append(channel.channel_id))
        channel.queue_declare("q", auto_delete=False)
        channel.basic_publish(Message(b"1"), routing_key="q")
        channel.basic_consume("q", "look", callback=look)
        connection.drain_events(timeout=1)
        assert_type(channel.callbacks["look"], Callable[[ReceivedMessage], object] | None)
        channel.basic_cancel("look")
        channel.basic_ack(1)
        channel.basic_publish(Message(b"2"), routing_key="q")
        channel.basic_consume("q", callback=take, on_cancel=cancelled)
        connection.drain_events(timeout=1)
    assert seen == [True, 1, b"1", b"2"]


def test_errors(broker: Broker) -> None:
    with connect(broker.memory_url) as connection, pytest.raises(NotFound) as caught:
        connection.channel().queue_declare("missing", passive=True)
    assert_type(caught.value.reply_code, int)
    assert_type(caught.value.reply_text, str | None)
    assert_type(caught.value.method, str | tuple[int, int] | None)
    assert_type(error_for_code(404, "", None, AMQPError), AMQPError)


def test_it_says_that_it_is_typed() -> None:
    assert resources.files(hutch.client).joinpath("py.typed").is_file()


if TYPE_CHECKING:

    def wrong(connection: Connection, channel: Channel, message: Message) -> None:
        Connection(port=5672)  # type: ignore[arg-type]
        Connection("localhost", heartbeat="10")  # type: ignore[arg-type]
        Connection(on_open=lambda: None)  # type: ignore[arg-type,misc]
        connect(5672)  # type: ignore[arg-type]
        connection.channel("1")  # type: ignore[arg-type]
        connection.chanel()  # type: ignore[attr-defined]
        connection.drain_events(timeout="1")  # type: ignore[arg-type]
        channel.queue_declare("q", max_length=5)  # type: ignore[call-overload]
        channel.queue_declare("q", arguments=[("x-max-length", 5)])  # type: ignore[call-overload]
        channel.queue_delete("q", nowait=True) + 1  # type: ignore[operator]
        channel.exchange_declare("e")  # type: ignore[call-arg]
        channel.basic_publish(b"x", routing_key="q")  # type: ignore[arg-type]
        channel.basic_publish(message, confirm_timeout="1")  # type: ignore[arg-type]
        channel.basic_consume("q", callback=lambda: None)  # type: ignore[arg-type,misc]
        channel.basic_consume("q", on_cancel=lambda: None)  # type: ignore[arg-type,misc]
        channel.basic_get("q").body  # type: ignore[union-attr]  # noqa: B018
        channel.basic_ack("1")  # type: ignore[arg-type]
        channel.basic_ack(message.delivery_tag)  # type: ignore[arg-type]
        channel.basic_qos(0, "1", False)  # type: ignore[arg-type]
        Message(5)  # type: ignore[arg-type]
        message.delivery_info["redelivered"]  # type: ignore[index]

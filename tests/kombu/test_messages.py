"""Messages as kombu's consumers get them, and what a channel does for kombu."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import kombu
import pytest
from kombu.exceptions import ContentDisallowed, MessageStateError

import hutch.client
import hutch.client.kombu as seat
from hutch.client import PreconditionFailed, RecoverableConnectionError
from tests.client.api.reference import shows
from tests.kombu.steps import connect, drain_until, sever
from tests.targets import Target


def fetch(queue: kombu.Queue, **options: Any) -> seat.Message:
    """The next message of a queue."""
    message: seat.Message | None = queue.get(**options)
    assert message is not None, f"{queue} is empty"
    return message


@shows("kombu.Message.body", "kombu.Message.channel", "kombu.Message.content_type", "kombu.Message.content_encoding")
@shows("kombu.Message.delivery_info", "kombu.Message.delivery_tag", "kombu.Message.headers", "kombu.Message.properties")
@shows("kombu.Message.decode", "kombu.Message.payload", "kombu.Message.accept", "kombu.Message.errors")
@shows("kombu.Channel.Message", "kombu.Message")
def test_a_message(channel: Any, queue: kombu.Queue, target: Target) -> None:
    producer = kombu.Producer(channel)
    producer.publish({"number": 1}, routing_key=queue.name, headers={"x": [1, {"y": None}]}, correlation_id="7")
    message = fetch(queue)
    assert type(message) is channel.Message is seat.Message
    assert isinstance(message, kombu.Message)
    assert message.body == '{"number": 1}'
    assert message.payload == message.decode() == {"number": 1}
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.headers == {"x": [1, {"y": None}]}
    assert message.properties["correlation_id"] == "7"
    assert message.properties["delivery_mode"] == 2
    assert message.channel is channel
    assert message.delivery_tag == 1
    assert message.delivery_info == {
        "delivery_tag": 1,
        "redelivered": False,
        "exchange": "",
        "routing_key": queue.name,
        "message_count": 0,
    }
    assert message.errors == []
    assert message.accept is None
    message.ack()


@shows("kombu.Message.ack(multiple)", "kombu.Message.acknowledged", "kombu.Message.MessageStateError")
def test_acknowledging(connection: kombu.Connection, channel: Any, queue: kombu.Queue) -> None:
    got: list[Any] = []
    producer = kombu.Producer(channel)
    for number in range(4):
        producer.publish(number, routing_key=queue.name)
    messages = [fetch(queue) for _ in range(4)]
    assert not messages[0].acknowledged
    messages[0].ack()
    assert messages[0].acknowledged
    settles: list[Callable[[], None]] = [messages[0].ack, messages[0].reject, messages[0].requeue]
    for settle in settles:
        with pytest.raises(MessageStateError, match="already acknowledged with state: ACK"):
            settle()
    with pytest.raises(seat.Message.MessageStateError):
        messages[0].ack()
    messages[2].ack(multiple=True)
    channel.basic_recover(requeue=True)
    with connection.Consumer([queue], callbacks=[lambda *args: got.append(args)], no_ack=True):
        drain_until(connection, lambda: got)
    ((body, message),) = got
    assert (body, message.delivery_info["redelivered"]) == (3, True)  # the other messages are settled


@shows("kombu.Message.reject(requeue)", "kombu.Message.requeue")
def test_rejecting(channel: Any, queue: kombu.Queue) -> None:
    kombu.Producer(channel).publish("x", routing_key=queue.name)
    for requeue in (seat.Message.requeue, partial(seat.Message.reject, requeue=True)):
        message = fetch(queue)
        requeue(message)
        assert message.acknowledged
        with pytest.raises(MessageStateError):
            message.ack()
    message = fetch(queue)
    assert message.delivery_info["redelivered"]
    message.reject()
    assert message.acknowledged
    assert queue.get() is None


@shows(
    "kombu.Message.ack_log_error(logger, errors, multiple)", "kombu.Message.reject_log_error(logger, errors, requeue)"
)
def test_failures_that_are_logged(
    connection: kombu.Connection, channel: Any, queue: kombu.Queue, caplog: pytest.LogCaptureFixture
) -> None:
    producer = kombu.Producer(channel)
    for number in range(5):
        producer.publish(number, routing_key=queue.name)
    acked, also_acked, rejected, late, later = (fetch(queue) for _ in range(5))
    logger = logging.getLogger("tests.kombu")
    errors = connection.connection_errors
    also_acked.ack_log_error(logger, errors, multiple=True)
    assert also_acked.acknowledged
    assert not acked.acknowledged  # the message itself is not marked
    rejected.reject_log_error(logger, errors, requeue=True)
    assert fetch(queue).payload == 2
    assert not caplog.records
    connection.release()
    late.ack_log_error(logger, errors)
    later.reject_log_error(logger, errors)
    assert [record.getMessage().partition(" reason")[0] for record in caplog.records] == [
        "Couldn't ack 4,",
        "Couldn't reject 5,",
    ]
    assert not late.acknowledged
    with pytest.raises(RecoverableConnectionError):
        late.ack_log_error(logger, (KeyError,))


@shows("kombu.Message.accept")
def test_what_is_accepted(channel: Any, queue: kombu.Queue) -> None:
    producer = kombu.Producer(channel)
    for _ in range(2):
        producer.publish({"x"}, routing_key=queue.name, serializer="pickle")
    message = fetch(queue)
    with pytest.raises(ContentDisallowed, match="pickle"):
        message.decode()
    message = fetch(queue, accept=["pickle"])
    assert message.accept == {"application/x-python-serialize"}
    assert message.payload == {"x"}


@shows("kombu.Message.errors")
def test_a_body_that_cannot_be_decompressed(channel: Any, queue: kombu.Queue, connection: kombu.Connection) -> None:
    publish = kombu.Producer(channel).publish
    publish("x", routing_key=queue.name, headers={"compression": "application/x-gzip"})
    publish("x" * 1000, routing_key=queue.name, compression="gzip")
    failed = []
    got = []
    consumer = connection.Consumer(
        [queue], callbacks=[lambda body, _: got.append(body)], on_decode_error=lambda *args: failed.append(args)
    )
    with consumer:
        drain_until(connection, lambda: got)
    ((message, error),) = failed
    assert [kind for kind, _, _ in message.errors] == [type(error)]
    assert got == ["x" * 1000]


@shows("kombu.Message.__init__(msg, channel)", "kombu.Channel.message_to_python(raw_message)")
def test_wrapping_what_the_client_received(channel: Any, queue: kombu.Queue) -> None:
    kombu.Producer(channel).publish({"a": 1}, routing_key=queue.name)
    raw = channel.basic_get(queue.name)
    assert isinstance(raw, hutch.client.Message)
    for message in (seat.Message(raw, channel=channel, accept={"application/json"}), channel.message_to_python(raw)):
        assert message.payload == {"a": 1}
        assert message.channel is channel
    orphan = seat.Message(raw)
    assert orphan.payload == {"a": 1}
    with pytest.raises(MessageStateError, match="does not have a receiving channel"):
        orphan.ack()
    encoded = seat.Message(hutch.client.Message("ü", application_headers={}), postencode="latin-1")
    assert encoded.body == b"\xfc"
    assert encoded.headers == {}


@shows(
    "kombu.Channel.prepare_message(body, priority, content_type, content_encoding, headers, properties)",
)
def test_preparing_a_message(channel: Any, queue: kombu.Queue) -> None:
    prepared = channel.prepare_message(
        b"[1]", 3, "application/json", "utf-8", headers={"h": True}, properties={"app_id": "tests", "delivery_mode": 1}
    )
    assert isinstance(prepared, hutch.client.Message)
    channel.basic_publish(prepared, routing_key=queue.name)
    message = fetch(queue)
    assert message.payload == [1]
    assert message.headers == {"h": True}
    properties = {key: value for key, value in message.properties.items() if key != "application_headers"}
    assert properties == {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "priority": 3,
        "app_id": "tests",
        "delivery_mode": 1,
    }
    bare = channel.prepare_message("text")
    channel.basic_publish(bare, routing_key=queue.name)
    message = fetch(queue)
    assert (message.body, message.headers, message.content_type) == ("text", {}, None)


@shows("kombu.Channel.prepare_queue_arguments(arguments)")
def test_preparing_arguments(channel: Any, target: Target) -> None:
    given = {"x-queue-mode": "default"}
    assert channel.prepare_queue_arguments(given, expires=None) == given
    wanted = channel.prepare_queue_arguments(
        given, expires=10, message_ttl=1.5, max_length=2, max_length_bytes=100, max_priority=4
    )
    assert wanted == {
        "x-queue-mode": "default",
        "x-expires": 10000,
        "x-message-ttl": 1500,
        "x-max-length": 2,
        "x-max-length-bytes": 100,
        "x-max-priority": 4,
    }
    name = target.name("queue")
    kombu.Queue(name, exclusive=True, expires=10, max_length=2, channel=channel).declare()
    channel.queue_declare(name, exclusive=True, arguments={"x-expires": 10000, "x-max-length": 2}, durable=True)
    with pytest.raises(PreconditionFailed, match="x-max-length"):
        channel.queue_declare(name, exclusive=True, arguments={"x-expires": 10000, "x-max-length": 3}, durable=True)


@shows("kombu.Channel.Consumer", "kombu.Channel.Producer")
def test_consumers_and_producers_of_a_channel(connection: kombu.Connection, channel: Any, queue: kombu.Queue) -> None:
    got: list[Any] = []
    with channel.Consumer([queue], callbacks=[lambda body, _: got.append(body)], no_ack=True) as consumer:
        assert isinstance(consumer, kombu.Consumer)
        producer = channel.Producer(routing_key=queue.name, serializer="json")
        assert isinstance(producer, kombu.Producer)
        producer.publish([1])
        drain_until(connection, lambda: got)
    assert got == [[1]]
    assert producer.connection is consumer.connection is connection


@shows("kombu.Channel.get_bindings", "kombu.Channel.after_reply_message_received(queue)")
def test_what_channels_of_other_transports_do(channel: Any, queue: kombu.Queue) -> None:
    with pytest.raises(NotImplementedError, match=r"Channel does not implement.*get_bindings"):
        channel.get_bindings()
    channel.after_reply_message_received(queue.name)
    assert queue.queue_declare(passive=True).queue == queue.name  # reply queues are deleted elsewhere, or expire


def test_a_channel_is_a_context(connection: kombu.Connection) -> None:
    with connection.channel() as channel:
        assert channel.is_open
    assert not channel.is_open


def test_acknowledging_on_a_connection_that_broke(target: Target) -> None:
    connection = connect(target)
    queue = kombu.Queue(target.name("queue"), exclusive=True)(connection.default_channel)
    queue.declare()
    connection.Producer().publish("x", routing_key=queue.name)
    message = fetch(queue)
    sever(target, connection.connection)
    connection.collect()
    with pytest.raises(connection.recoverable_connection_errors):
        message.ack()
    assert not message.acknowledged


def test_the_text_of_a_message(channel: Any, queue: kombu.Queue) -> None:
    kombu.Producer(channel).publish("x", routing_key=queue.name)
    assert f"'routing_key': '{queue.name}'" in repr(fetch(queue))

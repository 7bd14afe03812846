"""What the cases about streams share: a stream with messages in it, and readers of it."""

from datetime import datetime
from typing import Any

from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable, FieldValue, Int64

#: The offset at which readers start by default.
FIRST: FieldTable = {"x-stream-offset": "first"}


def stream(rabbit: Rabbit, messages: int = 0, arguments: FieldTable | None = None) -> tuple[RawChannel, str]:
    """A channel in confirm mode, spoken frame by frame, and a new stream with so many messages, ``0``, ``1`` ..."""
    channel, queue = rabbit.raw().channel(), rabbit.name()
    declare(channel, queue, arguments)
    channel.call(amqp.ConfirmSelect())
    for number in range(messages):
        publish(channel, queue, b"%d" % number)
    return channel, queue


def declare(channel: RawChannel, queue: str, arguments: FieldTable | None = None) -> None:
    """Declare a stream."""
    channel.call(
        amqp.QueueDeclare(queue=queue, durable=True, arguments={"x-queue-type": "stream", **(arguments or {})})
    )


def publish(channel: RawChannel, queue: str, body: bytes, exchange: str = "", **properties: Any) -> None:
    """Publish a message, and await its confirm: the next one is in another chunk then."""
    channel.publish(body, exchange, queue, **properties)
    channel.expect(amqp.BasicAck)


def reader(
    rabbit: Rabbit, queue: str, arguments: FieldTable = FIRST, *, prefetch: int = 100, tag: str = "reader"
) -> RawChannel:
    """A channel of a new connection, on which a consumer was started."""
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicQos(prefetch_count=prefetch))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments=dict(arguments)))
    return channel


def take(channel: RawChannel, count: int = 1) -> list[Content]:
    """The next so many deliveries on a channel."""
    return [channel.message(amqp.BasicDeliver) for _ in range(count)]


def bodies(channel: RawChannel, count: int = 1) -> list[bytes]:
    """The bodies of the next so many deliveries on a channel."""
    return [content.body for content in take(channel, count)]


def read(rabbit: Rabbit, queue: str, count: int, arguments: FieldTable = FIRST) -> list[bytes]:
    """The bodies that a new reader gets first."""
    return bodies(reader(rabbit, queue, arguments), count)


def headers_of(content: Content) -> FieldTable:
    """A delivery's headers."""
    found = properties_of(content)["headers"]
    if not isinstance(found, dict):
        raise AssertionError(f"headers are {found!r}")
    return found


def offset_of(content: Content) -> int:
    """A delivery's offset in the stream, which must be a 64-bit integer."""
    offset = headers_of(content)["x-stream-offset"]
    if not isinstance(offset, Int64):
        raise AssertionError(f"x-stream-offset is {offset!r}")
    return offset


def at(offset: FieldValue) -> FieldTable:
    """The arguments of a consumer that starts there."""
    return {"x-stream-offset": offset}


#: Timestamps before all messages and after all messages.
LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1), datetime(2100, 1, 1)

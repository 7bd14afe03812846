"""What the cases about transactions have in common."""

from collections.abc import Callable
from typing import Final

from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable


def transactional(
    rabbit: Rabbit, messages: int = 0, arguments: FieldTable | None = None, *, fetched: int = 0
) -> tuple[RawChannel, str]:
    """A transactional channel, and a new queue with so many messages, the first of which the channel has fetched."""
    channel, queue = rabbit.raw_queue(messages, arguments)
    channel.expect_ready(queue, messages)
    channel.call(amqp.TxSelect())
    for _ in range(fetched):
        channel.got(queue)
    return channel, queue


def declare(rabbit: Rabbit, channel: RawChannel, arguments: FieldTable | None = None) -> str:
    """A new queue."""
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, arguments=dict(arguments or {})))
    return queue


def dead_letters_to(queue: str) -> FieldTable:
    """Arguments of a queue whose dead letters go to another."""
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}


def commit(channel: RawChannel) -> None:
    """Commit, which must succeed."""
    equal(channel.call(amqp.TxCommit()), amqp.TxCommitOk())


def rollback(channel: RawChannel) -> None:
    """Roll back."""
    equal(channel.call(amqp.TxRollback()), amqp.TxRollbackOk())


def bodies(channel: RawChannel, queue: str, count: int) -> list[bytes]:
    """The bodies of the messages that a queue must come to have, taken out."""
    channel.expect_ready(queue, count)
    return [channel.got(queue, no_ack=True).body for _ in range(count)]


def taken(channel: RawChannel, queue: str, count: int) -> list[tuple[bytes, bool]]:
    """As :func:`bodies`, each with its redelivered flag."""
    channel.expect_ready(queue, count)
    got = [channel.got(queue, no_ack=True) for _ in range(count)]
    return [(content.body, fields(content).redelivered) for content in got]


def deliveries(channel: RawChannel, count: int) -> list[tuple[bytes, bool]]:
    """The next deliveries: body and redelivered flag."""
    contents = [channel.message(amqp.BasicDeliver) for _ in range(count)]
    return [(content.body, fields(content).redelivered) for content in contents]


def close(channel: RawChannel) -> None:
    """End the channel by channel.close."""
    channel.close()


def fail(channel: RawChannel) -> None:
    """End it by an error."""
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    equal(channel.expect(amqp.ChannelClose).reply_code, 404)
    channel.send(amqp.ChannelCloseOk())


def close_connection(channel: RawChannel) -> None:
    """End it by connection.close."""
    channel.connection.send_method(amqp.ConnectionClose(200))
    channel.connection.expect(amqp.ConnectionCloseOk)


def vanish(channel: RawChannel) -> None:
    """End it by cutting the stream, once the broker has done what was sent."""
    channel.call(amqp.ChannelFlow(active=True))
    channel.connection.close()


#: The ways to end a channel.
ENDS: Final[tuple[Callable[[RawChannel], None], ...]] = (close, fail, close_connection, vanish)

"""Clients that do not read (CONSUME-33).

The buffers of sockets hold some megabytes for them. Messages are so large here that fewer than 50 fit in, which is how
many a queue hears of at a time.
"""

from typing import Final

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable

#: Number of messages that a classic queue passes to a channel at once.
_LIMIT: Final = 200


def _publish(rabbit: Rabbit, queue: str, count: int, size: int = 200_000) -> RawChannel:
    """Publish numbered messages of so many bytes; the channel that did, on a connection of its own."""
    channel = rabbit.raw().channel()
    for number in range(count):
        channel.publish((b"%d " % number).ljust(size, b"x"), routing_key=queue)
    return channel


def _numbers(channel: RawChannel, count: int) -> list[int]:
    """Those of the next messages."""
    return [int(channel.message(amqp.BasicDeliver).body.partition(b" ")[0]) for _ in range(count)]


@case("CONSUME-33")
def messages_for_a_client_that_does_not_read(rabbit: Rabbit) -> None:
    """A client that does not read is handed 200 messages; the others stay in the queue, and come when it reads."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True))
    publisher = _publish(rabbit, queue, 220)
    publisher.expect_ready(queue, 220 - _LIMIT)
    equal(_numbers(channel, 220), list(range(220)))
    publisher.expect_ready(queue, 0)


@case("CONSUME-33")
def messages_that_were_there_before(rabbit: Rabbit) -> None:
    """The limit holds for the messages that a consumer finds in the queue, too."""
    channel, queue = rabbit.raw_queue()
    publisher = _publish(rabbit, queue, 270)
    publisher.expect_ready(queue, 270)
    channel.send(amqp.BasicConsume(queue=queue, no_ack=True, consumer_tag="a"))
    publisher.expect_ready(queue, 270 - _LIMIT)
    equal(channel.expect(amqp.BasicConsumeOk).consumer_tag, "a")
    equal(_numbers(channel, 270), list(range(270)))


@case("CONSUME-33")
def prefetch_of_a_client_that_does_not_read(rabbit: Rabbit) -> None:
    """A prefetch above 200 does not raise the limit, one below it holds; what was handed comes back with the end."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicQos(prefetch_count=210))
    channel.call(amqp.BasicConsume(queue=queue))
    publisher = _publish(rabbit, queue, 300)
    publisher.expect_ready(queue, 300 - _LIMIT)
    other = rabbit.raw().channel()
    other.call(amqp.BasicQos(prefetch_count=60))
    other.call(amqp.BasicConsume(queue=queue))
    publisher.expect_ready(queue, 300 - _LIMIT - 60)
    equal(_numbers(channel, _LIMIT), list(range(_LIMIT)))
    publisher.expect_ready(queue, 300 - 210 - 60)
    channel.connection.close()
    other.connection.close()
    publisher.expect_ready(queue, 300)


@case("CONSUME-33")
def the_limit_of_channels_and_queues(rabbit: Rabbit) -> None:
    """Each queue hands each channel 200 messages, whichever of its consumers there gets them."""
    first, queue = rabbit.raw_queue()
    other_queue = rabbit.name()
    first.call(amqp.QueueDeclare(queue=other_queue))
    for name in (queue, queue, other_queue):
        first.call(amqp.BasicConsume(queue=name, no_ack=True))
    first.connection.channel(2).call(amqp.BasicConsume(queue=queue, no_ack=True))
    publisher = _publish(rabbit, queue, 420, 100_000)
    publisher.expect_ready(queue, 420 - 2 * _LIMIT)
    publisher = _publish(rabbit, other_queue, 220, 100_000)
    publisher.expect_ready(other_queue, 220 - _LIMIT)


@case("CONSUME-33")
def consumers_of_a_client_that_does_not_read(rabbit: Rabbit) -> None:
    """Another consumer on the channel makes no room, whether it comes beside the first or in its place."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True, consumer_tag="a"))
    publisher = _publish(rabbit, queue, 220)
    publisher.expect_ready(queue, 220 - _LIMIT)

    def expect(ready: int, consumers: int) -> None:
        wanted = amqp.QueueDeclareOk(queue, ready, consumers)
        rabbit.eventually(
            lambda: publisher.call(amqp.QueueDeclare(queue=queue, passive=True)) == wanted, f"expected {wanted}"
        )

    channel.send(amqp.BasicCancel("a"))
    expect(20, 0)
    channel.send(amqp.BasicConsume(queue=queue, no_ack=True, consumer_tag="b"))
    expect(20, 1)
    publisher.publish(b"220", routing_key=queue)
    expect(21, 1)
    channel.send(amqp.BasicConsume(queue=queue, no_ack=True, consumer_tag="c"))
    expect(21, 2)
    publisher.publish(b"221", routing_key=queue)
    expect(22, 2)


@case("CONSUME-33")
def messages_that_another_consumer_gets(rabbit: Rabbit) -> None:
    """Messages beyond the limit of a client that does not read go to a consumer that reads, even if its priority is
    lower.
    """
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True, arguments={"x-priority": 1}))
    other = rabbit.raw().channel()
    other.call(amqp.BasicConsume(queue=queue, no_ack=True))
    _publish(rabbit, queue, 220)
    equal(_numbers(other, 20), list(range(_LIMIT, 220)))
    equal(_numbers(channel, _LIMIT), list(range(_LIMIT)))


@case("CONSUME-33")
def answers_to_a_client_that_does_not_read(rabbit: Rabbit) -> None:
    """What a client asks for is done and answered although it does not read; it finds the answers when it does."""
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True, consumer_tag="a"))
    busy, own = channel.connection.channel(2), rabbit.name()
    busy.call(amqp.ConfirmSelect())
    busy.call(amqp.QueueDeclare(queue=own))
    publisher = _publish(rabbit, queue, 220)
    publisher.expect_ready(queue, 220 - _LIMIT)
    busy.publish(b"0", routing_key=own)
    busy.publish(b"1", routing_key=own)
    publisher.expect_ready(own, 2)
    busy.send(amqp.BasicGet(queue=own, no_ack=True))
    publisher.expect_ready(own, 1)
    channel.send(amqp.BasicCancel("a"))
    rabbit.eventually(
        lambda: publisher.call(amqp.QueueDeclare(queue=queue, passive=True)) == amqp.QueueDeclareOk(queue, 20, 0),
        "the consumer is still there",
    )
    equal(_numbers(channel, _LIMIT), list(range(_LIMIT)))
    equal(channel.expect(amqp.BasicCancelOk).consumer_tag, "a")
    confirms = [busy.expect(amqp.BasicAck)]
    if not confirms[0].multiple:
        confirms.append(busy.expect(amqp.BasicAck))
    equal(confirms[-1].delivery_tag, 2)
    equal(busy.message(amqp.BasicGetOk).body, b"0")


@case("CONSUME-33")
def quorum_queues_do_not_mind(rabbit: Rabbit) -> None:
    """A quorum queue hands a consumer without acknowledgements everything, whether the client reads or not."""
    arguments: FieldTable = {"x-queue-type": "quorum"}
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments=dict(arguments)))
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True))
    # Another channel may ask after the queue before the messages reach it. The confirmed message arrives after all
    # others.
    publisher = _publish(rabbit, queue, 270)
    publisher.call(amqp.ConfirmSelect())
    publisher.publish(b"270 ", routing_key=queue)
    publisher.expect(amqp.BasicAck)
    publisher.expect_ready(queue, 0)
    equal(_numbers(channel, 271), list(range(271)))

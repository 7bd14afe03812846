"""Publisher confirms (CONFIRM)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.plugins import declare
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.content import Content


def _confirming(rabbit: Rabbit) -> tuple[RawChannel, str]:
    channel, queue = rabbit.raw_queue()
    channel.call(amqp.ConfirmSelect())
    return channel, queue


@case("CONFIRM-01")
def selecting_confirms(rabbit: Rabbit) -> None:
    """Confirm.select is answered each time; with nowait it takes effect and is not."""
    channel = rabbit.raw().channel(1)
    for _ in range(2):
        equal(channel.call(amqp.ConfirmSelect()), amqp.ConfirmSelectOk())
    silent = channel.connection.channel(2)
    silent.send(amqp.ConfirmSelect(nowait=True))
    silent.publish(b"x", routing_key="no-such-queue")
    equal(silent.read(), amqp.BasicAck(1))


@case("CONFIRM-04")
def confirms_are_counted_from_select_on(rabbit: Rabbit) -> None:
    """The first publish after confirm.select is number 1; those before it are never confirmed."""
    channel = rabbit.raw().channel()
    for _ in range(3):
        channel.publish(b"x", routing_key="no-such-queue")
    channel.call(amqp.ConfirmSelect())
    channel.expect_nothing()
    for number in (1, 2):
        channel.publish(b"x", routing_key="no-such-queue")
        equal(channel.read(), amqp.BasicAck(number))
    channel.call(amqp.ConfirmSelect())
    channel.publish(b"x", routing_key="no-such-queue")
    equal(channel.read(), amqp.BasicAck(3))


@case("CONFIRM-05")
def routed_messages_are_confirmed(rabbit: Rabbit) -> None:
    """A message is confirmed when its queues have it, acknowledged by a consumer or not, persistent or not."""
    channel, queue = _confirming(rabbit)
    durable = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=durable, durable=True))
    publishes = [(queue, 1), (queue, 2), (durable, 1), (durable, 2)]
    for number, (name, mode) in enumerate(publishes, 1):
        channel.publish(b"x", routing_key=name, delivery_mode=mode)
        equal(channel.read(), amqp.BasicAck(number))


@case("CONFIRM-06", "PUB-01")
def unroutable_messages_are_confirmed(rabbit: Rabbit) -> None:
    """A message that no queue takes is confirmed."""
    channel, _ = _confirming(rabbit)
    exchanges = [declare(rabbit, channel, type_) for type_ in ("direct", "fanout", "topic", "headers")]
    for number, exchange in enumerate(["", *exchanges], 1):
        channel.publish(b"x", exchange, "no-such-queue")
        equal(channel.read(), amqp.BasicAck(number))


@case("CONFIRM-07")
def every_publish_is_confirmed_once(rabbit: Rabbit) -> None:
    """However confirms are put together, each number is covered once, the last one too."""
    channel, queue = _confirming(rabbit)
    count = 200
    for number in range(count):
        channel.publish(b"x", routing_key=queue if number % 3 else "no-such-queue")
    waiting = set(range(1, count + 1))
    while waiting:
        ack = channel.expect(amqp.BasicAck)
        covered = {tag for tag in waiting if tag <= ack.delivery_tag} if ack.multiple else {ack.delivery_tag}
        true(ack.delivery_tag in waiting, f"number {ack.delivery_tag} is confirmed again")
        waiting -= covered
    channel.expect_nothing()


@case("CONFIRM-08")
def delivery_comes_before_the_confirm(rabbit: Rabbit) -> None:
    """Where a channel consumes what it publishes, the delivery comes before the confirm."""
    channel, queue = _confirming(rabbit)
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True))
    for number in (1, 2, 3):
        channel.publish(b"%d" % number, routing_key=queue)
        item = channel.read()
        true(isinstance(item, Content), f"expected the delivery, got {item!r}")
        equal(channel.read(), amqp.BasicAck(number))


@case("CONFIRM-13", "TTL-03")
def messages_that_expire_at_once_are_confirmed(rabbit: Rabbit) -> None:
    """A message that its queue drops at once is confirmed."""
    channel, queue = _confirming(rabbit)
    short = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=short, arguments={"x-message-ttl": 0}))
    channel.publish(b"x", routing_key=short)
    equal(channel.read(), amqp.BasicAck(1))
    channel.publish(b"x", routing_key=queue, expiration="0")
    equal(channel.read(), amqp.BasicAck(2))
    equal((channel.get(short), channel.get(queue)), (None, None))


@case("CONFIRM-14")
def publishing_to_a_deleted_queue_is_confirmed(rabbit: Rabbit) -> None:
    """A message to a queue that has just been deleted is confirmed."""
    channel, queue = _confirming(rabbit)
    channel.call(amqp.QueueDelete(queue=queue))
    channel.publish(b"x", routing_key=queue)
    equal(channel.read(), amqp.BasicAck(1))


@case("CONFIRM-05", "CONFIRM-04")
def confirms_belong_to_their_channel(rabbit: Rabbit) -> None:
    """Each channel counts by itself, and one that did not select confirms gets none."""
    channel, queue = _confirming(rabbit)
    second, plain = channel.connection.channel(2), channel.connection.channel(3)
    second.call(amqp.ConfirmSelect())
    for number in (1, 2):
        for each in (channel, second, plain):
            each.publish(b"x", routing_key=queue)
        for each in (channel, second):
            equal(each.read(), amqp.BasicAck(number))
    plain.expect_nothing()

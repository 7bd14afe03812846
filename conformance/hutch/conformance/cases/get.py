"""Fetching single messages (GET)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit, delivered, tag_of
from hutch.wire import methods as amqp


@case("GET-01")
def getting_from_an_empty_queue(rabbit: Rabbit) -> None:
    """An empty queue is answered with get-empty, whose string is empty."""
    channel = rabbit.raw().channel()
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    equal(channel.call(amqp.BasicGet(queue=queue)), amqp.BasicGetEmpty(""))


@case("GET-02")
def getting_a_message(rabbit: Rabbit) -> None:
    """Get-ok tells the delivery tag, the exchange and routing key, and how many ready messages remain."""
    channel = rabbit.raw().channel()
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.QueueBind(queue=queue, exchange="amq.direct", routing_key="key"))
    for number in range(3):
        channel.publish(b"%d" % number, "amq.direct", "key")
    for number in range(3):
        content = channel.got(queue)
        wanted = amqp.BasicGetOk(number + 1, False, "amq.direct", "key", 2 - number)
        equal((content.method, content.body), (wanted, b"%d" % number))
    equal(channel.get(queue), None)


@case("GET-03")
def getting_a_requeued_message(rabbit: Rabbit) -> None:
    """A message that was requeued is marked redelivered, under a new delivery tag."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"x", routing_key=queue)
    for number, redelivered in ((1, False), (2, True), (3, True)):
        message = rabbit.get(channel, queue)
        equal((tag_of(message), *delivered(message)), (number, b"x", redelivered))
        channel.basic_reject(number, requeue=True)


@case("GET-04")
def getting_without_acknowledgement(rabbit: Rabbit) -> None:
    """With no_ack a message is gone when got, and there is nothing to acknowledge."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"x", routing_key=queue)
    message = rabbit.get(channel, queue, no_ack=True)
    with rabbit.expect_channel_error(channel, 406, f"unknown delivery tag {tag_of(message)}", (60, 80)):
        channel.basic_ack(tag_of(message))
    equal(rabbit.channel().basic_get(queue), None)


@case("GET-05")
def getting_from_a_missing_queue(rabbit: Rabbit) -> None:
    """Getting from a queue that is not there closes the channel with 404."""
    text = f"no queue 'missing' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda channel: channel.basic_get("missing"), 404, text, (60, 70))


@case("GET-02", "CONSUME-16")
def getting_nothing_uses_no_delivery_tag(rabbit: Rabbit) -> None:
    """An empty get does not count as a delivery."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for number in (1, 2):
        equal(channel.basic_get(queue), None)
        rabbit.publish(channel, b"x", routing_key=queue)
        equal(tag_of(rabbit.get(channel, queue)), number)

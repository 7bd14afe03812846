"""How the broker cancels a consumer."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.origin import BROKER
from hutch.wire.methods import BasicAck, BasicDeliver, BasicNack, BasicReject, Method


def consumers_of(channel: Channel, method: Method) -> list[Consumer]:
    """The consumers that a delivery is for, or had what is acknowledged."""
    if isinstance(method, BasicDeliver):
        return [consumer for consumer in channel.consumers.values() if consumer.tag == method.consumer_tag]
    if not isinstance(method, BasicAck | BasicNack | BasicReject):
        return []
    tag = method.delivery_tag
    several = getattr(method, "multiple", False)
    deliveries = [
        delivery
        for number, delivery in channel.sink.unacked.items()
        if number == tag or (several and (not tag or number < tag))
    ]
    return list(dict.fromkeys(each.consumer for each in deliveries if each.consumer is not None))


def cancel(consumer: Consumer) -> None:
    """Take a consumer from its queue, and tell its client. What it has not acknowledged stays its channel's."""
    sink, queue = consumer.sink, consumer.queue
    if sink.consumers.get(consumer.tag) is not consumer:
        return
    del sink.consumers[consumer.tag]
    queue.vhost.node.journal.consumers_orphaned(BROKER, [consumer])
    queue.remove_consumer(consumer)
    sink.cancelled(consumer)
    if queue.serves_next_on_cancel:
        queue.dispatch()

"""basic.publish."""

from typing import Final

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.transactions import HeldPublish
from hutch.fakebroker.engine.errors import not_implemented
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.publishing import accept, put
from hutch.wire.codes import ReplyCode
from hutch.wire.methods import BasicPublish, BasicReturn

#: credit_flow_default_credit: how many publishes the reader passes to a channel before the channel handles the first,
#: and after how many handled publishes it passes as many more. A channel without credit has processed its queues'
#: reports.
_CREDIT: Final = 400
_CREDIT_STEP: Final = 200


def publish(channel: Channel, method: BasicPublish, properties: bytes, body: bytes) -> None:
    """Publish a message, or hold it where the channel is transactional (TX-03).

    ``properties`` is flags and values.

    Raises:
        BrokerError: 404, 403 or 406; 540 for ``immediate`` (PUB-04); 541 for properties that cannot be decoded.
    """
    if method.immediate:
        raise not_implemented("immediate=true")
    reads = channel.after_input.reads
    if channel.read != reads:
        channel.read = reads
        channel.credit_ends = (channel.publishes + 1) // _CREDIT_STEP * _CREDIT_STEP + _CREDIT
    channel.publishes += 1
    actor = channel.actor
    message, queues = accept(actor, method.exchange, method.routing_key, properties, body, channel.reply_queue)
    if channel.transaction is not None:
        channel.vhost.node.journal.held(channel.origin, channel.vhost, message, queues)
        channel.transaction.publishes.append(HeldPublish(message, method.mandatory, queues))
        return
    refusing = put(actor, message, queues, channel)
    if method.mandatory and not queues:
        return_unroutable(channel, message)
    if channel.confirms is not None:
        channel.confirms.add(queues, refusing)
    if channel.publishes >= channel.credit_ends:
        channel.hear()
        channel.credit_ends += _CREDIT_STEP


def return_unroutable(channel: Channel, message: Message) -> None:
    """Give a mandatory message that no queue gets back to its publisher (PUB-02)."""
    channel.vhost.node.journal.returned(channel.origin, channel.vhost, message, "NO_ROUTE")
    reply = BasicReturn(ReplyCode.NO_ROUTE, "NO_ROUTE", message.exchange, message.routing_key)
    channel.output.content(channel.number, reply, message)

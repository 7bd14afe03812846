"""What the methods do with the pseudo queue of direct reply-to, and with the names that replies are sent to (RPC)."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.engine.access.limits import is_full
from hutch.fakebroker.engine.errors import internal_error, not_found, precondition_failed
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.wire.methods import BasicConsume, BasicConsumeOk


def check_declared(channel: Channel, name: str) -> None:
    """Refuse to declare a name that begins as the pseudo queue's does, unless it is that or has a consumer (RPC-11,
    RPC-12).

    Raises:
        BrokerError: 404; 541, the name is malformed in such a way that RabbitMQ crashes, or the virtual host takes no
            more queues, and the name stands for one (QUEUE-DECLARE-27).
    """
    vhost = channel.vhost
    if name != REPLY_TO and vhost.node.replies.find(vhost, name) is None:
        raise not_found("queue", name, vhost.name)
    if vhost.node.profile.topology.has_volatile_queues and is_full(vhost):
        raise internal_error()


def consume(channel: Channel, method: BasicConsume, tag: str) -> None:
    """Begin to consume replies (RPC-01 to RPC-03); nothing but ``no_ack`` matters of how it is asked for.

    Raises:
        BrokerError: 406.
    """
    if not method.no_ack:
        raise precondition_failed("reply consumer cannot acknowledge")
    if channel.reply_queue is not None:
        raise precondition_failed("reply consumer already set")
    node = channel.vhost.node
    channel.reply_queue = node.replies.begin(channel.vhost, channel.sink, tag)
    node.journal.reply_consumer_added(channel.origin, channel.vhost, tag)
    if not method.nowait:
        channel.output.method(channel.number, BasicConsumeOk(tag))


def cancel(channel: Channel, tag: str) -> bool:
    """End the channel's reply consumer if that is its tag; whether it was."""
    queue = channel.reply_queue
    if queue is None or queue.tag != tag:
        return False
    node = channel.vhost.node
    node.replies.end(queue)
    channel.reply_queue = None
    node.journal.reply_consumer_cancelled(channel.origin, channel.vhost, tag)
    return True


def refuse_consumer(channel: Channel, name: str) -> None:
    """Refuse with 406 to consume from a volatile queue by its name (RPC-13).

    A channel that asks for the name of its own ended reply consumer gets no answer, as in RabbitMQ.
    """
    if channel.vhost.node.replies.is_volatile(name):
        where = f"queue '{name}' in vhost '{channel.vhost.name}'"
        if channel.reply_queue is not None and channel.reply_queue.name == name:
            raise precondition_failed(f"multiple consumers are unsupported for {where}")
        raise precondition_failed(f"only creator channel may consume from {where}")

"""basic.qos, consume, cancel, get, ack, nack, reject and recover."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands import reply_to
from hutch.fakebroker.amqp091.commands.credit import asked_credit
from hutch.fakebroker.amqp091.commands.names import queue_name
from hutch.fakebroker.amqp091.shared_limit import serve_waiting
from hutch.fakebroker.engine import fetching
from hutch.fakebroker.engine.arguments import erlang_type, why_no_number
from hutch.fakebroker.engine.errors import not_allowed, not_implemented, precondition_failed
from hutch.fakebroker.engine.lookup import owned_queue
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.stream_offsets import is_offset
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.fakebroker.erlang.terms import print_term, type_text
from hutch.wire.fields import FieldTable
from hutch.wire.methods import (
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicConsumeOk,
    BasicGet,
    BasicGetEmpty,
    BasicGetOk,
    BasicNack,
    BasicQos,
    BasicQosOk,
    BasicRecover,
    BasicRecoverAsync,
    BasicRecoverOk,
    BasicReject,
)


def qos(channel: Channel, method: BasicQos) -> None:
    """Limit what may be unacknowledged (QOS)."""
    if method.prefetch_size:
        raise not_implemented(f"prefetch_size!=0 ({method.prefetch_size})")
    shared = method.global_ and channel.connection.profile.shares_global_qos
    if not shared:
        channel.prefetch = method.prefetch_count
    # A prefetch limit for each consumer removes the shared limit (QOS-07).
    has_room = channel.share_prefetch(method.prefetch_count if shared else 0)
    channel.output.method(channel.number, BasicQosOk())
    if has_room:
        serve_waiting(channel)


def consume(channel: Channel, method: BasicConsume) -> None:
    """Start a consumer; consume-ok is sent before its first delivery (CONSUME-06)."""
    name = queue_name(channel, method.queue)
    tag = method.consumer_tag or channel.vhost.node.names.consumer_tag()
    if tag in channel.consumers:
        raise not_allowed(f"attempt to reuse consumer tag '{tag}'")
    if name == REPLY_TO:
        reply_to.consume(channel, method, tag)
        return
    channel.actor.check("queue", name, "read")
    reply_to.refuse_consumer(channel, name)
    queue = owned_queue(channel.actor, name)
    priority = _check_arguments(channel, queue, method.arguments)
    credit = asked_credit(channel, queue, method.arguments)
    consumer = queue.consumer_type(
        tag,
        queue,
        channel.sink,
        no_ack=method.no_ack,
        exclusive=method.exclusive,
        prefetch=channel.prefetch,
        priority=priority,
        arguments=method.arguments,
    )
    queue.check_consumer(consumer)
    channel.consumers[tag] = consumer
    if channel.ack_timeout is not None and not method.no_ack:
        channel.ack_timeout.watch()
    queue.add_consumer(consumer)
    if credit is not None:
        queue.limit(consumer, credit.amount, drain=credit.drain)
    channel.vhost.node.journal.consumer_added(channel.origin, consumer)
    if not method.nowait:
        channel.output.queue_method(channel.number, BasicConsumeOk(tag))
    queue.begin(consumer)


def _check_arguments(channel: Channel, queue: Queue, arguments: FieldTable) -> int:
    """The consumer's priority; 406 for arguments that the queue refuses (CONSUME-24, CONSUME-27)."""
    if not arguments:
        return 0
    profile = channel.vhost.node.profile.arguments
    where = f"for queue '{queue.name}' in vhost '{channel.vhost.name}'"
    refused = profile.consumer_arguments_refused(queue.type)
    known = {name: value for name, value in arguments.items() if name not in refused}
    priority = known.get("x-priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise precondition_failed(f"invalid arg 'x-priority' {where}: \"expected integer, got {type_text(priority)}\"")
    on_failover = known.get("x-cancel-on-ha-failover", False)
    if channel.connection.profile.checks_cancel_on_ha_failover and not isinstance(on_failover, bool):
        kind = type_text(on_failover)
        raise precondition_failed(f"invalid arg 'x-cancel-on-ha-failover' {where}: {{unacceptable_type,{kind}}}")
    if "x-consumer-timeout" in profile.consumer_arguments[queue.type]:
        reason = why_no_number(known.get("x-consumer-timeout", 0))
        if reason is not None:
            raise precondition_failed(f"invalid arg 'x-consumer-timeout' {where}: {reason}")
    offset = known.get("x-stream-offset", 0)
    if not is_offset(offset, profile):
        reason = f"{{invalid_stream_offset_arg,{{longstr,{print_term(offset)}}}}}"
        raise precondition_failed(f"invalid arg 'x-stream-offset' {where}: {reason}")
    for name in arguments:
        if name in refused:
            raise precondition_failed(f"invalid arg '{name}' {where} of queue type {erlang_type(queue.type)}")
    return priority


def cancel(channel: Channel, method: BasicCancel) -> None:
    """End a consumer; an unknown tag is no error (CONSUME-17)."""
    # A consumer of replies and another consumer may have the same tag. The consumer of replies is cancelled first.
    consumer = None
    if not reply_to.cancel(channel, method.consumer_tag):
        consumer = channel.consumers.pop(method.consumer_tag, None)
    if consumer is not None:
        channel.vhost.node.journal.consumer_cancelled(channel.origin, consumer)
        consumer.queue.remove_consumer(consumer)
    if not method.nowait:
        answer = channel.output.method if consumer is None else channel.output.queue_method
        answer(channel.number, BasicCancelOk(method.consumer_tag))
    if consumer is not None and consumer.queue.serves_next_on_cancel:
        consumer.queue.dispatch()


def get(channel: Channel, method: BasicGet) -> None:
    """Fetch one message (GET)."""
    queue, entry = fetching.get(channel.actor, queue_name(channel, method.queue))
    if entry is None:
        channel.vhost.node.journal.got_nothing(channel.origin, queue)
        channel.output.method(channel.number, BasicGetEmpty())
        return
    message = entry.message
    tag = channel.hand_out(queue, entry, method.no_ack)
    if method.no_ack:
        queue.drop_expired()  # an automatic acknowledgement drops expired messages, too
    reply = BasicGetOk(tag, entry.redelivered, message.exchange, message.routing_key, len(queue))
    channel.output.content(channel.number, reply, message)


def nack(channel: Channel, method: BasicNack) -> None:
    """Requeue or dead-letter one or several (ACK-06, ACK-07)."""
    handed_back = channel.connection.profile.hands_back
    channel.refuse(method.delivery_tag, multiple=method.multiple, requeue=method.requeue, failed=not handed_back)


def reject(channel: Channel, method: BasicReject) -> None:
    """Requeue or dead-letter one."""
    channel.refuse(method.delivery_tag, multiple=False, requeue=method.requeue, failed=True)


def recover(channel: Channel, method: BasicRecover) -> None:
    """Requeue all that is unacknowledged; recover-ok is sent before the redeliveries (ACK-10)."""
    if not method.requeue:
        raise not_implemented("requeue=false")
    channel.recover(lambda: channel.output.method(channel.number, BasicRecoverOk()))


def recover_async(channel: Channel, method: BasicRecoverAsync) -> None:
    """The same without a reply (ACK-12)."""
    if not method.requeue:
        raise not_implemented("requeue=false")
    channel.recover(lambda: None)

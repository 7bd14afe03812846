"""basic.publish: one straight way from the content to the queues."""

from typing import Final

from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.delivered_properties import rewritten_properties
from hutch.fakebroker.engine.errors import SoftError, not_implemented, precondition_failed, refused
from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.lookup import find_exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.message_properties import Envelope
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.fakebroker.engine.targets import Target
from hutch.fakebroker.engine.transactions import HeldPublish
from hutch.wire.codes import ReplyCode
from hutch.wire.methods import BasicPublish, BasicReturn

#: credit_flow_default_credit: how many publishes a channel gets before it has done the first of them, and after how
#: many it gets as many more. A channel that has none left has heard what its queues told it meanwhile.
_CREDIT: Final = 400
_CREDIT_STEP: Final = 200


def publish(channel: Channel, method: BasicPublish, header: bytes, body: bytes) -> None:
    """Route a message, and put it into its queues unless the channel is transactional (TX-03).

    ``header`` is the payload of its content header frame.

    Raises:
        SoftError: 404, 403 or 406 (EXCH-DELETE-05, EXCH-INTERNAL-01, PUB).
        HardError: 540 for ``immediate`` (PUB-04); 541 for properties that cannot be decoded.
    """
    if method.immediate:
        raise not_implemented("immediate=true")
    if channel.read != channel.connection.reads:
        channel.read = channel.connection.reads
        channel.credit_ends = (channel.publishes + 1) // _CREDIT_STEP * _CREDIT_STEP + _CREDIT
    channel.publishes += 1
    vhost = channel.vhost
    node = vhost.node
    limit = node.profile.max_message_size
    if len(body) > limit:
        raise precondition_failed(f"message size {len(body)} is larger than configured max size {limit}")
    actor = channel.actor
    name, routing_key = method.exchange, method.routing_key
    if name not in actor.writable:
        actor.check_publish(name)
    exchange = _open_exchange(channel, name) if name else None
    envelope = node.envelopes.of(header[12:])
    if envelope.needs_check or (exchange is not None and exchange.type == "topic"):
        envelope = _with_reply_name(channel, envelope, header)
        _check_envelope(channel, exchange, routing_key, envelope)
    message = Message(name, routing_key, envelope, body, header)
    message.number = node.messages = node.messages + 1
    keys = message.routing_keys if envelope.cc or envelope.bcc else (routing_key,)
    queues = vhost.route(exchange, message, keys)
    if channel.transaction is not None:
        node.journal.held(channel.origin, vhost, message, queues)
        channel.transaction.publishes.append(HeldPublish(message, method.mandatory, queues))
        return
    node.journal.published(channel.origin, vhost, message, queues)
    if method.mandatory and not queues:
        return_unroutable(channel, message)
    _enqueue(channel, message, queues)


def _enqueue(channel: Channel, message: Message, queues: list[Target]) -> None:
    """Put a message into its queues, and confirm it."""
    refusing: list[Target] = []
    for queue in queues:
        if not queue.publish(message, channel):
            refusing.append(queue)  # noqa: PERF401  (a comprehension is a call more)
    if channel.confirms is not None:
        channel.confirms.add(queues, refusing)
    if channel.publishes >= channel.credit_ends:
        channel.hear()
        channel.credit_ends += _CREDIT_STEP


def _open_exchange(channel: Channel, name: str) -> Exchange:
    """The exchange, which clients may publish to."""
    exchange = find_exchange(channel.actor, name)
    if exchange.internal:
        raise refused(f"cannot publish to internal exchange '{exchange.name}' in vhost '{channel.vhost.name}'")
    return exchange


def return_unroutable(channel: Channel, message: Message) -> None:
    """Give a mandatory message that no queue gets back to its publisher (PUB-02)."""
    channel.vhost.node.journal.returned(channel.origin, channel.vhost, message, "NO_ROUTE")
    reply = BasicReturn(ReplyCode.NO_ROUTE, "NO_ROUTE", message.exchange, message.routing_key)
    channel.output.content(channel.number, reply, message)


def _with_reply_name(channel: Channel, envelope: Envelope, header: bytes) -> Envelope:
    """The envelope with the name that replies find this channel by, where it has the pseudo queue's (RPC-05, RPC-14).

    Raises:
        SoftError: 406, the channel does not consume replies (RPC-04).
    """
    if envelope.reply_to != REPLY_TO:
        return envelope
    if channel.reply_queue is None:
        raise precondition_failed("fast reply consumer does not exist")
    name = channel.reply_queue.name.encode()
    raw = rewritten_properties(header[12:], reply_to=bytes((len(name),)) + name)
    return channel.vhost.node.envelopes.of(raw)


def _check_envelope(channel: Channel, exchange: Exchange | None, routing_key: str, envelope: Envelope) -> None:
    """Refuse properties that the broker cannot accept, or not from this user, and topics that the user may not publish
    to (PUB-05 to PUB-11, PUB-22, PERM-12).
    """
    if channel.vhost.node.profile.reads_message_first:
        _check_properties(envelope)
        channel.actor.check_topics(exchange, (routing_key, *envelope.cc, *envelope.bcc), "write")
        channel.actor.check_user_id(envelope.user_id)
    else:
        channel.actor.check_topics(exchange, (routing_key,), "write")
        channel.actor.check_user_id(envelope.user_id)
        _check_properties(envelope)


def _check_properties(envelope: Envelope) -> None:
    if envelope.refusal is not None:
        raise SoftError(envelope.refusal.code, envelope.refusal.text)

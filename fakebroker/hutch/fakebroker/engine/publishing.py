"""Publishing a message: who may, what is refused, and which queues it gets into.

:func:`publish` does all of it. A channel takes two steps, :func:`accept` and :func:`put`, since a transaction or a
commit may come between them.
"""

from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.delivered_properties import rewritten_properties
from hutch.fakebroker.engine.errors import BrokerError, precondition_failed, refused
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.lookup import find_exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.message_properties import Envelope
from hutch.fakebroker.engine.replies import REPLY_TO, ReplyQueue
from hutch.fakebroker.engine.routing import route
from hutch.fakebroker.engine.targets import Publisher, Target

#: A message with the queues that it was routed to.
Routed = tuple[Message, list[Target]]


def publish(actor: Actor, exchange: str, routing_key: str, properties: bytes, body: bytes) -> list[Target]:
    """Publish a message. Returns the queues that it was routed to, be there some that refused it.

    ``properties`` is flags and values as on the wire.

    Raises:
        BrokerError: as :func:`accept`.
    """
    message, queues = accept(actor, exchange, routing_key, properties, body, None)
    put(actor, message, queues, None)
    return queues


def accept(
    actor: Actor, name: str, routing_key: str, properties: bytes, body: bytes, reply_queue: ReplyQueue | None
) -> Routed:
    """Take in a message for the exchange ``name``, and route it. Nobody has heard of it yet.

    ``reply_queue`` is where the actor gets replies, if anywhere.

    Raises:
        BrokerError: 404, 403 or 406 (EXCH-DELETE-05, EXCH-INTERNAL-01); 541 for properties that cannot be decoded,
            and for some names of replies.
    """
    vhost = actor.vhost
    node = vhost.node
    limit = node.profile.messages.max_message_size
    if len(body) > limit:
        raise precondition_failed(f"message size {len(body)} is larger than configured max size {limit}")
    if name not in actor.writable:
        actor.check_publish(name)
    exchange = _open_exchange(actor, name) if name else None
    envelope = node.envelopes[properties]
    if envelope.needs_check or (exchange is not None and exchange.type == "topic"):
        if envelope.reply_to == REPLY_TO:
            envelope = node.envelopes[_with_reply_name(properties, reply_queue)]
        _check_envelope(actor, exchange, routing_key, envelope)
    message = Message(name, routing_key, envelope, body)
    message.number = node.messages = node.messages + 1
    keys = message.routing_keys if envelope.cc or envelope.bcc else (routing_key,)
    return message, route(vhost, exchange, message, keys)


def put(actor: Actor, message: Message, queues: list[Target], publisher: Publisher | None) -> list[Target]:
    """Put an accepted message into its queues. Returns those that refused it; the others confirm to ``publisher``."""
    vhost = actor.vhost
    vhost.node.journal.published(actor.origin, vhost, message, queues)
    refusing: list[Target] = []
    for queue in queues:
        if not queue.publish(message, publisher):
            refusing.append(queue)  # noqa: PERF401  (a comprehension is a call more)
    return refusing


def _open_exchange(actor: Actor, name: str) -> Exchange:
    """The exchange, which clients may publish to."""
    exchange = find_exchange(actor, name)
    if exchange.internal:
        raise refused(f"cannot publish to internal exchange '{exchange.name}' in vhost '{actor.vhost.name}'")
    return exchange


def _with_reply_name(properties: bytes, reply_queue: ReplyQueue | None) -> bytes:
    """The properties with the name that replies find their way by, in place of the pseudo queue's (RPC-05, RPC-14).

    Raises:
        BrokerError: 406, the actor does not consume replies (RPC-04).
    """
    if reply_queue is None:
        raise precondition_failed("fast reply consumer does not exist")
    name = reply_queue.name.encode()
    return rewritten_properties(properties, reply_to=bytes((len(name),)) + name)


def _check_envelope(actor: Actor, exchange: Exchange | None, routing_key: str, envelope: Envelope) -> None:
    """Refuse properties that the broker cannot accept, or not from this user, and topics that the user may not publish
    to (PUB-05 to PUB-11, PUB-22, PERM-12).
    """
    if actor.vhost.node.profile.messages.reads_message_first:
        _check_properties(envelope)
        actor.check_topics(exchange, (routing_key, *envelope.cc, *envelope.bcc), "write")
        actor.check_user_id(envelope.user_id)
    else:
        actor.check_topics(exchange, (routing_key,), "write")
        actor.check_user_id(envelope.user_id)
        _check_properties(envelope)


def _check_properties(envelope: Envelope) -> None:
    if envelope.refusal is not None:
        raise BrokerError(envelope.refusal.name, envelope.refusal.text)

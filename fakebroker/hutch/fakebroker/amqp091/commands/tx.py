"""tx.select, commit and rollback (TX): publishes and acknowledgements are held back until the commit.

basic.get, deliveries and basic.recover are not part of a transaction, nor is anything that is declared or deleted.
"""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands.publish import return_unroutable
from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.amqp091.transactions import HeldPublish, Transaction
from hutch.fakebroker.engine.errors import precondition_failed
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.targets import Target
from hutch.fakebroker.erlang.terms import print_missing_queue
from hutch.wire.codes import ReplyCode
from hutch.wire.methods import TxCommit, TxCommitOk, TxRollback, TxRollbackOk, TxSelect, TxSelectOk


def select(channel: Channel, _method: TxSelect) -> None:
    """Make the channel transactional; once it is, this changes nothing (TX-01)."""
    if channel.confirms is not None:
        raise precondition_failed("cannot switch from confirm to tx mode")
    if channel.transaction is None:
        channel.transaction = Transaction()
    channel.output.method(channel.number, TxSelectOk())


def commit(channel: Channel, _method: TxCommit) -> None:
    """Put the messages into their queues, then carry out the acknowledgements.

    The queues have to tell that they took the messages, so that commit-ok comes behind what they deliver at once, and
    until then the channel is deaf to other methods (TX-16). Where no queue got anything it comes first.

    Raises:
        BrokerError: 406, the channel is not transactional (TX-02); 540, a queue takes nothing back (STREAM-11).
        AMQPError: 506, a queue is gone (TX-15); the messages before that one are in their queues.
    """
    transaction = _transaction(channel)
    routed, failure = _route(channel, transaction.publishes)
    accepted = True
    for message, queues, all_there in routed:
        accepted &= all_there
        for queue in queues:
            # A queue that has reported itself full is not asked, and its refusal is not reported (QUORUM-13).
            accepted &= queue.publish(message, channel) or queue.refuses_at_once
    if failure is not None:
        raise failure
    for outcome, deliveries in transaction.decisions:
        channel.check_outcome(outcome, deliveries)
    channel.transaction = Transaction()
    told = (len(transaction.publishes), len(transaction.deliveries))
    channel.vhost.node.journal.committed(channel.origin, channel.vhost, *told)
    waits = not accepted or any(not isinstance(queue, ReplyQueue) for _, queues, _ in routed for queue in queues)
    _carry_out(channel, transaction, at_once=True)
    if not waits:
        channel.output.method(channel.number, TxCommitOk())
    _carry_out(channel, transaction, at_once=False)
    if waits:
        channel.output.committing(channel.number, lambda: _complete(channel, accepted))


def _carry_out(channel: Channel, transaction: Transaction, *, at_once: bool) -> None:
    """Carry out what was decided about the deliveries of queues that do, or do not, serve a consumer at once."""
    for outcome, decided in transaction.decisions:
        deliveries = [delivery for delivery in decided if delivery.queue.serves_at_once is at_once]
        if deliveries:
            channel.carry_out(outcome, sorted(deliveries, key=lambda delivery: delivery.tag))


def _complete(channel: Channel, accepted: bool) -> None:
    """Tell the end of a commit: 406 where a queue refused a message; what the others took stays."""
    if not accepted:
        raise precondition_failed("partial tx completion")
    channel.output.method(channel.number, TxCommitOk())


_Routed = tuple[Message, list[Target], bool]


def _route(channel: Channel, publishes: list[HeldPublish]) -> tuple[list[_Routed], AMQPError | None]:
    """Each message with the queues that it gets into and whether those are all it was meant for; and why it ends there,
    if it does. What is returned to the publisher goes out before any queue delivers.
    """
    routed: list[_Routed] = []
    vhost = channel.vhost
    for held in publishes:
        message = held.message
        try:
            queues, all_there = _queues(channel, held)
        except AMQPError as error:
            return routed, error
        vhost.node.journal.released(channel.origin, vhost, message, queues)
        if held.mandatory and not queues and all_there:
            return_unroutable(channel, message)
        routed.append((message, queues, all_there))
    return routed, None


def _queues(channel: Channel, held: HeldPublish) -> tuple[list[Target], bool]:
    """The queues that a message gets into now, and whether those are all it was routed to (TX-15)."""
    present = channel.vhost.queues
    if channel.connection.profile.finds_queues_at_commit:
        # The default exchange takes every routing key for a queue name, even if no such queue exists.
        message = held.message
        names = [queue.name for queue in held.queues] if message.exchange else dict.fromkeys(message.routing_keys)
        return [present[name] for name in names if name in present], True
    for queue in held.queues:
        if queue.name not in present and not isinstance(queue, ReplyQueue):
            text = f"failed to deliver message: {print_missing_queue(channel.vhost.name, queue.name)}"
            raise AMQPError(ReplyCode.RESOURCE_ERROR, text)
    # A newer queue with the same name does not get the message.
    queues = [queue for queue in held.queues if not queue.deleted]
    return queues, len(queues) == len(held.queues)


def rollback(channel: Channel, _method: TxRollback) -> None:
    """Forget the messages; what was acknowledged is outstanding again, and not redelivered (TX-09)."""
    transaction = _transaction(channel)
    channel.transaction = Transaction()
    told = (len(transaction.publishes), len(transaction.deliveries))
    channel.vhost.node.journal.rolled_back(channel.origin, channel.vhost, *told)
    channel.restore(transaction.deliveries)
    channel.output.method(channel.number, TxRollbackOk())


def _transaction(channel: Channel) -> Transaction:
    if channel.transaction is None:
        raise precondition_failed("channel is not transactional")
    return channel.transaction

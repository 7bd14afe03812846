"""Selecting, committing and rolling back transactions (TX)."""

from typing import Final

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.conformance.transactional import transactional
from hutch.wire import methods as amqp
from hutch.wire.frames import method_frame

#: Number of messages in a transaction whose commit takes time.
_MESSAGES: Final = 100


@case("TX-01", "TX-05")
def selecting_and_ending_transactions(rabbit: Rabbit) -> None:
    """Tx.select can be repeated; commits and rollbacks of nothing are answered."""
    channel = rabbit.raw().channel()
    for method, answer in [
        (amqp.TxSelect(), amqp.TxSelectOk()),
        (amqp.TxSelect(), amqp.TxSelectOk()),
        (amqp.TxCommit(), amqp.TxCommitOk()),
        (amqp.TxRollback(), amqp.TxRollbackOk()),
        (amqp.TxRollback(), amqp.TxRollbackOk()),
        (amqp.TxCommit(), amqp.TxCommitOk()),
    ]:
        equal(channel.call(method), answer)


@case("TX-02")
def ending_a_transaction_that_was_not_begun(rabbit: Rabbit) -> None:
    """Commit and rollback on a channel that is not transactional close it with 406."""
    for method, ids in ((amqp.TxCommit(), (90, 20)), (amqp.TxRollback(), (90, 30))):
        channel = rabbit.raw().channel()
        channel.send(method)
        channel.expect_close(406, "channel is not transactional", ids)


@case("TX-02", "CHAN-06")
def a_reopened_channel_is_not_transactional(rabbit: Rabbit) -> None:
    """A channel that was transactional is not when it is opened again."""
    channel, _ = transactional(rabbit)
    channel.close()
    again = channel.connection.channel(channel.number)
    again.send(amqp.TxCommit())
    again.expect_close(406, "channel is not transactional", (90, 20))


@case("CONFIRM-02")
def confirms_on_a_transactional_channel(rabbit: Rabbit) -> None:
    """Confirm.select on a transactional channel closes it with 406, with nowait too."""
    for nowait in (False, True):
        channel, _ = transactional(rabbit)
        channel.send(amqp.ConfirmSelect(nowait=nowait))
        channel.expect_close(406, "cannot switch from tx to confirm mode", (85, 10))


@case("CONFIRM-03")
def transactions_on_a_confirming_channel(rabbit: Rabbit) -> None:
    """Tx.select on a channel with confirms closes it with 406."""
    channel = rabbit.raw().channel()
    channel.call(amqp.ConfirmSelect())
    channel.send(amqp.TxSelect())
    channel.expect_close(406, "cannot switch from confirm to tx mode", (90, 10))


@case("TX-16")
def a_method_behind_a_commit(rabbit: Rabbit) -> None:
    """A method sent before commit-ok has come closes the connection with 504 if the commit has queues to wait for; the
    messages are in their queue.
    """
    watch = rabbit.raw().channel()
    for method in (
        amqp.BasicQos(),
        amqp.TxSelect(),
        amqp.TxCommit(),
        amqp.ChannelCloseOk(),
        amqp.QueueDeclareOk("q"),
        amqp.BasicAck(1),
        amqp.BasicPublish(),
    ):
        channel, queue = _durable(rabbit)
        behind = _frames(channel, method)
        if isinstance(method, amqp.BasicPublish):
            behind = channel.publishing(b"y", "", queue)
        channel.connection.send(_frames(channel, amqp.TxCommit()) + behind)
        ids = (method.CLASS_ID, method.METHOD_ID)
        channel.connection.expect_close(504, "unexpected command while processing 'tx.commit'", ids)
        watch.expect_ready(queue, _MESSAGES)


@case("TX-16", "CONN-CHAN-06")
def opening_a_channel_that_commits(rabbit: Rabbit) -> None:
    """Channel.open behind a commit is a second open like any other."""
    channel, _ = _durable(rabbit)
    channel.connection.send(_frames(channel, amqp.TxCommit(), amqp.ChannelOpen()))
    channel.connection.expect_close(504, "second 'channel.open' seen", (20, 10))


@case("TX-16", "CHAN-06")
def closing_a_channel_that_commits(rabbit: Rabbit) -> None:
    """Channel.close may follow a commit at once; the commit is not answered then, but done."""
    channel, queue = _durable(rabbit)
    channel.connection.send(_frames(channel, amqp.TxCommit(), amqp.ChannelClose(200)))
    equal(channel.read(), amqp.ChannelCloseOk())
    again = channel.connection.channel(channel.number)
    again.expect_ready(queue, _MESSAGES)
    again.expect_nothing()


@case("TX-16")
def other_channels_behind_a_commit(rabbit: Rabbit) -> None:
    """Commands that other channels send behind a commit are carried out."""
    channel, queue = _durable(rabbit)
    other = channel.connection.channel(2)
    channel.connection.send(_frames(channel, amqp.TxCommit()) + _frames(other, amqp.BasicQos()))
    equal(other.read(), amqp.BasicQosOk())
    equal(channel.read(), amqp.TxCommitOk())
    other.expect_ready(queue, _MESSAGES)


@case("TX-16", "TX-05")
def a_method_behind_a_commit_without_messages(rabbit: Rabbit) -> None:
    """A commit that no queue takes a message of is answered at once, so that methods may follow it."""
    channel, queue = transactional(rabbit, 1, fetched=1)
    channel.send(amqp.BasicAck(1))
    channel.publish(b"x", routing_key="no-such-queue")
    channel.connection.send(_frames(channel, amqp.TxCommit(), amqp.BasicQos(), amqp.TxCommit(), amqp.BasicQos()))
    for answer in (amqp.TxCommitOk(), amqp.BasicQosOk(), amqp.TxCommitOk(), amqp.BasicQosOk()):
        equal(channel.read(), answer)
    equal(channel.get(queue), None)


def _durable(rabbit: Rabbit) -> tuple[RawChannel, str]:
    """A transactional channel with messages published to a new queue that keeps them on a disk. There are so many that
    the commit has not ended when the next method is looked at.
    """
    channel, queue = rabbit.raw().channel(), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, durable=True))
    channel.call(amqp.TxSelect())
    for _ in range(_MESSAGES):
        channel.publish(b"x", routing_key=queue, delivery_mode=2)
    return channel, queue


def _frames(channel: RawChannel, *methods: amqp.Method) -> bytes:
    return b"".join(method_frame(channel.number, method.encode()) for method in methods)

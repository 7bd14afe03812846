"""Acknowledgements in a transaction, and what is not part of one (TX)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import fields
from hutch.conformance.transactional import (
    ENDS,
    bodies,
    commit,
    dead_letters_to,
    declare,
    deliveries,
    rollback,
    taken,
    transactional,
)
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable


@case("TX-08", "ACK-01")
def acknowledging_twice_in_a_transaction(rabbit: Rabbit) -> None:
    """A delivery that was acknowledged is not outstanding any more, before the commit as after it."""
    refused: list[amqp.Method] = [
        amqp.BasicAck(1),
        amqp.BasicAck(1, multiple=True),
        amqp.BasicNack(1),
        amqp.BasicReject(1),
    ]
    for method in refused:
        channel, _ = transactional(rabbit, 2, fetched=2)
        channel.send(amqp.BasicAck(1))
        channel.send(method)
        channel.expect_close(406, "unknown delivery tag 1", (60, method.METHOD_ID))


@case("TX-08", "TX-09")
def acknowledgements_take_effect_at_the_commit(rabbit: Rabbit) -> None:
    """What was acknowledged is gone with the commit; what was acknowledged and rolled back is outstanding, and not
    ready.
    """
    channel, queue = transactional(rabbit, 2, fetched=2)
    channel.send(amqp.BasicAck(1))
    commit(channel)
    channel.send(amqp.BasicAck(2))
    rollback(channel)
    equal(channel.ready(queue), 0)
    channel.close()
    equal(taken(channel.connection.channel(2), queue, 1), [(b"1", True)])


@case("TX-09", "ACK-04")
def a_tag_is_valid_again_after_a_rollback(rabbit: Rabbit) -> None:
    """What was rolled back can be acknowledged again, alone or with others before and behind it."""
    channel, queue = transactional(rabbit, 5, fetched=5)
    channel.send(amqp.BasicAck(3))
    channel.send(amqp.BasicReject(1, requeue=True))
    rollback(channel)
    channel.send(amqp.BasicAck(3))
    rollback(channel)
    channel.send(amqp.BasicAck(2, multiple=True))
    channel.send(amqp.BasicAck(4, multiple=True))
    commit(channel)
    channel.close()
    equal(taken(channel.connection.channel(2), queue, 1), [(b"4", True)])


@case("TX-08", "ACK-03")
def acknowledging_several_in_a_transaction(rabbit: Rabbit) -> None:
    """With multiple, deliveries count that were not acknowledged in the transaction already; tag 0 means them all."""
    channel, queue = transactional(rabbit, 4, fetched=4)
    channel.send(amqp.BasicAck(1))
    channel.send(amqp.BasicAck(3, multiple=True))
    channel.send(amqp.BasicNack(0, multiple=True, requeue=True))
    channel.send(amqp.BasicAck(0, multiple=True))
    equal(channel.ready(queue), 0)
    commit(channel)
    equal(taken(channel, queue, 1), [(b"3", True)])


@case("TX-12", "ACK-07")
def requeueing_in_a_transaction(rabbit: Rabbit) -> None:
    """What is rejected or nacked with requeue comes back at the commit, in its place."""
    channel, queue = transactional(rabbit, 4, fetched=3)
    channel.send(amqp.BasicReject(3, requeue=True))
    channel.send(amqp.BasicNack(1, requeue=True))
    channel.send(amqp.BasicAck(2))
    equal(channel.ready(queue), 1)
    commit(channel)
    equal(taken(channel, queue, 3), [(b"0", True), (b"2", True), (b"3", False)])


@case("TX-12", profiles=["3.10"])
def requeues_of_a_transaction_are_one(rabbit: Rabbit) -> None:
    """Requeues by reject and by nack that follow each other are carried out together, oldest first."""
    equal(_requeued(rabbit), [(b"0", True), (b"1", True), (b"2", True)])


@case("TX-12", profiles=["4.3"])
def requeues_by_reject_and_by_nack_are_apart(rabbit: Rabbit) -> None:
    """Requeues that follow each other are carried out together, oldest first, but those by reject apart from those by
    nack.
    """
    equal(_requeued(rabbit), [(b"2", True), (b"0", True), (b"1", True)])


def _requeued(rabbit: Rabbit) -> list[tuple[bytes, bool]]:
    """What a consumer gets that waits, when the third message is rejected and then the second and first are nacked."""
    channel, queue = transactional(rabbit, 3, fetched=3)
    channel.send(amqp.BasicReject(3, requeue=True))
    channel.send(amqp.BasicNack(2, requeue=True))
    channel.send(amqp.BasicNack(1, requeue=True))
    consumer = channel.connection.channel(2)
    consumer.call(amqp.BasicConsume(queue=queue, no_ack=True))
    commit(channel)
    return deliveries(consumer, 3)


@case("TX-08", "DLX-01", "DLX-03")
def dead_lettering_in_a_transaction(rabbit: Rabbit) -> None:
    """What is rejected is dead-lettered at the commit; with a rollback it is not."""
    channel, dead = transactional(rabbit)
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue, arguments=dead_letters_to(dead)))
    for number in (0, 1):
        channel.publish(b"%d" % number, routing_key=queue)
    commit(channel)
    channel.expect_ready(queue, 2)
    for _ in range(2):
        channel.got(queue)
    for end in (rollback, commit):
        channel.send(amqp.BasicReject(1, requeue=False))
        channel.send(amqp.BasicNack(2, requeue=False))
        equal(channel.ready(dead), 0)
        end(channel)
    redelivered = rabbit.by_profile({"3.10": False, "4.3": True})
    equal(taken(channel, dead, 2), [(b"0", redelivered), (b"1", False)])


@case("TX-08", "DLX-01")
def dead_letters_of_a_transaction_come_in_order(rabbit: Rabbit) -> None:
    """Rejects that follow each other are carried out together, oldest first; an ack between them parts them."""
    channel, dead = transactional(rabbit)
    queue = declare(rabbit, channel, dead_letters_to(dead))
    other = channel.connection.channel(2)
    for number in range(1, 7):
        other.publish(b"%d" % number, routing_key=queue)
    other.expect_ready(queue, 6)
    for _ in range(6):
        channel.got(queue)
    for tag in (6, 2, 4):
        channel.send(amqp.BasicReject(tag, requeue=False))
    channel.send(amqp.BasicAck(5))
    channel.send(amqp.BasicReject(3, requeue=False))
    commit(channel)
    equal(bodies(channel, dead, 4), [b"2", b"4", b"6", b"3"])


@case("TX-08", "DLX-01", "CONSUME-22")
def dead_letters_of_a_consumer_in_a_transaction_come_in_order(rabbit: Rabbit) -> None:
    """What a consumer got and rejects in a transaction is dead-lettered oldest first, whatever the order."""
    channel, dead = transactional(rabbit)
    queue = declare(rabbit, channel, dead_letters_to(dead))
    channel.call(amqp.BasicConsume(queue=queue))
    other = channel.connection.channel(2)
    for number in range(1, 5):
        other.publish(b"%d" % number, routing_key=queue)
    for _ in range(4):
        channel.message(amqp.BasicDeliver)
    for tag in (4, 1, 3, 2):
        channel.send(amqp.BasicReject(tag, requeue=False))
    commit(channel)
    equal(bodies(channel, dead, 4), [b"1", b"2", b"3", b"4"])


@case("TX-13", "ACK-10")
def recovering_what_was_rolled_back(rabbit: Rabbit) -> None:
    """What was rejected and rolled back is requeued by basic.recover, in its place."""
    channel, queue = transactional(rabbit, 3, fetched=3)
    channel.send(amqp.BasicReject(2, requeue=False))
    channel.send(amqp.BasicAck(1))
    rollback(channel)
    equal(channel.call(amqp.BasicRecover(requeue=True)), amqp.BasicRecoverOk())
    equal(taken(channel, queue, 3), [(b"0", True), (b"1", True), (b"2", True)])


@case("TX-13", "ACK-10", "ACK-12")
def recovering_in_a_transaction(rabbit: Rabbit) -> None:
    """Basic.recover requeues at once what is outstanding, and leaves alone what was acknowledged in the transaction."""
    for end, ready, tag_is_known in ((commit, 2, False), (rollback, 1, True)):
        for recover in (amqp.BasicRecover(requeue=True), amqp.BasicRecoverAsync(requeue=True)):
            channel, queue = transactional(rabbit, 3, fetched=3)
            channel.send(amqp.BasicAck(1))
            channel.send(amqp.BasicNack(2, requeue=True))
            if recover.REPLIES:
                channel.call(recover)
            else:
                channel.send(recover)
            channel.expect_ready(queue, 1)
            end(channel)
            channel.expect_ready(queue, ready)
            channel.send(amqp.BasicAck(1))
            if tag_is_known:
                commit(channel)
            else:
                channel.expect_close(406, "unknown delivery tag 1", (60, 80))


@case("TX-10", "TX-12")
def closing_gives_back_what_was_not_committed(rabbit: Rabbit) -> None:
    """Deliveries that were acknowledged, rejected or nacked and not committed are requeued when the channel or
    connection ends.
    """
    watch = rabbit.raw().channel()
    for end in ENDS:
        channel, queue = transactional(rabbit, 5, fetched=4)
        channel.send(amqp.BasicAck(2))
        channel.send(amqp.BasicReject(4, requeue=False))
        channel.send(amqp.BasicNack(1, requeue=True))
        end(channel)
        equal(taken(watch, queue, 5), [(b"0", True), (b"1", True), (b"2", True), (b"3", True), (b"4", False)])


@case("TX-14", "QOS-08")
def a_prefetch_in_a_transaction(rabbit: Rabbit) -> None:
    """A consumer has its credit back at the commit, not at the ack, and not at all if that is rolled back. The next
    delivery comes behind commit-ok.
    """
    channel, queue = rabbit.raw_queue(4)
    channel.call(amqp.TxSelect())
    channel.call(amqp.BasicQos(prefetch_count=2))
    channel.call(amqp.BasicConsume(queue=queue))
    equal(deliveries(channel, 2), [(b"0", False), (b"1", False)])
    for end in (rollback, rollback):
        channel.send(amqp.BasicAck(2, multiple=True))
        channel.expect_nothing(queue)
        end(channel)
        channel.expect_nothing(queue)
    channel.send(amqp.BasicAck(1))
    channel.send(amqp.TxCommit())
    equal(channel.read(), amqp.TxCommitOk())
    equal(deliveries(channel, 1), [(b"2", False)])
    channel.expect_nothing(queue)


@case("TX-14", "QOS-06", profiles=["3.10"])
def a_shared_prefetch_in_a_transaction(rabbit: Rabbit) -> None:
    """A limit over the whole channel also has its room back at the commit, not at the ack."""
    channel, queue = rabbit.raw_queue(2)
    channel.call(amqp.TxSelect())
    channel.call(amqp.BasicQos(prefetch_count=1, global_=True))
    channel.call(amqp.BasicConsume(queue=queue))
    equal(deliveries(channel, 1), [(b"0", False)])
    channel.send(amqp.BasicAck(1))
    channel.expect_nothing(queue)
    channel.send(amqp.TxCommit())
    equal(channel.read(), amqp.TxCommitOk())
    equal(deliveries(channel, 1), [(b"1", False)])


@case("TX-12", "TX-14")
def requeued_messages_come_behind_commit_ok(rabbit: Rabbit) -> None:
    """What a commit requeues is delivered again behind commit-ok."""
    channel, queue = rabbit.raw_queue(2)
    channel.call(amqp.TxSelect())
    channel.call(amqp.BasicConsume(queue=queue))
    equal(deliveries(channel, 2), [(b"0", False), (b"1", False)])
    channel.send(amqp.BasicNack(2, multiple=True, requeue=True))
    channel.expect_nothing(queue)
    channel.send(amqp.TxCommit())
    equal(channel.read(), amqp.TxCommitOk())
    equal(deliveries(channel, 2), [(b"0", True), (b"1", True)])


@case("TX-14")
def fetching_is_not_transactional(rabbit: Rabbit) -> None:
    """What is fetched or delivered without acknowledgement is gone, and a rollback does not bring it back."""
    channel, queue = transactional(rabbit, 2)
    channel.got(queue, no_ack=True)
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True, consumer_tag="t"))
    equal(channel.message(amqp.BasicDeliver).body, b"1")
    channel.call(amqp.BasicCancel("t"))
    rollback(channel)
    equal(channel.get(queue), None)


@case("TX-14", "QUEUE-DELETE-01")
def what_is_declared_and_deleted_is_not_transactional(rabbit: Rabbit) -> None:
    """A rollback takes back neither a declaration nor a purge nor a deletion."""
    channel, queue = transactional(rabbit, 2)
    other = declare(rabbit, channel)
    equal(channel.call(amqp.QueuePurge(queue=queue)), amqp.QueuePurgeOk(2))
    equal(channel.call(amqp.QueueDelete(queue=queue)), amqp.QueueDeleteOk(0))
    rollback(channel)
    equal(channel.ready(other), 0)
    channel.send(amqp.QueueDeclare(queue=queue, passive=True))
    channel.expect_close(404, f"no queue '{queue}' in vhost '{rabbit.vhost}'", (50, 10))


@case("TX-08", "TX-09")
def the_queue_goes_before_the_transaction_ends(rabbit: Rabbit) -> None:
    """Acknowledging what came from a queue that is deleted before the end of the transaction is no error, and a
    rollback makes those tags valid again.
    """
    for end, tag_is_known in ((commit, False), (rollback, True)):
        channel, queue = transactional(rabbit, 2, fetched=2)
        channel.send(amqp.BasicAck(1))
        channel.send(amqp.BasicReject(2, requeue=True))
        channel.call(amqp.QueueDelete(queue=queue))
        end(channel)
        channel.send(amqp.BasicAck(1))
        if tag_is_known:
            commit(channel)
        else:
            channel.expect_close(406, "unknown delivery tag 1", (60, 80))


@case("TX-09", "CONSUME-18")
def the_consumer_goes_before_the_transaction_ends(rabbit: Rabbit) -> None:
    """Deliveries of a consumer that was cancelled are acknowledged and rolled back like others."""
    channel, queue = rabbit.raw_queue(3)
    channel.call(amqp.TxSelect())
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="t"))
    equal([body for body, _ in deliveries(channel, 3)], [b"0", b"1", b"2"])
    channel.send(amqp.BasicAck(1))
    channel.send(amqp.BasicReject(2, requeue=True))
    channel.call(amqp.BasicCancel("t"))
    rollback(channel)
    equal(channel.ready(queue), 0)
    channel.send(amqp.BasicAck(1))
    channel.send(amqp.BasicReject(2, requeue=True))
    commit(channel)
    equal(taken(channel, queue, 1), [(b"1", True)])


@case("TX-03", "TX-08", "DLX-21")
def messages_are_committed_before_acknowledgements(rabbit: Rabbit) -> None:
    """A commit puts its messages into their queues first: what it requeues makes no queue too full for them."""
    arguments: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel, queue = transactional(rabbit, 1, arguments, fetched=1)
    channel.send(amqp.BasicReject(1, requeue=True))
    channel.publish(b"new", routing_key=queue)
    commit(channel)
    equal(taken(channel, queue, 2), [(b"0", True), (b"new", False)])


@case("TX-03", "TX-08")
def large_transactions(rabbit: Rabbit) -> None:
    """A transaction may hold many messages and acknowledgements."""
    channel, queue = transactional(rabbit)
    count = 500
    for number in range(count):
        channel.publish(b"%d" % number, routing_key=queue)
    commit(channel)
    channel.call(amqp.BasicConsume(queue=queue))
    for number in range(count):
        content = channel.message(amqp.BasicDeliver)
        equal(content.body, b"%d" % number)
        channel.send(amqp.BasicAck(fields(content).delivery_tag))
    commit(channel)
    channel.close()
    equal(channel.connection.channel(2).get(queue), None)

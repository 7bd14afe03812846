"""Messages that are published in a transaction (TX)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields
from hutch.conformance.transactional import (
    ENDS,
    bodies,
    commit,
    dead_letters_to,
    declare,
    rollback,
    taken,
    transactional,
)
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable


def _fanout(rabbit: Rabbit, channel: RawChannel) -> str:
    """A new exchange; its name."""
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type="fanout"))
    return exchange


@case("TX-03")
def messages_appear_at_the_commit(rabbit: Rabbit) -> None:
    """What is published is nowhere to be seen until the commit, on whatever channel; then it is there in its order."""
    channel, queue = transactional(rabbit)
    other = channel.connection.channel(2)
    for number in range(5):
        channel.publish(b"%d" % number, routing_key=queue)
    equal((channel.get(queue), other.get(queue)), (None, None))
    commit(channel)
    equal(bodies(other, queue, 5), [b"0", b"1", b"2", b"3", b"4"])


@case("TX-04")
def a_rollback_discards_messages(rabbit: Rabbit) -> None:
    """What was published before a rollback never appears; the channel stays transactional."""
    channel, queue = transactional(rabbit)
    channel.publish(b"discarded", routing_key=queue)
    rollback(channel)
    channel.publish(b"kept", routing_key=queue)
    equal(channel.get(queue), None)
    commit(channel)
    equal(bodies(channel, queue, 1), [b"kept"])
    equal(channel.get(queue), None)


@case("TX-03", "TX-01")
def selecting_again_keeps_the_transaction(rabbit: Rabbit) -> None:
    """Tx.select in the middle of a transaction neither ends nor forgets it."""
    channel, queue = transactional(rabbit)
    channel.publish(b"x", routing_key=queue)
    channel.call(amqp.TxSelect())
    equal(channel.get(queue), None)
    commit(channel)
    channel.expect_ready(queue, 1)


@case("TX-03", "TX-04")
def transactions_belong_to_their_channel(rabbit: Rabbit) -> None:
    """One channel's commit or rollback does nothing to what another has published; and one without is not affected."""
    channel, queue = transactional(rabbit)
    other, plain = channel.connection.channel(2), channel.connection.channel(3)
    other.call(amqp.TxSelect())
    channel.publish(b"a", routing_key=queue)
    other.publish(b"b", routing_key=queue)
    plain.publish(b"c", routing_key=queue)
    plain.expect_ready(queue, 1)
    rollback(other)
    commit(channel)
    equal(bodies(plain, queue, 2), [b"c", b"a"])
    commit(other)
    equal(plain.get(queue), None)


@case("TX-11")
def closing_discards_messages(rabbit: Rabbit) -> None:
    """What was published and not committed is discarded when channel or connection end, however they do."""
    watch = rabbit.raw().channel()
    for end in ENDS:
        channel, queue = transactional(rabbit, 1)
        channel.publish(b"x", routing_key=queue)
        equal(channel.got(queue).body, b"0")
        end(channel)
        equal(taken(watch, queue, 1), [(b"0", True)])
        equal(watch.get(queue), None)


@case("TX-06", "PUB-02")
def mandatory_messages_are_returned_at_the_commit(rabbit: Rabbit) -> None:
    """A mandatory message that no queue gets is returned at the commit, before deliveries and commit-ok."""
    channel, queue = transactional(rabbit)
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True))
    channel.publish(b"routed", routing_key=queue, mandatory=True)
    for number in (1, 2):
        channel.publish(b"%d" % number, routing_key="no-such-queue", mandatory=True)
    channel.publish(b"optional", routing_key="no-such-queue")
    channel.expect_nothing(queue)
    channel.send(amqp.TxCommit())
    for number in (1, 2):
        returned = channel.message(amqp.BasicReturn)
        equal(returned.method, amqp.BasicReturn(312, "NO_ROUTE", "", "no-such-queue"))
        equal(returned.body, b"%d" % number)
    equal(_delivered_and_committed(channel, 1), [b"routed"])


@case("TX-06", "TX-04")
def a_rollback_returns_nothing(rabbit: Rabbit) -> None:
    """A mandatory message that is rolled back is not returned."""
    channel, _ = transactional(rabbit)
    channel.publish(b"x", routing_key="no-such-queue", mandatory=True)
    rollback(channel)
    channel.expect_nothing()


@case("TX-14", "TX-03")
def consumers_get_what_is_committed(rabbit: Rabbit) -> None:
    """A consumer of the same channel gets what is committed, and nothing before."""
    channel, queue = transactional(rabbit)
    channel.call(amqp.BasicConsume(queue=queue, no_ack=True))
    for number in range(3):
        channel.publish(b"%d" % number, routing_key=queue)
    channel.expect_nothing(queue)
    channel.send(amqp.TxCommit())
    equal(_delivered_and_committed(channel, 3), [b"0", b"1", b"2"])


def _delivered_and_committed(channel: RawChannel, count: int) -> list[bytes]:
    """The bodies of so many deliveries, and commit-ok: it comes behind them as a rule, but 4.3 was seen to send it
    before.
    """
    items = [channel.read() for _ in range(count + 1)]
    equal([item for item in items if not isinstance(item, Content)], [amqp.TxCommitOk()])
    contents = [item for item in items if isinstance(item, Content)]
    equal([type(content.method) for content in contents], [amqp.BasicDeliver] * count)
    return [content.body for content in contents]


@case("TX-07", "EXCH-INTERNAL-01", "PUB-06", "PUB-08")
def publishing_what_cannot_be_published(rabbit: Rabbit) -> None:
    """A publish that is not permitted or not valid is refused at once, not at the commit; earlier publishes are
    discarded.
    """
    watch = rabbit.raw().channel()
    refused: list[tuple[str, dict[str, Any], int, str]] = [
        ("missing", {}, 404, f"no exchange 'missing' in vhost '{rabbit.vhost}'"),
        (
            "amq.rabbitmq.trace",
            {},
            403,
            f"cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '{rabbit.vhost}'",
        ),
        ("", {"expiration": "x"}, 406, "invalid expiration 'x': no_integer"),
        (
            "",
            {"user_id": "nobody"},
            406,
            f"user_id property set to 'nobody' but authenticated user was '{rabbit.userid}'",
        ),
        ("", {"headers": {"CC": "q"}}, 406, 'invalid message: {unacceptable_type_in_header,"CC",longstr}'),
    ]
    for exchange, properties, code, text in refused:
        channel, queue = transactional(rabbit)
        channel.publish(b"before", routing_key=queue)
        channel.publish(b"x", exchange, queue, **properties)
        channel.expect_close(code, text, (60, 40))
        channel.connection.channel(channel.number).expect_nothing()
        equal(watch.ready(queue), 0)


@case("TX-07", "PUB-04")
def publishing_immediate_in_a_transaction(rabbit: Rabbit) -> None:
    """The immediate flag is refused at once."""
    channel, queue = transactional(rabbit)
    channel.publish(b"x", routing_key=queue, immediate=True)
    channel.connection.expect_close(540, "immediate=true", (60, 40))


@case("TX-15")
def messages_are_routed_when_they_are_published(rabbit: Rabbit) -> None:
    """The bindings at the time of the publish count; that a binding or the exchange goes before the commit does not."""
    channel, queue = transactional(rabbit)
    kept, exchange, late = _fanout(rabbit, channel), _fanout(rabbit, channel), declare(rabbit, channel)
    for name in (kept, exchange):
        channel.call(amqp.QueueBind(queue=queue, exchange=name))
        channel.publish(name.encode(), name)
        channel.call(amqp.QueueBind(queue=late, exchange=name))
    channel.call(amqp.QueueUnbind(queue=queue, exchange=kept))
    channel.call(amqp.ExchangeDelete(exchange=exchange))
    commit(channel)
    equal(bodies(channel, queue, 2), [kept.encode(), exchange.encode()])
    equal(channel.get(late), None)


@case("TX-15", "EXCH-AE-01")
def alternate_exchanges_in_a_transaction(rabbit: Rabbit) -> None:
    """What no binding took at the time of the publish goes by the alternate exchange, though one would take it later;
    it is not returned.
    """
    channel, queue = transactional(rabbit)
    exchange, alternate, late = rabbit.name("x"), rabbit.name("x"), declare(rabbit, channel)
    channel.call(amqp.ExchangeDeclare(exchange=alternate, type="fanout"))
    arguments: FieldTable = {"alternate-exchange": alternate}
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type="direct", arguments=arguments))
    channel.call(amqp.QueueBind(queue=queue, exchange=alternate))
    channel.publish(b"x", exchange, "key", mandatory=True)
    channel.call(amqp.QueueBind(queue=late, exchange=exchange, routing_key="key"))
    channel.send(amqp.TxCommit())
    equal(channel.read(), amqp.TxCommitOk())
    equal(bodies(channel, queue, 1), [b"x"])
    equal(channel.get(late), None)


@case("TX-03", "PUB-19", "PUB-20")
def carbon_copies_in_a_transaction(rabbit: Rabbit) -> None:
    """CC and BCC count in a transaction; each queue gets the message once."""
    channel, queue = transactional(rabbit)
    copy, blind = declare(rabbit, channel), declare(rabbit, channel)
    channel.publish(b"x", routing_key=queue, headers={"CC": [copy, queue], "BCC": [blind]})
    equal([channel.ready(name) for name in (queue, copy, blind)], [0, 0, 0])
    commit(channel)
    for name in (queue, copy, blind):
        equal(bodies(channel, name, 1), [b"x"])
        equal(channel.get(name), None)


@case("TX-15", "EXCH-DEFAULT-05", profiles=["3.10"])
def a_queue_that_comes_before_the_commit(rabbit: Rabbit) -> None:
    """The default exchange looks for its queues at the commit: a queue that is declared after the publish gets the
    message, and it is not returned.
    """
    channel, queue = transactional(rabbit)
    name = rabbit.name()
    channel.publish(b"x", routing_key=name, mandatory=True, headers={"CC": [queue]})
    channel.call(amqp.QueueDeclare(queue=name))
    channel.call(amqp.QueueDelete(queue=queue))
    channel.send(amqp.TxCommit())
    equal(channel.read(), amqp.TxCommitOk())
    equal(bodies(channel, name, 1), [b"x"])


@case("TX-15", "EXCH-DEFAULT-05", profiles=["4.3"])
def a_queue_that_comes_too_late(rabbit: Rabbit) -> None:
    """The default exchange looks for its queues at the publish: a queue that is declared after it does not get the
    message.
    """
    channel, _ = transactional(rabbit)
    name = rabbit.name()
    channel.publish(b"x", routing_key=name, mandatory=True)
    channel.call(amqp.QueueDeclare(queue=name))
    channel.send(amqp.TxCommit())
    equal(channel.message(amqp.BasicReturn).body, b"x")
    equal(channel.read(), amqp.TxCommitOk())
    equal(channel.get(name), None)


@case("TX-15", profiles=["3.10"])
def committing_to_a_deleted_queue_loses_the_message(rabbit: Rabbit) -> None:
    """A queue that was deleted before the commit is left out; a mandatory message that no other gets is returned."""
    channel, queue = transactional(rabbit)
    gone, exchange = declare(rabbit, channel), _fanout(rabbit, channel)
    for name in (queue, gone):
        channel.call(amqp.QueueBind(queue=name, exchange=exchange))
    channel.publish(b"both", exchange, mandatory=True)
    channel.publish(b"one", routing_key=gone, mandatory=True)
    channel.call(amqp.QueueDelete(queue=gone))
    channel.send(amqp.TxCommit())
    returned = channel.message(amqp.BasicReturn)
    equal((returned.body, fields(returned).reply_code), (b"one", 312))
    equal(channel.read(), amqp.TxCommitOk())
    equal(bodies(channel, queue, 1), [b"both"])


@case("TX-15", profiles=["3.10"])
def committing_to_a_queue_declared_anew(rabbit: Rabbit) -> None:
    """A queue that was deleted and declared again before the commit gets the messages."""
    channel, queue = transactional(rabbit)
    channel.publish(b"x", routing_key=queue)
    channel.call(amqp.QueueDelete(queue=queue))
    channel.call(amqp.QueueDeclare(queue=queue))
    commit(channel)
    equal(bodies(channel, queue, 1), [b"x"])


@case("TX-15", profiles=["4.3"])
def committing_to_a_deleted_queue_fails(rabbit: Rabbit) -> None:
    """A commit to a queue that was deleted meanwhile closes the connection with 506. Messages before that one are in
    their queues, those behind are not, its other queues and its publisher get nothing, and nothing is acknowledged.
    """
    channel, queue = transactional(rabbit, 1, fetched=1)
    gone, exchange = declare(rabbit, channel), _fanout(rabbit, channel)
    channel.send(amqp.BasicAck(1))
    for name in (queue, gone):
        channel.call(amqp.QueueBind(queue=name, exchange=exchange))
    channel.publish(b"before", routing_key=queue)
    channel.publish(b"x", exchange, mandatory=True)
    channel.publish(b"behind", routing_key=queue)
    channel.call(amqp.QueueDelete(queue=gone))
    channel.send(amqp.TxCommit())
    close = channel.connection.expect(amqp.ConnectionClose)
    # Erlang breaks the text into lines; where depends on the lengths of the names.
    words = f'RESOURCE_ERROR-failedtodelivermessage:{{not_found,{{resource,<<"{rabbit.vhost}">>,queue,<<"{gone}">>}}}}'
    equal("".join(close.reply_text.split()), "".join(words.split()))
    equal((close.reply_code, close.class_id, close.method_id), (506, 90, 20))
    watch = rabbit.raw().channel()
    equal(taken(watch, queue, 2), [(b"0", True), (b"before", False)])


@case("TX-15", profiles=["4.3"])
def committing_to_another_queue_of_that_name_fails(rabbit: Rabbit) -> None:
    """A queue that was deleted and declared again before the commit does not get the messages: the channel is closed
    with 406. All else is done.
    """
    channel, queue = transactional(rabbit, 1, fetched=1)
    again = declare(rabbit, channel)
    channel.send(amqp.BasicAck(1))
    channel.publish(b"lost", routing_key=again)
    channel.publish(b"kept", routing_key=queue)
    channel.call(amqp.QueueDelete(queue=again))
    channel.call(amqp.QueueDeclare(queue=again))
    channel.send(amqp.TxCommit())
    channel.expect_close(406, "partial tx completion", (90, 20))
    after = channel.connection.channel(2)
    equal(taken(after, queue, 1), [(b"kept", False)])
    equal(after.get(again), None)


@case("TX-03", "CONFIRM-09", "DLX-21")
def committing_to_a_queue_that_refuses(rabbit: Rabbit) -> None:
    """Where a full queue with reject-publish refuses a message, the commit closes the channel with 406. What was taken
    stays, and what was acknowledged is.
    """
    channel, queue = transactional(rabbit, 1, fetched=1)
    full = declare(rabbit, channel, {"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.send(amqp.BasicAck(1))
    for number in (1, 2, 3):
        channel.publish(b"%d" % number, routing_key=full)
    channel.publish(b"4", routing_key=queue)
    channel.send(amqp.TxCommit())
    channel.expect_close(406, "partial tx completion", (90, 20))
    after = channel.connection.channel(2)
    equal(taken(after, queue, 1), [(b"4", False)])
    equal(taken(after, full, 1), [(b"1", False)])


@case("TX-03", "DLX-21")
def committing_to_a_queue_that_dead_letters_what_it_refuses(rabbit: Rabbit) -> None:
    """A commit also closes the channel with 406 if a full queue dead-letters the message that it refuses."""
    channel, dead = transactional(rabbit)
    full = declare(rabbit, channel, {"x-max-length": 0, "x-overflow": "reject-publish-dlx", **dead_letters_to(dead)})
    channel.publish(b"x", routing_key=full)
    channel.send(amqp.TxCommit())
    channel.expect_close(406, "partial tx completion", (90, 20))
    equal(bodies(channel.connection.channel(2), dead, 1), [b"x"])


@case("TX-03", "DLX-20")
def limits_hold_at_the_commit(rabbit: Rabbit) -> None:
    """A queue drops its head for what is committed, not for what is published."""
    channel, queue = transactional(rabbit, 1, {"x-max-length": 2})
    for number in (1, 2, 3):
        channel.publish(b"%d" % number, routing_key=queue)
    equal(channel.ready(queue), 1)
    commit(channel)
    equal(bodies(channel, queue, 2), [b"2", b"3"])


@case("TX-03", "TTL-01")
def messages_begin_to_age_at_the_commit(rabbit: Rabbit) -> None:
    """Time that a message spends in a transaction does not count towards its expiration."""
    channel, queue = transactional(rabbit)
    channel.publish(b"x", routing_key=queue, expiration="600")
    rabbit.advance(0.8)
    commit(channel)
    channel.expect_ready(queue, 1)
    rabbit.advance(0.8)
    equal(channel.get(queue), None)


@case("TX-03", "TTL-03", "DLX-01")
def messages_that_expire_at_once_are_committed(rabbit: Rabbit) -> None:
    """A message that its queue drops at once is dead-lettered at the commit, which succeeds."""
    channel, dead = transactional(rabbit)
    queue = declare(rabbit, channel, {"x-message-ttl": 0, **dead_letters_to(dead)})
    channel.publish(b"x", routing_key=queue)
    equal(channel.ready(dead), 0)
    commit(channel)
    equal(bodies(channel, dead, 1), [b"x"])

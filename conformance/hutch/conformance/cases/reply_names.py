"""The names that replies are sent to: malformed ones, as names of queues, in transactions and elsewhere (RPC)."""

from base64 import b64decode, b64encode

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import properties_of
from hutch.conformance.replies import PSEUDO, consume_replies, expect_reply, reply_name, requester
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable


def _no_queue(rabbit: Rabbit, name: str) -> str:
    return f"no queue '{name}' in vhost '{rabbit.vhost}'"


def _malformed(name: str) -> dict[str, str]:
    """Names made from a good one, by what is wrong with them."""
    process, key = name.removeprefix(f"{PSEUDO}.").split(".")
    raw = b64decode(process)
    foreign = b64encode(raw[:-13] + b"x" + raw[-12:]).decode()
    return {
        what: f"{PSEUDO}.{token}"
        for what, token in {
            "nothing": "",
            "no process, no key": "x",
            "no process": f"x.{key}",
            "an empty process": f".{key}",
            "half a process": f"{process[:5]}.{key}",
            "another node's process": f"{foreign}.{key}",
            "no key": process,
            "an empty key": f"{process}.",
            "another key": f"{process}.AAAA",
            "a longer key": f"{process}.{key}.x",
        }.items()
    }


@case("RPC-10")
def malformed_reply_names(rabbit: Rabbit) -> None:
    """A reply to the pseudo queue itself is unroutable. Of malformed names, 3.x cannot route those without a key, and
    crashes at others. For 4.x a name with a process of its own is a queue, which drops messages that nobody takes.
    """
    _, name = requester(rabbit)
    crashing = {"no process", "half a process", "another node's process"} if rabbit.profile == "3.10" else set()
    silent = {"an empty key", "another key", "a longer key"} if rabbit.profile == "4.3" else set()
    for what, malformed in {"the pseudo queue": PSEUDO, **_malformed(name)}.items():
        replier = rabbit.raw().channel()
        replier.call(amqp.ConfirmSelect())
        replier.publish(routing_key=malformed, mandatory=True)
        if what in crashing:
            replier.connection.expect_close(541, "", (0, 0))
            continue
        if what not in silent:
            equal(replier.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", "", malformed), what)
        equal(replier.expect(amqp.BasicAck), amqp.BasicAck(1), what)


@case("RPC-11")
def declaring_the_pseudo_queue(rabbit: Rabbit) -> None:
    """The pseudo queue is always there, with no messages and one consumer, however it is declared."""
    channel = rabbit.raw().channel()
    for declare in (
        amqp.QueueDeclare(queue=PSEUDO),
        amqp.QueueDeclare(queue=PSEUDO, passive=True),
        amqp.QueueDeclare(queue=f"{PSEUDO}\n", exclusive=True, durable=True, arguments={"x-max-length": "many"}),
    ):
        equal(channel.call(declare), amqp.QueueDeclareOk(PSEUDO, 0, 1))
    channel.send(amqp.QueueDeclare(queue=PSEUDO, nowait=True))
    channel.expect_nothing()


@case("RPC-12")
def declaring_a_reply_name(rabbit: Rabbit) -> None:
    """A name can be declared, from any connection and in any way, as long as its consumer is there."""
    channel, name = requester(rabbit)
    other = rabbit.raw().channel()
    for passive in (True, False):
        declare = amqp.QueueDeclare(queue=name, passive=passive, arguments={"x-max-length": "many"})
        equal(other.call(declare), amqp.QueueDeclareOk(name, 0, 1))
    channel.call(amqp.BasicCancel("replies"))
    other.send(amqp.QueueDeclare(queue=name))
    other.expect_close(404, _no_queue(rabbit, name), (50, 10))
    consume_replies(channel)
    name = reply_name(channel)
    channel.close()
    other = other.connection.channel()
    other.send(amqp.QueueDeclare(queue=name, passive=True, nowait=True))
    other.expect_close(404, _no_queue(rabbit, name), (50, 10))


@case("RPC-12")
def declaring_malformed_reply_names(rabbit: Rabbit) -> None:
    """A name with the pseudo queue's prefix that belongs to no consumer cannot be declared; some such names crash the
    connection.
    """
    _, name = requester(rabbit)
    crashing = rabbit.by_profile(
        {
            "3.10": {"no process", "half a process", "another node's process"},
            "4.3": {
                *("nothing", "no process, no key", "no process", "an empty process", "half a process"),
                *("another node's process", "no key", "a longer pseudo queue"),
            },
        }
    )
    for what, malformed in {"a longer pseudo queue": f"{PSEUDO}x", **_malformed(name)}.items():
        channel = rabbit.raw().channel()
        channel.send(amqp.QueueDeclare(queue=malformed))
        if what in crashing:
            channel.connection.expect_close(541, "", (0, 0))
        else:
            channel.expect_close(404, _no_queue(rabbit, malformed), (50, 10))


@case("RPC-13")
def the_pseudo_queue_is_no_queue(rabbit: Rabbit) -> None:
    """The pseudo queue cannot be got from, purged or bound; deleting it changes nothing."""
    connection = rabbit.raw()
    for method in (
        amqp.BasicGet(queue=PSEUDO),
        amqp.QueuePurge(queue=PSEUDO),
        amqp.QueueBind(queue=PSEUDO, exchange="amq.direct"),
        amqp.QueueBind(queue=f"{PSEUDO}x", exchange="amq.direct"),
        amqp.BasicConsume(queue=f"{PSEUDO}\r", no_ack=True),
        amqp.BasicConsume(queue=f"{PSEUDO}.x", no_ack=True),
    ):
        channel = connection.channel(1)
        channel.send(method)
        channel.expect_close(404, _no_queue(rabbit, method.queue), (method.CLASS_ID, method.METHOD_ID))
    channel = connection.channel(1)
    equal(channel.call(amqp.QueueUnbind(queue=PSEUDO, exchange="amq.direct")), amqp.QueueUnbindOk())
    for if_unused in (False, True):
        equal(channel.call(amqp.QueueDelete(queue=PSEUDO, if_unused=if_unused)), amqp.QueueDeleteOk(0))
    equal(channel.call(amqp.QueueDeclare(queue=PSEUDO)), amqp.QueueDeclareOk(PSEUDO, 0, 1))


@case("RPC-13", profiles=["3.10"])
def a_reply_name_is_no_queue(rabbit: Rabbit) -> None:
    """In 3.x a name that replies are sent to cannot be got from, purged, bound or consumed from; deleting it changes
    nothing.
    """
    own, name = requester(rabbit)
    connection = rabbit.raw()
    for method in (
        amqp.BasicGet(queue=name),
        amqp.QueuePurge(queue=name),
        amqp.QueueBind(queue=name, exchange="amq.direct"),
        amqp.BasicConsume(queue=name, no_ack=True),
    ):
        channel = connection.channel(1)
        channel.send(method)
        channel.expect_close(404, _no_queue(rabbit, name), (method.CLASS_ID, method.METHOD_ID))
    channel = connection.channel(1)
    equal(channel.call(amqp.QueueUnbind(queue=name, exchange="amq.direct")), amqp.QueueUnbindOk())
    equal(channel.call(amqp.QueueDelete(queue=name)), amqp.QueueDeleteOk(0))
    channel.publish(routing_key=name)
    expect_reply(own, name)


@case("RPC-13", profiles=["4.3"])
def a_reply_name_is_a_volatile_queue(rabbit: Rabbit) -> None:
    """In 4.x a name that replies are sent to is a queue that is always empty, cannot be got from or bound, and that its
    channel alone consumes from; deleting it changes nothing. So it is when its consumer has ended.
    """
    own, name = requester(rabbit)
    gone, dead = requester(rabbit)
    gone.call(amqp.BasicCancel("replies"))
    unbound = "cannot bind or unbind to a volatile (direct reply-to) queue"
    connection = rabbit.raw()
    for queue in (name, dead, f"{PSEUDO}.x"):
        for exchange in ("amq.direct", "missing", ""):
            channel = connection.channel(1)
            channel.send(amqp.QueueBind(queue=queue, exchange=exchange))
            channel.expect_close(403, unbound, (50, 20))
        channel = connection.channel(1)
        channel.send(amqp.QueueUnbind(queue=queue, exchange="amq.direct"))
        channel.expect_close(403, unbound, (50, 50))
    for queue in (name, dead):
        where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
        for no_ack in (True, False):
            channel = connection.channel(1)
            channel.send(amqp.BasicConsume(queue=queue, no_ack=no_ack))
            channel.expect_close(406, f"only creator channel may consume from {where}", (60, 20))
        channel = connection.channel(1)
        equal(channel.call(amqp.QueuePurge(queue=queue)), amqp.QueuePurgeOk(0))
        equal(channel.call(amqp.QueueDelete(queue=queue, if_unused=True)), amqp.QueueDeleteOk(0))
        channel.close()
        getter = rabbit.raw().channel()
        getter.send(amqp.BasicGet(queue=queue))
        getter.connection.expect_close(540, f"basic.get not supported by volatile {where}", (60, 70))
    channel = connection.channel(1)
    channel.publish(routing_key=name)
    expect_reply(own, name)
    own.send(amqp.BasicConsume(queue=name, no_ack=True))
    text = f"multiple consumers are unsupported for queue '{name}' in vhost '{rabbit.vhost}'"
    own.expect_close(406, text, (60, 20))


@case("RPC-06", "TX-03", "TX-08")
def replies_in_a_transaction(rabbit: Rabbit) -> None:
    """Replies on a transactional channel: 3.x sends them at once, even if it is rolled back, and returns mandatory ones
    at the commit; 4.x sends them at the commit.
    """
    channel, name = requester(rabbit)
    replier = rabbit.raw().channel()
    replier.call(amqp.TxSelect())
    for end, sent in ((amqp.TxRollback(), rabbit.profile == "3.10"), (amqp.TxCommit(), True)):
        replier.publish(b"x", routing_key=name, mandatory=True)
        if rabbit.profile == "3.10":
            expect_reply(channel, name, b"x")
        replier.call(amqp.ChannelFlow(active=True))
        channel.expect_nothing()
        replier.send(end)
        if rabbit.profile == "3.10" and isinstance(end, amqp.TxCommit):
            equal(replier.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", "", name))
        equal(replier.read(), amqp.TxCommitOk() if isinstance(end, amqp.TxCommit) else amqp.TxRollbackOk())
        if sent and rabbit.profile == "4.3":
            expect_reply(channel, name, b"x")
        channel.expect_nothing()


@case("RPC-09", "TX-15")
def a_reply_consumer_that_ends_before_the_commit(rabbit: Rabbit) -> None:
    """A transaction commits although the consumer of a reply in it is gone by then."""
    channel, name = requester(rabbit)
    replier, queue = rabbit.raw_queue()
    replier.call(amqp.TxSelect())
    for key in (name, queue):
        replier.publish(routing_key=key)
    replier.call(amqp.ChannelFlow(active=True))
    channel.close()
    equal(replier.call(amqp.TxCommit()), amqp.TxCommitOk())
    replier.got(queue)


@case("RPC-05", "TX-03")
def requests_in_a_transaction(rabbit: Rabbit) -> None:
    """The name stands in requests of a transaction, too."""
    channel, name = requester(rabbit)
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.TxSelect())
    channel.publish(routing_key=queue, reply_to=PSEUDO)
    channel.call(amqp.TxCommit())
    equal(properties_of(channel.got(queue))["reply_to"], name)


@case("RPC-06", "DLX-01")
def replies_that_are_dead_letters(rabbit: Rabbit) -> None:
    """A queue may dead-letter into a name that replies are sent to."""
    channel, name = requester(rabbit)
    queue = rabbit.name()
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": name, "x-message-ttl": 0}
    channel.call(amqp.QueueDeclare(queue=queue, arguments=arguments))
    channel.publish(b"x", routing_key=queue)
    headers = properties_of(expect_reply(channel, name, b"x"))["headers"]
    true(isinstance(headers, dict) and headers["x-first-death-queue"] == queue, f"other headers: {headers!r}")


@case("RPC-06", "RPC-12")
def replies_from_another_virtual_host(rabbit: Rabbit) -> None:
    """A reply from another virtual host arrives in 3.x; 4.x drops it, though it is routed, and knows no such queue."""
    channel, name = requester(rabbit)
    vhost = rabbit.admin.add_vhost()
    replier = rabbit.raw(virtual_host=vhost).channel()
    replier.call(amqp.ConfirmSelect())
    replier.publish(b"x", routing_key=name, mandatory=True)
    if rabbit.profile == "3.10":
        replier.message(amqp.BasicReturn)
        equal(replier.expect(amqp.BasicAck), amqp.BasicAck(1))
        expect_reply(channel, name, b"x")
        equal(replier.call(amqp.QueueDeclare(queue=name)), amqp.QueueDeclareOk(name, 0, 1))
    else:
        equal(replier.expect(amqp.BasicAck), amqp.BasicAck(1))
        channel.expect_nothing()
        replier.send(amqp.QueueDeclare(queue=name))
        replier.expect_close(404, f"no queue '{name}' in vhost '{vhost}'", (50, 10))

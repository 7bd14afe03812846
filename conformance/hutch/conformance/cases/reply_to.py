"""Direct reply-to: what is sent to a name on the default exchange comes to the channel that has the name (RPC)."""

import re

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.plugins import declare
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import delivery_tag, fields, properties_of
from hutch.conformance.replies import PSEUDO, consume_replies, expect_reply, reply_name, requester
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable

_NAME = re.compile(r"amq\.rabbitmq\.reply-to\.g1h2[A-Za-z0-9+/]+=*\.[A-Za-z0-9+/]{22}==")


@case("RPC-01", "RPC-03")
def who_cannot_consume_replies(rabbit: Rabbit) -> None:
    """A reply consumer that would acknowledge is refused, and so is a second one of the channel."""
    connection = rabbit.raw()
    channel = connection.channel(1)
    channel.send(amqp.BasicConsume(queue=PSEUDO))
    channel.expect_close(406, "reply consumer cannot acknowledge", (60, 20))
    for no_ack, text in ((True, "reply consumer already set"), (False, "reply consumer cannot acknowledge")):
        channel = connection.channel(1)
        consume_replies(channel)
        channel.send(amqp.BasicConsume(queue=PSEUDO, no_ack=no_ack))
        channel.expect_close(406, text, (60, 20))


@case("RPC-02", "RPC-03")
def consuming_replies(rabbit: Rabbit) -> None:
    """A reply consumer is given a tag unless it brings one; exclusive, no-local and arguments do not matter; once it is
    cancelled there may be another.
    """
    connection = rabbit.raw()
    channel = connection.channel(1)
    true(re.fullmatch(r"amq\.ctag-[A-Za-z0-9_-]{22}", consume_replies(channel)), "a tag of another form")
    channel = connection.channel(2)
    odd: FieldTable = {"x-priority": "high", "x-stream-offset": 1}
    consume = amqp.BasicConsume(0, PSEUDO, "t", no_local=True, no_ack=True, exclusive=True, arguments=odd)
    equal(channel.call(consume), amqp.BasicConsumeOk("t"))
    equal(channel.call(amqp.BasicCancel("t")), amqp.BasicCancelOk("t"))
    channel.send(amqp.BasicConsume(queue=PSEUDO, consumer_tag="u", no_ack=True, nowait=True))
    channel.expect_nothing()
    channel.send(amqp.BasicCancel("u", nowait=True))
    channel.call(amqp.QueueDeclare(queue=PSEUDO))
    equal(channel.call(amqp.BasicConsume(queue="", consumer_tag="v", no_ack=True)), amqp.BasicConsumeOk("v"))


@case("RPC-02", "CONSUME-03", "CONSUME-17")
def tags_of_reply_consumers(rabbit: Rabbit) -> None:
    """A reply consumer may not take the tag of another consumer, but the other way round it is allowed: then the first
    cancellation ends the reply consumer, the second the other.
    """
    channel, name = requester(rabbit)
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="replies"))
    channel.call(amqp.BasicCancel("replies"))
    channel.publish(routing_key=name)
    channel.publish(b"x", routing_key=queue)
    equal(channel.message(amqp.BasicDeliver).body, b"x")
    channel.call(amqp.BasicCancel("replies"))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="t"))
    for no_ack in (True, False):
        other = rabbit.raw().channel()
        other.call(amqp.BasicConsume(queue=queue, consumer_tag="t"))
        other.send(amqp.BasicConsume(queue=PSEUDO, consumer_tag="t", no_ack=no_ack))
        other.connection.expect_close(530, "attempt to reuse consumer tag 't'", (60, 20))


@case("RPC-04", "RPC-14")
def a_request_without_a_reply_consumer(rabbit: Rabbit) -> None:
    """A request on a channel without a reply consumer is refused as soon as the exchange is found; other properties are
    not checked.
    """
    connection = rabbit.raw()
    channel = connection.channel(1)
    channel.publish(exchange="missing", reply_to=PSEUDO)
    channel.expect_close(404, f"no exchange 'missing' in vhost '{rabbit.vhost}'", (60, 40))
    elsewhere = connection.channel(2)
    consume_replies(elsewhere)
    for properties in ({}, {"expiration": "soon"}, {"user_id": "nobody"}, {"headers": {"CC": "x"}}):
        for exchange in ("", "amq.fanout"):
            channel = connection.channel(1)
            channel.publish(exchange=exchange, reply_to=PSEUDO, **properties)
            channel.expect_close(406, "fast reply consumer does not exist", (60, 40))
    channel = connection.channel(1)
    consume_replies(channel, "t")
    channel.call(amqp.BasicCancel("t"))
    channel.call(amqp.TxSelect())
    channel.publish(reply_to=PSEUDO)
    channel.expect_close(406, "fast reply consumer does not exist", (60, 40))


@case("RPC-05", "RPC-14")
def the_name_in_requests(rabbit: Rabbit) -> None:
    """A request arrives with a name in place of the pseudo queue's, whatever the exchange, its other properties as they
    were. The name is the reply consumer's: the same in all requests, another for each consumer.
    """
    connection = rabbit.raw()
    channel, queue = connection.channel(1), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    exchanges = [declare(rabbit, channel, type_) for type_ in ("fanout", "topic")]
    for exchange in exchanges:
        channel.call(amqp.QueueBind(queue=queue, exchange=exchange, routing_key="#"))
    consume_replies(channel, "t")
    names = {reply_name(channel)}
    for exchange in ("", *exchanges):
        headers = {"a": 1, "BCC": [rabbit.name("b")], "CC": [queue]}
        key = rabbit.name("k")
        channel.publish(
            b"x", exchange, key, content_type="text/plain", headers=headers, reply_to=PSEUDO, correlation_id="7"
        )
        properties = dict(properties_of(channel.got(queue, no_ack=True)))
        names.add(str(properties.pop("reply_to")))
        kept = {"content_type": "text/plain", "headers": {"a": 1, "CC": [queue]}, "correlation_id": "7"}
        equal(properties, kept, "the other properties")
    equal(len(names), 1, "names of one consumer")
    other = connection.channel(2)
    consume_replies(other)
    names.add(reply_name(other))
    channel.call(amqp.BasicCancel("t"))
    consume_replies(channel)
    names.add(reply_name(channel))
    equal(len(names), 3, "names of three consumers")
    true(all(map(_NAME.fullmatch, names)), f"names of another form: {names!r}")
    channel.publish(routing_key=queue, mandatory=True, reply_to=f"{PSEUDO}.x")
    equal(properties_of(channel.got(queue))["reply_to"], f"{PSEUDO}.x", "a longer name")


@case("RPC-06", "RPC-08")
def replies_from_another_connection(rabbit: Rabbit) -> None:
    """Replies come from anywhere, as many as are sent, with their properties; whether they would have expired, or the
    channel's prefetch is used up, does not matter.
    """
    channel, name = requester(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=1))
    replier = rabbit.raw().channel()
    for number in range(3):
        replier.publish(b"%d" % number, routing_key=name, headers={"a": True}, expiration="0", correlation_id="7")
    for number in range(3):
        content = expect_reply(channel, name, b"%d" % number)
        equal(properties_of(content), {"headers": {"a": True}, "correlation_id": "7", "expiration": "0"})
    channel.expect_nothing()


@case("RPC-06", "CONSUME-16")
def delivery_tags_of_replies(rabbit: Rabbit) -> None:
    """A reply has the channel's next delivery tag, which 4.x then has used up and 3.x has not; none can be
    acknowledged.
    """
    channel, name = requester(rabbit)
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.BasicConsume(queue=queue))
    tags = []
    for key in (name, name, queue, name, queue):
        channel.publish(routing_key=key)
        tags.append(delivery_tag(channel.message(amqp.BasicDeliver)))
    equal(tags, rabbit.by_profile({"3.10": [1, 1, 1, 2, 2], "4.3": [1, 2, 3, 4, 5]}), "delivery tags")
    tag = rabbit.by_profile({"3.10": 3, "4.3": 4})
    channel.send(amqp.BasicAck(tag))
    channel.expect_close(406, f"unknown delivery tag {tag}", (60, 80))


@case("RPC-06", "EXCH-DEFAULT-05")
def replies_by_way_of_other_exchanges(rabbit: Rabbit) -> None:
    """Only the default exchange routes to reply names, and not as an alternate exchange."""
    channel, name = requester(rabbit)
    replier = rabbit.raw().channel()
    exchange = declare(rabbit, replier, "fanout", {"alternate-exchange": ""})
    for wrong in (declare(rabbit, replier, "direct"), declare(rabbit, replier, "fanout"), exchange):
        replier.publish(exchange=wrong, routing_key=name, mandatory=True)
        equal(replier.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", wrong, name))
    channel.expect_nothing()


@case("RPC-06", "PUB-19", "PUB-20")
def replies_that_are_copied(rabbit: Rabbit) -> None:
    """The names of replies may stand among others in CC and BCC; each consumer gets one copy."""
    channel, name = requester(rabbit)
    other, other_name = requester(rabbit)
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    replier = rabbit.raw().channel()
    replier.publish(routing_key=name, headers={"CC": [queue, name], "BCC": [other_name, name]})
    expect_reply(channel, name)
    equal(fields(other.message(amqp.BasicDeliver)).routing_key, name, "the copy's routing key")
    equal(fields(channel.got(queue)).routing_key, name, "the queue's copy's routing key")
    replier.publish(routing_key=queue, headers={"CC": [name]})
    equal(fields(channel.message(amqp.BasicDeliver)).routing_key, queue, "the routing key of a reply by CC")
    channel.expect_nothing()
    other.expect_nothing()


@case("RPC-07")
def mandatory_replies(rabbit: Rabbit) -> None:
    """A reply is confirmed, and a mandatory one returned as well by 3.x, although it is delivered; the channel's own
    replies come to it behind that.
    """
    channel, name = requester(rabbit)
    replier = rabbit.raw().channel()
    for sender in (replier, channel):
        sender.call(amqp.ConfirmSelect())
        for tag, mandatory in enumerate((False, True), 1):
            sender.publish(routing_key=name, mandatory=mandatory)
            if mandatory and rabbit.profile == "3.10":
                equal(sender.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", "", name))
            equal(sender.expect(amqp.BasicAck), amqp.BasicAck(tag))
            expect_reply(channel, name)


@case("RPC-09")
def replies_that_come_too_late(rabbit: Rabbit) -> None:
    """Replies to a consumer that was cancelled, or whose channel or connection has ended, are confirmed and dropped,
    even if the channel consumes replies again; 3.x returns those that are mandatory.
    """
    replier = rabbit.raw().channel()
    replier.call(amqp.ConfirmSelect())

    def expect_dropped(tag: int, name: str) -> None:
        replier.publish(routing_key=name, mandatory=True)
        if rabbit.profile == "3.10":
            equal(replier.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", "", name))
        equal(replier.expect(amqp.BasicAck), amqp.BasicAck(tag))

    channel, name = requester(rabbit)
    channel.call(amqp.BasicCancel("replies"))
    expect_dropped(1, name)
    consume_replies(channel, "replies")
    expect_dropped(2, name)
    channel.expect_nothing()
    name = reply_name(channel)
    channel.close()
    expect_dropped(3, name)
    channel, name = requester(rabbit)
    channel.connection.send_method(amqp.ConnectionClose(200))
    channel.connection.expect(amqp.ConnectionCloseOk)
    expect_dropped(4, name)

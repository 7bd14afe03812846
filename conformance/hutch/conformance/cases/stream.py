"""Streams: publishing to them and reading them (STREAM)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import fields
from hutch.conformance.streams import FIRST, bodies, declare, offset_of, publish, read, reader, stream, take
from hutch.wire import methods as amqp


@case("STREAM-01", "CONFIRM-05")
def publishing_to_a_stream(rabbit: Rabbit) -> None:
    """What is published to a stream is confirmed; a mandatory message that gets into one is not returned."""
    channel, queue = stream(rabbit)
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type="topic", durable=True))
    channel.call(amqp.QueueBind(queue=queue, exchange=exchange, routing_key="a.*"))
    channel.publish(b"one", exchange, "a.b", mandatory=True)
    equal(channel.read(), amqp.BasicAck(1, False))
    publish(channel, queue, b"two")
    (one, two) = take(reader(rabbit, queue), 2)
    equal((one.body, fields(one).exchange, fields(one).routing_key), (b"one", exchange, "a.b"))
    equal((two.body, fields(two).exchange, fields(two).routing_key), (b"two", "", queue))


@case("STREAM-01")
def publishing_to_several_queues_and_streams(rabbit: Rabbit) -> None:
    """A message gets into all streams and queues that it is routed to, under its first routing key."""
    channel, first = stream(rabbit)
    second, classic = rabbit.name(), rabbit.name()
    declare(channel, second)
    channel.call(amqp.QueueDeclare(queue=classic))
    publish(channel, first, b"m", headers={"CC": [second], "BCC": [classic]})
    for queue in (first, second):
        (content,) = take(reader(rabbit, queue))
        equal((content.body, fields(content).routing_key), (b"m", first))
    equal(channel.got(classic).body, b"m")


@case("STREAM-02", "QUEUE-DELETE-08")
def counting_messages(rabbit: Rabbit) -> None:
    """A stream comes to tell how many messages it has, which readers do not change; consumers, and what is deleted with
    it, count as none.
    """
    channel, queue = stream(rabbit, 3)
    consumer = reader(rabbit, queue)
    bodies(consumer, 3)
    consumer.call(amqp.BasicQos(prefetch_count=100))
    channel.expect_ready(queue, 3)
    equal(channel.call(amqp.QueueDeclare(queue=queue, passive=True)), amqp.QueueDeclareOk(queue, 3, 0))
    equal(channel.call(amqp.QueueDelete(queue=queue, if_unused=True, if_empty=True)), amqp.QueueDeleteOk(0))
    equal(consumer.read(), amqp.BasicCancel("reader", True))


@case("STREAM-03", "QOS-11")
def a_prefetch_is_required(rabbit: Rabbit) -> None:
    """A consumer without a prefetch is refused, whatever else may be wrong with it."""
    channel, queue = stream(rabbit)
    name = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    text = rabbit.by_profile({"3.10": f"for '{name}'", "4.3": f"for stream {name}"})
    for number, no_ack in enumerate((False, True), 2):
        consumer = channel.connection.channel(number)
        consumer.send(amqp.BasicConsume(queue=queue, no_ack=no_ack))
        consumer.expect_close(406, f"consumer prefetch count is not set {text}", (60, 20))


@case("STREAM-14", "STREAM-03", profiles=["3.10"])
def a_global_prefetch_does_not_do(rabbit: Rabbit) -> None:
    """In 3.x a global prefetch is not enough for a stream, and beside a consumer's own prefetch it closes the
    connection.
    """
    channel, queue = stream(rabbit, 1)
    channel.call(amqp.BasicQos(prefetch_count=3, global_=True))
    channel.send(amqp.BasicConsume(queue=queue))
    name = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    channel.expect_close(406, f"consumer prefetch count is not set for '{name}'", (60, 20))
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicQos(prefetch_count=3))
    channel.call(amqp.BasicQos(prefetch_count=3, global_=True))
    channel.send(amqp.BasicConsume(queue=queue))
    channel.connection.expect_close(540, f"{name} does not support global qos", (60, 20))


@case("STREAM-14", profiles=["3.10"])
def a_global_prefetch_that_comes_later(rabbit: Rabbit) -> None:
    """In 3.x a global prefetch that is set beside a stream's consumer, or undone by one of its own, does not
    limit it.
    """
    channel, queue = stream(rabbit, 1)
    consumer = rabbit.raw().channel()
    consumer.call(amqp.BasicQos(prefetch_count=1, global_=True))
    consumer.call(amqp.BasicQos(prefetch_count=5))
    consumer.call(amqp.BasicConsume(queue=queue, arguments=dict(FIRST)))
    consumer.call(amqp.BasicQos(prefetch_count=1, global_=True))
    for number in (1, 2):
        publish(channel, queue, b"%d" % number)
    equal(bodies(consumer, 3), [b"0", b"1", b"2"])


@case("STREAM-14", profiles=["4.3"])
def a_global_prefetch_does(rabbit: Rabbit) -> None:
    """In 4.x a global prefetch counts as the consumer's own."""
    _, queue = stream(rabbit, 3)
    consumer = rabbit.raw().channel()
    consumer.call(amqp.BasicQos(prefetch_count=2, global_=True))
    consumer.call(amqp.BasicConsume(queue=queue, arguments=dict(FIRST)))
    equal(bodies(consumer, 2), [b"0", b"1"])
    consumer.expect_nothing()


@case("STREAM-04")
def acknowledging_is_required(rabbit: Rabbit) -> None:
    """A consumer that does not acknowledge closes the connection."""
    channel, queue = stream(rabbit)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.send(amqp.BasicConsume(queue=queue, no_ack=True))
    kind = rabbit.by_profile({"3.10": "stream queues", "4.3": "stream"})
    where = f"{kind} queue '{queue}' in vhost '{rabbit.vhost}'"
    channel.connection.expect_close(540, f"automatic acknowledgement not supported by {where}", (60, 20))


@case("STREAM-09", "STREAM-10")
def reading_a_stream(rabbit: Rabbit) -> None:
    """Messages come in order, with their offsets, never redelivered; reading and acknowledging take none away."""
    _, queue = stream(rabbit, 3)
    for _ in range(2):
        consumer = reader(rabbit, queue)
        got = take(consumer, 3)
        equal([content.body for content in got], [b"0", b"1", b"2"])
        equal([offset_of(content) for content in got], [0, 1, 2])
        wanted = [amqp.BasicDeliver("reader", tag, False, "", queue) for tag in (1, 2, 3)]
        equal([content.method for content in got], wanted)
        consumer.send(amqp.BasicAck(2, multiple=True))
        consumer.close()


@case("STREAM-09", "CHAN-11")
def nothing_is_redelivered(rabbit: Rabbit) -> None:
    """Messages that were not acknowledged when a channel ends are not redelivered: a new reader begins at its own
    offset.
    """
    channel, queue = stream(rabbit, 2)
    consumer = reader(rabbit, queue)
    take(consumer, 2)
    consumer.close()
    consumer = consumer.connection.channel()
    consumer.call(amqp.BasicQos(prefetch_count=10))
    consumer.call(amqp.BasicConsume(queue=queue, consumer_tag="next"))
    publish(channel, queue, b"2")
    (content,) = take(consumer)
    equal((content.method, content.body), (amqp.BasicDeliver("next", 1, False, "", queue), b"2"))


@case("STREAM-10")
def acknowledging_makes_room_for_more(rabbit: Rabbit) -> None:
    """Each message that is acknowledged makes room in the prefetch for one, in whatever order."""
    channel, queue = stream(rabbit, 6)
    consumer = reader(rabbit, queue, prefetch=3)
    equal(bodies(consumer, 3), [b"0", b"1", b"2"])
    consumer.expect_nothing()
    consumer.send(amqp.BasicAck(2))
    equal(bodies(consumer), [b"3"])
    consumer.expect_nothing()
    consumer.send(amqp.BasicAck(3, multiple=True))
    equal(bodies(consumer, 2), [b"4", b"5"])
    consumer.send(amqp.BasicAck(0, multiple=True))
    for number in range(6, 10):
        publish(channel, queue, b"%d" % number)
    equal(bodies(consumer, 3), [b"6", b"7", b"8"])
    consumer.expect_nothing()
    consumer.send(amqp.BasicAck(77))
    consumer.expect_close(406, "unknown delivery tag 77", (60, 80))


@case("STREAM-10", "QOS-02")
def prefetches_of_several_readers(rabbit: Rabbit) -> None:
    """The readers of a channel have a prefetch each, and each gets all messages, the one with the last tag first."""
    channel, queue = stream(rabbit)
    consumer = rabbit.raw().channel()
    for tag, prefetch in (("a", 3), ("c", 1), ("b", 2)):
        consumer.call(amqp.BasicQos(prefetch_count=prefetch))
        consumer.call(amqp.BasicConsume(queue=queue, consumer_tag=tag))
    publish(channel, queue, b"0")
    equal([(fields(it).consumer_tag, it.body) for it in take(consumer, 3)], [("c", b"0"), ("b", b"0"), ("a", b"0")])
    publish(channel, queue, b"1")
    equal([(fields(it).consumer_tag, it.body) for it in take(consumer, 2)], [("b", b"1"), ("a", b"1")])
    publish(channel, queue, b"2")
    equal([(fields(it).consumer_tag, it.body) for it in take(consumer)], [("a", b"2")])
    consumer.send(amqp.BasicAck(1))
    equal([(fields(it).consumer_tag, it.body) for it in take(consumer)], [("c", b"1")])
    consumer.expect_nothing()


@case("STREAM-10", "ACK-02")
def acknowledging_for_several_readers(rabbit: Rabbit) -> None:
    """What is acknowledged with multiple makes room for one reader after the other, in the order of their tags."""
    _, queue = stream(rabbit, 4)
    consumer = rabbit.raw().channel()
    for tag, prefetch in (("b", 2), ("c", 1), ("a", 1)):
        consumer.call(amqp.BasicQos(prefetch_count=prefetch))
        consumer.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments=dict(FIRST)))
        take(consumer, prefetch)
    consumer.send(amqp.BasicAck(0, multiple=True))
    wanted = [("a", b"1"), ("b", b"2"), ("b", b"3"), ("c", b"1")]
    equal([(fields(it).consumer_tag, it.body) for it in take(consumer, 4)], wanted)
    consumer.expect_nothing()


@case("STREAM-11", profiles=["3.10"])
def refusing_is_not_implemented(rabbit: Rabbit) -> None:
    """In 3.x basic.nack and basic.reject close the connection, be they to requeue or not."""
    _, queue = stream(rabbit, 1)
    where = f"stream queues queue '{queue}' in vhost '{rabbit.vhost}'"
    text = f"basic.nack and basic.reject not supported by {where}"
    for requeue in (False, True):
        for refusal in (amqp.BasicNack(1, False, requeue), amqp.BasicReject(1, requeue)):
            consumer = reader(rabbit, queue)
            take(consumer)
            consumer.send(refusal)
            consumer.connection.expect_close(540, text, (60, refusal.METHOD_ID))


@case("STREAM-11", profiles=["4.3"])
def refusing_is_acknowledging(rabbit: Rabbit) -> None:
    """In 4.x basic.nack and basic.reject do what basic.ack does: nothing comes back, be it to be requeued or not."""
    _, queue = stream(rabbit, 7)
    consumer = reader(rabbit, queue, prefetch=2)
    equal(bodies(consumer, 2), [b"0", b"1"])
    for tag, requeue in ((1, True), (2, False)):
        consumer.send(amqp.BasicReject(tag, requeue))
        equal(bodies(consumer), [b"%d" % (tag + 1)])
    consumer.send(amqp.BasicNack(4, multiple=True, requeue=True))
    equal(bodies(consumer, 2), [b"4", b"5"])
    consumer.send(amqp.BasicNack(5, multiple=False, requeue=False))
    equal(bodies(consumer), [b"6"])
    consumer.expect_nothing()


@case("STREAM-11", profiles=["3.10"])
def recovering_is_an_internal_error(rabbit: Rabbit) -> None:
    """In 3.x basic.recover with deliveries of a stream closes the connection."""
    _, queue = stream(rabbit, 1)
    for recover in (amqp.BasicRecover(requeue=True), amqp.BasicRecoverAsync(requeue=True)):
        consumer = reader(rabbit, queue)
        take(consumer)
        consumer.send(recover)
        consumer.connection.expect_close(541, "", (0, 0))


@case("STREAM-11", profiles=["4.3"])
def recovering_is_acknowledging(rabbit: Rabbit) -> None:
    """In 4.x basic.recover makes room for the next messages, which come before recover-ok."""
    _, queue = stream(rabbit, 6)
    consumer = reader(rabbit, queue, prefetch=2)
    take(consumer, 2)
    consumer.send(amqp.BasicRecover(requeue=True))
    equal(bodies(consumer, 2), [b"2", b"3"])
    equal(consumer.read(), amqp.BasicRecoverOk())
    consumer.send(amqp.BasicRecoverAsync(requeue=True))
    equal(bodies(consumer, 2), [b"4", b"5"])
    consumer.expect_nothing()


@case("STREAM-12", "GET-06", "QUEUE-PURGE-04")
def getting_and_purging_are_not_implemented(rabbit: Rabbit) -> None:
    """Basic.get and queue.purge close the connection, nowait too."""
    _, queue = stream(rabbit, 1)
    for method, name in (
        (amqp.BasicGet(queue=queue), "basic.get"),
        (amqp.BasicGet(queue=queue, no_ack=True), "basic.get"),
        (amqp.QueuePurge(queue=queue), "queue.purge"),
        (amqp.QueuePurge(queue=queue, nowait=True), "queue.purge"),
    ):
        channel = rabbit.raw().channel()
        channel.send(method)
        text = f"{name} not supported by stream queues queue '{queue}' in vhost '{rabbit.vhost}'"
        channel.connection.expect_close(540, text, (method.CLASS_ID, method.METHOD_ID))
    equal(read(rabbit, queue, 1), [b"0"])


@case("STREAM-15", "QUEUE-DELETE-08", "QUEUE-DELETE-09", "CONSUME-19")
def deleting_a_stream_that_is_read(rabbit: Rabbit) -> None:
    """A stream is deleted whatever if-unused and if-empty say; its consumers are told, and may still acknowledge."""
    channel, queue = stream(rabbit, 2)
    consumer = reader(rabbit, queue)
    take(consumer, 2)
    delete = amqp.QueueDelete(queue=queue, if_unused=True, if_empty=True)
    equal(channel.call(delete), amqp.QueueDeleteOk(0))
    equal(consumer.read(), amqp.BasicCancel("reader", True))
    consumer.send(amqp.BasicAck(1))
    consumer.expect_nothing()
    consumer.send(amqp.BasicAck(1))
    consumer.expect_close(406, "unknown delivery tag 1", (60, 80))
    equal(rabbit.has_queue(queue), False)


@case("STREAM-15")
def a_new_stream_of_the_same_name(rabbit: Rabbit) -> None:
    """A stream that is declared again after it was deleted begins anew."""
    channel, queue = stream(rabbit, 2)
    channel.call(amqp.QueueDelete(queue=queue))
    declare(channel, queue)
    publish(channel, queue, b"new")
    (content,) = take(reader(rabbit, queue))
    equal((content.body, offset_of(content)), (b"new", 0))


@case("CONSUME-12")
def exclusive_readers(rabbit: Rabbit) -> None:
    """A reader that asks to be exclusive is not."""
    _, queue = stream(rabbit, 1)
    channel = rabbit.raw().channel()
    channel.call(amqp.BasicQos(prefetch_count=10))
    for tag, exclusive in (("a", True), ("b", False), ("c", True)):
        channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, exclusive=exclusive, arguments=dict(FIRST)))
        equal([fields(content).consumer_tag for content in take(channel)], [tag])


@case("CONSUME-17", "CONSUME-18")
def cancelling_a_reader(rabbit: Rabbit) -> None:
    """A reader that was cancelled gets nothing more, and may still acknowledge; another begins where it says."""
    channel, queue = stream(rabbit, 4)
    consumer = reader(rabbit, queue, prefetch=2)
    equal(bodies(consumer, 2), [b"0", b"1"])
    equal(consumer.call(amqp.BasicCancel("reader")), amqp.BasicCancelOk("reader"))
    consumer.send(amqp.BasicAck(2, multiple=True))
    publish(channel, queue, b"4")
    consumer.expect_nothing()
    consumer.call(amqp.BasicConsume(queue=queue, consumer_tag="reader", arguments={"x-stream-offset": 3}))
    equal(bodies(consumer, 2), [b"3", b"4"])


@case("STREAM-10", "CONSUME-04")
def a_tag_that_is_used_again(rabbit: Rabbit) -> None:
    """Acknowledging a message makes room for the reader that has its consumer tag now."""
    _, queue = stream(rabbit, 5)
    consumer = reader(rabbit, queue, prefetch=2)
    take(consumer, 2)
    consumer.call(amqp.BasicCancel("reader"))
    consumer.call(amqp.BasicConsume(queue=queue, consumer_tag="reader", arguments=dict(FIRST)))
    equal(bodies(consumer, 2), [b"0", b"1"])
    consumer.send(amqp.BasicAck(1))
    equal(bodies(consumer), [b"2"])
    consumer.expect_nothing()


@case("STREAM-01", "TX-03")
def transactions_and_streams(rabbit: Rabbit) -> None:
    """What is published in a transaction gets into a stream when that is committed, and what is acknowledged makes room
    then, for what comes before commit-ok.
    """
    _, queue = stream(rabbit)
    channel = rabbit.raw().channel()
    channel.call(amqp.TxSelect())
    for body in (b"a", b"b"):
        channel.publish(body, routing_key=queue)
    channel.call(amqp.TxRollback())
    for number in range(3):
        channel.publish(b"%d" % number, routing_key=queue)
        channel.call(amqp.TxCommit())
    consumer = rabbit.raw().channel()
    consumer.call(amqp.BasicQos(prefetch_count=1))
    consumer.call(amqp.TxSelect())
    consumer.call(amqp.BasicConsume(queue=queue, arguments=dict(FIRST)))
    equal(bodies(consumer), [b"0"])
    consumer.send(amqp.BasicAck(1))
    consumer.call(amqp.TxRollback())
    consumer.send(amqp.BasicAck(1))
    consumer.expect_nothing()
    consumer.send(amqp.TxCommit())
    equal(bodies(consumer), [b"1"])
    equal(consumer.read(), amqp.TxCommitOk())
    consumer.expect_nothing()


@case("STREAM-11", "TX-03", profiles=["3.10"])
def refusing_in_a_transaction(rabbit: Rabbit) -> None:
    """In 3.x a basic.nack in a transaction closes the connection when that is committed."""
    _, queue = stream(rabbit, 1)
    consumer = rabbit.raw().channel()
    consumer.call(amqp.BasicQos(prefetch_count=1))
    consumer.call(amqp.TxSelect())
    consumer.call(amqp.BasicConsume(queue=queue, arguments=dict(FIRST)))
    take(consumer)
    consumer.send(amqp.BasicNack(1, multiple=False))
    consumer.expect_nothing()
    consumer.send(amqp.TxCommit())
    where = f"stream queues queue '{queue}' in vhost '{rabbit.vhost}'"
    consumer.connection.expect_close(540, f"basic.nack and basic.reject not supported by {where}", (90, 20))

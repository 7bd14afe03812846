"""The life of a channel (CHAN)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, reply_text
from hutch.conformance.rabbit import Rabbit, delivered
from hutch.conformance.raw import delivery_tag, fields
from hutch.wire import methods as amqp
from hutch.wire.frames import content_frames, content_header, method_frame


def _missing(rabbit: Rabbit, queue: str) -> str:
    return f"no queue '{queue}' in vhost '{rabbit.vhost}'"


@case("CHAN-01")
def open_a_channel(rabbit: Rabbit) -> None:
    """Channel.open is answered by open-ok, whose string is empty; what the client's string says is ignored."""
    raw = rabbit.raw()
    for number, out_of_band in ((1, ""), (2, "anything")):
        raw.send_method(amqp.ChannelOpen(out_of_band), number)
        equal(raw.read(), (number, amqp.ChannelOpenOk(b"")))


@case("CHAN-02")
def flow_on(rabbit: Rabbit) -> None:
    """Channel.flow with active=true is answered by flow-ok."""
    channel = rabbit.raw().channel()
    equal(channel.call(amqp.ChannelFlow(active=True)), amqp.ChannelFlowOk(active=True))


@case("CHAN-03")
def flow_off(rabbit: Rabbit) -> None:
    """Channel.flow with active=false is not implemented."""
    channel = rabbit.raw().channel()
    channel.send(amqp.ChannelFlow(active=False))
    channel.connection.expect_close(540, "active=false", (20, 20))


@case("CHAN-04")
def access_request(rabbit: Rabbit) -> None:
    """Access.request is answered with ticket 1."""
    equal(rabbit.raw().channel().call(amqp.AccessRequest()), amqp.AccessRequestOk(1))


@case("CHAN-05")
def tickets_are_ignored(rabbit: Rabbit) -> None:
    """A ticket in a method has no effect."""
    channel, queue = rabbit.raw_queue()
    equal(channel.call(amqp.QueueDeclare(99, queue)), amqp.QueueDeclareOk(queue))


@case("CHAN-06")
def a_channel_number_is_free_after_close(rabbit: Rabbit) -> None:
    """After close-ok a channel's number can be opened again. Its delivery tags begin at 1 again."""
    channel, queue = rabbit.raw_queue(2)
    for _ in range(2):
        equal(delivery_tag(channel.got(queue)), 1)
        channel.close()
        channel = channel.connection.channel(channel.number)


@case("CHAN-06", "CHAN-08")
def methods_behind_channel_close(rabbit: Rabbit) -> None:
    """The broker discards what a client sends with its channel.close. But it answers another channel.close, and
    channel.open closes the connection with 504, because the number is free only after close-ok.
    """
    close, ok = method_frame(1, amqp.ChannelClose(200).encode()), (1, amqp.ChannelCloseOk())
    raw = rabbit.raw()
    raw.channel()
    raw.send(close + method_frame(1, amqp.BasicQos().encode()) + close)
    equal([raw.read(), raw.read()], [ok, ok])
    raw.channel()
    raw.send(close + method_frame(1, amqp.ChannelOpen().encode()))
    raw.expect_close(504, "second 'channel.open' seen", (20, 10))


@case("CHAN-07")
def methods_behind_an_error_are_discarded(rabbit: Rabbit) -> None:
    """Between the broker's channel.close and the client's close-ok everything on the channel is discarded."""
    channel, queue = rabbit.raw_queue()
    other = rabbit.name()
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    channel.publish(b"late", routing_key=queue)
    channel.send(amqp.QueueDeclare(queue=other))
    channel.expect_close(404, _missing(rabbit, "missing"), (50, 10))
    again = channel.connection.channel(channel.number)
    equal(again.get(queue), None)
    again.send(amqp.QueueDeclare(queue=other, passive=True))
    again.expect_close(404, _missing(rabbit, other), (50, 10))


@case("CHAN-08")
def open_before_close_ok(rabbit: Rabbit) -> None:
    """Channel.open while the broker waits for close-ok closes the connection with 504."""
    channel, _ = rabbit.raw_queue()
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    channel.expect(amqp.ChannelClose)
    channel.send(amqp.ChannelOpen())
    channel.connection.expect_close(504, "second 'channel.open' seen", (20, 10))


@case("CHAN-09")
def closes_that_cross(rabbit: Rabbit) -> None:
    """A client's channel.close that crosses the broker's is answered too; once both are, the number is free."""
    channel, _ = rabbit.raw_queue()
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    equal(channel.expect(amqp.ChannelClose).reply_code, 404)
    channel.send(amqp.ChannelClose(200))
    channel.expect(amqp.ChannelCloseOk)
    channel.send(amqp.ChannelCloseOk())
    channel.connection.channel(channel.number).expect_nothing()


@case("CHAN-10")
def messages_published_before_an_error(rabbit: Rabbit) -> None:
    """What was published on a channel before its error is in its queue."""
    channel, queue = rabbit.raw_queue(3)
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    channel.expect_close(404, _missing(rabbit, "missing"), (50, 10))
    channel.connection.channel(channel.number).expect_ready(queue, 3)


@case("CHAN-11")
def unacknowledged_messages_survive_their_channel(rabbit: Rabbit) -> None:
    """What a channel got or was delivered and did not acknowledge is back in its place, redelivered, when it closes."""
    for error in (False, True):
        channel, queue = rabbit.raw_queue(4)
        channel.call(amqp.BasicQos(prefetch_count=1))
        channel.get(queue)
        channel.call(amqp.BasicConsume(queue=queue))
        equal(channel.message(amqp.BasicDeliver).body, b"1")
        if error:
            channel.send(amqp.QueueDeclare(queue="missing", passive=True))
            channel.expect_close(404, _missing(rabbit, "missing"), (50, 10))
        else:
            channel.close()
        after = channel.connection.channel(2)
        after.expect_ready(queue, 4)
        back = [after.got(queue) for _ in range(4)]
        wanted = [(b"0", True), (b"1", True), (b"2", False), (b"3", False)]
        equal([(got.body, fields(got).redelivered) for got in back], wanted)


@case("CHAN-12")
def two_channels_give_back_in_order(rabbit: Rabbit) -> None:
    """Messages that two channels hold alternately return to their places when both channels close."""
    connection = rabbit.connect()
    first, second, watch = connection.channel(), connection.channel(), connection.channel()
    queue = rabbit.queue(watch)
    for number in range(6):
        rabbit.publish(watch, b"%d" % number, routing_key=queue)
    for number in range(4):
        rabbit.get((first, second)[number % 2], queue)
    first.close()
    rabbit.expect_ready(watch, queue, 4)
    second.close()
    rabbit.expect_ready(watch, queue, 6)
    back = [delivered(rabbit.get(watch, queue)) for _ in range(6)]
    equal(back, [(b"%d" % number, number < 4) for number in range(6)])


@case("CHAN-13")
def acks_before_an_error_hold(rabbit: Rabbit) -> None:
    """A message acknowledged before its channel's error is gone; the others come back."""
    channel, queue = rabbit.raw_queue(3)
    for _ in range(3):
        channel.get(queue)
    channel.send(amqp.BasicAck(2))
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    channel.expect_close(404, _missing(rabbit, "missing"), (50, 10))
    after = channel.connection.channel(2)
    after.expect_ready(queue, 2)
    equal([after.got(queue).body, after.got(queue).body], [b"0", b"2"])


@case("CHAN-14")
def nowait_does_not_hide_errors(rabbit: Rabbit) -> None:
    """A method with nowait that fails still closes the channel."""
    raw = rabbit.raw()
    queue = rabbit.name()
    channel = raw.channel()
    channel.call(amqp.QueueDeclare(queue=queue))
    no_exchange = f"no exchange 'missing' in vhost '{rabbit.vhost}'"
    refused: list[tuple[amqp.Method, str]] = [
        (amqp.QueueDeclare(queue="missing", passive=True, nowait=True), _missing(rabbit, "missing")),
        (amqp.QueueBind(queue=queue, exchange="missing", nowait=True), no_exchange),
        (amqp.BasicConsume(queue="missing", consumer_tag="t", nowait=True), _missing(rabbit, "missing")),
        (amqp.ExchangeDeclare(exchange="missing", passive=True, nowait=True), no_exchange),
    ]
    for number, (method, text) in enumerate(refused, 10):
        channel = raw.channel(number)
        channel.send(method)
        channel.expect_close(404, text, (method.CLASS_ID, method.METHOD_ID))


@case("CHAN-07", "CHAN-13")
def an_error_spares_the_other_channels(rabbit: Rabbit) -> None:
    """A channel that is closed by an error takes no other channel of its connection with it."""
    channel, queue = rabbit.raw_queue(1)
    other = channel.connection.channel(2)
    other.call(amqp.BasicConsume(queue=queue))
    channel.send(amqp.QueueDeclare(queue="missing", passive=True))
    channel.expect_close(404, _missing(rabbit, "missing"), (50, 10))
    content = other.message(amqp.BasicDeliver)
    other.send(amqp.BasicAck(delivery_tag(content)))
    equal(other.get(queue), None)


@case("CHAN-07", "CONN-CHAN-04")
def close_ok_frees_the_number(rabbit: Rabbit) -> None:
    """After an error and the client's close-ok the channel's number can be opened again."""
    channel, _ = rabbit.raw_queue()
    raw = channel.connection
    for _ in range(3):
        raw.send(method_frame(1, amqp.BasicGet(queue="missing").encode()))
        wanted = amqp.ChannelClose(404, reply_text(404, _missing(rabbit, "missing")), 60, 70)
        equal(raw.read(), (1, wanted))
        raw.send_method(amqp.ChannelCloseOk(), 1)
        raw.channel(1)


@case("CHAN-06", "CONFIRM-04", "QOS-02")
def a_reopened_channel_begins_anew(rabbit: Rabbit) -> None:
    """Confirms, a prefetch and consumers end with their channel; the next one of its number has none of them."""
    channel, queue = rabbit.raw_queue(3)
    channel.expect_ready(queue, 3)
    channel.call(amqp.ConfirmSelect())
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.message(amqp.BasicDeliver)
    channel.close()
    again = channel.connection.channel(channel.number)
    again.publish(b"x", routing_key="no-such-queue")
    again.expect_nothing()
    again.expect_ready(queue, 3)
    again.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    deliveries = [again.message(amqp.BasicDeliver) for _ in range(3)]
    equal([content.body for content in deliveries], [b"0", b"1", b"2"])


@case("CHAN-15")
def reply_codes_of_channels(rabbit: Rabbit) -> None:
    """A channel is closed with 403, 404, 405 or 406, and a message is returned with 312. Instead of AMQP's 311 and 313,
    RabbitMQ uses 406 for a message that is too large, and 540 for immediate publishing.
    """
    owner = rabbit.raw().channel()
    exclusive = rabbit.name()
    owner.call(amqp.QueueDeclare(queue=exclusive, exclusive=True))
    raw = rabbit.raw()
    refused: list[tuple[amqp.Method, int]] = [
        (amqp.QueueDeclare(queue="amq.reserved"), 403),
        (amqp.BasicGet(queue="missing"), 404),
        (amqp.BasicGet(queue=exclusive), 405),
        (amqp.BasicAck(1), 406),
    ]
    for number, (method, code) in enumerate(refused, 1):
        channel = raw.channel(number)
        channel.send(method)
        closed = channel.expect(amqp.ChannelClose)
        ids = (method.CLASS_ID, method.METHOD_ID)
        equal((closed.reply_code, closed.class_id, closed.method_id), (code, *ids), repr(method))
    channel = raw.channel(9)
    channel.publish(b"", routing_key="missing", mandatory=True)
    equal(fields(channel.message(amqp.BasicReturn)).reply_code, 312)
    largest = rabbit.by_profile({"3.10": 134217728, "4.3": 16777216})
    if rabbit.profile == "4.3":
        channel.publish(b"x" * (largest + 1), routing_key="missing")
        channel.expect_close(406, f"message size {largest + 1} is larger than configured max size {largest}", (60, 40))
    channel = raw.channel(10)
    channel.publish(b"", routing_key=exclusive, immediate=True)
    raw.expect_close(540, "immediate=true", (60, 40))


@case("CHAN-16")
def reply_codes_of_connections(rabbit: Rabbit) -> None:
    """A connection is closed with 403, 501, 503, 504, 505, 530, 540 or 541; 402, for a virtual host that is not there,
    and 502, for a malformed login, do not occur.
    """
    publish = method_frame(1, amqp.BasicPublish().encode())
    frames = {
        501: b"\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x14\x01\x00",
        503: method_frame(1, amqp.ChannelFlowOk().encode()),
        504: method_frame(1, amqp.ChannelOpen().encode()),
        505: publish * 2,
        540: method_frame(1, amqp.ChannelFlow(active=False).encode()),
        541: publish + content_frames(1, content_header(0, b""), b"", 131072),
    }
    for code, data in frames.items():
        raw = rabbit.raw()
        raw.channel()
        raw.send(data)
        equal(raw.expect(amqp.ConnectionClose).reply_code, code)
    refused, lost, malformed = (rabbit.raw_unopened() for _ in range(3))
    for raw, response in ((refused, b"\0nobody-of-this-name\0x"), (lost, None), (malformed, b"guest")):
        raw.start()
        raw.log_in(response=response)
    equal(refused.expect(amqp.ConnectionClose).reply_code, 403)
    lost.tune()
    lost.send_method(amqp.ConnectionOpen("no-such-vhost"))
    equal(lost.expect(amqp.ConnectionClose).reply_code, 530)
    rabbit.expect_dropped(malformed)

"""Tuning, opening and closing a connection, and methods that are wrong on it (CONN-TUNE, -OPEN, -METHOD, -CLOSE)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawConnection, fields
from hutch.wire import methods as amqp
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, HEARTBEAT_FRAME, METHOD, content_header, method_frame
from hutch.wire.properties import NO_PROPERTIES


def _tuned(rabbit: Rabbit, **limits: int) -> RawConnection:
    """A connection that has sent tune-ok and nothing after it."""
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in()
    raw.tune(**limits)
    return raw


@case("CONN-TUNE-01")
def proposed_limits(rabbit: Rabbit) -> None:
    """The broker proposes 2047 channels, frames of 131072 bytes and a heartbeat of 60 seconds."""
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in()
    equal(raw.tune(), amqp.ConnectionTune(2047, 131072, 60))


@case("CONN-TUNE-02", "CONN-TUNE-03", "CONN-TUNE-05")
def limits_above_the_proposed_are_dropped(rabbit: Rabbit) -> None:
    """More channels or larger frames than proposed, or no limit, ends the connection without a close frame."""
    limits = [{"channel_max": 2048}, {"channel_max": 0}, {"frame_max": 131073}, {"frame_max": 0}]
    rabbit.expect_dropped(*[_tuned(rabbit, **limit) for limit in limits], within=7.0)


@case("CONN-TUNE-04", "CONN-TUNE-07")
def limits_below_the_proposed_hold(rabbit: Rabbit) -> None:
    """Any smaller channel_max is taken, and any heartbeat, even a longer one than proposed."""
    for limits in ({"channel_max": 1}, {"channel_max": 2046}, {"heartbeat": 61}, {"heartbeat": 65535}):
        rabbit.raw(None, **limits).expect_alive()


@case("CONN-TUNE-06")
def smallest_frame_max(rabbit: Rabbit) -> None:
    """There is a smallest frame_max: 4096 bytes in 3.x, 8192 in 4.x; below it the connection ends without a frame."""
    smallest = rabbit.by_profile({"3.10": 4096, "4.3": 8192})
    rabbit.raw(frame_max=smallest).expect_alive()
    rabbit.expect_dropped(_tuned(rabbit, frame_max=smallest - 1), within=7.0)


@case("CONN-TUNE-08")
def no_heartbeats(rabbit: Rabbit) -> None:
    """With a heartbeat of 0 none is sent, and a silent client is kept."""
    raw = rabbit.raw(heartbeat=0)
    rabbit.allow(4.0)
    try:
        sent = raw.read_frame(4.0)
    except TimeoutError:
        raw.expect_alive()
        return
    raise AssertionError(f"expected nothing, got {sent!r}")


@case("CONN-TUNE-09")
def heartbeats_are_sent_twice_an_interval(rabbit: Rabbit) -> None:
    """With a heartbeat of four seconds an idle connection gets one every two seconds, the first after two already."""
    raw = rabbit.raw(heartbeat=4)
    for seconds in (3.0, 2.5, 2.5):
        rabbit.allow(seconds)
        equal(raw.read_frame(seconds), (HEARTBEAT, 0, b""))


@case("CONN-TUNE-09")
def heartbeats_begin_with_tune_ok(rabbit: Rabbit) -> None:
    """The first heartbeat comes half an interval after tune-ok, be the connection open or not."""
    raw = _tuned(rabbit, heartbeat=4)
    rabbit.allow(3.0)
    equal(raw.read_frame(3.0), (HEARTBEAT, 0, b""))
    raw.open()


@case("CONN-TUNE-09")
def heartbeats_beside_other_traffic(rabbit: Rabbit) -> None:
    """The first heartbeat comes whatever else the broker sends; no other comes while it sends something in each half
    interval.
    """
    raw = rabbit.raw(heartbeat=4)
    raw.send_method(amqp.ChannelOpen(), 1)
    equal(raw.read_frame(), (METHOD, 1, amqp.ChannelOpenOk().encode()))
    heartbeats = []
    for _ in range(9):
        rabbit.advance(0.8)
        raw.send_method(amqp.BasicQos(), 1)
        while (received := raw.read_frame())[0] == HEARTBEAT:
            heartbeats.append(received)
        equal(received, (METHOD, 1, amqp.BasicQosOk().encode()))
    equal(len(heartbeats), 1, "heartbeats in 7.2 seconds")


@case("CONN-TUNE-10", "CONN-TUNE-11")
def silence_of_three_heartbeats_ends_the_connection(rabbit: Rabbit) -> None:
    """A client that is silent for three heartbeat intervals is cut off without a frame; any traffic keeps it."""
    silent = rabbit.raw(heartbeat=1)
    beating = rabbit.raw(heartbeat=1)
    talking = rabbit.raw(heartbeat=1)
    channel = talking.channel()
    for _ in range(3):
        rabbit.advance(1.2)
        beating.send(HEARTBEAT_FRAME)
        channel.send(amqp.BasicQos())
        channel.expect(amqp.BasicQosOk)
    rabbit.allow(0.4)
    silent.expect_gone(1.0)
    beating.expect_alive()


@case("CONN-TUNE-12")
def a_heartbeat_is_not_answered(rabbit: Rabbit) -> None:
    """A heartbeat frame is accepted at any time and never answered."""
    raw = rabbit.raw()
    raw.send(HEARTBEAT_FRAME * 3)
    raw.send_method(amqp.ChannelOpen(), 1)
    equal(raw.read_frame(), (1, 1, amqp.ChannelOpenOk().encode()))


@case("CONN-TUNE-13", "PUB-17")
def deliveries_honour_frame_max(rabbit: Rabbit) -> None:
    """A body comes in frames of frame_max less eight bytes, and no more of them than needed."""
    raw = rabbit.raw(frame_max=8192)
    channel = raw.channel()
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    for size, wanted in ((0, []), (1, [1]), (8184, [8184]), (8185, [8184, 1]), (20000, [8184, 8184, 3632])):
        channel.publish(b"x" * size, routing_key=queue)
        channel.send(amqp.BasicGet(queue=queue, no_ack=True))
        raw.read_frame()
        equal(raw.read_frame()[0], HEADER)
        equal([len(raw.read_frame()[2]) for _ in wanted], wanted, f"frames of {size} bytes")
    channel.expect_nothing()


@case("CONN-OPEN-01")
def open_a_virtual_host(rabbit: Rabbit) -> None:
    """Opening a virtual host is answered by open-ok."""
    _tuned(rabbit).open()


@case("CONN-OPEN-02")
def open_a_missing_virtual_host(rabbit: Rabbit) -> None:
    """A virtual host that does not exist is refused with 530, as is the empty name."""
    for vhost in ("no-such-vhost", ""):
        raw = _tuned(rabbit)
        raw.send_method(amqp.ConnectionOpen(vhost))
        raw.expect_close(530, f"vhost {vhost} not found", (10, 40))


@case("CONN-OPEN-09")
def a_channel_before_open(rabbit: Rabbit) -> None:
    """A channel's frame before connection.open is an unexpected frame."""
    raw = _tuned(rabbit)
    raw.send_method(amqp.ChannelOpen(), 1)
    raw.expect_close(505, "type 1, all octets = <<0,20,0,10,0>>", (0, 0))


@case("CONN-OPEN-10")
def close_before_open(rabbit: Rabbit) -> None:
    """Connection.close before connection.open is refused with 504; there is no close-ok."""
    raw = _tuned(rabbit)
    raw.send_method(amqp.ConnectionClose(200))
    raw.expect_close(504, "unexpected method in connection state opening", (10, 50))


_RUNNING = "unexpected method in connection state running"


@case("CONN-METHOD-01")
def open_a_second_time(rabbit: Rabbit) -> None:
    """Connection.open on an open connection closes it with 504."""
    raw = rabbit.raw()
    raw.send_method(amqp.ConnectionOpen("/"))
    raw.expect_close(504, _RUNNING, (10, 40))


@case("CONN-METHOD-02")
def handshake_methods_on_an_open_connection(rabbit: Rabbit) -> None:
    """The handshake's other methods on an open connection close it with 504, as does a close-ok nobody asked for."""
    unexpected: list[amqp.Method] = [
        amqp.ConnectionStartOk(),
        amqp.ConnectionTuneOk(),
        amqp.ConnectionStart(),
        amqp.ConnectionBlocked(),
        amqp.ConnectionOpenOk(),
        amqp.ConnectionCloseOk(),
    ]
    for method in unexpected:
        raw = rabbit.raw()
        raw.send_method(method)
        raw.expect_close(504, _RUNNING, (method.CLASS_ID, method.METHOD_ID))


@case("CONN-METHOD-03")
def channel_methods_on_channel_zero(rabbit: Rabbit) -> None:
    """A channel's method on channel 0 closes the connection with 504."""
    for method in (amqp.ChannelOpen(), amqp.BasicQos(), amqp.QueueDeclare()):
        raw = rabbit.raw()
        raw.send_method(method)
        raw.expect_close(504, _RUNNING, (method.CLASS_ID, method.METHOD_ID))


@case("CONN-METHOD-04")
def connection_methods_on_a_channel(rabbit: Rabbit) -> None:
    """A connection's method on another channel than 0 closes the connection with 503."""
    for method in (amqp.ConnectionClose(200), amqp.ConnectionUpdateSecret(b"secret")):
        channel = rabbit.raw().channel()
        channel.send(method)
        channel.connection.expect_close(503, "unimplemented method", (method.CLASS_ID, method.METHOD_ID))


@case("CONN-METHOD-05", "CONN-METHOD-06")
def server_methods_from_a_client(rabbit: Rabbit) -> None:
    """A method that only a server sends closes the connection with 503, as does a channel.close-ok nobody asked for."""
    unexpected: list[amqp.Method] = [
        amqp.QueueDeclareOk("q"),
        amqp.BasicGetEmpty(),
        amqp.ChannelOpenOk(),
        amqp.ChannelFlowOk(),
        amqp.ChannelCloseOk(),
        amqp.BasicCreditOk(),
        amqp.BasicCreditDrained("tag"),
    ]
    for method in unexpected:
        channel = rabbit.raw().channel()
        channel.send(method)
        channel.connection.expect_close(503, "unimplemented method", (method.CLASS_ID, method.METHOD_ID))


@case("CONN-METHOD-05")
def credit_for_a_consumer(rabbit: Rabbit) -> None:
    """Basic.credit is a method of RabbitMQ's own. 3.x looks for its consumer; 4.x only knows the method's number."""
    channel = rabbit.raw().channel()
    channel.send(amqp.BasicCredit("nobody", 1))
    if rabbit.profile == "3.10":
        channel.expect_close(406, "unknown consumer tag 'nobody'", (60, 200))
    else:
        channel.connection.expect_close(503, "unimplemented method", (60, 200))
    channel = rabbit.raw().channel()
    channel.connection.send_frame(METHOD, 1, b"\x00\x3c\x00\xc8")
    channel.connection.expect_close(501, "cannot decode <<>>", (60, 200))


@case("CONN-METHOD-07")
def a_delivery_from_a_client(rabbit: Rabbit) -> None:
    """A client's basic.deliver is answered when its content is complete, not before."""
    raw = rabbit.raw()
    channel = raw.channel(1)
    channel.send(amqp.BasicDeliver("tag", 1))
    raw.channel(2).expect_nothing()
    raw.send_frame(HEADER, 1, content_header(1, NO_PROPERTIES))
    raw.send_frame(BODY, 1, b"x")
    raw.expect_close(503, "unimplemented method", (60, 60))


@case("CONN-METHOD-08")
def unknown_methods(rabbit: Rabbit) -> None:
    """A class or method that does not exist ends the connection without a close frame."""
    raws = []
    for payload in (b"\0\x63\0\1", b"\0\x3c\0\x63"):
        for number in (0, 1):
            raw = rabbit.raw()
            raw.channel(1)
            raw.send_frame(1, number, payload)
            raws.append(raw)
    rabbit.expect_dropped(*raws)


@case("CONN-CLOSE-01")
def close_is_answered(rabbit: Rabbit) -> None:
    """Connection.close is answered by close-ok."""
    raw = rabbit.raw()
    raw.send_method(amqp.ConnectionClose(200, "bye"))
    raw.expect(amqp.ConnectionCloseOk)


@case("CONN-CLOSE-02", "CONN-CLOSE-03")
def methods_around_close(rabbit: Rabbit) -> None:
    """Methods sent before connection.close are carried out and answered first; those after it are ignored."""
    raw = rabbit.raw()
    raw.channel()
    before, after = rabbit.name(), rabbit.name()
    raw.send(
        method_frame(1, amqp.QueueDeclare(queue=before).encode())
        + method_frame(0, amqp.ConnectionClose(200).encode())
        + method_frame(1, amqp.QueueDeclare(queue=after).encode())
    )
    equal(raw.read(), (1, amqp.QueueDeclareOk(before, 0, 0)))
    equal(raw.read(), (0, amqp.ConnectionCloseOk()))
    other = rabbit.raw().channel()
    equal(other.ready(before), 0)
    other.send(amqp.QueueDeclare(queue=after, passive=True))
    other.expect_close(404, f"no queue '{after}' in vhost '{rabbit.vhost}'", (50, 10))


@case("CONN-CLOSE-04")
def methods_after_the_brokers_close(rabbit: Rabbit) -> None:
    """What a client sends between the broker's connection.close and its own close-ok is not carried out."""
    raw = rabbit.raw()
    queue = rabbit.name()
    raw.channel(1)
    raw.send(
        method_frame(0, amqp.ConnectionOpen("/").encode()) + method_frame(1, amqp.QueueDeclare(queue=queue).encode())
    )
    raw.expect_close(504, _RUNNING, (10, 40))
    other = rabbit.raw().channel()
    other.send(amqp.QueueDeclare(queue=queue, passive=True))
    other.expect_close(404, f"no queue '{queue}' in vhost '{rabbit.vhost}'", (50, 10))


@case("CONN-CLOSE-06", "QUEUE-EXCL-05", "CHAN-11")
def a_lost_connection(rabbit: Rabbit) -> None:
    """When a client vanishes its exclusive queues go, and what it had not acknowledged is redelivered."""
    lost = rabbit.raw()
    channel = lost.channel()
    queue, exclusive = rabbit.name(), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.QueueDeclare(queue=exclusive, exclusive=True))
    for number in (b"0", b"1"):
        channel.publish(number, routing_key=queue)
    channel.get(queue)
    lost.close()
    other = rabbit.raw()
    survivor = other.channel()
    survivor.expect_ready(queue, 2)
    back = [survivor.got(queue), survivor.got(queue)]
    equal([(content.body, fields(content).redelivered) for content in back], [(b"0", True), (b"1", False)])
    numbers = iter(range(2, 200))

    def gone() -> bool:
        probe = other.channel(next(numbers))
        probe.send(amqp.QueueDeclare(queue=exclusive, passive=True))
        return probe.expect(amqp.ChannelClose).reply_code == 404

    rabbit.eventually(gone, "the exclusive queue is still there")


@case("CONN-CHAN-01", "CONN-TUNE-04")
def more_channels_than_channel_max(rabbit: Rabbit) -> None:
    """Opening one channel more than channel_max closes the connection with 530; closing one makes room."""
    raw = rabbit.raw(channel_max=2)
    raw.channel(1)
    raw.channel(2).close()
    raw.channel(3)
    raw.send_method(amqp.ChannelOpen(), 4)
    raw.expect_close(530, "number of channels opened (2) has reached the negotiated channel_max (2)", (0, 0))


@case("CONN-CHAN-01")
def any_frame_takes_a_channel(rabbit: Rabbit) -> None:
    """Any frame that may belong to a channel takes the channel, opened or not. If all channels are taken, it closes the
    connection with 530, whatever else is wrong with it. A frame that belongs to no channel gets its own error first.
    """
    full = "number of channels opened (1) has reached the negotiated channel_max (1)"
    frames: list[tuple[int, bytes]] = [
        (METHOD, amqp.BasicQos().encode()),
        (METHOD, amqp.ChannelClose(200).encode()),
        (METHOD, amqp.ConnectionClose(200).encode()),
        (METHOD, amqp.BasicPublish(routing_key="q").encode()),
        (METHOD, amqp.BasicQos().encode()[:4]),
        (HEADER, content_header(1, NO_PROPERTIES)),
        (BODY, b"x"),
    ]
    for frame_type, payload in frames:
        raw = rabbit.raw(channel_max=1)
        raw.channel(1)
        raw.send_frame(frame_type, 5, payload)
        raw.expect_close(530, full, (0, 0))
    raw = rabbit.raw(channel_max=1)
    raw.channel(1)
    raw.send_frame(HEARTBEAT, 5, b"")
    raw.expect_close(505, "type 8, all octets = <<>>", (0, 0))


@case("CONN-CHAN-01", "CHAN-07")
def a_channel_is_taken_until_it_has_closed(rabbit: Rabbit) -> None:
    """A channel that the broker has closed stays taken until the client's close-ok. So does a channel of which only the
    beginning of a publish has come.
    """
    full = "number of channels opened ({0}) has reached the negotiated channel_max ({0})"
    for close_ok in (True, False):
        raw = rabbit.raw(channel_max=1)
        channel = raw.channel(1)
        channel.send(amqp.QueueDeclare(queue="missing", passive=True))
        channel.expect(amqp.ChannelClose)
        if close_ok:
            channel.send(amqp.ChannelCloseOk())
            raw.channel(2)
        else:
            raw.send_method(amqp.ChannelOpen(), 2)
            raw.expect_close(530, full.format(1), (0, 0))
    raw = rabbit.raw(channel_max=2)
    raw.channel(1)
    raw.send_method(amqp.BasicPublish(routing_key="q"), 5)
    raw.send_method(amqp.ChannelOpen(), 6)
    raw.expect_close(530, full.format(2), (0, 0))


@case("CONN-CHAN-02")
def channel_numbers_above_channel_max(rabbit: Rabbit) -> None:
    """Channel_max limits how many channels are open, not their numbers."""
    raw = rabbit.raw(channel_max=2)
    raw.channel(7)
    raw.channel(65535).expect_nothing()


@case("CONN-CHAN-04")
def methods_on_a_channel_that_is_not_open(rabbit: Rabbit) -> None:
    """A method on a channel that was never opened, or is closed, closes the connection with 504."""
    for method in (amqp.BasicQos(), amqp.BasicCancelOk("c"), amqp.ChannelClose(200), amqp.ChannelCloseOk()):
        raw = rabbit.raw()
        raw.send_method(method, 5)
        raw.expect_close(504, "expected 'channel.open'", (method.CLASS_ID, method.METHOD_ID))
    raw = rabbit.raw()
    closed = raw.channel(1)
    closed.close()
    closed.send(amqp.BasicQos())
    raw.expect_close(504, "expected 'channel.open'", (60, 10))


@case("CONN-CHAN-05")
def publishing_on_a_channel_that_is_not_open(rabbit: Rabbit) -> None:
    """A publish on a channel that is not open is answered when its content is complete, not before."""
    raw = rabbit.raw()
    raw.send_method(amqp.BasicPublish(routing_key="q"), 5)
    raw.channel(1).expect_nothing()
    raw.send_frame(HEADER, 5, content_header(1, NO_PROPERTIES))
    raw.send_frame(BODY, 5, b"x")
    raw.expect_close(504, "expected 'channel.open'", (60, 40))


@case("CONN-CHAN-06")
def opening_an_open_channel(rabbit: Rabbit) -> None:
    """Channel.open on an open channel closes the connection with 504."""
    raw = rabbit.raw()
    raw.channel(1).send(amqp.ChannelOpen())
    raw.expect_close(504, "second 'channel.open' seen", (20, 10))


@case("CONN-HDR-14")
def the_stream_ends_after_close_ok(rabbit: Rabbit) -> None:
    """After the broker's connection.close and the client's close-ok the stream ends."""
    raw = rabbit.raw()
    raw.send_method(amqp.ConnectionOpen("/"))
    raw.expect_close(504, _RUNNING, (10, 40))
    raw.expect_gone()


@case("CONN-OPEN-01")
def virtual_hosts_are_apart(rabbit: Rabbit) -> None:
    """A virtual host has its own queues, exchanges, bindings and messages, though another uses the same names."""
    elsewhere = rabbit.connect(virtual_host=rabbit.admin.add_vhost())
    here, there = rabbit.connect().channel(), elsewhere.channel()
    queue, exchange = rabbit.name(), rabbit.exchange(here, "fanout")
    rabbit.queue(here, queue, exclusive=True)
    here.queue_bind(queue, exchange)
    true(not rabbit.has_queue(queue, elsewhere), "a queue is in two virtual hosts")
    true(not rabbit.has_exchange(exchange, elsewhere), "an exchange is in two virtual hosts")
    rabbit.queue(there, queue, durable=True)
    rabbit.exchange(there, "direct", exchange)
    rabbit.publish_confirmed(here, b"here", exchange)
    rabbit.publish_confirmed(there, b"there", routing_key=queue)
    rabbit.publish_confirmed(there, b"nowhere", exchange)
    equal((rabbit.bodies(here, queue), rabbit.bodies(there, queue)), ([b"here"], [b"there"]))
    there.queue_delete(queue)
    there.exchange_delete(exchange)
    rabbit.publish_confirmed(here, b"still here", exchange)
    equal(rabbit.bodies(here, queue), [b"still here"])

"""Alarms: who publishes is blocked (https://www.rabbitmq.com/docs/connection-blocked)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.frames import HEARTBEAT

LOW_ON_MEMORY = amqp.ConnectionBlocked("low on memory")


def _blocked(rabbit: Rabbit, resource: str = "memory") -> tuple[RawChannel, str]:
    """A channel that has published ``1`` to a new queue while an alarm is raised, and was told of it."""
    channel, queue = rabbit.raw_queue()
    rabbit.control.raise_alarm(resource)
    channel.publish(b"1", routing_key=queue)
    equal(channel.connection.expect(amqp.ConnectionBlocked), amqp.ConnectionBlocked(f"low on {resource}"))
    return channel, queue


def _cleared(rabbit: Rabbit, *channels: RawChannel, resource: str = "memory") -> None:
    """End the alarm; the connections are told."""
    rabbit.control.clear_alarm(resource)
    for channel in channels:
        channel.connection.expect(amqp.ConnectionUnblocked)


@case("CONN-BLOCK-01", "CONN-BLOCK-05")
def who_does_not_publish_is_not_blocked(rabbit: Rabbit) -> None:
    """During an alarm, a connection that does not publish works as usual and is told nothing, whether it is older than
    the alarm or not.
    """
    older, queue = rabbit.raw_queue(1)
    older.got(queue, no_ack=True)
    rabbit.control.raise_alarm("memory")
    for channel in (older, rabbit.raw().channel()):
        channel.call(amqp.QueueDeclare(queue=rabbit.name()))
        channel.call(amqp.BasicConsume(queue=queue))
        equal(channel.connection.waiting_on(0), [])
    rabbit.control.clear_alarm("memory")
    older.expect_nothing(queue)
    equal(older.connection.waiting_on(0), [])


@case("CONN-BLOCK-02", "CONN-BLOCK-04", "CONN-BLOCK-06")
def a_publish_blocks_until_the_alarm_is_cleared(rabbit: Rabbit) -> None:
    """A client that publishes during an alarm gets connection.blocked. The broker reads nothing more of it until
    connection.unblocked, and then does everything it sent.
    """
    channel, queue = _blocked(rabbit)
    channel.publish(b"2", routing_key=queue)
    channel.send(amqp.QueueDeclare(0, queue, passive=True))
    channel.publish(b"3", routing_key=queue)
    channel.connection.send_method(amqp.ConnectionClose(200))
    other = rabbit.raw().channel()
    other.expect_ready(queue, 0)
    equal(channel.connection.waiting_on(0), [])
    _cleared(rabbit, channel)
    channel.expect(amqp.QueueDeclareOk)
    channel.connection.expect(amqp.ConnectionCloseOk)
    equal([other.got(queue, no_ack=True).body for _ in range(3)], [b"1", b"2", b"3"])


@case("CONN-BLOCK-02")
def a_disk_alarm_says_so(rabbit: Rabbit) -> None:
    """The reason names what the broker is low on."""
    channel, _ = _blocked(rabbit, "disk")
    _cleared(rabbit, channel, resource="disk")
    rabbit.control.raise_alarm("memory")
    rabbit.control.raise_alarm("disk")
    channel.publish(b"x")
    equal(channel.connection.expect(amqp.ConnectionBlocked), amqp.ConnectionBlocked("low on disk & memory"))
    rabbit.control.clear_alarm("memory")
    rabbit.raw().channel()
    equal(channel.connection.waiting_on(0), [])
    _cleared(rabbit, channel, resource="disk")
    channel.connection.expect_alive()


@case("CONN-BLOCK-04", "CONN-TUNE-09", "CONN-TUNE-10")
def who_is_blocked_may_be_silent(rabbit: Rabbit) -> None:
    """The broker goes on sending heartbeats to a blocked client, and expects none. Once it reads again, the client has
    three intervals.
    """
    rabbit.control.raise_alarm("memory")  # raising the alarm may take longer than three heartbeats
    channel, queue = rabbit.raw_queue(heartbeat=2)
    channel.publish(b"1", routing_key=queue)
    raw = channel.connection
    equal(raw.expect(amqp.ConnectionBlocked), LOW_ON_MEMORY)

    def expect_heartbeats(count: int) -> None:
        for _ in range(count):
            rabbit.allow(2.5)
            equal(raw.read_frame(2.5), (HEARTBEAT, 0, b""))

    expect_heartbeats(7)
    _cleared(rabbit, channel)
    expect_heartbeats(4)
    rabbit.expect_dropped(raw)


@case("CONN-BLOCK-03")
def without_the_capability_blocking_is_silent(rabbit: Rabbit) -> None:
    """A client without the capability connection.blocked is told nothing. The broker does not read from it either."""
    channel, queue = rabbit.raw_queue(client_properties={})
    channel.call(amqp.ConfirmSelect())
    rabbit.control.raise_alarm("memory")
    channel.publish(b"1", routing_key=queue)
    rabbit.raw().channel().expect_ready(queue, 0)
    rabbit.control.clear_alarm("memory")
    equal(channel.expect(amqp.BasicAck), amqp.BasicAck(1))
    equal(channel.connection.waiting_on(0), [])


@case("CONN-BLOCK-07")
def each_connection_is_blocked_by_its_own_publish(rabbit: Rabbit) -> None:
    """Each connection is blocked, and told so, by its own publish. All are unblocked together."""
    first, queue = _blocked(rabbit)
    second = rabbit.raw().channel()
    equal(second.connection.waiting_on(0), [])
    second.publish(b"2", routing_key=queue)
    equal(second.connection.expect(amqp.ConnectionBlocked), LOW_ON_MEMORY)
    _cleared(rabbit, first, second)
    second.expect_ready(queue, 2)


@case("CONN-BLOCK-04")
def deliveries_go_on_to_who_is_blocked(rabbit: Rabbit) -> None:
    """A blocked connection still gets deliveries. The broker does not read its acknowledgements."""
    channel, queue = rabbit.raw_queue(2)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue))
    equal(channel.message(amqp.BasicDeliver).body, b"0")
    other, letters = rabbit.raw_queue()
    channel.call(amqp.BasicConsume(queue=letters, no_ack=True))
    rabbit.control.raise_alarm("memory")
    channel.publish(b"x")
    equal(channel.connection.expect(amqp.ConnectionBlocked), LOW_ON_MEMORY)
    channel.send(amqp.BasicAck(1))
    other.expect_ready(queue, 1)
    rabbit.control.clear_alarm("memory")
    channel.connection.expect(amqp.ConnectionUnblocked)
    equal(channel.message(amqp.BasicDeliver).body, b"1")

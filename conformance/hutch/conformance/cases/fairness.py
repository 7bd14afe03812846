"""How a queue's messages are shared out among consumers with limits (CONSUME-22, QOS)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable

_TYPES = ("classic", "quorum")


class _Shared:
    """A queue that several channels consume from, and what each got."""

    def __init__(self, rabbit: Rabbit, queue_type: str) -> None:
        self.queue = rabbit.name()
        #: The queue that RawChannel.expect_nothing() sends its probe through; None for a quorum queue, which has no
        #: such probe.
        self._behind = self.queue if queue_type == "classic" else None
        self._publisher = rabbit.raw().channel()
        arguments: FieldTable = {"x-queue-type": queue_type}
        self._publisher.call(amqp.QueueDeclare(queue=self.queue, durable=True, arguments=arguments))
        self._publisher.call(amqp.ConfirmSelect())

    def publish(self, *bodies: bytes) -> None:
        """Publish, each behind the confirm of the one before."""
        for body in bodies:
            self._publisher.publish(body, routing_key=self.queue)
            self._publisher.expect(amqp.BasicAck)

    def publish_behind(self, channel: RawChannel, body: bytes) -> None:
        """Publish what gets to the queue behind all that a channel has sent it."""
        channel.publish(body, routing_key=self.queue)

    def consume(self, channel: RawChannel, tag: str, prefetch: int) -> None:
        """Begin to consume with a limit."""
        channel.call(amqp.BasicQos(prefetch_count=prefetch))
        channel.call(amqp.BasicConsume(queue=self.queue, consumer_tag=tag))

    def expect(self, channel: RawChannel, *bodies: bytes) -> list[int]:
        """A channel gets these messages and no more; their tags."""
        contents = [channel.message(amqp.BasicDeliver) for _ in bodies]
        equal(tuple(content.body for content in contents), bodies)
        self.expect_nothing(channel)
        return [delivery_tag(content) for content in contents]

    def expect_nothing(self, channel: RawChannel) -> None:
        """A channel has got no more."""
        channel.expect_nothing(self._behind)


@case("CONSUME-22", "QOS-02")
def channels_share_by_their_limits(rabbit: Rabbit) -> None:
    """Each of two channels gets as many messages as its prefetch allows. The channel that acknowledges gets the next
    ones, however slow the other one is.
    """
    for queue_type in _TYPES:
        shared, connection = _Shared(rabbit, queue_type), rabbit.raw()
        slow, fast = connection.channel(1), connection.channel(2)
        shared.publish(*(b"%d" % number for number in range(9)))
        shared.consume(slow, "slow", 2)
        shared.expect(slow, b"0", b"1")
        shared.consume(fast, "fast", 3)
        tags = shared.expect(fast, b"2", b"3", b"4")
        fast.send(amqp.BasicAck(tags[-1], multiple=True))
        tags = shared.expect(fast, b"5", b"6", b"7")
        fast.send(amqp.BasicAck(tags[0]))
        shared.expect(fast, b"8")
        shared.expect_nothing(slow)


@case("CONSUME-22", "CONSUME-31")
def what_a_channel_leaves_goes_to_the_others(rabbit: Rabbit) -> None:
    """When a channel closes, its messages go to consumers that have room, in the order in which they subscribed."""
    for queue_type in _TYPES:
        shared, connection = _Shared(rabbit, queue_type), rabbit.raw()
        leaving, one, other = (connection.channel(number) for number in (1, 2, 3))
        shared.consume(leaving, "leaving", 4)
        shared.publish(*(b"%d" % number for number in range(4)))
        shared.expect(leaving, b"0", b"1", b"2", b"3")
        shared.consume(one, "one", 1)
        shared.consume(other, "other", 1)
        leaving.call(amqp.ChannelClose(200))
        for channel, body in ((one, b"0"), (other, b"1")):
            content = channel.message(amqp.BasicDeliver)
            equal((content.body, fields(content).redelivered), (body, True))
            shared.expect_nothing(channel)


@case("CONSUME-22", "QOS-08")
def a_consumer_with_room_again_is_last_in_turn(rabbit: Rabbit) -> None:
    """A consumer that was skipped because of its limit comes after the others once it has room again."""
    for queue_type in _TYPES:
        shared, connection = _Shared(rabbit, queue_type), rabbit.raw()
        channels = {tag: connection.channel(number) for number, tag in enumerate("abc", 1)}
        for tag, channel in channels.items():
            shared.consume(channel, tag, 1 if tag == "a" else 10)
        shared.publish(b"0", b"1", b"2", b"3")  # the last message skips consumer a, whose prefetch is used up
        (first,) = shared.expect(channels["a"], b"0")
        shared.expect(channels["b"], b"1", b"3")
        shared.expect(channels["c"], b"2")
        channels["a"].send(amqp.BasicAck(first))
        shared.publish_behind(channels["a"], b"4")
        shared.expect(channels["c"], b"4")
        shared.publish(b"5", b"6")
        shared.expect(channels["b"], b"5")
        shared.expect(channels["a"], b"6")

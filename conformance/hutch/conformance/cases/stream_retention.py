"""What streams drop, by size and by age, and what they keep over a restart (https://www.rabbitmq.com/docs/streams#retention)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.conformance.streams import FIRST, at, offset_of, publish, read, reader, stream, take
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable

#: Each message of this size fills a segment.
_KILOBYTE = bytes(1000)
_SEGMENTS: FieldTable = {"x-stream-max-segment-size-bytes": 1000}


def _first_offset(rabbit: Rabbit, queue: str, arguments: FieldTable = FIRST) -> int:
    """The offset of the first message that a new reader gets."""
    consumer = reader(rabbit, queue, arguments, prefetch=1)
    offset = offset_of(take(consumer)[0])
    consumer.close()
    return offset


def _fill(channel: RawChannel, queue: str, count: int) -> None:
    for _ in range(count):
        publish(channel, queue, _KILOBYTE)


@case("QUEUE-ARG-28", "STREAM-06")
def segments_take_offsets(rabbit: Rabbit) -> None:
    """Each segment but the first begins with an entry of the broker's own, which takes an offset."""
    channel, queue = stream(rabbit, 0, _SEGMENTS)
    _fill(channel, queue, 3)
    equal([offset_of(content) for content in take(reader(rabbit, queue), 3)], [0, 2, 4])
    for offset, wanted in ((1, 2), (2, 2), (3, 4)):
        equal(_first_offset(rabbit, queue, at(offset)), wanted)
    channel, queue = stream(rabbit, 0, {"x-stream-max-segment-size-bytes": 2500})
    _fill(channel, queue, 5)
    equal([offset_of(content) for content in take(reader(rabbit, queue), 5)], [0, 1, 2, 4, 5])


@case("QUEUE-ARG-26", "STREAM-06")
def the_oldest_go_by_size(rabbit: Rabbit) -> None:
    """Once the segments take up more than x-max-length-bytes the oldest go; whoever begins before the rest begins with
    it.
    """
    channel, queue = stream(rabbit, 0, {**_SEGMENTS, "x-max-length-bytes": 3000})
    _fill(channel, queue, 6)
    publish(channel, queue, b"behind")
    rabbit.eventually(lambda: _first_offset(rabbit, queue) == 8, "a stream beyond its size is not cut off")
    for offset in ("first", 0, -5, 7, "1h"):
        equal(_first_offset(rabbit, queue, at(offset)), 8)
    equal(_first_offset(rabbit, queue, at("last")), 12)
    channel.expect_ready(queue, 6)


@case("QUEUE-ARG-26")
def segments_go_as_a_whole(rabbit: Rabbit) -> None:
    """A stream within one segment keeps all, and so does one without a limit."""
    channel, queue = stream(rabbit, 0, {"x-max-length-bytes": 1000})
    _, unlimited = stream(rabbit, 0, _SEGMENTS)
    for name in (queue, unlimited):
        _fill(channel, name, 6)
        equal(len(read(rabbit, name, 6)), 6)


@case("QUEUE-ARG-27")
def the_oldest_go_by_age(rabbit: Rabbit) -> None:
    """With a new segment, older ones go whose messages are all older than x-max-age; in one segment, all stay."""
    channel, queue = stream(rabbit, 0, {**_SEGMENTS, "x-max-age": "2s"})
    _, whole = stream(rabbit, 2, {"x-max-age": "2s"})
    _fill(channel, queue, 3)
    rabbit.advance(3)
    for name in (queue, whole):
        _fill(channel, name, 1)
        publish(channel, name, b"behind")
    rabbit.eventually(lambda: _first_offset(rabbit, queue) == 6, "a stream's old segments do not go")
    equal(read(rabbit, whole, 4)[:2], [b"0", b"1"])


@case("QUEUE-ARG-27")
def both_limits(rabbit: Rabbit) -> None:
    """With both limits, a segment is deleted if either limit says so."""
    arguments: FieldTable = {**_SEGMENTS, "x-max-age": "1h", "x-max-length-bytes": 3000}
    channel, queue = stream(rabbit, 0, arguments)
    _fill(channel, queue, 6)
    publish(channel, queue, b"behind")
    rabbit.eventually(lambda: _first_offset(rabbit, queue) == 8, "a stream beyond its size is not cut off")


@case("RESTART-10")
def a_stream_over_a_restart(rabbit: Rabbit) -> None:
    """A stream keeps all its messages over a restart, persistent or not, delivered or not; offsets go on."""
    channel, queue = stream(rabbit, 2)
    publish(channel, queue, b"2", delivery_mode=1)
    take(reader(rabbit, queue), 3)
    rabbit.restart()
    rabbit.eventually(lambda: rabbit.has_queue(queue), "the stream does not come back")
    channel = rabbit.raw().channel()
    channel.call(amqp.ConfirmSelect())
    publish(channel, queue, b"3")
    got = take(reader(rabbit, queue), 4)
    equal([content.body for content in got], [b"0", b"1", b"2", b"3"])
    equal([offset_of(content) for content in got], [0, 1, 2, 3])
    channel.expect_ready(queue, 4)

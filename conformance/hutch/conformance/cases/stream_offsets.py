"""Where the readers of a stream begin, and what they leave out (STREAM-05 to -08, -16)."""

from datetime import datetime
from decimal import Decimal

from hutch.conformance.arguments import INTEGERS
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import fields
from hutch.conformance.streams import (
    FAR_AHEAD,
    FIRST,
    LONG_AGO,
    at,
    bodies,
    offset_of,
    publish,
    read,
    reader,
    stream,
    take,
)
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Float32, Int64


@case("STREAM-05")
def without_an_offset(rabbit: Rabbit) -> None:
    """A reader that says nothing gets what is published from now on."""
    channel, queue = stream(rabbit, 2)
    consumer = reader(rabbit, queue, {})
    publish(channel, queue, b"2")
    (content,) = take(consumer)
    equal((content.body, offset_of(content)), (b"2", 2))


@case("STREAM-06")
def offsets_with_a_name(rabbit: Rabbit) -> None:
    """A string or a byte array tells: ``first`` is the oldest message there is, ``last`` the newest chunk, and ``next``
    what is published from now on.
    """
    channel, queue = stream(rabbit, 3)
    consumers = {
        name: reader(rabbit, queue, at(value))
        for name, value in (("first", "first"), ("last", "last"), ("next", "next"), ("bytes", ByteArray(b"last")))
    }
    publish(channel, queue, b"3")
    equal(bodies(consumers["first"], 4), [b"0", b"1", b"2", b"3"])
    equal(bodies(consumers["last"], 2), [b"2", b"3"])
    equal(bodies(consumers["bytes"], 2), [b"2", b"3"])
    equal(bodies(consumers["next"]), [b"3"])


@case("STREAM-06")
def offsets_by_number(rabbit: Rabbit) -> None:
    """An integer of any width is the offset of the first message that is wanted; a negative one is the first's."""
    _, queue = stream(rabbit, 7)
    for number in (0, 2, 6, Int64(6)):
        equal(read(rabbit, queue, 7 - number, at(number))[0], b"%d" % number)
    for width in INTEGERS:
        equal(read(rabbit, queue, 2, at(width)), [b"5", b"6"])
    for negative in (-1, Int64(-(1 << 62))):
        equal(read(rabbit, queue, 1, at(negative)), [b"0"])


@case("STREAM-06")
def offsets_that_are_not_there_yet(rabbit: Rabbit) -> None:
    """A reader that begins beyond the end waits until the stream has got there."""
    channel, queue = stream(rabbit, 2)
    consumer = rabbit.raw().channel()
    consumer.call(amqp.BasicQos(prefetch_count=10))
    for tag, offset in (("four", 4), ("next", 2)):
        consumer.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments=at(offset)))
    for number in range(2, 6):
        publish(channel, queue, b"%d" % number)
    got = [(fields(content).consumer_tag, content.body) for content in take(consumer, 6)]
    equal([body for tag, body in got if tag == "next"], [b"2", b"3", b"4", b"5"])
    equal([body for tag, body in got if tag == "four"], [b"4", b"5"])


@case("STREAM-06")
def beginning_at_an_empty_stream(rabbit: Rabbit) -> None:
    """Where there is no message yet, all offsets but later numbers stand for the first one to come."""
    channel, queue = stream(rabbit)
    begin: tuple[FieldValue, ...] = ("first", "last", "next", 0, -1, "1h", LONG_AGO, FAR_AHEAD)
    consumers = [reader(rabbit, queue, at(offset)) for offset in begin]
    later = reader(rabbit, queue, at(1))
    for body in (b"a", b"b"):
        publish(channel, queue, body)
    for consumer in consumers:
        equal(bodies(consumer, 2), [b"a", b"b"])
    equal(bodies(later), [b"b"])


@case("STREAM-06")
def offsets_by_timestamp(rabbit: Rabbit) -> None:
    """A timestamp stands for the first message that came then or later; one after all of them for the next message,
    whenever that comes.
    """
    channel, queue = stream(rabbit, 2)
    equal(read(rabbit, queue, 2, at(LONG_AGO)), [b"0", b"1"])
    equal(read(rabbit, queue, 2, at(datetime(1970, 1, 1))), [b"0", b"1"])
    consumer = reader(rabbit, queue, at(FAR_AHEAD))
    publish(channel, queue, b"2")
    equal(bodies(consumer), [b"2"])


@case("STREAM-06")
def offsets_by_age(rabbit: Rabbit) -> None:
    """An age stands for the first message that is no older; where all are, for the next one."""
    channel, queue = stream(rabbit, 2)
    for age in ("1h", "2Y", "3M", "4D", "5m", "01h", "9999999999999999h"):
        equal(read(rabbit, queue, 2, at(age)), [b"0", b"1"])
    rabbit.advance(3)
    late = reader(rabbit, queue, at("2s"))
    publish(channel, queue, b"2")
    equal(bodies(late), [b"2"])
    equal(read(rabbit, queue, 1, at("2s")), [b"2"])
    equal(read(rabbit, queue, 3, at("5m")), [b"0", b"1", b"2"])


@case("STREAM-07")
def offsets_that_are_malformed(rabbit: Rabbit) -> None:
    """A string that is neither a name nor an age is refused."""
    _, queue = stream(rabbit, 1)
    where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    for offset in ("5x", "1d", "0s", "1hh", "1 h", "1"):
        channel = rabbit.raw().channel()
        channel.send(amqp.BasicConsume(queue=queue, arguments=at(offset)))
        reason = f'{{invalid_stream_offset_arg,{{longstr,<<"{offset}">>}}}}'
        channel.expect_close(406, f"invalid arg 'x-stream-offset' for {where}: {reason}", (60, 20))


@case("STREAM-07")
def offsets_without_a_number(rabbit: Rabbit) -> None:
    """4.x refuses an offset that is a string and does not begin with a digit; in 3.x it is an internal error."""
    _, queue = stream(rabbit, 1)
    where = f"queue '{queue}' in vhost '{rabbit.vhost}'"
    for offset, printed in (("bogus", '<<"bogus">>'), ("first ", '<<"first ">>'), ("", "<<>>"), ("-1h", '<<"-1h">>')):
        channel = rabbit.raw().channel()
        channel.call(amqp.BasicQos(prefetch_count=1))
        channel.send(amqp.BasicConsume(queue=queue, arguments=at(offset)))
        if rabbit.profile == "3.10":
            channel.connection.expect_close(541, "", (0, 0))
        else:
            reason = f"{{invalid_stream_offset_arg,{{longstr,{printed}}}}}"
            channel.expect_close(406, f"invalid arg 'x-stream-offset' for {where}: {reason}", (60, 20))


@case("STREAM-08")
def offsets_of_other_types(rabbit: Rabbit) -> None:
    """What is neither text nor a timestamp nor an integer is an internal error, once there is nothing else wrong."""
    _, queue = stream(rabbit, 1)
    others: tuple[FieldValue, ...] = (1.5, Float32(1.5), True, None, [1], {"a": 1}, Decimal(1), ByteArray(b"1h"))
    for offset in others:
        channel = rabbit.raw().channel()
        channel.call(amqp.BasicQos(prefetch_count=1))
        channel.send(amqp.BasicConsume(queue=queue, arguments=at(offset)))
        channel.connection.expect_close(541, "", (0, 0))
    channel = rabbit.raw().channel()
    channel.send(amqp.BasicConsume(queue=queue, arguments=at(1.5)))
    equal(fields(channel.read()).reply_code, 406)


@case("CONSUME-25", "CONSUME-26", "CONSUME-27")
def arguments_of_readers(rabbit: Rabbit) -> None:
    """A stream refuses a priority, whatever it is, and in 3.x x-cancel-on-ha-failover, in 4.x x-consumer-timeout; what
    else there may be means nothing.
    """
    _, queue = stream(rabbit, 1)
    where = f"queue '{queue}' in vhost '{rabbit.vhost}' of queue type rabbit_stream_queue"
    name = rabbit.by_profile({"3.10": "x-cancel-on-ha-failover", "4.3": "x-consumer-timeout"})
    refused: tuple[tuple[str, FieldValue], ...] = (("x-priority", 1), ("x-priority", "a"), (name, 1000), (name, "a"))
    for argument, value in refused:
        channel = rabbit.raw().channel()
        channel.send(amqp.BasicConsume(queue=queue, no_ack=True, arguments={argument: value}))
        channel.expect_close(406, f"invalid arg '{argument}' for {where}", (60, 20))
    ignored: tuple[tuple[str, FieldValue], ...] = (
        ("foo", 1),
        ("x-credit", 5),
        ("x-credit", {"credit": Int64(5), "drain": False}),
        ("x-single-active-consumer", True),
        ("x-stream-match-unfiltered", False),
        ("x-stream-filter", 5),
        ("x-stream-filter", {"a": 1}),
        ("x-stream-filter", ByteArray(b"a")),
    )
    for argument, value in ignored:
        equal(read(rabbit, queue, 1, {**FIRST, argument: value}), [b"0"])


def _filtered(rabbit: Rabbit) -> str:
    """A stream of seven messages, each a chunk of its own, three of them without a filter value, which may be empty."""
    channel, queue = stream(rabbit)
    for number, value in enumerate(("a", "b", None, "a", "", "c", None)):
        headers = {} if value is None else {"x-stream-filter-value": value}
        publish(channel, queue, b"%d" % number, headers=headers)
    return queue


@case("STREAM-16", profiles=["3.10"])
def filters_mean_nothing(rabbit: Rabbit) -> None:
    """3.x ignores filters."""
    queue = _filtered(rabbit)
    wanted: tuple[FieldValue, ...] = ("a", ["b"], [], "zzz")
    for value in wanted:
        got = read(rabbit, queue, 7, {**FIRST, "x-stream-filter": value})
        equal(got, [b"0", b"1", b"2", b"3", b"4", b"5", b"6"])


@case("STREAM-16", profiles=["4.3"])
def filtering_a_stream(rabbit: Rabbit) -> None:
    """In 4.x chunks without a message that has one of the filter values are left out; x-stream-match-unfiltered, or an
    empty filter value behind all others, lets through those without any.
    """
    queue = _filtered(rabbit)
    marker = rabbit.raw().channel()
    marker.call(amqp.ConfirmSelect())
    consumers = []
    expectations: tuple[tuple[FieldTable, bytes], ...] = (
        ({"x-stream-filter": "a"}, b"03"),
        ({"x-stream-filter": ["a", "b"]}, b"013"),
        ({"x-stream-filter": ["b", 5]}, b"1"),
        ({"x-stream-filter": "zzz"}, b""),
        ({"x-stream-filter": ""}, b"246"),
        ({"x-stream-filter": ["c", ""]}, b"2456"),
        ({"x-stream-filter": ["", "c"]}, b"5"),
        ({"x-stream-filter": "a", "x-stream-match-unfiltered": True}, b"02346"),
        ({"x-stream-filter": "a", "x-stream-match-unfiltered": False}, b"03"),
        ({"x-stream-filter": "a", "x-stream-match-unfiltered": "true"}, b"03"),
        ({"x-stream-match-unfiltered": True}, b"0123456"),
        ({"x-stream-filter": "a", **at(1)}, b"3"),
    )
    for arguments, wanted in expectations:
        consumers.append((reader(rabbit, queue, {**FIRST, **arguments}), wanted))
    for value in ("a", "b", "zzz", "", "c"):
        publish(marker, queue, b"!", headers={"x-stream-filter-value": value})
    for consumer, wanted in consumers:
        equal(b"".join(bodies(consumer, len(wanted) + 1)), wanted + b"!")


@case("STREAM-16", profiles=["4.3"])
def filtering_and_credit(rabbit: Rabbit) -> None:
    """In 4.x what a filter leaves out takes nothing of the prefetch."""
    channel, queue = stream(rabbit)
    consumer = reader(rabbit, queue, {"x-stream-filter": "b"}, prefetch=1)
    for number, value in enumerate("aabab"):
        publish(channel, queue, b"%d" % number, headers={"x-stream-filter-value": value})
    equal(bodies(consumer), [b"2"])
    consumer.expect_nothing()
    consumer.send(amqp.BasicAck(1))
    equal(bodies(consumer), [b"4"])


@case("STREAM-16", profiles=["4.3"])
def filters_without_a_text(rabbit: Rabbit) -> None:
    """In 4.x a filter that is an array without a string is an internal error, and so is a message whose filter value is
    no string.
    """
    channel, queue = stream(rabbit)
    arrays: tuple[FieldValue, ...] = ([], [5])
    for array in arrays:
        consumer = rabbit.raw().channel()
        consumer.call(amqp.BasicQos(prefetch_count=1))
        consumer.send(amqp.BasicConsume(queue=queue, arguments={"x-stream-filter": array}))
        consumer.connection.expect_close(541, "", (0, 0))
    values: tuple[FieldValue, ...] = (5, True, None, ByteArray(b"a"), b"\xff", ["a"])
    for value in values:
        publisher = rabbit.raw().channel()
        publisher.publish(b"x", routing_key=queue, headers={"x-stream-filter-value": value})
        publisher.connection.expect_close(541, "", (0, 0))
    publish(channel, queue, b"0")
    equal(read(rabbit, queue, 1), [b"0"])

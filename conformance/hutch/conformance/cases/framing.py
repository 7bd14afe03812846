"""Frames that are wrong, or wrong where they stand (CONN-FRAME)."""

from collections.abc import Sequence

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, METHOD, content_header, frame, method_frame
from hutch.wire.properties import NO_PROPERTIES

_FLOW = amqp.ChannelFlow(active=True).encode()
_PUBLISH = amqp.BasicPublish(routing_key="q").encode()
_NOTHING_PENDING = "expected method frame, got non method frame instead"
_NO_HEADER = "expected content header for class 60, got non content header frame instead"
_NO_BODY = "expected content body, got non content body frame instead"


def _refused(
    rabbit: Rabbit, frames: Sequence[tuple[int, int, bytes]], code: int, text: str, method: tuple[int, int] = (0, 0)
) -> None:
    """Frames sent on a connection with channel 1 open close it."""
    raw = rabbit.raw()
    raw.channel(1)
    for frame_type, channel, payload in frames:
        raw.send_frame(frame_type, channel, payload)
    raw.expect_close(code, text, method)


@case("CONN-FRAME-01")
def wrong_frame_end(rabbit: Rabbit) -> None:
    """A frame that does not end with octet 206 closes the connection with 501."""
    raw = rabbit.raw()
    raw.channel(1)
    raw.send(frame(METHOD, 1, _FLOW)[:-1] + b"\0")
    raw.expect_close(501, "type 1, all octets = <<0,20,0,20,1>>: {invalid_frame_end_marker,0}", (0, 0))


@case("CONN-FRAME-02")
def payloads_in_reply_texts(rabbit: Rabbit) -> None:
    """Reply texts show the first 16 octets of a payload, as a string if all can be printed, else as numbers."""
    texts = {
        b"\0\1": "all octets = <<0,1>>",
        b"abc": 'all octets = <<"abc">>',
        b"": "all octets = <<>>",
        bytes(range(16)): "all octets = <<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15>>",
        bytes(range(17)): "first 16 octets = <<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15>>",
        b"abcdefghijklmnopq": 'first 16 octets = <<"abcdefghijklmnop">>',
    }
    for payload, text in texts.items():
        _refused(rabbit, [(4, 1, payload)], 501, f"type 4, {text}: unknown_frame")


@case("CONN-FRAME-03")
def unknown_frame_types(rabbit: Rabbit) -> None:
    """A frame of a type that does not exist closes the connection with 501, on any channel."""
    for frame_type in (0, 4, 9):
        for channel in (0, 1):
            _refused(rabbit, [(frame_type, channel, b"")], 501, f"type {frame_type}, all octets = <<>>: unknown_frame")


@case("CONN-FRAME-04")
def heartbeat_on_a_channel(rabbit: Rabbit) -> None:
    """A heartbeat on another channel than 0 is an unexpected frame."""
    _refused(rabbit, [(HEARTBEAT, 1, b"")], 505, "type 8, all octets = <<>>")


@case("CONN-FRAME-05")
def heartbeat_with_a_payload(rabbit: Rabbit) -> None:
    """A heartbeat with a payload closes the connection with 501."""
    _refused(rabbit, [(HEARTBEAT, 0, b"abc")], 501, 'type 8, all octets = <<"abc">>: unknown_frame')


@case("CONN-FRAME-06")
def content_on_channel_zero(rabbit: Rabbit) -> None:
    """A content header or body on channel 0 is an unexpected frame."""
    header = content_header(3, NO_PROPERTIES)
    octets = ",".join(map(str, header))
    _refused(rabbit, [(HEADER, 0, header)], 505, f"type 2, all octets = <<{octets}>>")
    _refused(rabbit, [(BODY, 0, b"\1")], 505, "type 3, all octets = <<1>>")


@case("CONN-FRAME-07")
def content_without_a_method(rabbit: Rabbit) -> None:
    """A header or body with no method before it is an unexpected frame, on a channel that was never opened too."""
    for channel in (1, 5):
        _refused(rabbit, [(HEADER, channel, content_header(3, NO_PROPERTIES))], 505, _NOTHING_PENDING)
        _refused(rabbit, [(BODY, channel, b"abc")], 505, _NOTHING_PENDING)


@case("CONN-FRAME-08")
def another_frame_for_a_header(rabbit: Rabbit) -> None:
    """A method or a body where a content header is due closes the connection with 505."""
    for wrong in ((METHOD, 1, _FLOW), (BODY, 1, b"abc")):
        _refused(rabbit, [(METHOD, 1, _PUBLISH), wrong], 505, _NO_HEADER, (60, 40))


@case("CONN-FRAME-09")
def header_of_another_class(rabbit: Rabbit) -> None:
    """A content header that names another class than its method's closes the connection with 505."""
    header = content_header(3, NO_PROPERTIES, class_id=50)
    text = "expected content header for class 60, got one for class 50 instead"
    _refused(rabbit, [(METHOD, 1, _PUBLISH), (HEADER, 1, header)], 505, text, (60, 40))


@case("CONN-FRAME-10")
def header_with_a_weight(rabbit: Rabbit) -> None:
    """A content header whose weight is not 0 is no content header."""
    header = b"\0\x3c\0\1" + content_header(3, NO_PROPERTIES)[4:]
    _refused(rabbit, [(METHOD, 1, _PUBLISH), (HEADER, 1, header)], 505, _NO_HEADER, (60, 40))


@case("CONN-FRAME-11")
def another_frame_for_a_body(rabbit: Rabbit) -> None:
    """A second header or a method where a body is due closes the connection with 505."""
    header = (HEADER, 1, content_header(3, NO_PROPERTIES))
    for wrong in (header, (METHOD, 1, _FLOW)):
        _refused(rabbit, [(METHOD, 1, _PUBLISH), header, wrong], 505, _NO_BODY, (60, 40))


def _received(channel: RawChannel, queue: str) -> bytes:
    return channel.got(queue).body


@case("CONN-FRAME-12", profiles=["3.10"])
def more_body_than_announced_never_ends(rabbit: Rabbit) -> None:
    """In 3.x a body frame that is longer than the announced size does not complete its message.

    (The catalogue has the message end where its size is reached.)
    """
    channel, queue = rabbit.raw_queue()
    raw = channel.connection
    channel.send(amqp.BasicPublish(routing_key=queue))
    raw.send_frame(HEADER, 1, content_header(3, NO_PROPERTIES))
    raw.send_frame(BODY, 1, b"abcde")
    raw.send_frame(BODY, 1, b"f")
    equal(raw.channel(2).get(queue), None)
    channel.send(amqp.ChannelFlow())
    raw.expect_close(505, _NO_BODY, (60, 40))


@case("CONN-FRAME-12", profiles=["4.3"])
def more_body_than_announced_is_refused(rabbit: Rabbit) -> None:
    """In 4.x a body longer than announced closes the connection with 501."""
    frames = [(METHOD, 1, _PUBLISH), (HEADER, 1, content_header(3, NO_PROPERTIES)), (BODY, 1, b"abcde")]
    _refused(rabbit, frames, 501, "content body frame exceeds remaining content size", (60, 40))


@case("CONN-FRAME-13")
def empty_body_frames(rabbit: Rabbit) -> None:
    """A body frame of no bytes within a content is passed over."""
    channel, queue = rabbit.raw_queue()
    channel.send(amqp.BasicPublish(routing_key=queue))
    channel.connection.send_frame(HEADER, 1, content_header(4, NO_PROPERTIES))
    for part in (b"ab", b"", b"cd"):
        channel.connection.send_frame(BODY, 1, part)
    equal(_received(channel, queue), b"abcd")


@case("CONN-FRAME-14")
def truncated_content_header(rabbit: Rabbit) -> None:
    """A content header cut short closes the connection with 501."""
    payload = b"\0\x3c\0\0\0\0\0\3"
    text = "type 2, all octets = <<0,60,0,0,0,0,0,3>>: unknown_frame"
    _refused(rabbit, [(METHOD, 1, _PUBLISH), (HEADER, 1, payload)], 501, text)


@case("CONN-FRAME-15")
def truncated_method_ids(rabbit: Rabbit) -> None:
    """A method frame too short for two ids closes the connection with 501."""
    _refused(rabbit, [(METHOD, 1, b"\0")], 501, "type 1, all octets = <<0>>: unknown_frame")


def _octets(payload: bytes) -> str:
    return "<<" + ",".join(map(str, payload)) + ">>"


@case("CONN-FRAME-16")
def malformed_arguments(rabbit: Rabbit) -> None:
    """Arguments cut short, or with bytes behind them, close the connection with 501; the text shows all of them."""
    whole = amqp.QueueDeclare(queue="\1").encode()
    for payload in (whole[:-2], whole + b"\1"):
        _refused(rabbit, [(METHOD, 1, payload)], 501, f"cannot decode {_octets(payload[4:])}", (50, 10))


@case("CONN-FRAME-17")
def field_table_past_its_frame(rabbit: Rabbit) -> None:
    """A field table longer than its frame closes the connection with 501."""
    payload = amqp.QueueDeclare(queue="\1").encode()[:-4] + b"\0\0\0\x10\1\2"
    _refused(rabbit, [(METHOD, 1, payload)], 501, f"cannot decode {_octets(payload[4:])}", (50, 10))


@case("CONN-FRAME-18")
def unknown_field_type_in_a_method(rabbit: Rabbit) -> None:
    """A field table in a method with a type tag that does not exist ends the connection without a close frame."""
    raw = rabbit.raw()
    raw.channel(1)
    raw.send_frame(METHOD, 1, amqp.QueueDeclare(queue="q").encode()[:-4] + b"\0\0\0\4\1aZ\1")
    rabbit.expect_dropped(raw)


@case("CONN-FRAME-19")
def short_string_that_is_not_utf_8(rabbit: Rabbit) -> None:
    """A queue name that is not UTF-8 closes the connection with 501."""
    payload = amqp.QueueDeclare(queue="q").encode().replace(b"\1q", b"\1\xff")
    _refused(rabbit, [(METHOD, 1, payload)], 501, "Malformed UTF-8 in shortstr")


@case("CONN-FRAME-20")
def properties_that_are_not_utf_8(rabbit: Rabbit) -> None:
    """Message properties and header values that are not UTF-8 pass through byte for byte."""
    channel, queue = rabbit.raw_queue()
    properties = b"\xa4\0" + b"\2\xff\xfe" + b"\0\0\0\x09" + b"\1aS\0\0\0\2\xff\xfd" + b"\1\xfc"
    channel.publish_raw(amqp.BasicPublish(routing_key=queue), properties, b"x")
    equal(channel.got(queue).properties, properties)


@case("CONN-FRAME-21", "CONN-FRAME-23")
def frames_that_are_too_large(rabbit: Rabbit) -> None:
    """A frame larger than frame_max is refused with 501 as soon as its size is known; HTTP looks like one."""
    for sent, frame_type, size in (
        (b"\1\0\1" + (200000).to_bytes(4), 1, 200000),
        (b"GET / HTTP/1.1\r\n", 71, 539959368),
    ):
        raw = rabbit.raw()
        raw.channel(1)
        raw.send(sent)
        raw.expect_close(501, f"type {frame_type}, all octets = <<>>: {{frame_too_large,{size},131064}}", (0, 0))


@case("CONN-FRAME-22")
def payloads_up_to_frame_max(rabbit: Rabbit) -> None:
    """A payload may be as large as frame_max itself, though the spec counts eight bytes more to the frame."""
    channel, queue = rabbit.raw_queue()
    channel.send(amqp.BasicPublish(routing_key=queue))
    channel.connection.send_frame(HEADER, 1, content_header(131072, NO_PROPERTIES))
    channel.connection.send_frame(BODY, 1, b"x" * 131072)
    equal(len(_received(channel, queue)), 131072)


@case("CONN-FRAME-24")
def undecodable_properties(rabbit: Rabbit) -> None:
    """Properties that cannot be read (no flags, more flags, cut short, bytes left over) are an internal error."""
    for properties in (b"", b"\x80", b"\x80\1\0\0\1a", b"\x80\0\5abc", b"\x80\0\1abc", b"\x20\0\0\0\0\5\1a"):
        frames = [(METHOD, 1, _PUBLISH), (HEADER, 1, content_header(0, properties))]
        _refused(rabbit, frames, 541, "")


@case("CONN-FRAME-25", "CONN-FRAME-24")
def the_unused_property_flags(rabbit: Rabbit) -> None:
    """The lowest two property flags are ignored, although the spec has the last say that more flags follow."""
    channel, queue = rabbit.raw_queue()
    for properties in (b"\0\2", b"\0\1", b"\x80\3\1a"):
        channel.publish_raw(amqp.BasicPublish(routing_key=queue), properties, b"x")
        equal(_received(channel, queue), b"x")


@case("CONN-FRAME-26", profiles=["4.3"])
def body_size_limit(rabbit: Rabbit) -> None:
    """4.x refuses a content header that announces more than 512 MiB."""
    header = content_header(536870913, NO_PROPERTIES)
    text = "content body size 536870913 exceeds maximum allowed size 536870912"
    _refused(rabbit, [(METHOD, 1, _PUBLISH), (HEADER, 1, header)], 501, text, (60, 40))


@case("CONN-FRAME-26", profiles=["3.10"])
def no_body_size_limit(rabbit: Rabbit) -> None:
    """3.x takes a content header that announces more than 512 MiB, and waits for the body."""
    raw = rabbit.raw()
    raw.channel(1).send(amqp.BasicPublish(routing_key="q"))
    raw.send_frame(HEADER, 1, content_header(536870913, NO_PROPERTIES))
    raw.send_frame(BODY, 1, b"x")
    raw.channel(2).expect_nothing()


@case("CONN-FRAME-27")
def unknown_field_type_in_headers(rabbit: Rabbit) -> None:
    """A header with a type tag that does not exist closes the connection with 541 when it is published."""
    for tag in (b"U", b"Z", b"c"):
        properties = b"\x20\0" + b"\0\0\0\4\1a" + tag + b"\1"
        frames = [(METHOD, 1, _PUBLISH), (HEADER, 1, content_header(0, properties))]
        _refused(rabbit, frames, 541, "")


@case("CONN-FRAME-28")
def interleaved_channels(rabbit: Rabbit) -> None:
    """Two channels' methods, headers and bodies may alternate frame by frame; each channel gets its own together."""
    channel, queue = rabbit.raw_queue()
    raw = channel.connection
    raw.channel(2)
    publish = amqp.BasicPublish(routing_key=queue).encode()
    for frames in (
        [(METHOD, publish), (HEADER, content_header(2, NO_PROPERTIES))],
        [(BODY, b"%d")],
        [(BODY, b"%d")],
    ):
        for frame_type, payload in frames:
            for number in (1, 2):
                raw.send_frame(frame_type, number, payload.replace(b"%d", b"%d" % number))
    channel.expect_ready(queue, 2)
    equal(sorted([_received(channel, queue), _received(channel, queue)]), [b"11", b"22"])


@case("CONN-FRAME-28", "CONN-CLOSE-03")
def many_methods_in_one_write(rabbit: Rabbit) -> None:
    """Methods that arrive together, cut anywhere, are answered in order."""
    raw = rabbit.raw()
    raw.channel(1)
    data = b"".join(method_frame(1, amqp.ChannelFlow(active=True).encode()) for _ in range(50))
    for start in range(0, len(data), 7):
        raw.send(data[start : start + 7])
    for _ in range(50):
        equal(raw.read(), (1, amqp.ChannelFlowOk(active=True)))


@case("CONN-FRAME-21")
def frames_larger_than_was_agreed(rabbit: Rabbit) -> None:
    """The frame_max that counts is the client's, where that is smaller."""
    raw = rabbit.raw(frame_max=8192)
    raw.channel(1)
    raw.send(b"\1\0\1" + (8193).to_bytes(4))
    raw.expect_close(501, "type 1, all octets = <<>>: {frame_too_large,8193,8184}", (0, 0))

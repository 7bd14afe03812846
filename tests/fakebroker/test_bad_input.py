"""What no client should send: the broker answers as it should, goes on with everybody else, and never breaks."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf, nan
from struct import pack

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable, FieldValue, read_table, write_table
from hutch.wire.frames import BODY, METHOD, Frame, FrameParser, content_frames, content_header, frame, method_frame
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicAck,
    BasicGet,
    BasicPublish,
    ChannelClose,
    ConnectionClose,
    ConnectionStart,
    Method,
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    QueueDeclareOk,
)
from hutch.wire.properties import PropertyValue, encode_properties
from hutch.wire.transport import RecordingTransport, Transport

from .conftest import Connect
from .peers import TCP, Peer, publishing

# Both ways to connect: the session is the same, the transport differs.
Way = Callable[[], Peer]


@pytest.fixture(params=["in-process", "TCP"])
def transport(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Callable[[], Transport]]:
    """Makes transports, not connected."""
    made: list[Transport] = []

    def make() -> Transport:
        made.append(TCP(broker.url) if request.param == "TCP" else broker.transport())
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def way(transport: Callable[[], Transport]) -> Way:
    """Makes connections on which nothing was said yet."""
    return lambda: Peer(transport())


@pytest.fixture
def opened(transport: Callable[[], Transport]) -> Way:
    """Makes connections that are open."""
    return lambda: Peer.opened(transport())


def works(broker: Broker) -> bool:
    """Whether somebody else is served."""
    with Peer.opened(broker.transport()) as peer:
        peer.declare("still works")
        peer.publish("still works", b"yes")
        return peer.get("still works") == b"yes"


# Before the handshake is over


@pytest.mark.parametrize(
    "rubbish", [b"GET / HTTP/1.1\r\n\r\n", bytes(8), b"\xff" * 5000, b"AMQP\x00\x00\x09\x02" + bytes(99)]
)
def test_rubbish_is_told_what_is_spoken_here_and_sent_away(broker: Broker, way: Way, rubbish: bytes) -> None:
    peer = way()
    peer.send(rubbish)
    assert peer.transport.receive(peer.transport.monotonic() + 5)[:4] == b"AMQP"
    assert peer.ended()
    assert works(broker)


def test_a_client_that_leaves_at_once_is_no_trouble(broker: Broker, way: Way) -> None:
    for sent in (b"", b"AM", PROTOCOL_HEADER, PROTOCOL_HEADER + b"\x01\x00"):
        peer = way()
        if sent:
            peer.send(sent)
        peer.vanish()
    assert works(broker)


# Cuts


def test_bytes_may_come_one_at_a_time(opened: Way) -> None:
    peer = opened()
    peer.declare("q")
    for byte in publishing("q", b"0123456789", content_type="text/plain") + publishing("q", b"second"):
        peer.send(bytes((byte,)))
    assert [peer.get("q"), peer.get("q"), peer.get("q")] == [b"0123456789", b"second", None]


def test_a_conversation_may_come_in_pieces_of_any_size() -> None:
    with Broker(clock=ManualClock()) as broker:
        recording = RecordingTransport(broker.transport())
        peer = Peer.opened(recording)
        peer.declare("q")
        peer.confirm()
        peer.publish_and_wait("q", b"one")
        peer.consume("q", "c", no_ack=True)
        peer.message()
        peer.publish("q", b"x" * 200_000)
        peer.message()
    whole = b"".join(data for direction, data in recording.log if direction == "sent")

    def frames(data: bytes) -> list[Frame]:
        # A queue's answer follows the answers to everything that arrived in the same piece. So the order depends on
        # the pieces.
        return sorted(FrameParser().feed(data))

    said = frames(b"".join(data for direction, data in recording.log if direction == "received"))
    for step in (len(whole), 1000, 100, 8, 7, 1):
        with Broker(clock=ManualClock(), single_confirms=True) as broker:
            pipe = broker.transport()
            pipe.connect(None)
            answers = b""
            for start in range(0, len(whole), step):
                pipe.send(whole[start : start + step])
                while pipe.readable():
                    answers += pipe.receive(pipe.monotonic())
            assert frames(answers) == said


@pytest.mark.parametrize("held", ["a publish", "an ack"])
def test_a_body_that_is_cut_where_it_holds_frames_stays_a_body(broker: Broker, opened: Way, held: str) -> None:
    peer = opened()
    peer.open_channel(2)
    peer.declare("q")
    peer.publish("q", b"outstanding on channel 2")
    peer.method(BasicGet(0, "q"), 2)
    peer.message()
    frames = publishing("q", b"held", channel=2) if held == "a publish" else method_frame(2, BasicAck(1).encode())
    body = b"before" + frames + b"behind"
    whole = publishing("q", body)
    start = whole.index(frames)
    end = start + len(frames)
    for pieces in ((whole[:start], whole[start:]), (whole[:start], whole[start:end], whole[end:])):
        for piece in pieces:
            peer.send(piece)
            broker.drain_clients()
        assert peer.get("q") == body
    assert peer.get("q") is None
    assert broker.queue("q").unacked == 1


@pytest.mark.parametrize("part", ["method", "header", "half a body", "all but the last byte"])
def test_who_dies_while_publishing_loses_that_message_alone(broker: Broker, opened: Way, part: str) -> None:
    peer = opened()
    peer.declare("q")
    peer.confirm()
    peer.publish_and_wait("q", b"before")
    whole = publishing("q", b"x" * 300_000)
    method = len(method_frame(1, BasicPublish(0, "", "q").encode()))
    cuts = {"method": method, "header": method + 22, "half a body": 150_000, "all but the last byte": len(whole) - 1}
    peer.send(publishing("q", b"together") + whole[: cuts[part]])
    peer.expect(BasicAck)
    peer.vanish()
    other = opened()
    assert [other.get("q"), other.get("q"), other.get("q")] == [b"before", b"together", None]


def test_another_channel_goes_on_while_a_message_is_half_sent(opened: Way) -> None:
    peer = opened()
    peer.open_channel(2)
    peer.declare("q")
    half = frame(BODY, 1, b"slow" * 50)
    peer.method(BasicPublish(0, "", "q"))
    peer.send(content_frames(1, content_header(400, b"\0\0"), b"", 0) + half)
    peer.send(publishing("q", b"quick", channel=2))
    peer.method(QueueDeclare(0, "q", passive=True), 2)
    assert peer.expect(QueueDeclareOk).message_count == 1
    peer.send(half)
    assert [peer.get("q"), peer.get("q")] == [b"quick", b"slow" * 100]


# Sizes


def test_a_frame_of_four_gigabytes_is_refused_at_its_first_bytes(broker: Broker, opened: Way) -> None:
    peer = opened()
    peer.send(pack(">BHI", METHOD, 1, 0xFFFFFFFF))
    text = "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,131064}"
    assert peer.expect(ConnectionClose) == ConnectionClose(501, text)
    assert works(broker)


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_huge_body_that_is_only_announced_takes_no_room(profile: str) -> None:
    with Broker(profile) as broker, Peer.opened(broker.transport()) as peer:
        peer.method(BasicPublish(0, "", "q"))
        peer.send(content_frames(1, content_header(1 << 63, b"\0\0"), b"", 0))
        if profile == "4.3":
            assert peer.expect(ConnectionClose).reply_code == 501
        else:
            peer.send(frame(BODY, 1, b"some of it"))
            peer.open_channel(2)
        assert works(broker)


def test_frames_of_the_smallest_size_carry_a_message_of_many(broker: Broker, tcp: Connect, pipe: Connect) -> None:
    body = bytes(range(256)) * 1000
    for connect in (tcp, pipe):
        peer = connect(broker, frame_max=8192)
        peer.declare("q")
        peer.method(BasicPublish(0, "", "q"))
        peer.send(content_frames(1, content_header(len(body), b"\0\0"), body, 8192))
        peer.method(BasicGet(0, "q"))
        sizes = [len(peer.read_frame()[2]) for _ in range(2 + -(-len(body) // 8184))]
        assert max(sizes) == 8184


# Methods cut short


def declared_with_everything() -> bytes:
    arguments: FieldTable = {"x-a": [1, "two", {"three": 3.0}], "x-b": {"k": b"\xff", "l": None}, "x-c": True}
    return QueueDeclare(0, "queue", exclusive=True, arguments=arguments).encode()


def test_a_method_cut_anywhere_closes_the_connection_and_nothing_else(broker: Broker) -> None:
    payload = declared_with_everything()
    for length in range(len(payload)):
        with Peer.opened(broker.transport()) as peer:
            peer.send(method_frame(1, payload[:length]))
            assert peer.expect(ConnectionClose).reply_code == 501
    assert broker.history.of("declared") == []
    assert works(broker)


def test_any_byte_of_a_method_may_be_wrong(broker: Broker) -> None:
    payload = declared_with_everything()
    for position in range(4, len(payload)):
        for value in (0, 0x7F, 0xFF, payload[position] ^ 1):
            wrong = payload[:position] + bytes((value,)) + payload[position + 1 :]
            with Peer.opened(broker.transport()) as peer:
                peer.send(method_frame(1, wrong))
                with suppress(OSError):
                    peer.fill()
    assert works(broker)


@pytest.mark.parametrize("ids", [(0, 0), (60, 99), (99, 1), (0xFFFF, 0xFFFF), (40, 50)])
@pytest.mark.parametrize("channel", [0, 1, 7])
def test_a_method_that_does_not_exist_ends_the_stream(
    broker: Broker, opened: Way, ids: tuple[int, int], channel: int
) -> None:
    peer = opened()
    peer.declare("q", exclusive=True)
    peer.send(method_frame(channel, pack(">HH", *ids)) + publishing("q", b"too late"))
    assert peer.ended()
    assert broker.history.of("published") == []
    assert works(broker)


@pytest.mark.parametrize(
    "method",
    [QueueDeclare(0, "??"), QueueBind(0, "??", "amq.direct"), BasicGet(0, "??"), BasicPublish(0, "", "??")],
)
def test_a_name_that_is_not_utf8_closes_the_connection(broker: Broker, opened: Way, method: Method) -> None:
    peer = opened()
    peer.send(method_frame(1, method.encode().replace(b"??", b"\xff\xfe")))
    assert peer.expect(ConnectionClose) == ConnectionClose(501, "FRAME_ERROR - Malformed UTF-8 in shortstr")


# Properties whose text is not valid


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"expiration": b"\xff\xfe"}, "invalid expiration 'ÿþ': no_integer"),
        ({"expiration": b"5\xff"}, "invalid expiration '5ÿ': {leftover_string,\"ÿ\"}"),
        ({"user_id": b"gu\xffest"}, "user_id property set to 'guÿest' but authenticated user was 'guest'"),
    ],
)
def test_a_reply_text_shows_bytes_that_are_no_text_as_characters(
    opened: Way, properties: dict[str, PropertyValue], text: str
) -> None:
    peer = opened()
    header = content_header(0, encode_properties(properties))
    peer.send(method_frame(1, BasicPublish(0, "", "q").encode()) + content_frames(1, header, b"", 0))
    assert peer.expect(ChannelClose) == ChannelClose(406, f"PRECONDITION_FAILED - {text}", 60, 40)


def test_bytes_that_are_no_text_pass_through_properties_and_headers(opened: Way) -> None:
    peer = opened()
    peer.declare("q")
    peer.publish("q", b"", content_type=b"\xff/\xfe", headers={"k": b"\xff", "l": [b"\x80"]}, message_id=b"\xc3")
    peer.method(BasicGet(0, "q", no_ack=True))
    got = peer.read()
    assert isinstance(got, Content)
    assert b"\x03\xff/\xfe" in got.properties
    assert got.properties.endswith(b"\x01\xc3")
    table, _ = read_table(got.properties, 2 + 4)
    assert table == {"k": b"\xff", "l": [b"\x80"]}


# Tables


def nested(levels: int, kind: str) -> bytes:
    """A field value, tag first, of arrays or tables in one another."""
    value = b"V"
    for _ in range(levels):
        content = value if kind == "A" else b"\0" + value
        value = kind.encode() + pack(">I", len(content)) + content
    return value


def a_table(value: bytes) -> bytes:
    return pack(">I", 2 + len(value)) + b"\1k" + value


def declaring(table: bytes) -> bytes:
    return method_frame(1, QueueDeclare(0, "deep").encode()[:-4] + table)


def binding(table: bytes) -> bytes:
    return method_frame(1, QueueBind(0, "q", "amq.direct", "k").encode()[:-4] + table)


def publishing_headers(table: bytes) -> bytes:
    header = content_header(0, pack(">H", 1 << 13) + table)
    return method_frame(1, BasicPublish(0, "", "q").encode()) + content_frames(1, header, b"", 0)


TOO_DEEP = "NOT_IMPLEMENTED - field table nested more than 64 levels deep"


@pytest.mark.parametrize("kind", ["A", "F"])
@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_table_may_be_nested_deeply(profile: str, kind: str) -> None:
    table = a_table(nested(63, kind))
    with Broker(profile, ManualClock()) as broker, Peer.opened(broker.transport()) as peer:
        peer.declare("dead")
        peer.declare("q", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
        for data, answer in ((declaring(table), QueueDeclareOk), (binding(table), QueueBindOk)):
            peer.send(data)
            peer.expect(answer)
        peer.send(publishing_headers(table))
        peer.method(BasicGet(0, "q"))
        got = peer.read()
        assert isinstance(got, Content)
        assert got.properties.endswith(nested(63, kind))
        peer.vanish()
    assert broker.queue("q").ready == 1


@pytest.mark.parametrize("levels", [64, 65, 100, 500, 5000, 21000])
@pytest.mark.parametrize("kind", ["A", "F"])
def test_deeper_than_that_is_not_implemented_and_says_so(broker: Broker, levels: int, kind: str) -> None:
    """RabbitMQ takes thousands of levels, until one day its virtual machine crashes."""
    table = a_table(nested(levels, kind))
    for data in (declaring(table), binding(table), publishing_headers(table)):
        with Peer.opened(broker.transport()) as peer:
            peer.declare("q")
            peer.send(data)
            close = peer.expect(ConnectionClose)
            assert (close.reply_code, close.reply_text) == (540, TOO_DEEP)
    assert works(broker)


def test_deep_properties_of_a_client_are_not_its_way_in(manual: Broker, clock: ManualClock) -> None:
    with Peer(manual.transport()) as peer:
        peer.send(PROTOCOL_HEADER)
        peer.expect(ConnectionStart)
        peer.send(method_frame(0, pack(">HH", 10, 11) + a_table(nested(9000, "A")) + b"\5PLAIN\0\0\0\0\0"))
        clock.advance(3)
        assert peer.ended()
    assert works(manual)


@pytest.mark.parametrize("value", [inf, -inf, nan, [nan], {"k": {"l": inf}}])
def test_floats_that_erlang_does_not_have(opened: Way, broker: Broker, value: FieldValue) -> None:
    table = write_table({"k": value})
    peer = opened()
    peer.send(declaring(table))
    assert peer.ended()
    peer = opened()
    peer.send(publishing_headers(table))
    assert peer.expect(ConnectionClose) == ConnectionClose(541, "INTERNAL_ERROR")
    assert works(broker)


@pytest.mark.parametrize("key", ["r" * 256, b"\xff"])
def test_a_dead_letter_routing_key_that_no_message_can_have(opened: Way, key: FieldValue) -> None:
    peer = opened()
    arguments: dict[str, FieldValue] = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": key}
    peer.method(QueueDeclare(0, "q", arguments=arguments))
    close = peer.expect(ConnectionClose)
    assert close.reply_code == 540
    assert "x-dead-letter-routing-key" in close.reply_text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": 1, "b": "x"}, 'the value \'[{<<"a">>,signedint,1},{<<"b">>,longstr,<<"x">>}]\' of type \'table\''),
        ([1], "the value '[{signedint,1}]' of type 'array'"),
        ({}, "the value '[]' of type 'table'"),
        (None, "the value 'undefined' of type 'void'"),
        (b"\xff\xfe", "the value 'ÿþ' of type 'longstr'"),
        (1e300, "the value '1.0e300' of type 'double'"),
    ],
)
def test_a_redeclaration_with_an_odd_value_is_refused_in_erlangs_words(
    opened: Way, value: FieldValue, shown: str
) -> None:
    peer = opened()
    peer.declare("q")
    peer.method(QueueDeclare(0, "q", arguments={"x-expires": value}))
    text = f"inequivalent arg 'x-expires' for queue 'q' in vhost '/': received {shown} but current is none"
    assert peer.expect(ChannelClose).reply_text == f"PRECONDITION_FAILED - {text}"


# After the end of the connection


def test_what_comes_after_a_bad_frame_counts_for_nothing(broker: Broker, opened: Way) -> None:
    peer = opened()
    peer.declare("q")
    bad = bytearray(method_frame(1, QueueDeclare(0, "x").encode()))
    bad[-1] = 0
    peer.send(bytes(bad) + publishing("q", b"too late"))
    assert peer.expect(ConnectionClose).reply_code == 501
    for _ in range(3):
        peer.send(b"\xff" * 100)
    peer.send(publishing("q", b"too late"))
    assert broker.queue("q").ready == 0
    assert works(broker)


def test_silence_does_not_grow_longer_while_rubbish_comes_in(manual: Broker, clock: ManualClock) -> None:
    with Peer(manual.transport()) as peer:
        peer.greet()
        peer.send(b"\xff" * 100)
        for _ in range(29):
            clock.advance(milliseconds=100)
            peer.send(b"\xff" * 100)
        clock.advance(milliseconds=100)
        assert peer.ended()
        assert manual.hub.next_timer_at() is None


def test_a_half_closed_connection_is_over(broker: Broker, tcp: Connect, pipe: Connect) -> None:
    peer = tcp(broker)
    peer.declare("q", exclusive=True)
    assert isinstance(peer.transport, TCP)
    peer.transport.socket.shutdown(socket.SHUT_WR)
    assert peer.ended()
    assert pipe(broker).declare("q").consumer_count == 0

"""The reader against arbitrary cuts: whatever the pieces, the same methods in the same order."""

from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.client.message import ReceivedMessage
from hutch.client.reader import ToPeers, Violation, reader_of, violation_of
from hutch.wire.content import Content
from hutch.wire.cutter import COMMAND, PART, Cutter
from hutch.wire.declaration import Method
from hutch.wire.frames import BODY, END, HEARTBEAT_FRAME, METHOD, FrameError, FrameParser, frame, method_frame
from hutch.wire.methods import BasicAck, BasicNack, ConnectionUnblocked, QueueDeclareOk
from hutch.wire.properties import NO_PROPERTIES, Properties
from tests.client.scripted import delivery

Event = tuple[object, ...]


class Log:
    """A peer that writes down what it is handed."""

    is_closing = False

    def __init__(self, number: int, events: list[Event]) -> None:
        self._number = number
        self._events = events

    def receive_delivery(self, message: ReceivedMessage, consumer_tag: str) -> None:
        info = message.delivery_info
        assert info is not None
        assert info["consumer_tag"] == consumer_tag
        tag, redelivered = info["delivery_tag"], info["redelivered"]
        self._events.append((self._number, consumer_tag, tag, redelivered, message.body, message.properties))

    def receive_ack(self, delivery_tag: int, multiple: bool) -> None:
        self._events.append((self._number, "ack", delivery_tag, multiple))

    def receive_method(self, method: Method, content: Content | None) -> None:
        self._events.append((self._number, method, content))


def next_method(reader: Cutter) -> bool:
    """Whether a method was handed on."""
    try:
        while (taken := reader.next()) == PART:
            pass
    except FrameError as error:
        raise violation_of(error, reader.frame_max) from None
    return taken == COMMAND


def read(pieces: list[bytes]) -> list[Event]:
    events: list[Event] = []
    reader = reader_of(ToPeers({number: Log(number, events) for number in range(3)}))
    for piece in pieces:
        reader.add(piece)
        while next_method(reader):
            assert events
        assert not reader.has_unseen()
    return events


numbers = st.integers(1, 2)
tags = st.integers(0, 2**64 - 1)
deliveries = st.builds(
    lambda channel, consumer, tag, redelivered, body, raw, frame_max: (
        delivery(body, tag, channel, consumer, raw, redelivered, frame_max),
        (channel, consumer, tag, redelivered, body, Properties(raw).values),
    ),
    numbers,
    st.sampled_from(["", "ctag", "x" * 255]),
    tags,
    st.booleans(),
    st.binary(max_size=200),
    st.sampled_from([NO_PROPERTIES, Properties.of(message_id="1").raw, Properties.of(type="t", priority=2).raw]),
    st.sampled_from([0, 9, 60]),
)
acks = st.builds(
    lambda channel, tag, multiple: (
        method_frame(channel, BasicAck(tag, multiple).encode()),
        (channel, "ack", tag, multiple),
    ),
    numbers,
    tags,
    st.booleans(),
)
others = st.builds(
    lambda channel, method: (method_frame(channel, method.encode()), (channel, method, None)),
    numbers,
    st.sampled_from([BasicNack(3, True), QueueDeclareOk("q", 1, 2)]),
)
news = st.just((method_frame(0, ConnectionUnblocked().encode()), (0, ConnectionUnblocked(), None)))
heartbeats = st.just((HEARTBEAT_FRAME, None))


@given(st.lists(st.one_of(deliveries, acks, others, news, heartbeats), max_size=8), st.data())
def test_any_cut_gives_the_same(parts: list[tuple[bytes, Event | None]], data: st.DataObject) -> None:
    stream = b"".join(part for part, _ in parts)
    expected = [event for _, event in parts if event is not None]
    assert read([stream]) == expected
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read([piece for piece in pieces if piece]) == expected
    assert read([stream[index : index + 1] for index in range(len(stream))]) == expected


@pytest.mark.parametrize("padding", [b"", b"x" * 40_000])
@pytest.mark.parametrize(
    "held",
    [
        pytest.param(delivery(b"held", channel=2), id="delivery"),
        pytest.param(method_frame(2, BasicAck(1, False).encode()), id="ack"),
        pytest.param(method_frame(2, QueueDeclareOk("q", 1, 2).encode()), id="method"),
    ],
)
def test_a_body_that_is_cut_where_it_holds_frames_stays_a_body(held: bytes, padding: bytes) -> None:
    body = b"before" + held + b"behind" + padding
    stream = delivery(body)
    start = stream.index(held)
    end = start + len(held)
    for pieces in ((stream[:start], stream[start:]), (stream[:start], stream[start:end], stream[end:])):
        ((number, _, _, _, received, _),) = read(list(pieces))
        assert (number, received) == (1, body)
    ((number, _, _, _, received, _),) = read_into_place(stream, iter([start, len(held), len(stream)]))
    assert (number, received) == (1, body)


@given(st.lists(st.one_of(deliveries, acks, others), min_size=1, max_size=3), st.data())
def test_a_changed_octet_is_read_otherwise_or_refused(
    parts: list[tuple[bytes, Event | None]], data: st.DataObject
) -> None:
    """Whatever comes, nothing but a violation or an error of a field table comes out."""
    stream = bytearray(b"".join(part for part, _ in parts))
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= data.draw(st.integers(1, 255))
    outcomes = []
    for pieces in ([bytes(stream)], [bytes(stream[index : index + 1]) for index in range(len(stream))]):
        try:
            outcomes.append(str(read(pieces)))
        except Violation as violation:
            outcomes.append(str(violation))
        except ValueError as error:
            outcomes.append(type(error).__name__)  # the properties cannot be decoded
    assert outcomes[0] == outcomes[1]


def read_into_place(stream: bytes, sizes: Iterator[int], frame_max: int = 0) -> list[Event]:
    """As from a socket that brings so many bytes at a time, received right into a body where there is room for it."""
    events: list[Event] = []
    reader = reader_of(ToPeers({number: Log(number, events) for number in range(3)}))
    reader.frame_max = frame_max
    rest = memoryview(stream)
    while rest:
        room = reader.room()
        if room is None:
            size = next(sizes)
            reader.add(bytes(rest[:size]))
        else:
            with room:
                size = min(next(sizes), len(room), len(rest))
                room[:size] = rest[:size]
                reader.filled(room, size)
        rest = rest[size:]
        while next_method(reader):
            assert events
    return events


SIZES = [1, 7, 8, 9, 32767, 32768, 32769, 65528, 65536, 65537, 200_000]
large_deliveries = st.builds(
    lambda channel, size, frame_max: delivery(bytes([size % 251]) * size, channel=channel, frame_max=frame_max),
    numbers,
    st.sampled_from([0, 1, 32767, 40_000, 65528, 65536, 131_056, 131_065, 300_000]),
    st.sampled_from([0, 40_000, 65536, 131_072]),
)


@pytest.mark.slow
@given(st.lists(large_deliveries, min_size=1, max_size=4), st.lists(st.sampled_from(SIZES), min_size=1, max_size=6))
def test_large_bodies_are_received_in_place(parts: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(parts)
    assert read_into_place(stream, cycle(sizes)) == read([stream])


@pytest.mark.slow
@given(st.sampled_from(SIZES), st.sampled_from([65536, 131_072]), st.data())
def test_frames_of_two_large_bodies_in_turn(size: int, frame_max: int, data: st.DataObject) -> None:
    bodies = [bytes([number]) * data.draw(st.sampled_from([65536, 131_064, 300_000])) for number in (1, 2)]
    frames = [
        [frame(*received) for received in FrameParser().feed(delivery(body, channel=number, frame_max=frame_max))]
        for number, body in enumerate(bodies, 1)
    ]
    stream = b"".join(piece for pair in zip_longest(*frames, fillvalue=b"") for piece in pair)
    events = read_into_place(stream, repeat(size), frame_max)
    assert sorted((event[0], event[4]) for event in events) == [(1, bodies[0]), (2, bodies[1])]


@pytest.mark.parametrize("size", [65536, 131_071, 131_072])
@pytest.mark.parametrize(
    "tampered",
    [
        pytest.param(lambda end: {end: 0}, id="the end octet"),
        pytest.param(lambda end: {end + 1: METHOD}, id="the type of the next frame"),
        pytest.param(lambda end: {end + 3: 2}, id="the channel of the next frame"),
        pytest.param(lambda end: {end + 4: 1}, id="the size of the next frame, too large"),
        pytest.param(lambda end: {end + 5: 255}, id="the size of the next frame, larger than the body"),
        pytest.param(lambda end: {end + 5: 0, end + 6: 0, end + 7: 0}, id="the size of the next frame, none"),
    ],
)
def test_what_follows_a_large_frame_is_looked_at(size: int, tampered: Callable[[int], dict[int, int]]) -> None:
    stream = bytearray(delivery(b"x" * 400_000))
    first_end = stream.index(b"x") + 131_064
    assert stream[first_end] == END
    for position, octet in tampered(first_end).items():
        stream[position] = octet
    outcomes = []
    for place in (False, True):
        try:
            outcomes.append(str(read_into_place(bytes(stream), repeat(size)) if place else read([bytes(stream)])))
        except Violation as violation:
            outcomes.append(str(violation))
    assert outcomes[0] == outcomes[1]


def test_a_body_larger_than_the_room_made_at_once() -> None:
    body = bytes(1 << 20) * 17 + b"end"
    ((*_, received, _),) = read_into_place(delivery(body), repeat(200_000))
    assert received == body


def test_a_body_larger_than_allowed() -> None:
    events: list[Event] = []
    reader = reader_of(ToPeers({1: Log(1, events)}))
    reader.frame_max = 60
    reader.add(delivery(b"x" * 61))
    with pytest.raises(Violation, match="61 bytes where 60 are allowed"):
        next_method(reader)
    assert events == []


@pytest.mark.parametrize("place", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_frame_larger_than_allowed_behind_a_large_one(place: bool, size: int) -> None:
    body = b"x" * 331_064
    whole = delivery(body)
    start = whole.index(b"x") - 7
    stream = (
        whole[:start]
        + frame(BODY, 1, body[:100_000])
        + frame(BODY, 1, body[100_000:231_064])
        + frame(BODY, 1, body[231_064:])
    )
    with pytest.raises(Violation, match="131064 bytes where 100000 are allowed"):
        read_into_place(stream, chain([40_000], repeat(size)) if place else repeat(len(stream)), 100_000)


def test_a_method_larger_than_allowed() -> None:
    events: list[Event] = []
    reader = reader_of(ToPeers({1: Log(1, events)}))
    reader.frame_max = 60
    reader.add(method_frame(1, QueueDeclareOk("q" * 48, 1, 2).encode()))
    with pytest.raises(Violation, match="61 bytes where 60 are allowed"):
        next_method(reader)
    assert events == []


def test_more_bytes_while_some_are_waiting() -> None:
    events: list[Event] = []
    reader = reader_of(ToPeers({1: Log(1, events)}))
    reader.add(delivery(b"1", 1) + delivery(b"2", 2)[:20])
    reader.add(delivery(b"2", 2)[20:] + delivery(b"3", 3))
    while next_method(reader):
        assert events
    assert [event[4] for event in events] == [b"1", b"2", b"3"]


def test_dropping_what_is_for_channels() -> None:
    events: list[Event] = []
    peers = ToPeers({number: Log(number, events) for number in range(2)})
    reader = reader_of(peers)
    peers.drop_channels()
    unblocked = method_frame(0, ConnectionUnblocked().encode())
    reader.add(delivery() + method_frame(1, BasicAck(1).encode()) + method_frame(1, BasicNack(1).encode()) + unblocked)
    while next_method(reader):
        pass
    assert events == [(0, ConnectionUnblocked(), None)]

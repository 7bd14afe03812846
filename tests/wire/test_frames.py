from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.wire.frames import (
    BODY,
    HEADER,
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    OVERHEAD,
    Frame,
    FrameError,
    FrameParser,
    FrameTooLarge,
    WrongFrameEnd,
    content_frames,
    content_header,
    frame,
    message_frames,
    method_frame,
)
from tests.wire.strategies import shorts

frames = st.tuples(st.integers(0, 255), shorts, st.binary(max_size=40))


@st.composite
def cut(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The stream in pieces, empty ones among them."""
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


def one_by_one(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


def parse(parser: FrameParser, pieces: list[bytes]) -> Iterator[Frame]:
    for piece in pieces:
        yield from parser.feed(piece)


@given(st.lists(frames, max_size=8), st.data())
def test_frames_are_found_in_any_cut(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(frame(*each) for each in sent)
    for pieces in ([stream], data.draw(cut(stream)), one_by_one(stream)):
        assert list(parse(FrameParser(), pieces)) == sent


@given(st.lists(frames, max_size=4), frames, st.data())
def test_a_frame_comes_with_its_last_byte_and_not_before(before: list[Frame], last: Frame, data: st.DataObject) -> None:
    parser = FrameParser()
    stream = b"".join(frame(*each) for each in [*before, last])
    assert list(parse(parser, data.draw(cut(stream[:-1])))) == before
    assert list(parser.feed(stream[-1:])) == [last]
    assert list(parser.feed(b"")) == []


def gather(parser: FrameParser, pieces: list[bytes]) -> tuple[list[Frame], FrameError | None]:
    """The frames found, and the error that ended the search."""
    found: list[Frame] = []
    try:
        found.extend(parse(parser, pieces))
    except FrameError as error:
        return found, error
    return found, None


@given(st.lists(frames, max_size=4), frames, st.integers(0, 255).filter(lambda end: end != 0xCE), st.data())
def test_a_wrong_end_is_told_after_the_good_frames(
    good: list[Frame], bad: Frame, end: int, data: st.DataObject
) -> None:
    stream = b"".join(frame(*each) for each in good) + frame(*bad)[:-1] + bytes((end,)) + frame(METHOD, 1, b"behind")
    for pieces in ([stream], data.draw(cut(stream)), one_by_one(stream)):
        found, error = gather(FrameParser(), pieces)
        assert found == good
        assert isinstance(error, WrongFrameEnd)
        assert (error.frame_type, error.payload, error.end) == (bad[0], bad[2], end)


@given(st.lists(frames, max_size=4), st.integers(4097, 1 << 32 - 1), st.data())
def test_a_frame_too_large_is_told_at_its_header_after_the_good_frames(
    good: list[Frame], size: int, data: st.DataObject
) -> None:
    stream = b"".join(frame(*each) for each in good) + b"\x01\0\x05" + size.to_bytes(4)
    for pieces in ([stream], data.draw(cut(stream)), one_by_one(stream)):
        found, error = gather(FrameParser(4096), pieces)
        assert found == good
        assert isinstance(error, FrameTooLarge)
        assert (error.frame_type, error.size, error.limit) == (METHOD, size, 4096 - OVERHEAD)
        assert gather(FrameParser(4096), [stream[:-1]]) == (good, None)


def test_the_limit_is_compared_with_the_payload() -> None:
    sent = (BODY, 1, bytes(4096))
    assert list(FrameParser(4096).feed(frame(*sent))) == [sent]
    with pytest.raises(FrameTooLarge, match="a payload of 4097 bytes where 4088 are allowed"):
        list(FrameParser(4096).feed(frame(BODY, 1, bytes(4097))))
    large = (BODY, 1, bytes(200000))
    assert list(FrameParser(0).feed(frame(*large))) == [large]


def test_http_in_the_middle_of_a_connection_is_a_frame_too_large() -> None:
    with pytest.raises(FrameTooLarge) as raised:
        list(FrameParser(131072).feed(b"GET / HTTP/1.1"))
    assert (raised.value.frame_type, raised.value.size, raised.value.limit) == (71, 539959368, 131064)


def test_a_limit_set_while_frames_come_holds_for_the_next() -> None:
    parser = FrameParser(4096)
    found = []
    for each in parser.feed(frame(METHOD, 0, b"tune-ok") + frame(BODY, 1, bytes(8000))):
        found.append(each)
        parser.frame_max = 131072
    assert [len(payload) for _, _, payload in found] == [7, 8000]


@given(
    channel=shorts,
    properties=st.binary(max_size=30),
    body=st.binary(max_size=300),
    frame_max=st.just(0) | st.integers(OVERHEAD + 1, 320),
    data=st.data(),
)
def test_content_is_cut_by_frame_max(
    channel: int, properties: bytes, body: bytes, frame_max: int, data: st.DataObject
) -> None:
    header = content_header(len(body), properties)
    assert header == b"\0\x3c\0\0" + len(body).to_bytes(8) + properties
    stream = content_frames(channel, header, body, frame_max)
    assert message_frames(channel, properties, body, frame_max) == stream
    first, *rest = parse(FrameParser(), data.draw(cut(stream)))
    assert first == (HEADER, channel, header)
    assert b"".join(payload for _, _, payload in rest) == body
    assert all((frame_type, number) == (BODY, channel) for frame_type, number, _ in rest)
    if frame_max:
        limit = frame_max - OVERHEAD
        assert [len(payload) for _, _, payload in rest] == [limit] * (len(body) // limit) + (
            [len(body) % limit] if len(body) % limit else []
        )
    else:
        assert len(rest) == (1 if body else 0)


@pytest.mark.parametrize(("size", "frames_wanted"), [(0, 0), (1, 1), (131064, 1), (131065, 2), (1000000, 8)])
def test_body_frames_at_the_default_frame_max(size: int, frames_wanted: int) -> None:
    stream = content_frames(1, content_header(size, b"\0\0"), bytes(size), 131072)
    assert len(list(FrameParser(131072).feed(stream))) == 1 + frames_wanted


def test_known_bytes() -> None:
    assert HEARTBEAT_FRAME == bytes.fromhex("08 0000 00000000 ce") == frame(HEARTBEAT, 0, b"")
    assert method_frame(258, b"\0\x14\0\x29") == bytes.fromhex("01 0102 00000004 00140029 ce")
    assert content_header(1, b"\0\0", class_id=61) == bytes.fromhex("003d 0000 0000000000000001 0000")

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutch.wire.codes import ReplyCode
from hutch.wire.content import MAX_BODY_SIZE, Content, ContentAssembler, ContentError, MalformedHeader
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, METHOD, FrameParser, content_frames, content_header
from hutch.wire.methods import BasicDeliver, BasicPublish

PUBLISH = BasicPublish(routing_key="q")
NONE = b"\0\0"


def awaiting_header(max_body_size: int | None = MAX_BODY_SIZE) -> ContentAssembler:
    assembler = ContentAssembler(max_body_size)
    assembler.begin(PUBLISH)
    return assembler


def awaiting_body(size: int = 3, max_body_size: int | None = MAX_BODY_SIZE) -> ContentAssembler:
    assembler = awaiting_header(max_body_size)
    assert assembler.add(HEADER, content_header(size, NONE)) is None
    return assembler


@given(st.binary(min_size=2, max_size=30), st.binary(max_size=300), st.integers(9, 320))
def test_content_that_was_cut_is_put_together(properties: bytes, body: bytes, frame_max: int) -> None:
    header = content_header(len(body), properties)
    assembler = awaiting_header()
    frames = list(FrameParser().feed(content_frames(1, header, body, frame_max)))
    for frame_type, _, payload in frames[:-1]:
        assert assembler.add(frame_type, payload) is None
        assert assembler.method is PUBLISH
    frame_type, _, payload = frames[-1]
    assert assembler.add(frame_type, payload) == Content(PUBLISH, properties, body)
    assert assembler.method is None


def test_one_assembler_takes_one_content_after_another() -> None:
    assembler = ContentAssembler()
    for body in (b"", b"one", b"", b"two"):
        deliver = BasicDeliver("tag", 1)
        assembler.begin(deliver)
        content = assembler.add(HEADER, content_header(len(body), NONE))
        if body:
            assert content is None
            content = assembler.add(BODY, body)
        assert content is not None
        assert content.method is deliver
        assert content.body == body
        assert content.properties == NONE


def test_empty_body_frames_are_ignored() -> None:  # CONN-FRAME-13
    assembler = awaiting_body()
    for piece in (b"", b"a", b"", b"b", b""):
        assert assembler.add(BODY, piece) is None
    assert assembler.add(BODY, b"c") == Content(PUBLISH, NONE, b"abc")


def test_no_content_is_awaited() -> None:  # CONN-FRAME-07
    for frame_type in (HEADER, BODY):
        with pytest.raises(ContentError) as raised:
            ContentAssembler().add(frame_type, b"")
        assert raised.value.code is ReplyCode.UNEXPECTED_FRAME
        assert str(raised.value) == "UNEXPECTED_FRAME - expected method frame, got non method frame instead"
        assert raised.value.method is None


HEADER_WANTED = "expected content header for class 60, got "
BODY_WANTED = "expected content body, got non content body frame instead"


def raw_header(class_id: int = 60, weight: int = 0, size: int = 3) -> bytes:
    return struct.pack(">HHQ", class_id, weight, size) + NONE


@pytest.mark.parametrize(
    ("assembler", "frame_type", "payload", "text"),
    [
        # CONN-FRAME-08
        (awaiting_header(), METHOD, PUBLISH.encode(), HEADER_WANTED + "non content header frame instead"),
        (awaiting_header(), BODY, b"abc", HEADER_WANTED + "non content header frame instead"),
        (awaiting_header(), HEARTBEAT, b"", HEADER_WANTED + "non content header frame instead"),
        # CONN-FRAME-09
        (awaiting_header(), HEADER, raw_header(class_id=50), HEADER_WANTED + "one for class 50 instead"),
        # CONN-FRAME-10
        (awaiting_header(), HEADER, raw_header(weight=1), HEADER_WANTED + "non content header frame instead"),
        # CONN-FRAME-11
        (awaiting_body(), HEADER, raw_header(), BODY_WANTED),
        (awaiting_body(), METHOD, PUBLISH.encode(), BODY_WANTED),
    ],
)
def test_frames_out_of_order(assembler: ContentAssembler, frame_type: int, payload: bytes, text: str) -> None:
    with pytest.raises(ContentError) as raised:
        assembler.add(frame_type, payload)
    assert raised.value.code is ReplyCode.UNEXPECTED_FRAME
    assert raised.value.text == text
    assert raised.value.method is PUBLISH


def test_more_body_than_announced() -> None:  # CONN-FRAME-12
    for pieces in ([b"abcd"], [b"ab", b"cd"]):
        strict, lenient = awaiting_body(), awaiting_body(max_body_size=None)
        for piece in pieces[:-1]:
            assert strict.add(BODY, piece) is lenient.add(BODY, piece) is None
        with pytest.raises(ContentError) as raised:
            strict.add(BODY, pieces[-1])
        assert str(raised.value) == "FRAME_ERROR - content body frame exceeds remaining content size"
        assert raised.value.method is PUBLISH
        # 3.10 accepts this, and waits for ever.
        assert lenient.add(BODY, pieces[-1]) is None
        assert lenient.add(BODY, b"more") is None
        assert lenient.method is PUBLISH


def test_a_body_announced_too_large() -> None:  # CONN-FRAME-26
    assert awaiting_header().add(HEADER, raw_header(size=536870912)) is None
    assert awaiting_header(None).add(HEADER, raw_header(size=(1 << 64) - 1)) is None
    with pytest.raises(ContentError) as raised:
        awaiting_header().add(HEADER, raw_header(size=536870913))
    text = "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912"
    assert str(raised.value) == text
    assert raised.value.code == 501
    assert raised.value.method is PUBLISH


@pytest.mark.parametrize("size", range(12))
def test_a_header_cut_short(size: int) -> None:  # CONN-FRAME-14
    with pytest.raises(MalformedHeader) as raised:
        awaiting_header().add(HEADER, raw_header()[:size])
    assert raised.value.text == f"content header of {size} bytes"
    assert raised.value.method is PUBLISH


def test_assemblers_are_independent() -> None:  # CONN-FRAME-28
    one, two = awaiting_body(), awaiting_body()
    assert one.add(BODY, b"1") is two.add(BODY, b"222"[:2]) is None
    assert two.add(BODY, b"2") == Content(PUBLISH, raw_header()[12:], b"222")
    assert one.add(BODY, b"11") == Content(PUBLISH, raw_header()[12:], b"111")

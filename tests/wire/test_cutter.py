"""The cutter: the same bytes give the same commands, however they are cut, and by whichever step each is recognised."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hutch.wire.content import Content, ContentError
from hutch.wire.cutter import COMMAND, NOTHING, PART, Commands, Cutter, Envelope, Role
from hutch.wire.declaration import Method
from hutch.wire.frames import (
    BODY,
    END,
    HEADER,
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    FrameError,
    content_header,
    frame,
    method_frame,
)
from hutch.wire.methods import (
    BasicAck,
    BasicDeliver,
    BasicGetOk,
    BasicNack,
    BasicPublish,
    ChannelOpen,
    QueueDeclare,
    decode_method,
)
from hutch.wire.properties import NO_PROPERTIES, Properties

from .test_frames import cut, one_by_one

Event = tuple[object, ...]
Sort = type[BasicPublish | BasicDeliver]
SORTS: Sequence[Sort] = (BasicPublish, BasicDeliver)


class Log(Commands):
    """Writes down what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def command(self, channel: int, method: Method, content: Content | None) -> None:
        self.events.append((channel, method, content))

    def publish(self, channel: int, method: BasicPublish, properties: bytes, body: bytes) -> None:
        self.events.append((channel, "publish", method, properties, body))

    def deliver(self, channel: int, delivery_tag: int, envelope: Envelope, properties: bytes, body: bytes) -> None:
        self.events.append((channel, "deliver", delivery_tag, envelope, properties, body))

    def ack(self, channel: int, delivery_tag: int, multiple: bool) -> None:
        self.events.append((channel, "ack", delivery_tag, multiple))


class Strict(Role):
    """Takes every method, and heartbeats."""

    def method(self, channel: int, payload: bytes) -> Method | None:  # noqa: ARG002
        return decode_method(payload)

    def stray(self, frame_type: int, channel: int, payload: bytes) -> None:
        if frame_type != HEARTBEAT:
            raise LookupError(f"a frame of type {frame_type} on channel {channel}: {payload!r}")

    def misplaced(self, frame_type: int, payload: bytes, error: ContentError) -> Exception:
        return LookupError(f"a frame of type {frame_type}, {payload!r}: {error}")


def cutter_of(
    log: Log, content: Sort = BasicPublish, frame_max: int = 0, in_parts: bool = False, role: Role | None = None
) -> Cutter:
    return Cutter(role or Strict(), log, {0, 1, 2, 3}, content, 1 << 64, frame_max, in_parts)


def run(
    pieces: Sequence[bytes],
    content: Sort,
    by_frames: Callable[[], bool] = lambda: False,
    frame_max: int = 0,
    in_parts: bool = False,
) -> list[Event]:
    """The commands in the bytes, and at the end the error that they lead to, if they do."""
    log = Log()
    cutter = cutter_of(log, content, frame_max, in_parts)
    try:
        for piece in pieces:
            cutter.add(piece)
            while (taken := cutter.next(by_frames())) != NOTHING:
                assert taken in {PART, COMMAND}
    except (FrameError, LookupError, ValueError) as error:
        log.events.append((type(error), str(error)))
    return log.events


# Commands as bytes, as lists of frames. Frames of other channels may come between them.


def with_content(method: Method, channel: int, raw: bytes, body: bytes, limit: int, empty: bool = False) -> list[bytes]:
    """``limit`` is for the payload of a body's frame; ``empty`` frames may stand before them (CONN-FRAME-13)."""
    pieces = [method_frame(channel, method.encode()), frame(HEADER, channel, content_header(len(body), raw))]
    for start in range(0, len(body), limit):
        pieces += [frame(BODY, channel, b"")] * empty
        pieces.append(frame(BODY, channel, body[start : start + limit]))
    return pieces


channels = st.integers(1, 3)
tags = st.integers(0, 2**64 - 1)
names = st.sampled_from(["", "q", "x" * 255])
contents = st.one_of(
    st.builds(lambda exchange, key, flag: BasicPublish(0, exchange, key, flag), names, names, st.booleans()),
    st.builds(BasicDeliver, names, tags, st.booleans(), names, names),
    st.builds(BasicGetOk, tags, st.booleans(), names, names, st.just(0)),
)
raws = st.sampled_from([NO_PROPERTIES, Properties.of(message_id="1").raw, Properties.of(type="t", priority=2).raw])
plain = st.builds(
    lambda method, channel: [method_frame(channel, method.encode())],
    st.builds(BasicAck, tags, st.booleans())
    | st.builds(BasicNack, tags)
    | st.builds(QueueDeclare, st.just(0), names)
    | st.just(ChannelOpen()),
    channels,
)
heartbeats = st.just([HEARTBEAT_FRAME])


def contentful(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.builds(with_content, contents, channels, raws, bodies, st.sampled_from([8, 52, 1 << 20]), st.booleans())


def flat(commands: Sequence[Sequence[bytes]]) -> bytes:
    return b"".join(piece for command in commands for piece in command)


simple = plain | heartbeats | contentful(st.binary(max_size=100))
#: Commands of any channel whose bodies contain whole commands, with bytes before and after.
nested = contentful(
    st.builds(
        lambda before, within, behind: before + flat(within) + behind,
        st.binary(max_size=3),
        st.lists(simple, min_size=1, max_size=3),
        st.binary(max_size=3),
    )
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Valid bytes: each channel's commands in order, their frames interleaved with those of other channels."""
    waiting: dict[int, list[bytes]] = {}
    for command in draw(st.lists(simple | nested, max_size=8)):
        waiting.setdefault(command[0][2], []).extend(command)
    stream = b""
    while waiting:
        channel = draw(st.sampled_from(sorted(waiting)))
        count = draw(st.integers(1, len(waiting[channel])))
        stream += b"".join(waiting[channel][:count])
        del waiting[channel][:count]
        if not waiting[channel]:
            del waiting[channel]
    return stream


@given(stream=streams(), data=st.data(), content=st.sampled_from(SORTS), random=st.randoms(use_true_random=False))
def test_any_cut_gives_the_same_commands(stream: bytes, data: st.DataObject, content: Sort, random: Random) -> None:
    """Also where bodies hold what looks like whole commands, of their own channel or another one."""
    expected = run([stream], content, lambda: True)
    assert not any(event[0] is LookupError for event in expected)
    for pieces in ([stream], data.draw(cut(stream)), one_by_one(stream)):
        for in_parts in (False, True):
            assert run(pieces, content, in_parts=in_parts) == expected
    assert run([stream], content, lambda: random.random() < 0.5) == expected


@given(stream=streams(), data=st.data(), content=st.sampled_from(SORTS), frame_max=st.sampled_from([0, 60, 100]))
def test_damaged_bytes_give_the_same_commands_and_error(
    stream: bytes, data: st.DataObject, content: Sort, frame_max: int
) -> None:
    damaged = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    expected = run([bytes(damaged)], content, lambda: True, frame_max)
    for pieces in ([bytes(damaged)], data.draw(cut(bytes(damaged)))):
        for in_parts in (False, True):
            assert run(pieces, content, frame_max=frame_max, in_parts=in_parts) == expected


def publishing(channels: tuple[int, int, int], size: int, count: int) -> bytes:
    """The first frames of a publish, each on a channel of its own."""
    frames = [
        method_frame(channels[0], BasicPublish().encode()),
        frame(HEADER, channels[1], content_header(size, NO_PROPERTIES)),
        frame(BODY, channels[2], bytes(size)),
    ]
    return b"".join(frames[:count])


ACK_FRAME = method_frame(1, BasicAck(1).encode())
one_or_two = st.sampled_from([1, 1, 1, 2])
odd = st.one_of(
    st.builds(publishing, st.tuples(one_or_two, one_or_two, one_or_two), st.integers(0, 1), st.integers(1, 3)),
    st.builds(lambda channel: method_frame(channel, BasicAck(1).encode()), one_or_two),
)


@example([publishing((1, 1, 1), 0, 1), ACK_FRAME])
@example([publishing((1, 1, 1), 0, 1), publishing((1, 1, 1), 0, 2)])
@example([publishing((1, 2, 2), 0, 2)])
@given(st.lists(odd, min_size=1, max_size=4))
def test_odd_frames_give_the_same_commands_and_error(pieces: list[bytes]) -> None:
    """What looks whole is not, if a frame in it is of another channel, or if its channel awaits something else."""
    stream = b"".join(pieces)
    assert run([stream], BasicPublish) == run([stream], BasicPublish, lambda: True)


PUBLISH = BasicPublish(0, "x", "q")
DELIVER = BasicDeliver("c", 7, True, "x", "q")


def whole(method: Method = PUBLISH, channel: int = 1, body: bytes = b"body") -> bytes:
    return b"".join(with_content(method, channel, NO_PROPERTIES, body, 1 << 20))


def test_one_command_is_taken_at_a_time() -> None:
    log = Log()
    cutter = cutter_of(log)
    cutter.add((whole() + method_frame(2, BasicAck(1).encode()) + method_frame(3, ChannelOpen().encode())) * 2)
    for count in range(1, 7):
        assert cutter.next() == COMMAND
        assert len(log.events) == count
    assert cutter.next() == NOTHING


@pytest.mark.parametrize("by_frames", [False, True])
def test_what_comes_most_comes_as_fields(by_frames: bool) -> None:
    assert run([whole()], BasicPublish, lambda: by_frames) == [(1, "publish", PUBLISH, NO_PROPERTIES, b"body")]
    envelope = ("c", True, "x", "q")
    expected = (1, "deliver", 7, envelope, NO_PROPERTIES, b"body")
    assert run([whole(DELIVER)], BasicDeliver, lambda: by_frames) == [expected]
    assert run([method_frame(1, BasicAck(5, True).encode())], BasicPublish, lambda: by_frames) == [(1, "ack", 5, True)]


class Plain(Commands):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def command(self, channel: int, method: Method, content: Content | None) -> None:
        self.events.append((channel, method, content))


@pytest.mark.parametrize("by_frames", [False, True])
@pytest.mark.parametrize("content", SORTS)
def test_another_may_take_the_commands(content: Sort, by_frames: bool) -> None:
    """From the next one on, whichever it is; what it does not override comes to it by `command`."""
    log, gate = Log(), Plain()
    cutter = cutter_of(log, content)
    stream = whole() + whole(DELIVER) + method_frame(1, BasicAck(5).encode()) + method_frame(1, ChannelOpen().encode())
    cutter.add(stream * 2)
    while len(log.events) < 4:
        cutter.next(by_frames)
    cutter.commands = gate
    while cutter.next(by_frames):
        pass
    assert len(log.events) == 4
    body = NO_PROPERTIES, b"body"
    assert gate.events == [
        (1, PUBLISH, Content(PUBLISH, *body)),
        (1, DELIVER, Content(DELIVER, *body)),
        (1, BasicAck(5), None),
        (1, ChannelOpen(), None),
    ]


class Asked(Strict):
    """Is asked for each method, and deals with those of channel 0 itself."""

    def __init__(self) -> None:
        self.methods: list[Event] = []

    def method(self, channel: int, payload: bytes) -> Method | None:
        self.methods.append((channel, payload))
        return super().method(channel, payload) if channel else None


@pytest.mark.parametrize("channel", [0, 4])
@pytest.mark.parametrize("method", [PUBLISH, BasicAck(1)])
def test_a_channel_that_is_not_in_use_goes_by_the_role(method: Method, channel: int) -> None:
    role = Asked()
    cutter = cutter_of(Log(), role=role)
    cutter.add(whole(method, channel) if method.CONTENT else method_frame(channel, method.encode()))
    assert cutter.next() == (PART if channel and method.CONTENT else COMMAND)
    assert role.methods == [(channel, method.encode())]


def test_a_command_that_raises_counts_as_taken() -> None:
    class Raising(Log):
        def ack(self, channel: int, delivery_tag: int, multiple: bool) -> None:
            super().ack(channel, delivery_tag, multiple)
            raise RuntimeError

    log = Raising()
    cutter = cutter_of(log)
    cutter.add(method_frame(1, BasicAck(1).encode()) + method_frame(1, BasicAck(2).encode()))
    for by_frames in (False, True):
        with pytest.raises(RuntimeError):
            cutter.next(by_frames)
    assert log.events == [(1, "ack", 1, False), (1, "ack", 2, False)]
    assert cutter.next() == NOTHING


def test_content_of_a_number_that_is_given_anew_is_forgotten() -> None:
    log = Log()
    cutter = cutter_of(log)
    cutter.add(method_frame(1, PUBLISH.encode()))
    assert cutter.next() == PART
    cutter.contents.clear()
    cutter.add(whole())
    assert cutter.next() == COMMAND
    assert len(log.events) == 1


def test_no_frame_is_larger_than_allowed() -> None:
    ((*_, body),) = run([whole(body=b"x" * 60)], BasicPublish, frame_max=60)
    assert body == b"x" * 60
    ((_, error),) = run([whole(body=b"x" * 61)], BasicPublish, frame_max=60)
    assert error == "a payload of 61 bytes where 52 are allowed"


def test_a_wrong_end_behind_a_whole_command() -> None:
    stream = bytearray(whole())
    assert stream[-1] == END
    stream[-1] = 0
    assert "octet 0" in str(run([bytes(stream)], BasicPublish))


def test_publishes_that_differ_are_not_mixed_up() -> None:
    """Though some are kept decoded."""
    keys = [f"key {number % 300}" for number in range(700)]
    log = Log()
    cutter = cutter_of(log)
    for key in keys:
        cutter.add(whole(BasicPublish(0, "", key)))
        assert cutter.next() == COMMAND
    assert [event[2] for event in log.events] == [BasicPublish(0, "", key) for key in keys]


def test_deliveries_that_differ_are_not_mixed_up() -> None:
    keys = [f"key {number % 1100}" for number in range(2500)]
    log = Log()
    cutter = cutter_of(log, BasicDeliver)
    for tag, key in enumerate(keys):
        cutter.add(whole(BasicDeliver("c", tag, False, "", key)))
        assert cutter.next() == COMMAND
    assert [event[2:4] for event in log.events] == [(tag, ("c", False, "", key)) for tag, key in enumerate(keys)]


def test_frame_types_are_told() -> None:
    log = Log()
    cutter = cutter_of(log)
    cutter.add(whole() + HEARTBEAT_FRAME)
    seen = []
    while cutter.next(by_frames=True):
        seen.append(cutter.frame_type)
    assert seen == [METHOD, HEADER, BODY, HEARTBEAT]

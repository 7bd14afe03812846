"""A valid conversation, damaged at random: nothing gets out of the broker but AMQP, and nobody else is harmed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.fields import FieldTable
from hutch.wire.frames import HEARTBEAT_FRAME, Frame, FrameParser, frame, method_frame
from hutch.wire.methods import (
    METHODS,
    PROTOCOL_HEADER,
    BasicAck,
    BasicCancel,
    BasicConsume,
    BasicGet,
    BasicNack,
    BasicQos,
    BasicRecover,
    BasicReject,
    ChannelClose,
    ChannelOpen,
    ConfirmSelect,
    ConnectionClose,
    ConnectionOpen,
    ConnectionStartOk,
    ConnectionTuneOk,
    ExchangeBind,
    ExchangeDeclare,
    ExchangeDelete,
    ExchangeUnbind,
    Method,
    QueueBind,
    QueueDeclare,
    QueueDelete,
    QueuePurge,
    QueueUnbind,
)

from .peers import CAPABILITIES, Peer, publishing

LOGIN = ConnectionStartOk(CAPABILITIES, "PLAIN", b"\0guest\0guest")
DEAD: FieldTable = {"x-dead-letter-exchange": "t", "x-message-ttl": 1000, "x-expires": 5000, "x-max-length": 3}
SCRIPT: Sequence[tuple[int, Method] | bytes] = (
    (0, LOGIN),
    (0, ConnectionTuneOk(2047, 131072, 10)),
    (0, ConnectionOpen("/")),
    (1, ChannelOpen()),
    (2, ChannelOpen()),
    (1, ExchangeDeclare(0, "t", "topic", auto_delete=True, arguments={"alternate-exchange": "amq.fanout"})),
    (1, ExchangeDeclare(0, "h", "headers", internal=True)),
    (1, QueueDeclare(0, "q", arguments=DEAD)),
    (1, QueueDeclare(0, "p", exclusive=True, auto_delete=True, arguments={"x-max-priority": 5})),
    (1, QueueBind(0, "q", "t", "a.*.#")),
    (1, QueueBind(0, "p", "amq.headers", "", arguments={"x-match": "any", "n": 1, "t": [1, {"u": None}]})),
    (1, ExchangeBind(0, "h", "t", "#")),
    (1, QueueBind(0, "p", "h")),
    (1, BasicQos(0, 2)),
    (1, ConfirmSelect()),
    publishing("a.b.c", b"one" * 100, "t", mandatory=True, headers={"n": 1, "CC": ["q"], "BCC": ["p"]}, expiration="9"),
    publishing("q", b"two", priority=3, delivery_mode=2, correlation_id="c", timestamp=1, user_id="guest"),
    publishing("q", b"three", content_type="text/plain", headers={"x-death": [{"count": 1, "queue": "q"}]}),
    (2, BasicConsume(0, "q", "c", arguments={"x-priority": 1})),
    (2, BasicAck(1, multiple=True)),
    (2, BasicNack(2, requeue=False)),
    (2, BasicReject(3)),
    (1, BasicGet(0, "q")),
    (1, BasicRecover(requeue=True)),
    HEARTBEAT_FRAME,
    (2, BasicCancel("c")),
    (1, QueuePurge(0, "q")),
    (1, QueueUnbind(0, "q", "t", "a.*.#")),
    (1, ExchangeUnbind(0, "h", "t", "#")),
    (1, ExchangeDelete(0, "h")),
    (1, QueueDelete(0, "q")),
    (2, ChannelClose(200)),
    (0, ConnectionClose(200)),
)
WHOLE = b"".join(item if isinstance(item, bytes) else method_frame(item[0], item[1].encode()) for item in SCRIPT)
FRAMES: Sequence[Frame] = tuple(FrameParser().feed(WHOLE))
VALID = PROTOCOL_HEADER + WHOLE

# Ways to damage bytes, as functions

Damage = Callable[[bytes], bytes]


def overwrite(at: float, new: bytes) -> Damage:
    def damage(data: bytes) -> bytes:
        start = int(at * len(data))
        return data[:start] + new + data[start + len(new) :]

    return damage


def insert(at: float, new: bytes) -> Damage:
    return lambda data: data[: int(at * len(data))] + new + data[int(at * len(data)) :]


def delete(at: float, count: int) -> Damage:
    return lambda data: data[: int(at * len(data))] + data[int(at * len(data)) + count :]


def repeat(at: float, count: int) -> Damage:
    def damage(data: bytes) -> bytes:
        start = int(at * len(data))
        return data[: start + count] + data[start : start + count] + data[start + count :]

    return damage


PLACES = st.floats(0, 1, exclude_max=True)
ODD_BYTES = st.sampled_from([b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xce", b"F", b"A", b"\xff" * 8]) | st.binary(
    max_size=8
)
DAMAGES = st.one_of(
    st.builds(overwrite, PLACES, ODD_BYTES),
    st.builds(insert, PLACES, ODD_BYTES),
    st.builds(delete, PLACES, st.integers(1, 40)),
    st.builds(repeat, PLACES, st.integers(1, 40)),
)


@st.composite
def damaged_bytes(draw: st.DrawFn) -> bytes:
    """The conversation, damaged anywhere: mostly the frames themselves suffer."""
    data = VALID
    for damage in draw(st.lists(DAMAGES, max_size=3)):
        data = damage(data)
    return data


@st.composite
def damaged_frames(draw: st.DrawFn) -> bytes:
    """The conversation in sound frames, with damaged payloads, other types and channels, in another order."""
    frames = list(FRAMES)
    kept = 3 if draw(st.booleans()) else 0  # the login stays undamaged; otherwise the broker would ignore the rest
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(kept, len(frames) - 1))
        frame_type, channel, payload = frames[place]
        what = draw(
            st.sampled_from(["payload", "payload", "payload", "type", "channel", "move", "drop", "other method"])
        )
        if what == "payload":
            payload = draw(DAMAGES)(payload)
        elif what == "type":
            frame_type = draw(st.sampled_from([0, 1, 2, 3, 8, 255]))
        elif what == "channel":
            channel = draw(st.sampled_from([0, 1, 2, 3, 65535]))
        elif what == "move":
            frames.insert(draw(st.integers(kept, len(frames) - 1)), frames.pop(place))
            continue
        elif what == "drop" and len(frames) > kept + 1:
            del frames[place]
            continue
        else:
            payload = pack(">I", draw(st.sampled_from(sorted(METHODS)))) + payload[4:]
        frames[place] = frame_type, channel, payload
    return PROTOCOL_HEADER + b"".join(frame(*item) for item in frames)


def cut(data: bytes, places: list[float]) -> list[bytes]:
    """The data in pieces."""
    offsets = sorted({0, len(data), *(int(place * len(data)) for place in places)})
    return [data[start:end] for start, end in pairwise(offsets)]


@given(
    st.sampled_from(["3.10", "4.3"]),
    damaged_bytes() | damaged_frames(),
    st.lists(PLACES, max_size=5),
    st.booleans(),
)
def test_damaged_conversations_harm_nobody_else(profile: str, data: bytes, places: list[float], polite: bool) -> None:
    clock = ManualClock()
    with Broker(profile, clock, consumer_timeout=None) as broker, Peer.opened(broker.transport()) as witness:
        witness.declare("witness's", exclusive=True)
        for number in range(3):
            witness.publish("witness's", b"%d" % number)
        assert witness.get("witness's", no_ack=False) == b"0"
        attacker = broker.transport()
        attacker.connect(None)
        for piece in cut(data, places):
            with suppress(BrokenPipeError):
                attacker.send(piece)
            while polite and attacker.readable():
                try:
                    sent = attacker.receive(attacker.monotonic())
                except ConnectionResetError:
                    break
                assert sent
        clock.advance(milliseconds=1500)
        attacker.close()
        witness.publish("witness's", b"3")
        assert [message.body for message in broker.queue("witness's").messages] == [b"1", b"2", b"3"]
        assert [witness.get("witness's") for _ in range(4)] == [b"1", b"2", b"3", None]
        clock.advance(hours=1)
        witness.method(BasicAck(1))
        witness.open_channel(2)
        assert len(broker.hub.node.connections) == 1
        assert broker.queue("witness's").unacked == 0
    assert clock.monotonic() < 4000  # no input made the clock run ahead


@given(damaged_bytes() | damaged_frames())
def test_the_same_damage_gives_the_same_answer(data: bytes) -> None:
    answers = []
    for _ in range(2):
        with Broker(clock=ManualClock()) as broker:
            pipe = broker.transport()
            pipe.connect(None)
            pipe.send(data)
            said = b""
            with suppress(ConnectionResetError, TimeoutError):
                while True:
                    said += pipe.receive(pipe.monotonic() + 20)
            answers.append((said, [repr(event) for event in broker.history]))
    assert answers[0] == answers[1]


def test_the_conversation_is_valid_before_it_is_damaged() -> None:
    with Broker(clock=ManualClock()) as broker:
        pipe = broker.transport()
        pipe.connect(None)
        pipe.send(VALID)
        assert broker.history.of("refused") == []
        assert {event.kind for event in broker.history} >= {"published", "delivered", "acked", "rejected", "deleted"}

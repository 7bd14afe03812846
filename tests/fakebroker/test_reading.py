"""What a client sends is read in any cut, and where it is much, in slices, between which others have their turn."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, groupby, pairwise

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.amqp091.reader import SLICE
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.peer import Peer as Client
from hutch.wire.content import Content
from hutch.wire.cutter import Commands
from hutch.wire.fields import FieldTable
from hutch.wire.frames import BODY, FrameParser, frame, method_frame
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicAck,
    BasicGet,
    BasicPublish,
    BasicQos,
    BasicQosOk,
    BasicReject,
    ChannelOpen,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionStartOk,
    ConnectionTuneOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    Method,
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    TxCommit,
    TxCommitOk,
    TxSelect,
    TxSelectOk,
    decode_method,
)

from .conftest import Connect
from .peers import PATIENCE, Peer, publishing

QUEUES = 100
MESSAGES = 1000
#: More publishes than the broker can handle before it answers other clients, even on a fast machine.
MANY = 20000
#: Enough for many slices, in one write.
FLOOD = publishing("", b"", "fan") * MESSAGES + method_frame(1, QueueDeclare(queue="last").encode())


@pytest.fixture(params=["pipe", "tcp"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens connections to a broker, by either way in."""
    way: Connect = request.getfixturevalue(request.param)
    return way


class Sliced:
    """A session whose clock moves on by a whole slice each time that it is read, so that a slice has two commands."""

    def __init__(self, broker: Broker) -> None:
        ticks = count()
        self.broker = broker
        self.session = Session(
            broker.hub.node, broker.hub.profile, Client("sliced"), lambda: None, now=lambda: next(ticks) * SLICE
        )
        login = ConnectionStartOk({}, "PLAIN", b"\0guest\0guest")
        self.session.receive(PROTOCOL_HEADER)
        self.say((login, 0), (ConnectionTuneOk(2047, 131072, 0), 0), (ConnectionOpen("/"), 0), (ChannelOpen(), 1))
        self.say((QueueDeclare(queue="q"), 1))
        self.session.take()

    def say(self, *methods: tuple[Method, int]) -> None:
        """Send methods, one by one."""
        for method, channel in methods:
            self.session.receive(method_frame(channel, method.encode()))

    def heard(self) -> list[Method]:
        """The methods that the broker has answered with since it was asked last."""
        return [decode_method(payload) for _, _, payload in FrameParser().feed(self.session.take())]

    @property
    def ready(self) -> int:
        """How many messages are in the queue."""
        return self.broker.queue("q").ready


@pytest.fixture
def sliced(manual: Broker) -> Sliced:
    return Sliced(manual)


def test_a_slice_ends_between_commands(sliced: Sliced) -> None:
    sliced.session.receive(publishing("q", b"x") * 5)
    seen = [sliced.ready]
    while sliced.session.reader.more:
        sliced.session.proceed()
        seen.append(sliced.ready)
    assert seen == [2, 4, 5]


def test_going_on_behind_the_end_does_nothing(sliced: Sliced) -> None:
    sliced.session.receive(publishing("q", b"x") * 2)
    sliced.session.proceed()
    assert (sliced.ready, sliced.session.reader.more) == (2, False)


def test_what_comes_between_slices_stands_behind(sliced: Sliced) -> None:
    """Also where the bytes are cut within a frame."""
    data = b"".join(publishing("q", b"%d" % number) for number in range(9))
    sliced.session.receive(data[:-100])
    for byte in data[-100:]:
        sliced.session.receive(bytes((byte,)))
    assert sliced.ready == 2
    while sliced.session.reader.more:
        sliced.session.proceed()
    assert [message.body for message in sliced.broker.queue("q").messages] == [b"%d" % number for number in range(9)]


def test_a_commit_is_complete_when_all_is_used_up(sliced: Sliced) -> None:
    """TX-16: not at the end of a slice."""
    sliced.say((TxSelect(), 1))
    assert sliced.heard() == [TxSelectOk()]
    commit = method_frame(1, TxCommit().encode())
    sliced.session.receive(publishing("q", b"x") + commit + publishing("q", b"x", channel=2) * 3)
    assert sliced.session.reader.more
    assert sliced.heard() == []


def test_a_client_that_goes_is_gone_when_all_is_done(sliced: Sliced) -> None:
    sliced.session.receive(publishing("q", b"x") * 5)
    sliced.session.hang_up()
    assert not sliced.session.dropped
    while sliced.session.reader.more:
        sliced.session.proceed()
    assert sliced.session.dropped
    assert sliced.ready == 5


def test_an_alarm_between_slices(sliced: Sliced) -> None:
    """CONN-BLOCK-04: the next publish blocks; afterwards reading goes on in slices too."""
    sliced.session.receive(publishing("q", b"x") * 7)
    sliced.broker.admin.raise_alarm("memory")
    sliced.session.proceed()
    assert (sliced.session.reader.blocked, sliced.session.reader.more, sliced.ready) == (True, False, 2)
    sliced.broker.admin.clear_alarm("memory")
    assert (sliced.session.reader.blocked, sliced.session.reader.more) == (False, True)
    while sliced.session.reader.more:
        sliced.session.proceed()
    assert sliced.ready == 7


def test_an_alarm_behind_the_end_of_the_client(sliced: Sliced) -> None:
    """What it had sent is done once the alarm ends, and then it is gone."""
    sliced.session.receive(publishing("q", b"x") * 5)
    sliced.session.hang_up()
    sliced.broker.admin.raise_alarm("memory")
    sliced.session.proceed()
    assert (sliced.session.reader.blocked, sliced.session.dropped) == (True, False)
    sliced.broker.admin.clear_alarm("memory")
    while sliced.session.reader.more:
        sliced.session.proceed()
    assert (sliced.session.dropped, sliced.ready) == (True, 5)


def test_what_a_command_leaves_is_done_before_the_next(manual: Broker, connect: Connect) -> None:
    """A message that was rejected is in the dead letter queue when the next method of the same read looks there."""
    peer = connect(manual)
    peer.declare("dead")
    peer.declare("q", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    peer.publish("q", b"x")
    assert peer.get("q", no_ack=False) == b"x"
    get = method_frame(1, BasicGet(0, "dead", no_ack=True).encode())
    peer.send(method_frame(1, BasicReject(1, requeue=False).encode()) + get)
    assert peer.message().body == b"x"


def test_the_end_of_the_connection_ends_reading(sliced: Sliced) -> None:
    """CONN-CLOSE-04: of what is left, connection.close alone counts."""
    close = method_frame(0, ConnectionClose(200).encode())
    sliced.session.receive(publishing("q", b"x") * 5 + close)
    sliced.session.shut_down()
    while sliced.session.reader.more:
        sliced.session.proceed()
    told = sliced.heard()
    assert [type(method) for method in told] == [ConnectionClose, ConnectionCloseOk]
    assert sliced.ready == 2


def test_a_session_without_a_clock_has_no_slices(manual: Broker) -> None:
    """The same calls, the same bytes, whatever time it takes."""
    sliced = Sliced(manual)
    whole = Session(manual.hub.node, manual.hub.profile, Client("whole"), lambda: None)
    whole.receive(PROTOCOL_HEADER)
    for method, channel in (
        (ConnectionStartOk({}, "PLAIN", b"\0guest\0guest"), 0),
        (ConnectionTuneOk(2047, 131072, 0), 0),
        (ConnectionOpen("/"), 0),
        (ChannelOpen(), 1),
    ):
        whole.receive(method_frame(channel, method.encode()))
    whole.receive(publishing("q", b"x") * 1000)
    assert not whole.reader.more
    assert sliced.ready == 1000


class Dropping(Commands):
    """Stands in the place where every command passes, notes it and drops it."""

    def __init__(self) -> None:
        self.dropped: list[type[Method]] = []

    def command(self, channel: int, method: Method, content: Content | None) -> None:  # noqa: ARG002
        assert (content is not None) == method.CONTENT
        self.dropped.append(type(method))


def test_every_command_passes_one_place(sliced: Sliced) -> None:
    """Whole or in pieces, with content or without."""
    cutter = sliced.session.reader.cutter
    gate, commands = Dropping(), cutter.commands
    cutter.commands = gate
    data = publishing("q", b"x") + b"".join(
        method_frame(1, method.encode()) for method in (BasicAck(1), QueueDeclare(queue="other"), BasicQos())
    )
    sliced.session.receive(data)
    while sliced.session.reader.more:
        sliced.session.proceed()
    for byte in data:
        sliced.session.receive(bytes((byte,)))
    cutter.commands = commands
    assert gate.dropped == [BasicPublish, BasicAck, QueueDeclare, BasicQos] * 2
    assert sliced.heard() == []
    sliced.session.receive(publishing("q", b"x"))
    assert sliced.ready == 1


@pytest.mark.parametrize("whole", [publishing("q", b"", channel=2), method_frame(2, BasicAck(1).encode())])
def test_bytes_of_a_body_are_nobody_elses_frame(manual: Broker, connect: Connect, whole: bytes) -> None:
    """Wherever a body is cut: what looks like another channel's whole command within it stays a body."""
    peer = connect(manual)
    peer.open_channel(2)
    peer.declare("q")
    body = b"before" + whole + b"behind"
    data = publishing("q", body)
    start = data.index(whole)
    for cuts in ([start], [start, start + len(whole)], [start - 3, start]):
        for begin, end in pairwise([0, *cuts, len(data)]):
            peer.send(data[begin:end])
            manual.drain_clients()
        # And with a body frame that ends inside the body.
        first, second = body[: len(b"before")], body[len(b"before") :]
        head = data[: data.index(body) - 7]
        peer.send(head + frame(BODY, 1, first))
        manual.drain_clients()
        peer.send(frame(BODY, 1, second))
    assert [message.body for message in manual.queue("q").messages] == [body] * 6


@pytest.mark.parametrize("whole", [publishing("q", b""), method_frame(1, BasicAck(1).encode())])
def test_a_whole_command_within_a_content_is_out_of_place(manual: Broker, connect: Connect, whole: bytes) -> None:
    """CONN-FRAME-08: on the channel whose content is under way; on another it may come in between."""
    peer = connect(manual)
    peer.declare("q")
    peer.open_channel(2)
    peer.publish("q", channel=2)
    peer.consume("q", channel=2)
    peer.message()
    within = method_frame(1, BasicPublish(routing_key="q").encode())
    peer.send(within + publishing("q", channel=2) + method_frame(2, BasicAck(1).encode()))
    peer.message()
    peer.send(whole)
    assert peer.expect(ConnectionClose).reply_code == 505
    assert len(manual.history.of("published")) == 2


# together with other clients


def fan(peer: Peer, arguments: FieldTable | None = None) -> None:
    """Declare an exchange that many queues are bound to."""
    peer.method(ExchangeDeclare(0, "fan", "fanout"))
    peer.expect(ExchangeDeclareOk)
    for number in range(QUEUES):
        peer.declare(f"q{number}", arguments)
        peer.method(QueueBind(0, f"q{number}", "fan"))
        peer.expect(QueueBindOk)


@contextmanager
def flooded(broker: Broker, peer: Peer) -> Iterator[None]:
    """A client sends more than is done in the time meanwhile, in one write; in the end the broker closes it."""

    def send() -> None:
        with suppress(OSError):
            peer.send(publishing("", b"", "fan") * MANY)

    fan(peer, {"x-max-length": 1})
    thread = threading.Thread(target=send)
    thread.start()
    begun(broker)
    yield
    broker.close(grace=0)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def published(broker: Broker) -> int:
    """How many messages were published so far, whatever is on its way."""
    return len(broker.undrained_history.of("published"))


def begun(broker: Broker) -> None:
    """Return once the first message of a flood is published."""
    changes = broker.hub.changes
    while not published(broker):
        assert broker.hub.wait(changes, PATIENCE), "nothing is published"
        changes = broker.hub.changes


def test_another_client_is_answered_in_the_midst_of_a_flood(connect: Connect) -> None:
    with Broker(clock=ManualClock()) as broker:
        flooding, other = connect(broker), connect(broker)
        with flooded(broker, flooding):
            for _ in range(5):
                other.method(BasicQos())
                other.expect(BasicQosOk)
            so_far = published(broker)
        assert 0 < so_far < MANY


def test_a_new_client_gets_in_in_the_midst_of_a_flood(connect: Connect) -> None:
    with Broker(clock=ManualClock()) as broker:
        with flooded(broker, connect(broker)):
            connect(broker)
            so_far = published(broker)
        assert so_far < MANY


def test_two_floods_go_side_by_side(pipe: Connect) -> None:
    with Broker(clock=ManualClock(), history_events=None) as broker:
        one, two = pipe(broker), pipe(broker)
        two.declare("two")
        with flooded(broker, one):
            two.send(publishing("two", b"") * 5000)
            turns = [key for key, _ in groupby(event.routed_to for event in broker.undrained_history.of("published"))]
        assert len(turns) > 3


@pytest.mark.slow
def test_catching_up_waits_for_the_end_of_a_flood(tcp: Connect) -> None:
    """What was sent before a question is done before the answer, in however many slices."""
    with Broker(clock=ManualClock()) as broker:
        flooding = tcp(broker)
        fan(flooding)
        flooding.send(FLOOD)
        assert broker.queue("q0").ready == MESSAGES


@pytest.mark.slow
def test_what_a_client_sent_before_it_vanished_is_done(tcp: Connect) -> None:
    with Broker(clock=ManualClock()) as broker:
        flooding, other = tcp(broker), tcp(broker)
        fan(flooding)
        flooding.send(FLOOD)
        flooding.vanish()
        changes = broker.hub.changes
        while published(broker) < MESSAGES:
            assert broker.hub.wait(changes, PATIENCE), "the flood has come to a halt"
            changes = broker.hub.changes
        assert other.count("q0") == MESSAGES


def test_the_end_of_an_alarm_lets_all_in_that_was_sent(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-06: before clear_alarm returns, in slices or not."""
    peer = connect(manual)
    fan(peer)
    manual.admin.raise_alarm("memory")
    peer.send(FLOOD)
    manual.admin.clear_alarm("memory")
    assert manual.queue("q0").ready == MESSAGES


def test_whoever_has_the_lock_sends_without_giving_it_away(manual: Broker, pipe: Connect) -> None:
    """Others wait at the lock: no slice can let them in, and nobody waits for anybody."""
    peer, other = pipe(manual), pipe(manual)
    fan(peer)
    answered: list[Callable[[], object]] = []

    def ask() -> None:
        other.method(BasicQos())
        answered.append(lambda: other.expect(BasicQosOk))

    thread = threading.Thread(target=ask)
    with manual.hub.turn:
        thread.start()
        peer.send(FLOOD)
        assert published(manual) == MESSAGES
        assert not answered
    thread.join(PATIENCE)
    (answer,) = answered
    answer()


def test_a_commit_and_what_came_along_with_it(manual: Broker, connect: Connect) -> None:
    """TX-16: commit-ok comes behind all of the bytes, also where these take several slices."""
    peer = connect(manual)
    fan(peer)
    peer.open_channel(2)
    peer.method(TxSelect(), 2)
    peer.expect(TxSelectOk)
    commit = publishing("q0", b"", channel=2) + method_frame(2, TxCommit().encode())
    peer.send(commit + publishing("", b"", "fan") * (MESSAGES // 4) + method_frame(1, BasicQos().encode()))
    assert peer.read() == BasicQosOk()
    assert peer.read() == TxCommitOk()

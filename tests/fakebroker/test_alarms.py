"""Alarms: who publishes is blocked, in-process and over TCP alike.

The conformance suite has the CONN-BLOCK rows; here is what it does not show, of the Broker's calls and of the corners.
"""

from collections.abc import Callable

import pytest

from hutch.client import Connection, Message
from hutch.fakebroker import Broker, ManualClock, SystemClock
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, HEARTBEAT_FRAME, content_header, frame
from hutch.wire.methods import (
    BasicAck,
    BasicDeliver,
    BasicPublish,
    BasicQos,
    BasicQosOk,
    BasicReturn,
    ConfirmSelect,
    ConfirmSelectOk,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionUnblocked,
    QueueDeclare,
    QueueDeclareOk,
    TxCommit,
    TxCommitOk,
    TxSelect,
    TxSelectOk,
)
from hutch.wire.properties import NO_PROPERTIES

from .conftest import Connect
from .peers import PATIENCE, Peer, publishing

LOW_ON_MEMORY = ConnectionBlocked("low on memory")


@pytest.fixture(params=["pipe", "tcp"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens connections to a broker, by either way in."""
    way: Connect = request.getfixturevalue(request.param)
    return way


def came(broker: Broker, peer: Peer) -> list[object]:
    """What the broker has told a client, once all is done that was sent."""
    broker.drain_clients()
    return list(peer.waiting())


def blocked(broker: Broker, connect: Connect) -> Peer:
    """A client with a queue ``q`` that has published ``1`` to it while the memory alarm is raised."""
    peer = connect(broker)
    peer.declare("q")
    broker.admin.raise_alarm("memory")
    peer.publish("q", b"1")
    assert peer.read() == LOW_ON_MEMORY
    return peer


def bodies(broker: Broker, queue: str = "q") -> list[bytes]:
    return [message.body for message in broker.queue(queue).messages]


def test_who_does_not_publish_notices_nothing(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-01, CONN-BLOCK-05."""
    manual.admin.raise_alarm("memory")
    peer = connect(manual)
    peer.declare("q")
    peer.consume("q")
    peer.method(BasicQos())
    assert peer.read() == BasicQosOk()
    manual.admin.clear_alarm("memory")
    assert came(manual, peer) == []
    peer.publish("q", b"x")
    assert peer.message().body == b"x"


def test_the_first_publish_blocks(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-02, CONN-BLOCK-04: the message is not in its queue, and nothing more is answered."""
    peer = blocked(manual, connect)
    peer.method(BasicQos())
    peer.method(ConnectionClose(200), 0)
    assert came(manual, peer) == []
    assert bodies(manual) == []


def test_the_end_of_the_alarm(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-06: all that was sent is done, in its order, and the client may go on."""
    peer = blocked(manual, connect)
    peer.publish("q", b"2")
    peer.method(QueueDeclare(queue="later"))
    peer.publish("q", b"3")
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    assert peer.read() == QueueDeclareOk("later")
    assert bodies(manual) == [b"1", b"2", b"3"]
    assert peer.declare("q").message_count == 3


def test_frames_of_one_send(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-04: what stands behind a publish in the same bytes is left unread too, a part of a frame as well."""
    peer = connect(manual)
    peer.declare("q")
    manual.admin.raise_alarm("memory")
    data = b"".join(publishing("q", b"%d" % number) for number in range(5))
    peer.send(data[:-3])
    assert peer.read() == LOW_ON_MEMORY
    peer.send(data[-3:] + publishing("q", b"5"))
    assert bodies(manual) == []
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    assert bodies(manual) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_message_without_a_body_gets_through(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-02: the header of a message is what blocks, and such a message is complete with it."""
    peer = connect(manual)
    peer.declare("q")
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"")
    assert peer.read() == LOW_ON_MEMORY
    assert bodies(manual) == [b""]


def test_the_method_alone_does_not_block(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-02: and where the alarm comes between header and body, the next part of the body blocks."""
    peer = connect(manual)
    peer.declare("q")
    manual.admin.raise_alarm("memory")
    peer.method(BasicPublish(routing_key="q"))
    assert came(manual, peer) == []
    manual.admin.clear_alarm("memory")
    peer.send(frame(HEADER, 1, content_header(2, NO_PROPERTIES)))
    manual.admin.raise_alarm("memory")
    assert came(manual, peer) == []
    peer.send(frame(BODY, 1, b"a"))
    assert peer.read() == LOW_ON_MEMORY
    peer.send(frame(BODY, 1, b"b"))
    assert bodies(manual) == []
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    assert bodies(manual) == [b"ab"]


def test_a_heartbeat_does_not_block(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-01: no more than a method does."""
    peer = connect(manual)
    manual.admin.raise_alarm("memory")
    peer.send(HEARTBEAT_FRAME)
    peer.method(BasicQos())
    assert peer.read() == BasicQosOk()


def test_who_does_not_want_to_know(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-03: without the capability the connection is left unread all the same."""
    peer = connect(manual, client_properties={})
    peer.declare("q")
    peer.method(ConfirmSelect())
    peer.expect(ConfirmSelectOk)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"1")
    assert came(manual, peer) == []
    assert bodies(manual) == []
    manual.admin.clear_alarm("memory")
    assert peer.read() == BasicAck(1)
    assert bodies(manual) == [b"1"]


def test_who_is_told_nothing_is_read_again(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-06: though nothing is said to it when the alarm ends."""
    peer = connect(manual, client_properties={})
    peer.declare("q")
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"1")
    assert came(manual, peer) == []
    manual.admin.clear_alarm("memory")
    peer.method(BasicQos())
    assert peer.read() == BasicQosOk()
    assert bodies(manual) == [b"1"]


def test_each_connection_is_told_by_itself(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-07, CONN-BLOCK-05."""
    first = blocked(manual, connect)
    second, idle = connect(manual), connect(manual)
    assert came(manual, second) == []
    second.publish("q", b"2")
    assert second.read() == LOW_ON_MEMORY
    assert idle.declare("q").message_count == 0
    manual.admin.clear_alarm("memory")
    for peer in (first, second):
        assert peer.read() == ConnectionUnblocked()
    assert bodies(manual) == [b"1", b"2"]
    assert came(manual, idle) == []


def test_another_alarm(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-02: it blocks anew who was unblocked."""
    peer = blocked(manual, connect)
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    manual.admin.raise_alarm("disk")
    peer.method(BasicQos())
    assert peer.read() == BasicQosOk()
    peer.publish("q", b"2")
    assert peer.read() == ConnectionBlocked("low on disk")


def test_two_alarms(manual: Broker, connect: Connect) -> None:
    """The first reason stands; the end of one alarm ends nothing while the other is raised."""
    peer = connect(manual)
    peer.declare("q")
    manual.admin.raise_alarm("memory")
    manual.admin.raise_alarm("disk")
    manual.admin.raise_alarm("disk")
    peer.publish("q", b"1")
    assert peer.read() == ConnectionBlocked("low on disk & memory")
    manual.admin.clear_alarm("memory")
    manual.admin.raise_alarm("memory")
    manual.admin.clear_alarm("disk")
    assert came(manual, peer) == []
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    assert bodies(manual) == [b"1"]


def test_clearing_what_was_not_raised(manual: Broker, connect: Connect) -> None:
    peer = blocked(manual, connect)
    manual.admin.clear_alarm("disk")
    assert came(manual, peer) == []


def test_there_are_two_alarms(manual: Broker) -> None:
    for change in (manual.admin.raise_alarm, manual.admin.clear_alarm):
        with pytest.raises(ValueError, match="an alarm is for 'memory' or 'disk', not 'cpu'"):
            change("cpu")


def test_deliveries_to_who_is_blocked(manual: Broker, connect: Connect) -> None:
    """CONN-BLOCK-04: they go on; acknowledgements are not read."""
    consumer, other = connect(manual), connect(manual)
    consumer.declare("q")
    consumer.consume("q", "c")
    for number in (b"1", b"2"):
        other.publish("q", number)
        assert consumer.message().body == number
    manual.drain_clients()
    manual.admin.raise_alarm("memory")
    consumer.publish("nowhere", b"x")
    assert consumer.read() == LOW_ON_MEMORY
    consumer.method(BasicAck(1))
    assert manual.queue("q").unacked == 2
    other.vanish()
    manual.admin.clear_alarm("memory")
    assert consumer.read() == ConnectionUnblocked()
    assert manual.queue("q").unacked == 1


def test_expiry_goes_on(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """An alarm stops reading alone: dead letters are delivered to who is blocked."""
    peer = pipe(manual)
    peer.declare("dead")
    peer.declare("q", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    peer.consume("dead", "c", no_ack=True)
    peer.publish("q", b"x", expiration="5000")
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"y")
    assert peer.read() == LOW_ON_MEMORY
    clock.advance(5)
    content = peer.message()
    assert isinstance(content.method, BasicDeliver)
    assert content.body == b"x"


def test_a_transaction_waits(manual: Broker, connect: Connect) -> None:
    peer = connect(manual)
    peer.declare("q")
    peer.method(TxSelect())
    peer.expect(TxSelectOk)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"1")
    assert peer.read() == LOW_ON_MEMORY
    peer.method(TxCommit())
    assert came(manual, peer) == []
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    assert peer.read() == TxCommitOk()
    assert bodies(manual) == [b"1"]


def test_a_channel_that_is_not_open_blocks_too(manual: Broker, connect: Connect) -> None:
    peer = connect(manual)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"1", channel=7)
    assert peer.read() == LOW_ON_MEMORY
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    assert peer.expect(ConnectionClose).reply_code == 504


def test_a_blocked_client_that_goes_is_not_noticed(manual: Broker, connect: Connect) -> None:
    """What it holds is held until the alarm ends; what it had sent is done then, and its end comes behind."""
    peer, other = connect(manual), connect(manual)
    other.declare("q")
    peer.method(QueueDeclare(queue="exclusive", exclusive=True))
    peer.expect(QueueDeclareOk)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"1")
    assert peer.read() == LOW_ON_MEMORY
    peer.vanish()
    manual.drain_clients()
    assert manual.queue("exclusive").ready == 0
    manual.admin.clear_alarm("memory")
    changes = manual.hub.changes
    while not manual.history.of("deleted"):
        assert manual.hub.wait(changes, PATIENCE), "the exclusive queue is still there"
        changes = manual.hub.changes
    assert bodies(manual) == [b"1"]


def test_heartbeats_of_who_is_blocked(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """The broker goes on sending them, and expects none (CONN-BLOCK-04); afterwards it does again."""
    peer = pipe(manual, heartbeat=10)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"x")
    assert peer.read() == LOW_ON_MEMORY
    clock.advance(minutes=10)
    while peer.transport.readable():
        peer.frames.extend(peer.parser.feed(peer.transport.receive()))
    frames = [frame_type for frame_type, *_ in peer.frames]
    peer.frames.clear()
    assert frames == [HEARTBEAT] * len(frames) != []
    manual.admin.clear_alarm("memory")
    assert peer.read() == ConnectionUnblocked()
    clock.advance(5)
    peer.method(BasicQos())
    assert peer.read() == BasicQosOk()
    clock.advance(60)
    assert [event.kind for event in manual.history.of("disconnected")] == ["disconnected"]


@pytest.mark.parametrize("seconds", [1, 9, 10, 15.5])
def test_who_was_blocked_has_three_heartbeat_intervals_again(
    manual: Broker, clock: ManualClock, pipe: Connect, seconds: float
) -> None:
    peer = pipe(manual, heartbeat=10)
    clock.advance(seconds)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"x")
    clock.advance(100)
    manual.admin.clear_alarm("memory")
    clock.advance(29.9)
    assert manual.history.of("disconnected") == []
    clock.advance(0.1)
    assert len(manual.history.of("disconnected")) == 1


def test_closing_the_broker_ends_who_is_blocked(connect: Connect) -> None:
    """It is told, whatever the alarm."""
    with Broker() as broker:
        peer = blocked(broker, connect)
        broker.close(grace=0.2)
        assert peer.expect(ConnectionClose).reply_code == 320


def test_a_client_that_answers_the_closing(manual: Broker, pipe: Connect) -> None:
    """CONN-CLOSE-04: of what a blocked client had sent, connection.close alone counts once the broker closes."""
    peer = blocked(manual, pipe)
    peer.publish("q", b"2")
    peer.method(ConnectionClose(200), 0)
    manual.close()
    assert peer.expect(ConnectionClose).reply_code == 320
    assert peer.read() == ConnectionCloseOk()
    assert bodies(manual) == []


def test_the_history_of_an_alarm(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    manual.history.clear()
    manual.admin.raise_alarm("memory")
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"1")
    manual.admin.clear_alarm("memory")
    manual.admin.clear_alarm("memory")
    assert [(event.kind, event.resource, event.connection) for event in manual.history] == [
        ("alarm-raised", "memory", None),
        ("blocked", "", "in-process client 1"),
        ("alarm-cleared", "memory", None),
        ("unblocked", "", "in-process client 1"),
        ("published", "", "in-process client 1"),
    ]


# the client


@pytest.fixture(params=["pipe", "tcp"])
def client(request: pytest.FixtureRequest, broker: Broker) -> Callable[..., Connection]:
    """Opens connections of the client, by either way in."""
    if request.param == "pipe":
        return lambda **options: Connection(transport=broker.transport, **options)
    address = broker.url.split("@")[1].rstrip("/")
    return lambda **options: Connection(host=address, **options)


def test_a_client_publishes_and_reads_while_it_is_blocked(broker: Broker, client: Callable[..., Connection]) -> None:
    """No publish waits for the broker to read it, and what comes is delivered."""
    told: list[str] = []
    with client(on_blocked=told.append, on_unblocked=lambda: told.append("over")) as connection:
        channel = connection.channel()
        channel.queue_declare("q", auto_delete=False)
        broker.admin.raise_alarm("memory")
        for number in range(100):
            channel.basic_publish(Message(b"%d" % number), routing_key="q")
        while not told:
            connection.drain_events(timeout=10)
        assert told == ["low on memory"]
        assert broker.queue("q").ready == 0
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.01)
        broker.admin.clear_alarm("memory")
        while len(told) < 2:
            connection.drain_events(timeout=10)
        assert told == ["low on memory", "over"]
        channel.basic_qos(0, 1, False)
        assert broker.queue("q").ready == 100


def test_a_call_while_blocked_ends(manual: Broker) -> None:
    """In-process, on a manual clock, with nobody else about to clear the alarm, it does not wait for ever."""
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        manual.admin.raise_alarm("memory")
        channel.basic_publish(Message(b"x"), routing_key="q")
        with pytest.raises(TimeoutError, match=r"waiting for queue\.declare-ok"):
            channel.queue_declare("q")
        manual.admin.clear_alarm("memory")
    assert manual.queue("q").ready == 0


def test_a_system_clock_runs_on(pipe: Connect) -> None:
    with Broker(clock=SystemClock()) as broker:
        peer = blocked(broker, pipe)
        peer.publish("nowhere", b"2", mandatory=True)
        broker.admin.clear_alarm("memory")
        assert peer.read() == ConnectionUnblocked()
        assert isinstance(peer.message().method, BasicReturn)

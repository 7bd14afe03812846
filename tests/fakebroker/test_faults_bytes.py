"""Faults for connections and their bytes, in-process, over TCP and over TLS alike."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hutch.client import AMQPError, Connection, ConnectionForced, Message, connect
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.faults import Fault, Faults
from hutch.wire.frames import HEARTBEAT, HEARTBEAT_FRAME
from hutch.wire.methods import BasicGet, QueueDeclare
from tests import certificates

from .conftest import Connect
from .peers import PATIENCE, Peer, publishing

Client = Callable[..., Connection]
#: Real seconds that a client waits for something that must not arrive.
SHORT = 0.2


@pytest.fixture(params=["in-process", "TCP", "TLS"])
def client(request: pytest.FixtureRequest, manual: Broker, tmp_path: Path) -> Iterator[Client]:
    """Opens connections to the broker ``manual``, by each way in; all have the manual clock."""
    options: dict[str, Any] = {}
    if request.param == "TLS":
        url = manual.listen_tls(certificates.server_context())
        options["ssl"] = {"ca_certs": certificates.write(tmp_path).ca, "server_hostname": "localhost"}
    elif request.param == "TCP":
        url = manual.url
    with ExitStack() as stack:

        def open_one(**more: Any) -> Connection:
            if request.param == "in-process":
                connection = Connection(transport=manual.transport, **more)
                connection.connect()
            else:
                connection = connect(url, **{**options, **more})
            stack.callback(connection.collect)
            return connection

        yield open_one


@pytest.fixture(params=["pipe", "tcp"])
def peer(request: pytest.FixtureRequest, manual: Broker) -> Peer:
    """A client of the broker ``manual`` that is connected by either way in."""
    way: Connect = request.getfixturevalue(request.param)
    return way(manual)


def has_queue(broker: Broker, name: str) -> bool:
    broker.drain_clients()
    return broker.hub.look(lambda: name in broker.hub.node.vhosts["/"].queues)


def answers(connection: Connection) -> None:
    connection.channel().queue_declare("answers")


class TestOpenOnes:
    def test_reset(self, manual: Broker, client: Client) -> None:
        channel = client().channel()
        other = client(client_properties={"connection_name": "other"})
        fault = manual.faults.connections(connection="other").reset()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            other.channel()
        channel.queue_declare("q")
        assert (fault.hits, fault.matches) == (1, 1)
        assert manual.faults.unhit == []

    def test_an_end(self, manual: Broker, client: Client) -> None:
        connection = client()
        manual.faults.connections().end()
        with pytest.raises((ConnectionResetError, BrokenPipeError)) as raised:
            connection.drain_events(timeout=PATIENCE)
        assert "reset by peer" not in str(raised.value)

    def test_a_close(self, manual: Broker, client: Client) -> None:
        channel = client().channel()
        manual.faults.connections(user="guest").close("go away")
        with pytest.raises(ConnectionForced, match="go away"):
            channel.queue_declare("q")

    def test_some_of_them(self, manual: Broker, client: Client) -> None:
        first, second, third = (client() for _ in range(3))
        assert manual.faults.connections(nth=2).close().hits == 1
        answers(first)
        answers(third)
        with pytest.raises(ConnectionForced):
            answers(second)

    def test_what_is_not_acknowledged_comes_back(self, manual: Broker, client: Client) -> None:
        channel = client().channel()
        channel.queue_declare("q", auto_delete=False)
        channel.basic_publish(Message("one"), routing_key="q")
        channel.basic_get("q")
        assert manual.queue("q").unacked == 1
        manual.faults.connections().reset()
        assert manual.queue("q").ready == 1

    def test_there_is_none(self, manual: Broker, client: Client) -> None:
        with pytest.raises(LookupError, match=r"faults.connections\(\): no connection is open"):
            manual.faults.connections().reset()
        client(client_properties={"connection_name": "worker-1"})
        with pytest.raises(LookupError, match=r"\(user='ann'\): no open connection has user 'ann'; there are: 'wor"):
            manual.faults.connections(user="ann").reset()
        with pytest.raises(LookupError, match="has connection 'worker'; did you mean 'worker-1'"):
            manual.faults.connections(connection="worker").reset()
        with pytest.raises(TypeError, match="reset happens at once, and takes no seconds"):
            manual.faults.connections(seconds=5).reset()
        assert list(manual.faults) == []


class TestArrivals:
    def test_the_port_is_closed(self, manual: Broker, client: Client) -> None:
        before = client()
        fault = manual.faults.connecting().refuse()
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                client()
        answers(before)
        fault.end()
        answers(client())
        assert manual.faults.unhit == []

    def test_for_a_time(self, manual: Broker, clock: ManualClock, client: Client) -> None:
        client()
        manual.faults.connecting(seconds=30).refuse()
        clock.advance(seconds=29)
        with pytest.raises(ConnectionRefusedError):
            client()
        clock.advance(seconds=1)
        manual.hub.listeners.flush()
        answers(client())

    def test_a_listener_that_begins_meanwhile(self, manual: Broker) -> None:
        with manual.faults.connecting().refuse(), pytest.raises(ConnectionRefusedError):
            connect(manual.url)
        connect(manual.url).close()

    def test_a_restart_leaves_it(self, manual: Broker) -> None:
        url = manual.url
        with manual.faults.connecting().refuse():
            manual.admin.restart()
            with pytest.raises(ConnectionRefusedError):
                connect(url)
        connect(url).close()

    def test_a_closed_port_does_not_count(self, manual: Broker) -> None:
        with pytest.raises(TypeError, match="does not count"):
            manual.faults.connecting(times=2).refuse()

    @pytest.mark.parametrize("verb", ["reset", "end"])
    def test_accepted_and_ended(self, manual: Broker, client: Client, verb: str) -> None:
        fault = getattr(manual.faults.connecting(times=2), verb)()
        for _ in range(2):
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                client()
        answers(client())
        assert (fault.hits, fault.matches) == (2, 2)

    def test_accepted_and_silent(self, manual: Broker, client: Client) -> None:
        fault = manual.faults.connecting(nth=2).stay_silent()
        answers(client())
        with pytest.raises(TimeoutError):
            client(connect_timeout=SHORT)
        answers(client())
        assert (fault.hits, fault.matches) == (1, 2), "the third one came when its turn was over"

    def test_no_log_complains(self, manual: Broker, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        manual.faults.connecting(times=1).reset()
        with caplog.at_level(logging.WARNING), pytest.raises((ConnectionResetError, BrokenPipeError)):
            client()
        assert caplog.records == []


class TestOutages:
    def test_until_it_ends(self, manual: Broker, client: Client) -> None:
        connection = client()
        with manual.faults.stop_broker():
            with pytest.raises(ConnectionForced, match="shutdown"):
                connection.channel()
            with pytest.raises(ConnectionRefusedError):
                client()
        answers(client())

    def test_for_a_time(self, manual: Broker, clock: ManualClock, client: Client) -> None:
        client()
        fault = manual.faults.stop_broker(seconds=60)
        clock.advance(seconds=59)
        with pytest.raises(ConnectionRefusedError):
            client()
        clock.advance(seconds=1)
        manual.hub.listeners.flush()
        answers(client())
        assert fault.hits == 1
        fault.end()
        answers(client())


class TestBlackHoles:
    @pytest.mark.parametrize("direction", ["both", "to_client", "from_client"])
    def test_nothing_arrives_until_it_ends(self, manual: Broker, client: Client, direction: str) -> None:
        connection = client(read_timeout=SHORT)
        channel = connection.channel()
        with manual.faults.connections().black_hole(direction) as fault:
            with pytest.raises(TimeoutError):
                channel.queue_declare("q")
            assert has_queue(manual, "q") == (direction == "to_client")
        assert has_queue(manual, "q")
        assert fault.hits == 1
        answers(connection)

    def test_for_a_time(self, manual: Broker, clock: ManualClock, client: Client) -> None:
        channel = client().channel()
        manual.faults.connections(seconds=10).black_hole("from_client")
        channel.basic_publish(Message("one"), routing_key="q")
        clock.advance(seconds=9)
        assert not manual.history.of("published")
        clock.advance(seconds=1)
        manual.drain_clients()
        assert len(manual.history.of("published")) == 1

    def test_the_broker_gives_the_client_up(self, manual: Broker, clock: ManualClock, peer: Peer, tcp: Connect) -> None:
        silent = tcp(manual, heartbeat=10)
        silent.declare("q")
        silent.publish("q", b"1")
        silent.get("q", no_ack=False)
        fault = manual.faults.connections().black_hole()
        clock.advance(seconds=31)
        assert (manual.queue("q").ready, manual.queue("q").unacked) == (1, 0)
        assert not silent.transport.readable(), "the client does not hear of it"
        fault.end()
        silent.fill_until_end()
        assert peer.declare("r").queue == "r"

    def test_the_broker_does_not_see_the_client_go(self, manual: Broker, clock: ManualClock, tcp: Connect) -> None:
        silent, other = tcp(manual, heartbeat=10), tcp(manual)
        silent.declare("q")
        silent.publish("q", b"1")
        silent.get("q", no_ack=False)
        clients = {session.client for session in manual.hub.sessions}
        manual.faults.connections().black_hole()
        silent.vanish()
        manual.drain_clients()
        assert len(clients) == 2
        assert manual.queue("q").unacked == 1
        clock.advance(seconds=31)
        assert manual.queue("q").unacked == 0
        other.vanish()

    def test_the_client_is_gone_when_it_ends(self, manual: Broker, peer: Peer) -> None:
        peer.declare("q")
        peer.publish("q", b"1")
        peer.get("q", no_ack=False)
        with manual.faults.connections().black_hole("from_client"):
            peer.publish("q", b"2")
            manual.drain_clients()
            peer.vanish()
            manual.drain_clients()
            assert manual.queue("q").unacked == 1
        assert [message.body for message in manual.queue("q").messages] == [b"1", b"2"]


class TestSlowness:
    def test_a_delay(self, manual: Broker, clock: ManualClock, peer: Peer) -> None:
        manual.faults.connections().delay(2)
        peer.method(QueueDeclare(0, "q"))
        manual.drain_clients()
        clock.advance(seconds=1.9)
        assert not has_queue(manual, "q")
        clock.advance(seconds=0.1)
        assert has_queue(manual, "q")
        clock.advance(seconds=1.9)
        assert peer.waiting() == []
        clock.advance(seconds=0.1)
        manual.drain_clients()
        assert len(peer.waiting()) == 1

    def test_a_delay_in_one_direction(self, manual: Broker, clock: ManualClock, peer: Peer) -> None:
        manual.faults.connections().delay(2, "to_client")
        peer.method(QueueDeclare(0, "q"))
        assert has_queue(manual, "q")
        clock.advance(seconds=2)
        manual.drain_clients()
        assert len(peer.waiting()) == 1

    def test_in_process_time_passes_for_a_read(self, manual: Broker, clock: ManualClock, pipe: Connect) -> None:
        peer = pipe(manual)
        manual.faults.connections().delay(2)
        assert peer.declare("q").queue == "q"
        assert clock.monotonic() == 4

    def test_a_narrow_line(self, manual: Broker, clock: ManualClock, pipe: Connect) -> None:
        peer = pipe(manual)
        peer.declare("q")
        peer.publish("q", bytes(10_000))
        manual.faults.connections().throttle(1000, "to_client")
        body = peer.get("q")
        assert body == bytes(10_000)
        assert 10 <= clock.monotonic() <= 10.2

    def test_what_is_slow_keeps_its_order(self, manual: Broker, clock: ManualClock, peer: Peer) -> None:
        peer.declare("q")
        with manual.faults.connections().throttle(500, "from_client"):
            for number in range(20):
                peer.publish("q", b"%d" % number)
                manual.drain_clients()
            clock.advance(seconds=1)
            some = len(manual.queue("q").messages)
            assert 0 < some < 20
        assert [message.body for message in manual.queue("q").messages] == [b"%d" % number for number in range(20)]

    def test_two_at_once(self, manual: Broker, clock: ManualClock, pipe: Connect) -> None:
        peer = pipe(manual)
        manual.faults.connections().delay(2, "to_client")
        manual.faults.connections().throttle(10, "to_client")
        peer.declare("q")
        assert 2 + 2.2 <= clock.monotonic() <= 2 + 2.7  # 22 to 26 bytes

    def test_no_values(self, manual: Broker) -> None:
        wrong_ones: list[Callable[[], Fault]] = [
            lambda: manual.faults.connections().delay(0),
            lambda: manual.faults.connections().throttle(0),
            lambda: manual.faults.connections().delay(1, "sideways"),
            lambda: manual.faults.connections().cut(-1),
            lambda: manual.faults.connections().cut(1, "both"),
            lambda: manual.faults.connections().cut(1, by="FON"),
            lambda: manual.faults.connections().cut_inside_frame(0),
        ]
        for wrong in wrong_ones:
            with pytest.raises(ValueError, match=r"not|did you mean|choose from|in one direction"):
                wrong()
        assert list(manual.faults) == []


class TestCuts:
    @pytest.mark.parametrize("by", ["RST", "FIN"])
    def test_after_so_many_bytes(self, manual: Broker, peer: Peer, by: str) -> None:
        peer.declare("q")
        peer.publish("q", bytes(1000))
        fault = manual.faults.connections().cut(500, by=by)
        peer.method(BasicGet(0, "q"))
        size = 0
        try:
            while data := peer.transport.receive(peer.transport.monotonic() + PATIENCE):
                size += len(data)
            assert by == "FIN"
        except ConnectionResetError:
            assert by == "RST"
        assert (size, fault.hits) == (500, 1)

    def test_what_is_left_of_the_bytes(self, manual: Broker, peer: Peer) -> None:
        manual.faults.connections().cut(3, by="FIN")
        peer.method(QueueDeclare(0, "q"))
        received = b""
        while data := peer.transport.receive(peer.transport.monotonic() + PATIENCE):
            received += data
        assert received == b"\1\0\1"
        assert has_queue(manual, "q")

    def test_from_the_client(self, manual: Broker, peer: Peer) -> None:
        peer.declare("q")
        whole = publishing("q", b"1")
        manual.faults.connections().cut(2 * len(whole) + 5, "from_client")
        peer.send(whole * 3)
        assert peer.ended()
        assert len(manual.queue("q").messages) == 2

    def test_inside_a_frame(self, manual: Broker, peer: Peer) -> None:
        manual.faults.connections().cut_inside_frame(2, by="FIN")
        assert peer.declare("q").queue == "q"
        peer.method(QueueDeclare(0, "q"))
        received = peer.transport.receive(peer.transport.monotonic() + PATIENCE)
        assert 7 < len(received) < 8 + int.from_bytes(received[3:7])
        assert peer.ended()

    def test_the_next_connection_lives(self, manual: Broker, client: Client) -> None:
        manual.faults.connections(times=1).cut_inside_frame()
        with pytest.raises((OSError, AMQPError)):
            client()
        answers(client())


class TestHeartbeats:
    def test_none_is_sent(self, manual: Broker, clock: ManualClock, tcp: Connect) -> None:
        peer = tcp(manual, heartbeat=10)

        def heartbeats() -> int:
            peer.send(HEARTBEAT_FRAME)
            clock.advance(seconds=10)
            manual.drain_clients()
            peer.fill()
            count = sum(frame[0] == HEARTBEAT for frame in peer.frames)
            peer.frames.clear()
            return count

        assert heartbeats() > 0
        with manual.faults.connections().stop_heartbeats() as fault:
            assert heartbeats() == 0
        assert fault.hits == 1
        assert heartbeats() > 0
        assert peer.declare("q").queue == "q"


def gates(broker: Broker) -> list[object]:
    return [session.gate for session in broker.hub.sessions]


@pytest.mark.parametrize(
    "make",
    [
        lambda faults: faults.connections().black_hole(),
        lambda faults: faults.connections().delay(5),
        lambda faults: faults.connections().throttle(100),
        lambda faults: faults.connections().stop_heartbeats(),
        lambda faults: faults.connecting().refuse(),
        lambda faults: faults.connecting().stay_silent(),
    ],
)
def test_nothing_is_left_behind(manual: Broker, peer: Peer, make: Callable[[Faults], Fault]) -> None:
    fault = make(manual.faults)
    assert None not in gates(manual)
    peer.method(QueueDeclare(0, "q"))
    manual.drain_clients()
    fault.end()
    manual.drain_clients()
    peer.read()
    peer.declare("q")
    assert gates(manual) == [None]
    assert manual.hub.new_session is Session

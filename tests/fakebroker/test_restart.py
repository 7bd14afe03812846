"""Stopping and starting a broker: its ways in, its clock, its history. What is kept the conformance suite shows."""

import contextlib
import errno
import functools
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from freezegun import freeze_time

from hutch.client import Connection, Message, RecoverableConnectionError, connect
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.clocks import Follower
from hutch.fakebroker.server.ports import Port
from hutch.wire.methods import (
    BasicDeliver,
    ConnectionBlocked,
    ConnectionClose,
    QueueDeclare,
    QueueDeclareOk,
)
from hutch.wire.url import parse_url
from tests import certificates

from .conftest import Connect
from .peers import PATIENCE, TCP, Peer

SHUTDOWN = ConnectionClose(320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'")


@pytest.fixture(params=["pipe", "tcp"])
def way(request: pytest.FixtureRequest) -> Connect:
    """Opens connections to a broker, by either way in."""
    opens: Connect = request.getfixturevalue(request.param)
    return opens


def durable(peer: Peer, queue: str = "q") -> None:
    peer.method(QueueDeclare(queue=queue, durable=True))
    peer.expect(QueueDeclareOk)


def expect_end(peer: Peer) -> None:
    with pytest.raises(OSError, match="reset"):
        peer.read()


def test_clients_are_told_and_cut_off(manual: Broker, way: Connect) -> None:
    """RESTART-01."""
    peers = [way(manual) for _ in range(3)]
    manual.admin.stop()
    for peer in peers:
        assert peer.read() == SHUTDOWN
        expect_end(peer)
    assert manual.hub.node.connections == {}


def test_nobody_gets_in_while_it_is_stopped(manual: Broker) -> None:
    url = manual.url
    manual.admin.stop()
    with pytest.raises(ConnectionRefusedError, match="the in-process broker is stopped"):
        manual.transport().connect(None)
    with contextlib.closing(TCP(url)) as far, pytest.raises(ConnectionRefusedError):
        far.connect(far.monotonic() + PATIENCE)


LISTEN: dict[str, Callable[[Broker], str]] = {
    "plain": lambda broker: broker.url,
    "localhost": lambda broker: broker.listen("localhost"),
    "all addresses": lambda broker: broker.listen(""),
    "IPv6": lambda broker: broker.listen("::1"),
    "tls": lambda broker: broker.listen_tls(certificates.server_context(), host="localhost"),
}


@pytest.fixture(params=["Linux", "elsewhere"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux, shutdown does not end the listening."""
    if request.param == "elsewhere":
        monkeypatch.setattr(Port, "refuse", functools.partialmethod(_refuse_elsewhere, Port.refuse))


class _Elsewhere:
    """A socket whose shutdown does not end the listening."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def shutdown(self, _how: int) -> None:
        raise OSError(errno.ENOTCONN, "Socket is not connected")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def _refuse_elsewhere(port: Port, refuse: Callable[[Port], None]) -> None:
    port.socket = cast("socket.socket", _Elsewhere(port.socket))
    refuse(port)


def refuses(url: str) -> bool:
    """Whether each address of a URL refuses clients, and nobody else can take its port."""
    (address,) = parse_url(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    for family, _, _, _, place in socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM):
        with socket.socket(family) as client, pytest.raises(ConnectionRefusedError):
            client.connect(place)
        for shared in (False, True):
            with socket.socket(family) as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)
                with pytest.raises(OSError, match="in use"):
                    other.bind(place)
    return True


def accepts(url: str) -> bool:
    """Whether each address of a URL accepts clients."""
    (address,) = parse_url(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    for family, _, _, _, place in socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM):
        with socket.socket(family) as client:
            client.settimeout(PATIENCE)
            client.connect(place)
            client.sendall(b"AMQP\0\0\x09\x01")
            assert client.recv(1) in {b"\1", b"\x15"}, "neither a frame nor an alert of TLS"
    return True


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("listen", LISTEN)
def test_the_port_is_closed_and_stays_the_brokers(manual: Broker, listen: str) -> None:
    try:
        url = LISTEN[listen](manual)
    except OSError as error:
        if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise
        pytest.skip("this machine has no IPv6")
    for _ in range(3):
        assert accepts(url)
        manual.admin.stop()
        assert refuses(url)
        manual.admin.start()
    assert accepts(url)
    manual.admin.stop()
    manual.close()


@pytest.mark.parametrize("listen", ["plain", "tls"])
def test_a_broker_that_is_stopped_may_be_asked_to_listen(manual: Broker, listen: str) -> None:
    manual.admin.stop()
    url = LISTEN[listen](manual)
    assert refuses(url)
    assert LISTEN["plain"](manual) in {url, manual.url}
    manual.admin.start()
    assert accepts(url)


def test_clients_are_refused_during_the_downtime(manual: Broker, clock: ManualClock) -> None:
    url, told = manual.url, list[tuple[float, bool]]()

    class Client(Follower):
        """Tries to connect whenever time goes by."""

        def drain_clients(self) -> None: ...

        threads = manual.hub.threads
        is_left_to_this_thread = manual.hub.is_left_to_this_thread

        def next_timer_at(self, *, background: bool = True) -> float | None:  # noqa: ARG002
            return clock.monotonic() + 10

        def run_due(self) -> None:
            told.append((clock.monotonic(), refuses(url)))

    clock.subscribe(Client())
    manual.admin.restart(downtime=30)
    assert told == [(10, True), (20, True), (30, True), (30, True)]
    assert accepts(url)


def test_who_hears_of_the_end_and_connects_again_is_refused(manual: Broker, tcp: Connect) -> None:
    """A client is not told before its new connection would be refused."""
    (address,) = parse_url(manual.url)
    peers, told = [tcp(manual) for _ in range(5)], list[object]()

    def come_again(peer: Peer) -> None:
        told.append(peer.read())
        try:
            socket.create_connection((address.host, address.port), PATIENCE).close()
        except ConnectionRefusedError as error:
            told.append(error.errno)

    threads = [threading.Thread(target=come_again, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    manual.admin.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(told, key=str) == [errno.ECONNREFUSED] * 5 + [SHUTDOWN] * 5


def test_a_client_that_was_not_accepted_yet_is_reset(manual: Broker) -> None:
    (address,) = parse_url(manual.url)
    for _ in range(20):
        with socket.create_connection((address.host, address.port), PATIENCE) as client:
            manual.admin.restart()
            client.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


def test_ports_and_urls_stay(manual: Broker, pipe: Connect, tcp: Connect) -> None:
    url, memory_url = manual.url, manual.memory_url
    (address,) = parse_url(url)
    peer = tcp(manual)
    durable(peer)
    manual.admin.restart()
    assert (manual.url, manual.memory_url) == (url, memory_url)
    socket.create_connection((address.host, address.port), PATIENCE).close()
    again = tcp(manual)
    again.publish("q", b"1", delivery_mode=2)
    assert again.declare("q", durable=True).message_count == 1
    with connect(memory_url) as connection:
        assert connection.channel().basic_get("q") is not None


def test_the_same_transport_reaches_it_again(manual: Broker) -> None:
    transport = manual.transport()
    first = Peer.opened(transport)
    durable(first)
    manual.admin.restart()
    assert first.read() == SHUTDOWN
    transport.close()
    second = Peer.opened(transport)
    assert second.declare("q", durable=True) == QueueDeclareOk("q")


def test_the_client_is_told_and_connects_again(manual: Broker) -> None:
    connection = Connection(transport=manual.transport)
    connection.connect()
    channel = connection.channel()
    channel.queue_declare("q", durable=True, auto_delete=False)
    manual.admin.restart()
    with pytest.raises(RecoverableConnectionError) as caught:
        connection.drain_events()
    assert caught.value.reply_code == 320
    connection.collect()
    with Connection(transport=manual.transport) as again:
        assert again.channel().queue_declare("q", passive=True) == ("q", 0, 0)


def test_who_waits_is_woken(broker: Broker, way: Connect) -> None:
    waiting, told = way(broker), []
    thread = threading.Thread(target=lambda: told.append(waiting.read()))
    thread.start()
    broker.admin.restart()
    thread.join(PATIENCE)
    assert told == [SHUTDOWN]


def test_what_tcp_clients_have_sent_is_done_first(manual: Broker, tcp: Connect) -> None:
    peer = tcp(manual)
    durable(peer)
    for _ in range(100):
        peer.publish("q", b"x", delivery_mode=2)
    manual.admin.restart()
    assert manual.queue("q").ready == 100


def test_nothing_is_handed_on_between_clients_that_end(manual: Broker, pipe: Connect) -> None:
    first, second = pipe(manual), pipe(manual)
    durable(first)
    for peer in (first, second):
        peer.consume("q", "c")
    for _ in range(2):
        first.publish("q", b"x", delivery_mode=2)
    manual.admin.restart()
    for peer in (first, second):
        assert isinstance(peer.message().method, BasicDeliver)
        assert peer.read() == SHUTDOWN
    assert manual.queue("q").ready == 2


def test_time_goes_by_while_it_is_down(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """RESTART-07: what falls due meanwhile is done at the start, as of then."""
    peer = pipe(manual)
    durable(peer, "dead")
    peer.method(
        QueueDeclare(
            queue="q",
            durable=True,
            arguments={"x-message-ttl": 5000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"},
        )
    )
    peer.expect(QueueDeclareOk)
    peer.publish("q", b"x", delivery_mode=2)
    manual.history.clear()
    manual.admin.restart(downtime=60)
    assert clock.monotonic() == 60
    assert manual.queue("dead").ready == 1
    (event,) = manual.history.of("dead-lettered")
    assert event.at == 60
    assert [(event.at, event.kind) for event in manual.history.of("stopped", "started")] == [
        (0, "stopped"),
        (60, "started"),
    ]


def test_frozen_time_goes_by_between_stop_and_start(broker: Broker, pipe: Connect) -> None:
    with freeze_time() as frozen:
        peer = pipe(broker)
        durable(peer)
        peer.publish("q", b"x", delivery_mode=2, expiration="5000")
        broker.admin.stop()
        frozen.tick(6)
        broker.admin.start()
        assert broker.queue("q").ready == 0


def test_a_system_clock_has_no_downtime(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"only a ManualClock can be moved on by a downtime of 5 s"):
        broker.admin.restart(downtime=5)
    assert not broker.hub.stopped


def test_an_alarm_stays(manual: Broker, way: Connect) -> None:
    blocked = way(manual)
    durable(blocked)
    manual.admin.raise_alarm("memory")
    blocked.publish("q", b"lost", delivery_mode=2)
    assert blocked.read() == ConnectionBlocked("low on memory")
    manual.admin.restart()
    assert blocked.read() == SHUTDOWN
    again = way(manual)
    again.publish("q", b"x", delivery_mode=2)
    assert again.read() == ConnectionBlocked("low on memory")
    manual.admin.clear_alarm("memory")
    assert [message.body for message in manual.queue("q").messages] == [b"x"]


def test_again_it_does_nothing(manual: Broker) -> None:
    manual.admin.start()
    manual.admin.stop()
    manual.admin.stop()
    manual.admin.start()
    manual.admin.start()
    assert [event.kind for event in manual.history] == ["stopped", "started"]


def test_a_broker_that_is_stopped_can_be_closed_and_then_not_be_started(manual: Broker, tcp: Connect) -> None:
    tcp(manual)
    manual.admin.stop()
    manual.close()
    for call in (manual.admin.stop, manual.admin.restart):
        with pytest.raises(RuntimeError, match="the broker is closed"):
            call()


def test_a_message_that_came_back_stays_before_the_others(manual: Broker, pipe: Connect) -> None:
    """ACK-07, RESTART-06, over several restarts."""
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("q", durable=True, auto_delete=False)
        for number in range(4):
            channel.basic_publish(Message(b"%d" % number, delivery_mode=2 - number % 2), routing_key="q")
        channel.basic_get("q")
        channel.basic_get("q")
        manual.admin.restart()
        with pytest.raises(RecoverableConnectionError):
            connection.drain_events()
    manual.admin.restart()
    assert [message.body for message in manual.queue("q").messages] == [b"0", b"2"]


def test_a_transient_exchange_that_is_bound_to_itself_goes() -> None:
    """RESTART-12."""
    with Broker("3.10", ManualClock()) as broker:
        with Connection(transport=broker.transport) as connection:
            channel = connection.channel()
            channel.exchange_declare("x", "fanout", durable=False, auto_delete=False)
            channel.exchange_bind("x", "x")
            broker.admin.restart()
            with pytest.raises(RecoverableConnectionError):
                connection.drain_events()
        assert [(event.kind, event.source, event.exchange) for event in broker.history.of("unbound", "deleted")] == [
            ("unbound", "x", None),
            ("deleted", "", "x"),
        ]

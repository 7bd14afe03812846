"""The broker behind a port: many clients, rude clients, and an orderly end."""

import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.methods import BasicAck, BasicGet, ConnectionClose, ConnectionCloseOk

from .conftest import Connect
from .peers import PATIENCE, TCP, Peer, publishing

RESET = struct.pack("ii", 1, 0)


def sock(peer: Peer) -> socket.socket:
    assert isinstance(peer.transport, TCP)
    return peer.transport.socket


def reset(peer: Peer) -> None:
    """End a connection by RST."""
    sock(peer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock(peer).close()


@pytest.fixture
def flood(broker: Broker) -> Iterator[Callable[[str], threading.Thread]]:
    """Starts threads that publish to a queue without end, over TCP, until the test or the broker ends them."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def run(queue: str, peer: Peer) -> None:
        with suppress(OSError), peer:
            while not over.is_set():
                peer.send(publishing(queue, bytes(100)) * 50)

    def start(queue: str) -> threading.Thread:
        thread = threading.Thread(target=run, args=(queue, Peer.opened(TCP(broker.url))))
        thread.start()
        threads.append(thread)
        return thread

    yield start
    over.set()
    for thread in threads:
        thread.join(PATIENCE)


def test_many_clients_at_once(broker: Broker, tcp: Connect) -> None:
    peers = [tcp(broker) for _ in range(60)]
    for number, peer in enumerate(peers):
        peer.declare(f"q{number}", exclusive=True)
        peer.consume(f"q{number}", no_ack=True)
    for number, peer in enumerate(peers):
        peer.publish(f"q{(number + 1) % 60}", b"from %d" % number)
    for number, peer in enumerate(peers):
        assert peer.message().body == b"from %d" % ((number - 1) % 60)
    names = [event.connection for event in broker.history.of("connected")]
    assert len(set(names)) == 60
    ours = {f"127.0.0.1:{sock(peer).getsockname()[1]} -> 127.0.0.1:{sock(peer).getpeername()[1]}" for peer in peers}
    assert set(names) == ours


def test_a_client_that_does_not_read_holds_up_nobody(broker: Broker, tcp: Connect) -> None:
    lazy, busy = tcp(broker), tcp(broker)
    lazy.declare("much")
    lazy.consume("much", no_ack=True)
    busy.confirm()
    body = bytes(1_000_000)
    for _ in range(30):
        busy.publish_and_wait("much", body)
    busy.declare("q")
    assert busy.count("q") == 0
    for _ in range(30):
        assert lazy.message().body == body


def test_a_client_that_does_not_read_and_goes_takes_nothing_with_it(broker: Broker, tcp: Connect) -> None:
    lazy, busy = tcp(broker), tcp(broker)
    lazy.declare("much")
    lazy.consume("much")
    busy.confirm()
    for number in range(20):
        busy.publish_and_wait("much", b"%d" % number + bytes(500_000))
    reset(lazy)
    bodies: list[bytes] = []
    busy.consume("much", no_ack=True)
    while len(bodies) < 20:
        bodies.append(busy.message().body.rstrip(b"\0"))
    assert bodies == [b"%d" % number for number in range(20)]


def test_a_reset_gives_back_what_was_unacknowledged(broker: Broker, tcp: Connect) -> None:
    rude, other = tcp(broker), tcp(broker)
    rude.declare("own", exclusive=True)
    rude.declare("q")
    for number in range(3):
        rude.publish("q", b"%d" % number)
    for _ in range(2):
        rude.get("q", no_ack=False)
    other.consume("q", no_ack=True)
    assert other.message().body == b"2"
    rude.send(publishing("q", b"half")[:-1])
    reset(rude)
    assert [other.message().body, other.message().body] == [b"0", b"1"]
    assert other.declare("own").message_count == 0


def test_connections_may_come_and_go_in_a_hurry(broker: Broker, tcp: Connect) -> None:
    for _ in range(100):
        peer = Peer(TCP(broker.url))
        reset(peer)
    assert tcp(broker).declare("q").queue == "q"


@pytest.mark.slow
def test_the_broker_can_be_asked_while_clients_pour_in_messages(
    broker: Broker, tcp: Connect, flood: Callable[[str], threading.Thread]
) -> None:
    tcp(broker).declare("q")
    flood("q")
    before = -1
    for _ in range(3):
        ready = broker.queue("q").ready
        assert ready >= before
        before = ready
    assert tcp(broker).count("q") >= before


def test_what_was_sent_before_asking_is_there(broker: Broker, tcp: Connect) -> None:
    peer = tcp(broker)
    peer.declare("q")
    view = broker.queue("q")
    for count in range(1, 50):
        peer.publish("q", bytes(10_000))
        assert view.ready == count


def test_closing_amid_the_traffic_is_orderly(broker: Broker, flood: Callable[[str], threading.Thread]) -> None:
    with Peer.opened(broker.transport()) as peer:
        peer.declare("q")
    threads = [flood("q") for _ in range(3)]
    queue = broker.hub.node.vhosts["/"].queues["q"]
    while len(queue) < 1000:
        assert broker.hub.wait(broker.hub.changes, PATIENCE)
    broker.close(grace=0.1)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("polite", [True, False])
def test_closing_tells_every_client_and_waits_for_those_that_answer(broker: Broker, tcp: Connect, polite: bool) -> None:
    peers = [tcp(broker) for _ in range(5)]
    answers: list[int] = []

    def answer(peer: Peer) -> None:
        answers.append(peer.expect(ConnectionClose).reply_code)
        if polite:
            peer.method(ConnectionCloseOk(), 0)
            assert peer.ended()

    threads = [threading.Thread(target=answer, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    broker.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [320] * 5


def test_nothing_is_left_open_behind_the_broker(clock: ManualClock) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("counts file descriptors the Linux way")
    before = len(list(folder.iterdir()))
    for _ in range(5):
        with Broker(clock=clock) as broker, ExitStack() as stack:
            for _ in range(5):
                peer = stack.enter_context(Peer.opened(TCP(broker.url)))
                peer.declare("", exclusive=True)
            reset(peer)
    assert len(list(folder.iterdir())) == before
    assert not any(thread.name == "hutch server" for thread in threading.enumerate())


def test_two_threads_that_ask_for_the_url_get_the_same_one(broker: Broker) -> None:
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(broker.url)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(urls) == 8
    assert len(set(urls)) == 1


def test_a_message_goes_from_one_way_in_to_the_other(broker: Broker, pipe: Connect, tcp: Connect) -> None:
    near, far = pipe(broker), tcp(broker)
    near.declare("to far")
    near.declare("to near")
    far.consume("to far", no_ack=True)
    near.consume("to near", no_ack=True)
    near.publish("to far", b"1")
    assert far.message().body == b"1"
    far.publish("to near", b"2")
    assert near.message().body == b"2"


def test_the_log_tells_who_came_and_why_the_broker_closed(
    broker: Broker, tcp: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hutch.fakebroker"):
        peer = tcp(broker)
        peer.method(BasicAck(1))
        peer.read()
        peer.method(BasicGet(0, "q"), 2)
        peer.expect(ConnectionClose)
        peer.method(ConnectionCloseOk(), 0)
        assert peer.ended()
        broker.close()
    name = broker.history.of("connected")[0].connection
    assert caplog.messages == [
        f"{name}: accepted",
        f"{name}: closed: 504 CHANNEL_ERROR - expected 'channel.open'",
    ]

"""Children of the broker's process: what they inherit does not disturb the broker, and its URL works in them."""

import multiprocessing
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from hutch.client import Connection, Message, connect
from hutch.client.transports.tls import TlsTransport
from hutch.fakebroker import Broker, ManualClock
from hutch.pytest_plugin import FakeBroker
from hutch.wire.methods import ConnectionClose
from hutch.wire.url import parse_url
from tests import certificates

from .conftest import Connect
from .peers import PATIENCE, TCP, Peer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]


def in_child(work: Callable[[], object]) -> str:
    """What ``work`` gives, or raises, in a forked child; at once."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            try:
                told = f"gave {work()!r}"
            except BaseException as error:
                told = f"{type(error).__name__}: {error}"
            os.write(writing, told.encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        assert select.select([reading], [], [], PATIENCE)[0], "the child says nothing"
        return os.read(reading, 65536).decode()
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextmanager
def child_that_lives() -> Iterator[None]:
    """A forked child that does nothing, within the context."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(writing)


def port_of(url: str) -> tuple[str, int]:
    (address,) = parse_url(url)
    assert address.port is not None
    return address.host, address.port


def tls_peer(url: str) -> Peer:
    return Peer.opened(TlsTransport(*port_of(url), certificates.client_context()))


# a child that runs on


WAYS: dict[str, tuple[Callable[[Broker], str], Callable[[str], Peer]]] = {
    "plain": (lambda broker: broker.url, lambda url: Peer.opened(TCP(url))),
    "tls": (lambda broker: broker.listen_tls(certificates.server_context(), host="localhost"), tls_peer),
}


@pytest.mark.parametrize("way", WAYS)
def test_clients_see_the_end_although_a_child_lives(way: str) -> None:
    listen, open_peer = WAYS[way]
    broker = Broker()
    url = listen(broker)
    stopped, closed = open_peer(url), None
    try:
        with child_that_lives():
            broker.admin.stop()
            assert stopped.expect(ConnectionClose).reply_code == 320
            assert stopped.ended()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(port_of(url), PATIENCE)
            broker.admin.start()
            closed = open_peer(url)
            with child_that_lives():
                broker.close(grace=0.01)
                assert closed.expect(ConnectionClose).reply_code == 320
                assert closed.ended()
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(port_of(url), PATIENCE)
                with socket.socket() as other:  # remaining connections have this port, too
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    other.bind(("127.0.0.1", port_of(url)[1]))
                    other.listen()
    finally:
        broker.close()
        for peer in filter(None, (stopped, closed)):
            peer.transport.close()


def test_a_client_that_goes_silent_is_given_up_although_a_child_lives(
    manual: Broker, clock: ManualClock, tcp: Connect
) -> None:
    silent = tcp(manual, heartbeat=1)
    with child_that_lives():
        manual.drain_clients()
        clock.advance(seconds=10)
        silent.fill_until_end()


@pytest.mark.slow
def test_no_connection_is_inherited_whenever_a_child_is_forked(broker: Broker) -> None:
    """A fork falls between accepting a client and making it one of the broker's."""
    url = broker.url
    over, peers = threading.Event(), list[socket.socket]()

    def come() -> None:
        while not over.is_set() and len(peers) < 400:
            peers.append(socket.create_connection(port_of(url), PATIENCE))

    thread = threading.Thread(target=come)
    thread.start()
    with ExitStack() as children:
        for _ in range(40):
            children.enter_context(child_that_lives())
        over.set()
        thread.join(PATIENCE)
        broker.close(grace=0)
        for peer in peers:
            with peer, suppress(ConnectionResetError):
                peer.settimeout(PATIENCE)
                while peer.recv(4096):
                    pass


# a child that uses the inherited objects

USES: dict[str, Callable[[FakeBroker, Connection], object]] = {
    "queue": lambda broker, _: broker.queue("q"),
    "history": lambda broker, _: broker.history,
    "published": lambda broker, _: broker.published("q"),
    "wait_until": lambda broker, _: broker.wait_until(lambda: broker.queue("q").ready),
    "a wait for a change": lambda broker, _: broker.broker.hub.wait(broker.broker.hub.changes, PATIENCE),
    "drain_clients": lambda broker, _: broker.drain_clients(),
    "run_due": lambda broker, _: broker.run_due(),
    "advance": lambda broker, _: broker.clock.advance(1),
    "add_user": lambda broker, _: broker.admin.add_user("ann", "x"),
    "admin": lambda broker, _: broker.admin.set_loopback_users(),
    "raise_alarm": lambda broker, _: broker.raise_alarm("memory"),
    "clear_alarm": lambda broker, _: broker.clear_alarm("memory"),
    "trace_on": lambda broker, _: broker.trace_on(),
    "stop": lambda broker, _: broker.stop(),
    "start": lambda broker, _: broker.start(),
    "restart": lambda broker, _: broker.restart(),
    "listen_tls": lambda broker, _: broker.broker.listen_tls(certificates.server_context()),
    "memory_url": lambda broker, _: broker.memory_url,
    "connect to the memory_url": lambda *_: connect("memory://guest:guest@broker-1/"),
    "connect": lambda broker, _: broker.connect(),
    "a client's call": lambda _, connection: connection.channel(),
    "a client's wait": lambda _, connection: connection.drain_events(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_broker_is_of_no_use_in_a_child(use: str, busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so at once, whatever other threads were at when the child was forked."""
    with FakeBroker() as broker, broker.connect() as connection:
        monkeypatch.setattr("hutch.fakebroker.memory._hubs", {"broker-1": broker.broker.hub})
        url = broker.url
        connection.channel().queue_declare("q")
        locked, over = threading.Event(), threading.Event()

        def hold() -> None:
            with broker.broker.hub.turn, broker.broker.hub.listeners.changing:
                locked.set()
                over.wait(PATIENCE)

        thread = threading.Thread(target=hold)
        if busy:
            thread.start()
            assert locked.wait(PATIENCE)
        try:
            told = in_child(lambda: USES[use](broker, connection))
        finally:
            over.set()
            if busy:
                thread.join(PATIENCE)
        assert told == (
            f"RuntimeError: this broker runs in process {os.getpid()}; in a child forked from that, connect to {url}"
        )
        assert broker.queue("q").ready == 0


def test_the_url_is_known_in_a_child(broker: Broker) -> None:
    url = broker.url
    assert in_child(lambda: broker.url) == f"gave {url!r}"
    assert in_child(broker.listen) == f"gave {url!r}"


def test_a_broker_without_a_url_is_of_no_use_in_a_child(broker: Broker) -> None:
    beginning = f"RuntimeError: this broker runs in process {os.getpid()}; in a child forked from that, "
    for use in (lambda: broker.url, lambda: broker.memory_url, lambda: broker.queue("q")):
        assert in_child(use) == beginning + "a URL works if it was asked for before the fork"
    Peer.opened(TCP(broker.url)).transport.close()


def test_a_grandchild_is_told_the_same(broker: Broker) -> None:
    told = in_child(lambda: in_child(broker.drain_clients))
    assert f"this broker runs in process {os.getpid()};" in told


def test_a_child_may_have_a_broker_of_its_own(broker: Broker) -> None:
    assert broker.url

    def work() -> int:
        with Broker() as own, connect(own.url) as connection:
            connection.channel().queue_declare("own")
            return own.queue("own").consumers

    assert in_child(work) == "gave 0"
    with pytest.raises(LookupError):
        broker.queue("own")


# a child that only exits

EXITING = """
    import atexit, os, socket, sys
    from hutch.pytest_plugin import FakeBroker

    with FakeBroker() as broker:
        atexit.register(broker.close)
        near = broker.connect()
        near.channel().queue_declare("q")
        port = int(broker.url.rpartition(":")[2].rstrip("/"))
        far = socket.create_connection(("127.0.0.1", port)).detach()  # Python does not see to that one in the child
        while not broker.broker.hub.node.connections:
            pass
        child = os.fork()
        if not child:
            HOW
        assert os.waitpid(child, 0)[1] == 0
        assert near.channel().queue_declare("q", passive=True).queue == "q"
        with socket.socket(fileno=far) as again:
            again.settimeout(10)
            again.sendall(b"AMQP\\0\\0\\x09\\x01")
            assert again.recv(1) == b"\\1"
        socket.create_connection(("127.0.0.1", port)).close()
        print(broker.queue("q").ready)
"""


@pytest.mark.parametrize(
    "how",
    [
        "sys.exit()",
        *(
            pytest.param(how, marks=pytest.mark.slow)
            for how in ("os._exit(0)", "broker.close(); broker.close(); os._exit(0)", "del broker, near; sys.exit()")
        ),
    ],
)
def test_a_child_that_exits_disturbs_nobody(how: str) -> None:
    """By whatever way: out of the contexts that it is in, through what is to be done at exit, by finalizers."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c"]
    script = textwrap.dedent(EXITING).replace("HOW", how)
    ran = subprocess.run([*command, script], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("0\n", "", 0)


# children that use the URL


def publish(url: str, queue: str) -> None:
    """What a child does."""
    with connect(url) as connection:
        connection.channel().basic_publish_confirm(Message(b"from a child"), routing_key=queue)


@pytest.mark.parametrize(
    "method",
    [
        "fork",
        pytest.param("spawn", marks=pytest.mark.slow),
        pytest.param("forkserver", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_children_use_the_url(broker: Broker, method: str, secure: bool, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    url = broker.url
    if secure:
        files = certificates.write(tmp_path)
        url = broker.listen_tls(certfile=files.server, keyfile=files.server_key, host="localhost")
        url = f"{url}?cacertfile={files.ca}"
    with Peer.opened(TCP(broker.url)) as peer:
        peer.declare("q")
        context = multiprocessing.get_context(method)
        children = [context.Process(target=publish, args=(url, "q"), daemon=True) for _ in range(3)]  # type: ignore[attr-defined]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
            assert child.exitcode == 0
        assert [message.body for message in broker.queue("q").messages] == [b"from a child"] * 3


def test_a_broker_cannot_be_sent_to_another_process(broker: Broker) -> None:
    with pytest.raises(TypeError, match="a broker stays in its process; hand its url to the other one"):
        pickle.dumps(broker)

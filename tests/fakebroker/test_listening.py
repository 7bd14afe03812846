"""Where a broker cannot listen, and where its listener dies: whoever needs it is told at once, and nobody waits."""

import logging
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self

import pytest

from hutch.fakebroker import Broker, Clock, ManualClock, SystemClock
from hutch.fakebroker.server import ports
from hutch.wire.url import parse_url
from tests import certificates

from .conftest import Connect
from .peers import PATIENCE, TCP, Peer

LISTEN: dict[str, Callable[[Broker], str]] = {
    "url": lambda broker: broker.url,
    "listen": lambda broker: broker.listen("localhost"),
    "listen_tls": lambda broker: broker.listen_tls(certificates.server_context()),
}


@pytest.fixture(params=LISTEN)
def listen(request: pytest.FixtureRequest) -> Callable[[Broker], str]:
    """Has a broker listen, in each of the ways."""
    return LISTEN[request.param]


def run(script: str) -> str:
    """What a program prints. It must end in time, and say nothing else; its warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("counts file descriptors the Linux way")
    return len(list(folder.iterdir()))


# no listener


NO_DESCRIPTORS = """
    import os, resource, socket, ssl, trustme
    from hutch.fakebroker import Broker
    from hutch.fakebroker.server import thread  # importing takes descriptors, too

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    brokers = [Broker(), Broker()]
    attempts = [lambda: brokers[0].url, lambda: brokers[1].listen_tls(context)]
    before = sorted(os.listdir("/proc/self/fd"))
    for spare in range(6):
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for _ in range(spare):
            os.close(taken.pop())
        told = []
        for attempt in attempts:
            try:
                told.append(attempt().partition(":")[0])
            except OSError as error:
                told.append(error.errno)
        for descriptor in taken:
            os.close(descriptor)
        print(spare, *told)
        if spare == 3:
            assert sorted(os.listdir("/proc/self/fd")) == before
    for broker in brokers:
        broker.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on descriptors, which it counts the Linux way")
def test_no_descriptors_are_left() -> None:
    """A listener takes four: its socket, the loop's selector and the two ends by which the loop is woken."""
    assert run(NO_DESCRIPTORS).splitlines() == [
        "0 24 24",
        "1 24 24",
        "2 24 24",
        "3 24 24",
        "4 amqp 24",
        "5 amqp amqps",
    ]


class SocketBlockedError(RuntimeError):
    """pytest-socket's."""


@pytest.fixture(params=["all", "all but Unix sockets"])
def forbid_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forbids sockets as pytest-socket does (--disable-socket, with and without --allow-unix-socket)."""

    class GuardedSocket(socket.socket):
        def __new__(cls, family: int = -1, *_: object, **__: object) -> Self:
            if family == socket.AF_UNIX and request.param != "all":
                return super().__new__(cls)
            raise SocketBlockedError("A test tried to use socket.socket.")

    return lambda: monkeypatch.setattr(socket, "socket", GuardedSocket)


def test_sockets_are_forbidden(
    broker: Broker,
    listen: Callable[[Broker], str],
    forbid_sockets: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificates.server_context()
    before = descriptors()
    forbid_sockets()
    for _ in range(3):
        with pytest.raises(SocketBlockedError, match=r"A test tried to use socket\.socket"):
            listen(broker)
    assert descriptors() == before
    Peer.opened(broker.transport()).declare("in-process")
    assert broker.queue("in-process").ready == 0
    monkeypatch.undo()
    assert listen(broker).startswith("amqp")


def test_sockets_are_forbidden_while_it_listens(
    broker: Broker, tcp: Connect, forbid_sockets: Callable[[], None]
) -> None:
    """A broker may be older than the test that forbids sockets."""
    peer = tcp(broker)
    peer.declare("q")
    forbid_sockets()
    peer.publish("q", b"1")
    assert broker.queue("q").ready == 1
    broker.admin.restart()
    broker.close()


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_the_thread_cannot_start(
    broker: Broker, listen: Callable[[Broker], str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def start(_: threading.Thread) -> NoReturn:
        raise error

    certificates.server_context()
    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(type(error)) as caught:
            listen(broker)
        assert caught.value is error
    assert descriptors() == before
    assert listen(broker).startswith("amqp")


def test_a_look_up_that_takes_too_long(
    broker: Broker, listen: Callable[[Broker], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends when the look-up does, and listens to nobody."""
    certificates.server_context()
    before, over, look_up = descriptors(), threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> list[Any]:
        over.wait(PATIENCE)
        return look_up(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", slow)
        patch.setattr("hutch.fakebroker.server.thread._PATIENCE", 0.05)
        with pytest.raises(TimeoutError, match=r"does not listen on (127\.0\.0\.1|localhost):0 after 0\.05 s"):
            listen(broker)
        over.set()
        for thread in threading.enumerate():
            if thread.name == "hutch server":
                thread.join(PATIENCE)
                assert not thread.is_alive()
    assert descriptors() == before
    assert listen(broker).startswith("amqp")


def test_somebody_else_takes_each_free_port(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tried: list[int] = []

        def free_port(*_: object) -> int:
            tried.append(taken.getsockname()[1])
            return tried[-1]

        with monkeypatch.context() as patch:
            patch.setattr(ports, "_free_port", free_port)
            with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
                assert broker.url
        assert len(tried) == 20
    assert broker.url


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", ""])
def test_all_addresses_of_a_host_have_the_same_port(broker: Broker, host: str) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    (address,) = parse_url(broker.listen(host))
    for name in ["127.0.0.1", "::1"] if host == "" else [host]:
        for place in socket.getaddrinfo(name, address.port, type=socket.SOCK_STREAM):
            with socket.socket(place[0]) as client:
                client.connect(place[4])


# a listener that dies


class Trap(Clock):
    """A clock that raises ``error`` in the listener's thread, once, as soon as there is one."""

    error: BaseException | None = None

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.sprung, self.ready = threading.Event(), threading.Event()
        self.ready.set()

    def monotonic(self) -> float:
        if self.error is not None and threading.current_thread().name == "hutch server":
            error, self.error = self.error, None
            self.sprung.set()
            self.ready.wait(PATIENCE)
            raise error
        return self._clock.monotonic()

    def time(self) -> float:
        return self._clock.time()


@pytest.fixture
def trap() -> Trap:
    return Trap()


@pytest.fixture
def died(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What threads died of, as they report it."""
    errors: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_the_loop_dies(trap: Trap, died: list[BaseException | None], error: BaseException) -> None:
    with Broker(clock=trap) as broker:
        url = broker.url
        peer, idle = Peer.opened(TCP(url)), Peer.opened(TCP(url))
        near = Peer.opened(broker.transport())
        near.declare("q")
        peer.consume("q")
        trap.error = error
        peer.publish("q", b"1")
        for end in (peer, idle):
            end.fill_until_end()
            end.transport.close()
        calls: list[Callable[[], object]] = [
            broker.drain_clients,  # waits for the thread; clients may notice the end earlier
            lambda: broker.url,
            lambda: broker.queue("q"),
            lambda: broker.history,
            broker.admin.stop,
            broker.admin.restart,
        ]
        for call in calls:
            with pytest.raises(RuntimeError) as caught:
                call()
            assert str(caught.value) == f"the broker's listener on {url} died of {error!r}"
            assert caught.value.__cause__ is error
        (told,) = died
        assert str(told) == f"the broker's listener on {url} died"
        assert told is not None
        assert told.__cause__ is error
        near.publish("q", b"2")  # in-process clients do not need the listener
        assert near.get("q") is not None
        (address,) = parse_url(url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port), PATIENCE)
        near.transport.close()


def test_who_waits_for_the_listener_hears_that_it_dies(trap: Trap, died: list[BaseException | None]) -> None:
    with Broker(clock=trap) as broker, Peer.opened(TCP(broker.url)) as peer:
        peer.declare("q")
        told: list[str] = []

        def ask() -> None:
            try:
                broker.queue("q")
            except RuntimeError as error:
                told.append(str(error))

        trap.ready.clear()
        trap.error = SystemExit()
        peer.publish("q", b"1")
        assert trap.sprung.wait(PATIENCE)
        thread = threading.Thread(target=ask)
        thread.start()
        trap.ready.set()
        thread.join(PATIENCE)
        assert told == [f"the broker's listener on {broker_url(peer)} died of SystemExit()"]
        assert len(died) == 1


def broker_url(peer: Peer) -> str:
    assert isinstance(peer.transport, TCP)
    return f"amqp://guest:guest@127.0.0.1:{peer.transport.socket.getpeername()[1]}/"


def test_an_error_in_the_middle_costs_one_client(trap: Trap, caplog: pytest.LogCaptureFixture) -> None:
    with Broker(clock=trap) as broker, Peer.opened(TCP(broker.url)) as peer, caplog.at_level(logging.ERROR, "asyncio"):
        trap.error = ZeroDivisionError("amid its commands")
        with pytest.raises((EOFError, OSError)):
            peer.declare("q")
        assert "amid its commands" in caplog.text
        trap.error = ZeroDivisionError("at its start")
        with Peer(TCP(broker.url)) as new:
            new.fill_until_end()
        assert "at its start" in caplog.text
        with Peer.opened(TCP(broker.url)) as other:
            assert other.declare("q").queue == "q"


CLOSED_DESCRIPTORS = """
    import os, socket, threading, time
    from hutch.fakebroker import Broker

    died = []
    threading.excepthook = lambda args: died.append(args.exc_value.__cause__)
    broker = Broker()
    port = int(broker.url.rpartition(":")[2].rstrip("/"))
    client = socket.create_connection(("127.0.0.1", port), 10)
    client.sendall(b"AMQP\\0\\0\\x09\\x01")
    client.recv(1)
    for descriptor in range(3, 40):
        try:
            if not os.get_inheritable(descriptor) and "eventpoll" in os.readlink(f"/proc/self/fd/{descriptor}"):
                os.dup2(os.open("/dev/null", os.O_RDONLY), descriptor, inheritable=False)
        except OSError:
            pass
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        pass
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            broker.drain_clients()
        except RuntimeError as error:
            print(type(error.__cause__).__name__)
            break
    while client.recv(4096):
        pass
    broker.close()
    print("died of", *(type(error).__name__ for error in died))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="finds a descriptor the Linux way")
def test_a_program_takes_the_descriptor_of_the_loop() -> None:
    command = [sys.executable, "-c", textwrap.dedent(CLOSED_DESCRIPTORS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ran.stdout.splitlines() == ["OSError", "died of OSError"], ran.stderr


# a listener without progress, and a listener that closes


def test_clients_that_arrive_while_it_closes(clock: ManualClock) -> None:
    """None is lost between the system, which has accepted it, and the broker."""
    certificates.server_context()
    before = descriptors()
    for _ in range(20):
        broker = Broker(clock=clock)
        (address,) = parse_url(broker.url)
        clients = [socket.create_connection((address.host, address.port), PATIENCE) for _ in range(10)]
        broker.close(grace=0)
        for client in clients:
            with client, suppress(ConnectionResetError):
                assert client.recv(1) == b""
    assert descriptors() == before


def test_closing_a_broker_whose_listener_gets_no_turn_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, begun, over = Broker(), threading.Event(), threading.Event()
    assert broker.url

    def hold() -> None:
        with broker.hub.turn:
            begun.set()
            over.wait(PATIENCE)

    def wait_for_thread(grace: float) -> None:
        thread = threading.Thread(target=hold)
        thread.start()
        assert begun.wait(PATIENCE)
        try:
            closing(grace)
        finally:
            over.set()
            thread.join(PATIENCE)

    closing = broker.hub.listeners.close
    with monkeypatch.context() as patch:
        patch.setattr("hutch.fakebroker.server.thread._PATIENCE", 0.05)
        patch.setattr(broker.hub.listeners, "close", wait_for_thread)
        with pytest.raises(TimeoutError, match=r"has not ended after 0\.05 s"):
            broker.close(grace=0)


@pytest.mark.parametrize("way", ["close", "stop", "drain_clients"])
def test_nothing_waits_for_the_listener_inside_a_turn(broker: Broker, tcp: Connect, way: str) -> None:
    peer = tcp(broker)
    peer.declare("q", durable=True)
    broker.drain_clients()
    call = broker.admin.stop if way == "stop" else getattr(broker, way)
    with broker.hub.turn, pytest.raises(RuntimeError, match="a turn of the broker neither waits nor moves a clock"):
        call()
    assert tcp(broker).declare("q", durable=True).queue == "q"


def test_what_nobody_waits_for_any_more_is_not_done(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a stop that has failed would have the listener refuse clients later on."""
    with Broker(clock=trap) as broker, Peer.opened(TCP(broker.url)) as peer:
        peer.declare("q")
        trap.ready.clear()
        trap.error = ZeroDivisionError()
        peer.publish("q", b"1")
        assert trap.sprung.wait(PATIENCE)
        with monkeypatch.context() as patch:
            patch.setattr("hutch.fakebroker.server.thread._PATIENCE", 0.05)
            with pytest.raises(TimeoutError):
                broker.hub.listeners.refuse()
        trap.ready.set()
        broker.drain_clients()
        with Peer.opened(TCP(broker.url)) as other:
            assert other.declare("q").queue == "q"


def test_the_changes_that_other_threads_make_do_not_hide_a_listener_that_is_stuck(
    broker: Broker, tcp: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = tcp(broker)
    peer.declare("q")
    monkeypatch.setattr("hutch.fakebroker.server.thread._PATIENCE", 0.05)
    with Peer.opened(broker.transport()) as near, broker.hub.turn:
        peer.publish("q", b"unread")
        asked = threading.Thread(target=lambda: told.append(caught(broker.drain_clients)))
        told: list[str] = []
        asked.start()
        while asked.is_alive():
            near.publish("q", b"x")
    assert told == ["the broker's listener did nothing for 0.05 s"]


def caught(call: Callable[[], object]) -> str:
    try:
        call()
    except TimeoutError as error:
        return str(error)
    return "nothing"


NO_ROOM = """
    import logging, os, resource, socket
    from hutch.fakebroker import Broker
    from hutch.fakebroker.server import accepting

    accepting._ACCEPT_AGAIN = 0.05
    logged = []
    handler = logging.Handler()
    handler.emit = logged.append
    logging.getLogger("hutch.fakebroker").addHandler(handler)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with Broker() as broker:
        port = int(broker.url.rpartition(":")[2].rstrip("/"))
        client, taken = socket.socket(), []
        client.settimeout(10)
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        client.connect(("127.0.0.1", port))
        client.sendall(b"AMQP\\0\\0\\x09\\x01")
        broker.drain_clients()
        while len(logged) < 3:
            broker.hub.wait(broker.hub.changes, 0.05)
        for descriptor in taken:
            os.close(descriptor)
        print(client.recv(1))
        client.close()
    print(logged[0].getMessage().partition(":")[2], logged[2].created - logged[0].created > 0.05)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on descriptors")
def test_a_client_waits_while_there_is_no_room_for_it() -> None:
    assert run(NO_ROOM).splitlines() == [r"b'\x01'", " [Errno 24] Too many open files True"]


def test_a_client_context_is_refused_at_once(broker: Broker) -> None:
    with pytest.raises(ValueError, match=r"needs a context of ssl\.PROTOCOL_TLS_SERVER, not PROTOCOL_TLS_CLIENT"):
        broker.listen_tls(certificates.client_context())

"""The TCP transport, on sockets of this machine."""

import errno
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from hutch.client.connection import split_host
from hutch.client.transports.tcp import TcpTransport


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def transport(listener: socket.socket) -> Iterator[TcpTransport]:
    transport = TcpTransport(*listener.getsockname()[:2])
    transport.connect(time.monotonic() + 5)
    yield transport
    transport.close()


@pytest.fixture
def peer(listener: socket.socket, transport: TcpTransport) -> Iterator[socket.socket]:
    peer, _ = listener.accept()
    with peer:
        yield peer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_bytes_both_ways(transport: TcpTransport, peer: socket.socket) -> None:
    transport.send(b"there")
    assert peer.recv(100) == b"there"
    transport.send(b"again", transport.monotonic() + 5)
    assert peer.recv(100) == b"again"
    peer.sendall(b"back")
    assert transport.receive() == b"back"
    peer.sendall(b"and forth")
    assert transport.receive(transport.monotonic() + 5) == b"and forth"


def test_the_end_of_the_stream(transport: TcpTransport, peer: socket.socket) -> None:
    peer.sendall(b"last")
    peer.close()
    assert transport.receive(transport.monotonic() + 5) == b"last"
    assert transport.receive(transport.monotonic() + 5) == b""


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_deadlines(transport: TcpTransport, peer: socket.socket, timeout: float) -> None:
    deadline = transport.monotonic() + timeout
    with pytest.raises(TimeoutError):
        transport.receive(deadline)
    assert deadline <= transport.monotonic() < deadline + 5
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None


def test_a_deadline_in_the_past_still_looks(transport: TcpTransport, peer: socket.socket) -> None:
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    peer.sendall(b"y")
    fd = transport.fileno()
    assert fd is not None
    assert select.select([fd], [], [], 5)[0] == [fd]
    assert transport.receive(transport.monotonic() - 10) == b"y"
    assert not transport.readable()


def test_a_deadline_for_sending(transport: TcpTransport, peer: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        transport.send(b"x" * 100_000_000, transport.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        transport.send(b"x", transport.monotonic() - 1)
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None


@pytest.mark.parametrize("patience", [None, 5])
def test_pieces_go_one_behind_the_other(transport: TcpTransport, peer: socket.socket, patience: float | None) -> None:
    pieces = [bytes([number % 256]) * (number * 37) for number in range(1, 600)]
    deadline = None if patience is None else transport.monotonic() + patience
    views: list[bytes | memoryview] = [
        memoryview(piece) if number % 2 else piece for number, piece in enumerate(pieces)
    ]
    thread = threading.Thread(target=transport.send_pieces, args=(views, deadline))
    thread.start()
    expected = b"".join(pieces)
    received = b""
    while len(received) < len(expected):
        received += peer.recv(1 << 16)
    thread.join()
    assert received == expected
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None


def test_a_deadline_for_sending_pieces(transport: TcpTransport, peer: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        transport.send_pieces([b"x" * 100_000_000, b"y"], transport.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        transport.send_pieces([b"x"], transport.monotonic() - 1)
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None
    transport.close()
    with pytest.raises(ConnectionAbortedError, match="not connected"):
        transport.send_pieces([b"x"])


@pytest.mark.parametrize("deadline", [None, 5])
def test_a_socket_that_the_application_has_closed(
    transport: TcpTransport, peer: socket.socket, deadline: float | None
) -> None:
    assert transport.sock is not None
    transport.sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        transport.receive(None if deadline is None else transport.monotonic() + deadline)
    with pytest.raises(OSError, match="Bad file descriptor"):
        transport.readable()


def test_the_deadline_for_sending_holds_while_another_thread_sends(
    transport: TcpTransport, peer: socket.socket
) -> None:
    size = 50_000_000
    thread = threading.Thread(target=transport.send, args=(b"x" * size,))
    thread.start()
    assert peer.recv(1) == b"x"
    with pytest.raises(TimeoutError, match="another thread"):
        transport.send(b"y", transport.monotonic() + 0.05)
    rest = size - 1
    while rest:
        rest -= len(peer.recv(1 << 20))
    thread.join()
    transport.send(b"y", transport.monotonic() + 5)
    assert peer.recv(10) == b"y"


class Withheld:
    """A socket whose first reads go wrong."""

    def __init__(self, sock: socket.socket, *errors: OSError) -> None:
        self._sock = sock
        self._errors = list(errors)

    def recv(self, size: int, flags: int) -> bytes:
        if self._errors:
            raise self._errors.pop(0)
        return self._sock.recv(size, flags)

    def recv_into(self, room: memoryview, size: int, flags: int) -> int:
        data = self.recv(size or len(room), flags)
        room[: len(data)] = data
        return len(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


@pytest.mark.parametrize("error", [BlockingIOError(errno.EAGAIN, "read by another thread"), TimeoutError("timed out")])
def test_what_other_threads_do_does_not_end_a_read(
    transport: TcpTransport, peer: socket.socket, error: OSError
) -> None:
    peer.sendall(b"x")
    transport.sock = Withheld(transport.sock, error)  # type: ignore[arg-type,assignment]
    assert transport.receive(transport.monotonic() + 5) == b"x"
    peer.sendall(b"y")
    transport.sock = Withheld(transport.sock, error)  # type: ignore[arg-type,assignment]
    room = bytearray(5)
    assert transport.receive_into(memoryview(room), transport.monotonic() + 5) == 1
    assert room == b"y\0\0\0\0"


def test_receiving_into_place(transport: TcpTransport, peer: socket.socket) -> None:
    room = bytearray(5)
    with pytest.raises(TimeoutError):
        transport.receive_into(memoryview(room), transport.monotonic())
    peer.sendall(b"abcdefg")
    assert transport.receive_into(memoryview(room)) == 5
    assert room == b"abcde"
    assert transport.receive() == b"fg"
    peer.close()
    assert transport.receive_into(memoryview(room), transport.monotonic() + 5) == 0


def test_a_connection_that_the_kernel_gave_up_is_no_timeout(transport: TcpTransport, peer: socket.socket) -> None:
    transport.sock = Withheld(transport.sock, TimeoutError(errno.ETIMEDOUT, "Connection timed out"))  # type: ignore[arg-type,assignment]
    with pytest.raises(ConnectionAbortedError, match="Connection timed out"):
        transport.receive()
    transport.sock = Withheld(transport.sock, TimeoutError(errno.ETIMEDOUT, "Connection timed out"))  # type: ignore[arg-type,assignment]
    with pytest.raises(ConnectionAbortedError, match="Connection timed out"):
        transport.receive_into(memoryview(bytearray(1)))


def test_large_sends_from_several_threads_do_not_mix(transport: TcpTransport, peer: socket.socket) -> None:
    size = 1_000_000
    threads = [threading.Thread(target=transport.send, args=(letter * size,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    received = bytearray()
    while len(received) < 3 * size:
        received += peer.recv(1 << 20)
    for thread in threads:
        thread.join()
    assert sorted({received[start : start + size].count(received[start]) for start in range(0, 3 * size, size)}) == [
        size
    ]


def test_socket_options(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    transport = TcpTransport(host, port, {socket.TCP_NODELAY: 0})
    transport.connect(None)
    assert transport.sock is not None
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    assert transport.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    transport.close()


def test_nobody_there() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match=rf"cannot connect to 127.0.0.1:{port}: Connection refused"):
        TcpTransport("127.0.0.1", port).connect(time.monotonic() + 5)


def test_no_time_left(listener: socket.socket) -> None:
    with pytest.raises(TimeoutError, match="cannot connect to"):
        TcpTransport(*listener.getsockname()[:2]).connect(time.monotonic() - 1)


@pytest.mark.parametrize("seconds", [None, 5])
def test_an_unknown_host(seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror, match=r"cannot connect to no\.such\.host:5672: Name or service not known"):
        TcpTransport("no.such.host", 5672).connect(seconds and time.monotonic() + seconds)


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()
    before = set(threading.enumerate())

    def silent(*_args: object, flags: int = 0, **_kwargs: object) -> list[object]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not an address")
        given_up.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(TimeoutError, match=r"cannot connect to slow\.host:5672: timed out looking up the name"):
        TcpTransport("slow.host", 5672).connect(time.monotonic() + 0.1)
    given_up.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)


def test_the_next_address_is_tried(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = listener.getsockname(), ("127.0.0.1", free_port())
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (bad, good)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    transport = TcpTransport("two.addresses", 1)
    transport.connect(time.monotonic() + 5)
    assert transport.sock is not None
    assert transport.sock.getpeername() == good
    transport.close()


FORKED = """
import os, socket
from hutch.client import TcpTransport
listener = socket.create_server(("127.0.0.1", 0))
transport = TcpTransport(*listener.getsockname())
transport.connect(None)
peer, _ = listener.accept()
child = os.fork()
if not child:
    transport.close()
    os._exit(0)
os.waitpid(child, 0)
transport.send(b"still there")
print(peer.recv(100).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_that_closes_its_copy() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=20, check=False)
    assert (ran.stdout, ran.stderr) == ("still there\n", "")


def test_closing_twice(transport: TcpTransport, peer: socket.socket) -> None:
    assert transport.fileno() is not None
    transport.close()
    transport.close()
    assert transport.fileno() is None
    assert not transport.readable()
    with pytest.raises(OSError, match="not connected"):
        transport.send(b"x")
    with pytest.raises(OSError, match="not connected"):
        transport.receive()
    assert peer.recv(10) == b""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", ("localhost", 5672)),
        ("localhost:1234", ("localhost", 1234)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[::1]", ("::1", 5672)),
        ("[fe80::1]:99", ("fe80::1", 99)),
        ("::1", ("::1", 5672)),
    ],
)
def test_hosts(host: str, expected: tuple[str, int]) -> None:
    assert split_host(host) == expected


def test_a_port_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="'amqp' is no number"):
        split_host("localhost:amqp")

"""The TLS transport, on sockets of this machine."""

import asyncio
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from hutch.client.transports.tls import TlsTransport
from tests import certificates
from tests.client.tls_server import PATIENCE, Served, serving, soon


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(certificates.server_context()) as served:
        yield served


@pytest.fixture
def transport(served: Served) -> Iterator[TlsTransport]:
    transport = served.transport()
    transport.connect(time.monotonic() + PATIENCE)
    yield transport
    transport.close()


@pytest.fixture
def peer(served: Served, transport: TlsTransport) -> ssl.SSLSocket:
    return served.peer()


def received(transport: TlsTransport, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = transport.receive(soon())
        assert piece, "the stream ended too early"
        data += piece
    return bytes(data)


def arrived(transport: TlsTransport) -> bool:
    """Whether ciphertext comes in time."""
    return not silent(transport, PATIENCE)


def silent(transport: TlsTransport, seconds: float = 0) -> bool:
    """Whether nothing comes in so many seconds."""
    assert transport.sock is not None
    return not select.select([transport.sock], [], [], seconds)[0]


# sending and receiving


def test_bytes_both_ways(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    transport.send(b"there")
    assert peer.recv(100) == b"there"
    transport.send(b"again", soon())
    assert peer.recv(100) == b"again"
    peer.sendall(b"back")
    assert transport.receive() == b"back"
    peer.sendall(b"and forth")
    assert transport.receive(soon()) == b"and forth"


def test_what_is_known_of_the_peer(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    machine = transport.ssl_object
    assert machine is not None
    assert machine.version() == "TLSv1.3"
    assert machine.cipher() == peer.cipher()
    certificate = machine.getpeercert()
    assert certificate is not None
    assert ("DNS", "localhost") in certificate["subjectAltName"]
    assert transport.sock is not None
    assert transport.sock.getpeername() == peer.getsockname()
    assert transport.fileno() == transport.sock.fileno()


@pytest.mark.parametrize("announced", [True, False])
def test_the_end_of_the_stream(transport: TlsTransport, peer: ssl.SSLSocket, announced: bool) -> None:
    peer.sendall(b"last")
    if announced:
        peer.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):  # the peer has sent its close notify, and ours has not arrived
            peer.unwrap()
    else:
        peer.shutdown(socket.SHUT_RDWR)
    assert transport.receive(soon()) == b"last"
    for _ in range(2):
        assert transport.readable() or arrived(transport)
        assert transport.receive(soon()) == b""


def test_a_reset_is_an_error_for_whoever_receives(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    assert arrived(transport)
    assert transport.readable()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            transport.receive(soon())


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_deadlines(transport: TlsTransport, peer: ssl.SSLSocket, timeout: float) -> None:
    deadline = transport.monotonic() + timeout
    with pytest.raises(TimeoutError):
        transport.receive(deadline)
    assert deadline <= transport.monotonic()
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None


def test_a_record_that_is_not_complete(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    with socket.socket(fileno=peer.detach()) as plain:
        plain.sendall(b"\x17\x03\x03\x40\x00" + bytes(100))  # of a record of 16 KiB
        assert arrived(transport)
        assert not transport.readable()
        with pytest.raises(TimeoutError):
            transport.receive(transport.monotonic() + 0.05)


def test_no_timeout_is_left_on_the_socket(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    transport.send(b"x", soon())
    peer.sendall(b"y")
    transport.receive(soon())
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None


def test_decrypted_bytes_are_told_of_although_the_socket_is_silent(
    transport: TlsTransport, peer: ssl.SSLSocket
) -> None:
    peer.sendall(b"x")
    while not transport.readable():
        assert arrived(transport)
    assert silent(transport)
    assert transport.readable()
    assert transport.receive(transport.monotonic()) == b"x"
    assert not transport.readable()


def test_records_that_came_together_are_all_told_of(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    body = bytes(range(256)) * 1000
    peer.sendall(body)
    peer.sendall(b"end")
    data = b""
    while not data.endswith(b"end"):
        assert transport.readable() or arrived(transport)
        data += transport.receive(soon())
    assert data == body + b"end"
    assert not transport.readable()


def test_ciphertext_that_holds_nothing_for_the_application(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    """TLS 1.3 sends session tickets behind the handshake."""
    assert arrived(transport)
    assert not transport.readable()


def test_a_deadline_for_sending(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    with pytest.raises(TimeoutError, match="before anything was sent"):
        transport.send(b"x", transport.monotonic() - 1)
    transport.send(b"y", soon())
    assert peer.recv(10) == b"y"
    with pytest.raises(TimeoutError):
        transport.send(bytes(100_000_000), transport.monotonic() + 0.05)
    assert transport.sock is not None
    assert transport.sock.gettimeout() is None
    # otherwise the peer would get bytes that it cannot decrypt
    with pytest.raises(ConnectionAbortedError, match="cut off"):
        transport.send(b"x", soon())


def test_the_deadline_for_sending_holds_while_another_thread_sends(
    transport: TlsTransport, peer: ssl.SSLSocket
) -> None:
    size = 50_000_000
    thread = threading.Thread(target=transport.send, args=(bytes(size),))
    thread.start()
    rest = size - len(peer.recv(1))
    with pytest.raises(TimeoutError, match="another thread"):
        transport.send(b"y", transport.monotonic() + 0.05)
    while rest:
        rest -= len(peer.recv(1 << 20))
    thread.join(PATIENCE)
    transport.send(b"y", soon())
    assert peer.recv(10) == b"y"


def test_large_sends_from_several_threads_do_not_mix(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    size = 1_000_000
    threads = [threading.Thread(target=transport.send, args=(letter * size,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    data = bytearray()
    while len(data) < 3 * size:
        data += peer.recv(1 << 20)
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(bytes(data[start : start + size]) for start in range(0, 3 * size, size)) == [
        letter * size for letter in (b"a", b"b", b"c")
    ]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 20):
        writer.write(data)
    writer.close()
    await writer.wait_closed()


@contextmanager
def echo() -> Iterator[int]:
    """A port that sends back what it gets; an event loop, since no ssl.SSLSocket may be read and written at once."""
    started: Future[tuple[int, Callable[[], object]]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=certificates.server_context())
        loop = asyncio.get_running_loop()
        started.set_result((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(over.set)))
        await over.wait()
        server.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    port, stop = started.result(PATIENCE)
    try:
        yield port
    finally:
        stop()
        thread.join(PATIENCE)


def test_both_directions_at_once() -> None:
    """More than sockets hold, in records that cross: reading in one thread does not disturb writing in another."""
    size = 20_000_000
    body = bytes(range(250)) * (size // 250)
    with echo() as port, ThreadPoolExecutor(1) as pool:
        transport = TlsTransport("127.0.0.1", port, certificates.client_context())
        transport.connect(soon())
        sent = pool.submit(transport.send, body, soon())
        assert received(transport, size) == body
        sent.result(PATIENCE)
        transport.close()


def test_what_tls_itself_asks_is_answered_by_whoever_reads() -> None:
    """The server asks for a certificate when all is open; the client only reads."""
    server = certificates.server_context(verify=ssl.CERT_REQUIRED)
    server.post_handshake_auth = True  # no certificate in the handshake
    client = certificates.client_context(certificates.client_certificate("ann"))
    client.post_handshake_auth = True
    with serving(server) as served:
        transport = served.transport(client)
        transport.connect(soon())
        peer = served.peer()
        peer.verify_client_post_handshake()
        peer.sendall(b"who are you?")
        assert transport.receive(soon()) == b"who are you?"
        transport.send(b"!")
        assert peer.recv(10) == b"!"
        certificate = peer.getpeercert()
        assert certificate is not None
        assert (("commonName", "ann"),) in certificate["subject"]
        transport.close()


# closing


def test_closing_tells_the_peer_and_does_not_wait(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    transport.close()
    transport.close()
    assert peer.recv(10) == b""  # without a close notify this would raise an SSLEOFError
    assert transport.fileno() is None
    assert transport.sock is None
    assert transport.ssl_object is None
    assert not transport.readable()
    with pytest.raises(ConnectionAbortedError, match="not connected"):
        transport.send(b"x")
    with pytest.raises(ConnectionAbortedError, match="not connected"):
        transport.receive()


def test_closing_ends_a_wait_in_another_thread(transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(transport.receive)
        transport.close()
        assert isinstance(waiting.exception(PATIENCE), OSError)


def test_a_transport_may_connect_again(served: Served, transport: TlsTransport, peer: ssl.SSLSocket) -> None:
    transport.close()
    with serving(certificates.server_context()) as another:
        transport.port = another.port
        with pytest.raises(ConnectionAbortedError):
            transport.send(b"x")
        again = another.transport()
        again.connect(soon())
        again.send(b"x")
        assert another.peer().recv(10) == b"x"
        again.close()

"""The TLS transport, on sockets of this machine."""

import asyncio
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from hutch.client.transports.tls import TlsTransport
from tests import certificates
from tests.client.test_tcp import free_port

PATIENCE = 10.0


@dataclass
class Served:
    """A server that takes one client: where it is, and its end of the connection, or why there is none."""

    port: int
    accepted: "Future[ssl.SSLSocket]"

    def transport(self, settings: object = None, host: str = "127.0.0.1") -> TlsTransport:
        return TlsTransport(host, self.port, settings or certificates.client_context())

    def peer(self) -> ssl.SSLSocket:
        return self.accepted.result(PATIENCE)


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[Served]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        listener.settimeout(PATIENCE)

        def accept() -> ssl.SSLSocket:
            sock = stack.enter_context(listener.accept()[0])
            sock.settimeout(PATIENCE)
            return stack.enter_context(context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False))

        yield Served(listener.getsockname()[1], pool.submit(accept))


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


def soon() -> float:
    return time.monotonic() + PATIENCE


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
        with pytest.raises(ssl.SSLWantReadError):  # the word is said, the other's not there yet
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
        plain.sendall(b"\x17\x03\x03\x40\x00" + bytes(100))  # of 16 KiB
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
    with pytest.raises(ConnectionAbortedError, match="cut off"):  # else the peer would get what it cannot decrypt
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
    server.post_handshake_auth = True  # so not in the handshake
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
    assert peer.recv(10) == b""  # an end that was not announced would be an SSLEOFError
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


# who is trusted


def failure(served: Served, settings: object = None, host: str = "127.0.0.1") -> OSError:
    """Why a connection is not made."""
    transport = served.transport(settings, host)
    with pytest.raises(OSError, match="TLS with") as caught:
        transport.connect(soon())
    assert transport.sock is None
    assert f"TLS with {host}:{served.port} failed: " in str(caught.value)
    return caught.value


def test_an_unknown_authority(served: Served) -> None:
    error = failure(served, True)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert str(error).endswith("the server's certificate is not accepted: self-signed certificate in certificate chain")
    refusal = served.accepted.exception(PATIENCE)
    assert isinstance(refusal, ssl.SSLError)
    assert refusal.reason == "TLSV1_ALERT_UNKNOWN_CA"  # the server is told


def test_another_host() -> None:
    with serving(certificates.server_context(certificates.authority().issue_cert("other.example"))) as served:
        error = failure(served, host="localhost")
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in str(error)


def test_an_expired_certificate() -> None:
    now = datetime.now(UTC)
    expired = certificates.authority().issue_cert("127.0.0.1", not_after=now - timedelta(days=1))
    with serving(certificates.server_context(expired)) as served:
        assert "certificate has expired" in str(failure(served))


@pytest.mark.parametrize(
    "make",
    [
        lambda _: {"cert_reqs": ssl.CERT_NONE},
        lambda files: {"server_hostname": "other.example", "ca_certs": files.ca},
        lambda files: {"context": {"cafile": files.ca, "check_hostname": False}},
        lambda _: {"context": certificates.client_context(), "server_hostname": "other.example"},
    ],
    ids=["nothing is checked", "another name is expected", "the name is not checked", "a context and another name"],
)
def test_a_certificate_for_another_host_is_taken_if_asked(
    tmp_path: Path, make: Callable[[certificates.Files], dict[str, Any]]
) -> None:
    certificate = certificates.authority().issue_cert("other.example")
    with serving(certificates.server_context(certificate)) as served:
        transport = served.transport(make(certificates.write(tmp_path)))
        transport.connect(soon())
        transport.send(b"x")
        assert served.peer().recv(10) == b"x"
        transport.close()


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, "localhost"), ({"server_hostname": "other.example"}, "other.example")]
)
def test_the_server_is_told_whom_the_client_looks_for(tmp_path: Path, settings: dict[str, Any], expected: str) -> None:
    context = certificates.server_context(certificates.authority().issue_cert("localhost", "other.example"))
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with serving(context) as served:
        transport = served.transport({"ca_certs": certificates.write(tmp_path).ca, **settings}, host="localhost")
        transport.connect(soon())
        transport.close()
        served.peer()
    assert asked == [expected]


def test_a_client_certificate(tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    with serving(certificates.server_context(verify=ssl.CERT_REQUIRED)) as served:
        transport = served.transport({"ca_certs": files.ca, "certfile": files.client, "keyfile": files.client_key})
        transport.connect(soon())
        certificate = served.peer().getpeercert()
        assert certificate is not None
        assert (("commonName", "guest"),) in certificate["subject"]
        transport.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_wanted_and_missing(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """With TLS 1.3 the handshake is over for the client before the server says so."""
    with serving(certificates.server_context(verify=ssl.CERT_REQUIRED)) as served:
        authority = certificates.write(tmp_path).ca
        transport = served.transport(
            {"ca_certs": authority, "tls_minimum_version": version, "tls_maximum_version": version}
        )

        def talk() -> None:
            transport.connect(soon())
            transport.receive(soon())

        with pytest.raises(ssl.SSLError, match=rf"TLS with 127\.0\.0\.1:{served.port} failed: .*alert"):
            talk()
        transport.close()


# who is no TLS server


@contextmanager
def answering(data: bytes, end: bool = True) -> Iterator[int]:
    """A port that says ``data`` to a client who has spoken."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(PATIENCE)
        over = threading.Event()

        def answer() -> None:
            with listener.accept()[0] as sock:
                sock.recv(65536)
                sock.sendall(data)
                if not end:
                    over.wait(PATIENCE)

        done = pool.submit(answer)
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
        done.result(PATIENCE)


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        (b"AMQP\x00\x00\x09\x01", ssl.SSLError, "the server speaks AMQP there, without TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ssl.SSLError, "WRONG_VERSION_NUMBER"),
        (b"", ConnectionResetError, "the server ended the connection amid the handshake"),
    ],
)
def test_something_else_than_tls(data: bytes, kind: type[OSError], text: str) -> None:
    with answering(data) as port:
        transport = TlsTransport("localhost", port)
        with pytest.raises(kind, match=rf"TLS with localhost:{port} failed: .*{text}"):
            transport.connect(soon())
    assert transport.sock is None


#: The beginning of a ServerHello: a record of 100 bytes that does not go on.
HALF = b"\x16\x03\x03\x00\x64\x02\x00\x00\x60\x03\x03"


@pytest.mark.parametrize("data", [b"", HALF], ids=["silence", "half a handshake"])
def test_a_handshake_that_does_not_go_on(data: bytes) -> None:
    with answering(data, end=False) as port:
        transport = TlsTransport("127.0.0.1", port)
        with pytest.raises(TimeoutError, match=rf"TLS with 127\.0\.0\.1:{port} failed: the handshake was not done"):
            transport.connect(time.monotonic() + 0.1)
        assert transport.sock is None


def test_nobody_there() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match=rf"cannot connect to 127.0.0.1:{port}: Connection refused"):
        TlsTransport("127.0.0.1", port).connect(soon())


def test_an_ipv6_address_is_told_in_brackets() -> None:
    with pytest.raises(OSError, match=r"cannot connect to \[::1\]:"):
        TlsTransport("::1", free_port()).connect(soon())


# settings


def test_versions_and_ciphers(served: Served, tmp_path: Path) -> None:
    transport = served.transport(
        {
            "ca_certs": certificates.write(tmp_path).ca,
            "tls_maximum_version": ssl.TLSVersion.TLSv1_2,
            "ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384",
        }
    )
    transport.connect(soon())
    assert transport.ssl_object is not None
    assert transport.ssl_object.cipher() == ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256)
    transport.close()


def test_a_protocol_constant(served: Served, tmp_path: Path) -> None:
    transport = served.transport(
        {"ca_certs": certificates.write(tmp_path).ca, "ssl_version": ssl.PROTOCOL_TLS_CLIENT, "keyfile": None}
    )
    transport.connect(soon())
    transport.close()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ca_cert": "ca.pem"}, "ssl has no 'ca_cert'; there are ca_certs, cert_reqs, certfile, keyfile, ciphers"),
        ({"context": {"ca_certs": "ca.pem"}}, "ssl: context has no 'ca_certs'; there are cafile, capath"),
        ({"context": {}, "cert": 1}, "ssl has no 'cert'"),
        ({"context": {"cafile": None}, "ciphers": "x"}, "ciphers cannot stand beside context"),
        ({"context": 5}, "context is an SSLContext or a mapping, not 5"),
        ({"keyfile": "client.key"}, "keyfile is the key to a certfile"),
        ({}, "a mapping that is not empty"),
        ("yes", "not 'yes'"),
    ],
)
def test_wrong_settings(settings: object, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        TlsTransport("localhost", 5671, settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ca_certs": "/no/ca.pem"}, r"ssl: ca_certs \(/no/ca\.pem\): No such file"),
        ({"context": {"cafile": "/no/ca.pem"}}, r"ssl: cafile \(/no/ca\.pem\): No such file"),
        ({"certfile": "/no/c.pem", "keyfile": "/no/c.key"}, r"ssl: certfile or keyfile \(/no/c\.pem, /no/c\.key\): No"),
        ({"ca_certs": __file__}, r"ssl: ca_certs \(.*test_tls\.py\): "),
    ],
)
def test_files_that_cannot_be_loaded(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(OSError, match=text):
        TlsTransport("localhost", 5671, settings)


def test_a_key_that_does_not_fit(tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    with pytest.raises(ssl.SSLError, match="certfile or keyfile"):
        TlsTransport("localhost", 5671, {"certfile": files.client, "keyfile": files.server_key})


def test_certificates_made_by_another_authority_are_refused(tmp_path: Path) -> None:
    stranger = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    with serving(certificates.server_context()) as served:
        assert "not accepted" in str(failure(served, {"ca_certs": str(stranger)}))

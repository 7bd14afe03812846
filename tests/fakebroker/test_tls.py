"""The broker behind TLS: who is let in, who is not, and clients that are up to no good."""

import logging
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import trustme

from hutch.client import connect
from hutch.client.transports.tls import TlsTransport
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.cli import main
from hutch.fakebroker.server.tls import Tls
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
)
from hutch.wire.url import parse_url
from tests import certificates
from tests.client.api.admin import eventually
from tests.targets import Target

from .peers import CAPABILITIES, PATIENCE, TCP, Peer

#: A broker's answer to bytes that are not TLS: the alert unexpected_message (seen on live 3.10 and 4.3).
NOT_TLS = b"\x15\x03\x01\x00\x02\x02\x0a"


def tls_url(broker: Broker, verify: ssl.VerifyMode = ssl.CERT_OPTIONAL, login_from: str = "common_name") -> str:
    return broker.listen_tls(certificates.server_context(verify=verify), ssl_cert_login_from=login_from)


Client = Callable[..., TlsTransport]


@pytest.fixture
def client() -> Iterator[Client]:
    """Makes transports to a URL, not connected yet, with or without a certificate, and closes them behind the test."""
    with ExitStack() as stack:

        def make(url: str, certificate: trustme.LeafCert | None = None) -> TlsTransport:
            (address,) = parse_url(url)
            assert address.port is not None
            transport = TlsTransport(address.host, address.port, certificates.client_context(certificate))
            stack.callback(transport.close)
            return transport

        yield make


def log_in(transport: TlsTransport, response: bytes = b"", capabilities: bool = True) -> Peer:
    """A peer that has asked for the mechanism EXTERNAL."""
    peer = Peer(transport)
    peer.greet()
    peer.method(ConnectionStartOk(CAPABILITIES if capabilities else {}, "EXTERNAL", response), 0)
    return peer


def is_let_in(peer: Peer) -> bool:
    peer.expect(ConnectionTune)
    peer.method(ConnectionTuneOk(10, 131072, 0), 0)
    peer.method(ConnectionOpen("/"), 0)
    peer.expect(ConnectionOpenOk)
    return True


REFUSED = (
    "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL. For details see the broker logfile."
)


def assert_refused(peer: Peer) -> None:
    close = peer.expect(ConnectionClose)
    assert (close.reply_code, close.reply_text, close.class_id, close.method_id) == (403, REFUSED, 0, 0)
    peer.method(ConnectionCloseOk(), 0)
    assert peer.ended()


# who may log in


def test_both_listeners_lead_to_one_broker(broker: Broker, client: Client) -> None:
    url = tls_url(broker)
    assert url.startswith("amqps://guest:guest@127.0.0.1:")
    assert broker.url.startswith("amqp://")
    with Peer.opened(client(url)) as near, Peer.opened(TCP(broker.url)) as far:
        near.declare("q")
        for number in range(20):
            far.publish("q", b"%d" % number)
        assert broker.queue("q").ready == 20
        near.publish("q", bytes(3_000_000))
        assert broker.queue("q").ready == 21
        assert [near.get("q") for _ in range(20)] == [b"%d" % number for number in range(20)]
        assert far.get("q") == bytes(3_000_000)


def test_files_in_place_of_a_context(broker: Broker, tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    url = broker.listen_tls(certfile=files.server, keyfile=files.server_key, cafile=files.ca, host="localhost")
    assert "@localhost:" in url
    with connect(f"{url}?cacertfile={files.ca}", connect_timeout=PATIENCE) as connection:
        assert b"EXTERNAL" in connection.mechanisms


@pytest.mark.parametrize(
    ("profile", "plain", "external"),
    [
        ("3.10", b"AMQPLAIN PLAIN", b"EXTERNAL AMQPLAIN PLAIN"),
        ("4.3", b"ANONYMOUS AMQPLAIN PLAIN", b"ANONYMOUS AMQPLAIN PLAIN EXTERNAL"),
    ],
)
def test_external_is_offered_where_certificates_are_verified(
    client: Client, profile: str, plain: bytes, external: bytes
) -> None:
    """To all, with and without a certificate, as seen live."""
    with Broker(profile) as broker, Broker(profile) as another, Peer(TCP(broker.url)) as without:
        assert Peer(client(tls_url(broker))).greet().mechanisms == external
        assert without.greet().mechanisms == plain
        assert Peer(client(tls_url(another, ssl.CERT_NONE))).greet().mechanisms == plain


@pytest.mark.parametrize("response", [b"", b"somebody else"])
def test_the_common_name_is_the_user(broker: Broker, client: Client, response: bytes) -> None:
    url = tls_url(broker)
    assert is_let_in(log_in(client(url, certificates.client_certificate("guest", "Acme")), response))


def test_the_distinguished_name_is_the_user(client: Client) -> None:
    with Broker(users={"CN=ann,OU=Testing,O=Acme": "x"}) as broker:
        certificate = certificates.authority().issue_cert(
            "localhost", common_name="ann", organization_name="Acme", organization_unit_name="Testing"
        )
        url = broker.listen_tls(certificates.server_context(verify=ssl.CERT_OPTIONAL))  # RabbitMQ's default
        assert is_let_in(log_in(client(url, certificate)))


#: Subjects, with the user names that live 3.10 and 4.3 derive from them (ssl_cert_login_from).
SUBJECTS = [
    ([[("commonName", "guest")]], "CN=guest", "guest"),
    ([[("organizationName", "Acme")]], "O=Acme", ""),
    ([[("commonName", "guest")], [("commonName", "other")]], "CN=other,CN=guest", "guest,other"),
    (
        [[("commonName", "guest")], [("organizationName", "Acme"), ("organizationalUnitName", "Unit")]],
        "O=Acme+OU=Unit,CN=guest",
        "guest",
    ),
    (
        [[("commonName", '#lead , comma " quote \\ <a>; =plus ')]],
        r"CN=\#lead \, comma \" quote \\ \<a\>\; =plus\ ",
        '#lead , comma " quote \\ <a>; =plus ',
    ),
    (
        [[("commonName", "a+b=c\x7fd\x01e\tf")], [("organizationName", "  two  ")], [("title", " ")]],
        r"TITLE=\ ,O=\  two \ ,CN=a\+b=c\7Fd\01e\09f",
        "a+b=c\x7fd\x01e\tf",
    ),
    ([[("givenName", "#a#")], [("commonName", "Zoë €")]], r"CN=Zo\C3\AB \E2\82\AC,GIVENNAME=\#a#", "Zoë €"),
]


@pytest.mark.parametrize(("subject", "distinguished_name", "common_name"), SUBJECTS)
def test_names_of_subjects(subject: list[list[tuple[str, str]]], distinguished_name: str, common_name: str) -> None:
    context = certificates.server_context(verify=ssl.CERT_OPTIONAL)
    assert Tls(context, "distinguished_name").identity({"subject": subject}) == distinguished_name
    assert Tls(context, "common_name").identity({"subject": subject}) == common_name


def test_an_attribute_without_a_name_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Live 3.10 and 4.3 differ there; here nobody is logged in by it."""
    tls = Tls(certificates.server_context(verify=ssl.CERT_OPTIONAL), "distinguished_name")
    with caplog.at_level("WARNING", "hutch.fakebroker"):
        assert tls.identity({"subject": [[("commonName", "ann")], [("streetAddress", "x")]]}) == ""
    assert "an attribute that is not supported: 'streetAddress'" in caplog.text


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@pytest.mark.parametrize("name", ["nobody", None], ids=["an unknown user", "no certificate"])
def test_external_is_refused_in_words(client: Client, profile: str, name: str | None) -> None:
    with Broker(profile) as broker:
        certificate = None if name is None else certificates.client_certificate(name)
        assert_refused(log_in(client(tls_url(broker), certificate)))


def test_external_is_refused_in_silence_where_the_client_knows_no_words(client: Client, clock: ManualClock) -> None:
    with Broker(clock=clock) as broker:
        peer = log_in(client(tls_url(broker)), capabilities=False)
        broker.drain_clients()
        clock.advance(seconds=2.9)
        assert not peer.transport.readable()
        clock.advance(seconds=0.1)
        assert peer.ended()


def test_passwords_count_as_ever(broker: Broker, client: Client) -> None:
    url = tls_url(broker)
    Peer.opened(client(url, certificates.client_certificate("nobody"))).close()
    peer = Peer(client(url))
    peer.greet()
    peer.log_in("guest", "wrong")
    assert peer.expect(ConnectionClose).reply_code == 403


@pytest.mark.parametrize("verify", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
def test_a_certificate_of_another_authority_is_refused_by_an_alert(
    broker: Broker, client: Client, verify: ssl.VerifyMode
) -> None:
    stranger = trustme.CA().issue_cert("localhost", common_name="guest")
    peer = client(tls_url(broker, verify), stranger)
    with pytest.raises(ssl.SSLError, match="alert unknown ca"):
        Peer(peer).greet()


def test_a_context_may_insist_on_certificates(broker: Broker, client: Client) -> None:
    url = tls_url(broker, ssl.CERT_REQUIRED)
    with pytest.raises(ssl.SSLError, match="certificate required"):
        Peer(client(url)).greet()
    assert is_let_in(log_in(client(url, certificates.client_certificate("guest"))))


@pytest.mark.targets("tls-4.3", "live-3.10-tls", "live-4.3-tls")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_tickets_are_sent(target: Target, version: ssl.TLSVersion) -> None:
    """The same on live 3.10 and 4.3. A client layer may take what comes behind the handshake for frames."""
    (address,) = parse_url(target.url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    sock = socket.create_connection((address.host, address.port), PATIENCE)
    with context.wrap_socket(sock) as secure:
        secure.sendall(PROTOCOL_HEADER)
        secure.recv(1)  # after this read, data sent after the handshake has arrived, too
        assert secure.session is None or not secure.session.has_ticket


# misbehaving clients


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged; nothing of it may be a warning or worse, whoever logs it."""
    with caplog.at_level(logging.INFO):
        yield caplog
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def plain(url: str) -> socket.socket:
    (address,) = parse_url(url)
    return socket.create_connection((address.host, address.port or 0), PATIENCE)


def heard(sock: socket.socket) -> bytes:
    """All that comes until the stream ends, by whatever."""
    data = b""
    with suppress(ConnectionResetError):
        while piece := sock.recv(4096):
            data += piece
    return data


@pytest.mark.parametrize(
    "garbage", [b"AMQP\x00\x00\x09\x01", b"GET / HTTP/1.1\r\n\r\n", bytes(100)], ids=["AMQP", "HTTP", "zeros"]
)
def test_what_is_no_tls(broker: Broker, client: Client, log: pytest.LogCaptureFixture, garbage: bytes) -> None:
    url = tls_url(broker)
    with plain(url) as sock:
        sock.sendall(garbage)
        assert heard(sock) == NOT_TLS
    Peer.opened(client(url)).close()
    assert "TLS failed: " in log.text


def test_random_bytes_do_no_harm(broker: Broker, client: Client, log: pytest.LogCaptureFixture) -> None:
    chance = random.Random(4)
    url = tls_url(broker)
    hello = ssl.MemoryBIO()
    machine = certificates.client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        machine.do_handshake()
    greeting = hello.read()
    for _ in range(200):
        broken = bytearray(greeting)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with plain(url) as sock:
            sock.sendall(broken[: chance.randrange(1, len(broken) + 1)])
            sock.shutdown(socket.SHUT_WR)
            heard(sock)
    Peer.opened(client(url)).close()
    assert len(log.records) >= 200


def test_garbage_behind_the_handshake(broker: Broker, client: Client, log: pytest.LogCaptureFixture) -> None:
    transport = client(tls_url(broker))
    peer = Peer.opened(transport)
    peer.declare("q", exclusive=True)
    assert transport.sock is not None
    transport.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that is not encrypted
    with pytest.raises(ssl.SSLError, match="bad record mac"):
        peer.read()
    assert "TLS failed: DECRYPTION_FAILED_OR_BAD_RECORD_MAC" in log.text
    with Peer.opened(TCP(broker.url)) as other:
        assert other.declare("q").queue == "q"


@pytest.mark.parametrize("begin", [b"", b"\x16\x03\x01\x02\x00"], ids=["silence", "half a record"])
def test_a_handshake_has_five_seconds(clock: ManualClock, log: pytest.LogCaptureFixture, begin: bytes) -> None:
    with Broker(clock=clock) as broker, plain(tls_url(broker)) as sock:
        sock.sendall(begin)
        eventually(lambda: "accepted" in log.text or None, "the connection")
        broker.drain_clients()
        clock.advance(seconds=4.9)
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.settimeout(PATIENCE)
        clock.advance(seconds=0.1)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_handshake_that_is_done_has_no_limit(clock: ManualClock, client: Client) -> None:
    with Broker(clock=clock) as broker, Peer.opened(client(tls_url(broker))) as peer:
        clock.advance(hours=1)
        assert peer.declare("q").queue == "q"


def test_a_client_that_ends_its_own_handshake(broker: Broker, log: pytest.LogCaptureFixture) -> None:
    """It does not trust the broker, and says so."""
    (address,) = parse_url(tls_url(broker))
    for _ in range(5):
        with pytest.raises(ssl.SSLCertVerificationError):
            TlsTransport(address.host, address.port or 0).connect(None)
    broker.close()
    assert log.text.count("TLS failed: ") == 5


def test_what_a_client_says_before_it_announces_the_end_counts(broker: Broker, client: Client) -> None:
    transport = client(tls_url(broker))
    peer = Peer.opened(transport)
    peer.declare("q")
    peer.publish("q", b"last")
    transport.close()
    assert [message.body for message in broker.queue("q").messages] == [b"last"]


@pytest.mark.parametrize("gone", ["by a reset", "amid its handshake"])
def test_closing_the_broker_while_clients_are_about(client: Client, log: pytest.LogCaptureFixture, gone: str) -> None:
    with Broker() as broker:
        url = tls_url(broker)
        peer = Peer.opened(client(url))
        with plain(url) as sock:
            if gone == "by a reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
            told = threading.Thread(target=broker.close)
            told.start()
            assert peer.expect(ConnectionClose).reply_code == 320
            peer.method(ConnectionCloseOk(), 0)
            assert peer.ended()
            told.join(PATIENCE)


def test_nothing_is_left_open(client: Client) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("counts file descriptors the Linux way")
    certificates.server_context()
    before = len(list(folder.iterdir()))
    for _ in range(5):
        with Broker() as broker, ExitStack() as stack:
            url = tls_url(broker)
            for _ in range(5):
                stack.enter_context(Peer.opened(client(url))).declare("", exclusive=True)
                stack.enter_context(plain(url))
    assert len(list(folder.iterdir())) == before


# refused calls


def test_a_broker_listens_with_tls_once(broker: Broker) -> None:
    url = tls_url(broker)
    with pytest.raises(RuntimeError, match=f"listens with TLS already, on {url}"):
        tls_url(broker)
    broker.close()
    with Broker() as closed:
        closed.close()
        with pytest.raises(RuntimeError, match="the broker is closed"):
            tls_url(closed)


def test_either_a_context_or_a_certificate(broker: Broker) -> None:
    with pytest.raises(TypeError, match="either context= or certfile="):
        broker.listen_tls()
    with pytest.raises(TypeError, match="either context= or certfile="):
        broker.listen_tls(certificates.server_context(), cafile="ca.pem")
    with pytest.raises(TypeError, match="either context= or certfile="):
        broker.listen_tls(keyfile="server.key")
    with pytest.raises(ValueError, match="is distinguished_name or common_name, not 'email'"):
        broker.listen_tls(certificates.server_context(), ssl_cert_login_from="email")
    with pytest.raises(FileNotFoundError, match=r"/no/server\.pem, /no/server\.key: No such file"):
        broker.listen_tls(certfile="/no/server.pem", keyfile="/no/server.key")


def test_a_port_that_is_taken(broker: Broker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        broker.listen_tls(certificates.server_context(), port=taken.getsockname()[1])
    assert tls_url(broker)


# hutch serve


def test_serving_with_tls(tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    options = ["--tls-cert", files.server, "--tls-key", files.server_key, "--tls-ca", files.ca]
    script = "import sys; from hutch.fakebroker.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "serve", "--port", "0", "--tls-port", "0", "--tls-login-from"]
    with subprocess.Popen(
        [*command, "common_name", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:6] == ["hutch", "serves", "as", "RabbitMQ", "4.3", "on"]
            certificate = f"cacertfile={files.ca}&certfile={files.client}&keyfile={files.client_key}"
            for url in (words[6], f"{words[8]}?{certificate}&auth_mechanism=external"):
                with connect(url, connect_timeout=PATIENCE) as connection:
                    assert connection.channel().queue_declare("", exclusive=True) is not None
            with plain(words[8]) as sock:
                sock.sendall(os.urandom(1000))
                heard(sock)
            process.send_signal(signal.SIGTERM)
            output, log = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, output) == (0, "hutch stops\n")
    told = ("accepted", "closed", "TLS failed: ")
    assert [line for line in log.splitlines() if not any(word in line for word in told)] == []


def test_serving_without_what_it_needs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["serve", "--port", "0", "--tls-cert", "/no/server.pem"]) == 1
    assert capsys.readouterr().err == "hutch serve: no TLS with /no/server.pem: No such file or directory\n"
    with pytest.raises(SystemExit):
        main(["serve", "--port", "0", "--tls-key", "server.key"])
    assert "--tls-key and --tls-ca need --tls-cert" in capsys.readouterr().err
    files = certificates.write(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = ["--tls-cert", files.server, "--tls-key", files.server_key, "--tls-port", port]
        assert main(["serve", "--port", "0", *given]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"hutch serve: cannot listen on 127.0.0.1:{port}: Address already in use; ")
    assert "--tls-port takes another port" in told

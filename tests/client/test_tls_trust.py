"""Whom the TLS transport trusts, what it makes of servers without TLS, and what its settings are."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from hutch.client.transports.tls import TlsTransport
from tests import certificates
from tests.client.test_tcp import free_port
from tests.client.tls_server import PATIENCE, Served, serving, soon


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(certificates.server_context()) as served:
        yield served


# trusted certificates


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
    assert refusal.reason == "TLSV1_ALERT_UNKNOWN_CA"  # the client sends the server an alert


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


# servers that do not speak TLS


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


#: The beginning of a ServerHello: a record of 100 bytes of which the rest never arrives.
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
        ({"ca_certs": __file__}, r"ssl: ca_certs \(.*test_tls_trust\.py\): "),
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

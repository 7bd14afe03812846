"""Certificates for the tests of TLS: an authority of their own, and what it signs, made when first asked for."""

import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trustme


@cache
def authority() -> trustme.CA:
    """The authority that the tests' clients and brokers trust."""
    return trustme.CA()


@cache
def server_certificate() -> trustme.LeafCert:
    """For this machine, by whichever name."""
    return authority().issue_cert("localhost", "127.0.0.1", "::1")


@cache
def client_certificate(common_name: str, organization: str | None = None) -> trustme.LeafCert:
    """For a user."""
    return authority().issue_cert("localhost", common_name=common_name, organization_name=organization)


def server_context(
    certificate: trustme.LeafCert | None = None, verify: ssl.VerifyMode = ssl.CERT_NONE
) -> ssl.SSLContext:
    """A server's context; ``verify`` is about certificates of clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or server_certificate()).configure_cert(context)
    authority().configure_trust(context)
    context.verify_mode = verify
    return context


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client's context that trusts the authority, and presents ``certificate`` if given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


@dataclass(frozen=True)
class Files:
    """The same as files, PEM."""

    ca: str
    server: str
    server_key: str
    client: str
    client_key: str


def write(folder: Path, client: trustme.LeafCert | None = None) -> Files:
    """Files of the authority, the server and a client, by default the user ``guest``."""
    client = client or client_certificate("guest")
    files = Files(*(str(folder / name) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")))
    authority().cert_pem.write_to_path(files.ca)
    for certificate, chain, key in (
        (server_certificate(), files.server, files.server_key),
        (client, files.client, files.client_key),
    ):
        Path(chain).write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(key)
    return files

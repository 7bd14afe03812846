"""What RabbitMQ's events call what TLS agreed on; the words are those of Erlang's ssl:str_to_suite on both versions."""

import ssl
from contextlib import suppress
from functools import cache

import pytest
import trustme

from hutch.fakebroker.engine.peer import TlsDetails
from hutch.fakebroker.server.tls import Encryption, Tls
from tests import certificates

SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": ("aes_128_gcm", "aead", "ecdhe_ecdsa"),
    "ECDHE-ECDSA-AES256-CCM": ("aes_256_ccm", "aead", "ecdhe_ecdsa"),
    "ECDHE-ECDSA-AES128-CCM8": ("aes_128_ccm_8", "aead", "ecdhe_ecdsa"),
    "ECDHE-ECDSA-AES256-SHA384": ("aes_256_cbc", "sha384", "ecdhe_ecdsa"),
    "ECDHE-ECDSA-CHACHA20-POLY1305": ("chacha20_poly1305", "aead", "ecdhe_ecdsa"),
    "ECDHE-RSA-AES256-GCM-SHA384": ("aes_256_gcm", "aead", "ecdhe_rsa"),
    "ECDHE-RSA-AES128-SHA256": ("aes_128_cbc", "sha256", "ecdhe_rsa"),
    "ECDHE-RSA-AES128-SHA": ("aes_128_cbc", "sha", "ecdhe_rsa"),
    "AES256-SHA256": ("aes_256_cbc", "sha256", "rsa"),
    "AES128-GCM-SHA256": ("aes_128_gcm", "aead", "rsa"),
    "AES128-CCM": ("aes_128_ccm", "aead", "rsa"),
    "CAMELLIA128-SHA": ("", "", ""),  # Erlang lacks this cipher
}


@cache
def certificate(key_type: trustme.KeyType) -> trustme.LeafCert:
    return certificates.authority().issue_cert("localhost", key_type=key_type)


def agreed(server: ssl.SSLContext, client: ssl.SSLContext) -> TlsDetails:
    """What is told once both are done with their handshake."""
    encryption = Encryption(Tls(server))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    machine = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while not encryption.established:
        with suppress(ssl.SSLWantReadError):
            machine.do_handshake()
        encryption.decrypt(outgoing.read())
        incoming.write(encryption.take())
    return encryption.details


@pytest.mark.parametrize("suite", SUITES)
def test_tls_1_2(suite: str) -> None:
    key_type = trustme.KeyType.ECDSA if "ECDSA" in suite else trustme.KeyType.RSA
    server, client = certificates.server_context(certificate(key_type)), certificates.client_context()
    for context in (server, client):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.set_ciphers(f"{suite}:@SECLEVEL=0")
        except ssl.SSLError:
            pytest.skip(f"OpenSSL here has no {suite}")
    assert agreed(server, client) == TlsDetails("tlsv1.2", *SUITES[suite])


def test_tls_1_3() -> None:
    server, client = certificates.server_context(), certificates.client_context()
    told = agreed(server, client)
    assert (told.protocol, told.hash, told.key_exchange) == ("tlsv1.3", "aead", "any")
    assert told.cipher in {"aes_256_gcm", "aes_128_gcm", "chacha20_poly1305"}

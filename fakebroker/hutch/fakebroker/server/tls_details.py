"""What RabbitMQ reports of a client's TLS: names of certificates and the negotiated values, in Erlang's words."""

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from hutch.fakebroker.engine.peer import TlsDetails

#: A name in the form of the ssl module.
Name = Iterable[Iterable[tuple[str, str]]]

#: RabbitMQ's names of a subject's attributes, by those of the ssl module.
_ATTRIBUTES: Final[Mapping[str, str]] = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "emailAddress": "EMAILADDRESS",
    "generationQualifier": "GENERATIONQUALIFIER",
    "givenName": "GIVENNAME",
    "initials": "INITIALS",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "pseudonym": "PSEUDONYM",
    "serialNumber": "SERIALNUMBER",
    "stateOrProvinceName": "ST",
    "surname": "SN",
    "title": "TITLE",
}
_ESCAPED: Final = frozenset(b',+"\\<>;')

#: Cipher suites by OpenSSL's names: those that Erlang has for servers with a certificate.
_NEWER_SUITE: Final = re.compile(r"TLS_(?P<cipher>AES_(?:128|256)_(?:GCM|CCM|CCM_8)|CHACHA20_POLY1305)_SHA(?:256|384)")
_OLDER_SUITE: Final = re.compile(
    r"(?:(?P<exchange>(?:EC)?DHE-RSA|ECDHE-ECDSA|DHE-DSS)-)?"
    r"(?:(?P<chacha>CHACHA20-POLY1305)|AES(?P<bits>128|256)(?:-(?P<mode>GCM-SHA(?:256|384)|CCM8?)|-(?P<hash>SHA\d*)))"
)


def _escape(value: str) -> str:
    """A value as it stands in a distinguished name (RFC 4514); what is not ASCII is written as its UTF-8 in hex."""
    raw = value.encode()
    pieces = []
    for place, octet in enumerate(raw):
        at_end = (place == 0 and octet in b"# ") or (place == len(raw) - 1 and octet == 0x20)
        if octet in _ESCAPED or at_end:
            pieces.append("\\" + chr(octet))
        else:
            pieces.append(chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:02X}")
    return "".join(pieces)


def distinguished_name(name: Name) -> str:
    """The whole name, last part first.

    Raises:
        LookupError: an attribute whose name in RabbitMQ is not known here.
    """
    parts = ["+".join(f"{_ATTRIBUTES[kind]}={_escape(value)}" for kind, value in part) for part in name]
    return ",".join(reversed(parts))


def common_name(name: Name) -> str:
    """All common names; nobody without one."""
    return ",".join(value for part in name for kind, value in part if kind == "commonName")


def details(machine: ssl.SSLObject) -> TlsDetails:
    """What there is to tell after the handshake."""
    suite, protocol, _ = machine.cipher() or ("", "", 0)
    cipher, mac, exchange = _suite(suite)
    certificate = machine.getpeercert() or {}
    told = TlsDetails((machine.version() or protocol).lower(), cipher, mac, exchange)
    return replace(told, **_certificate(certificate)) if certificate else told


def _certificate(certificate: Mapping[str, Any]) -> dict[str, str]:
    return {
        "subject": _known_name(certificate["subject"]),
        "issuer": _known_name(certificate["issuer"]),
        "validity": " - ".join(_moment(certificate[end]) for end in ("notBefore", "notAfter")),
        "serial_number": f"{int(certificate['serialNumber'], 16):X}",
    }


def _known_name(name: Name) -> str:
    try:
        return distinguished_name(name)
    except LookupError:
        return ""


def _moment(text: str) -> str:
    return f"{datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _suite(name: str) -> tuple[str, str, str]:
    """Cipher, hash and key exchange of a suite; empty where Erlang has none of that name."""
    if newer := _NEWER_SUITE.fullmatch(name):
        return newer["cipher"].lower(), "aead", "any"
    older = _OLDER_SUITE.fullmatch(name)
    if older is None:
        return "", "", ""
    exchange = (older["exchange"] or "RSA").replace("-", "_").lower()
    if older["chacha"]:
        return "chacha20_poly1305", "aead", exchange
    mode = (older["mode"] or "CBC").partition("-")[0].replace("8", "_8").lower()
    return f"aes_{older['bits']}_{mode}", (older["hash"] or "aead").lower(), exchange

"""What the ``ssl`` parameter of a connection asks for, as an :class:`ssl.SSLContext`.

The keys are py-amqp's. One default is not: the server's certificate has to be for the host that is connected to, also
where ``server_hostname`` is not given.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

#: The keys of a mapping, with their meanings.
KEYS: Final[Mapping[str, str]] = {
    "ca_certs": "file of the authorities to trust, PEM; by default those of the system",
    "cert_reqs": "ssl.CERT_REQUIRED, the default; with ssl.CERT_NONE nothing of the server's certificate is checked",
    "certfile": "file of the client's certificate and its chain, PEM",
    "keyfile": "file of the key to it, PEM; by default in certfile",
    "ciphers": "for ssl.SSLContext.set_ciphers",
    "server_hostname": "whom the certificate has to be for, and whom SNI asks for; by default the host connected to",
    "ssl_version": "an ssl.PROTOCOL_ constant; by default whatever both sides have",
    "tls_minimum_version": "an ssl.TLSVersion",
    "tls_maximum_version": "an ssl.TLSVersion",
    "context": "an ssl.SSLContext, or parameters of ssl.create_default_context and check_hostname",
}
_BESIDE_CONTEXT: Final = frozenset({"context", "server_hostname"})
_OF_CONTEXT: Final = ("cafile", "capath", "cadata", "check_hostname", "purpose")


def client_context(given: object, host: str) -> tuple[ssl.SSLContext, str]:
    """The context to connect to ``host`` with, and the name that the server's certificate has to be for.

    ``given`` is ``True``, an :class:`ssl.SSLContext` that is used as it is, or a mapping with :data:`KEYS`.

    Raises:
        TypeError: ``given`` is none of these, or has keys that are unknown or do not go together.
        OSError: a file cannot be read; :class:`ssl.SSLError` where it does not hold what it should.
    """
    if isinstance(given, ssl.SSLContext):
        return given, host
    if given is True:
        return _context({}), host
    if not given or not isinstance(given, Mapping):
        raise TypeError(f"ssl is True, an SSLContext or a mapping that is not empty; not {given!r}")
    _check_keys("ssl", given, KEYS)
    if given.get("context"):
        if beside := set(given) - _BESIDE_CONTEXT:
            names = ", ".join(sorted(beside))
            raise TypeError(f"ssl: {names} cannot stand beside context; {', '.join(sorted(_BESIDE_CONTEXT))} can")
        context = _given_context(given["context"])
    else:
        context = _context(given)
    return context, given.get("server_hostname") or host


def _check_keys(what: str, given: Mapping[str, Any], known: Mapping[str, str] | tuple[str, ...]) -> None:
    if unknown := [key for key in given if key not in known]:
        raise TypeError(f"{what} has no {', '.join(map(repr, unknown))}; there are {', '.join(known)}")


def _given_context(given: object) -> ssl.SSLContext:
    if isinstance(given, ssl.SSLContext):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(f"ssl: context is an SSLContext or a mapping, not {given!r}")
    _check_keys("ssl: context", given, _OF_CONTEXT)
    parameters = dict(given)
    check_hostname = parameters.pop("check_hostname", True)
    with _file("cafile", parameters.get("cafile")):
        context = ssl.create_default_context(**parameters)
    context.check_hostname = check_hostname
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _context(given: Mapping[str, Any]) -> ssl.SSLContext:
    requirement = given.get("cert_reqs")
    certificate, key, authorities = (given.get(name) for name in ("certfile", "keyfile", "ca_certs"))
    if key and not certificate:
        raise TypeError("ssl: keyfile is the key to a certfile, which is not given")
    protocol = given.get("ssl_version")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if protocol is None else protocol)
    context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2's, amid which nothing could be sent
    verified = requirement is None or requirement != ssl.CERT_NONE
    context.check_hostname = False  # else verify_mode could not be set
    context.verify_mode = ssl.CERT_REQUIRED if requirement is None else ssl.VerifyMode(requirement)
    context.check_hostname = verified
    if given.get("tls_minimum_version") is not None:
        context.minimum_version = given["tls_minimum_version"]
    if given.get("tls_maximum_version") is not None:
        context.maximum_version = given["tls_maximum_version"]
    if given.get("ciphers") is not None:
        context.set_ciphers(given["ciphers"])
    if certificate:
        with _file("certfile or keyfile", certificate, key):
            context.load_cert_chain(certificate, key)
    if authorities:
        with _file("ca_certs", authorities):
            context.load_verify_locations(authorities)
    elif verified:
        context.load_default_certs()
    return context


@contextmanager
def _file(parameter: str, *names: object) -> Iterator[None]:
    """Tell which file it was that could not be loaded; the ssl module does not."""
    try:
        yield
    except OSError as error:
        paths = ", ".join(str(name) for name in names if name)
        error.strerror = f"ssl: {parameter} ({paths}): {error.strerror or error}"
        raise

"""TLS on the broker's side (https://www.rabbitmq.com/docs/ssl): its context, the user of a client's certificate, and
the layer between encrypted and plain bytes.

asyncio has TLS of its own, but there a client whose handshake fails is not told why, as RabbitMQ tells it.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Final

from hutch.fakebroker.engine.peer import TlsDetails
from hutch.fakebroker.server.tls_details import Name, common_name, details, distinguished_name

_log = logging.getLogger("hutch.fakebroker")

#: How long a client may take for its handshake, seconds; RabbitMQ's ssl_handshake_timeout.
HANDSHAKE_TIMEOUT: Final = 5.0
#: The answer to a client that does not speak TLS: the alert unexpected_message, as RabbitMQ sends it.
NOT_TLS: Final = b"\x15\x03\x01\x00\x02\x02\x0a"
_READ_SIZE: Final = 262144

#: The values of RabbitMQ's setting ``ssl_cert_login_from`` that there are here.
LOGIN_FROM: Final[Mapping[str, Callable[[Name], str]]] = {
    "distinguished_name": distinguished_name,
    "common_name": common_name,
}


@dataclass(frozen=True)
class Tls:
    """What a listener needs for TLS. ``login_from`` is one of :data:`LOGIN_FROM`.

    The context sends no session tickets from then on, of TLS 1.3 or of TLS 1.2, because RabbitMQ sends none.

    Raises:
        ValueError: ``login_from`` is something else, or the context is not a server's.
    """

    context: ssl.SSLContext
    login_from: str = "distinguished_name"

    def __post_init__(self) -> None:
        if self.login_from not in LOGIN_FROM:
            raise ValueError(f"ssl_cert_login_from is {' or '.join(LOGIN_FROM)}, not {self.login_from!r}")
        if self.context.protocol is not ssl.PROTOCOL_TLS_SERVER:
            raise ValueError(f"a broker needs a context of ssl.PROTOCOL_TLS_SERVER, not {self.context.protocol.name}")
        self.context.num_tickets = 0
        self.context.options |= ssl.OP_NO_TICKET

    def identity(self, certificate: Mapping[str, Any]) -> str | None:
        """The user that a certificate is for: ``""`` for nobody, ``None`` where certificates count for nothing."""
        if self.context.verify_mode == ssl.CERT_NONE:
            return None
        try:
            return LOGIN_FROM[self.login_from](certificate.get("subject", ()))
        except LookupError as unknown:
            _log.warning("the subject of a client's certificate has an attribute that is not supported: %s", unknown)
            return ""


class Encryption:
    """One client's TLS, bytes in and bytes out. After each call, send what :meth:`take` returns."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._machine = tls.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        #: Whether the handshake is done.
        self.established = False
        #: Whether the client has announced the end of its stream.
        self.ended = False

    def decrypt(self, ciphertext: bytes) -> bytes:
        """What the client says, as far as it has come.

        Raises:
            ssl.SSLError: the client does not know TLS, or its certificate is not accepted, or the like.
        """
        self._incoming.write(ciphertext)
        pieces = []
        try:
            if not self.established:
                self._machine.do_handshake()
                self.established = True
            while piece := self._machine.read(_READ_SIZE):
                pieces.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError:
            if not pieces:
                raise
            self.ended = True
        return b"".join(pieces)

    def encrypt(self, data: bytes) -> None:
        """Say something to the client."""
        self._machine.write(data)

    def end(self) -> None:
        """Announce the end of what is sent."""
        with suppress(ssl.SSLError):  # unwrap also wants the client's close_notify
            self._machine.unwrap()

    def take(self) -> bytes:
        """The ciphertext to send."""
        return self._outgoing.read()

    @property
    def details(self) -> TlsDetails:
        """What there is to tell of it, after the handshake."""
        return details(self._machine)

    @property
    def identity(self) -> str | None:
        """As :meth:`Tls.identity` of the client's certificate, after the handshake."""
        return self._tls.identity(self._machine.getpeercert() or {})


def tls_of(
    context: ssl.SSLContext | None,
    certfile: str | PathLike[str] | None,
    keyfile: str | PathLike[str] | None,
    cafile: str | PathLike[str] | None,
    login_from: str,
) -> Tls:
    """What a listener needs, of the arguments that users give: a context, or files.

    Raises:
        TypeError: neither a context nor a certificate, or both.
        OSError: as :func:`server_context`.
        ValueError: as :class:`Tls`.
    """
    if context is None and certfile is not None:
        context = server_context(certfile, keyfile, cafile)
    elif context is None or (certfile, keyfile, cafile) != (None, None, None):
        raise TypeError("pass either context= or certfile= (with optional keyfile=, cafile=), not both")
    return Tls(context, login_from)


def server_context(
    certfile: str | PathLike[str], keyfile: str | PathLike[str] | None, cafile: str | PathLike[str] | None
) -> ssl.SSLContext:
    """A context that presents ``certfile``; with ``cafile``, certificates that clients present are verified.

    RabbitMQ's ``verify_peer`` without ``fail_if_no_peer_cert``: a client may do without.

    Raises:
        OSError: a file cannot be read, or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = [fspath(file) for file in (certfile, keyfile) if file is not None]
    try:
        context.load_cert_chain(certfile, keyfile)
        if cafile is not None:
            files = [fspath(cafile)]
            context.load_verify_locations(cafile)
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:  # which does not name the file
        error.strerror = f"{', '.join(files)}: {error.strerror or error}"
        raise
    return context

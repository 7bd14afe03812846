"""How a client proves who it is (SASL, RFC 4422): one object per mechanism, asked for its first response."""

import socket
import warnings
from types import NotImplementedType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hutch.client.opening import OpeningMethods

__all__ = ["AMQPLAIN", "EXTERNAL", "GSSAPI", "PLAIN", "RAW", "SASL"]


class SASL:
    """Base of the mechanisms; derive from it for one of your own and pass an instance as ``authentication``.

    ``mechanism`` is the name that the server offers, as ASCII bytes.
    """

    mechanism: bytes

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:
        """The response that goes with the choice of this mechanism.

        ``NotImplemented`` has the next mechanism tried.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to start")


class _Password(SASL):
    def __init__(self, username: str | None, password: str | None) -> None:
        self.username = username
        self.password = password

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:  # noqa: ARG002
        """The :meth:`response`; passes where one of both is ``None``."""
        response: bytes | NotImplementedType = NotImplemented
        if self.username is not None and self.password is not None:
            response = self.response(self.username, self.password)
        return response

    @staticmethod
    def response(username: str, password: str) -> bytes:
        """Both, as the mechanism puts them."""
        raise NotImplementedError


class PLAIN(_Password):
    """User name and password in the clear (RFC 4616)."""

    mechanism = b"PLAIN"

    @staticmethod
    def response(username: str, password: str) -> bytes:
        """Both behind a NUL each."""
        return b"\0" + username.encode() + b"\0" + password.encode()


class AMQPLAIN(_Password):
    """User name and password as a field table without its length, as RabbitMQ wants them (CONN-AUTH-07)."""

    mechanism = b"AMQPLAIN"

    @staticmethod
    def response(username: str, password: str) -> bytes:
        """The table."""
        login, secret = username.encode(), password.encode()
        table = b"\x05LOGINS" + len(login).to_bytes(4) + login
        return table + b"\x08PASSWORDS" + len(secret).to_bytes(4) + secret


class EXTERNAL(SASL):
    """The server knows the client by other means: RabbitMQ by the subject of its TLS certificate (RFC 4422, A;
    https://www.rabbitmq.com/docs/ssl#peer-verification-and-authentication).
    """

    mechanism = b"EXTERNAL"

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:  # noqa: ARG002
        """Nothing more to say."""
        return b""


class GSSAPI(SASL):
    """A Kerberos ticket for ``service`` at the server's host (RFC 4752), by the library gssapi.

    ``client_name`` is the principal to be, by default whichever the credentials at hand are for. With ``rdns`` the host
    is the one that the server's address belongs to, else the one that the connection names. With ``fail_soft`` another
    mechanism is tried where this one fails.

    Raises:
        NotImplementedError: gssapi is not installed; not with ``fail_soft``.
    """

    mechanism = b"GSSAPI"

    def __init__(
        self,
        client_name: str | bytes | None = None,
        service: bytes = b"amqp",
        rdns: bool = False,
        fail_soft: bool = False,
    ) -> None:
        self.client_name = client_name.encode("ascii") if isinstance(client_name, str) else client_name
        self.service = service
        self.rdns = rdns
        self.fail_soft = fail_soft
        if not fail_soft:
            _gssapi()

    def get_hostname(self, connection: "OpeningMethods") -> bytes:
        """The host whose service the ticket is for."""
        opened: Any = connection
        transport = opened.transport
        sock = getattr(transport, "sock", None)
        if self.rdns and sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            return socket.gethostbyaddr(sock.getpeername()[0])[0].encode("ascii")
        host: str = transport.host
        return host.encode("ascii")

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:
        """The first token; passes where there is none, with ``fail_soft``.

        Raises:
            gssapi.raw.misc.GSSError: there is no ticket to be had; not with ``fail_soft``.
        """
        token: bytes | NotImplementedType = NotImplemented
        try:
            gssapi = _gssapi()
        except NotImplementedError:
            return token
        try:
            credentials = gssapi.Credentials(name=gssapi.Name(self.client_name)) if self.client_name else None
            service = self.service + b"@" + self.get_hostname(connection)
            name = gssapi.Name(service, gssapi.NameType.hostbased_service)
            token = gssapi.SecurityContext(name=name, creds=credentials).step(None)
        except gssapi.raw.misc.GSSError:
            if not self.fail_soft:
                raise
        return token


def _gssapi() -> Any:
    """The library, which is imported only by who needs it."""
    try:
        import gssapi  # noqa: PLC0415
        import gssapi.raw.misc  # noqa: PLC0415  (another, older library of that name has none)
    except ImportError as error:
        raise NotImplementedError(f"the login mechanism GSSAPI needs the library gssapi: {error}") from None
    return gssapi


class RAW(SASL):
    """A mechanism by name with a ready response; what ``login_method`` and ``login_response`` make. Deprecated."""

    def __init__(self, mechanism: bytes, response: bytes) -> None:
        self.mechanism = mechanism
        self.response = response
        warnings.warn(
            "login_method with login_response is deprecated: derive from SASL and pass authentication instead",
            DeprecationWarning,
            stacklevel=2,
        )

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:  # noqa: ARG002
        """The response as given."""
        return self.response

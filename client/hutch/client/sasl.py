"""How a client proves who it is (SASL, RFC 4422): one object per mechanism, asked for its first response."""

import warnings
from types import NotImplementedType
from typing import TYPE_CHECKING

from hutch.wire.fields import write_table

if TYPE_CHECKING:
    from hutch.client.opening import OpeningMethods


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


class PLAIN(_Password):
    """User name and password in the clear (RFC 4616)."""

    mechanism = b"PLAIN"

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:  # noqa: ARG002
        """Both names behind a NUL each; passes where one is ``None``."""
        response: bytes | NotImplementedType = NotImplemented
        if self.username is not None and self.password is not None:
            response = b"\0" + self.username.encode() + b"\0" + self.password.encode()
        return response


class AMQPLAIN(_Password):
    """User name and password as a field table without its length, as RabbitMQ wants them (CONN-AUTH-07)."""

    mechanism = b"AMQPLAIN"

    def start(self, connection: "OpeningMethods") -> bytes | NotImplementedType:  # noqa: ARG002
        """The table; passes where a name is ``None``."""
        response: bytes | NotImplementedType = NotImplemented
        if self.username is not None and self.password is not None:
            response = write_table({"LOGIN": self.username, "PASSWORD": self.password})[4:]
        return response


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

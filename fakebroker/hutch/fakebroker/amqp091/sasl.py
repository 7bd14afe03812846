"""Who is it? The SASL mechanisms that the broker takes (CONN-AUTH; https://www.rabbitmq.com/docs/access-control)."""

from collections.abc import Callable, Mapping
from typing import Final

from hutch.fakebroker.engine.access.passwords import is_password
from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.erlang.terms import print_binary, print_term
from hutch.wire.fields import FieldError, read_table


class MalformedResponse(ValueError):
    """A response that does not fit its mechanism, in RabbitMQ's words."""


class UnreadableResponse(MalformedResponse):
    """One that RabbitMQ has no words for: a mechanism that was not offered, a table that is none."""


class LoginRefused(ValueError):
    """An unknown user or a wrong password: whose login it was, if that is known, and why in RabbitMQ's words."""

    def __init__(self, user: str | None, reason: str) -> None:
        super().__init__(reason)
        self.user = user
        self.reason = reason


_BLANK: Final = (
    "user '{}' attempted to log in with a blank password, which is prohibited by the internal authN backend. To use "
    "TLS/x509 certificate-based authentication, see the rabbitmq_auth_mechanism_ssl plugin and configure the client to "
    "use the EXTERNAL authentication mechanism. Alternatively change the password for the user to be non-blank."
)


def _plain(response: bytes, users: Mapping[str, User]) -> str:
    # RabbitMQ treats a response with an authorisation id as malformed (CONN-AUTH-02).
    parts = response.split(b"\0")
    if len(parts) != 3 or parts[0]:
        raise MalformedResponse(f"response {print_binary(response)} invalid")
    return _check(parts[1].decode("utf-8", "replace"), parts[2].decode("utf-8", "replace"), users)


def _amqplain(response: bytes, users: Mapping[str, User]) -> str:
    try:
        table, _ = read_table(len(response).to_bytes(4) + response)
    except FieldError:
        raise UnreadableResponse("AMQPLAIN wants a field table without its length") from None
    user, password = table.get("LOGIN"), table.get("PASSWORD")
    if not isinstance(user, str) or not isinstance(password, str):
        raise MalformedResponse(f"AMQPLAIN auth info {print_term(table)} is missing LOGIN or PASSWORD field")
    return _check(user, password, users)


def _anonymous(_response: bytes, users: Mapping[str, User]) -> str:
    # RabbitMQ's defaults of anonymous_login_user and anonymous_login_pass.
    return _check("guest", "guest", users)


def _check(user: str, password: str, users: Mapping[str, User]) -> str:
    if not password:
        raise LoginRefused(user, _BLANK.format(user))
    if user not in users or not is_password(users[user].password_hash, password):
        raise _unknown(user)
    return user


def _unknown(user: str) -> LoginRefused:
    return LoginRefused(user, f"user '{user}' - invalid credentials")


_MECHANISMS: Final[dict[str, Callable[[bytes, Mapping[str, User]], str]]] = {
    "AMQPLAIN": _amqplain,
    "ANONYMOUS": _anonymous,
    "PLAIN": _plain,
}


def authenticate(
    mechanism: str, response: bytes, offered: tuple[str, ...], users: Mapping[str, User], identity: str | None = None
) -> str:
    """The user that a response proves. EXTERNAL proves ``identity``, the user of the client's certificate, if any.
    ``users`` are by name.

    Raises:
        MalformedResponse: a mechanism that was not offered, or a response that it cannot read (CONN-AUTH-02, -09, -10).
        LoginRefused: unknown user, wrong or empty password (CONN-AUTH-03, -05), no certificate, or one for no user.
    """
    if mechanism not in offered:
        raise UnreadableResponse(f"mechanism {mechanism!r} is not offered")
    if mechanism == "EXTERNAL":  # the response is ignored
        if not identity:
            raise LoginRefused(None, "connection peer presented no TLS (x.509) certificate")
        if identity not in users:
            raise _unknown(identity)
        return identity
    return _MECHANISMS[mechanism](response, users)

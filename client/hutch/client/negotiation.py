"""What client and server agree on while a connection opens: mechanism, capabilities, limits."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hutch.client import sasl
from hutch.client.exceptions import ConnectionError  # noqa: A004

if TYPE_CHECKING:
    from hutch.client.opening import OpeningMethods


#: The version of hutch, as its distribution's metadata have it; those take long to read.
VERSION: Final = "0.1.0"

#: What the client tells of itself (``client_properties``); RabbitMQ shows it in its management UI.
LIBRARY_PROPERTIES: Final[Mapping[str, Any]] = {
    "product": "hutch",
    "product_version": VERSION,
    "platform": f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}",
}

#: The protocol extensions to use where the server has them (https://www.rabbitmq.com/docs/consumer-cancel#capabilities).
NEGOTIATE_CAPABILITIES: Final[Mapping[str, bool]] = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}


def authentication(
    given: sasl.SASL | Sequence[sasl.SASL],
    login_method: str | None,
    login_response: bytes | None,
    userid: str | None,
    password: str | None,
) -> tuple[sasl.SASL, ...]:
    """The mechanisms that a connection's parameters allow, the preferred one first.

    Raises:
        ValueError: a ``login_method`` that is unknown, or wants a password where none is given.
        NotImplementedError: the library that a ``login_method`` needs is not installed.
    """
    if given:
        return (given,) if isinstance(given, sasl.SASL) else tuple(given)
    if login_method is None:
        passwords = (sasl.AMQPLAIN(userid, password), sasl.PLAIN(userid, password))
        return (*passwords, sasl.EXTERNAL(), sasl.GSSAPI(userid, fail_soft=True))
    if login_method in {"AMQPLAIN", "PLAIN"}:
        if userid is None or password is None:
            raise ValueError(f"login method {login_method} needs userid and password, or authentication")
        return ((sasl.PLAIN if login_method == "PLAIN" else sasl.AMQPLAIN)(userid, password),)
    if login_method == "EXTERNAL":
        return (sasl.EXTERNAL(),)
    if login_method == "GSSAPI":
        return (sasl.GSSAPI(userid),)
    if login_response is None:
        raise ValueError(f"unknown login method {login_method!r}; PLAIN, AMQPLAIN, EXTERNAL and GSSAPI are known")
    return (sasl.RAW(login_method.encode(), login_response),)


def in_servers_order(mechanisms: Sequence[sasl.SASL], offered: Sequence[bytes]) -> list[sasl.SASL]:
    """The mechanisms that take a password as the server orders them, then the others.

    py-amqp tries GSSAPI and EXTERNAL first. But RabbitMQ offers EXTERNAL also to clients without a certificate, and
    then refuses it, so a password that is there goes first.
    """
    by_password = {one.mechanism: one for one in mechanisms if isinstance(one, sasl.PLAIN | sasl.AMQPLAIN)}
    first = [by_password[name] for name in offered if name in by_password]
    return first + [one for one in mechanisms if one not in first]


def first_response(
    connection: "OpeningMethods", mechanisms: Sequence[sasl.SASL], offered: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Name and first response of the mechanism to use.

    Raises:
        ConnectionError: nothing in common.
    """
    for mechanism in mechanisms:
        if mechanism.mechanism in offered:
            response = mechanism.start(connection)
            if isinstance(response, bytes):
                return mechanism.mechanism, response
    ours = ", ".join(mechanism.mechanism.decode() for mechanism in mechanisms)
    theirs = ", ".join(name.decode() for name in offered)
    raise ConnectionError(f"no common login mechanism: the server offers {theirs}; this client {ours}")


def heartbeat(client: float, server: int) -> int:
    """The interval in seconds that holds when the client asked for ``client`` and the server for ``server``.

    py-amqp's rule: none unless the client asks; else the smaller one, where 0 of the server counts for nothing. Whole
    seconds are all that AMQP has.
    """
    asked = math.ceil(client)
    return min(asked, server) if asked and server else asked

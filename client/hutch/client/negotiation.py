"""What client and server agree on while a connection opens: mechanism, capabilities, limits."""

import math
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hutch.client import sasl
from hutch.client.abstract_channel import frame_of
from hutch.client.exceptions import ConnectionError  # noqa: A004
from hutch.wire.declaration import Method
from hutch.wire.fields import FieldTable
from hutch.wire.methods import ConnectionStartOk

if TYPE_CHECKING:
    from hutch.client.opening import OpeningMethods


#: The version of hutch. It is repeated here because reading the metadata of the distribution is slow.
VERSION: Final = "0.1.0"

#: What the client tells about itself (``client_properties``); RabbitMQ shows it in its management UI.
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

_BY_PASSWORD: Final = {kind.mechanism: kind for kind in (sasl.AMQPLAIN, sasl.PLAIN)}


def authentication(
    given: sasl.SASL | Sequence[sasl.SASL],
    login_method: str | None,
    login_response: bytes | None,
    userid: str | None,
    password: str | None,
) -> tuple[sasl.SASL, ...]:
    """The mechanisms that a connection's parameters ask for, the preferred one first; none for :func:`by_default`.

    Raises:
        ValueError: a ``login_method`` that is unknown, or wants a password where none is given.
        NotImplementedError: the library that a ``login_method`` needs is not installed.
    """
    if given:
        return (given,) if isinstance(given, sasl.SASL) else tuple(given)
    if login_method is None:
        return ()
    if login_method in {"AMQPLAIN", "PLAIN"}:
        if userid is None or password is None:
            raise ValueError(f"login method {login_method} needs userid and password, or authentication")
        return (_BY_PASSWORD[login_method.encode()](userid, password),)
    if login_method == "EXTERNAL":
        return (sasl.EXTERNAL(),)
    if login_method == "GSSAPI":
        return (sasl.GSSAPI(userid),)
    if login_response is None:
        raise ValueError(f"unknown login method {login_method!r}; PLAIN, AMQPLAIN, EXTERNAL and GSSAPI are known")
    return (sasl.RAW(login_method.encode(), login_response),)


def capabilities(server_properties: FieldTable) -> Mapping[str, Any]:
    """The protocol extensions that a server has, name to ``True``."""
    named = server_properties.get("capabilities")
    return named if isinstance(named, dict) else {}


# The connections of a process mostly send the same frames to one server, so these frames are cached.


@lru_cache(maxsize=32)
def usual_frame(kind: type[Method], *arguments: Hashable) -> bytes:
    """The frame of a method of the connection; raises as :func:`frame_of`."""
    return frame_of(kind(*arguments), 0)


@lru_cache(maxsize=8)
def usual_start_ok(
    capabilities: tuple[str, ...], offered: bytes, userid: str | None, password: str | None, locale: str
) -> bytes | None:
    """The frame of connection.start-ok for who gives no more than a login: :data:`LIBRARY_PROPERTIES`, with the
    protocol extensions to use, and the password in the way that the server names first.

    ``None`` if there is no password or the server takes none. Raises as :func:`frame_of`.
    """
    mechanism = next((name for name in offered.split() if name in _BY_PASSWORD), None)
    if mechanism is None or userid is None or password is None:
        return None
    told = {**LIBRARY_PROPERTIES, "capabilities": dict.fromkeys(capabilities, True)}
    response = _BY_PASSWORD[mechanism].response(userid, password)
    return frame_of(ConnectionStartOk(told, mechanism.decode(), response, locale), 0)


def by_default(userid: str | None, password: str | None, offered: Sequence[bytes]) -> Iterator[sasl.SASL]:
    """The mechanisms for who asks for none: those that take a password as the server orders them, then the others.

    py-amqp tries GSSAPI and EXTERNAL first. But RabbitMQ offers EXTERNAL also to clients without a certificate, and
    then refuses it, so a password that is there goes first.
    """
    for name in offered:
        if name in _BY_PASSWORD:
            yield _BY_PASSWORD[name](userid, password)
    for name in _BY_PASSWORD:
        if name not in offered:  # then it counts for the text of the error alone
            yield _BY_PASSWORD[name](userid, password)
    yield sasl.EXTERNAL()
    yield sasl.GSSAPI(userid, fail_soft=True)


def first_response(
    connection: "OpeningMethods", mechanisms: Iterable[sasl.SASL], offered: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Name and first response of the mechanism to use.

    Raises:
        ConnectionError: nothing in common.
    """
    ours = []
    for mechanism in mechanisms:
        if mechanism.mechanism in offered:
            response = mechanism.start(connection)
            if isinstance(response, bytes):
                return mechanism.mechanism, response
        ours.append(mechanism.mechanism.decode())
    theirs = ", ".join(name.decode() for name in offered)
    raise ConnectionError(f"no common login mechanism: the server offers {theirs}; this client {', '.join(ours)}")


def heartbeat(client: float, server: int) -> int:
    """The interval in seconds that holds when the client asked for ``client`` and the server for ``server``.

    py-amqp's rule: none unless the client asks; else the smaller one, where 0 of the server counts for nothing. Whole
    seconds are all that AMQP has.
    """
    asked = math.ceil(client)
    return min(asked, server) if asked and server else asked

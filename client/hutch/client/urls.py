"""Connecting by URL."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hutch.client.connection import Connection
from hutch.client.exceptions import RecoverableConnectionError
from hutch.wire.transport import opener
from hutch.wire.url import Address, InvalidURL, parse_url

#: The query parameters that count, with the constructor's parameter each is and how to read its value
#: (https://www.rabbitmq.com/docs/uri-query-parameters).
_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "heartbeat": ("heartbeat", int),
    "connection_timeout": ("connect_timeout", lambda milliseconds: int(milliseconds) / 1000),
    "channel_max": ("channel_max", int),
    "frame_max": ("frame_max", int),
    "auth_mechanism": ("login_method", str.upper),
}


def connect(url: str, **connection_kwargs: Any) -> Connection:
    """Connect to the first host of ``url`` that can be reached: ``amqp://user:password@host:port/vhost?heartbeat=10``.

    Several hosts are separated by ``;``. ``memory://name`` and other schemes work where something installed registers
    them. ``connection_kwargs`` are :class:`Connection`'s parameters; they win over what the URL says.

    Raises:
        InvalidURL: a ``ValueError``; the URL is not one, or has an option or scheme that is not supported.
        OSError: no host can be reached; with several hosts the text tells of each.
        AMQPError: a broker was reached and refused: AccessRefused the login, NotAllowed the virtual host.
    """
    attempts = [_connection(address, connection_kwargs) for address in parse_url(url)]
    failures = []
    for connection in attempts:
        try:
            connection.connect()
        except (OSError, RecoverableConnectionError) as error:
            if len(attempts) == 1:
                raise
            failures.append(f"{connection.host}: {error}")
        else:
            return connection
    raise ConnectionRefusedError(f"none of {len(attempts)} hosts can be reached: {'; '.join(failures)}")


def _connection(address: Address, given: Mapping[str, Any]) -> Connection:
    settings: dict[str, Any] = {
        "host": _host(address),
        "userid": address.userid,
        "password": address.password,
        "virtual_host": address.virtual_host,
    }
    for name, value in address.options.items():
        if name not in _OPTIONS:
            raise InvalidURL(f"option {name} is not supported; {', '.join(_OPTIONS)} are")
        parameter, read = _OPTIONS[name]
        try:
            settings[parameter] = read(value)
        except ValueError:
            raise InvalidURL(f"option {name} is a number, not {value!r}") from None
    if address.scheme == "amqps":
        raise InvalidURL("amqps: TLS is not supported yet")
    if address.scheme != "amqp" and "transport" not in given:
        try:
            open_transport = opener(address.scheme)
        except LookupError as error:
            raise InvalidURL(str(error)) from None
        settings["transport"] = lambda: open_transport(address)
    return Connection(**{**settings, **given})


def _host(address: Address) -> str:
    if address.port is None:
        return address.host
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"

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
#: Those of amqps URLs, with the key of the connection's ``ssl`` that each is.
_TLS_OPTIONS: Final[Mapping[str, str]] = {
    "cacertfile": "ca_certs",
    "certfile": "certfile",
    "keyfile": "keyfile",
    "server_name_indication": "server_hostname",
    "verify": "cert_reqs",
}


def connect(url: str, **connection_kwargs: Any) -> Connection:
    """Connect to the first host of ``url`` that can be reached: ``amqp://user:password@host:port/vhost?heartbeat=10``.

    Several hosts are separated by ``;``. ``memory://name`` and other schemes work where something installed registers
    them. ``amqps://`` is TLS, on port 5671 by default; the server's certificate is verified, for the host that is
    connected to, unless the URL's options say otherwise (``verify=verify_none``, ``server_name_indication=name``).
    ``connection_kwargs`` are :class:`Connection`'s parameters; they win over what the URL says.

    Raises:
        InvalidURL: a ``ValueError``; the URL is not one, or has an option or scheme that is not supported.
        OSError: no host can be reached, or a file that the URL names not be loaded; with several hosts the text tells
            of each.
        AMQPError: a broker was reached and refused: AccessRefused the login, NotAllowed the virtual host.
    """
    attempts = [connection_to(address, **connection_kwargs) for address in parse_url(url)]
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


def connection_to(address: Address, **connection_kwargs: Any) -> Connection:
    """A connection to one address of a URL, as of :func:`connect`, but not yet connected.

    Raises:
        InvalidURL: an option or scheme that is not supported.
    """
    settings: dict[str, Any] = {
        "host": _host(address),
        "userid": address.userid,
        "password": address.password,
        "virtual_host": address.virtual_host,
    }
    secure = address.scheme == "amqps"
    if secure:
        settings["ssl"] = _tls_settings(address.options) or True
    for name, value in address.options.items():
        if name in _TLS_OPTIONS:
            if not secure:
                raise InvalidURL(f"option {name} is for amqps:// alone")
            continue
        if name not in _OPTIONS:
            raise InvalidURL(f"option {name} is not supported; {', '.join([*_OPTIONS, *_TLS_OPTIONS])} are")
        parameter, read = _OPTIONS[name]
        try:
            settings[parameter] = read(value)
        except ValueError:
            raise InvalidURL(f"option {name} is a number, not {value!r}") from None
    if address.scheme not in {"amqp", "amqps"} and "transport" not in connection_kwargs:
        try:
            open_transport = opener(address.scheme)
        except LookupError as error:
            raise InvalidURL(str(error)) from None
        settings["transport"] = lambda: open_transport(address)
    return Connection(**{**settings, **connection_kwargs})


def _tls_settings(options: Mapping[str, str]) -> dict[str, Any]:
    """What a URL says of TLS, for the connection's ``ssl``."""
    settings: dict[str, Any] = {key: options[name] for name, key in _TLS_OPTIONS.items() if name in options}
    if "cert_reqs" in settings:
        import ssl  # noqa: PLC0415  (takes long, and few need it)

        wanted = {"verify_peer": ssl.CERT_REQUIRED, "verify_none": ssl.CERT_NONE}
        if settings["cert_reqs"] not in wanted:
            raise InvalidURL(f"option verify is {' or '.join(wanted)}, not {settings['cert_reqs']!r}")
        settings["cert_reqs"] = wanted[settings["cert_reqs"]]
    return settings


def _host(address: Address) -> str:
    if address.port is None:
        return address.host
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"

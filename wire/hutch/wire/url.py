"""Broker URLs: amqp and amqps after https://www.rabbitmq.com/docs/uri-spec, and memory for a broker in this process.

One rule is kombu's and not that page's: an empty virtual host means ``/``, so ``amqp://host``, ``amqp://host/``,
``amqp://host//`` and ``amqp://host/%2F`` are the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: Default port, by scheme; ``None`` if the scheme has no ports.
DEFAULT_PORTS: Final[Mapping[str, int | None]] = {"amqp": 5672, "amqps": 5671, "memory": None}
_DEFAULT_USERID: Final = "guest"
_DEFAULT_PASSWORD: Final = "guest"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[\w.-]*")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?)\](.*)")
_PORT = re.compile(r"[0-9]{1,5}")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f#]")
_IN_PASSWORD = "in a password, / ? ; are written %2F %3F %3B"


class InvalidURL(ValueError):
    """A URL that is no broker's address. The message names what is wrong, and quotes nothing that may be a password."""


@dataclass(frozen=True)
class Address:
    """Where a broker is, and who asks for which virtual host.

    ``host`` is a host name or an IP address without brackets, for ``memory`` the broker's name; ``port`` is ``None``
    for ``memory`` alone. ``options`` are the URL's query parameters, spelled as in the URL
    (https://www.rabbitmq.com/docs/uri-query-parameters). ``repr`` leaves out what may be secret: ``password`` and
    ``options``.
    """

    scheme: str
    host: str
    port: int | None
    userid: str = _DEFAULT_USERID
    password: str = field(default=_DEFAULT_PASSWORD, repr=False)
    virtual_host: str = "/"
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)


def parse_url(url: str) -> list[Address]:
    """The addresses that ``url`` names, in its order: one, or several that are separated by ``;``, to be tried in turn.

    Absent parts are ``guest``, ``guest``, ``localhost``, the scheme's port and ``/``. In a list of hosts, an entry that
    begins with a scheme stands alone. One without takes the scheme from the first entry. If it names no port,
    credentials, virtual host or options, these come from the first entry too: ``amqp://me:secret@a/v;b;c:5673``.

    User, password, host, virtual host and options are percent-decoded; ``+`` is no space. An ``@`` in the user or the
    password need not be escaped: the last one before the host counts.

    Raises:
        InvalidURL: an unknown scheme, a bad port, host or percent escape, an option without value or given twice,
            a character that has to be escaped, nothing at all.
    """
    if not url:
        raise InvalidURL("the URL is empty")
    if found := _FORBIDDEN.search(url):
        character = found.group()
        raise InvalidURL(f"the URL holds a bare {character!r}; write it as %{ord(character):02X}")
    first: Address | None = None
    addresses = []
    for number, entry in enumerate(url.split(";"), 1):
        try:
            address = _parse_entry(entry, first)
        except InvalidURL as error:
            if ";" not in url:
                raise
            raise InvalidURL(f"host {number} of the URL: {error}") from None
        first = first or address
        addresses.append(address)
    return addresses


def _parse_entry(entry: str, first: Address | None) -> Address:
    found = _SCHEME.match(entry)
    if found:
        scheme = found.group(1).lower()
        if scheme not in DEFAULT_PORTS:
            raise InvalidURL(f"unknown scheme {scheme}://; known are {', '.join(DEFAULT_PORTS)}")
        base = Address(scheme, "localhost", DEFAULT_PORTS[scheme])
        entry = entry[found.end() :]
    elif first:
        if not entry:
            raise InvalidURL("nothing between two ;")
        base = first
    else:
        raise InvalidURL(f"no scheme; a broker's URL begins with {'://, '.join(DEFAULT_PORTS)}://")
    rest, has_options, query = entry.partition("?")
    authority, _, path = rest.partition("/")
    if "@" in path or "@" in query:  # legal, but most likely the text before the @ is credentials
        raise InvalidURL(f"an @ behind the host, where it is written %40; {_IN_PASSWORD}")
    userinfo, has_userinfo, place = authority.rpartition("@")
    host, port = _parse_place(place, base.scheme)
    if not host:
        if not found:
            raise InvalidURL("no host name")
        if base.scheme == "memory":
            raise InvalidURL("a memory URL names its broker: memory://name")
    userid, password = base.userid, base.password
    if has_userinfo:
        userid, has_password, password = userinfo.partition(":")
        userid = _decode(userid, "user")
        password = _decode(password, "password") if has_password else _DEFAULT_PASSWORD
    return Address(
        scheme=base.scheme,
        host=host or base.host,
        port=base.port if port is None else port,
        userid=userid,
        password=password,
        virtual_host=_decode(path, "virtual host") or base.virtual_host,
        options=_parse_options(query) if has_options else base.options,
    )


def _parse_place(place: str, scheme: str) -> tuple[str, int | None]:
    if bracketed := _IPV6.fullmatch(place):
        host, rest = bracketed.groups()
        host = host.replace("%25", "%")  # a zone follows an escaped percent sign (RFC 6874)
        if rest and rest[0] != ":":
            raise InvalidURL("the port stands behind a colon")
        digits = rest[1:]
    elif "[" in place or "]" in place:
        raise InvalidURL("only an IPv6 address stands in brackets")
    else:
        host, _, digits = place.partition(":")
        host = _decode(host, "host name")
        if not _HOST.fullmatch(host):
            raise InvalidURL("a host name is letters, digits, dots, hyphens and underscores")
    if not digits:
        return host, None
    # the message does not quote it: it may be part of a password
    if not _PORT.fullmatch(digits) or not 0 < int(digits) <= 65535:
        raise InvalidURL(f"the port is not a number from 1 to 65535; {_IN_PASSWORD}")
    if DEFAULT_PORTS[scheme] is None:
        raise InvalidURL(f"a {scheme} URL has no port")
    return host, int(digits)


def _parse_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, has_value, value = pair.partition("=")
        name = _decode(name, "name of an option")
        if not name:
            raise InvalidURL("an option without a name")
        if not has_value:
            raise InvalidURL(f"option {name} has no value")
        if name in options:
            raise InvalidURL(f"option {name} is given twice")
        options[name] = _decode(value, f"option {name}")
    return options


def _decode(text: str, what: str) -> str:
    """Percent-decode; :mod:`urllib.parse` would do it, but takes several times as long to import as this package."""
    if "%" not in text:
        return text
    if any(not digits for digits in _ESCAPE.findall(text)):
        raise InvalidURL(f"the {what} holds a % that no two hexadecimal digits follow; % itself is %25")
    raw = re.sub(rb"%(..)", lambda escape: bytes.fromhex(escape.group(1).decode()), text.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidURL(f"the {what} is not UTF-8 when its % escapes are decoded") from None

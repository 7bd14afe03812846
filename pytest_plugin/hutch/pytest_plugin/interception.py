"""Has connections to other brokers' addresses reach a double, in this process: blocking sockets and event loops.

Two things of :mod:`socket` are replaced while it lasts: ``getaddrinfo``, which gives the double's address for a host
that matches, and ``socket.connect``. asyncio, trio and client libraries use both.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from hutch.wire.url import parse_url

#: The ports of AMQP, without and with TLS.
_AMQP_PORTS: Final = frozenset({5672, 5671})


class _Pattern(NamedTuple):
    """A host and a port, in which ``*`` stands for any characters."""

    host: str
    port: str

    def matches(self, host: str, port: int) -> bool:
        return fnmatchcase(host.lower().rstrip("."), self.host) and fnmatchcase(str(port), self.port)


class _Rule(NamedTuple):
    patterns: tuple[_Pattern, ...]
    address: tuple[str, int]
    refuse_others: bool


def parse(pattern: str) -> _Pattern:
    """``rabbitmq.internal:5672``, ``*.internal``, ``10.0.0.*:*``, ``[::1]:5672``; without a port it is 5672.

    Raises:
        ValueError: no host, or a port that is neither a number nor has a ``*``.
    """
    host, colon, port = pattern.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.endswith("]")):
        host, port = pattern, "5672"
    host = host.removeprefix("[").removesuffix("]").lower()
    if not host or not port.replace("*", "0").isdigit():
        raise ValueError(f"{pattern!r} is no host and port; 'rabbitmq.internal:5672' is, or '*.internal:*'")
    return _Pattern(host, port)


class _Interceptor:
    """The replacements, in place as long as there is a rule. The last rule that matches counts."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._changing: Final = threading.Lock()
        self._class = socket.socket
        self._getaddrinfo = socket.getaddrinfo
        #: What the class has itself, and what it inherits.
        self._own: dict[str, Any] = {}
        self.connect: Any = None
        self.connect_ex: Any = None

    def add(self, rule: _Rule) -> None:
        with self._changing:
            if not self._rules:
                self._class = socket.socket
                self._getaddrinfo = socket.getaddrinfo
                self._own = {name: value for name, value in vars(self._class).items() if name in _METHODS}
                self.connect, self.connect_ex = self._class.connect, self._class.connect_ex
                socket.getaddrinfo = self.getaddrinfo
                for name, function in _METHODS.items():
                    setattr(self._class, name, function)
            self._rules = [*self._rules, rule]

    def remove(self, rule: _Rule) -> None:
        with self._changing:
            self._rules = [other for other in self._rules if other is not rule]
            if not self._rules:
                socket.getaddrinfo = self._getaddrinfo
                for name in _METHODS:
                    if name in self._own:  # another library has put it there
                        setattr(self._class, name, self._own[name])
                    else:
                        delattr(self._class, name)

    def redirected(self, host: object, port: object) -> tuple[str, int] | None:
        """Where a connection goes instead; ``None`` if it goes where it says.

        Raises:
            ConnectionRefusedError: it goes to a broker that nobody intercepts, and that is refused.
        """
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        number = _number(port)
        rules = self._rules
        if not isinstance(name, str) or number is None:
            return None
        if any((name, number) == rule.address for rule in rules):
            return None
        for rule in reversed(rules):
            if any(pattern.matches(name, number) for pattern in rule.patterns):
                return rule.address
        if number in _AMQP_PORTS and any(rule.refuse_others for rule in rules):
            meant = ", ".join(f"{pattern.host}:{pattern.port}" for rule in rules for pattern in rule.patterns)
            raise ConnectionRefusedError(
                f"{name}:{number} looks like a broker, and this test intercepts {meant} alone: refused"
            )
        return None

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        """``socket.getaddrinfo``, with the double's address where a rule says so."""
        instead = self.redirected(host, port)
        return self._getaddrinfo(*(instead or (host, port)), *args, **kwargs)


_INTERCEPTOR: Final = _Interceptor()


def _number(port: object) -> int | None:
    if isinstance(port, bytes):
        port = port.decode("ascii", "replace")
    if isinstance(port, str):
        return {"amqp": 5672, "amqps": 5671}.get(port, int(port) if port.isdigit() else None)
    return port if isinstance(port, int) else None


def _instead(address: Any) -> Any:
    if isinstance(address, tuple) and len(address) >= 2:
        return _INTERCEPTOR.redirected(address[0], address[1]) or address
    return address


def _connect(self: socket.socket, address: Any) -> None:
    _INTERCEPTOR.connect(self, _instead(address))


def _connect_ex(self: socket.socket, address: Any) -> int:
    result: int = _INTERCEPTOR.connect_ex(self, _instead(address))
    return result


_METHODS: Final = {"connect": _connect, "connect_ex": _connect_ex}


@contextmanager
def intercept(*hosts: str, to: str, refuse_others: bool = False) -> Iterator[None]:
    """Have this process's connections to these hosts reach another address, and restore everything in the end.

    Blocking sockets, asyncio and trio are intercepted, in all threads. A TLS client needs the URL of a listener with
    TLS, whose certificate has the name that it connects to.

    Args:
        hosts: ``"rabbitmq.internal:5672"``; ``*`` stands for any characters, and without a port it is 5672.
        to: the URL to reach instead, for example ``fakebroker.url``.
        refuse_others: whether connections to other hosts' AMQP ports, 5672 and 5671, are refused.

    Raises:
        ValueError: no host, or one that cannot be understood.
    """
    if not hosts:
        raise ValueError("say which hosts to intercept: 'rabbitmq.internal:5672'")
    address = parse_url(to)[0]
    if address.port is None:
        raise ValueError(f"{to!r} has no port to connect to; an amqp:// URL has")
    rule = _Rule(tuple(map(parse, hosts)), (address.host, address.port), refuse_others)
    _INTERCEPTOR.add(rule)
    try:
        yield
    finally:
        _INTERCEPTOR.remove(rule)

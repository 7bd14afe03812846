"""The ports that a broker listens on, and the sockets of its clients.

A port stays the broker's own while the broker is stopped and refuses clients. A child that is forked from this process
keeps none of these sockets: clients would not see the end of their connections while the child lives.
"""

import errno
import os
import socket
import sys
import threading
from collections.abc import Iterable
from typing import Any, Final, TypeAlias
from weakref import WeakSet

#: A socket's address, of IPv4 or IPv6.
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

#: How many clients may wait to be accepted.
_BACKLOG: Final = 128
_HIGHEST: Final = 65535
#: How many free ports to try when other programs take them first.
_ATTEMPTS: Final = 20
#: Errors for an address, or a family of addresses, that the machine lacks.
_LACKING: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
#: On other systems SO_REUSEADDR lets a program take a port from another one.
_REUSES_ADDRESSES: Final = os.name == "posix" and sys.platform != "cygwin"

_sockets: Final[WeakSet[socket.socket]] = WeakSet()
#: Held while a socket is made. A fork waits for it, so the child finds every socket in the set.
_making: Final = threading.RLock()


def _let_go() -> None:
    """Close the sockets that a forked child has inherited. The parent's stay open."""
    try:
        for sock in list(_sockets):
            sock.close()
    finally:
        _making.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_let_go)


class Port:
    """One address that the broker has from now until :meth:`close`. It listens until :meth:`refuse`.

    Raises:
        OSError: the port is taken, or the address is not this machine's.
        OverflowError: there is no such port.
    """

    def __init__(self, family: int, address: Address) -> None:
        self._family: Final = family
        self.address: Final = address
        self.socket = self._bind()
        try:
            self.listen()
        except OSError as error:
            self.close()
            raise self._explained(error) from None

    def _bind(self) -> socket.socket:
        with _making:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
            _sockets.add(sock)
        try:
            sock.setblocking(False)
            if self._family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _reuse_address(sock, True)
            sock.bind(self.address)
        except OSError as error:
            sock.close()
            raise self._explained(error) from None
        except BaseException:
            sock.close()
            raise
        return sock

    def _explained(self, error: OSError) -> OSError:
        return _explained(error, *self.address[:2])

    def listen(self) -> None:
        """Take clients.

        Raises:
            OSError: the system has no room for it.
        """
        _reuse_address(self.socket, True)  # clients' sockets inherit it, and may outlive a stop
        self.socket.listen(_BACKLOG)

    def refuse(self) -> None:
        """Refuse clients, those that wait to be accepted too, and keep the port.

        Linux can end the listening of a socket that stays bound. Elsewhere another socket, which is bound and does not
        listen, takes its place.

        Raises:
            OSError: the system is not Linux, and another program took the port between the two sockets.
        """
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.socket.close()
            self.socket = self._bind()
        _reuse_address(self.socket, False)  # else a program that asks for SO_REUSEADDR gets the port

    def accept(self) -> tuple[socket.socket, Any]:
        """A client's socket and address.

        Raises:
            OSError: no client waits, or the system has no room for it.
        """
        with _making:
            sock, address = self.socket.accept()
            _sockets.add(sock)
        return sock, address

    def close(self) -> None:
        """Let the port go."""
        self.socket.close()


def _explained(error: OSError, host: str, port: int) -> OSError:
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        reason += "; port 0 takes a free one"
    elif error.errno in _LACKING:
        reason += "; the host is an address of this machine, such as 127.0.0.1"
    return OSError(error.errno, f"cannot listen on {host}:{port}: {reason}")


def _reuse_address(sock: socket.socket, allowed: bool) -> None:
    """Whether the port may be bound beside what remains of former connections. The other socket has to allow it too."""
    if _REUSES_ADDRESSES:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, allowed)


def bind(host: str, port: int) -> list[Port]:
    """Listen on all addresses of a host, at the same port. ``host`` "" is every address of this machine; ``port`` 0 is
    a free one.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
        ValueError, OverflowError: there is no such host name, or port.
    """
    if not 0 <= port <= _HIGHEST:
        raise OverflowError(f"port {port} is none; choose one from 1 to {_HIGHEST}, or 0 for a free one")
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for _ in range(1, _ATTEMPTS):
        try:
            return _bind_all(places, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(places, port)


def _bind_all(places: Iterable[tuple[int, Any]], number: int) -> list[Port]:
    ports: list[Port] = []
    lacking = OSError(errno.EADDRNOTAVAIL, "cannot listen: the host has no address")
    try:
        for family, address in places:
            try:
                number = number or _free_port(family, address)
                ports.append(Port(family, (address[0], number, *address[2:])))
            except OSError as error:
                if error.errno not in _LACKING:
                    raise
                lacking = error
    except BaseException:
        for port in ports:
            port.close()
        raise
    if not ports:
        raise lacking
    return ports


def _free_port(family: int, address: Any) -> int:
    """A port that is free now, to be asked for by its number: when the listening ends, Linux lets go of a port that was
    not asked for.
    """
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address[0], 0, *address[2:]))
        except OSError as error:
            raise _explained(error, address[0], 0) from None
        port: int = probe.getsockname()[1]
        return port

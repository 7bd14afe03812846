"""TCP to a broker: :class:`hutch.wire.transport.Transport` over a socket.

The socket stays in blocking mode. A wait with a deadline uses ``poll`` or ``select``. So it leaves no timeout on the
socket, which other users of the socket would meet.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from errno import EBADF
from typing import Any, Final, TypeVar

from hutch.wire.transport import Transport

#: How much to receive at once, in bytes: more than came the last time, if that is to be had. Room costs time, too.
_RECEIVE_SIZES: Final = (4096, 65536, 262144)
#: How many pieces one system call takes; IOV_MAX is 1024 on Linux, 16 at the least (POSIX).
_PIECES: Final = 64
_DO_NOT_WAIT: Final[int] = getattr(socket, "MSG_DONTWAIT", 0)

#: Socket options set at IPPROTO_TCP where the platform has them; py-amqp's values, in seconds or, for
#: TCP_USER_TIMEOUT, milliseconds.
SOCKET_SETTINGS: Final[Mapping[str, int]] = {
    "TCP_NODELAY": 1,
    "TCP_USER_TIMEOUT": 1000,
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 9,
}
_SOCKET_OPTIONS: Final[Mapping[int, int | bytes]] = {
    getattr(socket, name): value for name, value in SOCKET_SETTINGS.items() if hasattr(socket, name)
}


_Where = TypeVar("_Where")
_Read = TypeVar("_Read")


def _receive(sock: socket.socket, size: int, flags: int) -> bytes:
    return sock.recv(size, flags)


def _receive_into(sock: socket.socket, room: memoryview, flags: int) -> int:
    return sock.recv_into(room, 0, flags)


def _resolve(host: str, port: int, deadline: float | None) -> list[tuple[Any, ...]]:
    """The addresses of a host, by ``deadline``.

    The system's look-up of a name knows no timeout. Where there is a deadline, a thread does it, and is left to itself
    if it takes too long.
    """
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        pass
    else:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    name = host.encode() if host.isascii() else host  # only what is not ASCII needs the codec for host names
    if deadline is None:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    with suppress(socket.gaierror):  # an address is no name to look up
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    found: Future[list[tuple[Any, ...]]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=look_up, name=f"look-up of {host}", daemon=True).start()
    try:
        return found.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        raise TimeoutError("timed out looking up the name") from None


def _behind(pieces: Sequence[bytes | memoryview], size: int) -> Sequence[bytes | memoryview]:
    """What is left of ``pieces`` behind ``size`` bytes."""
    for index, piece in enumerate(pieces):
        if size < len(piece):
            return [memoryview(piece)[size:], *pieces[index + 1 :]]
        size -= len(piece)
    return []


class TcpTransport(Transport):
    """A connection to ``host`` (a name or an address without brackets) at ``port``.

    ``socket_settings`` are further options for IPPROTO_TCP, number to value; they win over :data:`SOCKET_SETTINGS`.
    """

    #: Seconds for which a publisher of one message after the other does not ask again whether there is news. Asking is
    #: a system call, a third of what publishing costs.
    poll_interval: Final = 0.001
    #: The socket, or ``None`` while not connected.
    sock: socket.socket | None = None

    def __init__(self, host: str, port: int, socket_settings: Mapping[int, int | bytes] | None = None) -> None:
        self.host = host
        self.port = port
        self._settings = {**_SOCKET_OPTIONS, **socket_settings} if socket_settings else _SOCKET_OPTIONS
        self._receive_size = _RECEIVE_SIZES[0]
        self._sending = threading.Lock()
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"<TcpTransport {self.host}:{self.port}{'' if self.sock else ' (closed)'}>"

    def connect(self, deadline: float | None) -> None:
        """Try the addresses of the host in turn, all of them before ``deadline``.

        Raises:
            OSError: the error of the last address, with host and port in its text.
        """
        error: OSError | None = None
        try:
            addresses = _resolve(self.host, self.port, deadline)
        except OSError as unknown:
            raise self._explained(unknown) from None
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                self._connect(sock, address, deadline)
            except OSError as refused:
                sock.close()
                error = refused
            except BaseException:
                sock.close()
                raise
            else:
                self.sock = sock
                return
        raise self._explained(error or OSError("no address")) from None

    def _connect(self, sock: socket.socket, address: Any, deadline: float | None) -> None:
        if deadline is not None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            sock.settimeout(remaining)
        sock.connect(address)
        if deadline is not None:
            sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in self._settings.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def _explained(self, error: OSError) -> OSError:
        """The same error, told with the place that could not be reached."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        reason = f"cannot connect to {host}:{self.port}: {error.strerror or error}"
        return type(error)(error.errno, reason) if error.errno is not None else type(error)(reason)

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``; calls from several threads do not mix."""
        sock = self.sock
        if sock is None:
            raise self._gone()
        if deadline is None:
            with self._sending:
                sock.sendall(data)
            return
        with self._sending_until(deadline):
            sock.settimeout(self._left(deadline))
            try:
                sock.sendall(data)
            finally:
                sock.settimeout(None)

    def send_pieces(self, pieces: Sequence[bytes | memoryview], deadline: float | None = None) -> None:
        """Send all of ``pieces``, one behind the other, without putting them together first."""
        sock = self.sock
        if sock is None:
            raise self._gone()
        if not hasattr(sock, "sendmsg"):  # Windows
            self.send(b"".join(pieces), deadline)
            return
        with self._sending_until(deadline):
            try:
                while pieces:
                    if deadline is not None:
                        sock.settimeout(self._left(deadline))
                    pieces = _behind(pieces, sock.sendmsg(pieces[:_PIECES]))
            finally:
                if deadline is not None:
                    sock.settimeout(None)

    @contextmanager
    def _sending_until(self, deadline: float | None) -> Iterator[None]:
        if not self._sending.acquire(timeout=-1 if deadline is None else max(0.0, deadline - time.monotonic())):
            raise TimeoutError("timed out while another thread was sending")
        try:
            yield
        finally:
            self._sending.release()

    @staticmethod
    def _left(deadline: float) -> float:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out while sending")
        return remaining

    def receive(self, deadline: float | None = None) -> bytes:
        """What has arrived, 256 KiB at most; ``b""`` at the end of the stream."""
        data = self._read(_receive, self._receive_size, deadline)
        small, large, largest = _RECEIVE_SIZES
        received = len(data)
        self._receive_size = small if received < small else large if received < large else largest
        return data

    def receive_into(self, room: memoryview, deadline: float | None = None) -> int:
        """How much of what has arrived was written to ``room``; 0 at the end of the stream."""
        self._receive_size = _RECEIVE_SIZES[0]  # what comes behind is the next one's beginning
        return self._read(_receive_into, room, deadline)

    def _read(
        self, read: Callable[[socket.socket, _Where, int], _Read], where: _Where, deadline: float | None
    ) -> _Read:
        while True:
            sock = self.sock
            if sock is None:
                raise self._gone()
            if deadline is not None and not self._wait_readable(sock, max(0.0, deadline - time.monotonic())):
                raise TimeoutError("timed out")
            try:
                return read(sock, where, 0 if deadline is None else _DO_NOT_WAIT)
            except BlockingIOError:
                continue  # another thread has read it
            except TimeoutError as error:
                if error.errno is None:
                    continue  # the timeout of another thread's sending
                # What the kernel gave up (ETIMEDOUT) is lost; it is no wait that may be repeated.
                raise ConnectionAbortedError(error.errno, error.strerror) from None

    def readable(self) -> bool:
        """Whether :meth:`receive` would return, or fail, at once."""
        return self.sock is not None and self._wait_readable(self.sock, 0)

    @staticmethod
    def _wait_readable(sock: socket.socket, seconds: float) -> bool:
        if sock.fileno() < 0:  # somebody else has closed it, which poll and select call a ValueError
            raise OSError(EBADF, os.strerror(EBADF))
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        return bool(select.select([sock], [], [], seconds)[0])

    def _gone(self) -> OSError:
        return ConnectionAbortedError(f"not connected to {self.host}:{self.port}")

    def close(self) -> None:
        """Shut the socket down and close it; closing again does nothing.

        In a process forked since, only this process's hold on the socket ends: the connection is the other one's.
        """
        sock, self.sock = self.sock, None
        if sock is not None:
            try:
                if self.is_own_process:
                    sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # the peer has ended the connection
                pass
            finally:
                sock.close()

    @property
    def is_own_process(self) -> bool:
        """Whether this is the process that made it, and none forked from that."""
        return self._process == os.getpid()

    def fileno(self) -> int | None:
        """The socket's, or ``None`` while not connected."""
        return self.sock.fileno() if self.sock is not None else None

    def monotonic(self) -> float:
        """:func:`time.monotonic`, which deadlines are read on."""
        return time.monotonic()

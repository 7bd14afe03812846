"""A plain TCP socket as a :class:`~hutch.wire.transport.Transport`, for the cases that speak in frames."""

import contextlib
import selectors
import socket
import time


class SocketTransport:
    """A TCP connection to ``host:port``; its clock is :func:`time.monotonic`."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def connect(self, deadline: float | None) -> None:
        """Connect.

        Raises:
            OSError: nobody listens there, or the deadline has passed.
        """
        self._socket = socket.create_connection(self._address, timeout=_left(deadline))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``."""
        connected = self._connected()
        connected.settimeout(_left(deadline))
        connected.sendall(data)

    def receive(self, deadline: float | None = None) -> bytes:
        """What has arrived; ``b""`` at the end of the stream."""
        connected = self._connected()
        connected.settimeout(_left(deadline))
        return connected.recv(1 << 17)

    def readable(self) -> bool:
        """Whether something has arrived, or the stream has ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._connected(), selectors.EVENT_READ)
            return bool(selector.select(0))

    def close(self) -> None:
        """Close the socket; a receive that waits in another thread ends."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def fileno(self) -> int | None:
        """The socket's file descriptor."""
        return self._connected().fileno()

    def monotonic(self) -> float:
        """:func:`time.monotonic`."""
        return time.monotonic()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise OSError("not connected")
        return self._socket


def _left(deadline: float | None) -> float | None:
    """Seconds until the deadline, never 0: that would make the socket non-blocking."""
    return None if deadline is None else max(deadline - time.monotonic(), 0.000_001)

"""The socket of a connection, as an event loop sees it."""

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class WatchedSocket:
    """A connection's socket. It is readable as long as there is something to hand on.

    One read may bring several methods, and a call that waits for an answer stops behind the answer. The rest stays in
    the client's buffer and has left the socket, so an event loop that watches the plain socket would sleep. The
    descriptor here belongs to a selector (epoll, kqueue). The selector watches the socket and a bell. The bell rings
    while something is in the buffer. Windows has no such descriptor; there it is the plain socket's.

    A timeout that is set here limits the waits of the connection. All else is the plain socket's. The descriptor is
    made when somebody asks for it.

    Args:
        sock: the plain socket.
        holds_more: whether something was read and can be handed on without another read.
        limit_waits: limits each wait without a timeout of its own to so many seconds; ``None`` for no limit.
    """

    def __init__(
        self, sock: socket.socket, holds_more: Callable[[], bool], limit_waits: Callable[[float | None], None]
    ) -> None:
        self._sock = sock
        self._holds_more = holds_more
        self._limit_waits = limit_waits
        self._timeout: float | None = None
        self._lock = threading.Lock()
        self._selector: selectors.BaseSelector | None = None
        # What is sent into one end makes the other one readable.
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._rings = False
        self._closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def __repr__(self) -> str:
        return f"<WatchedSocket of {self._sock!r}>"

    def settimeout(self, seconds: float | None) -> None:
        """Limit each send, and each wait of the connection that has no timeout of its own, to so many seconds.

        ``None`` is no limit. With 0 a wait only looks, and sends have no limit.
        """
        self._timeout = seconds
        self._limit_waits(seconds)

    def gettimeout(self) -> float | None:
        """What :meth:`settimeout` was called with last; ``None`` if never."""
        return self._timeout

    def setblocking(self, blocking: bool) -> None:
        """``settimeout(None)``, or ``settimeout(0)``."""
        self.settimeout(None if blocking else 0.0)

    def getblocking(self) -> bool:
        """Whether there is no limit of 0 seconds."""
        return self._timeout != 0

    def fileno(self) -> int:
        """The descriptor to watch; -1 once the socket is closed."""
        with self._lock:
            if self._closed or self._sock.fileno() < 0:
                return -1
            if self._selector is None:
                self._selector = self._watch()
            descriptor: int = getattr(self._selector, "fileno", self._sock.fileno)()
        self.update()
        return descriptor

    def _watch(self) -> selectors.BaseSelector:
        selector = selectors.DefaultSelector()
        self._bell = socket.socketpair()
        selector.register(self._sock, selectors.EVENT_READ)
        selector.register(self._bell[0], selectors.EVENT_READ)
        return selector

    def update(self) -> None:
        """Ring the bell if something is left in the buffer, else silence it. To be called after each read."""
        if self._bell is None:
            return
        with self._lock:  # else one thread's older finding could come behind another one's newer
            if self._closed:
                return
            ours, theirs = self._bell
            rings = self._holds_more()
            if rings and not self._rings:
                theirs.send(b"!")
            elif self._rings and not rings:
                ours.recv(1)
            self._rings = rings

    def forget(self) -> None:
        """Close the descriptor. The transport closes the socket."""
        with self._lock:
            self._closed = True
            if self._selector is not None and self._bell is not None:
                with suppress(OSError):
                    self._selector.close()
                for end in self._bell:
                    end.close()

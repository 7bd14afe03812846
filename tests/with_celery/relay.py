"""A network that can fail: it stands between a client and a broker."""

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from hutch.wire.url import parse_url


class Relay:
    """Listens on a port of its own, and carries bytes between who connects there and the broker at ``url``."""

    def __init__(self, url: str) -> None:
        (address,) = parse_url(url)
        self._place = (address.host, address.port or 5672)
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()
        #: Number of connections accepted.
        self.count = 0
        #: Number of connections refused.
        self.refused = 0
        #: Number of pieces received from clients.
        self.sendings = 0
        self._accepting = True
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._over = False
        self._thread = threading.Thread(target=self._run, name="relay")

    def url_like(self, url: str) -> str:
        """The same URL, by way of this relay."""
        (address,) = parse_url("amqp://" + url.partition("://")[2])
        return url.replace(f"{address.host}:{address.port}", f"127.0.0.1:{self.port}")

    def cut(self) -> None:
        """Reset all connections; new ones are welcome."""
        with self._lock:
            for client in list(self._clients):
                self._drop(client)

    def silence(self) -> None:
        """Carry nothing more on the connections there are, and do not tell anybody; new ones are welcome."""
        with self._lock:
            self._silent.update(self._pairs)

    def refuse(self) -> None:
        """Reset every new connection, until :meth:`accept`."""
        self._accepting = False

    def accept(self) -> None:
        """Undo :meth:`refuse`."""
        self._accepting = True

    def _drop(self, end: socket.socket) -> None:
        other = self._pairs.pop(end, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for each in (end, other):
            self._clients.discard(each)
            self._silent.discard(each)
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
            # A linger time of zero: the other end gets a reset.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            each.close()

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        while not self._over:
            for key, _ in self._selector.select():
                end = key.fileobj
                if end is self._bell:
                    continue
                with self._lock:
                    if end is self._listener:
                        self._welcome()
                    elif isinstance(end, socket.socket) and end in self._pairs:
                        self._carry(end)

    def _welcome(self) -> None:
        client, _ = self._listener.accept()
        try:
            if not self._accepting:
                self.refused += 1
                raise ConnectionRefusedError
            broker = socket.create_connection(self._place, timeout=20)
        except OSError:
            client.close()
            return
        self.count += 1
        self._clients.add(client)
        self._pairs |= {client: broker, broker: client}
        for end in (client, broker):
            end.settimeout(20)
            self._selector.register(end, selectors.EVENT_READ)

    def _carry(self, end: socket.socket) -> None:
        try:
            data = end.recv(65536)
            if end in self._silent and data:
                return
            if not data:
                self._drop(end)
                return
            self.sendings += end in self._clients
            self._pairs[end].sendall(data)
        except OSError:
            self._drop(end)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._rope.send(b"!")
        self._thread.join()
        self.cut()
        self._selector.close()
        for end in (self._listener, self._bell, self._rope):
            end.close()

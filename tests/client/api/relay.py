"""A TCP relay in front of a broker that can fall silent: for timeouts, and to be reached at another address."""

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65536


class Relay:
    """Passes on what clients and the broker at ``address`` send each other, from a thread of its own.

    After :meth:`pause` it reads nothing any more, and accepts nobody; the kernel goes on until its buffers are full.
    """

    def __init__(self, address: tuple[str, int], host: str = "127.0.0.1") -> None:
        self._address = address
        self._listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=8
        )
        self.port: int = self._listener.getsockname()[1]
        self.host = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wakened, self._waker = socket.socketpair()
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()
        for sock in (*self._peers, self._listener, self._wakened, self._waker):
            sock.close()
        self._selector.close()

    def pause(self) -> None:
        """Pass on nothing from now on."""
        self._paused.set()
        self._waker.send(b"!")
        self._thread.join()

    def _run(self) -> None:
        while not self._paused.is_set():
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._accept()
                elif sock in self._peers:
                    self._pass_on(sock)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            broker = socket.create_connection(self._address)
        except OSError:
            client.close()
            return
        for sock, peer in ((client, broker), (broker, client)):
            self._peers[sock] = peer
            self._selector.register(sock, selectors.EVENT_READ)

    def _pass_on(self, sock: socket.socket) -> None:
        peer = self._peers[sock]
        with suppress(OSError):
            if data := sock.recv(_CHUNK):
                peer.sendall(data)
                return
        for end in (sock, peer):
            self._selector.unregister(end)
            del self._peers[end]
            end.close()

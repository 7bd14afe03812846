"""What looks like a RabbitMQ from outside: answers on an AMQP, a TLS and a management port.

Tests import it, and run it as the program rabbitmq-server: then it does as its environment and its configuration say.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STARTED = b"\x01\x00\x00"  # the first bytes of Connection.Start
EXCHANGE_TYPES = ("direct", "x-consistent-hash", "x-random")


def overview(node: str, version: str, types: tuple[str, ...] = EXCHANGE_TYPES) -> dict[str, Any]:
    """What the management API tells of a broker."""
    return {"node": node, "rabbitmq_version": version, "exchange_types": [{"name": name} for name in types]}


def amqp(first: bytes = STARTED) -> Callable[[socket.socket], None]:
    """Answers a protocol header."""

    def answer(peer: socket.socket) -> None:
        if peer.recv(8) == b"AMQP\x00\x00\x09\x01":
            peer.sendall(first)

    return answer


def tls(folder: Path) -> Callable[[socket.socket], None]:
    """Answers a protocol header over TLS, with server.pem and server.key of a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    def answer(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as wrapped:
            amqp()(wrapped)

    return answer


def management(facts: Any, status: str = "200 OK") -> Callable[[socket.socket], None]:
    """Answers a request with JSON if guest asks for the overview."""

    def answer(peer: socket.socket) -> None:
        request = peer.recv(65536)
        wanted = request.startswith(b"GET /api/overview ") and b"Basic Z3Vlc3Q6Z3Vlc3Q=" in request
        body = json.dumps(facts).encode()
        peer.sendall(f"HTTP/1.0 {status if wanted else '404 Not Found'}\r\n\r\n".encode() + body)

    return answer


@contextlib.contextmanager
def listening(answer: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """Answer each connection to a port of 127.0.0.1, one after the other, while the body runs; yields the port."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, answer))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # makes accept() fail
            thread.join()


def _serve(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        with peer, contextlib.suppress(OSError):
            peer.settimeout(10)
            answer(peer)


def main() -> None:
    """Be rabbitmq-server. A file beside the program may tell what goes wrong, once."""
    trouble = Path(sys.argv[0]).with_name("trouble")
    word = trouble.read_text() if trouble.exists() else ""
    trouble.unlink(missing_ok=True)
    if word:
        print(word)
        sys.exit(3)
    lines = Path(os.environ["RABBITMQ_CONFIG_FILE"]).read_text().splitlines()
    settings = dict(line.split(" = ") for line in lines)
    node = os.environ["RABBITMQ_NODENAME"]
    series = ".".join(node.removesuffix("@localhost").split("_")[1:])
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with (
        listening(amqp(), int(os.environ["RABBITMQ_NODE_PORT"])),
        listening(tls(Path(settings["ssl_options.certfile"]).parent), int(settings["listeners.ssl.1"].split(":")[1])),
        listening(management(overview(node, f"{series}.9")), int(settings["management.tcp.port"])),
    ):
        ended.wait()


if __name__ == "__main__":
    main()

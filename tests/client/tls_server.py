"""TLS servers of one client, for the tests of the TLS transport."""

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from hutch.client.transports.tls import TlsTransport
from tests import certificates

PATIENCE = 10.0


def soon() -> float:
    return time.monotonic() + PATIENCE


@dataclass
class Served:
    """A server that takes one client: where it is, and its end of the connection, or why there is none."""

    port: int
    accepted: "Future[ssl.SSLSocket]"

    def transport(self, settings: object = None, host: str = "127.0.0.1") -> TlsTransport:
        return TlsTransport(host, self.port, settings or certificates.client_context())

    def peer(self) -> ssl.SSLSocket:
        return self.accepted.result(PATIENCE)


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[Served]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        listener.settimeout(PATIENCE)

        def accept() -> ssl.SSLSocket:
            sock = stack.enter_context(listener.accept()[0])
            sock.settimeout(PATIENCE)
            return stack.enter_context(context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False))

        yield Served(listener.getsockname()[1], pool.submit(accept))

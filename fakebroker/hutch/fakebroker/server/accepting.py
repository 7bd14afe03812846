"""Accepting the clients of a listener's ports, and what else all listeners do."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from hutch.fakebroker.server.ports import Address, Port
from hutch.fakebroker.ways_in import WayIn

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub

_log = logging.getLogger("hutch.fakebroker")

#: Seconds without accepting, after the system had no room for one more client.
_ACCEPT_AGAIN: Final = 1.0


class Accepting:
    """Accepts clients in the running event loop. ``protocol_for`` makes the protocol of a client, whose address it
    gets.
    """

    def __init__(self, protocol_for: Callable[[Address], asyncio.Protocol]) -> None:
        self._protocol_for: Final = protocol_for
        self._loop: Final = asyncio.get_running_loop()
        self._ports: list[Port] = []
        self._accepting = False
        self._arriving: Final[set[asyncio.Task[Any]]] = set()

    def start(self, ports: list[Port]) -> None:
        """Accept the clients of these ports."""
        self._ports = ports
        self._set_accepting(True)

    def _set_accepting(self, accepting: bool) -> None:
        self._accepting = accepting
        for port in self._ports:
            if accepting:
                self._loop.add_reader(port.socket, self._accept, port)
            else:
                self._loop.remove_reader(port.socket)

    def refuse(self) -> None:
        """Refuse clients from now on, until :meth:`resume`; the ports stay taken.

        Raises:
            OSError: as :meth:`Port.refuse`.
        """
        self._set_accepting(False)
        for port in self._ports:
            port.refuse()

    def resume(self) -> None:
        """Undo :meth:`refuse`.

        Raises:
            OSError: the system has no room for it.
        """
        for port in self._ports:
            port.listen()
        self._set_accepting(True)

    def close(self) -> None:
        """Accept no more, and let the ports go."""
        self._set_accepting(False)
        self.close_ports()

    def close_ports(self) -> None:
        """Let the ports go, without the event loop."""
        for port in self._ports:
            port.close()

    async def await_arrivals(self) -> None:
        """Return once each client that was accepted by now has its protocol."""
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _accept(self, port: Port) -> None:
        try:
            sock, address = port.accept()
        except (BlockingIOError, ConnectionAbortedError):  # the client has gone
            return
        except OSError as error:  # clients can wait, and the loop must go on
            _log.error("cannot accept a client, trying again in %s s: %s", _ACCEPT_AGAIN, error)
            self._loop.remove_reader(port.socket)
            self._loop.call_later(_ACCEPT_AGAIN, self._accept_again, port)
            return
        protocol = self._protocol_for(address)
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: protocol, sock))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _accept_again(self, port: Port) -> None:
        if self._accepting:
            self._loop.add_reader(port.socket, self._accept, port)


C = TypeVar("C", bound=asyncio.Protocol)


class PortListener(Generic[C]):
    """The life of a listener in the running event loop. ``protocol_for`` is as of :class:`Accepting`.

    ``clients`` are those that are there. ``progress`` grows with each thing that the listener does. ``url`` reaches it
    once it has started.
    """

    def __init__(self, hub: "Hub", protocol_for: Callable[[Address], C]) -> None:
        self.hub: Final = hub
        self.clients: Final[dict[C, None]] = {}
        self.url = ""
        self.progress = 0
        self._loop: Final = asyncio.get_running_loop()
        self._accepting: Final = Accepting(protocol_for)
        self._ways_in: list[WayIn] = []
        self._thread: Final = threading.get_ident()
        self._idle: Final = asyncio.Event()

    def _open(self, ports: list[Port], protocol: str) -> None:
        """Accept the clients of these ports, and have the hub know them by RabbitMQ's name of the protocol."""
        self._accepting.start(ports)
        self._ways_in = [WayIn(protocol, *port.address[:2]) for port in ports]
        self.hub.ways_in.extend(self._ways_in)

    def refuse(self) -> None:
        """Refuse clients from now on, until :meth:`accept`; the ports stay taken.

        Raises:
            OSError: as :meth:`Port.refuse`.
        """
        self._accepting.refuse()

    def accept(self) -> None:
        """Undo :meth:`refuse`.

        Raises:
            OSError: the system has no room for it.
        """
        self._accepting.resume()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run a callback in the loop, from any thread."""
        with suppress(RuntimeError):  # the loop has ended, and all of its clients with it
            if threading.get_ident() == self._thread:
                self._loop.call_soon(callback)
            else:
                self._loop.call_soon_threadsafe(callback)

    def forget(self, client: C) -> None:
        """A client is gone."""
        self.clients.pop(client, None)
        if not self.clients:
            self._idle.set()

    async def flush(self) -> None:
        """Return once what was said to clients by now is sent."""
        await asyncio.sleep(0)

    async def _close_ports(self, deadline: float) -> None:
        """Accept no more. Return once what others do in the loop is done, or at the ``deadline``, in its time."""
        self._accepting.close()
        await self._accepting.await_arrivals()  # asyncio loses the socket of a client that arrives behind the closing
        # Another thread may wait for the loop.
        while (others := asyncio.all_tasks() - {asyncio.current_task()}) and (left := deadline - self._loop.time()) > 0:
            await asyncio.wait(others, timeout=left)

    def _leave(self) -> None:
        """Have the hub forget the ports."""
        for way in self._ways_in:
            self.hub.ways_in.remove(way)
        self._ways_in.clear()


def print_host(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host

"""Accepting the clients of a listener's ports."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from hutch.fakebroker.server.ports import Address, Port

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
        except OSError as error:  # clients can wait, and the loop has other things to do
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

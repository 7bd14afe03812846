"""The listener of the management API."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.management.api import Api
from hutch.fakebroker.management.messages import Request, Response
from hutch.fakebroker.management.protocol import HttpClient
from hutch.fakebroker.server.accepting import Accepting
from hutch.fakebroker.server.ports import Port
from hutch.fakebroker.ways_in import WayIn

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.session import Session
    from hutch.fakebroker.broker import Broker


class ManagementListener:
    """Answers HTTP clients; to be used within a running event loop.

    ``drain_others`` returns once all is done that AMQP clients have sent by then; by default it asks the hub.
    ``refused_login`` is as of :class:`Api`.
    """

    def __init__(
        self,
        broker: "Broker",
        drain_others: Callable[[], Awaitable[None]] | None = None,
        refused_login: Callable[[str, str, bool], None] | None = None,
    ) -> None:
        self.hub: Final = broker.hub
        self.api: Final = Api(broker, refused_login)
        self.clients: Final[dict[HttpClient, None]] = {}
        self.url = ""
        #: A number that grows with each thing the listener does.
        self.progress = 0
        self._drain_others: Final = drain_others
        self._loop: Final = asyncio.get_running_loop()
        self._accepting: Final = Accepting(lambda _address: HttpClient(self))
        self._ways_in: list[WayIn] = []
        self._thread: Final = threading.get_ident()

    def start(self, ports: list[Port], host: str) -> None:  # noqa: ARG002  (a listener gets it)
        """Accept the clients of these ports, unless the broker is stopped. ``url`` is set: it has no credentials."""
        self._accepting.start(ports)
        if self.hub.stopped:
            self.refuse()
        address, number = ports[0].address[:2]
        name = f"[{address}]" if ":" in address else address
        self.url = f"http://{name}:{number}"
        self._ways_in = [WayIn("http", *port.address[:2]) for port in ports]
        self.hub.ways_in.extend(self._ways_in)
        self.api.open()

    @property
    def sessions(self) -> "list[Session]":
        """None: its clients do not speak AMQP."""
        return []

    async def answer(self, request: Request) -> Response:
        """The answer to a request, which sees all that AMQP clients have sent before."""
        if self._drain_others is None:
            self.hub.drain_clients()
        else:
            await self._drain_others()
        return self.api.answer(request)

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

    def forget(self, client: HttpClient) -> None:
        """A client is gone."""
        self.clients.pop(client, None)

    def cut_clients(self) -> None:
        """End the connections of all clients; from any thread."""
        self.call_soon(self._cut)

    def _cut(self) -> None:
        for client in list(self.clients):
            client.cut()

    async def drain_clients(self) -> None:
        """Nothing: a client hears by its answer that its request is done."""

    async def flush(self) -> None:
        """Return once what was said to clients by now is sent."""
        await asyncio.sleep(0)

    async def stop(self, grace: float = 1.0) -> None:
        """Accept no more, and cut the clients. An answer under way has ``grace`` seconds."""
        self._accepting.close()
        deadline = self._loop.time() + grace
        await self._accepting.await_arrivals()
        while (others := asyncio.all_tasks() - {asyncio.current_task()}) and (left := deadline - self._loop.time()) > 0:
            await asyncio.wait(others, timeout=left)
        self._cut()
        self._leave()
        await asyncio.sleep(0)

    def _leave(self) -> None:
        if self._ways_in:
            self.api.close()
        for way in self._ways_in:
            self.hub.ways_in.remove(way)
        self._ways_in.clear()

    def abandon(self) -> None:
        """End what :meth:`stop` ends, without the event loop, which has failed."""
        self._accepting.close_ports()
        self._leave()

"""The listener of the management API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.management.api import Api
from hutch.fakebroker.management.messages import Request, Response
from hutch.fakebroker.management.protocol import HttpClient
from hutch.fakebroker.server.accepting import PortListener, print_host
from hutch.fakebroker.server.ports import Port

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.session import Session
    from hutch.fakebroker.broker import Broker


class ManagementListener(PortListener[HttpClient]):
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
        super().__init__(broker.hub, lambda _address: HttpClient(self))
        self.api: Final = Api(broker, refused_login)
        self._drain_others: Final = drain_others

    def start(self, ports: list[Port], host: str) -> None:  # noqa: ARG002  (a listener gets it)
        """Accept the clients of these ports, unless the broker is stopped. ``url`` is set: it has no credentials."""
        self._open(ports, "http")
        if self.hub.stopped:
            self.refuse()
        address, number = ports[0].address[:2]
        self.url = f"http://{print_host(address)}:{number}"
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

    def cut_clients(self) -> None:
        """End the connections of all clients; from any thread."""
        self.call_soon(self._cut)

    def _cut(self) -> None:
        for client in list(self.clients):
            client.cut()

    async def drain_clients(self) -> None:
        """Nothing: a client hears by its answer that its request is done."""

    async def stop(self, grace: float = 1.0) -> None:
        """Accept no more, and cut the clients. An answer under way has ``grace`` seconds."""
        await self._close_ports(self._loop.time() + grace)
        self._cut()
        self._leave()
        await asyncio.sleep(0)

    def _leave(self) -> None:
        if self._ways_in:
            self.api.close()
        super()._leave()

    def abandon(self) -> None:
        """End what :meth:`stop` ends, without the event loop, which has failed."""
        self._accepting.close_ports()
        self._leave()

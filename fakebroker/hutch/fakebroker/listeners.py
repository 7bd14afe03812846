"""The listeners of a broker: AMQP without TLS and with it, one for each node, and the management API. Each is made
when somebody asks for it.
"""

from collections.abc import Callable
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.cluster_node import ClusterNode

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.session import Session
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.hub import Hub
    from hutch.fakebroker.server.thread import AnyListener, ServerThread
    from hutch.fakebroker.server.tls import Tls

#: Seconds to wait for a change that another thread makes. That thread may wait for the listener twice, ten seconds
#: each.
_PATIENCE: Final = 25.0


class _Changing:
    """Lets one thread at a time change listeners: ``with changing``.

    Raises:
        TimeoutError: another thread takes too long.
    """

    def __init__(self) -> None:
        # This is not the hub's lock, because the listener's thread takes that one while the thread that starts it
        # waits.
        self._lock: Final = Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=_PATIENCE):
            raise TimeoutError(f"another thread has changed the broker's listeners for {_PATIENCE} s")

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


class Listeners:
    """The listeners of a broker. What waits for a listener's thread raises as :class:`ServerThread` says."""

    def __init__(self, hub: "Hub") -> None:
        self._hub: Final = hub
        self._plain: ServerThread | None = None
        self._tls: ServerThread | None = None
        self._nodes: Final[dict[ServerThread, ClusterNode]] = {}
        self._management: ServerThread | None = None
        #: Held while listeners start or end, or begin to refuse or accept clients.
        self.changing: Final = _Changing()

    @property
    def _all(self) -> "list[ServerThread]":
        servers = (self._plain, self._tls, *self._nodes, self._management)
        return [server for server in servers if server is not None]

    @property
    def _running(self) -> "list[ServerThread]":
        """Those that are no node that is stopped by itself."""
        return [server for server in self._all if server not in self._nodes or not self._nodes[server].stopped]

    @property
    def urls(self) -> list[str]:
        """Where AMQP clients reach the broker."""
        return [server.url for server in (self._plain, self._tls) if server]

    @property
    def sessions(self) -> "list[Session]":
        """The sessions of their clients; in a turn."""
        return [session for server in self._all for session in server.sessions]

    @property
    def threads(self) -> set[Thread]:
        """What the listeners run on."""
        return {server.thread for server in self._all}

    def listen(self, host: str, port: int) -> str:
        """:meth:`Broker.listen <hutch.fakebroker.Broker.listen>`."""
        if self._plain is None:  # a forked child may ask for a URL that its parent has asked for
            self._hub.home.check()
            with self.changing:
                if self._plain is None:
                    self._plain = self._start_amqp(host, port)
        self._plain.check()
        return self._plain.url

    def listen_tls(self, tls: "Tls", host: str, port: int) -> str:
        """:meth:`Broker.listen_tls <hutch.fakebroker.Broker.listen_tls>`."""
        self._hub.home.check()
        with self.changing:
            if self._tls is not None:
                raise RuntimeError(f"the broker listens with TLS already, on {self._tls.url}")
            self._tls = self._start_amqp(host, port, tls)
            return self._tls.url

    def add_node(self, host: str, port: int, tls: "Tls | None") -> ClusterNode:
        """:meth:`Broker.add_node <hutch.fakebroker.Broker.add_node>`."""
        self._hub.home.check()
        with self.changing:
            server = self._start_amqp(host, port, tls)
            node = self._nodes[server] = ClusterNode(self._hub, server)
            return node

    def start_nodes(self) -> None:
        """Have all nodes run."""
        for node in list(self._nodes.values()):
            node.start()

    def listen_management(self, broker: "Broker", host: str, port: int) -> str:
        """:meth:`Broker.listen_management <hutch.fakebroker.Broker.listen_management>`."""
        from hutch.fakebroker.management.listener import ManagementListener  # noqa: PLC0415  (needs the extra)

        if self._management is None:
            self._hub.home.check()
            with self.changing:
                if self._management is None:
                    self._management = self._start(host, port, lambda: ManagementListener(broker))
        self._management.check()
        return self._management.url

    def _start_amqp(self, host: str, port: int, tls: "Tls | None" = None) -> "ServerThread":
        from hutch.fakebroker.server.protocol import Listener  # noqa: PLC0415  (asyncio, only when needed)

        return self._start(host, port, lambda: Listener(self._hub, tls))

    def _start(self, host: str, port: int, new_listener: "Callable[[], AnyListener]") -> "ServerThread":
        from hutch.fakebroker.server.thread import ServerThread  # noqa: PLC0415  (asyncio, only when needed)

        if self._hub.closed:
            raise RuntimeError("the broker is closed; it does not listen any more")
        return ServerThread(self._hub, host, port, new_listener)

    def drain_clients(self) -> None:
        """Return once all that clients have sent by now is done."""
        for server in self._all:
            server.drain_clients()

    def refuse(self) -> None:
        """Refuse new clients, and keep the ports."""
        for server in self._running:
            server.refuse()

    def accept(self) -> None:
        """Undo :meth:`refuse`."""
        for server in self._running:
            server.accept()

    def accept_soon(self) -> None:
        """:meth:`accept`, which is done before the next :meth:`flush` returns."""
        for server in self._running:
            server.accept_soon()

    def cut_clients(self) -> None:
        """End the connections of all clients; in a turn."""
        for server in self._all:
            server.cut_clients()

    def flush(self) -> None:
        """Return once what was said to clients by now is sent."""
        for server in self._all:
            server.flush()

    def close(self, grace: float) -> None:
        """End the listeners, and their clients within ``grace`` seconds."""
        with self.changing:
            for server in self._all:
                server.stop(grace)

"""An address of a broker that clients take for a node of a cluster."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub
    from hutch.fakebroker.server.thread import ServerThread


class ClusterNode:
    """One node of a cluster, as its clients see it; see :meth:`Broker.add_node <hutch.fakebroker.Broker.add_node>`.

    All nodes of a broker have the same virtual hosts, users and queues. While a node is stopped, the others go on.
    """

    def __init__(self, hub: "Hub", server: "ServerThread") -> None:
        self._hub: Final = hub
        self._server: Final = server
        #: The ``amqp://`` or ``amqps://`` URL to reach it by, with the first user's credentials.
        self.url: Final = server.url
        host, _, port = server.url.rpartition("@")[2].partition("/")[0].rpartition(":")
        #: The address that it listens on.
        self.host: Final = host.strip("[]")
        #: The port that it listens on.
        self.port: Final = int(port)
        #: Whether it was stopped and not started again.
        self.stopped = False

    def __repr__(self) -> str:
        return f"<ClusterNode {self.host}:{self.port}{', stopped' if self.stopped else ''}>"

    def stop(self) -> None:
        """Stop the node until :meth:`start`: its clients' connections end with 320, as with a RabbitMQ that is stopped,
        and new ones are refused. Everything that they have sent by then is done. Again it does nothing.

        Queues stay, but for those that are exclusive to these connections.

        Raises:
            RuntimeError: the broker is closed.
        """
        hub, server = self._hub, self._server
        hub.drain_clients()
        with hub.listeners.changing:
            self._check()
            if self.stopped:
                return
            self.stopped = True
            if not (hub.stopped or hub.refusing):
                server.refuse()  # first, because a client that is closed may connect again at once
            with hub.turn:
                server.cut_clients()
            server.flush()

    def start(self) -> None:
        """Go on after :meth:`stop`. A node of a broker that is stopped accepts clients once the broker starts.

        Raises:
            RuntimeError: the broker is closed.
        """
        with self._hub.listeners.changing:
            self._check()
            if self.stopped:
                self.stopped = False
                if not (self._hub.stopped or self._hub.refusing):
                    self._server.accept()

    def _check(self) -> None:
        if self._hub.closed:
            raise RuntimeError("the broker is closed")

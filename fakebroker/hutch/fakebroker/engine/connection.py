"""What the rules of a broker know of one client connection, once it is open."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.client import Client
from hutch.fakebroker.engine.origin import Origin
from hutch.wire.interfaces import mypyc_attr

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.sinks import Sink
    from hutch.fakebroker.engine.targets import Publisher, Target
    from hutch.fakebroker.engine.vhost import VHost


@mypyc_attr(allow_interpreted_subclasses=True)
class Connection:
    """One open connection, of any protocol.

    ``client`` is the other end. ``user`` logged in, with the tags ``tags``. ``exclusive_queues`` are the queues that
    are deleted with the connection.
    """

    def __init__(self, client: Client, user: str, vhost: "VHost") -> None:
        self.client: Final = client
        self.vhost: Final = vhost
        self.user: Final = user
        self.tags: Final = vhost.node.users[user].tags
        self.name: Final = client.peer.name
        #: The origin of facts that the connection makes happen, and none of its channels.
        self.origin: Final = Origin(client.peer.name, None, user)
        self.exclusive_queues: Final[dict[Queue, None]] = {}
        vhost.node.connections[self] = None
        vhost.node.journal.connected(self)

    @property
    @abstractmethod
    def sinks(self) -> "list[Sink]":
        """What queues know of its channels, in the order in which they opened."""

    @property
    @abstractmethod
    def publishers(self) -> "dict[Origin, Publisher]":
        """Its channels as queues know them that they publish to, by their origins."""

    @abstractmethod
    def go_on(self, successors: "Mapping[Target, Target]") -> None:
        """Go on, although all queues were replaced, and all deliveries revoked. ``successors`` has the queues that
        there are again, by those that there were. What channels hold for a queue goes to its successor.
        """

    @abstractmethod
    def end_consumers(self) -> None:
        """End all consumers, because the connection is about to end."""

    @abstractmethod
    def end_channels(self) -> None:
        """End all channels: consumers end, and what is not acknowledged comes back."""

    @abstractmethod
    def force_close(self, reason: str) -> None:
        """Close it because of an operator, and tell the client the reason."""

    def close(self) -> None:
        """Give back what the connection holds: unacknowledged messages, consumers, exclusive queues (CONN-CLOSE-06)."""
        node = self.vhost.node
        if self not in node.connections:
            return
        del node.connections[self]
        self.end_channels()
        for queue in list(self.exclusive_queues):
            self.vhost.delete_queue(queue)
        node.journal.disconnected(self)

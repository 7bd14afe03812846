"""What the engine knows of one client connection, once it is open."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.client import Client
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.output import Output

if TYPE_CHECKING:
    from hutch.fakebroker.engine.channel import Channel
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.unsent import Unsent
    from hutch.fakebroker.engine.vhost import VHost


class Connection:
    """One open connection.

    ``client`` is who is at its other end. ``user`` is who logged in, ``tags`` are the tags that the user had then;
    ``cancel_notify`` whether its client wants to know of consumers that the broker cancels (CONSUME-19, CONSUME-20).
    ``channels`` are the open ones by number;
    ``exclusive_queues`` those that go with the connection.
    """

    def __init__(self, client: Client, user: str, vhost: "VHost", output: Output, *, cancel_notify: bool) -> None:
        self.client: Final = client
        self.vhost: Final = vhost
        self.user: Final = user
        self.tags: Final = vhost.node.users[user].tags
        self.name: Final = client.peer.name
        #: Who makes a fact happen that comes of no channel.
        self.origin: Final = Origin(client.peer.name, None, user)
        self.output: Final = output
        self.cancel_notify: Final = cancel_notify
        self.channels: Final[dict[int, Channel]] = {}
        self.exclusive_queues: Final[dict[Queue, None]] = {}
        #: Whether there is more at hand of what the client has sent, and how often there was.
        self.reading = False
        self.reads = 0
        #: The channels that have something to hear behind that.
        self.waiting: dict[Channel, None] = {}
        #: The queues that have something to hear once all output is sent.
        self.unsent: list[Unsent] = []
        vhost.node.connections[self] = None
        vhost.node.journal.connected(self)

    def hear(self) -> None:
        """What was at hand is used up: have the channels hear what queues have told them meanwhile."""
        channels, self.waiting = self.waiting, {}
        for channel in channels:
            channel.hear()

    def sent(self) -> None:
        """All output was sent: have the queues hear that."""
        waiting, self.unsent = self.unsent, []
        for unsent in waiting:
            unsent.sent()

    def close(self) -> None:
        """Give back what the connection holds: unacknowledged messages, consumers, exclusive queues (CONN-CLOSE-06)."""
        node = self.vhost.node
        if self not in node.connections:
            return
        del node.connections[self]
        channels = list(self.channels.values())
        # All of them first: what one gives back is not for another that ends as well.
        queues = dict.fromkeys(queue for channel in channels for queue in channel.end_consumers())
        for channel in channels:
            channel.close()
        for queue in queues:
            queue.dispatch()
        for queue in list(self.exclusive_queues):
            self.vhost.delete_queue(queue)
        node.journal.disconnected(self)

"""What queues know of their consumers' clients."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.origin import Origin
from hutch.wire.interfaces import mypyc_attr

if TYPE_CHECKING:
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.message import Message
    from hutch.fakebroker.engine.queues.ready_messages import Entry
    from hutch.fakebroker.engine.replies import ReplyQueue


@mypyc_attr(allow_interpreted_subclasses=True)
class Sink:
    """Where the messages of consumers go: all that a queue may ask of a consuming client.

    Consumers may share a sink, as those of a channel do; ``consumers`` are these, by their tags. One that ended is not
    among them, and another may have its tag by then. ``origin`` is who makes a fact happen that comes of the sink.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin: Final = origin
        self.consumers: Final[dict[str, Consumer]] = {}

    # consumers

    def begin(self, consumer: "Consumer") -> None:
        """A queue has a new consumer for which it will ask :meth:`has_room`."""

    def end(self, consumer: "Consumer") -> None:
        """The queue has this consumer no more."""

    def orphan(self, consumer: "Consumer") -> None:
        """The consumer ended with its queue."""
        self.consumers.pop(consumer.tag, None)

    @abstractmethod
    def cancelled(self, consumer: "Consumer") -> bool:
        """Tell the client that the broker cancels a consumer; whether it wants to know (CONSUME-19)."""

    # room

    @property
    @abstractmethod
    def has_shared_limit(self) -> bool:
        """Whether the consumers share a limit, which not every type of queue can heed."""

    @abstractmethod
    def has_room(self, consumer: "Consumer") -> bool:
        """Whether a delivery may be sent: the limit that consumers share has room, and the client reads. The limit of
        a consumer itself does not count here. When there is room again, the sink calls
        :meth:`Queue.readmit <hutch.fakebroker.engine.queues.queue.Queue.readmit>`.
        """

    # messages

    @abstractmethod
    def deliver(self, consumer: "Consumer", entry: "Entry") -> None:
        """Send a message to a consumer, which is known to have credit."""

    @abstractmethod
    def reply(self, queue: "ReplyQueue", message: "Message") -> None:
        """Send a reply; there is nothing to acknowledge (RPC-06)."""

    # what a queue tells

    @abstractmethod
    def credit(self, ready: int, *, at_once: bool = False) -> None:
        """Answer basic.credit: so many messages are ready. A queue's answers come behind the channel's answers to all
        that the client has sent along, unless they come ``at_once``.
        """

    @abstractmethod
    def drained(self, consumer: "Consumer", credit: int, *, at_once: bool = False) -> None:
        """Tell that nothing is ready, and so much credit is lost; ``at_once`` as in :meth:`credit`."""

    @abstractmethod
    def timed_out(self) -> None:
        """End, because a delivery was not acknowledged in time (CONSUME-27)."""

    @abstractmethod
    def crash(self) -> None:
        """End as RabbitMQ does when its process for the channel crashes; what is on its way there comes back."""

"""Direct reply-to (https://www.rabbitmq.com/docs/direct-reply-to).

A channel that consumes from the pseudo queue gets a name, which stands in its requests. What is published to that name
on the default exchange comes to the channel (RPC).

In RabbitMQ 3.10 such a name is no queue: the default exchange sends to the channel while it routes, even within a
transaction, and finds no route. In 4.3 it is a queue of the kind "volatile", which drops what nobody takes.
"""

from base64 import b64decode
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.errors import internal_error, refused
from hutch.fakebroker.engine.targets import Publisher, Target

if TYPE_CHECKING:
    from hutch.fakebroker.engine.message import Message
    from hutch.fakebroker.engine.names import Names
    from hutch.fakebroker.engine.sinks import Sink
    from hutch.fakebroker.engine.vhost import VHost

#: The pseudo queue.
REPLY_TO: Final = "amq.rabbitmq.reply-to"
#: The prefix of reply names.
REPLY_PREFIX: Final = REPLY_TO + "."


class ReplyQueue(Target):
    """A name that replies are sent to. They go to ``sink``, which is ``None`` once their consumer has ended. The name
    is never deleted, though its consumer may end (RPC-09).
    """

    def __init__(self, vhost: "VHost", name: str, sink: "Sink | None", tag: str) -> None:
        self.vhost = vhost
        self.name = name
        self.deleted = False
        self.sink = sink
        self.tag = tag
        raw = tag.encode()
        self.tag_bytes = bytes((len(raw),)) + raw

    def publish(self, message: "Message", publisher: "Publisher | None" = None) -> bool:  # noqa: ARG002
        """Send a message on once the command in hand is done; it is dropped if the consumer has ended."""
        if self.sink is not None:
            self.vhost.node.pending.append(lambda: self._deliver(message))
        return True

    def _deliver(self, message: "Message") -> None:
        if self.sink is not None:
            self.sink.reply(self, message)


class Replies:
    """The reply consumers of a node. ``volatile_queues`` is the profile's switch."""

    def __init__(self, names: "Names", volatile_queues: bool) -> None:
        self._names = names
        self._volatile_queues = volatile_queues
        self._live: dict[str, ReplyQueue] = {}

    def begin(self, vhost: "VHost", sink: "Sink", tag: str) -> ReplyQueue:
        """A reply consumer with a new name."""
        name = self._names.reply_to()
        while name in self._live:  # a restored state gives out the same names again
            name = self._names.reply_to()
        queue = ReplyQueue(vhost, name, sink, tag)
        self._live[queue.name] = queue
        return queue

    def end(self, queue: ReplyQueue) -> None:
        """End a reply consumer: what is sent to its name from now on is dropped."""
        if queue.sink is not None:
            queue.sink = None
            del self._live[queue.name]

    def find(self, vhost: "VHost", name: str) -> ReplyQueue | None:
        """The live reply consumer of that name. 3.10 finds those of all virtual hosts.

        Raises:
            BrokerError: 541, the name is malformed in such a way that RabbitMQ crashes.
        """
        queue = self._live.get(name)
        if queue is None:
            self._check(name)
        elif self._volatile_queues and queue.vhost is not vhost:
            return None
        return queue

    def route(self, vhost: "VHost", name: str, message: "Message") -> ReplyQueue | None:
        """Send a message to a reply name, or in 4.3 find the queue that it is; one without a consumer too, as long as
        the name is well-formed (RPC-07, RPC-09, RPC-10).

        Raises:
            BrokerError: 541 as :meth:`find`, in 3.10.
        """
        if self._volatile_queues:
            if not self.is_well_formed(name):
                return None
            return self.find(vhost, name) or ReplyQueue(vhost, name, None, "")
        queue = self.find(vhost, name)
        if queue is not None:
            queue.publish(message, None)
        return None

    def is_volatile(self, name: str) -> bool:
        """Whether a name is that of a volatile queue, of which all that are well-formed are there (RPC-13)."""
        return self._volatile_queues and name.startswith(REPLY_PREFIX) and self.is_well_formed(name)

    def refuse_binding(self, name: str) -> None:
        """403 for binding or unbinding what is named as a volatile queue, before all else (RPC-13)."""
        if self._volatile_queues and name.startswith(REPLY_PREFIX):
            raise refused("cannot bind or unbind to a volatile (direct reply-to) queue")

    def is_well_formed(self, name: str) -> bool:
        """Whether a reply name has the form of those that this broker makes, so that 4.3 takes it for a queue."""
        process, dot, _ = name.removeprefix(REPLY_PREFIX).partition(".")
        try:
            return dot != "" and self._names.is_process(b64decode(process, validate=True))
        except ValueError:
            return False

    def _check(self, name: str) -> None:
        parts = [part for part in name.removeprefix(REPLY_PREFIX).split(".") if part]
        if (self._volatile_queues or len(parts) == 2) and not self.is_well_formed(name):
            raise internal_error()

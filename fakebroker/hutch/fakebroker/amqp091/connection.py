"""An open connection of AMQP 0-9-1, and its channels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.after_input import AfterInput
from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.amqp091.output import Output
from hutch.fakebroker.amqp091.profile import AMQPProfile
from hutch.fakebroker.engine.client import Client
from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.engine.targets import Publisher, Target
from hutch.wire.codes import ReplyCode

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel
    from hutch.fakebroker.amqp091.channel_sink import ChannelSink
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.unsent import Unsent
    from hutch.fakebroker.engine.vhost import VHost


class AMQPConnection(Connection):
    """One open connection.

    ``cancel_notify`` is whether its client wants to know of consumers that the broker cancels (CONSUME-19,
    CONSUME-20). ``channels`` are the open ones by number.
    """

    def __init__(
        self,
        client: Client,
        user: str,
        vhost: "VHost",
        output: Output,
        after_input: AfterInput,
        profile: AMQPProfile,
        *,
        cancel_notify: bool,
    ) -> None:
        self.profile: Final = profile
        self.output: Final = output
        self.after_input: Final = after_input
        self.cancel_notify: Final = cancel_notify
        self.channels: Final[dict[int, Channel]] = {}
        #: Queues to notify once all output is sent.
        self.unsent: list[tuple[ChannelSink, Queue, Unsent]] = []
        super().__init__(client, user, vhost)

    def sent(self) -> None:
        """All output was sent: have the queues hear that."""
        waiting, self.unsent = self.unsent, []
        for sink, queue, unsent in waiting:
            sink.sent(queue, unsent)

    @property
    def sinks(self) -> list[Sink]:
        """What queues know of its channels, in the order in which they opened."""
        return [channel.sink for channel in self.channels.values()]

    @property
    def publishers(self) -> dict[Origin, Publisher]:
        """Its channels as queues know them that they publish to."""
        return {channel.origin: channel for channel in self.channels.values()}

    def go_on(self, successors: "Mapping[Target, Target]") -> None:
        """Go on, although all queues were replaced."""
        self.unsent.clear()
        for channel in self.channels.values():
            channel.go_on(successors)

    def end_consumers(self) -> None:
        """End all consumers."""
        for channel in self.channels.values():
            channel.end_consumers()

    def end_channels(self) -> None:
        """End all channels."""
        channels = list(self.channels.values())
        # Remove all consumers first: messages that one channel requeues must not go to another channel that ends too.
        queues = dict.fromkeys(queue for channel in channels for queue in channel.end_consumers())
        for channel in channels:
            channel.close()
        for queue in queues:
            queue.dispatch()

    def force_close(self, reason: str) -> None:
        """Close it with 320."""
        self.output.close(ReplyCode.CONNECTION_FORCED, AMQPError(ReplyCode.CONNECTION_FORCED, reason).reply_text)

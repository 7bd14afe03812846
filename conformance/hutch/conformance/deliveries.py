"""What one consumer receives."""

import time
from typing import Any, Final

from hutch.client import AMQPError, Channel, Connection, Message
from hutch.conformance.check import equal


def connection_of(channel: Channel) -> Connection:
    """The connection of an open channel."""
    if channel.connection is None:
        raise AssertionError("the channel is closed")
    return channel.connection


class Deliveries:
    """A consumer, started when this is made, and its messages in the order they came.

    ``tag`` is its consumer tag; ``cancelled`` turns true when the broker cancels it.
    """

    def __init__(self, channel: Channel, queue: str, patience: float, kwargs: dict[str, Any]) -> None:
        self._channel: Final = channel
        self._queue: Final = queue
        self._patience: Final = patience
        self._messages: list[Message] = []
        self.cancelled = False
        self.tag: str = channel.basic_consume(
            queue, callback=self._messages.append, on_cancel=self._on_cancel, **kwargs
        )

    def _on_cancel(self, _consumer_tag: str) -> None:
        self.cancelled = True

    def take(self, count: int = 1) -> list[Message]:
        """The next ``count`` messages, in order.

        Raises:
            AssertionError: they do not come in time.
        """
        deadline = time.monotonic() + self._patience
        while len(self._messages) < count:
            try:
                connection_of(self._channel).drain_events(timeout=max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                came = [message.body for message in self._messages]
                raise AssertionError(f"expected {count} deliveries, {len(came)} came: {came!r}") from None
        taken, self._messages[:] = self._messages[:count], self._messages[count:]
        return taken

    def one(self) -> Message:
        """The next message."""
        return self.take()[0]

    def expect_nothing(self) -> None:
        """No further message may have come; proved by round trips, not by waiting.

        The first passes through the queue, behind all that it had to handle before: a deletion that it refuses, being
        in use by this consumer. The second has the consumer's channel say what it was told.
        """
        probe = connection_of(self._channel).channel()
        try:
            probe.queue_delete(self._queue, if_unused=True)
        except AMQPError as error:
            equal(error.reply_code, 406, "deletion of a queue in use")
        self._channel.flow(True)
        probe.close()
        equal([message.body for message in self._messages], [], "further deliveries")

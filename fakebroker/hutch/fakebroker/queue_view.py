"""Looking into a queue from outside, as tests do."""

import threading
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import Queue

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker


class QueueView:
    """What a queue looks like at the moment of asking; ``name`` is its name. All counts are messages unless said
    otherwise.
    """

    def __init__(self, queue: Queue, broker: "Broker") -> None:
        self._queue = queue
        self._broker = broker
        self.name: Final = queue.name

    @property
    def _now(self) -> threading.RLock:
        """The lock to look under, when all that was sent by now is done."""
        self._broker.drain_clients()
        return self._broker.lock

    @property
    def ready(self) -> int:
        """How many wait to be delivered."""
        with self._now:
            return len(self._queue)

    @property
    def unacked(self) -> int:
        """How many are delivered and not acknowledged."""
        with self._now:
            return self._queue.unacked

    @property
    def consumers(self) -> int:
        """How many consumers there are."""
        with self._now:
            return len(self._queue.consumers)

    @property
    def messages(self) -> list[Message]:
        """The ready messages, head first."""
        with self._now:
            return self._queue.messages

    def __repr__(self) -> str:
        return f"<queue {self.name!r}: {self.ready} ready, {self.unacked} unacked, {self.consumers} consumers>"

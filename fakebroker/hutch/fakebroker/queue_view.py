"""Looking into a queue from outside, as tests do."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import Queue

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub

Answer = TypeVar("Answer")


class QueueView:
    """What a queue looks like at the moment of asking; ``name`` is its name. All counts are messages unless said
    otherwise.
    """

    def __init__(self, queue: Queue, hub: "Hub") -> None:
        self._queue = queue
        self._hub = hub
        self.name: Final = queue.name

    def _look(self, question: Callable[[], Answer]) -> Answer:
        """The answer to a question, once all that was sent by now is done."""
        self._hub.drain_clients()
        return self._hub.look(question)

    @property
    def ready(self) -> int:
        """How many wait to be delivered."""
        return self._look(lambda: len(self._queue))

    @property
    def unacked(self) -> int:
        """How many are delivered and not acknowledged."""
        return self._look(lambda: self._queue.unacked)

    @property
    def consumers(self) -> int:
        """How many consumers there are."""
        return self._look(lambda: len(self._queue.consumers))

    @property
    def messages(self) -> list[Message]:
        """The ready messages, head first."""
        return self._look(lambda: self._queue.messages)

    def __repr__(self) -> str:
        return f"<queue {self.name!r}: {self.ready} ready, {self.unacked} unacked, {self.consumers} consumers>"

"""Queue types."""

from typing import Final

from hutch.fakebroker.engine.queues.classic import ClassicQueue
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.quorum import QuorumQueue
from hutch.fakebroker.engine.queues.stream import StreamQueue

#: The types there are, by what x-queue-type calls them.
QUEUE_TYPES: Final[dict[str, type[Queue]]] = {
    queue_type.type: queue_type for queue_type in (ClassicQueue, QuorumQueue, StreamQueue)
}

"""Queue types."""

from typing import Final

from hutch.fakebroker.engine.queues.classic import ClassicQueue
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.quorum import QuorumQueue
from hutch.fakebroker.engine.queues.stream import StreamQueue

#: The queue types, by their names in x-queue-type.
QUEUE_TYPES: Final[dict[str, type[Queue]]] = {
    queue_type.type: queue_type for queue_type in (ClassicQueue, QuorumQueue, StreamQueue)
}

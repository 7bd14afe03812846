"""Who else uses a broker. A client may let the broker's time pass only while nobody else does."""

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.inprocess import Pipe


class Company:
    """The clients of ``broker``, and the threads of the program. ``pipes`` are the in-process clients."""

    def __init__(self, broker: "Broker", pipes: "Collection[Pipe]") -> None:
        #: How many TCP clients there are. The broker's lock guards this, and ``pipes``.
        self.peers = 0
        self._broker: Final = broker
        self._pipes: Final = pipes
        # Threads older than the broker belong to whatever runs the program, not to the program; all but the one that
        # makes the broker.
        self._older_threads: Final = frozenset(threading.enumerate()) - {threading.current_thread()}

    @property
    def listeners(self) -> set[threading.Thread]:
        """The threads of the listeners. They send nothing of their own."""
        return self._broker.listeners.threads

    def is_only_this_thread(self, strangers: Collection[threading.Thread]) -> bool:
        """Whether only the calling thread can send something to the broker.

        Args:
            strangers: the threads of the program, without the calling one and without listeners of brokers.
        """
        with self._broker.lock:
            mine = threading.get_ident()
            if self.peers or any(pipe.thread != mine for pipe in self._pipes):
                return False
        return self._older_threads.issuperset(strangers)

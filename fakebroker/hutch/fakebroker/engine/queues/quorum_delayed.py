"""The messages of a quorum queue that came back and wait before they are ready again (x-delayed-retry-type)."""

from sortedcontainers import SortedKeyList

from hutch.fakebroker.engine.queues.quorum_ready import QuorumEntry, load_quorum_entry
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import EntryState


class Delayed:
    """Entries with the moments at which they are ready, monotonic seconds; the soonest first."""

    def __init__(self) -> None:
        self._waiting: SortedKeyList[tuple[float, QuorumEntry]] = SortedKeyList(
            key=lambda waiting: (waiting[0], waiting[1].position)
        )

    def __len__(self) -> int:
        """How many there are."""
        return len(self._waiting)

    @property
    def size(self) -> int:
        """The sum of their sizes."""
        size: int = sum(entry.size for _, entry in self._waiting)
        return size

    @property
    def soonest(self) -> float | None:
        """When the next one is ready."""
        at: float | None = self._waiting[0][0] if self._waiting else None
        return at

    def add(self, at: float, entry: QuorumEntry) -> None:
        """Have an entry wait."""
        self._waiting.add((at, entry))

    def pop(self, now: float) -> QuorumEntry | None:
        """Take out the next one, if it is ready."""
        if not self._waiting or self._waiting[0][0] > now:
            return None
        entry: QuorumEntry = self._waiting.pop(0)[1]
        return entry

    def clear(self) -> int:
        """Forget all; how many that was."""
        count = len(self._waiting)
        self._waiting.clear()
        return count

    def dump(self, dumping: Dumping) -> tuple[tuple[int, EntryState], ...]:
        """All as data."""
        return tuple((dumping.moment(at), entry.dump(dumping)) for at, entry in self._waiting)

    def load(self, waiting: tuple[tuple[int, EntryState], ...], loading: Loading) -> None:
        """Have what was dumped."""
        for at, state in waiting:
            self.add(loading.moment(at), load_quorum_entry(state, loading))

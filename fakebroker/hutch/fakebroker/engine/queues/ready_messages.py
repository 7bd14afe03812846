"""The messages of a classic queue that wait to be delivered, in the order in which they will be."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from sortedcontainers import SortedKeyList

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import EntryState

#: The ready messages of one priority: first returned ones, then those that were never delivered.
RowState = tuple[tuple[EntryState, ...], tuple[EntryState, ...]]


class Entry:
    """A message's place in one queue. ``expires_at`` is monotonic seconds, ``None`` for never; ``failures`` is how many
    deliveries ended with basic.reject, the channel or the connection.
    """

    __slots__ = ("expires_at", "failures", "message", "position", "redelivered")

    def __init__(self, position: int, message: Message, expires_at: float | None) -> None:
        self.position = position
        self.message = message
        self.expires_at = expires_at
        self.failures = message.failures
        self.redelivered = self.failures > 0

    def dump(self, dumping: Dumping) -> EntryState:
        """It as data."""
        message, expires_at = dumping.message(self.message), dumping.moment_or_none(self.expires_at)
        return EntryState(self.position, message, expires_at, self.failures, self.redelivered, message)


def load_entry(state: EntryState, loading: Loading) -> Entry:
    """The entry of a classic queue that was dumped."""
    entry = Entry(state.position, loading.message(state.message), loading.moment_or_none(state.expires_at))
    entry.failures = state.failures
    entry.redelivered = state.redelivered
    return entry


#: The class of a queue's entries.
E = TypeVar("E", bound=Entry)


def _position(entry: Entry) -> int:
    return entry.position


class _Row:
    """Entries of one priority. What was never delivered is in ``fresh``, in order of arrival. What came back is in
    ``returned``, by original position: only the head is ever delivered, so all of it belongs before ``fresh`` (ACK-07).
    ``returned`` is made when something comes back. Nothing ever does in most queues.
    """

    __slots__ = ("fresh", "returned")

    def __init__(self) -> None:
        self.fresh: deque[Entry] = deque()
        self.returned: SortedKeyList[Entry] | None = None

    def put_back(self, entry: Entry) -> None:
        """Take in an entry that came back."""
        if self.returned is None:
            self.returned = SortedKeyList(key=_position)
        self.returned.add(entry)

    def __iter__(self) -> Iterator[Entry]:
        yield from self.returned or ()
        yield from self.fresh


class Ready:
    """The ready messages of one queue: highest priority first, by position within a priority (PRIO-01, PRIO-06).

    ``max_priority`` is the highest level. A higher priority counts as this one, and none as 0 (PRIO-02, PRIO-03).
    ``count`` is how many messages there are, ``body_bytes`` the sum of the sizes of their bodies.
    """

    def __init__(self, max_priority: int = 0) -> None:
        self._top = max_priority
        self._rows = [_Row() for _ in range(max_priority + 1)]
        self.count = 0
        self.body_bytes = 0

    def _row(self, entry: Entry) -> _Row:
        top = self._top
        return self._rows[min(entry.message.envelope.priority, top)] if top else self._rows[0]

    def append(self, entry: Entry) -> None:
        """Take in a message that has just arrived."""
        row = self._row(entry) if self._top else self._rows[0]
        row.fresh.append(entry)
        self.count += 1
        self.body_bytes += len(entry.message.body)

    def put_back(self, entry: Entry) -> None:
        """Take a delivery back to where it stood."""
        self._row(entry).put_back(entry)
        self.count += 1
        self.body_bytes += len(entry.message.body)

    def head(self) -> Entry | None:
        """The message to deliver next."""
        if self.count:
            for row in reversed(self._rows):
                if row.returned:
                    entry: Entry = row.returned[0]
                    return entry
                if row.fresh:
                    return row.fresh[0]
        return None

    def pop(self) -> Entry | None:
        """Take the head out."""
        if not self.count:
            return None
        row = self._rows[0]
        if self._top:
            for row in reversed(self._rows):
                if row.returned or row.fresh:
                    break
        entry: Entry = row.returned.pop(0) if row.returned else row.fresh.popleft()
        self.count -= 1
        self.body_bytes -= len(entry.message.body)
        return entry

    def keep(self, wanted: Callable[[Message], bool]) -> list[Message]:
        """Forget the messages that are not ``wanted``; which those were."""
        entries = list(self)
        self.clear()
        for entry in entries:
            if wanted(entry.message):
                # In the order of their positions, and before all later messages.
                self.put_back(entry)
        return [entry.message for entry in entries if not wanted(entry.message)]

    def clear(self) -> int:
        """Forget all; how many that was."""
        count = self.count
        self._rows = [_Row() for _ in self._rows]
        self.count = self.body_bytes = 0
        return count

    def dump(self, dumping: Dumping) -> tuple[RowState, ...]:
        """All rows as data, those of the lowest priority first."""
        return tuple(
            (
                tuple(entry.dump(dumping) for entry in row.returned or ()),
                tuple(entry.dump(dumping) for entry in row.fresh),
            )
            for row in self._rows
        )

    def load(self, rows: tuple[RowState, ...], loading: Loading) -> None:
        """Take in what was dumped."""
        for returned, fresh in rows:
            for state in returned:
                self.put_back(load_entry(state, loading))
            for state in fresh:
                self.append(load_entry(state, loading))

    def __iter__(self) -> Iterator[Entry]:
        for row in reversed(self._rows):
            yield from row

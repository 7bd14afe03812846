"""The messages of a quorum queue that wait to be delivered, in the order in which they will be."""

import math
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

from hutch.fakebroker.engine.clock import moment
from hutch.fakebroker.engine.message import Message, with_headers
from hutch.fakebroker.engine.message_properties import Envelopes
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import EntryState
from hutch.wire.fields import FieldValue, Int64


class QuorumEntry(Entry):
    """A message's place in one quorum queue.

    ``original`` is the message as it was published, ``message`` as it is delivered. ``acquired`` is how many deliveries
    came back, for any reason. ``deadline`` is when its delivery has to be acknowledged, monotonic seconds.
    """

    __slots__ = ("acquired", "deadline", "original")

    def __init__(self, position: int, message: Message, expires_at: float | None) -> None:
        super().__init__(position, message, expires_at)
        self.original = message
        self.acquired = 0
        self.deadline = math.inf

    @property
    def size(self) -> int:
        """What it counts for towards x-max-length-bytes."""
        original = self.original
        return len(original.body) + original.properties_size

    def dump(self, dumping: Dumping) -> EntryState:
        """It as data."""
        return EntryState(
            self.position,
            dumping.message(self.original),
            dumping.moment_or_none(self.expires_at),
            self.failures,
            self.redelivered,
            dumping.message(self.message),
            self.acquired,
        )

    def failed_too_often(self, limit: FieldValue, default: int | None) -> bool:
        """Whether it is over its queue's delivery limit; ``default`` is the one that holds where that is no number,
        ``None`` for none.
        """
        if default is None:
            # Compared as Erlang compares any two terms: numbers are less than everything else (QUORUM-07, QUORUM-08).
            return isinstance(limit, int | float) and not isinstance(limit, bool) and self.failures > limit
        if not isinstance(limit, int) or isinstance(limit, bool):
            limit = default
        return 0 <= limit < self.failures

    def tell_counts(self, envelopes: Envelopes, *, counts_acquired: bool, got: bool) -> None:
        """Put into the headers how often it came back (QUORUM-02), where only failures count even that it did not if it
        is ``got`` by basic.get.
        """
        counts: dict[str, FieldValue] = {}
        if self.failures or (got and not counts_acquired):
            counts["x-delivery-count"] = Int64(self.failures)
        if counts_acquired and (self.acquired or self.failures):
            counts["x-acquired-count"] = Int64(self.acquired or self.failures)
        if counts:
            original = self.original
            headers = sorted({**original.headers, **counts}.items(), key=lambda header: header[0].encode())
            envelope = envelopes[with_headers(original, dict(headers))]
            self.message = Message(original.exchange, original.routing_key, envelope, original.body)
            self.message.number = original.number


def load_quorum_entry(state: EntryState, loading: Loading) -> QuorumEntry:
    """The entry of a quorum queue that was dumped."""
    expires_at = loading.moment_or_none(state.expires_at)
    entry = QuorumEntry(state.position, loading.message(state.message), expires_at)
    entry.message = loading.message(state.delivered)
    entry.failures = state.failures
    entry.redelivered = state.redelivered
    entry.acquired = state.acquired
    return entry


def expires_at(message: Message, message_ttl: float | None, now: float) -> float | None:
    """When a message expires that arrives now; ``message_ttl`` is its queue's, seconds."""
    ttl = message.envelope.ttl
    if ttl is None and message_ttl is None:
        return None
    seconds = math.inf if ttl is None else ttl / 1000
    if message_ttl is not None:
        seconds = min(seconds, message_ttl)
    return moment(now + max(seconds, 0.001))  # a TTL of 0 counts as a millisecond


class QuorumReady:
    """The ready messages of one quorum queue: what came back, in the order in which it did, then by priority
    (QUORUM-11).

    ``levels`` is how many priorities there are; ``watches_levels`` whether a message may expire at the head of each,
    else at the head of all alone. ``count`` is how many messages there are, ``size`` the sum of theirs.
    """

    def __init__(self, levels: int, *, watches_levels: bool) -> None:
        self._watches_levels = watches_levels
        self._returned: deque[QuorumEntry] = deque()
        self._levels: list[deque[QuorumEntry]] = [deque() for _ in range(levels)]
        # The next one to deliver comes first.
        self._rows = [self._returned, *reversed(self._levels)]
        self.count = 0
        self.size = 0

    def append(self, entry: QuorumEntry, priority: int) -> None:
        """Take in a message behind its equals."""
        self._levels[min(priority, len(self._levels) - 1)].append(entry)
        self.count += 1
        self.size += entry.size

    def put_back(self, entry: QuorumEntry) -> None:
        """Take a delivery back, before all that is no such."""
        self._returned.append(entry)
        self.count += 1
        self.size += entry.size

    def rows(self) -> Iterator[deque[QuorumEntry]]:
        """The rows that hold any messages, next to be delivered first."""
        return (row for row in self._rows if row)

    def watched(self) -> Iterator[deque[QuorumEntry]]:
        """The rows at whose heads messages may expire."""
        return self.rows() if self._watches_levels else islice(self.rows(), 1)

    def pop(self) -> QuorumEntry | None:
        """Take the head out."""
        row = next(self.rows(), None)
        return None if row is None else self.pop_from(row)

    def pop_from(self, row: deque[QuorumEntry]) -> QuorumEntry:
        """Take the head of one of :meth:`rows` out."""
        entry = row.popleft()
        self.count -= 1
        self.size -= entry.size
        return entry

    def clear(self) -> int:
        """Forget all; how many that was."""
        count = self.count
        for row in self._rows:
            row.clear()
        self.count = self.size = 0
        return count

    def dump(self, dumping: Dumping) -> tuple[tuple[EntryState, ...], ...]:
        """All rows as data, next to be delivered first."""
        return tuple(tuple(entry.dump(dumping) for entry in row) for row in self._rows)

    def load(self, rows: tuple[tuple[EntryState, ...], ...], loading: Loading) -> None:
        """Take in what was dumped."""
        for row, states in zip(self._rows, rows, strict=True):
            row.extend(load_quorum_entry(state, loading) for state in states)
            self.count += len(row)
            self.size += sum(entry.size for entry in row)

    def __iter__(self) -> Iterator[QuorumEntry]:
        return chain.from_iterable(self._rows)

"""A stream's log: its messages in segments, the oldest of which go when they are too many or too old.

RabbitMQ writes what comes at the same time as one chunk. Here each message is a chunk of its own, as it is in RabbitMQ
for a publisher that awaits each confirm before it goes on.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import MessageState

#: The bytes of a segment's head, and of the entry that RabbitMQ writes into each segment but the first: a snapshot of
#: its publishers, which takes an offset.
_SEGMENT_HEADER: Final = 8
_SNAPSHOT: Final = 100


class Record(Entry):
    """A message in a stream; ``position`` is its offset.

    ``at`` is when it came, in ms since 1970; ``filter_value`` the value of its header x-stream-filter-value, empty
    without one.
    """

    __slots__ = ("at", "filter_value")

    def __init__(self, offset: int, message: Message, at: int, filter_value: bytes) -> None:
        super().__init__(offset, message, None)
        self.at = at
        self.filter_value = filter_value


@dataclass(frozen=True)
class RecordState:
    """A message in a stream; ``at`` is when it came."""

    offset: int
    message: MessageState
    at: int
    filter_value: bytes


@dataclass(frozen=True)
class SegmentState:
    """A segment; ``first`` is its first offset, and ``size`` its size in bytes."""

    first: int
    size: int
    records: tuple[RecordState, ...]


class _Segment:
    """Messages whose offsets follow on one another, and what they take up in a file, bytes."""

    __slots__ = ("first", "records", "size")

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.records: list[Record] = []
        self.size = size


class Log:
    """The log of one stream. ``next_offset`` is the offset that the next message gets."""

    def __init__(self) -> None:
        self._segments = [_Segment(0, _SEGMENT_HEADER)]
        self._size = _SEGMENT_HEADER
        self.next_offset = 0

    def __len__(self) -> int:
        """How many offsets are in use, which is what RabbitMQ tells as the number of messages."""
        return self.next_offset - self.first_offset

    @property
    def first_offset(self) -> int:
        """The offset at which the oldest segment begins."""
        return self._segments[0].first

    def __iter__(self) -> Iterator[Record]:
        for segment in self._segments:
            yield from segment.records

    # state

    def dump(self, dumping: Dumping) -> tuple[SegmentState, ...]:
        """The segments as data."""
        return tuple(
            SegmentState(
                segment.first,
                segment.size,
                tuple(
                    RecordState(
                        record.position, dumping.message(record.message), record.at * 1_000_000, record.filter_value
                    )
                    for record in segment.records
                ),
            )
            for segment in self._segments
        )

    def load(self, segments: tuple[SegmentState, ...], next_offset: int, loading: Loading) -> None:
        """Have what was dumped."""
        self._segments.clear()
        for state in segments:
            segment = _Segment(state.first, state.size)
            segment.records.extend(
                Record(
                    record.offset,
                    loading.message(record.message),
                    loading.shifted(record.at) // 1_000_000,
                    record.filter_value,
                )
                for record in state.records
            )
            self._segments.append(segment)
        self._size = sum(segment.size for segment in self._segments)
        self.next_offset = next_offset

    # writing

    def append(self, record: Record, size: int) -> None:
        """Add a message, whose offset is :attr:`next_offset`; ``size`` is what it takes up, bytes."""
        segment = self._segments[-1]
        segment.records.append(record)
        segment.size += size
        self._size += size
        self.next_offset += 1

    @property
    def size(self) -> int:
        """What all messages take up, bytes."""
        return self._size

    def is_full(self, segment_bytes: int) -> bool:
        """Whether the newest segment, of at most so many bytes, takes no more."""
        segment = self._segments[-1]
        return segment.size >= segment_bytes and bool(segment.records)

    def roll(self) -> None:
        """Begin a new segment."""
        self._segments.append(_Segment(self.next_offset, _SEGMENT_HEADER + _SNAPSHOT))
        self._size += _SEGMENT_HEADER + _SNAPSHOT
        self.next_offset += 1

    def retain(self, max_bytes: int | None, since: int | None) -> bool:
        """Drop the oldest segments until the rest is no larger than ``max_bytes`` and each has a message that came
        ``since`` then, ms since 1970; the newest stays in any case. Whether any went.
        """
        segments = self._segments
        gone = 0
        while gone < len(segments) - 1:
            oldest = segments[gone]
            too_large = max_bytes is not None and self._size > max_bytes
            if not too_large and (since is None or oldest.records[-1].at >= since):
                break
            self._size -= oldest.size
            gone += 1
        del segments[:gone]
        return gone > 0

    @property
    def has_old_segments(self) -> bool:
        """Whether there are segments that could be dropped."""
        return len(self._segments) > 1

    # reading

    def read(self, offset: int) -> Record | None:
        """The message at an offset or the first one behind it; ``None`` where there is none yet."""
        if offset >= self.next_offset:
            return None
        segments = self._segments
        index = max(bisect_right(segments, offset, key=lambda segment: segment.first) - 1, 0)
        while index < len(segments):
            records = segments[index].records
            if records and offset <= records[-1].position:
                return records[max(offset - records[0].position, 0)]
            index += 1
        return None

    @property
    def last_offset(self) -> int:
        """The offset of the newest message; where there is none, of the next."""
        for segment in reversed(self._segments):
            if segment.records:
                return segment.records[-1].position
        return self.next_offset

    def offset_at(self, moment: int) -> int:
        """The offset of the first message that came at that moment, in ms since 1970, or later; where there is none, of
        the next.
        """
        for segment in self._segments:
            records = segment.records
            if records and records[-1].at >= moment:
                return records[bisect_left(records, moment, key=lambda record: record.at)].position
        return self.next_offset

"""What happened in a broker, in order: the one log that assertions, waits and timelines read."""

from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any, Final

from hutch.fakebroker.engine.clock import Clock
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.history.event import KINDS, Event, make_event
from hutch.fakebroker.history.event_list import EventList
from hutch.fakebroker.history.log import ENDLESS, KIND, WIDTH, EventLog
from hutch.fakebroker.history.recorder import Recorder


class History:
    """The log of one broker. Iterating gives :class:`Event` values, oldest first.

    Args:
        clock: dates the events.
        events: how many events to keep: the newest ones. ``None`` keeps all.
        body_bytes: how many bytes of message bodies to keep. A body counts once, however many events have it. When
            there are more, the oldest bodies are dropped until half of ``body_bytes`` is left, or one body. Their
            events stay, with all other parts of the messages. A body larger than ``body_bytes`` is dropped at once.
            ``None`` keeps all.

    Raises:
        ValueError: a limit is negative.
    """

    def __init__(self, clock: Clock, events: int | None = None, body_bytes: int | None = None) -> None:
        if (events is not None and events < 0) or (body_bytes is not None and body_bytes < 0):
            raise ValueError(
                f"a history keeps 0 or more events and bytes, or None for no limit; "
                f"not history_events={events}, history_bytes={body_bytes}"
            )
        self._most_events: Final = ENDLESS if events is None else events
        self._most_bytes: Final = ENDLESS if body_bytes is None else body_bytes
        #: The limits, as :class:`~hutch.fakebroker.Broker` takes them.
        self.limits: Final = f"history_events={events}, history_bytes={body_bytes}"
        #: What listens to the journal.
        self.recorder: Final = Recorder(clock, EventLog(self._most_events, self._most_bytes, self.limits))

    # asking

    def __len__(self) -> int:
        return min(len(self.recorder.log.fields) // WIDTH, self._most_events)

    def __iter__(self) -> Iterator[Event]:
        return map(_event, self._rows())

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        """The fields of each event, dated so that none is before the one before."""
        log = self.recorder.log
        fields = log.fields[log.first :]
        at = accumulate(fields[::WIDTH], max)
        return zip(at, *[fields[index::WIDTH] for index in range(1, WIDTH)], strict=True)

    def of(self, *kinds: str) -> EventList[Event]:
        """The events of these kinds, oldest first. The ``repr`` of the list says how many older ones were dropped.

        Raises:
            ValueError: there is no such kind; the message names the near ones.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(missing(f"event is of kind {kind!r}", kind, KINDS, at_most=len(KINDS)))
        return self._list(
            [(place, _event(row)) for place, row in enumerate(self._rows()) if row[KIND] in kinds], *kinds
        )

    def since(self, position: int) -> list[tuple[int, Event]]:
        """The events from a position on, with their positions. The first event of all had position 0; a number that
        :meth:`clear` starts anew. Events that were dropped are not among them.
        """
        first = self.dropped()
        rows = islice(enumerate(self._rows(), first), max(position - first, 0), None)
        return [(place, _event(row)) for place, row in rows]

    def trail(self, message: Message) -> EventList[Event]:
        """The events of a message and of those that it came from, oldest first.

        A dead letter came from the message that died. So its trail begins with the publish of the first of them, and
        the trail of a message does not have what became of its dead letters.
        """
        events = [(place, event) for place, event in enumerate(self) if event.message is not None]
        parents = {event.message.number: event.parent for _, event in events if event.message and event.parent}
        numbers, number = set(), message.number
        while number:
            numbers.add(number)
            number = parents.get(number, 0)
        return self._list(
            [(place, event) for place, event in events if event.message and event.message.number in numbers]
        )

    def _list(self, events: list[tuple[int, Event]], *kinds: str) -> EventList[Event]:
        before = self.dropped()
        positions = [before + place for place, _ in events]
        return EventList([event for _, event in events], self.dropped(*kinds), self.limits, positions)

    def dropped(self, *kinds: str) -> int:
        """How many events of these kinds, or of all kinds, were dropped since the last :meth:`clear`."""
        gone = self.recorder.log.dropped()
        return sum(gone[kind] for kind in kinds) if kinds else gone.total()

    def clear(self) -> None:
        """Forget all events, those that were dropped too."""
        # Another thread may be recording now.
        self.recorder.log = EventLog(self._most_events, self._most_bytes, self.limits)


def _event(row: tuple[Any, ...]) -> Event:
    return make_event(row[:-1], row[-1])

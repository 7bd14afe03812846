"""What happened in a broker, in order: the one log that assertions, waits and timelines read."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from hutch.fakebroker.engine.clock import Clock
from hutch.fakebroker.engine.event_list import EventList
from hutch.fakebroker.engine.message import BodilessMessage, Message


class Event(NamedTuple):
    """One thing that happened.

    ``at`` is monotonic seconds on the broker's clock, and never goes back from one event to the next. ``kind`` says
    what happened; which of the other fields hold something, and what stands in ``detail``, goes with it. The body of
    ``message`` may be dropped later (see :class:`History`); asking for it raises LookupError then.

    - ``published``: message; ``detail`` is a tuple of the names of the queues it was routed to, empty if it was dropped
    - ``delayed``: message, which a delayed message exchange holds back; ``detail`` is for how many ms
    - ``due``: message, after that; ``detail`` is as that of ``published``
    - ``returned``: message, ``detail`` the reply text
    - ``delivered``, ``got``: message, queue; ``detail`` is ``(consumer tag or None, delivery tag, redelivered)``
    - ``acked``, ``requeued``, ``rejected``, ``expired``, ``overflowed``, ``dropped``: message, queue
    - ``dead-lettered``: message, queue (it died in); ``detail`` is ``(reason, names of the queues it went to)``
    - ``declared``, ``deleted``: ``detail`` is ``("queue" | "exchange", name)``
    - ``bound``, ``unbound``: ``detail`` is ``(source, destination, routing key)``
    - ``purged``: queue; ``detail`` is how many messages went
    - ``truncated``: queue, a stream; ``detail`` is the offset of what it begins with now
    - ``consuming``, ``cancelled``: queue; ``detail`` is the consumer tag
    - ``committed``, ``rolled-back``: ``detail`` is how many publishes and acknowledgements the transaction held. Its
      publishes count as published when they are committed
    - ``connected``, ``disconnected``: ``detail`` is the connection's name
    - ``policy-set``, ``policy-deleted``: ``detail`` is ``("policy" | "operator policy", name)``
    - ``alarm-raised``, ``alarm-cleared``: ``detail`` is the resource, ``memory`` or ``disk``
    - ``stopped``, ``started``: the broker was, by its operator
    - ``blocked``, ``unblocked``: ``detail`` is the name of the connection that is not read, or is again
    - ``refused``: ``detail`` is the reply text of a channel or connection that the broker closed, or why it ended a
      connection without a word
    """

    at: float
    kind: str
    vhost: str
    queue: str | None
    message: Message | None
    detail: Any


_WIDTH: Final = len(Event._fields)
_KIND: Final = Event._fields.index("kind")
_MESSAGE: Final = Event._fields.index("message")
_ENDLESS: Final = 1 << 60


def _has_body(message: Message | None) -> bool:
    return message is not None and message.body_size > 0 and not isinstance(message, BodilessMessage)


class _Log:
    """The events since a history was cleared, as many as there is room for."""

    __slots__ = ("bodies_from", "body_bytes", "epoch", "fields", "gone", "room")

    def __init__(self, room: int) -> None:
        # The fields of all events, one behind the other: objects of their own would keep the collector of cyclic
        # garbage busy, a seventh of what a message costs.
        self.fields: list[Any] = []
        #: For how many more events there is room.
        self.room = room
        #: At least the bytes of the bodies in the fields. A message whose body is counted is marked with the epoch.
        self.body_bytes = 0
        self.epoch: object = object()
        #: No field before this one has a body.
        self.bodies_from = 0
        #: How many events are gone from the fields, by kind.
        self.gone: dict[str, int] = {}

    def count_gone(self, kinds: list[str]) -> None:
        """Note that events of these kinds are gone."""
        for kind, count in Counter(kinds).items():
            self.gone[kind] = self.gone.get(kind, 0) + count

    def forget(self, surplus: int) -> None:
        """Let the oldest events go, so many fields."""
        self.count_gone(self.fields[_KIND:surplus:_WIDTH])
        del self.fields[:surplus]
        self.room += surplus // _WIDTH
        self.bodies_from = max(self.bodies_from - surplus, 0)

    def weigh(self) -> dict[int, int]:
        """Count again, for some may be gone. Returns the sizes of the bodies by identity, which dead letters share;
        the oldest first.
        """
        epoch = self.epoch = object()
        bodies: dict[int, int] = {}
        for message in self.fields[self.bodies_from + _MESSAGE :: _WIDTH]:
            if _has_body(message) and message.counted_in is not epoch:
                message.counted_in = epoch
                bodies[id(message.body)] = message.body_size
        self.body_bytes = sum(bodies.values())
        return bodies

    def drop_bodies(self, identities: set[int], reason: str) -> None:
        """Put bodiless messages in the place of those with these bodies, which are the oldest ones."""
        instead: dict[Message, Message] = {}
        fields = self.fields
        first_kept = len(fields)
        for index in range(self.bodies_from + _MESSAGE, len(fields), _WIDTH):
            message = fields[index]
            if not _has_body(message):
                continue
            if id(message.body) in identities:
                if message not in instead:
                    instead[message] = BodilessMessage(message, reason)
                    message.counted_in = None
                fields[index] = instead[message]
            else:
                first_kept = min(first_kept, index - _MESSAGE)
        self.bodies_from = first_kept


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
        self._now: Final = clock.monotonic
        self._latest = -math.inf
        self._most_events: Final = _ENDLESS if events is None else events
        self._most_bytes: Final = _ENDLESS if body_bytes is None else body_bytes
        #: The limits, as :class:`~hutch.fakebroker.Broker` takes them.
        self.limits: Final = f"history_events={events}, history_bytes={body_bytes}"
        # Twice as many events as there may be: those that are too old go all at once.
        self._log = _Log(2 * self._most_events)

    def record(
        self, kind: str, vhost: str, queue: str | None = None, message: Message | None = None, detail: Any = None
    ) -> None:
        """Add an event, dated now."""
        log = self._log
        if not self._most_events:
            log.count_gone([kind])
            return
        at = self._now()
        if at < self._latest:  # noqa: PLR1730  (max would be a call more for each event)
            at = self._latest
        self._latest = at
        if message is not None and message.counted_in is not log.epoch:
            if message.body_size > self._most_bytes:
                message = BodilessMessage(message, self.limits)
            else:
                message.counted_in = log.epoch
                log.body_bytes += message.body_size
        log.fields += (at, kind, vhost, queue, message, detail)
        log.room -= 1
        if log.room < 0:
            log.forget(len(log.fields) - self._most_events * _WIDTH)
        if log.body_bytes > self._most_bytes:
            self._drop_old_bodies(log)

    def _drop_old_bodies(self, log: _Log) -> None:
        bodies = log.weigh()
        if log.body_bytes > self._most_bytes:
            old = set()
            for body, size in list(bodies.items())[:-1]:
                if log.body_bytes <= self._most_bytes // 2:
                    break
                old.add(body)
                log.body_bytes -= size
            log.drop_bodies(old, self.limits)

    def __len__(self) -> int:
        return min(len(self._log.fields) // _WIDTH, self._most_events)

    def __iter__(self) -> Iterator[Event]:
        fields = iter(self._log.fields[self._first_field() :])
        return map(Event._make, zip(*[fields] * _WIDTH, strict=True))

    def _first_field(self) -> int:
        """Those before it are too old."""
        return max(len(self._log.fields) - self._most_events * _WIDTH, 0)

    def of(self, *kinds: str) -> EventList[Event]:
        """The events of these kinds, oldest first. The ``repr`` of the list says how many older ones were dropped."""
        return EventList([event for event in self if event.kind in kinds], self.dropped(*kinds), self.limits)

    def dropped(self, *kinds: str) -> int:
        """How many events of these kinds, or of all kinds, were dropped since the last :meth:`clear`."""
        gone = Counter(self._log.fields[_KIND : self._first_field() : _WIDTH])
        gone.update(self._log.gone)
        return sum(gone[kind] for kind in kinds) if kinds else gone.total()

    def clear(self) -> None:
        """Forget all events, those that were dropped too."""
        self._log = _Log(2 * self._most_events)  # another thread may be amid recording

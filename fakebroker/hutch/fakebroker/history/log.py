"""The rows of a history: flat, and bounded in events and in bytes of bodies."""

from collections import Counter
from typing import Any, Final

from hutch.fakebroker.engine.message import BodilessMessage, Message
from hutch.fakebroker.history.event import COMMON

#: The fields of an event: those that all have, then one value for its own.
WIDTH: Final = len(COMMON) + 1
KIND: Final = COMMON.index("kind")
MESSAGE: Final = COMMON.index("message")
ENDLESS: Final = 1 << 60
#: How many events come between two checks of the limit. Python caches such small integers: counting down from a large
#: one would be a quarter of the cost of an event.
_LOOK: Final = 150


def _has_body(message: Message | None) -> bool:
    return message is not None and message.body_size > 0 and not isinstance(message, BodilessMessage)


class EventLog:
    """The events since a history was cleared: twice as many as there may be at most, so that those that are too old go
    all at once.
    """

    __slots__ = ("bodies_from", "body_bytes", "epoch", "fields", "gone", "limits", "most_bytes", "most_events", "room")

    def __init__(self, most_events: int, most_bytes: int, limits: str) -> None:
        # The fields of all events, one after the other. An object for each event would keep the garbage collector busy,
        # a seventh of the cost of a message.
        self.fields: list[Any] = []
        self.most_events = most_events
        self.most_bytes = most_bytes
        self.limits = limits
        #: How many more events may come before the next check of the limit.
        self.room = _LOOK if most_events > _LOOK else 2 * most_events
        #: The bytes of the bodies in the fields, or more. A message whose body is counted is marked with the epoch.
        self.body_bytes = 0
        self.epoch: object = object()
        #: No field before this one has a body.
        self.bodies_from = 0
        #: How many events were dropped, by kind.
        self.gone: dict[str, int] = {}

    def count_body(self, message: Message) -> Message:
        """Count a message's body. Returns the message, or one without a body if that is larger than the limit. If there
        are too many bytes now, the next event is the last before a look at the limits.
        """
        if message.body_size > self.most_bytes:
            return BodilessMessage(message, self.limits)
        message.counted_in = self.epoch
        self.body_bytes += message.body_size
        if self.body_bytes > self.most_bytes:
            self.room = 0
        return message

    def shrink(self) -> None:
        """Look at the limits, and come back to them where they are passed."""
        events = len(self.fields) // WIDTH
        if events > 2 * self.most_events:
            self._forget((events - self.most_events) * WIDTH)
            events = self.most_events
        if self.body_bytes > self.most_bytes:
            self._drop_old_bodies()
        self.room = min(_LOOK, 2 * self.most_events - events)

    @property
    def first(self) -> int:
        """The fields before this one are too old."""
        return max(len(self.fields) - self.most_events * WIDTH, 0)

    def dropped(self) -> Counter[str]:
        """How many events were dropped, by kind."""
        gone = Counter(self.fields[KIND : self.first : WIDTH])
        gone.update(self.gone)
        return gone

    def _forget(self, surplus: int) -> None:
        """Let the oldest events go, so many fields."""
        for kind in self.fields[KIND:surplus:WIDTH]:
            self.gone[kind] = self.gone.get(kind, 0) + 1
        del self.fields[:surplus]
        self.bodies_from = max(self.bodies_from - surplus, 0)

    def _weigh(self) -> dict[int, int]:
        """Count again, for some may be gone. Returns the sizes of the bodies by identity, which dead letters share;
        the oldest first.
        """
        epoch = self.epoch = object()
        bodies: dict[int, int] = {}
        for message in self.fields[self.bodies_from + MESSAGE :: WIDTH]:
            if _has_body(message) and message.counted_in is not epoch:
                message.counted_in = epoch
                bodies[id(message.body)] = message.body_size
        self.body_bytes = sum(bodies.values())
        return bodies

    def _drop_old_bodies(self) -> None:
        bodies = self._weigh()
        if self.body_bytes > self.most_bytes:
            old = set()
            for body, size in list(bodies.items())[:-1]:
                if self.body_bytes <= self.most_bytes // 2:
                    break
                old.add(body)
                self.body_bytes -= size
            self._drop_bodies(old)

    def _drop_bodies(self, identities: set[int]) -> None:
        """Put bodiless messages in the place of those with these bodies, which are the oldest ones."""
        instead: dict[Message, Message] = {}
        fields = self.fields
        first_kept = len(fields)
        for index in range(self.bodies_from + MESSAGE, len(fields), WIDTH):
            message = fields[index]
            if not _has_body(message):
                continue
            if id(message.body) in identities:
                if message not in instead:
                    instead[message] = BodilessMessage(message, self.limits)
                    message.counted_in = None
                fields[index] = instead[message]
            else:
                first_kept = min(first_kept, index - MESSAGE)
        self.bodies_from = first_kept

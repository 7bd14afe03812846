"""A list of events from a history that may have dropped others."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")


class EventList(list[Item]):
    """The events that the history still keeps.

    ``dropped`` is how many older ones it has dropped, ``limits`` why. The ``repr`` says so, for a failed ``assert``.
    ``positions`` are the places of the events in the history, counted from its beginning or its last ``clear()``.
    """

    def __init__(self, events: Iterable[Item], dropped: int, limits: str, positions: Sequence[int]) -> None:
        super().__init__(events)
        self.positions: Final = positions
        self.dropped: Final = dropped
        self.limits: Final = limits

    def __repr__(self) -> str:
        events = super().__repr__()
        return f"<{events}; {self.dropped} older ones are no longer kept ({self.limits})>" if self.dropped else events

"""A list of events from a history that may have dropped others."""

from collections.abc import Iterable
from typing import Final, TypeVar

Item = TypeVar("Item")


class EventList(list[Item]):
    """The events that the history still keeps.

    ``dropped`` is how many older ones it has dropped, ``limits`` why. The ``repr`` says so, for a failed ``assert``.
    """

    def __init__(self, events: Iterable[Item], dropped: int, limits: str) -> None:
        super().__init__(events)
        self.dropped: Final = dropped
        self.limits: Final = limits

    def __repr__(self) -> str:
        events = super().__repr__()
        return f"<{events}; {self.dropped} older ones are no longer kept ({self.limits})>" if self.dropped else events

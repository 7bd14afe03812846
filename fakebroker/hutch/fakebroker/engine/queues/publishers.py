"""The publishers of a quorum queue: what each knows of it, and whether its first message has arrived (QUORUM-13)."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.engine.routing import Publisher


class Standing:
    """What one publisher knows: ``is_full`` is what it has heard, ``told`` what the queue has told it last, which may
    be on its way. ``registering`` is how many of its messages have not arrived yet, because the queue does not know
    the publisher yet.
    """

    __slots__ = ("is_full", "registering", "told")

    def __init__(self, is_full: bool) -> None:
        self.is_full = self.told = is_full
        self.registering = 0

    def hear(self, is_full: bool) -> None:
        """The queue's word arrives."""
        self.is_full = is_full


class Publishers:
    """The publishers of one queue."""

    def __init__(self) -> None:
        self._standings: Final[dict[Publisher, Standing]] = {}

    def get(self, publisher: "Publisher") -> Standing | None:
        """What a publisher knows; ``None`` for one that was not there before."""
        return self._standings.get(publisher)

    def add(self, publisher: "Publisher", is_full: bool) -> Standing:
        """Tell a new publisher how things are."""
        for closed in [one for one in self._standings if one.closed]:
            del self._standings[closed]
        standing = self._standings[publisher] = Standing(is_full)
        return standing

    def tell(self, is_full: bool, but: "Publisher | None") -> None:
        """Tell all ``but`` one, if they were told otherwise before."""
        for publisher, standing in self._standings.items():
            if standing.told is not is_full and publisher is not but:
                standing.told = is_full
                publisher.tell(standing, is_full)

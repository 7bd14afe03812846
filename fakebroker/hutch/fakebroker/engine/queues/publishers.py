"""The publishers of a quorum queue (QUORUM-13)."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.queues.quorum_state import StandingState
from hutch.fakebroker.engine.targets import Publisher, Standing

if TYPE_CHECKING:
    from hutch.fakebroker.engine.message import Message
    from hutch.fakebroker.engine.queues.quorum import QuorumQueue


class Publishers:
    """The publishers of one queue."""

    def __init__(self, queue: "QuorumQueue") -> None:
        self._queue: Final = queue
        self._standings: Final[dict[Publisher, Standing]] = {}

    def get(self, publisher: Publisher) -> Standing | None:
        """What a publisher knows; ``None`` for one that was not there before."""
        return self._standings.get(publisher)

    def add(self, publisher: Publisher, is_full: bool) -> Standing:
        """Tell a new publisher how things are."""
        for closed in [one for one in self._standings if one.closed]:
            del self._standings[closed]
        standing = self._standings[publisher] = Standing(is_full)
        return standing

    def dump(self) -> tuple[StandingState, ...]:
        """All publishers as data. What they were told has reached them."""
        return tuple(
            StandingState(publisher.reference, standing.told, standing.arriving is not None)
            for publisher, standing in self._standings.items()
            if not publisher.closed
        )

    def load(self, publisher: "Publisher", state: StandingState) -> None:
        """Have a publisher that was dumped."""
        standing = self._standings[publisher] = Standing(state.is_full)
        standing.arriving = 0 if state.has_published else None

    def receive(self, publisher: "Publisher", message: "Message") -> None:
        """Take in a message of a publisher that was added. The first one waits until the publisher is registered, which
        takes longer than anything else that follows from a command (QUORUM-12).
        """
        standing = self._standings[publisher]
        if standing.arriving == 0:
            self._queue.take_in(message)
            return
        standing.arriving = (standing.arriving or 0) + 1

        def arrive() -> None:
            standing.arriving = (standing.arriving or 0) - 1
            if not self._queue.deleted:
                self._queue.take_in(message)

        self._queue.vhost.node.do_last(arrive)

    def tell(self, is_full: bool, but: Publisher | None) -> None:
        """Tell all ``but`` one, if they were told otherwise before."""
        for publisher, standing in self._standings.items():
            if standing.told is not is_full and publisher is not but:
                standing.told = is_full
                publisher.tell(standing, is_full)

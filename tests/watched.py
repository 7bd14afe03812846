"""The emulator in this process, which is looked at behind each of its turns."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hutch.conformance.site import Site
from hutch.conformance.targets import InProcess
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.engine.node import Node


class Watched(InProcess):
    """Each turn has to leave nothing for the next one: nothing is pending, and nothing is due."""

    def broker(self, clock: ManualClock) -> Broker:
        """A new broker."""
        broker = super().broker(clock)
        self._left: list[Callable[[], object] | str] = []
        broker.hub.turn.followers.append(lambda: self._look(broker.hub.node))
        return broker

    def _look(self, node: Node) -> None:
        """Note what a turn leaves. An error would leave the turn without its end."""
        self._left += node.pending
        if node.timers.is_due:
            self._left.append("a timer that is due")

    @contextmanager
    def site(self) -> Iterator[Site]:
        """A new broker.

        Raises:
            AssertionError: a turn has left something.
        """
        with super().site() as site:
            yield site
        assert not self._left, f"a turn of the broker has left {self._left}"

"""Faults for bytes: what becomes of the stream between a client and the broker."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.faults.criteria import is_of_connection
from hutch.fakebroker.faults.fault import Fault, When

if TYPE_CHECKING:
    from hutch.fakebroker.faults.gate import SessionGate
    from hutch.fakebroker.hub import Hub

#: The directions of a stream.
TO_CLIENT: Final = "to_client"
FROM_CLIENT: Final = "from_client"
BOTH: Final = "both"

#: How many pieces of a throttled stream come a second.
_PIECES: Final = 10


class Effect:
    """What happens to the bytes of one connection in one direction. Each connection has its own."""

    #: Whether the other side does not notice an end of the stream either.
    hides_end = False
    #: How many bytes come at once, at most.
    piece = 1 << 30

    @abstractmethod
    def moment(self, size: int, now: float) -> float:
        """When so many bytes arrive that are sent ``now``, in seconds of the same clock; infinity for never."""

    def room(self, data: bytes) -> int | None:  # noqa: ARG002
        """How many of these bytes arrive before the stream is cut; ``None`` if it is not."""
        return None


class Hole(Effect):
    """Nothing arrives."""

    hides_end = True

    def moment(self, size: int, now: float) -> float:  # noqa: ARG002
        """Never."""
        return math.inf


class Delay(Effect):
    """All arrives later."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds

    def moment(self, size: int, now: float) -> float:  # noqa: ARG002
        """Later."""
        return now + self._seconds


class Throttle(Effect):
    """So many bytes a second arrive."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate: Final = bytes_per_second
        self._free_at = 0.0
        self.piece = max(int(bytes_per_second / _PIECES), 1)

    def moment(self, size: int, now: float) -> float:
        """Behind what was sent before."""
        self._free_at = max(self._free_at, now) + size / self._rate
        return self._free_at


class Cut(Effect):
    """The stream ends after so many bytes."""

    def __init__(self, after: int) -> None:
        self._left = after

    def moment(self, size: int, now: float) -> float:  # noqa: ARG002
        """At once."""
        return now

    def room(self, data: bytes) -> int | None:
        """What is left."""
        if len(data) < self._left:
            self._left -= len(data)
            return None
        return self._left


class CutInside(Cut):
    """The stream ends in the middle of a frame: the so-manieth of those that come."""

    def __init__(self, frame: int) -> None:
        super().__init__(0)
        self._frames = frame

    def room(self, data: bytes) -> int | None:
        """The session sends whole frames, so ``data`` is some."""
        start = 0
        while start < len(data):
            size = 8 + int.from_bytes(data[start + 3 : start + 7])
            self._frames -= 1
            if not self._frames:
                return start + size // 2
            start += size
        return None


class ByteFault(Fault):
    """A fault that happens to connections. Those that it has met it goes on with, until it ends.

    ``effect`` makes what happens to the bytes of one connection in one direction. ``ends_by`` is how a stream ends that
    it cuts. ``mutes`` is whether the broker sends no heartbeats.
    """

    def __init__(
        self,
        hub: "Hub",
        text: str,
        when: When,
        asked: Mapping[str, str],
        direction: str,
        *,
        effect: Callable[[], Effect] | None = None,
        ends_by: str = "RST",
        mutes: bool = False,
    ) -> None:
        super().__init__(hub, text, when)
        self.effect: Final = effect
        self.ends_by: Final = ends_by
        self.mutes: Final = mutes
        self._asked: Final = asked
        self._direction: Final = direction

    @property
    def is_over(self) -> bool:
        """Whether it is over. There is no telling from how many connections it has met."""
        return self.has_ended

    def is_in(self, direction: str) -> bool:
        """Whether it happens in that direction."""
        return self._direction in {direction, BOTH}

    def is_on(self, gate: "SessionGate") -> bool:
        """Whether it happens to a connection. The first time that this is asked of one, it counts."""
        if self.is_over_for(gate.session.timers):
            return False
        if self not in gate.met:
            if self.is_used_up or not is_of_connection(gate.session, self._asked):
                return False
            gate.met[self] = self.count(*gate.session.whose)
        return gate.met[self]

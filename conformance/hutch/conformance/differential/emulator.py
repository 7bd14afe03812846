"""The emulator that one script is played on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hutch.conformance.site import Site
from hutch.fakebroker import Broker, ManualClock
from hutch.wire.transport import Transport


class Emulator:
    """A broker in this process, on a clock that is moved by hand."""

    patience = 5.0

    def __init__(self, broker: Broker, clock: ManualClock, like: Site) -> None:
        self.userid: Final = like.userid
        self.password: Final = like.password
        self.vhost: Final = like.vhost
        self._broker: Final = broker
        self._clock: Final = clock

    def transport(self) -> Transport:
        """A stream to it, not yet connected."""
        return self._broker.transport()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def upcoming(self) -> float | None:
        """Seconds until something falls due of itself; ``None`` for never."""
        at = self._broker.next_timer_at()
        return None if at is None else at - self._clock.monotonic()


@contextmanager
def emulator(profile: str, like: Site) -> Iterator[Emulator]:
    """A new emulator with the virtual host and the user of another site."""
    clock = ManualClock()
    with Broker(profile, clock, users={like.userid: like.password}, vhosts=(like.vhost,)) as broker:
        yield Emulator(broker, clock, like)

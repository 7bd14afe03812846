"""How an event loop runs in time what falls due on clocks that move by themselves."""

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub


class WakeUp:
    """The wake-up of one event loop for a broker's next timer, whichever thread has set that.

    ``call_soon`` runs a function in the loop, from any thread.
    """

    def __init__(
        self, hub: "Hub", loop: asyncio.AbstractEventLoop, call_soon: Callable[[Callable[[], None]], None]
    ) -> None:
        self._hub: Final = hub
        self._loop: Final = loop
        self._call_soon: Final = call_soon
        self._handle: asyncio.TimerHandle | None = None
        #: The moment of the soonest timer on each clock, for which the wake-up is set.
        self._moments: Final = [math.inf for _ in hub.running_timers]

    def begin(self) -> None:
        """Follow the turns of the broker from now on."""
        with self._hub.turn:
            self._hub.turn.followers.append(self._follow)

    def end(self) -> None:
        """Undo :meth:`begin`; again, it does nothing."""
        followers = self._hub.turn.followers
        if self._follow in followers:
            followers.remove(self._follow)
        self._clear()

    def _follow(self) -> None:
        # Called at the end of each turn, by its thread.
        for index, timers in enumerate(self._hub.running_timers):
            if timers.soonest < self._moments[index]:
                self._moments[index] = timers.soonest
                self._call_soon(self._set)

    def _set(self) -> None:
        self._clear()
        seconds = self._hub.look(self._seconds)
        self._handle = None if seconds is None else self._loop.call_later(seconds, self._ring)

    def _seconds(self) -> float | None:
        spans = [timers.seconds_to_next() for timers in self._hub.running_timers]
        self._moments[:] = [timers.soonest for timers in self._hub.running_timers]
        return min((span for span in spans if span is not None), default=None)

    def _clear(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._moments[:] = [math.inf for _ in self._moments]

    def _ring(self) -> None:
        self._clear()
        self._hub.run_due()  # its end calls _follow, which sets the next one

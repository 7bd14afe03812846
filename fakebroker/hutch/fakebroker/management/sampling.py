"""When the numbers of the API are looked at."""

from collections.abc import Callable
from typing import Final

from hutch.fakebroker.engine.clock import Timer, Timers
from hutch.fakebroker.management.counts import Sampled

#: Seconds from one look to the next, as in RabbitMQ (``collect_statistics_interval``).
PERIOD: Final = 5.0


class Sampler:
    """Looks every five seconds at the numbers that were touched since, as long as there are any.

    ``look`` is called before that. It may bring other numbers up to date, and says whether any of them changed.
    """

    def __init__(self, timers: Timers, look: Callable[[], bool]) -> None:
        self._timers: Final = timers
        self._look: Final = look
        self._timer: Timer | None = None
        self._touched: dict[Sampled, None] = {}
        self._rated: dict[Sampled, None] = {}

    def touch(self, numbers: Sampled) -> None:
        """Look at these numbers at the end of the period."""
        self._touched[numbers] = None
        self.wake()

    def wake(self) -> None:
        """Have a look within five seconds."""
        if self._timer is None:
            self._timer = self._timers.set(PERIOD, self._look_at_all, background=True)

    def _look_at_all(self) -> None:
        self._timer = None
        changed = self._look()
        touched, self._touched = self._touched, {}
        for numbers in self._rated.keys() - touched.keys():
            numbers.rates = {}
        for numbers in touched:
            numbers.sample(PERIOD)
        self._rated = touched
        if touched or changed:
            self.wake()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timers.cancel(self._timer)
            self._timer = None

"""The clocks that a test chooses by name."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from hutch.fakebroker import AutoClock, FrozenClock, ManualClock, SystemClock, TickingClock
from hutch.fakebroker.configuration import checked_clock
from hutch.fakebroker.engine.unknown_names import unknown

AnyClock: TypeAlias = ManualClock | SystemClock | TickingClock

#: What makes a clock, by its name; docs/time.md tells them apart.
CLOCKS: Final[Mapping[str, Callable[[], AnyClock]]] = {
    "manual": ManualClock,
    "frozen": FrozenClock,
    "auto": AutoClock,
    "ticking": TickingClock,
    "system": SystemClock,
}


def clock_of(clock: AnyClock | str) -> AnyClock:
    """A clock, new if it is named.

    Raises:
        ValueError: there is no clock of that name.
        TypeError: that is neither a clock nor a name.
    """
    if not isinstance(clock, str):
        checked_clock(clock)
        return clock
    if clock not in CLOCKS:
        raise ValueError(unknown("clock", clock, CLOCKS))
    return CLOCKS[clock]()

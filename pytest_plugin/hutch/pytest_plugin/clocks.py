"""The clocks that a test chooses by name."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from hutch.fakebroker import AutoClock, FrozenClock, ManualClock, SystemClock, TickingClock
from hutch.pytest_plugin.names import unknown

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
    """
    if not isinstance(clock, str):
        return clock
    if clock not in CLOCKS:
        raise ValueError(unknown(f"clock is {clock!r}", clock, CLOCKS))
    return CLOCKS[clock]()

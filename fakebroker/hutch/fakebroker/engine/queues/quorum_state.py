"""What a quorum queue has, as data."""

from dataclasses import dataclass

from hutch.fakebroker.engine.queues.at_least_once import AtLeastOnceState
from hutch.fakebroker.engine.queues.publishers import StandingState
from hutch.fakebroker.engine.state.values import Contents, EntryState, TimerState


@dataclass(frozen=True)
class QuorumState(Contents):
    """The contents of a quorum queue.

    ``rows`` are the ready messages: those that came back, then by priority. ``delayed`` are those that will be ready,
    with their moments. ``positions`` is the position given last, ``arrivals`` how many consumers have come. ``used_at``
    is what x-expires counts from.
    """

    rows: tuple[tuple[EntryState, ...], ...]
    delayed: tuple[tuple[int, EntryState], ...]
    positions: int
    arrivals: int
    created_at: int
    used_at: int
    wake_up: TimerState | None
    dead: AtLeastOnceState
    publishers: tuple[StandingState, ...]

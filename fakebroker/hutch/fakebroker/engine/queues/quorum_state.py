"""What a quorum queue has, as data."""

from dataclasses import dataclass

from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.state.values import EntryState, MessageState, TimerState


@dataclass(frozen=True)
class KeptState:
    """One dead letter. ``taken_by`` names the queues that have it, ``was_taken`` is whether any ever did. ``dead`` is
    ``None`` before it is published.
    """

    entry: EntryState
    reason: str
    dead: MessageState | None
    published_at: int | None
    taken_by: tuple[str, ...]
    was_taken: bool


@dataclass(frozen=True)
class AtLeastOnceState:
    """The dead letters that a queue keeps: those that are not published, and those that are; and the timer of the next
    try.
    """

    waiting: tuple[KeptState, ...]
    pending: tuple[KeptState, ...]
    retry: TimerState | None


@dataclass(frozen=True)
class StandingState:
    """What a publisher knows; see :attr:`Publisher.reference
    <hutch.fakebroker.engine.targets.Publisher.reference>`. ``has_published`` is whether it is registered.
    """

    publisher: Origin | str
    is_full: bool
    has_published: bool


@dataclass(frozen=True)
class QuorumState:
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

"""One fault: when its turn is, how often it was, and what it holds back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

from hutch.fakebroker.engine.origin import BROKER, Origin

if TYPE_CHECKING:
    from types import TracebackType

    from hutch.fakebroker.engine.clock import Timers
    from hutch.fakebroker.hub import Hub


class When(NamedTuple):
    """How many matches have to come, and how many of them are hit: the ``nth``, or ``times`` of them from there on.

    ``seconds`` is how long the fault lasts, on the clock that the client lives in. ``None`` is no limit.
    """

    nth: int | None = None
    times: int | None = None
    seconds: float | None = None

    @property
    def first(self) -> int:
        """Which match is hit first."""
        return 1 if self.nth is None else self.nth

    @property
    def limit(self) -> int | None:
        """How many matches are hit; ``None`` for no limit."""
        return 1 if self.times is None and self.nth is not None else self.times


def checked(when: When) -> When:
    """The same, if it makes sense.

    Raises:
        ValueError: it does not.
    """
    for name, value in (("nth", when.nth), ("times", when.times)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} is a number from 1 on, not {value!r}")
    if when.seconds is not None and not when.seconds > 0:
        raise ValueError(f"seconds is a time above 0, not {when.seconds!r}")
    return when


class Fault:
    """A fault that was asked for. As a context manager, it ends with the block.

    Attributes:
        hits: how often it has happened.
        matches: how many commands, or connections, it was for, be it their turn or not.
    """

    #: Whether the broker notices when it happens.
    is_seen: ClassVar[bool] = True

    def __init__(self, hub: "Hub", text: str, when: When) -> None:
        self.hits = 0
        self.matches = 0
        self._hub: Final = hub
        self._text: Final = text
        self._when: Final = when
        #: The clocks on which the fault's time is over.
        self._over: Final[list[Timers]] = []
        self._has_ended = False
        #: What to continue when the fault ends, with the clock of each client.
        self._held: dict[int, tuple[Timers, Callable[[], None]]] = {}
        self._holdings = 0
        #: Called when the fault has ended, or its time is over.
        self.on_end: Callable[[], None] | None = None
        if when.seconds is not None:
            for timers in {id(timers): timers for timers in (hub.node.timers, hub.peer_timers)}.values():
                timers.set(when.seconds, lambda timers=timers: self._expire(timers))  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"<Fault {self._text}: hits {self.hits} of {self.matches} matches>"

    @property
    def text(self) -> str:
        """The call that asked for it."""
        return self._text

    def end(self) -> None:
        """End it. What it holds back goes on."""
        with self._hub.turn:
            self._has_ended = True
            self._let_go(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.end()

    # in a turn

    @property
    def has_ended(self) -> bool:
        """Whether somebody ended it, or its time is over on each clock."""
        if self._has_ended or self._when.seconds is None:
            return self._has_ended
        return all(timers in self._over for timers in (self._hub.node.timers, self._hub.peer_timers))

    @property
    def is_used_up(self) -> bool:
        """Whether it has been hit as often as it should."""
        limit = self._when.limit
        return limit is not None and self.hits >= limit

    @property
    def is_over(self) -> bool:
        """Whether it can be hit no more."""
        return self.has_ended or self.is_used_up

    def is_over_for(self, timers: "Timers") -> bool:
        """Whether it can be hit no more by clients on this clock."""
        return self.is_over or timers in self._over

    @property
    def is_due(self) -> bool:
        """Whether the match that was counted last may be hit."""
        return self.matches >= self._when.first

    def count(self, origin: Origin = BROKER, vhost: str = "") -> bool:
        """Count a match, and whose it is. Whether it is hit, which counts, too."""
        self.matches += 1
        is_hit = self.is_due and not self.is_used_up
        if is_hit:
            self.hit(origin, vhost)
        return is_hit

    def hit(self, origin: Origin, vhost: str) -> None:
        """Count that it happens, and tell it."""
        self.hits += 1
        self._hub.node.journal.fault_hit(origin, vhost, self._text)

    def holds(self, timers: "Timers", let_go: Callable[[], None], seconds: float | None = None) -> None:
        """Have ``let_go`` called once: when it ends, or its time is over on this clock, or so many seconds later."""
        self._holdings = number = self._holdings + 1
        self._held[number] = (timers, let_go)
        if seconds is not None:
            timers.set(seconds, lambda: self._release(number))

    def _release(self, number: int) -> None:
        if number in self._held:
            _, let_go = self._held.pop(number)
            let_go()

    def _expire(self, timers: "Timers") -> None:
        self._over.append(timers)
        self._let_go(timers)

    def _let_go(self, timers: "Timers | None") -> None:
        for number in [number for number, (where, _) in self._held.items() if timers is None or where is timers]:
            self._release(number)
        if self.on_end is not None:
            self.on_end()

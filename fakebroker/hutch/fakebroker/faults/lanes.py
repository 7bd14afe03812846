"""The bytes between one session and its client, in one direction."""

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from hutch.fakebroker.faults.bytes import ByteFault, Effect

if TYPE_CHECKING:
    from hutch.fakebroker.engine.clock import Timer
    from hutch.fakebroker.faults.faults import Faults
    from hutch.fakebroker.faults.gate import SessionGate


class _Piece(NamedTuple):
    """Some bytes, and when they arrive. ``cut`` is the fault that ends the stream behind them, if one does."""

    at: float
    data: bytes
    cut: ByteFault | None


class Lane:
    """What is on its way. ``arrive`` is called when something has arrived that was on its way before, in a turn."""

    def __init__(self, gate: "SessionGate", faults: "Faults", direction: str, arrive: Callable[[], None]) -> None:
        self._ready: list[bytes] = []
        self._gate: Final = gate
        self._faults: Final = faults
        self._direction: Final = direction
        self._arrive: Final = arrive
        self._effects: Final[dict[ByteFault, Effect]] = {}
        self._waiting: deque[_Piece] = deque()
        self._timer: Timer | None = None
        #: The fault that ends the stream after the bytes that are ready.
        self.cut: ByteFault | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._waiting and not self._ready

    @property
    def has_arrived(self) -> bool:
        """Whether something has arrived, or the end of the stream, and nobody took it."""
        return bool(self._ready) or self.cut is not None

    @property
    def hides_end(self) -> bool:
        """Whether an end of the stream does not arrive, or not yet."""
        return bool(self._waiting) or any(effect.hides_end for _, effect in self._there_are())

    def _there_are(self) -> list[tuple[ByteFault, Effect]]:
        found = []
        for fault in self._faults.of_bytes:
            if fault.effect is not None and fault.is_in(self._direction) and fault.is_on(self._gate):
                if fault not in self._effects:
                    self._effects[fault] = fault.effect()
                    fault.holds(self._gate.session.timers, self._look_again)
                found.append((fault, self._effects[fault]))
        return found

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        effects = self._there_are()
        if self.cut is not None or (self._waiting and self._waiting[-1].cut is not None):
            return  # behind the end
        cut = None
        for fault, effect in effects:
            room = effect.room(data)
            if room is not None:
                data, cut = data[:room], fault
        self._send(data, cut, [effect for _, effect in effects])
        self._take_due()

    def _send(self, data: bytes, cut: ByteFault | None, effects: list[Effect]) -> None:
        now = self._gate.session.timers.now()
        earliest = self._waiting[-1].at if self._waiting else now
        size = min((effect.piece for effect in effects), default=1 << 30)
        pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        for number, piece in enumerate(pieces):
            at = now
            for effect in effects:
                at = effect.moment(len(piece), at)
            earliest = max(at, earliest)
            self._waiting.append(_Piece(earliest, piece, cut if number == len(pieces) - 1 else None))

    def take(self) -> bytes:
        """What has arrived."""
        data = b"".join(self._ready)
        self._ready.clear()
        return data

    def _take_due(self) -> None:
        """Have arrive what is due, and set a timer for the rest."""
        timers = self._gate.session.timers
        while self._waiting and self._waiting[0].at <= timers.now():
            piece = self._waiting.popleft()
            if piece.data:
                self._ready.append(piece.data)
            self.cut = piece.cut
        if self._timer is not None:
            timers.cancel(self._timer)
            self._timer = None
        if self._waiting and self._waiting[0].at < math.inf:
            self._timer = timers.set_at(self._waiting[0].at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._take_due()
        self._arrive()

    def _look_again(self) -> None:
        """A fault has ended: what is on its way goes on without it."""
        waiting, self._waiting = self._waiting, deque()
        effects = [effect for _, effect in self._there_are()]
        for piece in waiting:
            self._send(piece.data, piece.cut, effects)
        self._take_due()
        self._arrive()

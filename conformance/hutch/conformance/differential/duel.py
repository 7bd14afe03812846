"""Two brokers side by side: each operation is played on both, and what they were seen to do is compared."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from hutch.conformance.differential.administration import COUNTED, Operators, administer
from hutch.conformance.differential.comparison import AllSeen, overtaken, same, told
from hutch.conformance.differential.knowledge import Knowledge
from hutch.conformance.differential.operations import (
    USERS_OWN,
    Administer,
    Advance,
    Call,
    End,
    Operation,
    Place,
    Publish,
    Restart,
    Settle,
)
from hutch.conformance.differential.replies import PSEUDO
from hutch.conformance.differential.side import ADMIN, Side
from hutch.wire import methods as wire
from hutch.wire.frames import content_frames, content_header
from hutch.wire.properties import encode_properties

#: Seconds that a difference must last to count. Shrinking a known difference uses the shorter time.
PATIENCE: Final = 3.0
SHRINKING_PATIENCE: Final = 0.3
#: Minimum seconds between an operation and a moment at which something falls due, before or after it.
_MARGIN: Final = 0.08
#: Something that falls due within so many seconds is done at once. Example: a quorum queue keeps a message with TTL 0
#: for a millisecond.
_AT_ONCE: Final = 0.002
#: Seconds to wait for changes that cannot be observed: a queue forgets a dead letter that its target has confirmed, or
#: a message disappears before its queue has reported it.
_UNSEEN: Final = 0.03
#: Seconds within which a restart is over, and seconds within which all queues are back after it.
_DOWNTIME: Final = 60.0
_COMING_UP: Final = 15.0
#: Seconds until a live broker has counted one connection or channel, and until it has counted those of a whole script.
_COUNTING: Final = 0.05
_COUNTING_ALL: Final = 0.5
#: An idle channel of a live broker may forget its cached permissions after one second. In seconds, a little less.
_AWAKE: Final = 0.9
#: Negotiated frame size, in bytes.
FRAME_MAX: Final = 131072


class Difference(AssertionError):
    """The two brokers were seen to do different things. ``script`` are the operations that lead to it."""

    def __init__(self, script: list[str], emulator: list[str], live: list[str]) -> None:
        self.script = list(script)
        self.emulator = emulator
        self.live = live
        super().__init__(self.report())

    def report(self) -> str:
        """The script and both observations."""
        both = [line for line in self.emulator if line in self.live]
        parts = ["These operations differ in the last step:", *(f"  {line}" for line in self.script)]
        for title, lines in (
            ("Both say:", both),
            ("The emulator says:", [line for line in self.emulator if line not in both]),
            ("RabbitMQ says:", [line for line in self.live if line not in both]),
        ):
            if lines or title != "Both say:":
                parts += [title, *(f"  {line}" for line in lines or ["nothing"])]
        return "\n".join(parts)


class Inconclusive(Exception):
    """The live broker took so long that what falls due of itself cannot be told from what was asked for."""


class Clockwork(Protocol):
    """The emulator from inside: its clock, and what nobody can see on a live broker."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""

    def restart(self) -> None:
        """Stop it, and start it again."""

    def upcoming(self) -> float | None:
        """Seconds until something falls due; ``None`` for never."""

    def handed_over(self) -> int:
        """How many messages were dead-lettered."""


class Duel:
    """A fresh emulator and a live broker with nothing in it, both reached by ``Side``; ``clock`` is the emulator's.
    ``operators`` administer the two, if anybody does, and ``restart`` restarts the live one, if it may.
    """

    def __init__(
        self,
        emulator: Side,
        live: Side,
        clock: Clockwork,
        operators: Operators | None,
        restart: Callable[[], None] | None,
        counts: "Counter[str]",
        patience: float = PATIENCE,
    ) -> None:
        self.emulator: Final = emulator
        self.live: Final = live
        self.script: list[str] = []
        self._clock: Final = clock
        self._operators: Final = operators
        self._restart_live: Final = restart
        self._counts: Final = counts
        self._patience: Final = patience
        self._began = time.monotonic()
        self._elapsed = 0.0
        self._published = 0
        self._started = 0.0
        self._before: float | None = None
        self._known: Final = Knowledge()
        #: Queues that may exist, each with the connection that can ask after it.
        self.queues: dict[str, int] = {}
        self._ready: dict[str, int] = {}
        #: Queues that give each consumer its messages in an order of its own.
        self._apart: set[str] = set()
        #: The streams among the queues; their message counts lag on a live broker.
        self._streams: set[str] = set()
        emulator.uncounted = live.uncounted = self._streams
        self._awake = self._began
        self._handed_over = 0
        self._standing: set[tuple[int, int]] = set()
        # Open this channel before any limit can forbid it.
        self._on_both(lambda side: side.open(ADMIN, 1))

    # playing

    def play(self, operation: Operation) -> None:
        """Play one operation on both.

        Raises:
            Difference: they do not do the same.
            Inconclusive: time went by unforeseen.
        """
        if isinstance(operation, Advance):
            if self._soon() is not None:
                self._counts[operation.kind] += 1
                self._wait(operation.milliseconds / 1000)
            return
        self._keep_clear()
        if self._act(operation):
            self._counts[operation.kind] += 1
            self._compare(operation)

    def _act(self, operation: "Call | Publish | Settle | End | Administer | Restart") -> bool:
        """Have it be done; whether it was."""
        if isinstance(operation, End):
            return self._end(operation)
        if isinstance(operation, Administer):
            self._administer(operation)
            return True
        if isinstance(operation, Restart):
            return self._restart(operation)
        prepared = self._prepared(operation)
        if prepared is None:
            return False
        place, act = prepared
        if self._open(place):
            self._on_both(act)
        return True

    def _end(self, operation: End) -> bool:
        number = operation.connection
        if not self.emulator.is_open(number) or self._known.gives_back(self._known.all_of(number)):
            return False
        self.script.append(str(operation))
        self._on_both(lambda side: side.end(number, operation.abrupt))
        return True

    def _administer(self, operation: Administer) -> None:
        if self._operators is None:
            raise AssertionError("there is no operator")
        self.script.append(str(operation))
        if operation.arguments.get("limit") in COUNTED:
            self.live.pause = _COUNTING
            time.sleep(_COUNTING_ALL)
        by_emulator, by_live = (
            administer(operator, self._operators.user, operation)
            for operator in (self._operators.emulator, self._operators.live)
        )
        if by_emulator != by_live:
            raise Difference(self.script, [f"operator: {by_emulator}"], [f"operator: {by_live}"])

    def _restart(self, operation: Restart) -> bool:
        """Restart both, unless something falls due meanwhile, or what connections give back is not determined."""
        if self._restart_live is None:
            raise AssertionError("nobody may restart the broker")
        upcoming = self._clock.upcoming()
        if self._known.scatters() or (upcoming is not None and upcoming < _DOWNTIME):
            return False
        self.script.append(str(operation))
        self._clock.restart()
        self._restart_live()
        self._on_both(Side.await_the_end)
        self._follow_clock()
        self._started = self._awake = time.monotonic()
        return True

    def _on_both(self, act: "Callable[[Side], None]") -> None:
        act(self.emulator)
        act(self.live)

    def _open(self, place: Place) -> bool:
        """Have the channel be open; whether both brokers let it be."""
        for side in (self.emulator, self.live):
            side.open(place.connection, place.channel)
        return all(side.is_open(place.connection, place.channel) for side in (self.emulator, self.live))

    def _prepared(self, operation: "Call | Publish | Settle") -> "tuple[Place, Callable[[Side], None]] | None":
        """Where and how to play it; ``None`` where that makes no sense here, or leads to what is not determined."""
        place = operation.place
        key = place.connection, place.channel
        if isinstance(operation, Publish):
            self._published += 1
            body = b"%d:" % self._published
            body += b"." * (operation.size - len(body))
            self.script.append(f"{operation}, body {body!r}")
            properties = encode_properties(dict(operation.properties))
            content = content_frames(place.channel, content_header(len(body), properties), body, FRAME_MAX)
            return place, lambda side: side.send(*key, _named(operation.method, side), content)
        if isinstance(operation, Settle):
            return self._settling(operation)
        method = operation.method
        if self._known.is_race(method, place):
            return None
        self.script.append(str(operation))
        if isinstance(method, wire.BasicConsume):
            apart = method.queue in self._apart
            return place, lambda side: _consume(side, key, method, apart)
        return place, lambda side: side.send(*key, _named(method, side))

    def _settling(self, operation: Settle) -> "tuple[Place, Callable[[Side], None]] | None":
        choice = self._known.choose(operation)
        if choice is None:
            return None
        self.script.append(f"{choice.operation}: {choice.what}")
        return choice.operation.place, lambda side: side.send(
            *choice.key, choice.method(choice.emulator if side is self.emulator else choice.live)
        )

    # time

    def _soon(self) -> float | None:
        """Seconds until something falls due on the emulator, if that is near enough to matter."""
        upcoming = self._clock.upcoming()
        return upcoming if upcoming is not None and upcoming < 2 * PATIENCE else None

    def _follow_clock(self) -> None:
        """Have the emulator's clock show the time that went by on the live broker."""
        elapsed = time.monotonic() - self._began
        self._advance(elapsed - self._elapsed)

    def _advance(self, seconds: float) -> None:
        if seconds > 0:
            self._clock.advance(seconds)
            self._elapsed += seconds

    def _keep_clear(self) -> None:
        """Keep the next operation away from everything that falls due by itself."""
        self._started = time.monotonic()
        soon = self._soon()
        lag = self._started - self._began - self._elapsed
        if soon is not None and soon - lag < 2 * _MARGIN:
            self._wait(max(soon - lag, 0) + _MARGIN)
        self._follow_clock()
        self._started = time.monotonic()
        self._before = self._soon()

    def _do_at_once(self) -> bool:
        """Have the emulator do what falls due at once; whether there was something."""
        did = False
        while (soon := self._soon()) is not None and soon <= _AT_ONCE:
            self._advance(soon)
            did = True
        return did

    def _wait(self, seconds: float) -> None:
        """Let so much time pass on both, and more until nothing has just happened or is about to."""
        began = time.monotonic()
        time.sleep(seconds)
        while True:
            self._follow_clock()
            before = self._soon()
            time.sleep(_MARGIN)
            self._follow_clock()
            after = self._soon()
            if before == after or (before is not None and after is not None and before > after > 2 * _MARGIN):
                break
        self.script.append(f"{(time.monotonic() - began) * 1000:.0f} ms pass")
        self._started = time.monotonic()
        self._before = None
        self._compare(None)

    # comparing

    def finish(self) -> None:
        """Compare once more, with all that the live broker may have to tell.

        Raises:
            Difference, Inconclusive: as :meth:`play`.
        """
        self._keep_clear()
        self._compare(None)

    def _compare(self, operation: "Operation | None") -> None:
        unseen = self._do_at_once()
        counts = self.emulator.settle(self.queues)
        expected = self.emulator.seen()
        before, soon = self._before, self._soon()
        patience = _COMING_UP if isinstance(operation, Restart) else self._patience
        if soon is not None:
            patience = min(max(soon - _MARGIN, 0.1), patience)
        first = None
        while True:
            # An unexpected method on another channel appears with one of the next operations.
            live_counts = self._settle_live(thorough=operation is None or first is not None)
            seen = self.live.seen()
            took = time.monotonic() - self._started
            if first is None:
                first = took
                self._check_speed(took, before, soon)
            if counts == live_counts and same(expected, seen):
                break
            if took > patience:
                if self._is_race(operation, counts, live_counts, expected, seen):
                    raise Inconclusive
                raise Difference(self.script, told(expected, counts), told(seen, live_counts))
        self._check_speed(took, before, soon)
        self._check_mixture(operation, counts, expected)
        self._learn(operation, expected, seen)
        if unseen or self._clock.handed_over() != self._handed_over:
            self._handed_over = self._clock.handed_over()
            time.sleep(_UNSEEN)
        elif not isinstance(operation, Call):
            time.sleep(_AT_ONCE)
        if self.live.pause and self.live.standing() != self._standing:
            self._standing = self.live.standing()
            time.sleep(_COUNTING)
        self._ready = _ready(counts)
        self._forget_deleted(counts)
        self.emulator.forget()
        self.live.forget()

    def _forget_deleted(self, counts: dict[str, str]) -> None:
        for queue, count in counts.items():
            if not count[0].isdigit() and not count.startswith("ACCESS_REFUSED"):
                del self.queues[queue]
                self._apart.discard(queue)
                self._streams.discard(queue)

    def _settle_live(self, *, thorough: bool) -> dict[str, str]:
        """As :meth:`Side.settle`, and thorough soon enough for all channels to stay awake."""
        thorough = thorough or time.monotonic() - self._awake > _AWAKE / 2
        counts = self.live.settle(self.queues, thorough=thorough)
        now = time.monotonic()
        if thorough and now - self._awake > _AWAKE and self.live.is_open(USERS_OWN):
            raise Inconclusive
        self._awake = now if thorough else self._awake
        return counts

    def _closed_alike(self, expected: AllSeen, seen: AllSeen) -> bool:
        """Whether a connection was closed, as it should be. Its channels end one after the other then, and one may get
        what another gives back.
        """
        ends = [
            key
            for key in expected.keys() & seen.keys()
            if not key[1] and not self.emulator.is_open(key[0]) and not self.live.is_open(key[0])
        ]
        return any(expected[key].same(seen[key]) for key in ends)

    def _check_speed(self, took: float, before: float | None, soon: float | None) -> None:
        """Give up where what fell due meanwhile, or was set to, may have come at another moment on the live broker."""
        if (before is not None and took > before - _MARGIN) or (soon is not None and took > 0.75 * _MARGIN):
            raise Inconclusive

    def _check_mixture(self, operation: "Operation | None", counts: dict[str, str], expected: AllSeen) -> None:
        """Give up where several queues lost messages at once that came together elsewhere: nobody can tell how they are
        mixed there.
        """
        if self._is_overtaking(operation, counts):
            raise Inconclusive
        if not isinstance(operation, Administer | Restart | None):
            return
        now = _ready(counts)
        changes = [now.get(queue, 0) - before for queue, before in self._ready.items()]
        # after a restart only connections are notified
        is_told = any(expected.values()) and not isinstance(operation, Restart)
        if sum(change < 0 for change in changes) > 1 and (max(changes) > 0 or is_told):
            raise Inconclusive

    def _is_overtaking(self, operation: "Operation | None", counts: dict[str, str]) -> bool:
        """Whether a quorum queue got more than what was published: a dead letter may be before that or behind."""
        now = _ready(counts)
        more = any(now.get(queue, 0) - self._ready.get(queue, 0) > 1 for queue in self._apart - self._streams)
        return more and isinstance(operation, Publish)

    def _is_race(
        self,
        operation: "Operation | None",
        counts: dict[str, str],
        live_counts: dict[str, str],
        expected: AllSeen,
        seen: AllSeen,
    ) -> bool:
        """Whether what differs is not determined."""
        if self._closed_alike(expected, seen) or self._is_overtaking(operation, live_counts):
            return True
        if self._known.gave_back_in_made_up_order(self.emulator.is_open):
            return True
        differing = {queue for queue, count in counts.items() if count != live_counts.get(queue)}
        if self._known.may_serve_a_dead_consumer(differing):
            return True
        return counts == live_counts and overtaken(expected, seen)

    def _learn(self, operation: "Operation | None", expected: AllSeen, seen: AllSeen) -> None:
        self._known.forget_closed(self.emulator.is_open)
        no_ack = False
        if isinstance(operation, Call) and self.emulator.is_open(operation.place.connection, operation.place.channel):
            method = operation.method
            queue, tag = self.emulator.names.latest
            if isinstance(method, wire.QueueDeclare) and not method.passive:
                owner = operation.place.connection if method.exclusive else ADMIN
                name = method.queue or queue
                if name != PSEUDO:
                    self.queues.setdefault(name, owner)
                if method.arguments.get("x-queue-type") in {"quorum", "stream"}:
                    self._apart.add(name)
                if method.arguments.get("x-queue-type") == "stream":
                    self._streams.add(name)
            self._known.learn(method, operation.place, tag)
            no_ack = isinstance(method, wire.BasicGet) and method.no_ack
        for key, by_emulator in expected.items():
            if self.emulator.is_open(*key):
                for row, deliveries in by_emulator.deliveries.items():
                    self._known.delivered(key, deliveries, seen[key].deliveries[row], no_ack)


def _named(method: wire.Method, side: Side) -> wire.Method:
    """The method with the names that the broker made up in place of their aliases."""
    fields = {name: getattr(method, name) for name in method.FIELDS}
    if not any(isinstance(value, str) and value.startswith("~") for value in fields.values()):
        return method
    return type(method)(**{n: side.names.real(v) if isinstance(v, str) else v for n, v in fields.items()})


def _consume(side: Side, key: tuple[int, int], method: wire.BasicConsume, apart: bool) -> None:
    side.begin_consuming(*key, method.queue, method.consumer_tag, apart=apart)
    side.send(*key, _named(method, side))


def _ready(counts: dict[str, str]) -> dict[str, int]:
    """How many messages are ready in the queues that there are."""
    return {queue: int(count.split(" ", 1)[0]) for queue, count in counts.items() if count[0].isdigit()}

"""Faults for connections: those that are open, their bytes, and those that come."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.unknown_names import missing, unknown
from hutch.fakebroker.faults.bytes import (
    BOTH,
    FROM_CLIENT,
    TO_CLIENT,
    ByteFault,
    Cut,
    CutInside,
    Delay,
    Effect,
    Hole,
    Throttle,
)
from hutch.fakebroker.faults.criteria import is_of_connection
from hutch.fakebroker.faults.fault import Fault, When

if TYPE_CHECKING:
    from hutch.fakebroker.engine.client import Client
    from hutch.fakebroker.faults.faults import Faults
    from hutch.fakebroker.faults.gate import SessionGate
    from hutch.fakebroker.hub import Hub

SILENT: Final = "SILENT"
_DIRECTIONS: Final = (BOTH, FROM_CLIENT, TO_CLIENT)


class ConnectionMatch:
    """The connections that a fault is for. Each method makes the fault.

    :meth:`reset`, :meth:`end` and :meth:`close` are for connections that are open. The others are for those that come,
    too, and go on until the fault ends. ``direction`` is ``"to_client"``, ``"from_client"`` or ``"both"``.
    """

    def __init__(self, faults: "Faults", hub: "Hub", text: str, when: When, asked: Mapping[str, str]) -> None:
        self._faults: Final = faults
        self._hub: Final = hub
        self._text: Final = text
        self._when: Final = when
        self._asked: Final = asked

    def __repr__(self) -> str:
        return f"<{self._text}>"

    # those that are open

    def reset(self) -> Fault:
        """End the connections by RST. What was not sent to the clients is lost.

        Raises:
            LookupError: no such connection is open; the message names those that are.
            TypeError: ``seconds`` was given.
        """
        return self._end("reset()", lambda gate, reason: gate.end("RST", reason))

    def end(self) -> Fault:
        """End the connections by FIN, without connection.close. Raises as :meth:`reset`."""
        return self._end("end()", lambda gate, reason: gate.end("FIN", reason))

    def close(self, reason: str = "Closed via management plugin") -> Fault:
        """Close the connections with 320, as an operator does. Raises as :meth:`reset`."""

        def close(gate: "SessionGate", _: str) -> None:
            if gate.session.connection is not None:
                gate.session.connection.force_close(reason)

        return self._end(f"close({reason!r})", close)

    def _end(self, text: str, end: Callable[["SessionGate", str], None]) -> Fault:
        if self._when.seconds is not None:
            raise TypeError(f"{text.partition('(')[0]} happens at once, and takes no seconds")
        fault = Fault(self._hub, f"{self._text}.{text}", self._when)
        self._faults.act(fault, lambda: self._end_all(fault, end))
        return fault

    def _end_all(self, fault: Fault, end: Callable[["SessionGate", str], None]) -> None:
        there_are = [session for session in self._hub.sessions if not session.dropped]
        for session in there_are:
            if is_of_connection(session, self._asked) and not fault.is_used_up and fault.count(*session.whose):
                end(self._faults.gate(session), f"a fault was asked for: {fault.text}")
        if not fault.hits:
            raise LookupError(f"{self._text}: {self._missing([session.client for session in there_are])}")

    def _missing(self, clients: "list[Client]") -> str:
        if not clients:
            return "no connection is open"
        asked = " and ".join(f"{name} {value!r}" for name, value in self._asked.items())
        names = sorted(str(client.properties.get("connection_name", client.peer.name)) for client in clients)
        return missing(f"open connection has {asked}", self._asked.get("connection", ""), names)

    # the bytes

    def black_hole(self, direction: str = BOTH) -> Fault:
        """Have nothing arrive, an end of the stream neither, as when a cable is pulled.

        When the fault ends, all arrives that was sent meanwhile.
        """
        return self._bytes(f"black_hole({_unless(direction, BOTH)})", direction, Hole)

    def delay(self, seconds: float, direction: str = BOTH) -> Fault:
        """Have all arrive that much later, on the clock that the client lives in."""
        _positive("seconds", seconds)
        return self._bytes(f"delay({seconds:g}{_also(direction, BOTH)})", direction, lambda: Delay(seconds))

    def throttle(self, bytes_per_second: float, direction: str = BOTH) -> Fault:
        """Have so many bytes arrive each second of the clock that the client lives in, in each direction."""
        _positive("bytes_per_second", bytes_per_second)
        text = f"throttle({bytes_per_second:g}{_also(direction, BOTH)})"
        return self._bytes(text, direction, lambda: Throttle(bytes_per_second))

    def cut(self, after: int, direction: str = TO_CLIENT, *, by: str = "RST") -> Fault:
        """End a connection after so many bytes in a direction, counted from when the fault is there.

        Args:
            after: how many bytes arrive; 0 for none.
            direction: one of the two.
            by: ``"RST"`` or ``"FIN"``.
        """
        if after < 0:
            raise ValueError(f"a connection is cut after 0 bytes or more, not {after!r}")
        if direction == BOTH:
            raise ValueError(f"a connection is cut in one direction: {FROM_CLIENT!r} or {TO_CLIENT!r}")
        text = f"cut({after}{_also(direction, TO_CLIENT)}{_by(by)})"
        return self._bytes(text, direction, lambda: Cut(after), by)

    def cut_inside_frame(self, number: int = 1, *, by: str = "RST") -> Fault:
        """End a connection in the middle of a frame: of the next one to the client, or of a later one.

        ``by`` is as of :meth:`cut`.
        """
        if number < 1:
            raise ValueError(f"frames are counted from 1 on, not {number!r}")
        text = f"cut_inside_frame({number}{_by(by)})"
        return self._bytes(text, TO_CLIENT, lambda: CutInside(number), by)

    def stop_heartbeats(self) -> Fault:
        """Send no heartbeats. A client that gets nothing else gives the broker up."""
        fault = ByteFault(self._hub, f"{self._text}.stop_heartbeats()", self._when, self._asked, TO_CLIENT, mutes=True)
        self._faults.add_bytes(fault)
        return fault

    def _bytes(self, text: str, direction: str, effect: Callable[[], Effect], by: str = "RST") -> Fault:
        if direction not in _DIRECTIONS:
            raise ValueError(unknown("direction", direction, _DIRECTIONS))
        if by not in {"RST", "FIN"}:
            raise ValueError(unknown("end of a stream", by, ("RST", "FIN")))
        whole = f"{self._text}.{text}"
        fault = ByteFault(self._hub, whole, self._when, self._asked, direction, effect=effect, ends_by=by)
        self._faults.add_bytes(fault)
        return fault


class ArrivalMatch:
    """The connections that clients are about to make. Each method makes the fault."""

    def __init__(self, faults: "Faults", hub: "Hub", text: str, when: When) -> None:
        self._faults: Final = faults
        self._hub: Final = hub
        self._text: Final = text
        self._when: Final = when

    def __repr__(self) -> str:
        return f"<{self._text}>"

    def refuse(self) -> Fault:
        """Refuse clients until the fault ends, or for its seconds: the port is closed.

        Over TCP the operating system refuses, so ``hits`` counts in-process clients alone. The fault is no leftover.

        Raises:
            TypeError: ``nth`` or ``times`` was given, for a closed port does not count.
        """
        if (self._when.nth, self._when.times) != (None, None):
            raise TypeError("refuse closes the port, which does not count; reset() takes nth and times")
        fault = Refusal(self._hub, f"{self._text}.refuse()", self._when)
        self._faults.refuse(fault)
        return fault

    def stay_silent(self) -> Fault:
        """Accept a client, and say nothing, and hear nothing. When the fault ends, all arrives."""
        return self._make("stay_silent()", SILENT)

    def reset(self) -> Fault:
        """Accept a client, and end its connection at once by RST."""
        return self._make("reset()", "RST")

    def end(self) -> Fault:
        """Accept a client, and end its connection at once by FIN."""
        return self._make("end()", "FIN")

    def _make(self, text: str, verdict: str) -> Fault:
        fault = Arrival(self._hub, f"{self._text}.{text}", self._when, verdict)
        self._faults.add_arrival(fault)
        return fault


class Arrival(ByteFault):
    """Happens to clients that come. ``verdict`` is as of ``Hub.arrival``. In-process, silence is a fault for bytes."""

    def __init__(self, hub: "Hub", text: str, when: When, verdict: str) -> None:
        super().__init__(hub, text, when, {}, BOTH, effect=Hole if verdict == SILENT else None)
        self.verdict: Final = verdict

    def arrived(self, gate: "SessionGate") -> None:
        """An in-process client has come, and it is its turn."""
        if self.verdict == SILENT:
            gate.met[self] = True
        else:
            gate.end(self.verdict, f"a fault was asked for: {self.text}")

    def is_on(self, gate: "SessionGate") -> bool:
        """Whether it happens to a connection."""
        return gate.met.get(self, False) and not self.is_over_for(gate.session.timers)


class Outage(Fault):
    """The broker is stopped."""

    def end(self) -> None:
        """End it: clients may come again."""
        super().end()
        self._hub.listeners.flush()


class Refusal(Outage):
    """The ports are closed."""

    is_seen = False

    def check(self) -> None:
        """Refuse an in-process client.

        Raises:
            ConnectionRefusedError: it is there.
        """
        if not self.is_over_for(self._hub.node.timers):
            self.count()
            raise ConnectionRefusedError(f"the in-process broker refuses clients: {self.text}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is a number above 0, not {value!r}")


def _unless(direction: str, default: str) -> str:
    return "" if direction == default else repr(direction)


def _also(direction: str, default: str) -> str:
    return "" if direction == default else f", {direction!r}"


def _by(by: str) -> str:
    return "" if by == "RST" else f", by={by!r}"

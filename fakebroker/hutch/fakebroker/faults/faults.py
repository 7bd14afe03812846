"""The faults of one broker."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker import stopping
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.clock import Timers
from hutch.fakebroker.engine.operator.alarms import Alarms
from hutch.fakebroker.faults.bytes import ByteFault
from hutch.fakebroker.faults.commands import CommandFault, CommandMatch
from hutch.fakebroker.faults.connections import SILENT, Arrival, ArrivalMatch, ConnectionMatch, Outage, Refusal
from hutch.fakebroker.faults.criteria import OF_CONNECTIONS, check_criteria, find_method, known_criteria
from hutch.fakebroker.faults.fault import Fault, When, checked
from hutch.fakebroker.faults.gate import Command, SessionGate

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub


class Faults:
    """What is to go wrong in a broker; iterate over it for the faults that were asked for.

    As in::

        broker.faults.on("basic.publish", exchange="orders", nth=3).close_channel(406, "no")

    All methods may be called by any thread.
    """

    def __init__(self, hub: "Hub") -> None:
        self._hub: Final = hub
        self._all: Final[list[Fault]] = []
        #: The faults that can still happen.
        self._active: list[CommandFault] = []
        self.of_bytes: list[ByteFault] = []
        self._arrivals: list[Arrival] = []
        self._refusals: list[Refusal] = []
        self._gates: dict[Session, SessionGate] = {}

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._all))

    def __repr__(self) -> str:
        return f"<Faults {self._all}>"

    def on(
        self,
        method: str,
        *,
        nth: int | None = None,
        times: int | None = None,
        seconds: float | None = None,
        connection: str | None = None,
        user: str | None = None,
        client: str | None = None,
        vhost: str | None = None,
        exchange: str | None = None,
        queue: str | None = None,
        routing_key: str | None = None,
    ) -> CommandMatch:
        """Choose the commands that a fault hits. A method of the result says what the fault is.

        Args:
            method: what a client sends, ``"basic.publish"``; or ``"basic.deliver"``.
            nth: the number of the only command to hit, of those that match, over all connections. By default every one.
            times: how many are hit, the first ones, or those from ``nth`` on.
            seconds: how long the fault lasts, on the clock that the client lives in.
            connection: name of a connection: the one that its client gave it, or RabbitMQ's.
            user: who is logged in.
            client: the product that the client says it is: ``"pika"``.
            vhost: the connection's virtual host.
            exchange: the exchange that the command names.
            queue: the queue that it names, or that its delivery is from.
            routing_key: the routing key, or a pattern as for a topic exchange: ``"order.*"``.

        Raises:
            ValueError: no client sends such a method; or a number makes no sense.
            TypeError: a criterion that does not fit the method.
        """
        criteria = {
            "connection": connection,
            "user": user,
            "client": client,
            "vhost": vhost,
            "exchange": exchange,
            "queue": queue,
            "routing_key": routing_key,
        }
        kind = find_method(method)
        asked = check_criteria(criteria, known_criteria(kind), method)
        when = checked(When(nth, times, seconds))
        is_next = (nth, times) == (None, 1)
        said = _said(asked, when._replace(times=None) if is_next else when)
        text = f"faults.{'next' if is_next else 'on'}({', '.join(filter(None, (repr(method), said)))})"
        return CommandMatch(self, self._hub, text, when, kind, asked)

    def next(self, method: str, **criteria: Any) -> CommandMatch:
        """The next command that matches: ``on(method, times=1, **criteria)``."""
        return self.on(method, times=1, **criteria)

    def connections(
        self,
        *,
        nth: int | None = None,
        times: int | None = None,
        seconds: float | None = None,
        connection: str | None = None,
        user: str | None = None,
        client: str | None = None,
        vhost: str | None = None,
    ) -> ConnectionMatch:
        """Choose the connections that a fault hits, or the bytes on them.

        The arguments are those of :meth:`on`; ``nth`` and ``times`` count connections. What is known of a client only
        after its login matches from then on.

        Raises:
            ValueError: a number makes no sense.
            TypeError: a criterion is no text.
        """
        criteria = {"connection": connection, "user": user, "client": client, "vhost": vhost}
        asked = check_criteria(criteria, OF_CONNECTIONS, "a connection")
        when = checked(When(nth, times, seconds))
        return ConnectionMatch(self, self._hub, f"faults.connections({_said(asked, when)})", when, asked)

    def connecting(
        self, *, nth: int | None = None, times: int | None = None, seconds: float | None = None
    ) -> ArrivalMatch:
        """The connections that clients are about to make; ``nth`` and ``times`` count them.

        Raises:
            ValueError: a number makes no sense.
        """
        when = checked(When(nth, times, seconds))
        return ArrivalMatch(self, self._hub, f"faults.connecting({_said({}, when)})", when)

    def stop_broker(self, seconds: float | None = None) -> Fault:
        """Stop the broker, as ``admin.stop`` does, until the fault ends.

        Args:
            seconds: when it starts again, in seconds of the broker's clock. ``None`` leaves that to the fault's end.

        Raises:
            ValueError: the number makes no sense.
            RuntimeError: the broker is closed.
        """
        said = "" if seconds is None else f"{seconds:g}"
        fault = Outage(self._hub, f"faults.stop_broker({said})", checked(When(seconds=seconds)))
        stopping.stop(self._hub)
        fault.holds(self._hub.node.timers, lambda: stopping.start_soon(self._hub))
        with self._hub.turn:
            fault.count()
            self._all.append(fault)
        return fault

    @property
    def unhit(self) -> list[Fault]:
        """Those that never happened, but for those of which the broker does not notice whether they do."""
        return [fault for fault in self._all if not fault.hits and fault.is_seen]

    def clear(self) -> None:
        """End all faults, and forget them."""
        for fault in self._all:
            fault.end()
        with self._hub.turn:
            self._all.clear()
            self._tidy()

    # in a turn

    def add(self, fault: CommandFault) -> None:
        """Have a fault for commands from now on, behind all that clients have sent."""
        self.act(fault, lambda: self._active.append(fault))

    def add_bytes(self, fault: ByteFault) -> None:
        """Have a fault for bytes from now on, behind all that clients have sent."""
        self.act(fault, lambda: self.of_bytes.append(fault))

    def add_arrival(self, fault: Arrival) -> None:
        """Have a fault for clients that come, from now on."""

        def begin() -> None:
            self._arrivals.append(fault)
            if fault.effect is not None:
                self.of_bytes.append(fault)
            self._hub.arrival = self._arrive

        self.act(fault, begin)

    def _arrive(self, hear: Callable[[], None]) -> str:
        """What happens to a TCP client that has come."""
        timers = self._hub.peer_timers
        fault = self._next_arrival(timers)
        if fault is None:
            return ""
        if fault.verdict == SILENT:
            fault.holds(timers, hear)
        return fault.verdict

    def _next_arrival(self, timers: Timers) -> Arrival | None:
        """Have the faults count a client that has come; the one that it is hit by."""
        hit = None
        for fault in self._arrivals:
            if not (fault.is_used_up or fault.is_over_for(timers)):
                if hit is not None:
                    fault.matches += 1
                elif fault.count():
                    hit = fault
        self.tidy_up()
        return hit

    def act(self, fault: Fault, action: Callable[[], None]) -> None:
        """Have a fault from now on. ``action`` is done in a turn, behind all that clients have sent."""
        self._hub.drain_clients()
        with self._hub.turn:
            action()
            self._all.append(fault)
            fault.on_end = self.tidy_up
            for session in self._hub.sessions:
                self.gate(session)
            self._hub.new_session = self._new_session
            self.tidy_up()

    def refuse(self, fault: Refusal) -> None:
        """Close the ports."""
        listeners = self._hub.listeners
        with listeners.changing:
            self._hub.refusing = True
            listeners.refuse()
        self.act(fault, lambda: self._refusals.append(fault))
        fault.holds(self._hub.peer_timers, self._accept)

    def _accept(self) -> None:
        hub = self._hub
        hub.refusing = any(not each.is_over_for(hub.peer_timers) for each in self._refusals)
        if not hub.refusing and not hub.stopped:
            hub.listeners.accept_soon()

    def gate(self, session: Session) -> SessionGate:
        """The gate of a session."""
        if session not in self._gates:
            self._gates[session] = SessionGate(session, self)
        return self._gates[session]

    def _new_session(self, *args: Any, **options: Any) -> Session:
        is_in_process = args[3] is None
        for refusal in self._refusals if is_in_process else ():
            refusal.check()
        session = Session(*args, **options)
        gate = self.gate(session)
        if is_in_process and (fault := self._next_arrival(session.timers)) is not None:
            fault.arrived(gate)
        self.tidy_up()
        return session

    def meet(self, gate: SessionGate, command: Command) -> bool:
        """Whether a fault happens to a command, which that has dealt with then."""
        hit = None
        for fault in self._active:
            if fault.is_for(gate, command):
                fault.matches += 1
                if hit is None and fault.is_due:
                    hit = fault
        if hit is None:
            return False
        hit.hit(*gate.whose(command.number))
        hit.act(gate, command)
        if hit.is_over:
            self.tidy_up()
        return True

    def tidy_up(self) -> None:
        """Be out of the way of clients that no fault is for any more, behind the command at hand."""
        self._hub.node.pending.append(self._tidy)

    def _tidy(self) -> None:
        self._active = [fault for fault in self._active if not fault.is_over]
        self.of_bytes = [fault for fault in self.of_bytes if not fault.is_over]
        self._arrivals = [fault for fault in self._arrivals if not fault.is_over]
        self._refusals = [fault for fault in self._refusals if not fault.is_over]
        if not self._arrivals:
            self._hub.arrival = None
        is_quiet = not (self._active or self.of_bytes or self._arrivals or self._refusals)
        for session, gate in list(self._gates.items()):
            if (session.dropped and not session.has_output) or (is_quiet and gate.is_idle):
                gate.remove()
                del self._gates[session]
        if is_quiet:
            self._hub.new_session = Session

    def clear_alarm(self, resource: str) -> None:
        """End an alarm; who was blocked goes on."""
        Alarms.check(resource)
        self._hub.node.clear_alarm(resource)
        for session in self._hub.pipes.values():
            while session.reader.more:
                session.proceed()


def _said(asked: Mapping[str, str], when: When) -> str:
    """The arguments as they were given."""
    given = {**asked, **when._asdict()}
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)

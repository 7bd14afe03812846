"""The faults of one broker."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.operator.alarms import Alarms
from hutch.fakebroker.faults.commands import CommandFault, CommandMatch
from hutch.fakebroker.faults.criteria import check_criteria, find_method, known_criteria
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
        #: Those that can still be hit.
        self._active: list[CommandFault] = []
        self._gates: dict[Session, SessionGate] = {}
        self._is_there = False

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
        """The commands that a fault is to be for; what it is, the methods of the answer say.

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
        said = [repr(method), *(f"{name}={value!r}" for name, value in asked.items())]
        is_next = (nth, times) == (None, 1)
        said += [
            f"{name}={value!r}"
            for name, value in when._asdict().items()
            if value is not None and not (is_next and name == "times")
        ]
        text = f"faults.{'next' if is_next else 'on'}({', '.join(said)})"
        return CommandMatch(self, self._hub, text, when, kind, asked)

    def next(self, method: str, **criteria: Any) -> CommandMatch:
        """The next command that matches: ``on(method, times=1, **criteria)``."""
        return self.on(method, times=1, **criteria)

    @property
    def unhit(self) -> list[Fault]:
        """Those that never happened."""
        return [fault for fault in self._all if not fault.hits]

    def clear(self) -> None:
        """End all faults, and forget them."""
        for fault in self._all:
            fault.end()
        with self._hub.turn:
            self._all.clear()
            self._tidy()

    # in a turn

    def add(self, fault: CommandFault) -> None:
        """Have a fault from now on, behind all that clients have sent."""
        self._hub.drain_clients()
        with self._hub.turn:
            self._all.append(fault)
            self._active.append(fault)
            if not self._is_there:
                self._is_there = True
                self._hub.new_session = self._new_session
                for session in self._hub.sessions:
                    if session not in self._gates:
                        self._gates[session] = SessionGate(session, self)

    def _new_session(self, *args: Any, **options: Any) -> Session:
        for former in [session for session in self._gates if session.dropped]:
            del self._gates[former]
        session = Session(*args, **options)
        self._gates[session] = SessionGate(session, self)
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
        hit.hits += 1
        hit.act(gate, command)
        if hit.is_over:
            self.tidy_up()
        return True

    def tidy_up(self) -> None:
        """Be out of the way of clients that no fault is for any more, behind the command at hand."""
        self._hub.node.pending.append(self._tidy)

    def _tidy(self) -> None:
        self._active = [fault for fault in self._active if not fault.is_over]
        for session, gate in list(self._gates.items()):
            if session.dropped:
                del self._gates[session]
            elif not self._active and gate.is_idle:
                gate.remove()
                del self._gates[session]
        if not self._active and self._is_there:
            self._is_there = False
            self._hub.new_session = Session

    def clear_alarm(self, resource: str) -> None:
        """End an alarm; who was blocked goes on."""
        Alarms.check(resource)
        self._hub.node.clear_alarm(resource)
        for session in self._hub.pipes.values():
            while session.reader.more:
                session.proceed()

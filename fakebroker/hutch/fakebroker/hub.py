"""The hub of a broker: what its ways in share. Its node in turns, its output, its clocks, and who is connected."""

import math
import threading
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final, TypeVar

from hutch.fakebroker.amqp091.profile import AMQPProfile
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.clocks import Follower, ManualClock
from hutch.fakebroker.engine.access.passwords import is_password
from hutch.fakebroker.engine.clock import Clock, Timers
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.forked import Home
from hutch.fakebroker.listeners import Listeners
from hutch.fakebroker.plugins.firehose import Firehose
from hutch.fakebroker.realtime import monotonic
from hutch.fakebroker.turn import Turn
from hutch.fakebroker.ways_in import WayIn

if TYPE_CHECKING:
    from hutch.fakebroker.faults import Faults
    from hutch.fakebroker.inprocess import Pipe

Answer = TypeVar("Answer")

_NEVER: Final = math.inf


class Hub(Follower):
    """What transports, operators and clocks use of a broker.

    Only its :attr:`turn`, :meth:`take`, :meth:`look` and :meth:`wait` take the broker's lock.

    Args:
        node: the broker's engine.
        profile: what the broker's RabbitMQ version is to AMQP's clients.
        clock: the broker's clock.
        peer_clock: the clock for what TCP clients have to do in time; ``None`` for the broker's.
    """

    def __init__(self, node: Node, profile: AMQPProfile, clock: Clock, peer_clock: Clock | None = None) -> None:
        self.node: Final = node
        self.profile: Final = profile
        self._timers: Final = node.timers
        #: The broker's turn: ``with hub.turn as node``.
        self.turn: Final = Turn(node)
        #: The clock if it is a manual one, else ``None``.
        self.manual_clock: Final = clock if isinstance(clock, ManualClock) else None
        #: The timers for what TCP clients have to do in time.
        self.peer_timers: Final = node.timers if peer_clock is None else Timers(peer_clock)
        #: The timers on clocks that move by themselves.
        self.running_timers: Final[list[Timers]] = [] if peer_clock is None else [self.peer_timers]
        #: The process that made the hub.
        self.home: Final = Home(self)
        self.listeners: Final = Listeners(self)
        #: Makes the session of a new client, with the arguments of :class:`Session`.
        self.new_session: Callable[..., Session] = Session
        #: Asked when a TCP client connects: ``"RST"`` or ``"FIN"`` ends its connection, ``"SILENT"`` leaves it waiting
        #: until the function is called, ``""`` lets it in.
        self.arrival: Callable[[Callable[[], None]], str] | None = None
        #: Whether the ports are closed by a fault.
        self.refusing = False
        #: The broker's faults, once somebody asked for them.
        self.faults: Faults | None = None
        #: The ports of the listeners.
        self.ways_in: Final[list[WayIn]] = []
        #: When the broker was made, seconds on its clock's ``monotonic``.
        self.started_at: Final = clock.monotonic()
        #: It listens to the journal while a virtual host is traced.
        self.firehose: Final = Firehose()
        #: The in-process clients. Used in turns, like all that follows.
        self.pipes: Final[dict[Pipe, Session]] = {}
        #: How many TCP clients are connected.
        self.peers = 0
        #: Passwords that the program has told this broker, by user name, for the URLs that the broker names.
        self.logins: Final[dict[str, str]] = {}
        #: Whether the broker was stopped and not started again.
        self.stopped = False
        #: Whether the broker was closed.
        self.closed = False
        # Threads older than the broker belong to the test runner, for example, and not to the program. The exception is
        # the thread that makes the broker.
        self._older_threads: Final = frozenset(threading.enumerate()) - {threading.current_thread()}
        if self.manual_clock is None:
            self.running_timers.append(node.timers)
        else:
            self.manual_clock.subscribe(self)

    def check_running(self) -> None:
        """Look whether the broker runs.

        Raises:
            RuntimeError: it is stopped or closed.
        """
        if self.stopped or self.closed:
            raise RuntimeError(
                "the broker is closed" if self.closed else "the broker is stopped; admin.start() starts it"
            )

    @property
    def first_login(self) -> tuple[str, str, str]:
        """The name and password of the first user whose password is known, and the first virtual host; where there are
        none, empty texts, and ``/``.
        """
        users, logins = self.node.users, self.logins
        for name, user in users.items():
            password = logins.get(name)
            if password and is_password(user.password_hash, password):
                break
        else:
            name = password = ""
        return name, password, self.node.first_vhost

    @property
    def sessions(self) -> list[Session]:
        """The sessions of all clients that are connected; in a turn."""
        return [*self.pipes.values(), *self.listeners.sessions]

    # beside turns

    def take(self, session: Session) -> bytes:
        """The next of the output for a client, once what is due is run. Queues that had to wait for that are served.

        Output leaves the broker here and nowhere else.
        """
        turn, timers = self.turn, self._timers
        if not turn.lock.acquire(False):
            turn.wait_for_lock()
        try:
            connection = session.connection
            if (
                session.gate is None
                and (connection is None or not connection.unsent)
                and not (timers.soonest < _NEVER and timers.soonest <= timers.now())
            ):
                return session.take_bytes()
        finally:
            turn.lock.release()
        with turn:  # a timer is due, or a fault may end the connection
            return session.take()

    def look(self, question: Callable[[], Answer]) -> Answer:
        """The answer to a question about the node. Nothing changes meanwhile, nothing runs, and nobody wakes up."""
        turn = self.turn
        if not turn.lock.acquire(False):
            turn.wait_for_lock()
        try:
            return question()
        finally:
            turn.lock.release()

    @property
    def changes(self) -> int:
        """A number that grows whenever something may have changed; see :meth:`wait`."""
        return self.turn.changes

    def wait(self, since: int, seconds: float | None) -> bool:
        """Wait until :attr:`changes` is past ``since``. ``False`` if real ``seconds`` pass first; ``None`` is no limit.

        To wait for a condition: take ``changes``, look at the condition, and if it does not hold, wait and begin again.
        What falls due meanwhile on a clock that moves by itself is run.

        Raises:
            RuntimeError: this thread has a turn.
        """
        deadline = None if seconds is None else monotonic() + seconds
        while self.turn.changes == since:
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return False
            self._sleep(since, left)
            if self.node.timers.is_due:
                self.run_due()
        return True

    def _sleep(self, since: int, seconds: float | None) -> None:
        self.turn.check_none()
        turn = self.turn
        if not turn.lock.acquire(False):
            turn.wait_for_lock()
        try:
            due_in = None if self.manual_clock else self.node.timers.seconds_to_next()
            turn.sleep(since, min((limit for limit in (seconds, due_in) if limit is not None), default=None))
        finally:
            turn.lock.release()

    # turns that several use

    def resume(self, sessions: Iterable[Session]) -> None:
        """Do all that these clients have sent, in slices, between which others have their turn."""
        while unfinished := [session for session in sessions if session.reader.more]:
            for session in unfinished:
                self.turn.let_others_in()
                with self.turn:
                    session.proceed()

    def run_due(self) -> None:
        """Run what is due.

        Raises:
            RuntimeError: this thread has a turn, at the end of which that is run.
        """
        self.turn.check_none()
        with self.turn as node:
            if self.peer_timers is not node.timers:
                while timer := self.peer_timers.pop_due():
                    timer.action()

    # what the clock asks, and who waits for clients

    def drain_clients(self) -> None:
        """Return once all that TCP clients have sent by now is done.

        Raises:
            RuntimeError: this thread has a turn, or a listener has died.
            TimeoutError: a listener does nothing for ten seconds.
        """
        self.home.check()
        if not self.closed:
            self.turn.check_none()
            self.listeners.drain_clients()

    def next_timer_at(self, *, background: bool = True) -> float | None:
        """The moment of the next timer, in seconds on the clock's ``monotonic``; ``None`` if there is none. Without
        ``background``, housekeeping such as heartbeats does not count.
        """
        return self.look(lambda: self.node.timers.next_at(background=background))

    @property
    def threads(self) -> set[threading.Thread]:
        """The threads of the listeners. They send nothing of their own."""
        return self.listeners.threads

    def is_left_to_this_thread(self, strangers: Collection[threading.Thread]) -> bool:
        """Whether only the calling thread can send something to the broker.

        Args:
            strangers: the threads of the program, without the calling one and without listeners of brokers.
        """
        mine = threading.get_ident()
        alone = self.look(lambda: not self.peers and all(pipe.thread == mine for pipe in self.pipes))
        return alone and self._older_threads.issuperset(strangers)

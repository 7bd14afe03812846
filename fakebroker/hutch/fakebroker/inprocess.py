"""The in-process pipe: the transport from a client to a broker in the same process, without a socket or a thread.

The broker carries out what a client sends before ``send`` returns. Many commands run in slices, and other clients
have their turn between them.

A blocking read lets time pass. If no other thread could bring anything, a :class:`ManualClock` moves from timer to
timer, over all brokers on it. It stops when something arrives, or at the caller's deadline. Otherwise the read waits,
as on a socket, until another thread brings something.
"""

from collections.abc import Callable, Sequence
from errno import EISCONN
from threading import get_ident
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.clocks import ManualClock
from hutch.fakebroker.engine.peer import Peer
from hutch.fakebroker.realtime import monotonic

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub

#: How many bytes the pipe holds for a client that does not read; those of Linux's sockets hold that much (CONSUME-33).
PIPE_SIZE: Final = 3_900_000
_STANDS: Final = "timed out: the broker's clock stands while this client waits; clock.advance() moves it"


class Pipe:
    """A :class:`~hutch.wire.transport.Transport` to a broker in this process."""

    def __init__(self, hub: "Hub") -> None:
        self._hub: Final = hub
        self._turn: Final = hub.turn
        self._clock: Final = hub.manual_clock
        self._session: Session | None = None
        #: The thread that used the pipe last.
        self.thread = get_ident()
        #: A manual clock's time, else real time, because waits take real time.
        self.monotonic: Final[Callable[[], float]] = monotonic if self._clock is None else self._clock.monotonic

    def connect(self, deadline: float | None) -> None:  # noqa: ARG002  (there is nothing to wait for)
        """Reach the broker.

        Raises:
            ConnectionRefusedError: it is closed, or stopped.
            OSError: the pipe is connected already.
        """
        hub = self._hub
        with self._turn as node:
            if self._session is not None:
                raise OSError(EISCONN, "the pipe is connected already")
            self.thread = get_ident()
            if hub.closed or hub.stopped:
                why = "closed" if hub.closed else "stopped; admin.start() starts it"
                raise ConnectionRefusedError(f"the in-process broker is {why}")
            peer = Peer(f"in-process client {len(hub.pipes) + 1}")
            self._session = hub.pipes[self] = hub.new_session(
                node, hub.profile, peer, None, now=monotonic, stream_size=PIPE_SIZE
            )

    def send(self, data: bytes, deadline: float | None = None) -> None:  # noqa: ARG002
        """Have the broker do what ``data`` asks for; later, where an alarm keeps it from reading (CONN-BLOCK-04). What
        is sent meanwhile piles up as in the buffers of a socket, but without a limit.

        Raises:
            BrokenPipeError: the connection has ended.
        """
        turn = self._turn
        turn.begin()
        try:
            self.thread = get_ident()
            session = self._session
            if session is None or session.dropped:
                raise BrokenPipeError("the connection to the in-process broker has ended")
            session.receive(data)
        finally:
            turn.end()
        if session.reader.more:
            self._hub.resume([session])

    def receive(self, deadline: float | None = None) -> bytes:
        """What the broker has sent, waiting for it until the deadline.

        Raises:
            ConnectionResetError: the broker has ended the connection, as RabbitMQ does by a reset (CONN-HDR-14).
            TimeoutError: the deadline passed; or, without one, nothing can ever arrive.
        """
        self.thread = get_ident()
        session = self._session
        if session is not None and (data := self._hub.take(session)):
            return data
        return self._wait_for_output(deadline)

    def _wait_for_output(self, deadline: float | None) -> bytes:
        hub, clock = self._hub, self._clock
        waited_since: float | None = None
        while True:
            self.thread = get_ident()
            session = self._session
            if session is None:
                raise OSError("the connection is closed")
            # In this order: anything that happens between these reads and the take counts as not seen yet.
            seen, dropped, time = hub.changes, session.dropped, self.monotonic()
            if data := hub.take(session):
                return data
            if session.dropped and not dropped:
                continue
            if dropped:
                return self._end(session)
            if clock is not None and clock.is_left_to_this_thread():
                self._let_pass(clock, time, deadline)
                continue
            now = monotonic()
            if waited_since is None:
                waited_since = now
                allowed = None if deadline is None else deadline - time
            left = None if allowed is None else waited_since + allowed - now
            # Another thread may have moved a manual clock to the deadline.
            if left is not None and deadline is not None and (left <= 0 or time >= deadline):
                raise TimeoutError("timed out" if clock is None or time >= deadline else _STANDS)
            hub.wait(seen, left)

    @staticmethod
    def _end(session: Session) -> bytes:
        """The end of the stream that the broker has ended."""
        if session.ends_by == "FIN":
            return b""
        raise ConnectionResetError("the in-process broker has reset the connection")

    @staticmethod
    def _let_pass(clock: ManualClock, since: float, deadline: float | None) -> None:
        """Move the clock to what happens next. Only this thread can act, so nobody else's time is cut short."""
        if clock.step(since, deadline):
            return
        if deadline is None:
            raise TimeoutError(
                "timed out: nothing can arrive: no timer is pending on the broker's clock, and nobody else is connected"
            )
        raise TimeoutError("timed out")

    def readable(self) -> bool:
        """Whether :meth:`receive` would return or raise at once, as far as can be told without letting time pass."""
        session = self._session
        if session is None or session.output or session.dropped:
            return True
        return session.gate is not None and session.gate.has_output

    def close(self) -> None:
        """End the connection; closing again does nothing. In a forked child it is left to the parent."""
        if self._hub.home.in_child:
            return
        with self._turn:
            session, self._session = self._session, None
            if session is not None:
                self._hub.pipes.pop(self, None)
                session.hang_up()

    def fileno(self) -> int | None:
        """There is none."""
        return None

    def send_pieces(self, pieces: Sequence[bytes | memoryview], deadline: float | None = None) -> None:
        """:meth:`send` for what is in pieces."""
        self.send(b"".join(pieces), deadline)

    # Parts of a transport that a pipe lacks.

    holds_unread = False
    poll_interval = 0.0
    sock = None

    def receive_into(self, room: memoryview, deadline: float | None = None) -> int | None:  # noqa: ARG002
        """A pipe does not."""
        return None

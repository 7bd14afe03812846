"""The bytes of one open connection: sending, and waiting with a deadline. Everything that blocks waits here."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from hutch.client.exceptions import RecoverableConnectionError
from hutch.client.heartbeats import Heartbeats
from hutch.client.message import ReceivedMessage
from hutch.client.read_lock import Awaited, HandedOn, ReadLock, is_settled
from hutch.client.reader import ToPeers, Violation, reader_of, violation_of
from hutch.client.watched import WatchedSocket
from hutch.wire.cutter import COMMAND, NOTHING, PART
from hutch.wire.declaration import Method
from hutch.wire.frames import FRAME_MIN_SIZE, HEARTBEAT_FRAME, OVERHEAD, FrameError
from hutch.wire.methods import ConnectionClose
from hutch.wire.transport import Transport

_log = logging.getLogger("hutch.client")

_SECOND_READER: Final = (
    "another thread is reading from this connection, and gets what comes: drain events in one thread only"
)
_FAREWELL: Final = 1.0  # seconds for a last frame to a peer that is given up


#: Data to send: bytes, or pieces of them.
Data = bytes | list[bytes | memoryview]
OnMessage = Callable[[ReceivedMessage], object]


class Link:
    """A transport with its reader, heartbeats and deadlines. What is read goes to ``peers``, by channel number.

    ``read_timeout`` and ``write_timeout`` are seconds for a whole wait, or a whole write, ``None`` for no limit.
    ``on_lost`` is called once the stream is of no more use, before the error that tells so is raised.

    Any thread may send, and wait for an answer: one of them reads for all (:class:`~hutch.client.read_lock.ReadLock`),
    and calls the callbacks of what it reads.

    Attributes:
        requesting: to hold while a request is noted and sent, so that both are in the same order.
        closed: whether this end has closed it.
    """

    def __init__(
        self,
        transport: Transport,
        peers: Mapping[int, Any],
        on_lost: Callable[[], None],
        read_timeout: float | None,
        write_timeout: float | None,
    ) -> None:
        self.transport = transport
        self.peers = ToPeers(peers)
        self.reader = reader_of(self.peers)
        self.heartbeats: Heartbeats | None = None
        self.read_timeout = read_timeout
        self.write_timeout = write_timeout
        #: Number of writes, and number of reads.
        self.sent = 0
        self.received = 0
        #: Maximum payload of a frame to send, in bytes.
        self.frame_limit = FRAME_MIN_SIZE - OVERHEAD
        #: Whether a consumer's callback is running.
        self.in_callback = False
        # While a callback waits for an answer, further deliveries wait here. Otherwise callbacks would nest without
        # limit.
        self._deferring = False
        self._deferred: deque[tuple[OnMessage, ReceivedMessage]] = deque()
        self._read_lock = ReadLock()
        self.requesting = threading.RLock()
        self.closed = False
        #: The socket for :attr:`sock`; ``None`` until the property is read.
        self.watched: WatchedSocket | None = None
        self._on_lost = on_lost
        self._pause: float = transport.poll_interval
        self._next_look = 0.0

    def send(self, data: Data, timeout: float | None = None) -> None:
        """Send whole frames, within ``timeout`` seconds (``None``: the write timeout).

        Raises:
            OSError: the connection is lost; TimeoutError among them, for half a frame may be out.
            AMQPError: the reason that the broker gave for ending the connection, where it did.
        """
        if timeout is None:
            timeout = self.write_timeout
        transport = self.transport
        deadline = None if timeout is None else transport.monotonic() + timeout
        try:
            if type(data) is bytes:
                transport.send(data, deadline)
            else:
                transport.send_pieces(cast("list[bytes | memoryview]", data), deadline)
        except TimeoutError:
            self._on_lost()
            raise
        except OSError:
            if self._read_lock.take():  # otherwise the reading thread notices the error
                try:
                    self._last_words()
                    self._on_lost()
                finally:
                    self._read_lock.give_back()
            raise
        self.sent += 1

    def _last_words(self) -> None:
        """Hand on what came before the stream broke: it may be the broker's connection.close, which raises."""
        transport = self.transport
        self.peers.drop_channels()
        try:
            while True:
                while self.reader.next() != NOTHING:
                    pass
                data = transport.receive(transport.monotonic())
                if not data:
                    return
                self.reader.add(data)
        except (OSError, Violation, FrameError):
            return

    def next_method(self) -> bool:
        """Hand on one method out of what has been received, and send a heartbeat if one is due; ``False`` for none.

        Raises:
            AMQPError: the peer broke the protocol, and the connection is closed for it.
            Exception: what the receiver of the method raises.
        """
        if self._deferred and not self._deferring:
            handed_on = self._deliver_deferred()
        else:
            reader = self.reader
            try:
                while (taken := reader.next()) == PART:
                    pass
            except FrameError as broken:
                raise self.refuse(violation_of(broken, reader.frame_max)) from None
            except Violation as violation:
                raise self.refuse(violation) from None
            handed_on = taken == COMMAND
        if self._read_lock.followers:
            self._read_lock.handed_on += handed_on
            self._read_lock.announce()
        # Callbacks may take long, and one read may contain many messages.
        if handed_on and self.heartbeats is not None and self.transport.monotonic() >= self.heartbeats.due:
            self.beat()
        return handed_on

    def _deliver_deferred(self) -> bool:
        with self.requesting:
            deferred = self._deferred.popleft() if self._deferred else None
        if deferred:
            self.deliver(*deferred)
        return deferred is not None

    def deliver(self, callback: OnMessage, message: ReceivedMessage) -> None:
        """Call a consumer with a message; later, if a callback is waiting for an answer just now."""
        if self._deferring:
            self._deferred.append((callback, message))
            return
        outer = self.in_callback
        self.in_callback = True
        try:
            callback(message)
        finally:
            self.in_callback = outer

    def forget_deliveries(self, channel: object) -> None:
        """Drop the deliveries that ``channel`` has still to get."""
        if not self._deferred:
            return
        with self.requesting:
            self._deferred = deque(pair for pair in self._deferred if pair[1].channel is not channel)

    def refuse(self, violation: Violation) -> Exception:
        """Tell the peer which rule it broke, and give the connection up without waiting for its answer.

        Returns the error to raise.
        """
        error = violation.error
        class_id, method_id = error.method_sig or (0, 0)
        text = (error.reply_text or "").encode()[:255].decode(errors="ignore")
        self.farewell(ConnectionClose(error.reply_code, text, class_id, method_id))
        self._on_lost()
        return error

    def farewell(self, method: Method) -> None:
        """Send a last method of channel 0, if that goes without waiting."""
        try:
            self.transport.send(method.frame(0), self.transport.monotonic() + _FAREWELL)
        except OSError as error:
            _log.debug("the peer did not take %s: %s", method.NAME, error)

    def drain(self, timeout: float | None) -> None:
        """Hand on at least one method, waiting for it up to ``timeout`` seconds in all.

        Where another thread reads for an answer of its own, what that one hands on counts.

        Raises:
            TimeoutError: nothing came in time.
            OSError, AMQPError: the connection is lost.
            RuntimeError: another thread drains.
            Exception: what the receiver of the method raises.
        """
        if timeout is None:
            timeout = self.read_timeout
        deadline = None if timeout is None else self.transport.monotonic() + timeout
        if not (self._read_lock.take(draining=True) or self._wait_to_drain(deadline)):
            return
        outer = self._deferring
        self._deferring = False
        try:
            if (self._deferred or self.reader.has_unseen()) and self.next_method():
                return
            while True:
                self.receive(deadline, "a method")
                if self.next_method():
                    return
                if deadline is not None:
                    self._check(deadline, "a method")
        finally:
            self._deferring = outer
            self._read_lock.give_back()

    def read_once(self, timeout: float | None) -> bool:
        """Hand on one method of what is there, or of what a single read brings; whether there was one.

        Raises as :meth:`drain`.
        """
        if timeout is None:
            timeout = self.read_timeout
        deadline = None if timeout is None else self.transport.monotonic() + timeout
        if not (self._read_lock.take(draining=True) or self._wait_to_drain(deadline)):
            return True
        try:
            if self.next_method():
                return True
            self.receive(deadline, "a frame")
            return self.next_method()
        finally:
            self._read_lock.give_back()

    def _wait_to_drain(self, deadline: float | None) -> bool:
        """Wait for the read lock and take it. Returns ``False`` once its holder has handed on something."""
        lock = self._read_lock
        handed_on = HandedOn(lock)
        while not lock.take(draining=True):
            if lock.draining:
                raise RuntimeError(_SECOND_READER)
            seconds = None if deadline is None else deadline - self.transport.monotonic()
            if not lock.follow(handed_on, seconds):
                raise TimeoutError(f"timed out waiting for {handed_on}, while another thread was reading")
            if handed_on.ready:
                return False
        return True

    def wait_for(self, awaited: Awaited, timeout: float | None, defer: bool = False) -> None:
        """Hand on methods until ``awaited`` is ready, within ``timeout`` seconds in all (``None``: the read timeout).

        Where another thread is reading, wait until it has handed on the answer. With ``defer``, and within a consumer's
        callback, deliveries stay for a later wait.

        Raises:
            TimeoutError: it did not come in time.
            OSError, AMQPError: the connection is lost, or ``awaited.error``.
            Exception: what the receiver of a method raises.
        """
        if timeout is None:
            timeout = self.read_timeout
        deadline = None if timeout is None else self.transport.monotonic() + timeout
        lock = self._read_lock
        while not lock.take():
            seconds = None if deadline is None else deadline - self.transport.monotonic()
            if not lock.follow(awaited, seconds):
                raise TimeoutError(f"timed out waiting for {awaited}, while another thread was reading")
            if awaited.error is not None:
                raise awaited.error
            if awaited.ready:
                return
        outer = self._deferring
        self._deferring = defer or self.in_callback
        try:
            while not awaited.ready and awaited.error is None:
                if not (self._deferred or self.reader.has_unseen()) or not self.next_method():
                    self.receive(deadline, awaited)
                    self.next_method()
                if deadline is not None and not is_settled(awaited):
                    self._check(deadline, awaited)
            if not awaited.ready and awaited.error is not None:
                raise awaited.error
        finally:
            self._deferring = outer
            self._read_lock.give_back()

    def _check(self, deadline: float, awaited: object) -> None:
        """Hold to the deadline although the peer goes on sending."""
        if self.transport.monotonic() >= deadline:
            raise TimeoutError(f"timed out waiting for {awaited}")

    def receive(self, deadline: float | None, awaited: object) -> None:
        """Wait for some bytes and give them to the reader, minding the heartbeats meanwhile.

        Raises:
            TimeoutError: none came before ``deadline``; the text names what was ``awaited``.
            OSError, ConnectionForced: the connection is lost.
        """
        transport, reader = self.transport, self.reader
        while True:
            heartbeats = self.heartbeats
            wake = deadline
            if heartbeats is not None and (deadline is None or heartbeats.due < deadline):
                wake = heartbeats.due
            try:
                if reader.missing:
                    has_ended = not self._read_body(wake)
                else:
                    data = transport.receive(wake)
                    reader.add(data)
                    has_ended = not data
                break
            except TimeoutError as late:  # the heartbeat's timeout or the caller's; see below
                _, _, reason = str(late).partition("timed out")
            except OSError:
                self._not_if_closed(awaited)
                self._on_lost()
                raise
            if heartbeats is None or wake == deadline:
                raise TimeoutError(f"timed out waiting for {awaited}{reason}")
            self.beat()
        if has_ended:
            self._not_if_closed(awaited)
            error = ConnectionResetError(f"the server ended the connection while {awaited} was awaited")
            self._on_lost()
            raise error
        self.received += 1
        if heartbeats is not None and transport.monotonic() >= heartbeats.due:
            self.beat()

    def _read_body(self, deadline: float | None) -> bool:
        """Receive what is missing of a body right where it belongs, if that is much; ``False`` at the end of the
        stream.
        """
        transport, reader = self.transport, self.reader
        room = reader.room()
        if room is not None:
            with room:
                size = transport.receive_into(room, deadline)
                if size is not None:
                    reader.filled(room, size)
                    return size > 0
        data = transport.receive(deadline)
        reader.add(data)
        return data != b""

    def _not_if_closed(self, awaited: object) -> None:
        if self.closed:
            raise RecoverableConnectionError(f"the connection was closed while {awaited} was awaited")

    def poll(self) -> None:
        """Hand on what has come, at most one method, without waiting.

        Nothing while a consumer's callback runs, or another thread is reading, or within the transport's
        ``poll_interval`` behind the last look. Raises as :meth:`drain`, but for the
        timeout.
        """
        if self._pause and not (self._deferred or self.reader.has_unseen()):
            now = self.transport.monotonic()
            if now < self._next_look:
                return
            self._next_look = now + self._pause
        if not (self._deferred or self.reader.has_unseen() or self.transport.readable()):
            return
        lock = self._read_lock
        if self.in_callback or not lock.take_first():
            return
        try:
            self._look()
        finally:
            lock.give_back()

    def _look(self) -> None:
        if self.next_method():
            return
        try:
            self.receive(self.transport.monotonic(), "news")
        except TimeoutError:
            return
        self.next_method()

    @property
    def holds_unread(self) -> bool:
        """Whether something was read and not yet handed on, even half a frame. The socket does not show that."""
        return bool(self._deferred) or self.reader.has_unseen() or self.transport.holds_unread

    def _holds_more(self) -> bool:
        """Whether something was read that can be handed on, or an error that can be raised, without another read."""
        if self._deferred or self.reader.has_unseen():
            return True
        # TLS decrypts whole records and may hold a part of one. Only an attempt to read shows that.
        return self.transport.holds_unread and self.transport.readable()

    def _limit_waits(self, seconds: float | None) -> None:
        self.read_timeout = seconds
        self.write_timeout = seconds or None

    @property
    def sock(self) -> WatchedSocket | None:
        """The socket as event loops watch it; ``None`` where there is none."""
        with self.requesting:
            if self.watched is None:
                sock = self.transport.sock
                if sock is not None:
                    self.watched = self._read_lock.watched = WatchedSocket(sock, self._holds_more, self._limit_waits)
            return self.watched

    def look_alive(self) -> None:
        """Take in what has come, and hand on nothing; also nothing if another thread is reading.

        Raises:
            OSError, ConnectionForced: the connection is lost.
        """
        if self._read_lock.take():
            try:
                self.receive(self.transport.monotonic(), "a sign of life")
            except TimeoutError:
                return
            finally:
                self._read_lock.give_back()

    def beat(self, rate: float = 2) -> None:
        """Send a heartbeat if one is due.

        Raises:
            ConnectionForced: the peer's heartbeats stopped; the connection is given up.
        """
        if self.heartbeats is None:
            return
        now = self.transport.monotonic()
        if self.transport.readable():  # unread input shows that the peer is alive
            self.heartbeats.last_received = now
        try:
            due = self.heartbeats.tick(now, self.sent, self.received, rate)
        except Exception:
            self._on_lost()
            raise
        if due:
            self.send(HEARTBEAT_FRAME)
        if self.watched is not None:
            self.watched.update()  # the check may have made TLS decrypt something

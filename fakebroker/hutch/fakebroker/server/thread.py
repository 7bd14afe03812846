"""A listener on a thread of its own, for tests."""

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any, Final, Protocol

from hutch.fakebroker.realtime import monotonic
from hutch.fakebroker.server.ports import Port, bind

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.session import Session
    from hutch.fakebroker.hub import Hub

_PATIENCE: Final = 10.0  # seconds


class _Loop(asyncio.SelectorEventLoop):
    """An event loop on the real clock, even if a test has patched the time module. Sockets and their timeouts are
    real, also while the broker's time is frozen.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        try:
            super().__init__(selector)
        except BaseException:
            asyncio.BaseEventLoop.close(self)  # asyncio's finalizer fails on a loop that is half made
            raise

    def time(self) -> float:
        """Real seconds."""
        return monotonic()


def _new_loop() -> _Loop:
    selector = selectors.DefaultSelector()
    try:
        return _Loop(selector)
    except BaseException:
        selector.close()
        raise


class AnyListener(Protocol):
    """What the thread runs. :class:`~hutch.fakebroker.server.protocol.Listener` is one, with more to say."""

    url: str
    progress: int

    @property
    def sessions(self) -> "list[Session]":
        """The sessions of its AMQP clients; in a turn."""

    def start(self, ports: list[Port], host: str) -> None:
        """Accept the clients of these ports."""

    def refuse(self) -> None:
        """Refuse clients, until :meth:`accept`."""

    def accept(self) -> None:
        """Undo :meth:`refuse`."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run a callback in the loop, from any thread."""

    def cut_clients(self) -> None:
        """End the connections of all clients, from any thread."""

    async def drain_clients(self) -> None:
        """Return once all that clients have sent by now is done."""

    async def flush(self) -> None:
        """Return once what was said to clients by now is sent."""

    async def stop(self, grace: float = 1.0) -> None:
        """Accept no more, and end the clients within so many seconds."""

    def abandon(self) -> None:
        """End what :meth:`stop` ends, without the event loop."""


class ServerThread:
    """Runs a listener, which ``new_listener`` makes in the thread, until :meth:`stop`. ``url`` reaches it; ``thread``
    is its thread.

    When the thread dies of an error, ``threading.excepthook`` reports it and the clients' connections end. From then
    on, every call that needs the listener raises a RuntimeError that names the error.

    Raises:
        OSError: the port is taken, or the host is not this machine's, or no descriptors are left.
        ValueError, OverflowError: there is no such host name, or port.
        RuntimeError: the thread cannot be started, or sockets are forbidden.
        TimeoutError: the listener has not started within ten seconds.
    """

    def __init__(self, hub: "Hub", host: str, port: int, new_listener: Callable[[], AnyListener]) -> None:
        self._hub: Final = hub
        self._new_listener: Final = new_listener
        self._grace = 0.0
        #: Whether the loop only cleans up after an error.
        self._dying = False
        self._stopping: Final = asyncio.Event()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        #: Done when the listener accepts clients.
        self._started: Final[Future[AnyListener]] = Future()
        #: Done when the thread ends, with the error that it died of, if it did.
        self._ended: Final[Future[None]] = Future()
        self.thread: Final = threading.Thread(target=self._run, args=(host, port), name="hutch server", daemon=True)
        self.thread.start()
        try:
            outcomes: list[Future[Any]] = [self._started, self._ended]
            wait(outcomes, _PATIENCE, FIRST_COMPLETED)
            if not self._started.done():
                self._raise_cause()
                raise TimeoutError(f"the broker does not listen on {host}:{port} after {_PATIENCE} s")
        except BaseException:
            if not self._started.cancel():
                self.stop(0)
            raise
        self._listener: Final = self._started.result()
        self.url: Final = self._listener.url

    def _raise_cause(self) -> None:
        """Raise what the thread died of, if it did."""
        if self._ended.done():
            self.thread.join(_PATIENCE)
            self._ended.result()

    # in the thread

    def _run(self, host: str, port: int) -> None:
        try:
            self._listen(host, port)
        except BaseException as error:
            if not self._started.done():  # the thread that waits for the start raises it
                self._ended.set_exception(error)
                return
            listener = self._started.result()
            try:
                listener.abandon()
            finally:
                self._ended.set_exception(error)
                raise RuntimeError(f"the broker's listener on {listener.url} died") from error
        self._ended.set_result(None)

    def _listen(self, host: str, port: int) -> None:
        ports = bind(host, port)  # first, because asyncio loses descriptors where sockets are forbidden
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve(ports, host))
        finally:
            for each in ports:
                each.close()

    async def _serve(self, ports: list[Port], host: str) -> None:
        listener = self._new_listener()
        listener.start(ports, host)
        if self._started.set_running_or_notify_cancel():  # else nobody waits for the start any more
            self._started.set_result(listener)
            try:
                await self._stopping.wait()
            except asyncio.CancelledError:  # what ended the loop cancels this
                self._dying = True
        await listener.stop(self._grace)

    def _begin(self, action: Callable[[], Awaitable[None] | None], done: Future[None]) -> None:
        if done.set_running_or_notify_cancel():  # else nobody waits for it any more
            task = asyncio.get_running_loop().create_task(self._do(action, done))
            self._tasks.add(task)  # asyncio keeps no reference to it
            task.add_done_callback(self._tasks.discard)

    async def _do(self, action: Callable[[], Awaitable[None] | None], done: Future[None]) -> None:
        try:
            if (outcome := action()) is not None:
                await outcome
        except Exception as error:
            done.set_exception(error)
        else:
            if not self._dying:
                done.set_result(None)

    # from other threads

    @property
    def sessions(self) -> "list[Session]":
        """The sessions of its clients; in a turn."""
        return self._listener.sessions

    def _have(self, action: Callable[[], Awaitable[None] | None]) -> None:
        """Have the loop run ``action``, and return once it is done, or the listener has been stopped.

        Raises:
            RuntimeError: the thread has died, or the calling one has a turn, for which the listener would wait.
            TimeoutError: the listener does nothing for ten seconds.
            Exception: what ``action`` raises.
        """
        self._hub.turn.check_none()
        listener, done, progress = self._listener, Future[None](), -1
        listener.call_soon(lambda: self._begin(action, done))
        while progress != listener.progress:
            progress = listener.progress
            wait((done, self._ended), _PATIENCE, FIRST_COMPLETED)
            if done.done():
                done.result()
                return
            if self._ended.done():
                self.check()
                return
        done.cancel()  # it must not run after the error
        raise TimeoutError(f"the broker's listener did nothing for {_PATIENCE} s")

    def check(self) -> None:
        """Look whether the thread is alive, or was stopped.

        Raises:
            RuntimeError: it has died.
        """
        error = self._ended.exception() if self._ended.done() else None
        if error is not None:
            raise RuntimeError(f"the broker's listener on {self.url} died of {error!r}") from error

    def drain_clients(self) -> None:
        """Return once all that clients have sent by now is done; at once in the listener's own thread.

        Raises:
            RuntimeError: the listener has died.
            TimeoutError: the listener does nothing for ten seconds.
        """
        if threading.current_thread() is not self.thread:
            self._have(self._listener.drain_clients)

    def refuse(self) -> None:
        """Refuse clients until :meth:`accept`; the port stays taken. Raises as :meth:`drain_clients`, and OSError."""
        self._have(self._listener.refuse)

    def accept(self) -> None:
        """Undo :meth:`refuse`. Raises as that."""
        self._have(self._listener.accept)

    def accept_soon(self) -> None:
        """:meth:`accept`, without waiting for it."""
        self._listener.call_soon(self._listener.accept)

    def cut_clients(self) -> None:
        """End the connections of all clients; in a turn."""
        self._listener.cut_clients()

    def flush(self) -> None:
        """Return once what was said to clients by now is sent; at once in the listener's own thread. Raises as
        :meth:`drain_clients`.
        """
        if threading.current_thread() is not self.thread:
            self._have(self._listener.flush)

    def stop(self, grace: float) -> None:
        """Close the listener, and the clients within ``grace`` seconds, and wait for the thread to end.

        Raises:
            RuntimeError: the calling thread has a turn, for which the listener would wait.
            TimeoutError: it has not ended ten seconds later.
        """
        self._hub.turn.check_none()
        self._grace = grace
        self._started.result().call_soon(self._stopping.set)
        self.thread.join(grace + _PATIENCE)
        if self.thread.is_alive():
            raise TimeoutError(f"the broker's listener has not ended after {grace + _PATIENCE} s")

"""A TCP listener on a thread of its own, for tests."""

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.realtime import monotonic
from hutch.fakebroker.server.protocol import Listener
from hutch.fakebroker.server.tls import Tls

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker

_PATIENCE: Final = 10.0  # seconds


class _Loop(asyncio.SelectorEventLoop):
    """An event loop on the real clock, out of reach of what patches the functions of the time module: sockets and the
    limits on waiting for them are real, even while the broker's time stands frozen.
    """

    def time(self) -> float:
        """Real seconds."""
        return monotonic()


class ServerThread:
    """Runs a listener, with TLS if ``tls`` is given, until :meth:`stop`; ``url`` is where it is reached, ``thread``
    what it runs on.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
        ValueError, OverflowError: there is no such host name, or port.
    """

    def __init__(self, broker: "Broker", host: str, port: int, tls: Tls | None = None) -> None:
        started: Future[str] = Future()
        self._broker: Final = broker
        self._tls: Final = tls
        self._grace = 0.0
        self.thread: Final = threading.Thread(
            target=lambda: self._run(host, port, started), name="hutch server", daemon=True
        )
        self.thread.start()
        try:
            self.url: Final = started.result()
        except BaseException:
            self.thread.join(_PATIENCE)
            raise

    def _run(self, host: str, port: int, started: "Future[str]") -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(self._serve(host, port, started))

    async def _serve(self, host: str, port: int, started: "Future[str]") -> None:
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._listener = listener = Listener(self._broker, self._tls)
        try:
            await listener.start(host, port)
        except Exception as error:  # whatever it is, the thread that waits for the start is to have it
            started.set_exception(error)
            return
        started.set_result(listener.url)
        await self._stopping.wait()
        await listener.stop(self._grace)

    def catch_up(self) -> None:
        """Return once all that clients have sent by now is done; at once in the listener's own thread.

        Raises:
            TimeoutError: nothing at all is done for ten seconds.
        """
        if threading.current_thread() is self.thread:
            return
        done = asyncio.run_coroutine_threadsafe(self._listener.catch_up(), self._loop)
        while True:
            changes = self._broker.changes
            try:
                done.result(_PATIENCE)
            except TimeoutError:
                if self._broker.changes == changes:
                    text = f"the broker's listener did nothing for {_PATIENCE} s; does this thread hold Broker.lock?"
                    raise TimeoutError(text) from None
            else:
                return

    def cut_clients(self) -> None:
        """End the connections of all clients, and go on listening.

        Raises:
            TimeoutError: it takes more than ten seconds.
        """
        asyncio.run_coroutine_threadsafe(self._listener.cut_clients(), self._loop).result(_PATIENCE)

    def expect(self, moment: float) -> None:
        """See to it that the listener looks after what falls due at ``moment``, whoever has set that timer."""
        if moment < self._listener.armed_for:
            self._listener.call_soon(self._listener.arm)

    def stop(self, grace: float) -> None:
        """Close the listener, and the clients within ``grace`` seconds, and wait for the thread to end."""
        self._grace = grace
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.thread.join()

"""A TCP listener on a thread of its own, for tests."""

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.server.protocol import Listener

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker

_PATIENCE: Final = 10.0  # seconds


class ServerThread:
    """Runs a listener until :meth:`stop`; ``url`` is where it is reached, ``thread`` what it runs on.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
    """

    def __init__(self, broker: "Broker", host: str, port: int) -> None:
        started: Future[str] = Future()
        self._broker: Final = broker
        self.thread: Final = threading.Thread(
            target=lambda: asyncio.run(self._serve(host, port, started)), name="hutch server", daemon=True
        )
        self.thread.start()
        self.url: Final = started.result()

    async def _serve(self, host: str, port: int, started: "Future[str]") -> None:
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._listener = listener = Listener(self._broker)
        try:
            await listener.start(host, port)
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(listener.url)
        await self._stopping.wait()
        await listener.stop()

    def catch_up(self) -> None:
        """Return once all that clients have sent by now is done; at once in the listener's own thread.

        Raises:
            TimeoutError: it takes more than ten seconds.
        """
        if threading.current_thread() is not self.thread:
            asyncio.run_coroutine_threadsafe(self._listener.catch_up(), self._loop).result(_PATIENCE)

    def stop(self) -> None:
        """Close the clients and the listener, and wait for the thread to end."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.thread.join()

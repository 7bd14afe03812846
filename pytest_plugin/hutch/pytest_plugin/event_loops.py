"""Waiting where an event loop runs: asyncio's or trio's, and anyio on either."""

import sys
from typing import Any, Protocol

_ASYNCIO = "asyncio"
_TRIO = "trio"


class Signal(Protocol):
    """Something that a coroutine waits for, and any thread sets."""

    def set(self) -> None:
        """Wake up the coroutine that waits. Any thread may call this."""

    async def wait(self, seconds: float) -> None:
        """Wait until it is set, at most so many real seconds, and unset it."""


def running_loop() -> str | None:
    """The library whose event loop runs in this thread: ``asyncio``, ``trio``, or ``None``."""
    trio: Any = sys.modules.get(_TRIO)
    if trio is not None and trio.lowlevel.in_trio_task():
        return _TRIO
    asyncio: Any = sys.modules.get(_ASYNCIO)
    if asyncio is not None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        return _ASYNCIO
    return None


def refuse_to_block(method: str, twin: str) -> None:
    """Refuse to block where an event loop runs.

    Raises:
        RuntimeError: one runs in this thread.
    """
    library = running_loop()
    if library is not None:
        raise RuntimeError(
            f"{method}() blocks, and {library}'s event loop runs in this thread: your application would stand still. "
            f"Write `await fakebroker.{twin}(...)`"
        )


def signal() -> Signal:
    """A signal for the event loop that runs in this thread.

    Raises:
        RuntimeError: none runs that is known.
    """
    library = running_loop()
    if library == _TRIO:
        return _TrioSignal(sys.modules[_TRIO])
    if library == _ASYNCIO:
        return _AsyncioSignal()
    raise RuntimeError("this waits in an event loop of asyncio or trio, and none runs in this thread")


class _AsyncioSignal:
    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415  (most tests do without)

        self._asyncio = asyncio
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        try:
            async with self._asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()


class _TrioSignal:
    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()

    def set(self) -> None:
        self._token.run_sync_soon(self._fire)

    def _fire(self) -> None:
        self._event.set()  # the one that is waited for by then

    async def wait(self, seconds: float) -> None:
        with self._trio.move_on_after(seconds):
            await self._event.wait()
        self._event = self._trio.Event()

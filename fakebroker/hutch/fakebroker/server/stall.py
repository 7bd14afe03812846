"""A client that does not read what is sent to it, and how a stream ends by RST."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from hutch.fakebroker.engine.clock import Timer, Timers

#: How long RabbitMQ waits for a client to take what is sent, seconds (CONSUME-33).
SEND_TIMEOUT: Final = 30.0

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Stall:
    """Whether a client has stopped reading; ``give_up`` is called once that has lasted for :data:`SEND_TIMEOUT`.

    To be used with the broker's lock held. ``timers`` are those of the time that the client lives in.
    """

    def __init__(self, timers: Timers, give_up: Callable[[], None]) -> None:
        self.is_there = False
        self._timers: Final = timers
        self._give_up: Final = give_up
        self._timer: Timer | None = None

    def begin(self) -> None:
        """The client has stopped reading."""
        self.is_there = True
        self._timer = self._timers.set_for_client(SEND_TIMEOUT, self._give_up)

    def end(self) -> None:
        """It reads, or is gone."""
        self.is_there = False
        if self._timer is not None:
            self._timers.cancel(self._timer)
            self._timer = None


def reset_on_close(transport: asyncio.Transport) -> None:
    """Have a stream end by RST (CONN-HDR-14)."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

"""Heartbeats on the broker's clock (CONN-TUNE-08 to CONN-TUNE-12)."""

from collections.abc import Callable

from hutch.fakebroker.engine.clock import Timer, Timers


class Heartbeat:
    """Sends a heartbeat each half interval in which nothing was sent, and gives the client up when two whole intervals
    in a row brought nothing.

    ``interval`` is in seconds, above 0. ``sent`` and ``received`` are to be set whenever bytes go out or come in. While
    ``deaf``, which is for a client that is not read, it is not given up.
    """

    def __init__(self, timers: Timers, interval: float, send: Callable[[], None], give_up: Callable[[], None]) -> None:
        self.sent = False
        self.received = True
        self.deaf = False
        self._timers = timers
        self._interval = interval
        self._send = send
        self._give_up = give_up
        self._silent = 0
        self._sender: Timer = timers.set_for_client(interval / 2, self._beat)
        self._monitor: Timer = timers.set_for_client(interval, self._check)

    def stop(self) -> None:
        """Neither send nor expect any more."""
        self._timers.cancel(self._sender)
        self._timers.cancel(self._monitor)

    def _beat(self) -> None:
        if not self.sent:
            self._send()
        self.sent = False
        self._sender = self._timers.set_for_client(self._interval / 2, self._beat)

    def _check(self) -> None:
        self._silent = 0 if self.received or self.deaf else self._silent + 1
        self.received = False
        if self._silent == 2:
            self._give_up()
        else:
            self._monitor = self._timers.set_for_client(self._interval, self._check)

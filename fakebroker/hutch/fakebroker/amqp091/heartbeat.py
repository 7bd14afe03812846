"""Heartbeats on the broker's clock (CONN-TUNE-08 to CONN-TUNE-12)."""

from collections.abc import Callable

from hutch.fakebroker.engine.clock import Timer, Timers


class Heartbeat:
    """Sends a heartbeat at the first half interval, and at each later one if nothing was sent since the one before.
    Gives the client up when two whole intervals in a row brought nothing.

    ``interval`` is in seconds, above 0. ``sent`` and ``received`` are to be set whenever bytes go out or come in.
    """

    def __init__(self, timers: Timers, interval: float, send: Callable[[], None], give_up: Callable[[], None]) -> None:
        self.sent = False
        self.received = True
        self._timers = timers
        self._interval = interval
        self._send = send
        self._give_up = give_up
        self._silent = 0
        self._sender: Timer = timers.set_for_client(interval / 2, self._first_beat)
        self._monitor: Timer = timers.set_for_client(interval, self._check)

    def pause_monitor(self) -> None:
        """Expect nothing of the client, and go on sending: it is not read (CONN-BLOCK-04), or the connection closes."""
        self._timers.cancel(self._monitor)

    def resume_monitor(self) -> None:
        """Expect signs of life again, as from a client that has just come."""
        self._silent = 0
        self.received = True
        self._monitor = self._timers.set_for_client(self._interval, self._check)

    def stop(self) -> None:
        """Neither send nor expect any more."""
        self._timers.cancel(self._sender)
        self._timers.cancel(self._monitor)

    def _first_beat(self) -> None:
        # RabbitMQ sends the first heartbeat even if other frames were sent. Clients may rely on it.
        self.sent = False
        self._beat()

    def _beat(self) -> None:
        if not self.sent:
            self._send()
        self.sent = False
        self._sender = self._timers.set_for_client(self._interval / 2, self._beat)

    def _check(self) -> None:
        self._silent = 0 if self.received else self._silent + 1
        self.received = False
        if self._silent == 2:
            self._give_up()
        else:
            self._monitor = self._timers.set_for_client(self._interval, self._check)

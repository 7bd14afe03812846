"""What goes over a connection: whether it is open, how much was sent and received, heartbeats."""

from typing import Any

from hutch.client.compat.raw_methods import RawMethods
from hutch.client.heartbeats import RATE
from hutch.wire.frames import HEARTBEAT_FRAME
from hutch.wire.transport import Transport


class TrafficMethods(RawMethods):
    """The state of a connection's traffic. Base of :class:`Connection`."""

    @property
    def connected(self) -> bool:
        """Whether it is open, as far as has been noticed."""
        return self._link is not None

    @property
    def transport(self) -> Transport | None:
        """What carries the bytes; ``None`` while closed."""
        return self._link.transport if self._link is not None else None

    @property
    def sock(self) -> Any:
        """The socket; ``None`` while closed, and where there is none.

        An event loop may watch it: it is readable as long as :meth:`Connection.drain_events` has something to hand on,
        also what an earlier call has read.
        """
        return self._link.sock if self._link is not None else None

    @property
    def _transport(self) -> Any:
        """py-amqp's private name for the transport. Celery sets a timeout of its ``sock`` for closing a connection."""
        return self._link

    @property
    def bytes_sent(self) -> int:
        """How many writes there were; py-amqp's name, and not bytes there either. Frame writers may add to it."""
        return self._link.sent if self._link is not None else 0

    @bytes_sent.setter
    def bytes_sent(self, count: int) -> None:
        self._opened("bytes_sent").sent = count

    @property
    def bytes_recv(self) -> int:
        """How many reads there were. Frame handlers may add to it."""
        return self._link.received if self._link is not None else 0

    @bytes_recv.setter
    def bytes_recv(self, count: int) -> None:
        self._opened("bytes_recv").received = count

    # heartbeats

    def send_heartbeat(self) -> None:
        """Send a heartbeat now."""
        self._opened("heartbeat").send(HEARTBEAT_FRAME)

    def heartbeat_tick(self, rate: float = RATE) -> None:
        """Send a heartbeat if one is due, ``rate`` of them per interval. Waiting does so by itself.

        An application that neither waits nor publishes for long calls this about once a second.

        Raises:
            ConnectionForced: nothing has been received for two intervals; the connection is given up.
        """
        if self._link is not None:
            self._link.beat(rate)

    @property
    def last_heartbeat_sent(self) -> float:
        """When the last check of the heartbeats noticed that something was sent; 0 without heartbeats.

        In seconds on the transport's clock, which is :func:`time.monotonic` for a socket.
        """
        heartbeats = self._link.heartbeats if self._link is not None else None
        return heartbeats.last_sent if heartbeats is not None else 0

    @property
    def last_heartbeat_received(self) -> float:
        """When it noticed that something was received, on the same clock."""
        heartbeats = self._link.heartbeats if self._link is not None else None
        return heartbeats.last_received if heartbeats is not None else 0

    @property
    def prev_sent(self) -> int | None:
        """:attr:`bytes_sent` at the last check of the heartbeats; ``None`` before the first, and without heartbeats."""
        heartbeats = self._link.heartbeats if self._link is not None else None
        return heartbeats.sent if heartbeats is not None else None

    @property
    def prev_recv(self) -> int | None:
        """:attr:`bytes_recv` at the last check for a heartbeat."""
        heartbeats = self._link.heartbeats if self._link is not None else None
        return heartbeats.received if heartbeats is not None else None

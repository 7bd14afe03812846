"""How a client reaches a broker: the interface that the TCP socket and the in-process pipe implement.

A transport belongs to a URL scheme. Who implements one registers, under the entry point group ``hutch.transports``, a
callable that takes a :class:`~hutch.wire.url.Address` and returns a :class:`Transport`; so a client need not know the
broker.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from hutch.wire.url import Address

ENTRY_POINT_GROUP: Final = "hutch.transports"


class Transport(Protocol):
    """A two-way stream of bytes.

    A subclass has to define the first seven methods. The rest has defaults, which are right for a transport that has
    nothing better.

    A deadline is a moment on this transport's own :meth:`monotonic` clock, in seconds; ``None`` waits for ever.
    Every error of the stream is an :class:`OSError`. A deadline that passes is :class:`TimeoutError`, a subclass of it.
    """

    def connect(self, deadline: float | None) -> None:
        """Establish the connection."""

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``."""

    def receive(self, deadline: float | None = None) -> bytes:
        """Some bytes, as soon as there are any; ``b""`` when the other side has ended the stream."""

    def readable(self) -> bool:
        """Whether :meth:`receive` would give bytes, or fail, at once; cheap, and lets no time pass."""

    def close(self) -> None:
        """End the stream; closing again does nothing."""

    def fileno(self) -> int | None:
        """A file descriptor that turns readable when bytes arrive, or ``None`` where there is none."""

    def monotonic(self) -> float:
        """The clock that deadlines are read on, in seconds."""

    def send_pieces(self, pieces: Sequence[bytes | memoryview], deadline: float | None = None) -> None:
        """Send all of ``pieces``, one behind the other. A transport that need not join them saves a copy."""
        self.send(b"".join(pieces), deadline)

    def receive_into(self, room: memoryview, deadline: float | None = None) -> int | None:  # noqa: ARG002
        """:meth:`receive` into ``room``: how many bytes were written to it, 0 when the other side has ended the stream.

        Returns ``None`` at once if the transport cannot do that.
        """
        return None

    @property
    def holds_unread(self) -> bool:
        """Whether something was read from the socket that has not been received, if only a part of what it needs."""
        return False

    @property
    def poll_interval(self) -> float:
        """For how many seconds a publisher need not ask :meth:`readable` again. 0 if asking costs next to nothing."""
        return 0.0

    @property
    def sock(self) -> Any:
        """The socket; ``None`` where there is none, or while not connected."""
        return None


class Opener(Protocol):
    """What an entry point names: makes the transport for an address, not yet connected."""

    def __call__(self, address: Address) -> Transport:
        """A transport to ``address``.

        Raises:
            ConnectionRefusedError: there is nothing at that address, as far as can be told without connecting.
        """


def opener(scheme: str) -> Opener:
    """The opener registered for a URL scheme.

    Raises:
        LookupError: no installed distribution registers the scheme; the message names those that are.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  (half of this package's import time; few need it)

    known = entry_points(group=ENTRY_POINT_GROUP)
    for entry_point in known:
        if entry_point.name == scheme:
            found: Opener = entry_point.load()
            return found
    names = ", ".join(sorted(entry_point.name for entry_point in known)) or "none"
    raise LookupError(f"no transport for {scheme}:// URLs; registered: {names}")


class RecordingTransport(Transport):
    """A transport that keeps what passes through it: ``log`` holds ``("sent" | "received", bytes)`` in order."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.log: list[tuple[str, bytes]] = []

    def connect(self, deadline: float | None) -> None:
        """Connect the inner transport."""
        self._inner.connect(deadline)

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send and record."""
        self._inner.send(data, deadline)
        self.log.append(("sent", data))

    def receive(self, deadline: float | None = None) -> bytes:
        """Receive and record."""
        data = self._inner.receive(deadline)
        self.log.append(("received", data))
        return data

    def readable(self) -> bool:
        """The inner transport's."""
        return self._inner.readable()

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()

    def fileno(self) -> int | None:
        """The inner transport's."""
        return self._inner.fileno()

    def monotonic(self) -> float:
        """The inner transport's."""
        return self._inner.monotonic()

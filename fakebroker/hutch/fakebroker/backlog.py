"""What a client has sent and the broker does not read, because an alarm is raised (CONN-BLOCK)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from hutch.wire.frames import Frame

if TYPE_CHECKING:
    from hutch.fakebroker.handshake import Handshake
    from hutch.fakebroker.session import Session


class Backlog:
    """Blocks a session from when it is made until no alarm is raised any more.

    ``frames`` are those that came along with what had it blocked, ``data`` is what came later; ``ended`` is set when
    the client has ended the stream, which is not noticed before.
    """

    def __init__(self, session: "Session", handshake: "Handshake", frames: Iterator[Frame]) -> None:
        self.frames: Final = frames
        self.data: Final[list[bytes]] = []
        self.ended = False
        self._session: Final = session
        self._handshake: Final = handshake
        alarms = session.node.alarms
        alarms.wait(self._unblock)
        self._record("blocked")
        handshake.block(alarms.reason)

    def _unblock(self) -> None:
        self._record("unblocked")
        self._handshake.block(None)
        self._session.catch_up()

    def _record(self, kind: str) -> None:
        connection = self._session.connection
        vhost = connection.vhost.name if connection else ""
        self._session.node.history.record(kind, vhost, detail=self._session.peer.name)

    def forget(self) -> None:
        """Wait for the alarm no more."""
        self._session.node.alarms.forget(self._unblock)

"""What is known of a client from its first byte on."""

from typing import Final

from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.peer import Peer
from hutch.wire.fields import FieldTable


class Client:
    """The client of one connection, be it open or not yet.

    ``connected_at`` is when it came, seconds since 1970. ``protocol`` is the version of AMQP that it speaks.
    ``properties`` are what it says of itself. ``mechanism`` is the SASL mechanism that it took. ``channel_max``,
    ``frame_max`` (bytes) and ``heartbeat`` (seconds) are what was agreed on, 0 before that. ``user`` is ``None`` before
    the login.
    """

    def __init__(self, peer: Peer, connected_at: float) -> None:
        self.peer: Final = peer
        self.connected_at: Final = connected_at
        self.protocol = (0, 9, 1)
        self.properties: FieldTable = {}
        self.mechanism = ""
        self.channel_max = 0
        self.frame_max = 0
        self.heartbeat = 0
        self.user: str | None = None

    @property
    def origin(self) -> Origin:
        """Who makes facts happen before there is a connection."""
        return Origin(self.peer.name, None, self.user)

"""Who made a fact happen."""

from typing import Final


class Origin:
    """A channel, a connection (``channel`` is ``None``), or an operator or the broker (``connection`` is, too).

    ``connection`` is the connection's name, ``channel`` the channel's number. ``user`` is who acts, as RabbitMQ calls
    it; ``None`` before the login. A channel or connection makes its origin once. It never changes, and equals no other.
    """

    __slots__ = ("channel", "connection", "user")

    def __init__(self, connection: str | None, channel: int | None, user: str | None) -> None:
        self.connection: Final = connection
        self.channel: Final = channel
        self.user: Final = user

    def __repr__(self) -> str:
        return f"Origin({self.connection!r}, {self.channel!r}, {self.user!r})"


#: The origin of facts without a client or operator, for example an expiry or the end of an auto-delete queue.
BROKER: Final = Origin(None, None, "rmq-internal")
#: The origin of facts that an operator makes happen with rabbitmqctl.
OPERATOR: Final = Origin(None, None, "rmq-cli")

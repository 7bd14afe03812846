"""What may stand between a session and its client."""

from abc import abstractmethod

from hutch.wire.declaration import Method
from hutch.wire.interfaces import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Gate:
    """Sees what a client sends and what it is sent, and may keep it. ``Session.gate`` is ``None`` while there is none.

    Commands of channels do not come here, but to ``Cutter.commands``. All methods are called in a turn.
    """

    @abstractmethod
    def arriving(self, data: bytes) -> bytes:
        """The bytes to take now, of those that came from the client."""

    @abstractmethod
    def leaving(self, data: bytes) -> bytes:
        """The bytes to send now, where the session has ``data`` to send."""

    @property
    @abstractmethod
    def has_output(self) -> bool:
        """Whether :meth:`leaving` has bytes to send without new ones."""

    @property
    @abstractmethod
    def hides_end(self) -> bool:
        """Whether the client is not to notice that the broker ends the connection."""

    @abstractmethod
    def keeps_loss(self) -> bool:
        """Whether the broker does not notice, or not yet, that the client has just gone."""

    @abstractmethod
    def connection_method(self, method: Method) -> None:
        """Take a method of channel 0. :meth:`Handshake.carry_out` does what it asks for.

        Raises:
            AMQPError, BrokerError: the connection is to close.
        """

    @abstractmethod
    def keeps(self, data: bytes) -> bool:
        """Whether the client is not sent a command now, or ever. ``data`` is one command in frames, or a heartbeat."""

"""What the engine says to a client."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.wire.codes import ReplyCode
from hutch.wire.declaration import Method
from hutch.wire.interfaces import mypyc_attr

if TYPE_CHECKING:
    from hutch.fakebroker.engine.message import Message


@mypyc_attr(allow_interpreted_subclasses=True)
class Output:
    """Where the engine sends what a client is to see; the session is one."""

    @property
    @abstractmethod
    def is_behind(self) -> bool:
        """Whether some of it is not sent, because the client does not read, or not yet."""

    @abstractmethod
    def method(self, channel: int, method: Method) -> None:
        """Send a method without content."""

    @abstractmethod
    def queue_method(self, channel: int, method: Method) -> None:
        """Send a method that a queue of RabbitMQ's sends: it comes behind the channel's answers to all that the client
        has sent along.
        """

    @abstractmethod
    def content(self, channel: int, method: Method, message: "Message") -> None:
        """Send a method with a message: basic.return, basic.get-ok."""

    @abstractmethod
    def deliver(
        self, channel: int, consumer_tag: bytes, delivery_tag: int, redelivered: bool, message: "Message"
    ) -> None:
        """Send basic.deliver; ``consumer_tag`` is a short string."""

    @abstractmethod
    def fail_channel(self, channel: int, error: AMQPError) -> None:
        """Close a channel because of an error that no method of the client's has caused."""

    @abstractmethod
    def committing(self, channel: int, complete: Callable[[], None]) -> None:
        """Take no more on a channel until all is done that came along with the tx.commit in hand (TX-16); then call
        ``complete``, which may raise a :class:`~hutch.fakebroker.engine.errors.BrokerError` that closes the
        channel.
        """

    @abstractmethod
    def crash(self, channel: int) -> None:
        """Close the connection with 541 because of what a queue has said to a channel."""

    @abstractmethod
    def close(self, code: ReplyCode, text: str) -> None:
        """Send connection.close, ``text`` being its reply text, and close the engine's side of the connection."""


class Unheard(Output):
    """The output of a channel that has nothing to say any more."""

    @property
    def is_behind(self) -> bool:
        """Whether some of it is not sent: there is nothing."""
        return False

    def method(self, channel: int, method: Method) -> None:
        """Nothing."""

    def queue_method(self, channel: int, method: Method) -> None:
        """Nothing."""

    def content(self, channel: int, method: Method, message: "Message") -> None:
        """Nothing."""

    def deliver(
        self, channel: int, consumer_tag: bytes, delivery_tag: int, redelivered: bool, message: "Message"
    ) -> None:
        """Nothing."""

    def fail_channel(self, channel: int, error: AMQPError) -> None:
        """Nothing."""

    def committing(self, channel: int, complete: Callable[[], None]) -> None:
        """Nothing."""

    def crash(self, channel: int) -> None:
        """Nothing."""

    def close(self, code: ReplyCode, text: str) -> None:
        """Nothing."""

"""What RabbitMQ does only when it has gone through all bytes that came at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel

_CONNECTION: Final = 0


class AfterInput:
    """What becomes of a connection and its channels once the bytes in hand are used up.

    RabbitMQ's reader hands on what a client sends. It hears no earlier what its channels made of it: that one has
    closed, or has found an error that closes the connection. A channel hears still later from queues, which answer
    consumers and tx.commit.

    ``reading`` is whether bytes are in hand, ``reads`` how often they were used up. ``due`` is whether something ends
    then, or is sent. ``waiting`` are the channels that hear then what queues have told them of publishes. ``write``
    sends bytes; ``sent`` tells queues that all was sent.
    """

    def __init__(self, write: Callable[[bytes], None], sent: Callable[[], None]) -> None:
        self.reading = False
        self.reads = 0
        self.due = False
        self.waiting: dict[Channel, None] = {}
        self._write: Final = write
        self._sent: Final = sent
        #: Keys are channel numbers; 0 is the connection itself.
        self._ends: dict[int, Callable[[], None]] = {}
        self._answers: dict[int, list[bytes]] = {}
        self._commits: dict[int, Callable[[], None]] = {}

    def end(self, action: Callable[[], None], channel: int = _CONNECTION) -> None:
        """End a channel, or the connection; in place of what was to be done for that before."""
        self._ends[channel] = action
        self.due = True

    def answer(self, channel: int, data: bytes) -> None:
        """Send what a queue says to a channel, and behind that all that queues say to it."""
        self._answers.setdefault(channel, []).append(data)
        self.due = True

    def delays(self, channel: int) -> bool:
        """Whether all that queues say to a channel is for :meth:`answer`."""
        return channel in self._answers

    def commit(self, channel: int, action: Callable[[], None]) -> None:
        """Complete a commit."""
        self._commits[channel] = action
        self.due = True

    def forget(self, channel: int) -> None:
        """A channel has ended, and hears from no queue any more."""
        self._answers.pop(channel, None)

    def send_answers(self, channel: int) -> None:
        """Send at once what queues have said to a channel."""
        for frames in self._answers.pop(channel, ()):
            self._write(frames)

    def run(self) -> None:
        """The bytes in hand are used up."""
        self.reading = self.due = False
        ends, self._ends = self._ends, {}
        for action in ends.values():
            action()
        for channel in list(self._answers):
            self.send_answers(channel)
        waiting, self.waiting = self.waiting, {}
        for hearing in waiting:
            hearing.hear()
        self._sent()
        commits, self._commits = self._commits, {}
        for action in commits.values():
            action()

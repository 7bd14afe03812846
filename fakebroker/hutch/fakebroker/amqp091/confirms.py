"""Publisher confirms (https://www.rabbitmq.com/docs/confirms) of one channel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.wire.interfaces import mypyc_attr
from hutch.wire.methods import BasicAck, BasicNack

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel
    from hutch.fakebroker.engine.targets import Target


@mypyc_attr(allow_interpreted_subclasses=True)
class Confirms:
    """The confirms of one channel.

    A queue's confirm comes to the channel behind the publishes that are at hand already. So the confirms of a burst are
    gathered until :meth:`flush`, and one ack confirms many (CONFIRM-07). What the channel knows without a queue it
    sends at once: a message is unroutable (CONFIRM-06), or its queue is known to be full (QUORUM-13).
    """

    __slots__ = ("_acks", "_channel", "_nacks", "_single", "count")

    def __init__(self, channel: "Channel") -> None:
        #: Number of publishes so far.
        self.count = 0
        self._channel: Final = channel
        self._single: Final = channel.connection.profile.single_confirms
        self._acks: list[int] = []
        self._nacks: list[int] = []

    def add(self, queues: "Sequence[Target]", refusing: "Sequence[Target]") -> None:
        """Confirm the next publish, which went to ``queues``; those of them that refused it are ``refusing``."""
        self.count += 1
        if refusing:
            # One refusing queue is enough for a nack (CONFIRM-10).
            at_once = any(queue.refuses_at_once for queue in refusing)
        else:
            at_once = not queues or all(isinstance(queue, ReplyQueue) for queue in queues)
        if not at_once and not self._single:
            (self._nacks if refusing else self._acks).append(self.count)
            self._channel.after_input.waiting[self._channel] = None
        elif refusing:
            self._tell(BasicNack(self.count, multiple=not self._acks and not self._nacks))
        else:
            self._note(1)
            self._tell(BasicAck(self.count))

    def flush(self) -> None:
        """Tell what was gathered. An ack is ``multiple`` up to the first nack, and a nack up to the first ack; a nack
        also where it is alone, but an ack not (CONFIRM-09).
        """
        acks, nacks = self._acks, self._nacks
        self._acks, self._nacks = [], []
        if acks:
            self._note(len(acks))
        if len(acks) == 1:
            self._tell(BasicAck(acks[0]))
        else:
            several = [number for number in acks if not nacks or number < nacks[0]]
            if several:
                self._tell(BasicAck(several[-1], multiple=True))
            for number in acks[len(several) :]:
                self._tell(BasicAck(number))
        several = [number for number in nacks if not acks or number < acks[0]]
        if several:
            self._tell(BasicNack(several[-1], multiple=True))
        for number in nacks[len(several) :]:
            self._tell(BasicNack(number))

    def _note(self, count: int) -> None:
        """Tell the journal of so many confirms."""
        channel = self._channel
        channel.vhost.node.journal.confirmed(channel.origin, channel.vhost, count)

    def _tell(self, confirm: BasicAck | BasicNack) -> None:
        self._channel.output.method(self._channel.number, confirm)

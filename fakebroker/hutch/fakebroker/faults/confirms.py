"""A channel's confirms, some of which are held back."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.confirms import Confirms
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.targets import Target
from hutch.wire.methods import BasicAck, BasicNack


class HeldConfirms(Confirms):
    """The confirms of one channel, in place of ``former``.

    A confirm with ``multiple`` says nothing of a publish that is held back, as RabbitMQ's says nothing of one that its
    queues have not confirmed.
    """

    def __init__(self, channel: Channel, former: Confirms) -> None:
        super().__init__(channel)
        self.count = former.count
        self._acks, self._nacks = former._acks, former._nacks  # noqa: SLF001  (it takes that one's place)
        self._wants_each: Final = channel.connection.profile.single_confirms
        #: By number, whether a publish that is held back was nacked; ``None`` before that is known.
        self._withheld: Final[dict[int, bool | None]] = {}
        #: The numbers of publishes with a confirm of their own.
        self._singles: Final[set[int]] = set()

    @classmethod
    def of(cls, channel: Channel) -> "HeldConfirms":
        """Those of a channel that is in confirm mode."""
        if not isinstance(channel.confirms, cls):
            assert channel.confirms is not None
            channel.confirms = cls(channel, channel.confirms)
        return channel.confirms

    def hold_next(self) -> int:
        """Hold back the confirm of the next publish; its number."""
        self._withheld[self.count + 1] = None
        return self.count + 1

    def tell_next_at_once(self) -> None:
        """Confirm the next publish by itself."""
        self._singles.add(self.count + 1)

    def lose_next(self) -> None:
        """There was a publish that is never confirmed."""
        self.count += 1
        self._withheld[self.count] = None

    def let_go(self, numbers: Iterable[int]) -> None:
        """Tell the confirms that were held back."""
        for number in numbers:
            is_nacked = self._withheld.pop(number, None)
            if is_nacked is not None:
                (self._nacks if is_nacked else self._acks).append(number)
        self._acks.sort()
        self._nacks.sort()
        if not self._channel.closed:
            self.flush()

    def add(self, queues: Sequence[Target], refusing: Sequence[Target]) -> None:
        """Confirm the next publish, or hold that back."""
        self.count += 1
        number = self.count
        if number in self._withheld:
            self._withheld[number] = bool(refusing)
            return
        if refusing:
            at_once = any(queue.refuses_at_once for queue in refusing)
        else:
            at_once = not queues or all(isinstance(queue, ReplyQueue) for queue in queues)
        if at_once or self._wants_each or number in self._singles:
            self._singles.discard(number)
            if not refusing:
                self._note(1)
            self._tell(BasicNack(number) if refusing else BasicAck(number))
        else:
            (self._nacks if refusing else self._acks).append(number)
            self._channel.after_input.waiting[self._channel] = None

    def flush(self) -> None:
        """Tell what was gathered."""
        acks, nacks = self._acks, self._nacks
        self._acks, self._nacks = [], []
        if acks:
            self._note(len(acks))
        unknown = min(self._withheld, default=math.inf)
        self._tell_all(BasicAck, acks, min(unknown, *nacks[:1]) if nacks else unknown, least=2)
        self._tell_all(BasicNack, nacks, min(unknown, *acks[:1]) if acks else unknown, least=1)

    def _tell_all(self, kind: type[BasicAck | BasicNack], numbers: list[int], limit: float, least: int) -> None:
        several = [number for number in numbers if number < limit]
        if several and len(numbers) >= least:
            self._tell(kind(several[-1], multiple=True))
            numbers = numbers[len(several) :]
        for number in numbers:
            self._tell(kind(number))

"""Consumers, and whose turn it is among those of a queue."""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.engine.state.values import ConsumerState
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.unsent import Unsent


class Consumer:
    """One consumer of a queue.

    ``sink`` is where its messages go. ``prefetch`` is how many deliveries may be unacknowledged at once, 0 for any
    number; ``unacked`` is how many are, and ``revoked`` how many of these the queue has taken back. ``blocked`` is set
    while it is out of its queue's rotation for want of credit or room; ``blocked_as`` is its place in the order of
    blocking. ``credit`` is how many more deliveries the client allows by basic.credit (CONSUME-26); ``None`` when
    acknowledgements decide. ``draining`` is set while the client waits to hear that the queue is empty. ``unsent``
    belongs to the sink: how many deliveries it took and has not sent, ``None`` where that does not count.
    """

    __slots__ = (
        "arguments",
        "blocked",
        "blocked_as",
        "credit",
        "draining",
        "exclusive",
        "no_ack",
        "prefetch",
        "priority",
        "queue",
        "revoked",
        "sink",
        "tag",
        "tag_bytes",
        "unacked",
        "unsent",
    )

    def __init__(
        self,
        tag: str,
        queue: "Queue",
        sink: Sink,
        *,
        no_ack: bool,
        exclusive: bool,
        prefetch: int,
        priority: int = 0,
        arguments: FieldTable,
    ) -> None:
        self.tag = tag
        raw = tag.encode()
        #: The tag as a short string, as deliveries carry it.
        self.tag_bytes = bytes((len(raw),)) + raw
        self.queue = queue
        self.sink = sink
        self.no_ack = no_ack
        self.exclusive = exclusive
        self.prefetch = prefetch
        self.priority = priority
        self.arguments = arguments
        self.credit: int | None = None
        self.draining = False
        self.unacked = 0
        self.revoked = 0
        self.unsent: Unsent | None = None
        self.blocked = False
        self.blocked_as = 0

    def dump(self, turn: int, *, is_active: bool) -> ConsumerState:
        """It as data. ``turn`` is its place among those that wait to be served, ``is_active`` is whether it is the
        single active consumer.
        """
        return ConsumerState(
            self.sink.origin,
            self.tag,
            self.no_ack,
            self.exclusive,
            self.prefetch,
            self.priority,
            self.arguments,
            self.credit,
            self.draining,
            is_active,
            turn,
        )

    def load(self, state: ConsumerState) -> None:
        """Have the credit that was dumped."""
        self.credit = state.credit
        self.draining = state.draining

    def has_own_credit(self) -> bool:
        """Whether its own limit lets a delivery through; that counts what the consumer has to acknowledge."""
        if self.credit is not None:
            return self.credit > 0
        return not self.prefetch or self.unacked < self.prefetch

    def has_credit(self) -> bool:
        """Whether a delivery may be sent: by its own limit, and because its sink has room."""
        if self.credit is not None:
            if self.credit <= 0:
                return False
        elif self.prefetch and self.unacked >= self.prefetch:
            return False
        return self.sink.has_room(self)

    def __repr__(self) -> str:
        return f"Consumer({self.tag!r} of {self.queue.name!r})"


#: The class of a queue's consumers.
C = TypeVar("C", bound=Consumer)


class Rotation(Generic[C]):
    """The consumers of a queue that may be served, highest priority first, in turn among equals (CONSUME-22,
    CONSUME-24).

    One that turns out to have no credit leaves, marked ``blocked``, and comes back last when it has some again.
    """

    def __init__(self) -> None:
        self._blocks = 0
        # One ring for each priority there is, highest first; hardly ever more than one.
        self._rings: list[tuple[int, deque[C]]] = []

    def __iter__(self) -> Iterator[C]:
        for _, ring in self._rings:
            yield from ring

    def add(self, consumer: C) -> None:
        """Let the consumer wait for its turn, behind its equals."""
        consumer.blocked = False
        for priority, ring in self._rings:
            if priority == consumer.priority:
                ring.append(consumer)
                return
        insort(self._rings, (consumer.priority, deque((consumer,))), key=lambda entry: -entry[0])

    def remove(self, consumer: C) -> None:
        """Take the consumer out, if it is there."""
        if consumer.blocked:
            consumer.blocked = False
            return
        for priority, ring in self._rings:
            if priority == consumer.priority and consumer in ring:
                ring.remove(consumer)

    def block(self, consumer: C) -> None:
        """Take the consumer out until it is added again, marked ``blocked``."""
        self.remove(consumer)
        self._mark(consumer)

    def _mark(self, consumer: C) -> None:
        self._blocks += 1
        consumer.blocked = True
        consumer.blocked_as = self._blocks

    def next(self) -> C | None:
        """The consumer to serve next, or ``None`` when none has credit. Moves it behind its equals."""
        for _, ring in self._rings:
            while ring:
                consumer = ring[0]
                if consumer.has_credit():
                    if ring[-1] is not consumer:
                        ring.rotate(-1)
                    return consumer
                self._mark(consumer)
                ring.popleft()
        return None

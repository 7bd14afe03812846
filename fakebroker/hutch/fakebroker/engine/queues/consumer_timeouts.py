"""Deliveries of a quorum queue that are not acknowledged in time go back to it (CONSUME-27)."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.clock import Timer, moment
from hutch.fakebroker.engine.origin import BROKER
from hutch.fakebroker.engine.queues.quorum_ready import QuorumEntry
from hutch.fakebroker.engine.sinks import Sink

if TYPE_CHECKING:
    from hutch.fakebroker.engine.deliveries import TypedDelivery
    from hutch.fakebroker.engine.queues.quorum import QuorumQueue
    from hutch.fakebroker.engine.queues.quorum_consumer import QuorumConsumer

    Deliveries = list[TypedDelivery[QuorumConsumer, QuorumEntry]]

#: The timeout of quorum queues if consumer_timeout is undefined, ms.
_UNDEFINED: Final = 86400000


class ConsumerTimeouts:
    """When the deliveries of one quorum queue have to be acknowledged."""

    def __init__(self, queue: "QuorumQueue") -> None:
        self._queue: Final = queue
        self._node: Final = queue.vhost.node
        self._timer: Timer | None = None
        setting = self._node.profile.queues.consumer_timeout
        self._default: Final = (_UNDEFINED if setting is None else setting) / 1000

    def watch(self, entry: QuorumEntry, now: float, timeout: float | None) -> None:
        """Give a delivery so many seconds from ``now``, by default what the node's setting gives."""
        if timeout is None:
            timeout = self._default
        entry.deadline = moment(now + timeout)
        self._wake_at(entry.deadline)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._node.timers.cancel(self._timer)
            self._timer = None

    def _wake_at(self, at: float) -> None:
        if self._timer is None or at < self._timer.at:
            self.stop()
            # A client that waits for something else does not wait for this timer.
            self._timer = self._node.timers.set_at(at, self._look, background=True)

    def _look(self) -> None:
        self._timer = None
        now = self._node.clock.monotonic()
        late: dict[tuple[Sink, QuorumConsumer | None], Deliveries] = {}
        for delivery in self._queue.deliveries:
            if delivery.entry.deadline <= now:
                late.setdefault((delivery.sink, delivery.consumer), []).append(delivery)
            else:
                self._wake_at(delivery.entry.deadline)
        for (sink, consumer), deliveries in late.items():
            # A channel that closed because of some deliveries has requeued the others.
            if left := [delivery for delivery in deliveries if delivery in self._queue.deliveries]:
                self._release(sink, consumer, left)
        self._queue.dispatch()

    def _release(self, sink: Sink, consumer: "QuorumConsumer | None", deliveries: "Deliveries") -> None:
        entries = [delivery.entry for delivery in deliveries]
        for delivery in deliveries:
            delivery.revoke()
            entry = delivery.entry
            delivery.entry = QuorumEntry(entry.position, entry.message, None)
        self._queue.requeue(entries, BROKER, failed=False)
        if consumer is None or not self._queue.suspend(consumer):
            sink.timed_out()

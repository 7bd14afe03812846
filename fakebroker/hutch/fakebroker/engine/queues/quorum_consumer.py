"""A consumer of a quorum queue, and how many deliveries it may have."""

from dataclasses import replace
from typing import Final

from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.state.values import ConsumerState

#: How many deliveries a consumer without a prefetch may have outstanding.
_UNLIMITED_PREFETCH: Final = 2000


class QuorumConsumer(Consumer):
    """A consumer of a quorum queue.

    ``limit`` is how many deliveries may be unacknowledged at once. The consumer gets no more while it has a revoked
    delivery, which was not acknowledged in time. ``lost`` is the credit it has lost because the queue was empty
    (CONSUME-26). ``promised`` is how many deliveries it is about to get, ``arrival`` its number among the queue's
    consumers. ``crashes`` is whether its channel ends with its next delivery.
    """

    limit = _UNLIMITED_PREFETCH
    lost = 0
    promised = 0
    arrival = 0
    crashes = False

    def arrive(self, arrival: int) -> None:
        """Be the queue's consumer of that number; what the client limits it to counts from now on."""
        self.arrival = arrival
        self.limit = self.prefetch or _UNLIMITED_PREFETCH

    def has_credit(self) -> bool:
        """Whether a delivery may be sent; a limit that consumers share does not concern quorum queues (QOS-10)."""
        if self.credit is not None:
            credit = self.credit - self.promised
        elif self.no_ack:
            credit = self.limit
        else:
            credit = self.limit - self.unacked - self.promised
        return credit > 0 and not self.revoked

    def grant(self, credit: int) -> int:
        """Let it have so many deliveries from now on, less what it has lost; how many that is."""
        given = max(credit - self.lost, 0)
        if self.credit is None:
            self.limit = self.unacked + given
        else:
            self.credit = given
        return given

    def lose(self, credit: int) -> None:
        """Let it have none from now on, since there was nothing for so many."""
        self.lost += credit
        self.grant(0)

    def dump(self, turn: int, *, is_active: bool) -> ConsumerState:
        """It as data."""
        state = super().dump(turn, is_active=is_active)
        return replace(
            state,
            limit=self.limit,
            lost=self.lost,
            arrival=self.arrival,
            crashes=self.crashes,
            left_out=self.blocked and self.has_credit(),  # it has returned the delivery that timed out (CONSUME-27)
        )

    def load(self, state: ConsumerState) -> None:
        """Have what was dumped."""
        super().load(state)
        self.limit, self.lost, self.arrival = state.limit, state.lost, state.arrival
        self.crashes = state.crashes

    def take_over(self, before: "QuorumConsumer") -> None:
        """Be the consumer that was there before, whose deliveries count for this one too."""
        for delivery in self.queue.deliveries:
            if delivery.consumer is before:
                delivery.consumer = self
                self.unacked += 1
        before.unacked -= self.unacked
        self.limit = max(self.limit, self.unacked)
        self.arrival = before.arrival

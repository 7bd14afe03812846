"""What a transactional channel holds back until it commits (TX rows; https://www.rabbitmq.com/docs/semantics#tx)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hutch.fakebroker.engine.message import Message

if TYPE_CHECKING:
    from hutch.fakebroker.engine.deliveries import Delivery
    from hutch.fakebroker.engine.targets import Target


class HeldPublish(NamedTuple):
    """A message that was accepted. ``queues`` are those it was routed to when it was published (TX-15)."""

    message: Message
    mandatory: bool
    queues: "list[Target]"


class Outcome(NamedTuple):
    """What is to become of deliveries: acknowledged, else requeued or dead-lettered.

    ``failed`` is what :meth:`Queue.requeue <hutch.fakebroker.engine.queues.queue.Queue.requeue>` and ``discard`` are
    told.
    """

    acked: bool
    requeue: bool = False
    failed: bool = False


ACKED = Outcome(acked=True)


@dataclass(slots=True)
class Transaction:
    """What a channel did since tx.select, or since its last commit or rollback.

    ``decisions`` are the outcomes of deliveries, in the order of the client's methods. Neighbours of one outcome are
    one decision, as in RabbitMQ, which carries them out together.
    """

    publishes: list[HeldPublish] = field(default_factory=list)
    decisions: "list[tuple[Outcome, list[Delivery]]]" = field(default_factory=list)

    def decide(self, outcome: Outcome, deliveries: "list[Delivery]") -> None:
        """Hold an ack, nack or reject back until the commit."""
        if self.decisions and self.decisions[-1][0] == outcome:
            self.decisions[-1][1].extend(deliveries)
        else:
            self.decisions.append((outcome, deliveries))

    def go_on(self, successors: "Mapping[Target, Target]") -> None:
        """Publish to the successors of queues that were replaced."""
        self.publishes = [
            held._replace(queues=[successors.get(queue, queue) for queue in held.queues]) for held in self.publishes
        ]

    @property
    def deliveries(self) -> "list[Delivery]":
        """All deliveries that something was decided about."""
        return [delivery for _, deliveries in self.decisions for delivery in deliveries]

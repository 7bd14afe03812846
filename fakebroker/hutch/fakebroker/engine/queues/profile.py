"""What versions of RabbitMQ differ in about classic queues, and about queues of any type."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class QueueProfile:
    """The switches of classic queues, and of queues of any type."""

    #: The least x-max-priority: smaller values count as this one (PRIO-04).
    least_max_priority: int
    #: Whether x-death lacks the expiration of a message that was on disk (DLX-11).
    forgets_expiration_on_disk: bool
    #: Whether ready messages go to the next single active consumer as soon as the active one is cancelled. Otherwise
    #: they wait until something else makes the queue look for consumers (CONSUME-29). Messages that are published
    #: meanwhile wait too; they crash the queue in 3.10.
    cancel_serves_next_active: bool
    #: How long a delivery may wait for its acknowledgement, ms. None: for ever, or a day where quorum queues have
    #: timeouts.
    consumer_timeout: int | None = 1800000


V3_10: Final = QueueProfile(
    least_max_priority=0,
    forgets_expiration_on_disk=True,
    cancel_serves_next_active=False,
)

V4_3: Final = QueueProfile(
    least_max_priority=1,
    forgets_expiration_on_disk=False,
    cancel_serves_next_active=True,
)

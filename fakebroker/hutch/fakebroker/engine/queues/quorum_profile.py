"""What versions of RabbitMQ differ in about quorum queues."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class QuorumProfile:
    """The switches of quorum queues, and of dead-lettering at least once."""

    #: How many priorities quorum queues have (QUORUM-11).
    priorities: int
    #: Whether quorum queues count returned deliveries in x-acquired-count, and have no count header before the first
    #: (QUORUM-02).
    counts_acquired: bool
    #: How often a delivery from a quorum queue may fail without an x-delivery-limit; None: any number (QUORUM-06).
    default_delivery_limit: int | None
    #: Whether a quorum queue without x-delivery-limit puts returned messages behind all others (ACK-08).
    requeues_to_tail: bool
    #: Whether returned messages of a quorum queue may wait for their next delivery (x-delayed-retry-type).
    has_delayed_retry: bool
    #: Whether a quorum queue that drops several messages at once dead-letters the newest first (DLX-20).
    overflow_is_reversed: bool
    #: Whether a quorum queue goes through its consumers by their tags, else in the order in which they came (ACK-08).
    consumers_by_tag: bool
    #: Whether a consumer of higher priority takes over from a quorum queue's single active consumer (CONSUME-30).
    single_active_by_priority: bool
    #: Whether the channel crashes when a quorum queue delivers to a consumer that reuses the tag of a cancelled one
    #: with outstanding deliveries (CONSUME-18).
    crashes_on_reused_tag: bool
    #: Whether quorum queues take back deliveries that are not acknowledged in time (CONSUME-27), else the channel
    #: closes.
    has_consumer_timeouts: bool
    #: Whether a purge also removes the dead letters that a quorum queue keeps (DLX-27).
    purges_dead_letters: bool
    #: Whether a quorum queue never learns that it took its own dead letters, and so keeps them as well (DLX-27).
    keeps_dead_letters_to_itself: bool


V3_10: Final = QuorumProfile(
    priorities=1,
    counts_acquired=False,
    default_delivery_limit=None,
    requeues_to_tail=True,
    has_delayed_retry=False,
    overflow_is_reversed=True,
    consumers_by_tag=True,
    single_active_by_priority=False,
    crashes_on_reused_tag=True,
    has_consumer_timeouts=False,
    purges_dead_letters=False,
    keeps_dead_letters_to_itself=True,
)

V4_3: Final = QuorumProfile(
    priorities=32,
    counts_acquired=True,
    default_delivery_limit=20,
    requeues_to_tail=False,
    has_delayed_retry=True,
    overflow_is_reversed=False,
    consumers_by_tag=False,
    single_active_by_priority=True,
    crashes_on_reused_tag=False,
    has_consumer_timeouts=True,
    purges_dead_letters=True,
    keeps_dead_letters_to_itself=False,
)

"""What versions of RabbitMQ differ in about messages and their deaths."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class MessageProfile:
    """The switches of publishing, of a message's properties, and of dead-lettering."""

    #: max_message_size, bytes (PUB-18).
    max_message_size: int
    #: Whether topic permissions also apply to CC and BCC, after the other checks of the message (PERM-12).
    reads_message_first: bool
    #: Whether headers come out sorted by key and without duplicates (PUB-15, PUB-16).
    sorts_headers: bool
    #: Whether delivery modes other than 1 and 2 are refused (PUB-11).
    checks_delivery_mode: bool
    #: Whether the broker writes x-death itself, else it trusts the header of the publisher (DLX-14).
    tracks_deaths: bool
    #: Whether the properties count beside the body, for x-max-length-bytes of quorum queues.
    counts_properties: bool
    #: Whether a dead letter's failed deliveries still count, so that it arrives marked redelivered (DLX-03).
    dead_letters_keep_failures: bool


V3_10: Final = MessageProfile(
    max_message_size=134217728,
    reads_message_first=False,
    sorts_headers=False,
    checks_delivery_mode=True,
    tracks_deaths=False,
    counts_properties=False,
    dead_letters_keep_failures=False,
)

V4_3: Final = MessageProfile(
    max_message_size=16777216,
    reads_message_first=True,
    sorts_headers=True,
    checks_delivery_mode=False,
    tracks_deaths=True,
    counts_properties=True,
    dead_letters_keep_failures=True,
)

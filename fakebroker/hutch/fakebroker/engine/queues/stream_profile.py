"""What versions of RabbitMQ differ in about streams."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class StreamProfile:
    """The switches of streams."""

    #: Why a stream refuses a consumer without prefetch, or acknowledgements; ``{}`` is the queue (STREAM-03, -04).
    without_prefetch: str
    without_acks: str
    #: Whether basic.nack, reject and recover acknowledge what a stream delivered, else they are refused (STREAM-11).
    takes_refusals: bool
    #: Whether streams have filters (STREAM-16).
    has_filters: bool
    #: Whether messages are converted as 4.x does it: a stream tells a delivery mode even where the publisher did not,
    #: keeps tables and arrays in CC and in headers whose names begin with x-, makes text of byte arrays (STREAM-09) and
    #: takes what nobody waits for the confirm of, dead letters say.
    has_message_containers: bool
    #: After how many seconds a stream looks again for segments that are too old, else with a new segment alone.
    retention_interval: float | None


V3_10: Final = StreamProfile(
    without_prefetch="consumer prefetch count is not set for '{}'",
    without_acks="automatic acknowledgement not supported by stream queues {}",
    takes_refusals=False,
    has_filters=False,
    has_message_containers=False,
    retention_interval=None,
)

V4_3: Final = StreamProfile(
    without_prefetch="consumer prefetch count is not set for stream {}",
    without_acks="automatic acknowledgement not supported by stream {}",
    takes_refusals=True,
    has_filters=True,
    has_message_containers=True,
    retention_interval=3600,
)

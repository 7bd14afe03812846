"""What versions of RabbitMQ differ in about streams."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class StreamProfile:
    """The switches of streams."""

    #: The texts that refuse a consumer without prefetch, or acknowledgements; ``{}`` is the queue (STREAM-03, -04).
    without_prefetch: str
    without_acks: str
    #: Whether basic.nack, reject and recover acknowledge deliveries of a stream, else they are refused (STREAM-11).
    takes_refusals: bool
    #: Whether streams have filters (STREAM-16).
    has_filters: bool
    #: Whether messages are converted as in 4.x: each has a delivery mode, tables and arrays stay in CC and in headers
    #: whose names begin with x-, and byte arrays become text (STREAM-09). Then a stream also takes messages that need
    #: no confirm, for example dead letters.
    has_message_containers: bool
    #: The seconds between two looks for segments that are too old; None: only when a new segment begins.
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

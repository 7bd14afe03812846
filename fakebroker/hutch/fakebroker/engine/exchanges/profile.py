"""What versions of RabbitMQ differ in about exchanges and bindings."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class ExchangeProfile:
    """The switches of :mod:`hutch.fakebroker.engine.exchanges`."""

    #: Whether an unknown exchange type is a 406 on the channel, else a 503 on the connection (EXCH-DECLARE-05).
    unknown_type_is_soft: bool
    #: Whether an int and a float of the same value match in a headers exchange (EXCH-HEADERS-06).
    int_equals_float: bool
    #: Whether a headers exchange takes a message's timestamps in milliseconds, although a binding's are in seconds.
    header_timestamps_in_ms: bool
    #: How many words of a topic exchange's binding key may be ``#``; None: any number (EXCH-TOPIC-01).
    max_hash_words: int | None


V3_10: Final = ExchangeProfile(
    unknown_type_is_soft=False,
    int_equals_float=True,
    header_timestamps_in_ms=False,
    max_hash_words=None,
)

V4_3: Final = ExchangeProfile(
    unknown_type_is_soft=True,
    int_equals_float=False,
    header_timestamps_in_ms=True,
    max_hash_words=2,
)

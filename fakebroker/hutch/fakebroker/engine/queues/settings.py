"""What a queue's arguments ask of it, read once."""

import math
from typing import Final, NamedTuple, Self

from hutch.fakebroker.engine.queues.retention import milliseconds
from hutch.wire.fields import FieldTable

#: A quorum queue that was full accepts messages again once it is filled to this part of its limit at most.
_SOFT_LIMIT: Final = 0.8


class DelayedRetry(NamedTuple):
    """Which deliveries that came back wait before they are ready again, and how long, seconds
    (https://www.rabbitmq.com/docs/quorum-queues#delayed-retry).
    """

    kind: str
    least: float
    most: float

    @classmethod
    def of(cls, arguments: FieldTable) -> Self | None:
        """What arguments, of any value and type, ask for."""
        kind = _text(arguments.get("x-delayed-retry-type"))
        least = _milliseconds(arguments.get("x-delayed-retry-min"))
        most = _milliseconds(arguments.get("x-delayed-retry-max"))
        if kind not in {"all", "failed", "returned"} or least is None or least <= 0:
            return None
        return cls(kind, least, most if most is not None and most > 0 else least)

    def concerns(self, failed: bool) -> bool:
        """Whether a delivery waits that ``failed``, or was handed back."""
        return self.kind in {"all", "failed" if failed else "returned"}


class Settings:
    """The settings that valid ``arguments`` give.

    A queue looks into its settings whenever it needs one and keeps none elsewhere, so others may take their place while
    it lives (:attr:`Queue.settings <hutch.fakebroker.engine.queues.queue.Queue.settings>`). Times are in seconds,
    ``None`` is no limit.
    """

    __slots__ = (
        "bounded",
        "consumer_timeout",
        "dead_letter_exchange",
        "dead_letter_routing_key",
        "dead_letters_at_least_once",
        "delayed_retry",
        "delivery_limit",
        "drops_head",
        "expires",
        "lazy",
        "max_age",
        "max_length",
        "max_length_bytes",
        "message_ttl",
        "overflow",
        "rejects",
        "segment_bytes",
    )

    def __init__(self, arguments: FieldTable) -> None:
        self.message_ttl: Final = _milliseconds(arguments.get("x-message-ttl"))
        self.expires: Final = _milliseconds(arguments.get("x-expires"))
        self.dead_letter_exchange: Final = _text(arguments.get("x-dead-letter-exchange"))
        self.dead_letter_routing_key: Final = _text(arguments.get("x-dead-letter-routing-key"))
        #: The value as given: any value of any type is accepted (QUEUE-ARG-24).
        self.delivery_limit: Final = arguments.get("x-delivery-limit")
        self.consumer_timeout: Final = _milliseconds(arguments.get("x-consumer-timeout"))
        self.delayed_retry: Final = DelayedRetry.of(arguments)
        self.max_length: Final = _number(arguments.get("x-max-length"))
        self.max_length_bytes: Final = _number(arguments.get("x-max-length-bytes"))
        self.max_age: Final = _age(arguments.get("x-max-age"))
        #: The size of a stream's segment, bytes; RabbitMQ's default is 500 MB.
        self.segment_bytes: Final = _number(arguments.get("x-stream-max-segment-size-bytes", 500_000_000)) or 0
        self.overflow: Final = _text(arguments.get("x-overflow")) or "drop-head"
        #: Whether a quorum queue keeps dead letters until a queue has taken them; else each is sent once.
        self.dead_letters_at_least_once: Final = (
            arguments.get("x-dead-letter-strategy") == "at-least-once"
            and self.overflow == "reject-publish"
            and self.dead_letter_exchange is not None
        )
        #: Whether messages go to disk at once (QUEUE-ARG-15).
        self.lazy: Final = arguments.get("x-queue-mode") == "lazy"
        #: Whether the queue has a limit.
        self.bounded: Final = self.max_length is not None or self.max_length_bytes is not None
        #: What a classic queue does when it is full; both are false without a limit.
        self.drops_head: Final = self.bounded and self.overflow == "drop-head"
        self.rejects: Final = self.bounded and self.overflow != "drop-head"

    def is_exceeded(self, messages: int, body_bytes: int) -> bool:
        """Whether that much is more than the queue may hold."""
        return (self.max_length is not None and messages > self.max_length) or (
            self.max_length_bytes is not None and body_bytes > self.max_length_bytes
        )

    def has_room(self, messages: int, body_bytes: int) -> bool:
        """Whether a quorum queue that held too much takes messages again now that it holds that much (QUORUM-13)."""
        limits = ((self.max_length, messages), (self.max_length_bytes, body_bytes))
        return all(limit is None or amount <= math.floor(limit * _SOFT_LIMIT) for limit, amount in limits)


def _milliseconds(value: object) -> float | None:
    """An argument in ms as seconds."""
    return value / 1000 if isinstance(value, int) else None


def _age(value: object) -> float | None:
    """An argument such as ``7D`` as seconds."""
    age = milliseconds(value) if isinstance(value, str) else None
    return None if age is None else age / 1000


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


#: The settings of a queue without arguments, as most queues are.
DEFAULT: Final = Settings({})

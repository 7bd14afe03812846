"""What a queue's arguments ask of it, read once."""

from typing import Final

from hutch.fakebroker.engine.ages import milliseconds
from hutch.wire.fields import FieldTable


class Settings:
    """The settings that valid ``arguments`` give.

    A queue looks into its settings whenever it needs one and keeps none elsewhere, so others may take their place while
    it lives (:attr:`Queue.settings <hutch.fakebroker.engine.queues.queue.Queue.settings>`). Times are in seconds,
    ``None`` is no limit.
    """

    __slots__ = (
        "dead_letter_exchange",
        "dead_letter_routing_key",
        "drops_head",
        "expires",
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
        self.max_length: Final = _number(arguments.get("x-max-length"))
        self.max_length_bytes: Final = _number(arguments.get("x-max-length-bytes"))
        self.max_age: Final = _age(arguments.get("x-max-age"))
        #: How large a stream's segment grows, by RabbitMQ's default 500 MB.
        self.segment_bytes: Final = _number(arguments.get("x-stream-max-segment-size-bytes", 500_000_000)) or 0
        self.overflow: Final = _text(arguments.get("x-overflow")) or "drop-head"
        bounded = self.max_length is not None or self.max_length_bytes is not None
        #: What the queue does when it is full; neither where it has no limit.
        self.drops_head: Final = bounded and self.overflow == "drop-head"
        self.rejects: Final = bounded and self.overflow != "drop-head"

    def is_exceeded(self, messages: int, body_bytes: int) -> bool:
        """Whether that much is more than the queue may hold."""
        return (self.max_length is not None and messages > self.max_length) or (
            self.max_length_bytes is not None and body_bytes > self.max_length_bytes
        )


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

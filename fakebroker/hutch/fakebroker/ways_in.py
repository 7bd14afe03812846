"""Where a broker accepts clients."""

from typing import NamedTuple


class WayIn(NamedTuple):
    """A port that a broker listens on. ``protocol`` is RabbitMQ's word: ``amqp``, ``amqp/ssl`` or ``http``."""

    protocol: str
    address: str
    port: int

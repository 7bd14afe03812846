"""What names in methods stand for."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.engine.errors import BrokerError


def stripped(name: str) -> str:
    """A name as RabbitMQ keeps it: without carriage returns and line feeds (QUEUE-DECLARE-10).

    Declaring, binding, unbinding and deleting read names so; publishing, getting, consuming and purging take them as
    they are. Routing keys are never stripped.
    """
    if "\r" in name or "\n" in name:
        name = name.replace("\r", "").replace("\n", "")
    return name


def queue_name(channel: Channel, name: str) -> str:
    """The name itself, or for an empty one that of the queue declared last; 404 when none was (EXCH-BIND-13)."""
    if name:
        return name
    if channel.last_queue is None:
        raise BrokerError("NOT_FOUND", "no previously declared queue")
    return channel.last_queue

"""An open connection and channel to each target, and a queue there."""

import pytest

from hutch.client import Channel, Connection
from tests.targets import Target


@pytest.fixture
def connection(target: Target) -> Connection:
    """An open connection."""
    return target.connect()


@pytest.fixture
def channel(connection: Connection) -> Channel:
    """An open channel of ``connection``."""
    return connection.channel()


@pytest.fixture
def queue(target: Target, channel: Channel) -> str:
    """The name of an empty queue, exclusive to ``connection``."""
    name = target.name("queue")
    channel.queue_declare(name, exclusive=True, auto_delete=False)
    return name

"""An open kombu connection and channel to each target, and a queue there."""

from typing import Any

import kombu
import pytest

from tests.kombu.steps import connect
from tests.targets import Target


@pytest.fixture
def connection(target: Target) -> kombu.Connection:
    """An open connection."""
    connection = connect(target)
    connection.connect()
    return connection


@pytest.fixture
def channel(connection: kombu.Connection) -> Any:
    """The default channel of ``connection``."""
    return connection.default_channel


@pytest.fixture
def queue(target: Target, channel: Any) -> kombu.Queue:
    """An empty queue, exclusive to ``connection``; what is published to the default exchange by its name goes there."""
    queue = kombu.Queue(target.name("queue"), exclusive=True, durable=False)(channel)
    queue.declare()
    return queue

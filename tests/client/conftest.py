import pytest

from hutch.client import Channel, Connection
from tests.client.scripted import Server, opened


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def channel(server: Server) -> Channel:
    """Channel 1 of an open connection to ``server``."""
    return opened(server)[1]


@pytest.fixture
def connection(channel: Channel) -> Connection:
    """The connection that ``channel`` is on."""
    assert channel.connection is not None
    return channel.connection

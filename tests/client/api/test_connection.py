"""Connections, on every target."""

from tests.client.api.reference import shows
from tests.targets import Target


@shows("Connection.connected")
def test_opens_and_closes(target: Target) -> None:
    connection = target.connect()
    assert connection.connected
    connection.close()
    assert not connection.connected

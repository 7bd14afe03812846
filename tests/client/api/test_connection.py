"""Connections, on every target."""

from tests.targets import Target


def test_opens_and_closes(target: Target) -> None:
    connection = target.connect()
    assert connection.connected
    connection.close()
    assert not connection.connected

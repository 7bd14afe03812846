"""The broker tells that it has stopped reading what is published, and that it goes on.

It does so for an alarm of the whole node (memory, disk), which nobody can raise over AMQP or HTTP, and which would stop
all who use a live broker. So here the two methods, as recorded from live nodes whose memory alarm was raised
(CONN-BLOCK-02, CONN-BLOCK-06), are slipped into what the broker sends; all else is the broker's own.
"""

from typing import Any

import pytest

from hutch.client import Connection
from hutch.wire.declaration import Method
from hutch.wire.frames import method_frame
from hutch.wire.methods import ConnectionBlocked, ConnectionUnblocked
from hutch.wire.transport import RecordingTransport, Transport
from tests.client.api.reference import shows
from tests.targets import PATIENCE, Target


class Interrupted(RecordingTransport):
    """A transport into whose received bytes methods can be slipped."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self._slipped_in = b""

    def slip_in(self, method: Method) -> None:
        """Have ``method`` received next, on channel 0."""
        self._slipped_in += method_frame(0, method.encode())

    def receive(self, deadline: float | None = None) -> bytes:
        data, self._slipped_in = self._slipped_in, b""
        return data or super().receive(deadline)

    def readable(self) -> bool:
        return bool(self._slipped_in) or super().readable()


def interrupted(target: Target, **parameters: Any) -> tuple[Connection, Interrupted]:
    """An open connection, and what its bytes pass through."""
    transports: list[Interrupted] = []

    def wrap(transport: Transport) -> Interrupted:
        transports.append(Interrupted(transport))
        return transports[0]

    make = target.parameters.get("transport")
    if make is not None:
        parameters["transport"] = lambda: wrap(make())
    connection = target.connection(**parameters)
    if make is None:
        inner = connection.Transport
        connection.Transport = lambda *args, **kwargs: wrap(inner(*args, **kwargs))  # type: ignore[method-assign]
    connection.connect()
    return connection, transports[0]


@shows("Connection.__init__(on_blocked, on_unblocked)", "Connection.__init__(client_properties)")
def test_on_blocked_and_on_unblocked(target: Target) -> None:
    heard: list[str] = []
    connection, broker = interrupted(target, on_blocked=heard.append, on_unblocked=lambda: heard.append("unblocked"))
    # RabbitMQ tells only those who want to know (CONN-BLOCK-03).
    assert connection.client_properties["capabilities"]["connection.blocked"] is True
    broker.slip_in(ConnectionBlocked("low on memory"))
    connection.drain_events(timeout=PATIENCE)
    assert heard == ["low on memory"]
    broker.slip_in(ConnectionUnblocked())
    channel = connection.channel()  # any wait will do
    assert heard == ["low on memory", "unblocked"]
    assert channel.is_open


@shows("Connection.__init__(on_blocked)")
def test_nobody_needs_to_listen(target: Target) -> None:
    connection, broker = interrupted(target)
    broker.slip_in(ConnectionBlocked("low on disk"))
    broker.slip_in(ConnectionUnblocked())
    assert connection.channel().is_open


@shows("Connection.__init__(on_blocked)")
def test_an_error_of_the_callback_comes_out_of_the_wait(target: Target) -> None:
    def stop(reason: str) -> None:
        raise ZeroDivisionError(reason)

    connection, broker = interrupted(target, on_blocked=stop)
    broker.slip_in(ConnectionBlocked("low on memory"))
    with pytest.raises(ZeroDivisionError, match="low on memory"):
        connection.drain_events(timeout=PATIENCE)
    assert connection.channel().is_open

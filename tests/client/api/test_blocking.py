"""The broker tells that it has stopped reading what is published, and that it goes on.

It does so for an alarm of the whole node (memory, disk). The emulator's is raised here. A live node's can be raised
neither over AMQP nor over HTTP, and would stop all who use that node; so there the two methods, as live nodes send them
(CONN-BLOCK-02, CONN-BLOCK-06), are slipped into what the broker sends, and all else is the broker's own.
"""

from typing import Any

import pytest

from hutch.client import Connection, Message
from hutch.wire.declaration import Method
from hutch.wire.frames import method_frame
from hutch.wire.methods import ConnectionBlocked, ConnectionUnblocked
from hutch.wire.transport import RecordingTransport, Transport
from tests.client.api.reference import shows
from tests.client.api.steps import bodies, drain_until
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


class Alarm:
    """An alarm of the broker behind a connection, which is opened here."""

    def __init__(self, target: Target, **parameters: Any) -> None:
        self._broker = target.broker
        self._transport: Interrupted | None = None
        self.connection: Connection = target.connection(**parameters)
        if self._broker is None:
            make = self.connection.Transport
            self.connection.Transport = lambda *args, **kwargs: self._wrap(  # type: ignore[method-assign]
                make(*args, **kwargs)
            )
        self.connection.connect()

    def _wrap(self, transport: Transport) -> Transport:
        self._transport = Interrupted(transport)
        return self._transport

    def sound(self) -> None:
        """Be low on memory from now on."""
        if self._broker is not None:
            self._broker.admin.raise_alarm("memory")

    def is_noticed(self) -> None:
        """Something was published meanwhile."""
        if self._transport is not None:
            self._transport.slip_in(ConnectionBlocked("low on memory"))

    def end(self) -> None:
        """There is memory again."""
        if self._broker is not None:
            self._broker.admin.clear_alarm("memory")
        if self._transport is not None:
            self._transport.slip_in(ConnectionUnblocked())


@shows("Connection.__init__(on_blocked, on_unblocked)", "Connection.__init__(client_properties)")
def test_on_blocked_and_on_unblocked(target: Target) -> None:
    heard: list[str] = []
    alarm = Alarm(target, on_blocked=heard.append, on_unblocked=lambda: heard.append("unblocked"))
    connection = alarm.connection
    # RabbitMQ notifies only clients that announce this capability (CONN-BLOCK-03).
    assert connection.client_properties["capabilities"]["connection.blocked"] is True
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True, auto_delete=False).queue
    alarm.sound()
    channel.basic_publish(Message(b"1"), routing_key=queue)
    alarm.is_noticed()
    drain_until(connection, lambda: heard)
    assert heard == ["low on memory"]
    alarm.end()
    drain_until(connection, lambda: len(heard) == 2)
    assert heard == ["low on memory", "unblocked"]
    assert bodies(channel, queue) == [b"1"]


@shows("Connection.__init__(on_blocked)")
def test_nobody_needs_to_listen(target: Target) -> None:
    alarm = Alarm(target)
    channel = alarm.connection.channel()
    queue = channel.queue_declare(exclusive=True, auto_delete=False).queue
    alarm.sound()
    channel.basic_publish(Message(b"1"), routing_key=queue)
    alarm.is_noticed()
    alarm.connection.drain_events(timeout=PATIENCE)
    alarm.end()
    alarm.connection.drain_events(timeout=PATIENCE)
    assert bodies(channel, queue) == [b"1"]


@shows("Connection.__init__(on_blocked)")
def test_an_error_of_the_callback_comes_out_of_the_wait(target: Target) -> None:
    def stop(reason: str) -> None:
        raise ZeroDivisionError(reason)

    alarm = Alarm(target, on_blocked=stop)
    channel = alarm.connection.channel()
    alarm.sound()
    channel.basic_publish(Message(b"1"), routing_key=target.name("nowhere"))
    alarm.is_noticed()
    with pytest.raises(ZeroDivisionError, match="low on memory"):
        alarm.connection.drain_events(timeout=PATIENCE)
    alarm.end()
    assert alarm.connection.channel().is_open

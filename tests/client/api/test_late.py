"""Errors that come out late tell which call caused them, on every target."""

import pytest

from hutch.client import AMQPError, AMQPNotImplementedError, Channel, Connection, Message, NotFound, PreconditionFailed
from tests.targets import PATIENCE, Target


def late(connection: Connection, kind: type[AMQPError]) -> tuple[str, list[str]]:
    """The error that draining events comes upon, and its notes."""
    with pytest.raises(kind) as caught:
        connection.drain_events(timeout=PATIENCE)
    return str(caught.value), caught.value.__notes__


def test_a_missing_exchange(target: Target, connection: Connection, channel: Channel) -> None:
    name = target.name("missing")
    channel.basic_publish(Message(b""), name, "some.key")
    error, notes = late(connection, NotFound)
    assert error.startswith(f"Basic.publish: (404) NOT_FOUND - no exchange '{name}' in vhost")
    assert notes == ["caused by basic.publish on channel 1, routing key 'some.key'", "noticed while draining events"]


def test_an_expiration_that_is_none(connection: Connection, channel: Channel) -> None:
    channel.basic_publish(Message(b"", expiration="soon"), "amq.direct", "some.key")
    error, notes = late(connection, PreconditionFailed)
    assert error.startswith("Basic.publish: (406) PRECONDITION_FAILED - invalid expiration 'soon'")
    assert notes[0] == "caused by basic.publish on channel 1 to exchange 'amq.direct', routing key 'some.key'"


def test_unknown_delivery_tags(connection: Connection, channel: Channel) -> None:
    for acknowledge, method in ((channel.basic_ack, "ack"), (channel.basic_nack, "nack")):
        acknowledge(5)
        error, notes = late(connection, PreconditionFailed)
        assert error == f"Basic.{method}: (406) PRECONDITION_FAILED - unknown delivery tag 5"
        assert notes[0] == f"caused by basic.{method} on channel 1"
    assert notes[2].startswith("this channel was opened anew, which ends older deliveries, after Basic.ack: (406)")


def test_an_inequivalent_declaration(connection: Connection, channel: Channel, queue: str) -> None:
    channel.queue_declare(queue, exclusive=True, auto_delete=True, nowait=True)
    error, notes = late(connection, PreconditionFailed)
    assert f"inequivalent arg 'auto_delete' for queue '{queue}'" in error
    assert notes[0] == "caused by queue.declare on channel 1"


def test_what_ends_the_connection(connection: Connection, channel: Channel) -> None:
    channel.basic_publish(Message(b""), immediate=True)
    error, notes = late(connection, AMQPNotImplementedError)
    assert error == "Basic.publish: (540) NOT_IMPLEMENTED - immediate=true"
    assert notes[0] == "caused by basic.publish, on a channel that the broker does not name"

"""The broker's errors, as the client tells them, on every broker: each class with code, text and method."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hutch.client import (
    AccessRefused,
    AMQPError,
    AMQPNotImplementedError,
    Channel,
    Connection,
    IrrecoverableChannelError,
    IrrecoverableConnectionError,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RecoverableChannelError,
    RecoverableConnectionError,
    ResourceLocked,
)
from tests.client.api.reference import shows
from tests.targets import Target

Call = Callable[[Channel, str, Target], object]


def consume_twice(channel: Channel, queue: str, target: Target) -> None:
    channel.basic_consume(queue, "tag")
    channel.basic_consume(queue, "tag")


class Refusal(NamedTuple):
    """A call that the broker refuses, and how."""

    kind: type[AMQPError]
    base: type[AMQPError]
    code: int
    text: str
    method: str
    method_sig: tuple[int, int]
    call: Call


REFUSALS = [
    Refusal(
        NotFound,
        IrrecoverableChannelError,
        404,
        "NOT_FOUND - no queue 'missing' in vhost",
        "Queue.declare",
        (50, 10),
        lambda channel, _queue, _target: channel.queue_declare("missing", passive=True),
    ),
    Refusal(
        AccessRefused,
        IrrecoverableChannelError,
        403,
        "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
        "Queue.declare",
        (50, 10),
        lambda channel, _queue, _target: channel.queue_declare("amq.mine", exclusive=True),
    ),
    Refusal(
        ResourceLocked,
        RecoverableChannelError,
        405,
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue",
        "Queue.purge",
        (50, 30),
        lambda _channel, queue, target: target.connect().channel().queue_purge(queue),
    ),
    Refusal(
        PreconditionFailed,
        IrrecoverableChannelError,
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct'",
        "Exchange.declare",
        (40, 10),
        lambda channel, _queue, _target: channel.exchange_declare("amq.direct", "fanout", durable=True),
    ),
    Refusal(
        NotAllowed,
        IrrecoverableConnectionError,
        530,
        "NOT_ALLOWED - attempt to reuse consumer tag 'tag'",
        "Basic.consume",
        (60, 20),
        consume_twice,
    ),
    Refusal(
        AMQPNotImplementedError,
        IrrecoverableConnectionError,
        540,
        "NOT_IMPLEMENTED - prefetch_size!=0 (10)",
        "Basic.qos",
        (60, 10),
        lambda channel, _queue, _target: channel.basic_qos(10, 0, False),
    ),
]


@shows("Connection.channel_errors", "Connection.connection_errors")
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.kind.__name__)
def test_errors(connection: Connection, channel: Channel, queue: str, target: Target, refusal: Refusal) -> None:
    with pytest.raises(AMQPError) as caught:
        refusal.call(channel, queue, target)
    error = caught.value
    assert type(error) is refusal.kind
    assert isinstance(error, refusal.base)
    assert (error.reply_code, error.method, error.method_sig) == (refusal.code, refusal.method, refusal.method_sig)
    assert error.reply_text is not None
    assert error.reply_text.startswith(refusal.text)
    assert error.message == error.reply_text
    assert error.args == (refusal.code, error.reply_text, refusal.method_sig, refusal.method)
    assert str(error) == f"{refusal.method}: ({refusal.code}) {error.reply_text}"
    if isinstance(error, connection.channel_errors):
        assert connection.connected
        assert channel.queue_declare(queue, passive=True) == (queue, 0, 0)  # the channel is still usable
    else:
        assert isinstance(error, connection.connection_errors)
        assert not connection.connected


CALLS: list[Callable[[Channel], object]] = [
    lambda channel: channel.basic_ack(1),
    lambda channel: channel.basic_consume("q"),
    lambda channel: channel.basic_get("q"),
    lambda channel: channel.basic_nack(1),
    lambda channel: channel.basic_qos(0, 1, False),
    lambda channel: channel.basic_recover(requeue=True),
    lambda channel: channel.basic_reject(1, requeue=True),
    lambda channel: channel.confirm_select(),
    lambda channel: channel.exchange_bind("a", "b"),
    lambda channel: channel.exchange_declare("e", "direct"),
    lambda channel: channel.exchange_delete("e"),
    lambda channel: channel.exchange_unbind("a", "b"),
    lambda channel: channel.flow(True),
    lambda channel: channel.queue_bind("q", "e"),
    lambda channel: channel.queue_declare("q"),
    lambda channel: channel.queue_delete("q"),
    lambda channel: channel.queue_purge("q"),
    lambda channel: channel.queue_unbind("q", "e"),
    lambda channel: channel.tx_select(),
    lambda channel: channel.tx_commit(),
    lambda channel: channel.tx_rollback(),
]


@shows("Channel.close", "Connection.close")
@pytest.mark.parametrize("closed", ["channel", "connection"])
def test_what_is_closed_cannot_be_used(connection: Connection, channel: Channel, closed: str) -> None:
    (channel if closed == "channel" else connection).close()
    for call in CALLS:
        with pytest.raises(RecoverableConnectionError, match="already closed"):
            call(channel)

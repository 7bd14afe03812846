"""Queues: every parameter of their methods and what those return, on every broker."""

from typing import Any

import pytest

from hutch.client import (
    Channel,
    Connection,
    Message,
    NotFound,
    PreconditionFailed,
    ResourceLocked,
    queue_declare_ok_t,
)
from hutch.wire.methods import QueueDeclare, QueueDeclareOk
from tests.client.api.reference import shows
from tests.client.api.steps import bodies, publish
from tests.client.api.tap import tapped
from tests.targets import PATIENCE, Target


@shows("Channel.queue_declare(queue, exclusive)")
def test_declaring(connection: Connection, channel: Channel, target: Target) -> None:
    name = target.name("queue")
    declared = channel.queue_declare(name, exclusive=True)
    assert declared == (name, 0, 0)
    assert isinstance(declared, queue_declare_ok_t)
    assert (declared.queue, declared.message_count, declared.consumer_count) == (name, 0, 0)
    with pytest.raises(ResourceLocked, match="cannot obtain exclusive access to locked queue") as locked:
        target.connect().channel().queue_declare(name, exclusive=True)
    assert (locked.value.reply_code, locked.value.method) == (405, "Queue.declare")


@shows("Channel.queue_declare", "Channel.queue_declare(queue)")
def test_a_queue_that_the_broker_names(channel: Channel) -> None:
    first, second = channel.queue_declare(exclusive=True), channel.queue_declare(exclusive=True)
    assert first.queue.startswith("amq.gen-")
    assert first.queue != second.queue


@shows("Channel.queue_declare(passive)")
def test_declaring_passively(channel: Channel, queue: str, target: Target) -> None:
    publish(channel, queue, "1", "2", "3")
    channel.basic_consume(queue, exclusive=True, callback=lambda _: None, no_ack=True)
    publish(channel, queue, "4")
    assert channel.queue_declare(queue, passive=True) == (queue, 0, 1)
    missing = target.name("missing")
    with pytest.raises(NotFound, match=f"no queue '{missing}'") as caught:
        channel.queue_declare(missing, passive=True)
    assert (caught.value.reply_code, caught.value.method_name) == (404, "Queue.declare")


@shows("Channel.queue_declare(durable, arguments)")
def test_a_redeclaration_is_compared(channel: Channel, target: Target) -> None:
    name = target.name("queue")
    arguments = {"x-max-length": 2}
    channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
    assert channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments) == (name, 0, 0)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"durable": True, "arguments": {"x-max-length": 3}}, "x-max-length"),
        ({"durable": True}, "x-max-length"),
        ({"durable": True, "auto_delete": True, "arguments": arguments}, "auto_delete"),
        ({"arguments": arguments}, "durable"),
    ]
    for settings, argument in changes:
        with pytest.raises(PreconditionFailed, match=f"inequivalent arg '{argument}' for queue '{name}'") as caught:
            channel.queue_declare(name, **{"auto_delete": False, **settings})
        assert caught.value.reply_code == 406
    publish(channel, name, "1", "2", "3")  # the declared arguments take effect
    assert bodies(channel, name) == [b"2", b"3"]
    channel.queue_delete(name)


@shows("Channel.queue_declare(auto_delete)")
@pytest.mark.parametrize("auto_delete", [True, False])
def test_auto_delete(channel: Channel, target: Target, auto_delete: bool) -> None:
    name = target.name("queue")
    channel.queue_declare(name, durable=True, auto_delete=auto_delete)
    channel.basic_cancel(channel.basic_consume(name))
    if auto_delete:
        with pytest.raises(NotFound):
            channel.queue_declare(name, passive=True)
    else:
        assert channel.queue_declare(name, passive=True) == (name, 0, 0)
        channel.queue_delete(name)


@shows("Channel.queue_declare(nowait)")
def test_declaring_without_waiting(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    name = target.name("queue")
    assert channel.queue_declare(name, exclusive=True, nowait=True) is None
    (declare,) = tap.sent(QueueDeclare)
    assert (declare.queue, declare.nowait) == (name, True)
    assert channel.queue_declare(name, passive=True) == (name, 0, 0)
    assert len(tap.received(QueueDeclareOk)) == 1


@shows("Channel.queue_declare(nowait)")
def test_an_error_without_waiting_comes_later(connection: Connection, channel: Channel, target: Target) -> None:
    channel.queue_declare(target.name("missing"), passive=True, nowait=True)
    with pytest.raises(NotFound):
        connection.drain_events(timeout=PATIENCE)


@shows("Channel.queue_bind(queue, exchange, routing_key)", "Channel.queue_unbind(queue, exchange, routing_key)")
def test_binding_and_unbinding(channel: Channel, queue: str) -> None:
    channel.queue_bind(queue, "amq.topic", "order.*")
    channel.queue_bind(queue, "amq.topic", "order.*")  # a duplicate binding has no effect
    channel.basic_publish(Message(b"1"), "amq.topic", "order.created")
    channel.basic_publish(Message(b"no"), "amq.topic", "invoice.created")
    channel.queue_unbind(queue, "amq.topic", "order.*")
    channel.basic_publish(Message(b"too late"), "amq.topic", "order.created")
    assert bodies(channel, queue) == [b"1"]
    channel.queue_unbind(queue, "amq.topic", "order.*")  # unbinding twice succeeds


@shows("Channel.queue_bind(arguments)", "Channel.queue_unbind(arguments)")
def test_binding_by_arguments(channel: Channel, queue: str) -> None:
    arguments = {"x-match": "all", "region": "eu", "size": 3}
    channel.queue_bind(queue, "amq.headers", arguments=arguments)
    channel.basic_publish(Message(b"1", application_headers={"region": "eu", "size": 3}), "amq.headers")
    channel.basic_publish(Message(b"no", application_headers={"region": "eu", "size": 4}), "amq.headers")
    # no such binding, because the arguments differ
    channel.queue_unbind(queue, "amq.headers", arguments={**arguments, "size": 4})
    channel.basic_publish(Message(b"2", application_headers={"region": "eu", "size": 3}), "amq.headers")
    channel.queue_unbind(queue, "amq.headers", arguments=arguments)
    channel.basic_publish(Message(b"no more", application_headers={"region": "eu", "size": 3}), "amq.headers")
    assert bodies(channel, queue) == [b"1", b"2"]


@shows("Channel.queue_bind(nowait)", "Channel.queue_unbind(nowait)")
def test_binding_without_waiting(connection: Connection, channel: Channel, queue: str) -> None:
    channel.queue_bind(queue, "amq.direct", "key", nowait=True)
    channel.basic_publish(Message(b"1"), "amq.direct", "key")
    channel.queue_unbind(queue, "amq.direct", "key", nowait=True)
    channel.basic_publish(Message(b"no"), "amq.direct", "key")
    assert bodies(channel, queue) == [b"1"]
    channel.queue_bind(queue, "missing", nowait=True)
    with pytest.raises(NotFound, match="no exchange 'missing'"):
        connection.drain_events(timeout=PATIENCE)


@shows("Channel.queue_bind(queue, exchange)")
def test_binding_what_is_not_there(channel: Channel, queue: str, target: Target) -> None:
    with pytest.raises(NotFound, match="no exchange 'missing'") as caught:
        channel.queue_bind(queue, "missing")
    assert caught.value.method == "Queue.bind"
    missing = target.name("missing")
    with pytest.raises(NotFound, match=f"no queue '{missing}'"):
        channel.queue_bind(missing, "amq.direct")


@shows(
    "Channel.queue_bind(queue)",
    "Channel.queue_unbind(queue)",
    "Channel.queue_purge(queue)",
    "Channel.queue_delete(queue)",
    "Channel.basic_get(queue)",
    "Channel.basic_consume(queue)",
)
def test_an_empty_name_is_the_queue_declared_last(connection: Connection, channel: Channel) -> None:
    declared = channel.queue_declare(exclusive=True, auto_delete=False)
    name = declared.queue
    channel.queue_bind("", "amq.direct", name)
    channel.basic_publish(Message(b"1"), "amq.direct", name)
    message = channel.basic_get()
    assert message is not None
    assert message.body == b"1"
    channel.queue_unbind("", "amq.direct", name)
    channel.basic_publish(Message(b"no"), "amq.direct", name)
    tag = channel.basic_consume()
    assert channel.queue_declare(name, passive=True) == (name, 0, 1)
    channel.basic_cancel(tag)
    assert channel.queue_purge() == 0
    assert channel.queue_delete() == 0
    with pytest.raises(NotFound):
        channel.queue_declare(name, passive=True)


@shows("Channel.queue_purge(queue)")
def test_purging_tells_how_many(channel: Channel, queue: str) -> None:
    publish(channel, queue, "1", "2", "3")
    assert channel.basic_get(queue) is not None  # an unacknowledged message is not purged
    assert channel.queue_purge(queue) == 2
    assert channel.queue_purge(queue) == 0
    assert channel.queue_declare(queue, passive=True) == (queue, 0, 0)


@shows("Channel.queue_purge(nowait)")
def test_purging_without_waiting(channel: Channel, queue: str) -> None:
    publish(channel, queue, "1", "2")
    assert channel.queue_purge(queue, nowait=True) is None
    assert channel.queue_declare(queue, passive=True) == (queue, 0, 0)


@shows("Channel.queue_purge")
def test_purging_what_is_not_there(channel: Channel, target: Target) -> None:
    with pytest.raises(NotFound) as caught:
        channel.queue_purge(target.name("missing"))
    assert caught.value.method == "Queue.purge"


@shows("Channel.queue_delete(queue)")
def test_deleting_tells_how_many(channel: Channel, queue: str) -> None:
    publish(channel, queue, "1", "2", "3")
    assert channel.queue_delete(queue) == 3
    assert channel.queue_delete(queue) == 0  # deleting a missing queue succeeds
    with pytest.raises(NotFound):
        channel.queue_declare(queue, passive=True)


@shows("Channel.queue_delete(if_unused)")
def test_deleting_if_unused(channel: Channel, queue: str) -> None:
    tag = channel.basic_consume(queue)
    with pytest.raises(PreconditionFailed, match=f"queue '{queue}' in vhost '.*' in use"):
        channel.queue_delete(queue, if_unused=True)
    channel.basic_cancel(tag)  # no effect: the channel's error ended the consumer
    assert channel.queue_delete(queue, if_unused=True) == 0


@shows("Channel.queue_delete(if_empty)")
def test_deleting_if_empty(channel: Channel, queue: str) -> None:
    publish(channel, queue, "1")
    with pytest.raises(PreconditionFailed, match=f"queue '{queue}' in vhost '.*' not empty") as caught:
        channel.queue_delete(queue, if_empty=True)
    assert caught.value.method == "Queue.delete"
    channel.queue_purge(queue)
    assert channel.queue_delete(queue, if_empty=True) == 0


@shows("Channel.queue_delete(nowait)")
def test_deleting_without_waiting(channel: Channel, queue: str) -> None:
    assert channel.queue_delete(queue, nowait=True) is None
    with pytest.raises(NotFound):
        channel.queue_declare(queue, passive=True)


@shows("Channel.queue_declare")
def test_the_defaults(channel: Channel, target: Target) -> None:
    # As in py-amqp: not durable, not exclusive, auto-delete. RabbitMQ 4.3 deprecates such queues, but accepts them.
    name = target.name("queue")
    channel.queue_declare(name)
    assert target.connect().channel().queue_declare(name) == (name, 0, 0)
    with pytest.raises(PreconditionFailed, match="inequivalent arg 'auto_delete'"):
        channel.queue_declare(name, auto_delete=False)
    assert channel.queue_delete(name) == 0

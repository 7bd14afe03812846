"""Publishing: returned, confirmed and refused messages, on every broker."""

from collections.abc import Callable
from typing import Any

import pytest

from hutch.client import (
    AMQPNotImplementedError,
    Channel,
    ChannelError,
    Connection,
    Message,
    MessageNacked,
    NotFound,
    PreconditionFailed,
    RecoverableConnectionError,
)
from hutch.wire.methods import BasicPublish, ConfirmSelect, ConfirmSelectOk
from tests.client.api.reference import shows
from tests.client.api.steps import bodies, drain_until, fetch
from tests.client.api.tap import tapped
from tests.targets import PATIENCE, Target


@shows("Channel.basic_publish(msg, exchange, routing_key)")
def test_publishing(channel: Channel, queue: str) -> None:
    assert channel.basic_publish(Message(b"1"), routing_key=queue) is None  # type: ignore[func-returns-value]
    channel.queue_bind(queue, "amq.direct", "key")
    channel.basic_publish(Message(b"2"), "amq.direct", "key")
    channel.basic_publish(Message(b"no"), exchange="amq.direct", routing_key="another key")
    first, second = fetch(channel, queue), fetch(channel, queue)
    assert (first.body, first.delivery_info) == (
        b"1",
        {"delivery_tag": 1, "redelivered": False, "exchange": "", "routing_key": queue, "message_count": 1},
    )
    assert (second.body, second.delivery_info) == (
        b"2",
        {"delivery_tag": 2, "redelivered": False, "exchange": "amq.direct", "routing_key": "key", "message_count": 0},
    )
    assert channel.basic_get(queue) is None


@shows("Channel.basic_publish(msg)")
@pytest.mark.parametrize("size", [0, 1, 131064, 131065, 400000])
def test_sizes(channel: Channel, queue: str, size: int) -> None:
    body = (bytes(range(251)) * (size // 251 + 1))[:size]  # a frame carries 131064 bytes of a body
    channel.basic_publish(Message(body), routing_key=queue)
    assert fetch(channel, queue).body == body


@shows("Channel.basic_publish(exchange)")
def test_an_exchange_that_is_not_there(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_publish(Message(b"lost"), "missing")
    with pytest.raises(NotFound, match="no exchange 'missing'") as caught:
        connection.drain_events(timeout=PATIENCE)
    assert (caught.value.reply_code, caught.value.method) == (404, "Basic.publish")
    channel.basic_publish(Message(b"1"), routing_key=queue)  # the channel has reopened itself
    assert bodies(channel, queue) == [b"1"]


@shows("Channel.basic_publish(mandatory)", "Channel.events")
def test_returned_messages(connection: Connection, channel: Channel, target: Target) -> None:
    returned: list[tuple[ChannelError, str, str, Message]] = []
    channel.events["basic_return"].add(lambda *arguments: returned.append(arguments))
    key = target.name("nowhere")
    message = Message(b"come back", message_id="7", application_headers={"a": 1})
    channel.basic_publish(message, "amq.direct", key)  # dropped silently
    channel.basic_publish(message, "amq.direct", key, mandatory=True)
    drain_until(connection, lambda: returned)
    ((error, exchange, routing_key, back),) = returned
    assert (error.reply_code, error.reply_text) == (312, "NO_ROUTE")
    assert (exchange, routing_key) == ("amq.direct", key)
    assert (back.body, back.properties) == (b"come back", {"message_id": "7", "application_headers": {"a": 1}})


@shows("Channel.basic_publish(mandatory)")
def test_a_returned_message_that_nobody_listens_for(connection: Connection, channel: Channel, target: Target) -> None:
    channel.basic_publish(Message(b"x"), routing_key=target.name("nowhere"), mandatory=True)
    with pytest.raises(ChannelError, match="NO_ROUTE") as caught:
        connection.drain_events(timeout=PATIENCE)
    assert caught.value.reply_code == 312
    assert channel.is_open


@shows("Channel.basic_publish(immediate)")
def test_immediate(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_publish(Message(b"x"), routing_key=queue, immediate=True)
    with pytest.raises(AMQPNotImplementedError, match="immediate=true") as caught:
        connection.drain_events(timeout=PATIENCE)
    assert (caught.value.reply_code, caught.value.method) == (540, "Basic.publish")
    assert not connection.connected


@shows("Channel.basic_publish(timeout)")
def test_a_timeout_that_is_kept(channel: Channel, queue: str) -> None:
    channel.basic_publish(Message(b"1"), routing_key=queue, timeout=PATIENCE)
    assert bodies(channel, queue) == [b"1"]


@shows("Channel.basic_publish")
def test_publishing_on_a_closed_channel(channel: Channel, queue: str) -> None:
    channel.close()
    with pytest.raises(RecoverableConnectionError, match=r"basic\.publish"):
        channel.basic_publish(Message(b"x"), routing_key=queue)


@shows("Channel.confirm_select(nowait)", "Channel.events")
@pytest.mark.parametrize("nowait", [False, True])
def test_confirms_are_events(target: Target, nowait: bool) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True)
    confirmed: set[int] = set()

    def confirm(delivery_tag: int, multiple: bool) -> None:
        confirmed.update(range(1, delivery_tag + 1) if multiple else [delivery_tag])

    channel.events["basic_ack"].add(confirm)
    channel.confirm_select(nowait=nowait)
    assert tap.sent(ConfirmSelect) == [ConfirmSelect(nowait)]
    for _ in range(5):
        channel.basic_publish(Message(b"x"), routing_key=queue.queue)
    drain_until(connection, lambda: confirmed == {1, 2, 3, 4, 5})
    assert len(tap.received(ConfirmSelectOk)) == (0 if nowait else 1)


@shows("Channel.basic_publish_confirm", "Channel.basic_publish(confirm_timeout)")
def test_publishing_with_confirm(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True)
    seen: list[int] = []
    channel.events["basic_ack"].add(lambda tag, _multiple: seen.append(tag))
    channel.basic_publish_confirm(Message(b"1"), routing_key=queue.queue)  # selects confirm mode
    assert seen == [1]
    channel.basic_publish_confirm(Message(b"2"), "", queue.queue, confirm_timeout=PATIENCE)
    assert seen == [1, 2]
    assert tap.sent(ConfirmSelect) == [ConfirmSelect(False)]
    assert bodies(channel, queue.queue) == [b"1", b"2"]
    with pytest.raises(NotFound, match="no exchange 'missing'"):
        channel.basic_publish_confirm(Message(b"x"), "missing", "key")
    channel.basic_publish_confirm(Message(b"3"), routing_key=queue.queue)  # selected again after the channel's error
    assert len(tap.sent(ConfirmSelect)) == 2


@shows("Channel.basic_publish_confirm")
def test_a_message_that_the_broker_does_not_take(connection: Connection, channel: Channel, target: Target) -> None:
    name = target.name("queue")
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(name, exclusive=True, auto_delete=False, arguments=arguments)
    nacked: list[int] = []
    # multiple may be true or false (CONFIRM-09)
    channel.events["basic_nack"].add(lambda tag, _multiple: nacked.append(tag))
    channel.basic_publish_confirm(Message(b"1"), routing_key=name)
    with pytest.raises(MessageNacked) as caught:
        channel.basic_publish_confirm(Message(b"2"), routing_key=name)
    assert isinstance(caught.value, connection.recoverable_connection_errors)
    assert nacked == [2]
    assert bodies(channel, name) == [b"1"]
    channel.basic_publish_confirm(Message(b"3"), routing_key=name)
    assert bodies(channel, name) == [b"3"]


@shows("Channel.basic_publish_confirm")
def test_a_returned_message_is_confirmed_all_the_same(channel: Channel, target: Target) -> None:
    order: list[str] = []
    channel.events["basic_return"].add(lambda *_: order.append("return"))
    channel.events["basic_ack"].add(lambda *_: order.append("ack"))
    channel.basic_publish_confirm(Message(b"x"), routing_key=target.name("nowhere"), mandatory=True)
    assert order == ["return", "ack"]


@shows("Channel.confirm_select", "Channel.tx_select")
@pytest.mark.parametrize("first", ["confirm_select", "tx_select"])
def test_confirms_and_transactions_exclude_each_other(channel: Channel, first: str) -> None:
    calls: dict[str, Callable[[], Any]] = {"confirm_select": channel.confirm_select, "tx_select": channel.tx_select}
    calls.pop(first)()
    (second,) = calls.values()
    with pytest.raises(PreconditionFailed):
        second()


@shows("Channel.basic_publish")
def test_publishing_a_received_message_again(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True)
    channel.basic_publish(Message(b"1", application_headers={"b": 1, "a": None}, priority=3), routing_key=queue.queue)
    first = fetch(channel, queue.queue)
    channel.basic_publish(first, routing_key=queue.queue)
    second = fetch(channel, queue.queue)
    assert (second.body, second.properties) == (first.body, first.properties)
    assert [publish.routing_key for publish in tap.sent(BasicPublish)] == [queue.queue] * 2

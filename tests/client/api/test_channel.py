"""A channel from its opening to its end, on every broker."""

import pytest

from hutch.client import (
    AMQPNotImplementedError,
    Channel,
    Connection,
    ConnectionError,  # noqa: A004
    Message,
    NotFound,
    RecoverableConnectionError,
)
from hutch.wire.methods import ChannelClose, ChannelFlow
from tests.client.api.admin import eventually
from tests.client.api.reference import shows
from tests.client.api.steps import drain_until, fetch, publish
from tests.client.api.tap import tapped
from tests.targets import Target


@shows("Channel.__init__(connection, channel_id, on_open)", "Channel.open", "Channel.is_open", "Channel.channel_id")
def test_opening_by_hand(target: Target) -> None:
    connection = target.connect()
    opened: list[Channel] = []
    channel = connection.Channel(connection, 5, on_open=opened.append)
    assert (channel.channel_id, channel.connection, channel.is_open) == (5, connection, False)
    channel.open()
    assert channel.is_open
    assert opened == [channel]
    channel.open()  # no effect on an open channel
    assert opened == [channel]
    with pytest.raises(ConnectionError, match="channel 5 is already open"):
        connection.Channel(connection, 5)


@shows("Channel.__init__(auto_decode)", "Channel.auto_decode", "Message.body", "Message.content_encoding")
def test_auto_decode(connection: Connection, channel: Channel, queue: str) -> None:
    plain = connection.Channel(connection, auto_decode=False)
    plain.open()
    assert (channel.auto_decode, plain.auto_decode) == (True, False)
    for receiver, body in ((channel, "Grüße"), (plain, "Grüße".encode())):
        channel.basic_publish(Message("Grüße"), routing_key=queue)  # text is sent as UTF-8, with that content encoding
        channel.queue_declare(queue, passive=True)
        message = fetch(receiver, queue)
        assert (message.body, message.content_encoding) == (body, "utf-8")


@shows("Channel.connection", "Channel.channel_id", "Channel.is_closing", "Channel.close", "Channel.is_open")
def test_closing(connection: Connection, channel: Channel) -> None:
    assert (channel.connection, channel.channel_id, channel.is_closing) == (connection, 1, False)
    channel.close()
    assert not channel.is_open
    assert (channel.connection, channel.channel_id, channel.is_closing) == (None, None, False)
    channel.close()  # no effect on a closed channel
    with pytest.raises(RecoverableConnectionError):
        channel.queue_declare(exclusive=True)
    assert connection.channel().is_open


@shows("Channel.close(reply_code, reply_text, method_sig)")
def test_closing_with_a_reason(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    connection.channel().close(404, "nothing here", (60, 70))
    assert tap.sent(ChannelClose) == [ChannelClose(404, "nothing here", 60, 70)]
    assert connection.connected


@shows("Channel.close")
def test_closing_gives_back_what_is_unacknowledged(connection: Connection, channel: Channel, queue: str) -> None:
    publish(channel, queue, "1")
    assert channel.basic_get(queue) is not None
    channel.close()
    other = connection.channel()
    # The queue learns of the closed channel asynchronously, perhaps after the get of another channel.
    again = eventually(lambda: other.basic_get(queue), "the message that was unacknowledged")
    assert again.delivery_info["redelivered"] is True


@shows("Channel.__enter__", "Channel.__exit__")
def test_as_a_context_manager(connection: Connection) -> None:
    with connection.channel() as channel:
        assert channel.is_open
    assert not channel.is_open
    with pytest.raises(ZeroDivisionError), connection.channel() as channel:
        _ = 1 / 0
    assert not channel.is_open
    assert connection.connected


@shows("Channel.collect")
def test_collecting(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    channel.basic_consume(channel.queue_declare(exclusive=True).queue)
    channel.events["basic_return"].add(print)
    channel.collect()
    assert tap.sent(ChannelClose) == []  # nothing is sent to the broker
    assert not channel.is_open
    assert channel.connection is None
    assert (channel.callbacks, channel.no_ack_consumers, dict(channel.events)) == ({}, set(), {})
    assert connection.channels == {0: connection}


@shows("Channel.flow(active)", "Channel.active")
def test_flow(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    assert channel.active
    channel.flow(True)
    assert tap.sent(ChannelFlow) == [ChannelFlow(True)]
    assert channel.active
    with pytest.raises(AMQPNotImplementedError, match="active=false"):  # RabbitMQ implements only active=true
        channel.flow(False)
    assert not connection.connected


@shows("Channel.open", "Channel.on_open", "Channel.is_open")
def test_a_channel_opens_itself_anew_after_an_error(target: Target, connection: Connection) -> None:
    opened: list[Channel] = []
    channel = connection.channel(callback=opened.append)
    queue = target.name("queue")
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    publish(channel, queue, "1")
    taken = channel.basic_get(queue)
    tag = channel.basic_consume(queue, callback=lambda _: None)
    with pytest.raises(NotFound):
        channel.queue_declare(target.name("missing"), passive=True)
    drain_until(connection, lambda: channel.is_open)
    assert opened == [channel, channel]
    assert (channel.channel_id, connection.channels) == (1, {0: connection, 1: channel})
    # The old consumer is gone, and the unacknowledged message is back in its queue.
    assert taken is not None
    again = eventually(lambda: channel.basic_get(queue), "the message that was unacknowledged")
    assert (again.body, again.delivery_info["redelivered"]) == (b"1", True)
    assert channel.queue_declare(queue, passive=True) == (queue, 0, 0)
    assert channel.basic_cancel(tag) == tag


@shows("Channel.callbacks", "Channel.cancel_callbacks", "Channel.no_ack_consumers")
def test_what_a_channel_knows_of_its_consumers(channel: Channel, queue: str) -> None:
    def take(_: object) -> None: ...
    def tell(_: object) -> None: ...

    channel.basic_consume(queue, "a", callback=take, on_cancel=tell)
    channel.basic_consume(queue, "b", no_ack=True)
    assert channel.callbacks == {"a": take, "b": None}
    assert channel.cancel_callbacks == {"a": tell}
    assert channel.no_ack_consumers == {"b"}
    channel.basic_cancel("a")
    channel.basic_cancel("b")
    assert (channel.callbacks, channel.cancel_callbacks, channel.no_ack_consumers) == ({}, {}, set())

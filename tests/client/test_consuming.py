"""Deliveries: consumers, basic.get, acknowledgements and returned messages."""

from datetime import datetime

import pytest

from hutch.client import Channel, ChannelError, Connection, ConsumerCancelled, Message
from hutch.wire.frames import content_frames, content_header, method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicDeliver,
    BasicGet,
    BasicGetEmpty,
    BasicGetOk,
    BasicReject,
    BasicReturn,
)
from hutch.wire.properties import NO_PROPERTIES, Properties
from tests.client.scripted import Server, delivery


def consume(channel: Channel, **parameters: object) -> list[Message]:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append, **parameters)  # type: ignore[arg-type]
    return got


def content(method: BasicGetOk | BasicReturn, body: bytes, properties: bytes = NO_PROPERTIES) -> bytes:
    return method_frame(1, method.encode()) + content_frames(1, content_header(len(body), properties), body, 131072)


# consumers


def test_a_delivery(server: Server, connection: Connection, channel: Channel) -> None:
    got = consume(channel)
    server.deliver(b"\xff\x00", tag=2**40, redelivered=True)
    connection.drain_events(timeout=1)
    (message,) = got
    assert message.body == b"\xff\x00"
    assert message.channel is channel
    assert message.delivery_tag == 2**40
    assert message.delivery_info == {
        "consumer_tag": "made-up",
        "delivery_tag": 2**40,
        "redelivered": True,
        "exchange": "orders",
        "routing_key": "order.created",
    }
    assert message.properties == {}
    assert message.headers is None


def test_properties_of_a_delivery(server: Server, connection: Connection, channel: Channel) -> None:
    got = consume(channel)
    when = datetime(2024, 2, 29, 12)
    properties = Properties.of(
        content_type="application/json", headers={"attempt": 2, "at": when}, delivery_mode=2, timestamp=1700000000
    )
    server.deliver(b"{}", properties=properties.raw)
    connection.drain_events(timeout=1)
    assert got[0].properties == {
        "content_type": "application/json",
        "application_headers": {"attempt": 2, "at": when},
        "delivery_mode": 2,
        "timestamp": 1700000000,
    }
    assert got[0].headers == {"attempt": 2, "at": when}
    assert got[0].delivery_mode == 2


@pytest.mark.parametrize("size", [0, 1, 131064, 131065, 400000])
def test_bodies_of_all_sizes(server: Server, connection: Connection, channel: Channel, size: int) -> None:
    got = consume(channel)
    body = bytes(range(256)) * (size // 256 + 1)
    server.deliver(body[:size])
    server.deliver(b"next", tag=2)
    connection.drain_events(timeout=1)
    connection.drain_events(timeout=1)
    assert [message.body for message in got] == [body[:size], b"next"]


def test_consuming(server: Server, channel: Channel) -> None:
    tag = channel.basic_consume(
        "q", "mine", no_local=True, no_ack=True, exclusive=True, arguments={"x-priority": 3}, callback=print
    )
    assert tag == "mine"
    assert server.log == [
        (
            1,
            BasicConsume(
                queue="q", consumer_tag="mine", no_local=True, no_ack=True, exclusive=True, arguments={"x-priority": 3}
            ),
        )
    ]
    assert channel.no_ack_consumers == {"mine"}
    assert channel.callbacks == {"mine": print}
    assert channel.basic_consume("q") == "made-up"


def test_consuming_without_waiting(server: Server, connection: Connection, channel: Channel) -> None:
    with pytest.raises(ValueError, match="tag"):
        channel.basic_consume("q", nowait=True)
    got = consume(channel, consumer_tag="mine", nowait=True)
    server.deliver(consumer="mine")
    connection.drain_events(timeout=1)
    assert len(got) == 1


def test_consumers_and_channels_are_told_apart(server: Server, connection: Connection, channel: Channel) -> None:
    other = connection.channel()
    first, second, elsewhere = (
        consume(channel, consumer_tag="1"),
        consume(channel, consumer_tag="2"),
        consume(other, consumer_tag="1"),
    )
    for tag, (number, consumer) in enumerate([(1, "1"), (1, "2"), (2, "1"), (1, "1")], 1):
        server.deliver(tag=tag, channel=number, consumer=consumer)
        connection.drain_events(timeout=1)
    assert [[message.delivery_tag for message in got] for got in (first, second, elsewhere)] == [[1, 4], [2], [3]]


def test_a_consumer_without_callback_drops_its_messages(
    server: Server, connection: Connection, channel: Channel
) -> None:
    channel.basic_consume("q", no_ack=True)
    server.log.clear()
    server.deliver()
    connection.drain_events(timeout=1)
    assert server.log == []


def test_messages_of_an_unknown_consumer_go_back(server: Server, connection: Connection, channel: Channel) -> None:
    server.deliver(consumer="unknown", tag=9)
    connection.drain_events(timeout=1)
    assert server.log == [(1, BasicReject(9, True))]


def test_an_error_in_a_callback_comes_out_and_the_next_message_after(
    server: Server, connection: Connection, channel: Channel
) -> None:
    def fail(message: Message) -> None:
        raise KeyError(message.delivery_tag)

    channel.basic_consume("q", callback=fail)
    server.say(delivery(tag=1), delivery(tag=2))
    for tag in (1, 2):
        with pytest.raises(KeyError, match=str(tag)):
            connection.drain_events(timeout=1)
    assert connection.connected


def test_cancelling(server: Server, connection: Connection, channel: Channel) -> None:
    got = consume(channel, consumer_tag="mine", no_ack=True, on_cancel=lambda _: pytest.fail("not the broker's doing"))
    server.answers[BasicCancel] = lambda _: [delivery(tag=1, consumer="mine"), BasicCancelOk("mine")]
    channel.basic_cancel("mine")
    assert [message.delivery_tag for message in got] == [1]
    assert channel.callbacks == {}
    assert channel.cancel_callbacks == {}
    assert channel.no_ack_consumers == set()
    channel.close()
    channel.basic_cancel("mine")


def test_the_broker_cancels_a_consumer(server: Server, connection: Connection, channel: Channel) -> None:
    cancelled: list[str] = []
    consume(channel, consumer_tag="mine", on_cancel=cancelled.append)
    consume(channel, consumer_tag="other")
    server.say(BasicCancel("mine", True), BasicCancel("other", True), channel=1)
    connection.drain_events(timeout=1)
    assert cancelled == ["mine"]
    with pytest.raises(ConsumerCancelled, match="other"):
        connection.drain_events(timeout=1)
    assert channel.callbacks == {}
    assert server.sent(BasicCancelOk) == []


def test_a_cancel_that_wants_an_answer_gets_it(server: Server, connection: Connection, channel: Channel) -> None:
    consume(channel, consumer_tag="mine", on_cancel=lambda _: None)
    server.say(BasicCancel("mine", False), channel=1)
    connection.drain_events(timeout=1)
    assert server.sent(BasicCancelOk) == [BasicCancelOk("mine")]


# acknowledging


def test_acknowledging(server: Server, channel: Channel) -> None:
    channel.basic_ack(1)
    channel.basic_ack(2**64 - 1, multiple=True)
    assert server.log == [(1, BasicAck(1, False)), (1, BasicAck(2**64 - 1, True))]


# text


@pytest.mark.parametrize(
    ("properties", "raw", "body"),
    [
        ({"content_encoding": "utf-8"}, "håj".encode(), "håj"),
        ({"content_encoding": "latin-1", "content_type": "text/plain"}, b"h\xe5j", "håj"),
        ({"content_encoding": "utf-8"}, b"\xff", b"\xff"),
        ({"content_encoding": "binary"}, b"x", b"x"),
        ({"content_encoding": "gzip"}, b"x", b"x"),
        ({"content_encoding": ""}, b"x", b"x"),
        ({"content_type": "text/plain; charset=utf-8"}, b"x", b"x"),
    ],
)
def test_bodies_with_an_encoding_are_made_text(
    server: Server,
    connection: Connection,
    channel: Channel,
    properties: dict[str, str],
    raw: bytes,
    body: str | bytes,
) -> None:
    encoded = Properties.of(**properties).raw
    got = consume(channel)
    server.deliver(raw, properties=encoded)
    connection.drain_events(timeout=1)
    server.answers[BasicGet] = lambda _: content(BasicGetOk(1), raw, encoded)
    fetched = channel.basic_get("q")
    assert fetched is not None
    assert [got[0].body, fetched.body] == [body, body]

    channel.auto_decode = False
    server.deliver(raw, properties=encoded)
    connection.drain_events(timeout=1)
    fetched = channel.basic_get("q")
    assert fetched is not None
    assert [got[1].body, fetched.body] == [raw, raw]


# basic.get


def test_get(server: Server, channel: Channel) -> None:
    server.answers[BasicGet] = lambda _: content(BasicGetOk(5, True, "orders", "k", 12), b"body")
    message = channel.basic_get("q", no_ack=True)
    assert server.log == [(1, BasicGet(queue="q", no_ack=True))]
    assert message is not None
    assert (message.body, message.channel, message.delivery_tag) == (b"body", channel, 5)
    assert message.delivery_info == {
        "delivery_tag": 5,
        "redelivered": True,
        "exchange": "orders",
        "routing_key": "k",
        "message_count": 12,
    }


def test_get_from_an_empty_queue(server: Server, channel: Channel) -> None:
    server.answers[BasicGet] = lambda _: BasicGetEmpty()
    assert channel.basic_get("q") is None


# returned messages

RETURNED = BasicReturn(312, "NO_ROUTE", "orders", "nowhere")


def test_a_returned_message_is_an_error(server: Server, connection: Connection, channel: Channel) -> None:
    server.say(content(RETURNED, b"body"))
    with pytest.raises(ChannelError) as caught:
        connection.drain_events(timeout=1)
    assert str(caught.value) == "Basic.return: (312) NO_ROUTE"
    assert channel.is_open


def test_a_returned_message_with_listeners(server: Server, connection: Connection, channel: Channel) -> None:
    calls: list[tuple[ChannelError, str, str, Message]] = []
    channel.events["basic_return"].add(lambda *args: calls.append(args))
    server.say(content(RETURNED, b"body", Properties.of(message_id="7").raw))
    connection.drain_events(timeout=1)
    ((error, exchange, routing_key, message),) = calls
    assert (error.reply_code, exchange, routing_key) == (312, "orders", "nowhere")
    assert (message.body, message.message_id) == (b"body", "7")
    assert message.delivery_info is None
    assert message.delivery_tag is None


# deliveries in pieces


@pytest.mark.parametrize("size", [1, 2, 7, 8, 11, 13, 50])
def test_frames_cut_anywhere(server: Server, connection: Connection, channel: Channel, size: int) -> None:
    got = consume(channel)
    properties = Properties.of(content_type="text/plain", headers={"n": 1}).raw
    data = b"".join(
        [
            delivery(b"one", 1, properties=properties),
            delivery(b"", 2),
            delivery(b"x" * 300, 3, frame_max=108),
            delivery(b"four", 4),
        ]
    )
    server.say_in_pieces(data, size)
    while len(got) < 4:
        connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"one", b"", b"x" * 300, b"four"]
    assert got[0].headers == {"n": 1}


def test_contents_of_several_channels_interleave(server: Server, connection: Connection, channel: Channel) -> None:
    other = connection.channel()
    got, elsewhere = consume(channel), consume(other)
    method = method_frame(1, BasicDeliver("made-up", 1).encode())
    rest = content_frames(1, content_header(6, NO_PROPERTIES), b"abcdef", 8 + 3)
    header, first, second = rest[:22], rest[22:33], rest[33:]
    whole, again, third = (delivery(body, 1, channel=2) for body in (b"whole", b"again", b"third"))
    server.say(method, whole, header, again, first, third, second)
    while len(got) < 1:
        connection.drain_events(timeout=1)
    assert [message.body for message in elsewhere] == [b"whole", b"again", b"third"]
    assert [message.body for message in got] == [b"abcdef"]

"""Errors that come out late tell which call caused them, and which noticed."""

import traceback

import pytest

from hutch.client import (
    AMQPNotImplementedError,
    Channel,
    Connection,
    ConnectionForced,
    Message,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RecoverableConnectionError,
    spec,
)
from hutch.client.late import published_where
from hutch.wire.frames import method_frame
from hutch.wire.methods import (
    BasicPublish,
    ChannelClose,
    ConfirmSelect,
    ConnectionClose,
    ConnectionOpen,
    QueueBind,
    QueueDeclare,
)
from tests.client.scripted import Server, delivery

NO_EXCHANGE = ChannelClose(404, "NOT_FOUND - no exchange 'nope' in vhost '/'", 60, 40)
UNKNOWN_TAG = ChannelClose(406, "PRECONDITION_FAILED - unknown delivery tag 5", 60, 80)
ONCE = "a delivery is acknowledged once, and on the channel that it came on"


def notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))


# errors without a note


def test_the_error_of_the_very_call(server: Server, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda _: ChannelClose(404, "NOT_FOUND - no queue 'q' in vhost '/'", 50, 10)
    with pytest.raises(NotFound) as caught:
        channel.queue_declare("q", passive=True)
    assert notes(caught.value) == []
    arguments: tuple[object, ...] = (0, "q", True, False, False, False, False, {})
    with pytest.raises(NotFound) as caught:
        channel.send_method(spec.Queue.Declare, "BsbbbbbF", arguments, wait=spec.Queue.DeclareOk)
    assert notes(caught.value) == []


def test_the_error_of_the_very_call_that_ends_the_connection(server: Server, channel: Channel) -> None:
    close = ConnectionClose(530, "NOT_ALLOWED - no", 50, 10)
    server.answers[QueueDeclare] = lambda _: method_frame(0, close.encode())
    with pytest.raises(NotAllowed) as caught:
        channel.queue_declare("q")
    assert notes(caught.value) == []


def test_a_confirmed_publish(server: Server, channel: Channel) -> None:
    server.answers[BasicPublish] = lambda _: NO_EXCHANGE
    with pytest.raises(NotFound) as caught:
        channel.basic_publish_confirm(Message(b""), "nope", "key")
    assert notes(caught.value) == []


def test_selecting_confirms(server: Server, channel: Channel) -> None:
    text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode"
    server.answers[ConfirmSelect] = lambda _: ChannelClose(406, text, 85, 10)
    with pytest.raises(PreconditionFailed) as caught:
        channel.confirm_select()
    assert notes(caught.value) == []


def test_a_connection_that_does_not_open(server: Server) -> None:
    server.answers[ConnectionOpen] = lambda _: ConnectionClose(530, "NOT_ALLOWED - vhost nope not found", 10, 40)
    with pytest.raises(NotAllowed) as caught:
        Connection(transport=lambda: server).connect()
    assert notes(caught.value) == []


def test_a_forced_close(server: Server, connection: Connection) -> None:
    server.say(ConnectionClose(320, "CONNECTION_FORCED - bye"))
    with pytest.raises(ConnectionForced) as caught:
        connection.drain_events(timeout=1)
    assert notes(caught.value) == []


# late errors


def test_a_publish_noticed_by_a_call(server: Server, connection: Connection, channel: Channel) -> None:
    server.answers[BasicPublish] = lambda _: NO_EXCHANGE
    connection.channel(3).basic_publish(Message(b""), "nope", "key")
    with pytest.raises(NotFound) as caught:
        channel.queue_purge("q")
    assert str(caught.value) == "Basic.publish: (404) NOT_FOUND - no exchange 'nope' in vhost '/'"
    assert notes(caught.value) == [
        "caused by basic.publish on channel 3, routing key 'key'",
        "noticed while waiting for queue.purge-ok, the answer to queue.purge",
    ]
    assert "caused by basic.publish on channel 3" in "".join(traceback.format_exception(caught.value))


def test_a_publish_noticed_by_the_next_one(server: Server, channel: Channel) -> None:
    server.answers[BasicPublish] = lambda _: NO_EXCHANGE
    channel.basic_publish(Message(b"1"), "nope", "key")
    with pytest.raises(NotFound) as caught:
        channel.basic_publish(Message(b"2"), "there", "key")
    assert notes(caught.value)[1] == "noticed by a basic.publish, which did not send its message"
    assert [body for _, _, body in server.contents] == [b"1"]


def test_a_publish_noticed_by_draining(server: Server, connection: Connection, channel: Channel) -> None:
    for read in (connection.drain_events, connection.blocking_read):
        server.say(NO_EXCHANGE, channel=1)
        with pytest.raises(NotFound) as caught:
            read(timeout=1)
        assert notes(caught.value) == ["caused by basic.publish on channel 1", "noticed while draining events"]


def test_a_publish_noticed_by_a_confirmed_one(server: Server, connection: Connection, channel: Channel) -> None:
    server.answers[BasicPublish] = lambda _: method_frame(2, NO_EXCHANGE.encode())
    connection.channel(2)
    with pytest.raises(NotFound) as caught:
        channel.basic_publish_confirm(Message(b""), "there", "key")
    assert notes(caught.value) == [
        "caused by basic.publish on channel 2",
        "noticed while waiting for the confirm of message 1 on its channel",
    ]


def test_a_publish_noticed_by_a_wait_by_ids(server: Server, channel: Channel) -> None:
    server.say(NO_EXCHANGE, channel=1)
    with pytest.raises(NotFound) as caught:
        channel.wait(spec.Basic.Nack)
    assert notes(caught.value)[1] == "noticed while waiting for basic.nack"


def test_the_innermost_call_counts(server: Server, connection: Connection, channel: Channel) -> None:
    channel.basic_consume("q", callback=lambda _: channel.queue_purge("inner"))
    server.say(delivery())
    server.say(NO_EXCHANGE, channel=1)
    with pytest.raises(NotFound) as caught:
        connection.drain_events(timeout=1)
    assert [note for note in notes(caught.value) if note.startswith("noticed")] == [
        "noticed while waiting for queue.purge-ok, the answer to queue.purge"
    ]


def test_a_call_with_nowait(server: Server, connection: Connection, channel: Channel) -> None:
    server.answers[QueueBind] = lambda _: ChannelClose(404, "NOT_FOUND - no queue 'q' in vhost '/'", 50, 20)
    channel.queue_bind("q", "amq.direct", nowait=True)
    with pytest.raises(NotFound) as caught:
        connection.drain_events(timeout=1)
    assert notes(caught.value) == ["caused by queue.bind on channel 1", "noticed while draining events"]


def test_what_ends_the_connection(server: Server, connection: Connection, channel: Channel) -> None:
    close = ConnectionClose(540, "NOT_IMPLEMENTED - immediate=true", 60, 40)
    server.answers[BasicPublish] = lambda _: method_frame(0, close.encode())
    channel.basic_publish(Message(b""), immediate=True)
    with pytest.raises(AMQPNotImplementedError) as caught:
        channel.queue_purge("q")
    assert notes(caught.value) == [
        "caused by basic.publish, on a channel that the broker does not name",
        "noticed while waiting for queue.purge-ok, the answer to queue.purge",
    ]


def test_what_no_call_has_caused(server: Server, connection: Connection, channel: Channel) -> None:
    text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out"
    server.say(ChannelClose(406, text), channel=1)
    with pytest.raises(PreconditionFailed) as caught:
        connection.drain_events(timeout=1)
    assert notes(caught.value) == ["caused by the broker itself, on channel 1", "noticed while draining events"]


# errors that the broker does not explain


def test_an_unknown_delivery_tag(server: Server, connection: Connection, channel: Channel) -> None:
    for hint in (
        [],
        ["this channel was opened anew, which ends older deliveries, after Basic.ack: (406) " + UNKNOWN_TAG.reply_text],
    ):
        channel.basic_ack(5)
        server.say(UNKNOWN_TAG, channel=1)
        with pytest.raises(PreconditionFailed) as caught:
            connection.drain_events(timeout=1)
        assert notes(caught.value) == [
            "caused by basic.ack on channel 1",
            ONCE,
            *hint,
            "noticed while draining events",
        ]


def test_an_unknown_delivery_tag_where_none_is_wanted(server: Server, connection: Connection, channel: Channel) -> None:
    channel.basic_consume("q", "a", no_ack=True, callback=lambda message: channel.basic_ack(message.delivery_tag or 0))
    server.deliver(tag=5, consumer="a")
    connection.drain_events(timeout=1)
    server.say(UNKNOWN_TAG, channel=1)
    with pytest.raises(PreconditionFailed) as caught:
        connection.drain_events(timeout=1)
    assert notes(caught.value)[2] == "deliveries to consumer 'a' are not to be acknowledged (no_ack)"


MISSING = "NOT_FOUND - no exchange 'nope' in vhost '/'"
INVALID = "PRECONDITION_FAILED - invalid expiration 'x': no_integer"


@pytest.mark.parametrize(
    ("routes", "text", "where"),
    [
        ([("nope", "a")], MISSING, ", routing key 'a'"),
        ([("nope", "b"), ("nope", "a"), ("there", "c")], MISSING, ", routing key 'a' or 'b'"),
        ([("nope", key) for key in "edcba"], MISSING, ", routing key 'a' or 'b' or 'c' or 2 others"),
        ([("logs", "a")], INVALID, " to exchange 'logs', routing key 'a'"),
        ([("logs", "a"), ("logs", "b")], INVALID, ""),
        ([], INVALID, ""),
    ],
)
def test_where_a_message_went(routes: list[tuple[str, str]], text: str, where: str) -> None:
    assert published_where(routes, text) == where


# after the connection was closed


def test_the_reason_is_told_again(server: Server, connection: Connection, channel: Channel) -> None:
    server.say(ConnectionClose(320, "CONNECTION_FORCED - bye"))
    with pytest.raises(ConnectionForced):
        connection.drain_events(timeout=1)
    why = r"connection already closed, for \(320\) CONNECTION_FORCED - bye"
    with pytest.raises(RecoverableConnectionError, match=f"queue.declare: {why}"):
        channel.queue_declare("q")
    with pytest.raises(RecoverableConnectionError, match=f"basic.publish: {why}"):
        channel.basic_publish(Message(b""))
    with pytest.raises(RecoverableConnectionError, match=f"basic.ack: {why}"):
        channel.basic_ack(1)
    with pytest.raises(RecoverableConnectionError, match=why):
        connection.channel()


def test_a_closed_channel_is_not_a_closed_connection(connection: Connection, channel: Channel) -> None:
    channel.close()
    with pytest.raises(RecoverableConnectionError, match=r"^queue.purge: channel already closed$"):
        channel.queue_purge("q")
    connection.close()
    with pytest.raises(RecoverableConnectionError, match=r"^queue.purge: connection already closed$"):
        channel.queue_purge("q")

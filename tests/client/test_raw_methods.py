"""Methods by their ids: sent, awaited and taken, in one order with those that have names of their own."""

from typing import Any

import pytest

from hutch.client import (
    AMQPNotImplementedError,
    Channel,
    Connection,
    ConnectionForced,
    FrameSyntaxError,
    InvalidCommand,
    Message,
    NotFound,
    RecoverableConnectionError,
    promise,
    spec,
)
from hutch.client.serialization import dumps
from hutch.wire.declaration import Method
from hutch.wire.frames import content_header, frame, method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicDeliver,
    BasicGet,
    BasicGetEmpty,
    BasicGetOk,
    BasicNack,
    BasicPublish,
    BasicReturn,
    ChannelClose,
    ChannelCloseOk,
    ConfirmSelect,
    ConnectionBlocked,
    ConnectionClose,
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    QueueDeclareOk,
    QueuePurge,
    QueuePurgeOk,
)
from hutch.wire.properties import NO_PROPERTIES
from tests.client.scripted import Server, delivery

DECLARE = (spec.Queue.Declare, "BsbbbbbF")


def declare(queue: str, nowait: bool = False) -> tuple[Any, ...]:
    return (0, queue, False, True, False, False, nowait, {"x-max-length": 7})


def counted(server: Server) -> None:
    """Have the server answer each purge with a number of its own, 1 for the first."""
    counts = iter(range(1, 100))
    server.answers[QueuePurge] = lambda _: QueuePurgeOk(next(counts))


# sending


def test_a_method_by_its_ids_is_the_same_as_by_its_name(server: Server, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda _: QueueDeclareOk("q", 3, 4)
    assert channel.send_method(*DECLARE, declare("q"), wait=spec.Queue.DeclareOk) == "q"
    answer = channel.send_method(*DECLARE, declare("q"), wait=[spec.Queue.DeclareOk], returns_tuple=True)
    assert answer == ("q", 3, 4)
    channel.queue_declare("q", durable=True, auto_delete=False, arguments={"x-max-length": 7})
    assert len(server.log) == 3
    assert server.log[0] == server.log[1] == server.log[2]


def test_an_answer_without_arguments_is_an_empty_tuple(server: Server, channel: Channel) -> None:
    server.answers[QueueBind] = lambda _: QueueBindOk()
    arguments = (0, "q", "x", "key", False, None)
    assert channel.send_method(spec.Queue.Bind, "BsssbF", arguments, wait=spec.Queue.BindOk) == ()
    assert server.log == [(1, QueueBind(0, "q", "x", "key"))]


def test_without_a_wait_there_is_a_promise(channel: Channel) -> None:
    calls: list[tuple[object, ...]] = []
    sent = channel.send_method(spec.Basic.Ack, "Lb", (7, True), callback=lambda *args: calls.append(args))
    assert isinstance(sent, promise)
    assert sent.ready
    assert calls == [()]
    channel.send_method(spec.Basic.Ack, "Lb", (8, True), callback=promise(lambda *args: calls.append(args)))
    assert calls == [(), ()]


def test_a_message_goes_with_its_method(server: Server, channel: Channel) -> None:
    arguments = (0, "logs", "key", True, False)
    channel.send_method(spec.Basic.Publish, "Bssbb", arguments, Message("é", delivery_mode=2))
    channel.basic_publish(Message("é", delivery_mode=2), "logs", "key", mandatory=True)
    assert server.log[0] == server.log[1] == (1, BasicPublish(0, "logs", "key", True))
    assert server.contents[0] == server.contents[1]


def test_a_large_message_is_cut_to_frames(server: Server, channel: Channel) -> None:
    body = b"x" * 300_000
    channel.send_method(spec.Basic.Publish, "Bssbb", (0, "", "q", False, False), Message(body))
    assert server.contents[0][2] == body
    assert max(server.frame_sizes) == 131072


def test_confirms_count_what_was_published_by_ids(server: Server, channel: Channel) -> None:
    channel.send_method(spec.Confirm.Select, "b", (False,), wait=spec.Confirm.SelectOk)
    channel.send_method(spec.Basic.Publish, "Bssbb", (0, "", "q", False, False), Message(b"1"))
    server.answers[BasicPublish] = lambda _: [BasicAck(1), BasicAck(2)]
    channel.basic_publish_confirm(Message(b"2"), routing_key="q")
    assert len(server.sent(ConfirmSelect)) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((spec.Queue.Purge, "Bsb", (0, "q")), "2 values for 3 letters"),
        ((spec.Queue.Purge, "Bsb", (0, "q" * 256, False)), "cannot be written as 's'"),
        ((spec.Queue.Purge, None, (0, "q", False)), "no format"),
        ((spec.Basic.Publish, "Bssbb", (0, "", "q", False, False)), "basic.publish goes with a message"),
    ],
)
def test_what_cannot_be_sent(server: Server, channel: Channel, arguments: tuple[Any, ...], why: str) -> None:
    with pytest.raises(FrameSyntaxError, match=why):
        channel.send_method(*arguments)
    assert not server.log
    counted(server)
    assert channel.queue_purge("q") == 1, "nothing is awaited that was not sent"


def test_properties_larger_than_a_frame_cannot_be_sent(channel: Channel) -> None:
    message = Message(b"", application_headers={"a": "x" * 200_000})
    with pytest.raises(ValueError, match="do not fit a frame"):
        channel.send_method(spec.Basic.Publish, "Bssbb", (0, "", "q", False, False), message)


def test_an_unknown_method_is_sent_and_may_be_refused(server: Server, channel: Channel) -> None:
    """Whether there is such a method is the broker's to say; waiting for one makes no sense."""
    sends = len(server.sends)
    with pytest.raises(KeyError):  # the scripted server does not know the method either
        channel.send_method((99, 1), "s", ("x",))
    assert server.sends[sends:] == [method_frame(1, b"\0\x63\0\x01\x01x")]
    with pytest.raises(AMQPNotImplementedError, match=r"\(99, 2\)"):
        channel.wait((99, 2))


def test_on_what_is_closed(server: Server, connection: Connection, channel: Channel) -> None:
    connection.close()
    for closed in (channel, connection):
        with pytest.raises(RecoverableConnectionError, match=r"^queue.purge: connection already closed"):
            closed.send_method(spec.Queue.Purge, "Bsb", (0, "q", False))
        with pytest.raises(RecoverableConnectionError, match="closed"):
            closed.wait(spec.Queue.PurgeOk)


def test_a_channel_closed_by_ids(server: Server, connection: Connection, channel: Channel) -> None:
    assert channel.send_method(spec.Channel.Close, "BsBB", (0, "", 0, 0), wait=spec.Channel.CloseOk) == ()
    assert not channel.is_open
    assert connection.channels == {0: connection}
    assert connection.connected


def test_a_connection_closed_by_ids(server: Server, connection: Connection) -> None:
    arguments = (0, "", 0, 0)
    assert connection.send_method(spec.Connection.Close, "BsBB", arguments, wait=spec.Connection.CloseOk) == ()
    assert not connection.connected
    assert server.closed


# order


def test_answers_keep_their_order(server: Server, channel: Channel) -> None:
    counted(server)
    channel.send_method(spec.Queue.Purge, "Bsb", (0, "a", False))
    assert channel.queue_purge("b") == 2
    channel.send_method(spec.Queue.Purge, "Bsb", (0, "c", False))
    channel.send_method(spec.Queue.Purge, "Bsb", (0, "d", False))
    assert channel.wait(spec.Queue.PurgeOk) == 3
    assert channel.wait(spec.Queue.PurgeOk) == 4


def test_answers_keep_their_order_within_a_callback(server: Server, channel: Channel) -> None:
    counts: list[object] = []
    purge = (spec.Queue.Purge, "Bsb", (0, "q", False))
    channel.basic_consume("q", callback=lambda _: counts.append(channel.send_method(*purge, wait=spec.Queue.PurgeOk)))
    server.say(delivery(), *[method_frame(1, QueuePurgeOk(count).encode()) for count in (1, 2)])
    assert channel.send_method(*purge, wait=spec.Queue.PurgeOk) == 1
    assert counts == [2]


def test_a_request_that_wants_no_answer_gets_none(server: Server, channel: Channel) -> None:
    server.answers[QueueDeclare] = lambda method: (
        None if isinstance(method, QueueDeclare) and method.nowait else QueueDeclareOk("awaited", 0, 0)
    )
    channel.send_method(*DECLARE, declare("not awaited", nowait=True))
    answer = channel.queue_declare("awaited")
    assert answer is not None
    assert answer.queue == "awaited"


def test_an_answer_is_its_callers_not_a_waits(server: Server, channel: Channel) -> None:
    """Somebody waits, in a callback, for a method that a call further out has asked for."""
    waited: list[object] = []
    channel.basic_consume("q", callback=lambda _: waited.append(channel.wait(spec.Queue.PurgeOk, timeout=1)))
    server.say(delivery(), method_frame(1, QueuePurgeOk(1).encode()))
    with pytest.raises(TimeoutError, match=r"timed out waiting for queue.purge-ok$"):
        channel.queue_purge("q")
    assert waited == []


# waiting

UNASKED: list[tuple[Any, bytes, tuple[object, ...]]] = [
    (spec.Basic.Ack, method_frame(1, BasicAck(5, True).encode()), (5, True)),
    (spec.Basic.Nack, method_frame(1, BasicNack(5, True, False).encode()), (5, True)),
]


@pytest.mark.parametrize(("sig", "data", "arguments"), UNASKED, ids=["ack", "nack"])
def test_waiting_for_what_comes_unasked(
    server: Server, channel: Channel, sig: Any, data: bytes, arguments: tuple[object, ...]
) -> None:
    for returns_tuple in (True, False):
        server.say(data)
        assert channel.wait(sig, returns_tuple=returns_tuple) == (arguments if returns_tuple else arguments[0])


def test_waiting_for_a_confirm_leaves_it_to_its_listeners_too(server: Server, channel: Channel) -> None:
    heard: list[object] = []
    channel.events["basic_ack"].add(lambda tag, multiple: heard.append((tag, multiple)))
    called: list[object] = []
    server.say(BasicAck(3), channel=1)
    assert channel.wait([spec.Basic.Ack, spec.Basic.Nack], callback=lambda *args: called.append(args)) == ()
    assert heard == [(3, False)]
    assert called == [((60, 80), 3, False)]
    server.say(BasicAck(4), channel=1)
    assert channel.connection is not None
    channel.connection.drain_events(timeout=1)
    assert len(called) == 1
    assert len(heard) == 2


def test_waiting_for_a_delivery(server: Server, channel: Channel) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    server.deliver(b"body", tag=9)
    *arguments, message = channel.wait(spec.Basic.Deliver, returns_tuple=True)
    assert arguments == ["made-up", 9, False, "orders", "order.created"]
    assert got == [message]
    server.deliver(b"more", tag=10)
    assert channel.connection is not None
    channel.connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"body", b"more"]


def test_waiting_for_a_returned_message(server: Server, channel: Channel) -> None:
    channel.events["basic_return"].add(lambda *_: None)
    returned = method_frame(1, BasicReturn(312, "NO_ROUTE", "logs", "key").encode())
    server.say(returned, frame(2, 1, content_header(2, NO_PROPERTIES)), frame(3, 1, b"hi"))
    *arguments, message = channel.wait(spec.Basic.Return, returns_tuple=True)
    assert arguments == [312, "NO_ROUTE", "logs", "key"]
    assert message.body == b"hi"


def test_what_basic_get_answers(server: Server, channel: Channel) -> None:
    get = (spec.Basic.Get, "Bsb", (0, "q", True))
    either: Any = [spec.Basic.GetOk, spec.Basic.GetEmpty]
    server.answers[BasicGet] = lambda _: BasicGetEmpty()
    assert channel.send_method(*get, wait=either, returns_tuple=True) == ("",)
    found = method_frame(1, BasicGetOk(1, False, "x", "k", 6).encode())
    server.answers[BasicGet] = lambda _: found + frame(2, 1, content_header(2, NO_PROPERTIES)) + frame(3, 1, b"hi")
    *arguments, message = channel.send_method(*get, wait=either, returns_tuple=True)
    assert arguments == [1, False, "x", "k", 6]
    assert message.body == b"hi"


def test_waiting_for_news_of_the_connection(server: Server, connection: Connection) -> None:
    server.say(ConnectionBlocked("low on memory"))
    assert connection.wait(spec.Connection.Blocked) == ()


def test_who_waits_last_is_told_first(server: Server, channel: Channel) -> None:
    inner: list[object] = []
    channel.basic_consume("q", callback=lambda _: inner.append(channel.wait(spec.Basic.Nack)))
    server.say(delivery(), *[method_frame(1, BasicNack(tag).encode()) for tag in (1, 2)])
    assert channel.wait(spec.Basic.Nack) == 2
    assert inner == [1]


def test_a_wait_has_its_deadline_in_all(server: Server, channel: Channel) -> None:
    started = server.now
    for second in range(1, 20):
        server.say_at(started + second, BasicAck(second), channel=1)
    with pytest.raises(TimeoutError, match=r"timed out waiting for basic.nack$"):
        channel.wait(spec.Basic.Nack, timeout=5)
    assert server.now == started + 5


def test_after_a_timeout_the_answer_may_be_waited_for_again(server: Server, channel: Channel) -> None:
    channel.send_method(spec.Queue.Purge, "Bsb", (0, "q", False))
    with pytest.raises(TimeoutError):
        channel.wait(spec.Queue.PurgeOk, timeout=1)
    server.say(QueuePurgeOk(7), channel=1)
    assert channel.wait(spec.Queue.PurgeOk, timeout=1) == 7


def test_the_error_of_a_callback_is_raised(server: Server, channel: Channel) -> None:
    def refuse(*_: object) -> None:
        raise KeyError("the callback's own")

    server.say(BasicNack(1), channel=1)
    with pytest.raises(KeyError, match="the callback's own"):
        channel.wait(spec.Basic.Nack, callback=refuse)
    server.say(BasicNack(1), channel=1)
    errors: list[BaseException] = []
    assert channel.wait(spec.Basic.Nack, callback=promise(refuse, on_error=errors.append)) is None
    assert len(errors) == 1


def test_a_wait_ends_with_the_channel(server: Server, connection: Connection, channel: Channel) -> None:
    server.say(ChannelClose(404, "NOT_FOUND - no queue 'q'", 60, 20), channel=1)
    with pytest.raises(NotFound):
        channel.wait(spec.Basic.Nack)

    def swallow(_: Message) -> None:
        with pytest.raises(NotFound):
            connection.drain_events(timeout=1)

    channel.basic_consume("q", callback=swallow)
    server.say(delivery(), method_frame(1, ChannelClose(404, "NOT_FOUND - no", 50, 10).encode()))
    with pytest.raises(NotFound):
        channel.wait(spec.Basic.Nack)


def test_a_wait_ends_with_the_connection(server: Server, connection: Connection, channel: Channel) -> None:
    server.say(ConnectionClose(320, "CONNECTION_FORCED"))
    with pytest.raises(ConnectionForced):
        channel.wait(spec.Basic.Nack)


def test_a_wait_for_the_end_of_the_channel_hears_the_reason(server: Server, channel: Channel) -> None:
    server.say(ChannelClose(404, "NOT_FOUND - no queue 'q'", 60, 20), channel=1)
    with pytest.raises(NotFound):
        channel.wait(spec.Channel.Close)


# passing on received methods


def payload(method: Method) -> bytes:
    return method.encode()


def test_a_delivery_by_its_ids(channel: Channel) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    message = Message("é", content_encoding="utf-8", priority=3)
    deliver = BasicDeliver("made-up", 5, True, "x", "k")
    channel.dispatch_method(spec.Basic.Deliver, payload(deliver), message)
    assert got[0].body == "é"
    assert got[0].delivery_tag == 5
    assert got[0].properties == {"content_encoding": "utf-8", "priority": 3}
    assert got[0].channel is channel


def test_an_answer_by_its_ids(server: Server, channel: Channel) -> None:
    sent = channel.send_method(*DECLARE, declare("q"))
    assert sent.ready
    got: list[object] = []

    def wait() -> None:
        got.append(channel.wait(spec.Queue.DeclareOk, timeout=1))

    with pytest.raises(TimeoutError):
        wait()
    server.say(BasicCancel("none"), channel=1)
    channel.cancel_callbacks["none"] = lambda _: channel.dispatch_method(
        spec.Queue.DeclareOk, b"\0\0\0\0" + dumps("sll", ("q", 1, 2)), None
    )
    wait()
    assert got == ["q"]


def test_a_confirm_by_its_ids(channel: Channel) -> None:
    heard: list[object] = []
    channel.events["basic_ack"].add(lambda *args: heard.append(args))
    channel.dispatch_method(spec.Basic.Ack, payload(BasicAck(3, True)), None)
    assert heard == [(3, True)]


@pytest.mark.parametrize(
    ("sig", "data", "kind"),
    [
        ((99, 1), b"\0\0\0\0", AMQPNotImplementedError),
        (spec.Queue.DeclareOk, b"\0\0\0\0\x05ab", FrameSyntaxError),
        (spec.Basic.Deliver, payload(BasicDeliver("made-up", 1)), FrameSyntaxError),
        (spec.Queue.Purge, payload(QueuePurge()), InvalidCommand),
        (spec.Connection.Close, payload(ConnectionClose(320, "no")), InvalidCommand),
    ],
    ids=["unknown", "cut short", "without its content", "a client's", "the connection's"],
)
def test_what_cannot_be_taken(
    connection: Connection, channel: Channel, sig: Any, data: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        channel.dispatch_method(sig, data, None)
    assert connection.connected


def test_while_closing_all_but_the_close_is_dropped(server: Server, channel: Channel) -> None:
    channel.basic_consume("q", callback=lambda _: pytest.fail("a delivery to a closing channel"))
    channel.is_closing = True
    channel.dispatch_method(spec.Basic.Deliver, payload(BasicDeliver("made-up", 1)), Message(b""))
    channel.dispatch_method(spec.Channel.CloseOk, payload(ChannelCloseOk()), None)
    assert not channel.is_open

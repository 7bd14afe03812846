"""basic.publish and confirms."""

from collections.abc import Callable

import pytest

from hutch.client import (
    Channel,
    ChannelError,
    Connection,
    FrameSyntaxError,
    Message,
    MessageNacked,
    NotFound,
    RecoverableConnectionError,
)
from hutch.wire.declaration import Method
from hutch.wire.frames import content_frames, content_header, method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicNack,
    BasicPublish,
    BasicReturn,
    ChannelClose,
    ChannelCloseOk,
    ChannelOpen,
    ConfirmSelect,
    ConfirmSelectOk,
    ConnectionBlocked,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionUnblocked,
)
from hutch.wire.properties import NO_PROPERTIES, PropertyError, decode_properties
from tests.client.scripted import Server, delivery, opened

# publishing


def test_one_send_for_a_whole_message(server: Server, channel: Channel) -> None:
    server.sends.clear()
    channel.basic_publish(Message(b"body", content_type="text/plain"), "orders", "order.created", mandatory=True)
    assert len(server.sends) == 1
    ((method, properties, body),) = server.contents
    assert method == BasicPublish(exchange="orders", routing_key="order.created", mandatory=True)
    assert decode_properties(properties) == {"content_type": "text/plain"}
    assert body == b"body"


def test_the_same_bytes_as_frame_by_frame(server: Server, channel: Channel) -> None:
    for delivery_mode in (None, 2):
        for body in (b"", b"x"):
            channel.basic_publish(Message(body, delivery_mode=delivery_mode), "e", "k")
            _, raw, _ = server.contents[-1]
            method = method_frame(1, BasicPublish(exchange="e", routing_key="k").encode())
            assert server.sends[-1] == method + content_frames(1, content_header(len(body), raw), body, 131072)


def test_exchange_and_key_and_flags_are_told_apart(server: Server, channel: Channel) -> None:
    calls = [("a", "b", False, False), ("a", "c", False, False), ("ab", "", False, False), ("a", "b", True, False)]
    for call in calls * 2:
        channel.basic_publish(Message(b"x"), *call)
    channel.basic_publish(Message(b"x"))
    assert [method for method, _, _ in server.contents] == [
        BasicPublish(0, *call) for call in [*calls, *calls, ("", "", False, False)]
    ]


def test_many_routing_keys(server: Server, channel: Channel) -> None:
    for number in range(3000):
        channel.basic_publish(Message(b"x"), "e", f"key {number}")
    assert [method.routing_key for method, _, _ in server.contents if isinstance(method, BasicPublish)] == [
        f"key {number}" for number in range(3000)
    ]


@pytest.mark.parametrize("size", [0, 1, 8184, 8185, 16368, 16369, 50000])
def test_a_body_is_cut_by_frame_max(size: int) -> None:
    server = Server()
    server.answers[ConnectionStartOk] = lambda _: ConnectionTune(0, 8192, 0)
    _, channel = opened(server)
    body = (bytes(range(256)) * 200)[:size]
    server.frame_sizes.clear()
    channel.basic_publish(Message(body, message_id="1"), routing_key="q")
    assert server.contents[0][2] == body
    assert max(server.frame_sizes) <= 8192
    assert len(server.frame_sizes) == 2 + -(-size // 8184)


def test_properties_that_fit_no_frame(server: Server, channel: Channel) -> None:
    message = Message(b"x", application_headers={"a": "x" * 140000})
    with pytest.raises(ValueError, match="do not fit a frame"):
        channel.basic_publish(message, routing_key="q")
    assert server.contents == []


def test_text_is_utf_8_unless_said_otherwise(server: Server, channel: Channel) -> None:
    message = Message("håj")
    channel.basic_publish(message)
    channel.basic_publish(Message("håj", content_encoding="latin-1"))
    assert [body for _, _, body in server.contents] == ["håj".encode(), b"h\xe5j"]
    assert message.properties == {"content_encoding": "utf-8"}
    assert decode_properties(server.contents[0][1]) == {"content_encoding": "utf-8"}


def test_a_changed_message_is_encoded_anew(server: Server, channel: Channel) -> None:
    message = Message(b"1", delivery_mode=2, application_headers={"attempt": 1})
    channel.basic_publish(message)
    message.properties["application_headers"]["attempt"] = 2
    message.properties["delivery_mode"] = 1
    message.body = b"2"
    channel.basic_publish(message)
    assert [(decode_properties(raw), body) for _, raw, body in server.contents] == [
        ({"delivery_mode": 2, "headers": {"attempt": 1}}, b"1"),
        ({"delivery_mode": 1, "headers": {"attempt": 2}}, b"2"),
    ]


def test_a_received_message_is_forwarded_as_it_came(server: Server, connection: Connection, channel: Channel) -> None:
    # the header n is a short; no plain Python value is encoded like that
    odd = b"\x20\x00\x00\x00\x00\x05\x01ns\x00\x07"
    channel.basic_consume("q", callback=lambda message: channel.basic_publish(message, "elsewhere"))
    server.deliver(b"body", properties=odd)
    connection.drain_events(timeout=1)
    ((_, properties, body),) = server.contents
    assert (properties, body) == (odd, b"body")


def test_a_received_message_changed(server: Server, connection: Connection, channel: Channel) -> None:
    def again(message: Message) -> None:
        message.properties["reply_to"] = "me"
        message.body = b"other"
        channel.basic_publish(message, "elsewhere")

    channel.basic_consume("q", callback=again)
    server.deliver(b"body")
    connection.drain_events(timeout=1)
    ((_, properties, body),) = server.contents
    assert (decode_properties(properties), body) == ({"reply_to": "me"}, b"other")


def test_properties_that_cannot_be_sent(server: Server, channel: Channel) -> None:
    with pytest.raises(FrameSyntaxError, match=r"Basic.publish: \(502\) priority='high'"):
        channel.basic_publish(Message(b"x", priority="high"))
    with pytest.raises(FrameSyntaxError, match="correlation_id"):
        channel.basic_publish(Message(b"x", correlation_id="x" * 256))
    with pytest.raises(FrameSyntaxError, match="type=\\[\\]"):
        channel.basic_publish(Message(b"x", type=[]))
    with pytest.raises(TypeError, match="not int"):
        channel.basic_publish(Message(7))  # type: ignore[arg-type]
    with pytest.raises(LookupError):
        channel.basic_publish(Message("x", content_encoding="klingon"))
    assert server.contents == []
    assert not issubclass(FrameSyntaxError, PropertyError)


def test_names_that_are_no_properties_stay_here(server: Server, channel: Channel) -> None:
    message = Message(b"x", priority=None, periodic_task_name="nightly", type="t")
    channel.basic_publish(message)
    assert decode_properties(server.contents[0][1]) == {"type": "t"}
    assert message.periodic_task_name == "nightly"


def test_bytes_like_bodies(server: Server, channel: Channel) -> None:
    channel.basic_publish(Message(bytearray(b"one")))  # type: ignore[arg-type]
    channel.basic_publish(Message(memoryview(b"two")))  # type: ignore[arg-type]
    assert [body for _, _, body in server.contents] == [b"one", b"two"]


# events between publishes


def test_an_error_comes_out_of_the_next_publish(server: Server, channel: Channel) -> None:
    server.answers[BasicPublish] = lambda _: ChannelClose(404, "NOT_FOUND - no exchange 'e' in vhost '/'", 60, 40)
    channel.basic_publish(Message(b"x"), "e")
    with pytest.raises(NotFound, match=r"Basic.publish: \(404\)"):
        channel.basic_publish(Message(b"x"), "e")
    assert len(server.contents) == 1
    assert channel.is_open


def test_publishing_takes_notice_of_a_blocked_connection(server: Server) -> None:
    calls: list[str] = []
    _, channel = opened(server, on_blocked=calls.append, on_unblocked=lambda: calls.append("unblocked"))
    server.say(ConnectionBlocked("low on memory"))
    channel.basic_publish(Message(b"x"))
    assert calls == ["low on memory"]
    server.say(ConnectionUnblocked())
    channel.basic_publish(Message(b"x"))
    assert calls == ["low on memory", "unblocked"]
    assert len(server.contents) == 2


def test_blocked_without_listeners(server: Server, connection: Connection) -> None:
    server.say(ConnectionBlocked("low on memory"), ConnectionUnblocked())
    connection.drain_events(timeout=1)
    connection.drain_events(timeout=1)


def test_publishing_in_a_callback_does_not_take_the_next_delivery(
    server: Server, connection: Connection, channel: Channel
) -> None:
    depth = 0

    def again(message: Message) -> None:
        nonlocal depth
        depth += 1
        assert depth == 1
        channel.basic_publish(message, "elsewhere")
        depth -= 1

    channel.basic_consume("q", callback=again)
    server.say(*[delivery(tag=tag) for tag in range(1, 2001)])
    while len(server.contents) < 2000:
        connection.drain_events(timeout=1)


# confirms


def confirming(server: Server) -> None:
    """Have the server confirm each publish."""
    counts = {"published": 0}

    def select(_: Method) -> Method:
        counts["published"] = 0
        return ConfirmSelectOk()

    def confirm(_: Method) -> Method:
        counts["published"] += 1
        return BasicAck(counts["published"], False)

    server.answers[ConfirmSelect] = select
    server.answers[BasicPublish] = confirm


def test_waiting_for_the_confirm(server: Server, channel: Channel) -> None:
    confirming(server)
    for _ in range(3):
        channel.basic_publish_confirm(Message(b"x"), "e", "k")
    assert server.log[0] == (1, ConfirmSelect())
    assert len(server.sent(ConfirmSelect)) == 1
    assert len(server.contents) == 3


def test_confirm_publish_makes_every_publish_wait(server: Server) -> None:
    confirming(server)
    _, channel = opened(server, confirm_publish=True)
    channel.basic_publish(Message(b"x"))
    assert server.sent(ConfirmSelect) == [ConfirmSelect()]
    server.answers[BasicPublish] = lambda _: BasicNack(2)
    with pytest.raises(MessageNacked):
        channel.basic_publish(Message(b"x"))


class InterruptedServer(Server):
    """Something else is done in the middle of a receive, as by another thread."""

    receives = 0
    meanwhile: Callable[[], None] | None = None

    def receive(self, deadline: float | None = None) -> bytes:
        self.receives += 1
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().receive(deadline)


def test_one_of_several_publishing_threads_looks_for_news() -> None:
    server = InterruptedServer()
    connection, channel = opened(server)
    other = connection.channel()
    server.receives = 0
    server.meanwhile = lambda: other.basic_publish(Message(b"2"))
    server.say(ConnectionBlocked("low on memory"))
    channel.basic_publish(Message(b"1"))
    assert server.receives == 1
    assert [body for *_, body in server.contents] == [b"2", b"1"]


def test_a_nack(server: Server, channel: Channel) -> None:
    server.answers[BasicPublish] = lambda _: BasicNack(1)
    with pytest.raises(MessageNacked, match="message 1 on its channel, to exchange 'e' by 'k'"):
        channel.basic_publish_confirm(Message(b"x"), "e", "k")


def test_a_confirm_of_several(server: Server, channel: Channel) -> None:
    channel.confirm_select()
    channel.basic_publish(Message(b"1"))
    channel.basic_publish(Message(b"2"))
    server.answers[BasicPublish] = lambda _: BasicAck(3, True)
    channel.basic_publish_confirm(Message(b"3"))
    server.answers[BasicPublish] = lambda _: BasicNack(4, True)
    with pytest.raises(MessageNacked):
        channel.basic_publish_confirm(Message(b"4"))
    assert len(server.sent(ConfirmSelect)) == 1


def test_messages_published_by_callbacks_while_confirms_are_selected_count(server: Server, channel: Channel) -> None:
    channel.basic_consume("q", callback=lambda message: channel.basic_publish(Message(message.body)))
    server.answers[ConfirmSelect] = lambda _: [delivery(b"1"), ConfirmSelectOk()]
    server.answers[BasicPublish] = lambda _: BasicAck(len(server.sent(BasicPublish)), False)
    channel.basic_publish_confirm(Message(b"2"))
    assert [body for *_, body in server.contents] == [b"1", b"2"]


def test_the_confirm_of_another_message_does_not_count(server: Server) -> None:
    _, channel = opened(server, read_timeout=5)
    channel.confirm_select()
    channel.basic_publish(Message(b"1"))
    server.answers[BasicPublish] = lambda _: BasicAck(1, False)
    with pytest.raises(TimeoutError, match="the confirm of message 2"):
        channel.basic_publish_confirm(Message(b"2"))
    server.answers[BasicPublish] = lambda _: [BasicAck(2, False), BasicNack(3, False)]
    with pytest.raises(MessageNacked, match="message 3"):
        channel.basic_publish_confirm(Message(b"3"))


@pytest.mark.parametrize(("confirm_timeout", "timeout", "wait"), [(2, 3, 2), (None, 3, 3), (None, None, 7)])
def test_a_confirm_that_does_not_come(
    server: Server, confirm_timeout: float | None, timeout: float | None, wait: float
) -> None:
    connection, channel = opened(server, read_timeout=7)
    channel.confirm_select()
    started = server.now
    with pytest.raises(TimeoutError, match="the confirm of message 1"):
        channel.basic_publish_confirm(Message(b"x"), timeout=timeout, confirm_timeout=confirm_timeout)
    assert server.now == started + wait
    assert connection.connected


@pytest.mark.parametrize(("confirm_timeout", "timeout", "wait"), [(2, 3, 2), (None, 3, 3), (None, None, 7)])
def test_confirm_mode_that_is_not_selected_in_time(
    server: Server, confirm_timeout: float | None, timeout: float | None, wait: float
) -> None:
    _, channel = opened(server, read_timeout=7)
    server.answers[ConfirmSelect] = lambda _: None
    started = server.now
    with pytest.raises(TimeoutError, match=r"confirm\.select-ok, the answer to confirm\.select"):
        channel.basic_publish_confirm(Message(b"x"), timeout=timeout, confirm_timeout=confirm_timeout)
    assert server.now == started + wait
    assert server.sent(BasicPublish) == []
    server.say(ConfirmSelectOk(), channel=1)  # a late answer
    server.answers[BasicPublish] = lambda _: BasicAck(1, False)
    channel.basic_publish_confirm(Message(b"x"))
    assert len(server.sent(ConfirmSelect)) == 1


def test_one_timeout_is_for_confirm_mode_and_the_confirm(server: Server) -> None:
    _, channel = opened(server, read_timeout=7)
    started = server.now

    def late(_: Method) -> None:
        server.say_at(started + 2, ConfirmSelectOk(), channel=1)

    server.answers[ConfirmSelect] = late
    with pytest.raises(TimeoutError, match="the confirm of message 1"):
        channel.basic_publish_confirm(Message(b"x"), confirm_timeout=3)
    assert server.now == started + 3


def test_a_returned_message_comes_before_its_confirm(server: Server, connection: Connection, channel: Channel) -> None:
    returned = BasicReturn(312, "NO_ROUTE", "", "nowhere")
    answer = method_frame(1, returned.encode()) + content_frames(1, content_header(1, NO_PROPERTIES), b"x", 0)
    server.answers[BasicPublish] = lambda _: [answer, BasicAck(1, False)]
    with pytest.raises(ChannelError, match="NO_ROUTE"):
        channel.basic_publish_confirm(Message(b"x"), routing_key="nowhere", mandatory=True)
    server.answers[BasicPublish] = lambda _: BasicAck(2, False)
    channel.basic_publish_confirm(Message(b"x"))  # the late confirm of the first publish does not end this wait


def test_a_closed_channel_selects_confirms_anew(server: Server, channel: Channel) -> None:
    confirming(server)
    channel.basic_publish_confirm(Message(b"x"))
    server.answers[BasicPublish] = lambda _: ChannelClose(404, "NOT_FOUND - no exchange", 60, 40)
    with pytest.raises(NotFound):
        channel.basic_publish_confirm(Message(b"x"), "missing")
    confirming(server)
    channel.basic_publish_confirm(Message(b"x"))
    kinds = [type(method) for _, method in server.log if not isinstance(method, BasicPublish)]
    assert kinds == [ConfirmSelect, ChannelCloseOk, ChannelOpen, ConfirmSelect]


def test_events_of_confirms(server: Server, connection: Connection, channel: Channel) -> None:
    calls: list[tuple[object, ...]] = []
    channel.events["basic_ack"].add(lambda *args: calls.append(("ack", *args)))
    channel.events["basic_nack"].add(lambda *args: calls.append(("nack", *args)))
    channel.confirm_select()
    server.say(BasicAck(1, False), BasicAck(5, True), BasicNack(6, False), BasicNack(9, True), channel=1)
    for _ in range(4):
        connection.drain_events(timeout=1)
    assert calls == [("ack", 1, False), ("ack", 5, True), ("nack", 6, False), ("nack", 9, True)]


def test_publishing_on_a_closed_channel(channel: Channel) -> None:
    channel.close()
    with pytest.raises(RecoverableConnectionError, match=r"basic.publish: channel already closed"):
        channel.basic_publish(Message(b"x"))
    with pytest.raises(RecoverableConnectionError):
        channel.basic_publish_confirm(Message(b"x"))

"""Deadlines and lost connections: no wait without an end."""

import pytest

from hutch.client import (
    Channel,
    Connection,
    ConnectionForced,
    Message,
    NotFound,
    RecoverableConnectionError,
)
from hutch.wire.frames import HEARTBEAT_FRAME, method_frame
from hutch.wire.methods import (
    BasicPublish,
    ChannelClose,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionUnblocked,
    QueueDeclare,
    QueueDeclareOk,
    QueuePurge,
    QueuePurgeOk,
)
from tests.client.scripted import Server, delivery, opened

# drain_events


def test_drain_events_hands_on_one_method(server: Server, connection: Connection, channel: Channel) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    server.say(delivery(b"1", 1), delivery(b"2", 2), delivery(b"3", 3))
    connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"1"]
    connection.drain_events()
    connection.drain_events(timeout=0)
    assert [message.body for message in got] == [b"1", b"2", b"3"]
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0)


@pytest.mark.parametrize("timeout", [0, 0.25, 7])
def test_drain_events_waits_for_its_timeout_in_all(server: Server, connection: Connection, timeout: float) -> None:
    started = server.now
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=timeout)
    assert server.now == started + timeout
    assert connection.connected


def test_a_large_body_that_stops_in_the_middle(server: Server, connection: Connection, channel: Channel) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    body = bytes(range(256)) * 2000
    frames = delivery(body)
    server.say(frames[:50_000])
    server.say(frames[50_000:250_000])
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    server.say(frames[250_000:], delivery(b"next", 2))
    connection.drain_events(timeout=1)
    connection.drain_events(timeout=0)
    assert [message.body for message in got] == [body, b"next"]


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_a_stream_that_ends_in_a_large_body(
    server: Server, connection: Connection, channel: Channel, error: OSError | None
) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    frames = delivery(bytes(300_000))
    server.say(frames[:50_000])
    server.say(frames[50_000:200_000])
    server.end(error)
    with pytest.raises(ConnectionResetError):
        connection.drain_events(timeout=1)
    assert not connection.connected
    assert got == []


def test_what_is_not_a_method_does_not_extend_the_wait(server: Server, connection: Connection) -> None:
    started = server.now
    for second in range(1, 20):
        server.say_at(started + second, HEARTBEAT_FRAME)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=5)
    assert server.now == started + 5


def test_half_a_method_stays_for_the_next_wait(server: Server, connection: Connection, channel: Channel) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    data = delivery(b"in two parts")
    server.say(data[:40])
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    server.say(data[40:])
    connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"in two parts"]


def test_the_read_timeout_is_the_default(server: Server) -> None:
    connection, channel = opened(server, read_timeout=3)
    started = server.now
    with pytest.raises(TimeoutError):
        connection.drain_events()
    with pytest.raises(TimeoutError, match=r"queue.declare-ok, the answer to queue.declare"):
        channel.queue_declare("q")
    assert server.now == started + 6
    assert connection.connected


def test_an_answer_is_awaited_without_limit_by_default(server: Server, channel: Channel) -> None:
    server.say_at(server.now + 86400, QueueDeclareOk("q", 0, 0), channel=1)
    assert channel.queue_declare("q") == ("q", 0, 0)


def test_deliveries_do_not_extend_the_wait_for_an_answer(server: Server) -> None:
    _, channel = opened(server, read_timeout=5)
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    started = server.now
    for second in range(1, 20):
        server.say_at(started + second, delivery(b"x", second))
    with pytest.raises(TimeoutError):
        channel.queue_declare("q")
    assert server.now == started + 5
    assert len(got) == 5


class SlowServer(Server):
    """Each receive takes a second."""

    def receive(self, deadline: float | None = None) -> bytes:
        self.now += 1
        return super().receive(deadline)


def test_a_long_body_does_not_extend_the_wait_for_an_answer() -> None:
    server = SlowServer()
    _, channel = opened(server, read_timeout=5)
    started = server.now
    server.say_in_pieces(delivery(b"x" * 100_000), 1000)
    with pytest.raises(TimeoutError, match=r"timed out waiting for queue.declare-ok"):
        channel.queue_declare("q")
    assert server.now == started + 5


def test_an_answer_that_comes_too_late_is_nobody_elses(server: Server) -> None:
    connection, channel = opened(server, read_timeout=1)
    with pytest.raises(TimeoutError):
        channel.queue_declare("first")
    server.say(QueueDeclareOk("first", 1, 1), channel=1)
    server.answers[QueueDeclare] = lambda _: QueueDeclareOk("second", 2, 2)
    answer = channel.queue_declare("second")
    assert answer is not None
    assert answer.queue == "second"
    assert connection.connected


def test_blocking_read_reads_once(server: Server, connection: Connection) -> None:
    server.say(HEARTBEAT_FRAME)
    assert not connection.blocking_read(timeout=1)
    server.say(ConnectionBlocked("low on memory"), ConnectionUnblocked())
    assert connection.blocking_read(timeout=1)
    assert connection.blocking_read(timeout=1)
    with pytest.raises(TimeoutError):
        connection.blocking_read(timeout=1)


def test_a_write_timeout_is_a_deadline_for_sending(server: Server) -> None:
    _, channel = opened(server, write_timeout=2)
    channel.basic_publish(Message(b"x"))
    assert server.deadlines[-1] == server.now + 2
    channel.basic_publish(Message(b"x"), timeout=0.5)
    assert server.deadlines[-1] == server.now + 0.5


def test_a_publish_that_times_out_ends_the_connection(server: Server, connection: Connection, channel: Channel) -> None:
    server.send_error = TimeoutError("timed out")
    with pytest.raises(RecoverableConnectionError, match="timed out"):
        channel.basic_publish(Message(b"x"), timeout=1)
    assert not connection.connected


# the end of the stream


def test_the_end_of_the_stream_while_waiting(server: Server, connection: Connection, channel: Channel) -> None:
    server.end()
    with pytest.raises(ConnectionResetError, match=r"ended the connection while queue.declare-ok"):
        channel.queue_declare("q")
    assert not connection.connected
    assert channel.connection is None
    assert not channel.is_open
    assert server.closed
    with pytest.raises(RecoverableConnectionError, match=r"queue.declare: connection already closed"):
        channel.queue_declare("q")
    with pytest.raises(RecoverableConnectionError):
        channel.basic_publish(Message(b"x"))
    with pytest.raises(RecoverableConnectionError):
        channel.basic_ack(1)
    with pytest.raises(RecoverableConnectionError):
        connection.drain_events(timeout=0)
    with pytest.raises(RecoverableConnectionError):
        connection.channel()
    channel.close()
    connection.close()


def test_a_broken_stream_while_waiting(server: Server, connection: Connection) -> None:
    error = ConnectionResetError(104, "reset")
    server.end(error)
    with pytest.raises(ConnectionResetError) as caught:
        connection.drain_events(timeout=1)
    assert caught.value is error
    assert isinstance(error, connection.connection_errors)
    assert isinstance(error, connection.recoverable_connection_errors)
    assert not connection.connected


def test_a_broken_stream_while_sending(server: Server, connection: Connection, channel: Channel) -> None:
    server.send_error = BrokenPipeError(32, "broken pipe")
    with pytest.raises(BrokenPipeError):
        channel.queue_declare("q")
    assert not connection.connected


def test_the_brokers_last_words_are_told(server: Server, connection: Connection, channel: Channel) -> None:
    server.send_error = BrokenPipeError(32, "broken pipe")
    channel.callbacks["made-up"] = lambda _: pytest.fail("a delivery on a broken connection")
    server.say(delivery(b"x"), ConnectionClose(320, "CONNECTION_FORCED - broker forced connection closure"))
    server.end()
    with pytest.raises(ConnectionForced, match="broker forced"):
        channel.queue_declare("q")
    assert not connection.connected


def test_whether_it_is_alive(server: Server, connection: Connection) -> None:
    assert connection.is_alive()
    server.say(HEARTBEAT_FRAME)
    assert connection.is_alive()
    server.end()
    assert not connection.is_alive()
    assert not connection.connected
    assert not connection.is_alive()


def test_it_is_not_alive_once_the_brokers_close_is_there(
    server: Server, connection: Connection, channel: Channel
) -> None:
    server.say(delivery(b"x"), ConnectionClose(320, "CONNECTION_FORCED - broker forced connection closure"))
    assert not connection.is_alive()
    assert connection.connected
    with pytest.raises(ConnectionForced, match="broker forced"):
        channel.queue_declare("q")
    assert not connection.is_alive()


def test_it_is_not_alive_once_the_close_is_there_behind_the_rest_of_a_body(
    server: Server, connection: Connection, channel: Channel
) -> None:
    got: list[Message] = []
    channel.basic_consume("q", callback=got.append)
    whole = delivery(b"x" * 1000)
    server.say(whole[:-500])
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    server.say(whole[-500:], ConnectionClose(320, "CONNECTION_FORCED - broker forced connection closure"))
    assert not connection.is_alive()
    connection.drain_events(timeout=1)
    assert [message.body for message in got] == [b"x" * 1000]
    with pytest.raises(ConnectionForced, match="broker forced"):
        connection.drain_events(timeout=1)


def test_what_waits_for_a_callback_to_end_goes_with_its_channel(
    server: Server, connection: Connection, channel: Channel
) -> None:
    other = connection.channel()
    got: list[bytes | str] = []

    def ask(message: Message) -> None:
        got.append(message.body)
        with pytest.raises(NotFound):
            other.queue_declare("q")

    channel.basic_consume("q", callback=ask)
    gone = method_frame(1, ChannelClose(404, "NOT_FOUND - gone").encode())
    server.answers[QueueDeclare] = lambda _: delivery(b"2", 2) + gone
    server.say(delivery(b"1", 1))
    connection.drain_events(timeout=1)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)
    assert got == [b"1"]


def test_draining_within_a_wait_of_a_callback_hands_on(
    server: Server, connection: Connection, channel: Channel
) -> None:
    seen: list[object] = []

    def ask(message: Message) -> None:
        seen.append(message.body)
        if message.body == b"1":
            channel.queue_declare("q")
            seen.append("declared")

    def blocked(_reason: str) -> None:
        connection.drain_events(timeout=1)
        seen.append("drained")

    connection.on_blocked = blocked
    channel.basic_consume("q", callback=ask)
    server.answers[QueueDeclare] = lambda _: (
        method_frame(0, ConnectionBlocked("low on memory").encode())
        + delivery(b"2", 2)
        + method_frame(1, QueueDeclareOk("q", 0, 0).encode())
    )
    server.say(delivery(b"1", 1))
    connection.drain_events(timeout=1)
    assert seen == [b"1", b"2", "drained", "declared"]


def test_a_timeout_of_a_callbacks_own_comes_out(server: Server, connection: Connection, channel: Channel) -> None:
    def fail(_: Message) -> None:
        raise TimeoutError("the callback's own")

    channel.basic_consume("q", callback=fail)
    server.deliver()
    with pytest.raises(TimeoutError, match="the callback's own"):
        channel.basic_publish(Message(b"x"))
    assert connection.connected


# nested waits


def test_an_answer_awaited_within_a_callback(server: Server, connection: Connection, channel: Channel) -> None:
    """Answers come in the order of the requests, and each gets its own."""
    counts: list[int | None] = []
    channel.basic_consume("q", callback=lambda _: counts.append(channel.queue_purge("b")))
    answers = [method_frame(1, QueuePurgeOk(count).encode()) for count in (1, 2)]
    server.say(delivery(), *answers)
    assert channel.queue_purge("a") == 1
    assert counts == [2]


def test_callbacks_do_not_pile_up(server: Server, connection: Connection, channel: Channel) -> None:
    running = 0
    seen: list[int | None] = []

    def purge(message: Message) -> None:
        nonlocal running
        running += 1
        assert running == 1
        channel.queue_purge("other")
        seen.append(message.delivery_tag)
        running -= 1

    server.answers[QueuePurge] = lambda _: QueuePurgeOk(0)
    channel.basic_consume("q", callback=purge)
    server.say(*[delivery(b"x", tag) for tag in range(1, 2001)])
    while len(seen) < 2000:
        connection.drain_events(timeout=1)
    assert seen == list(range(1, 2001))


def test_a_callback_that_drains_gets_further_deliveries(
    server: Server, connection: Connection, channel: Channel
) -> None:
    seen: list[int | None] = []

    def drain(message: Message) -> None:
        seen.append(message.delivery_tag)
        if message.delivery_tag == 1:
            connection.drain_events(timeout=1)
            seen.append(-1)

    channel.basic_consume("q", callback=drain)
    server.say(delivery(b"x", 1), delivery(b"x", 2))
    connection.drain_events(timeout=1)
    assert seen == [1, 2, -1]


@pytest.mark.parametrize("scope", ["channel", "connection"])
def test_a_callback_that_closes_what_is_published_on(
    server: Server, connection: Connection, channel: Channel, scope: str
) -> None:
    """Nothing goes out on the closed channel, which would end the connection."""
    closes = {"channel": channel.close, "connection": connection.close}
    channel.basic_consume("q", callback=lambda _: closes[scope]())
    server.deliver()
    with pytest.raises(RecoverableConnectionError, match="a callback closed the channel"):
        channel.basic_publish(Message(b"x"))
    assert not server.sent(BasicPublish)
    assert connection.connected is (scope == "channel")


def test_a_callback_that_connects_anew() -> None:
    """What happens to the old stream is no matter of the new one."""
    servers = [Server(), Server()]
    spare = iter(servers)
    connection = Connection(transport=lambda: next(spare), heartbeat=10)
    connection.connect()
    channel = connection.channel()

    def reconnect(_message: Message) -> None:
        connection.close()
        connection.connect()
        servers[0].closed = False
        servers[0].end()

    channel.basic_consume("q", callback=reconnect)
    servers[0].deliver()
    with pytest.raises(RecoverableConnectionError):
        channel.queue_declare("q")
    assert connection.connected
    connection.channel().close()


def test_a_wait_further_out_ends_with_the_channel(server: Server, connection: Connection, channel: Channel) -> None:
    """A callback that swallows the channel's error must not leave the wait around it waiting for ever."""

    def swallow(_: Message) -> None:
        with pytest.raises(NotFound):
            connection.drain_events(timeout=1)

    channel.basic_consume("q", callback=swallow)
    server.say(delivery())
    server.say(ChannelClose(404, "NOT_FOUND - no", 50, 10), channel=1)
    with pytest.raises(NotFound):
        channel.queue_declare("never answered")
    assert channel.is_open


def test_a_wait_further_out_ends_with_the_connection(server: Server, connection: Connection, channel: Channel) -> None:
    channel.basic_consume("q", callback=lambda _: connection.close())
    server.say(delivery())
    with pytest.raises(RecoverableConnectionError):
        channel.queue_declare("never answered")

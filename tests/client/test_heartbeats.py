"""Heartbeats: sent while waiting, missed by a silent server, never a way past a deadline."""

import pytest

from hutch.client import (
    Connection,
    ConnectionForced,
    Message,
)
from hutch.wire.frames import HEARTBEAT_FRAME, method_frame
from hutch.wire.methods import (
    BasicAck,
    QueuePurgeOk,
)
from tests.client.scripted import Server, connected, delivery


def beating(server: Server, interval: int = 10) -> Connection:
    connection = connected(server, heartbeat=interval)
    server.heartbeats = 0
    return connection


def test_heartbeats_are_sent_while_waiting(server: Server) -> None:
    connection = beating(server)
    for second in range(5, 60, 5):
        server.say_at(server.now + second, HEARTBEAT_FRAME)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=30)
    assert 4 <= server.heartbeats <= 6  # two for each interval


def test_heartbeats_do_not_extend_the_wait(server: Server) -> None:
    connection = beating(server)
    started = server.now
    for second in range(1, 60):
        server.say_at(server.now + second, HEARTBEAT_FRAME)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=33)
    assert server.now == started + 33


def test_a_silent_server_is_given_up(server: Server) -> None:
    connection = beating(server)
    started = server.now
    with pytest.raises(ConnectionForced, match="Too many heartbeats missed"):
        connection.drain_events(timeout=3600)
    assert started + 20 <= server.now <= started + 30
    assert not connection.connected
    assert server.closed
    connection.close()  # nothing is left to close


def test_any_traffic_counts_as_a_heartbeat(server: Server) -> None:
    connection = beating(server)
    channel = connection.channel()
    channel.basic_consume("q", callback=lambda message: channel.basic_ack(message.delivery_tag or 0))
    for second in range(1, 100, 4):
        server.say_at(server.now + second, delivery(b"x", second))
    while connection.connected and len(server.sent(BasicAck)) < 25:
        connection.drain_events(timeout=10)
    assert server.heartbeats <= 1


def test_heartbeats_are_sent_while_messages_pour_in(server: Server) -> None:
    connection = beating(server)
    channel = connection.channel()
    channel.basic_consume("q", no_ack=True)
    for second in range(1, 101):
        server.say_at(server.now + second, delivery(b"x", second))
    for _ in range(100):
        connection.drain_events(timeout=5)
    assert 18 <= server.heartbeats <= 21


def test_a_tick_by_the_application(server: Server) -> None:
    connection = beating(server)
    connection.heartbeat_tick()
    assert server.heartbeats == 0
    server.now += 6
    connection.heartbeat_tick()
    assert server.heartbeats == 1
    connection.heartbeat_tick()
    assert server.heartbeats == 1
    server.now += 15
    with pytest.raises(ConnectionForced):
        connection.heartbeat_tick()
    assert not connection.connected


def test_ticks_at_another_rate(server: Server) -> None:
    connection = beating(server)
    connection.heartbeat_tick(rate=10)
    for _ in range(5):
        server.now += 1.5
        connection.heartbeat_tick(rate=10)
    assert server.heartbeats == 5


def test_a_tick_ahead_of_time_puts_no_heartbeat_off(server: Server) -> None:
    connection = beating(server)
    connection.heartbeat_tick()
    server.now += 4
    connection.heartbeat_tick()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=1.5)
    assert server.heartbeats == 1


def test_no_heartbeats_unless_asked_for(server: Server, connection: Connection) -> None:
    server.now += 100000
    connection.heartbeat_tick()
    assert server.heartbeats == 0
    connection.send_heartbeat()
    assert server.heartbeats == 1


def test_heartbeats_missed_during_long_work_are_no_harm(server: Server) -> None:
    """What lies in the socket counts, however late it is read."""
    connection = beating(server)
    server.now += 600
    server.say(HEARTBEAT_FRAME)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=2)
    assert connection.connected


def test_what_nobody_reads_is_a_sign_of_life(server: Server) -> None:
    """An application that ticks and does not read is no reason to give the server up."""
    connection = beating(server)
    server.say(HEARTBEAT_FRAME)
    for _ in range(100):
        server.now += 1
        connection.heartbeat_tick()
    assert 18 <= server.heartbeats <= 21
    connection.blocking_read(timeout=0)
    connection.heartbeat_tick()
    server.now += 21
    with pytest.raises(ConnectionForced):
        connection.heartbeat_tick()


@pytest.mark.parametrize("waiting", ["drain_events", "an answer"])
def test_heartbeats_are_sent_between_slow_callbacks(server: Server, waiting: str) -> None:
    """One read may hold messages that take an hour to handle."""
    connection = beating(server)
    channel = connection.channel()
    got: list[Message] = []

    def slow(message: Message) -> None:
        server.now += 3
        got.append(message)

    channel.basic_consume("q", no_ack=True, callback=slow)
    pieces = [delivery(b"x", tag) for tag in range(1, 101)]
    server.say(*pieces, method_frame(1, QueuePurgeOk(0).encode()))
    server.say(HEARTBEAT_FRAME)
    if waiting == "an answer":
        assert channel.queue_purge("q") == 0
    else:
        for _ in range(100):
            connection.drain_events()
    assert len(got) == 100
    assert 49 <= server.heartbeats <= 60


def test_no_heartbeat_after_a_callback_has_closed_the_connection(server: Server) -> None:
    connection = beating(server)
    channel = connection.channel()

    def close(_message: Message) -> None:
        server.now += 8
        connection.close()

    channel.basic_consume("q", callback=close)
    server.deliver()
    connection.drain_events(timeout=1)
    assert not connection.connected
    assert server.heartbeats == 0


def test_a_silent_server_is_not_alive(server: Server) -> None:
    connection = beating(server)
    connection.heartbeat_tick()
    server.now += 21
    assert not connection.is_alive()
    assert not connection.connected


def test_the_books_may_be_read(server: Server) -> None:
    connection = beating(server)
    assert (connection.prev_sent, connection.prev_recv) == (None, None)
    opened = server.now
    assert (connection.last_heartbeat_sent, connection.last_heartbeat_received) == (opened, opened)
    server.now += 1
    connection.heartbeat_tick()
    assert (connection.last_heartbeat_sent, connection.last_heartbeat_received) == (server.now, server.now)
    assert (connection.prev_sent, connection.prev_recv) == (connection.bytes_sent, connection.bytes_recv)
    server.now += 6
    connection.heartbeat_tick()
    assert connection.last_heartbeat_sent == server.now
    assert connection.last_heartbeat_received == server.now - 6
    connection.close()
    assert (connection.last_heartbeat_sent, connection.last_heartbeat_received) == (0, 0)
    assert (connection.prev_sent, connection.prev_recv) == (None, None)


def test_without_heartbeats_there_are_no_books(connection: Connection) -> None:
    connection.heartbeat_tick()
    assert (connection.last_heartbeat_sent, connection.last_heartbeat_received) == (0, 0)
    assert (connection.prev_sent, connection.prev_recv) == (None, None)

"""Timeouts of a connection, on a broker that has fallen silent: a relay stands before it and stops."""

import pytest

from hutch.client import Message, RecoverableConnectionError
from tests.client.api.reference import shows
from tests.client.api.relay import Relay
from tests.client.api.ways_in import over_tcp, tcp_address
from tests.targets import PATIENCE, Target


@shows("Connection.__init__(connect_timeout)")
def test_connect_timeout(target: Target) -> None:
    with Relay(tcp_address(target)) as relay:
        with over_tcp(target, host=relay.host, connect_timeout=PATIENCE) as connection:
            assert connection.connected
        relay.pause()
        connection = over_tcp(target, host=relay.host, connect_timeout=0.2, read_timeout=None)
        with pytest.raises(TimeoutError, match=r"timed out waiting for the server's next step|handshake was not done"):
            connection.connect()
        assert not connection.connected


@pytest.mark.slow
@shows("Connection.__init__(read_timeout)")
def test_read_timeout(target: Target) -> None:
    with Relay(tcp_address(target)) as relay:
        connection = over_tcp(target, host=relay.host, read_timeout=0.5)
        connection.connect()
        channel = connection.channel()
        relay.pause()
        with pytest.raises(TimeoutError, match=r"queue\.declare-ok"):
            channel.queue_declare(exclusive=True)
        with pytest.raises(TimeoutError):
            connection.drain_events()
        assert connection.connected  # the answer may arrive later


@shows("Connection.__init__(write_timeout)", "Channel.basic_publish(timeout)")
@pytest.mark.parametrize("how", ["the connection's", "the call's"])
def test_write_timeout(target: Target, how: str) -> None:
    with Relay(tcp_address(target)) as relay:
        connection = over_tcp(target, host=relay.host, write_timeout=0.2 if how == "the connection's" else None)
        connection.connect()
        channel = connection.channel()
        relay.pause()
        message = Message(bytes(64 << 20))  # larger than the buffers of the sockets
        with pytest.raises(RecoverableConnectionError, match=r"basic\.publish: timed out"):
            channel.basic_publish(message, routing_key="q", timeout=None if how == "the connection's" else 0.2)
        assert not connection.connected  # half a message was sent, so no frame can follow


@shows("Channel.basic_publish(confirm_timeout)")
def test_confirm_timeout(target: Target) -> None:
    with Relay(tcp_address(target)) as relay:
        connection = over_tcp(target, host=relay.host, confirm_publish=True)
        connection.connect()
        channel = connection.channel()
        queue = channel.queue_declare(exclusive=True)
        assert queue is not None
        channel.basic_publish(Message(b"1"), routing_key=queue.queue, confirm_timeout=PATIENCE)
        relay.pause()
        with pytest.raises(TimeoutError, match="the confirm of message 2"):
            channel.basic_publish(Message(b"2"), routing_key=queue.queue, confirm_timeout=0.2)


@shows("Connection.drain_events(timeout)", "Connection.blocking_read(timeout)")
def test_waiting_in_vain(target: Target) -> None:
    connection = target.connect()
    for timeout in (0, 0.05):
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=timeout)
        with pytest.raises(TimeoutError):
            connection.blocking_read(timeout=timeout)
    assert connection.connected

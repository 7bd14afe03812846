"""An event loop watches ``Connection.sock`` and loses nothing, on every broker and over TLS.

It hands on one method each time the socket is readable, and sleeps where it is not.
"""

import asyncio
import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from hutch.client import Channel, Connection, Message, ReceivedMessage
from tests.client.api.reference import shows
from tests.client.api.relay import Relay
from tests.client.api.steps import publish
from tests.client.api.ways_in import over_tcp, tcp_address
from tests.targets import PATIENCE, Target


@pytest.fixture(autouse=True)
def _with_a_socket(connection: Connection) -> None:
    if connection.sock is None:
        pytest.skip("an event loop has nothing to watch there")


def watch_until(connection: Connection, done: Callable[[], Any], alarm: socket.socket | None = None) -> None:
    """Hand on one method whenever the socket is readable, until ``done`` gives something true.

    Another thread makes ``alarm`` readable to have it looked at.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ)
        if alarm is not None:
            selector.register(alarm, selectors.EVENT_READ)
        while not done():
            readable = [key.fileobj for key, _ in selector.select(PATIENCE)]
            assert readable, "the socket tells of nothing more"
            if alarm in readable:
                selector.unregister(alarm)
            if connection.sock in readable:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0)


def text(message: ReceivedMessage) -> str:
    return message.body if isinstance(message.body, str) else message.body.decode()


@shows("Connection.sock")
def test_messages_behind_answers(connection: Connection, channel: Channel, target: Target) -> None:
    """Several answers in a row, each with the messages that a new consumer gets."""
    got: list[str] = []
    expected = []
    channel.basic_qos(0, 100, False)
    for number in range(3):
        queue = target.name(f"queue-{number}")
        channel.queue_declare(queue, exclusive=True, auto_delete=False)
        bodies = [f"{number}-{each}" for each in range(20)]
        publish(channel, queue, *bodies)
        expected += bodies
        channel.basic_consume(queue, no_ack=True, callback=lambda message: got.append(text(message)))
    watch_until(connection, lambda: len(got) == len(expected))
    assert sorted(got) == sorted(expected)


@shows("Connection.sock")
def test_messages_with_confirms(target: Target) -> None:
    connection = target.connect(confirm_publish=True)
    channel = connection.channel()
    queue = target.name("queue")
    channel.queue_declare(queue, exclusive=True)
    got: list[str] = []
    channel.basic_consume(queue, no_ack=True, callback=lambda message: got.append(text(message)))
    for number in range(50):
        channel.basic_publish(Message(str(number)), routing_key=queue)
    watch_until(connection, lambda: len(got) == 50)
    assert got == [str(number) for number in range(50)]


@shows("Connection.sock")
def test_a_callback_that_asks_the_broker(connection: Connection, channel: Channel, queue: str) -> None:
    publish(channel, queue, *map(str, range(50)))
    got: list[str] = []

    def callback(message: ReceivedMessage) -> None:
        channel.queue_declare(queue, passive=True)
        got.append(text(message))

    channel.basic_consume(queue, no_ack=True, callback=callback)
    watch_until(connection, lambda: len(got) == 50)
    assert got == list(map(str, range(50)))


@shows("Connection.heartbeat_tick(rate)")
def test_looking_after_heartbeats(target: Target) -> None:
    """TLS decrypts to find out whether there is a sign of life."""
    connection = target.connect(heartbeat=60)
    channel = connection.channel()
    queue = target.name("queue")
    channel.queue_declare(queue, exclusive=True)
    got: list[str] = []
    channel.basic_consume(queue, no_ack=True, callback=lambda message: got.append(text(message)))
    publisher = target.connect().channel()
    for body in ("1", "2", "3"):
        with selectors.DefaultSelector() as selector:
            selector.register(connection.sock, selectors.EVENT_READ)
            publisher.basic_publish(Message(body), routing_key=queue)
            assert selector.select(PATIENCE)
        connection.heartbeat_tick()
        watch_until(connection, partial(got.count, body))
    assert len(got) == 3


@shows("Connection.sock")
def test_another_thread_waits_for_answers(connection: Connection, channel: Channel, queue: str) -> None:
    got: list[str] = []
    channel.basic_consume(queue, no_ack=True, callback=lambda message: got.append(text(message)))
    other = connection.channel()
    alarm, trigger = socket.socketpair()

    def ask() -> None:
        for number in range(200):
            other.basic_publish(Message(str(number)), routing_key=queue)
            other.queue_declare(queue, passive=True)
        trigger.send(b"!")  # wakes the loop in case this thread has called the last callback

    with alarm, trigger:
        thread = threading.Thread(target=ask)
        thread.start()
        watch_until(connection, lambda: len(got) == 200, alarm)
        thread.join()
    assert got == list(map(str, range(200)))


@shows("Connection.sock")
def test_asyncio(connection: Connection, channel: Channel, queue: str) -> None:
    publish(channel, queue, *map(str, range(50)))
    got: list[str] = []

    async def consume() -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def callback(message: ReceivedMessage) -> None:
            got.append(text(message))
            if len(got) == 50:
                over.set_result(None)

        def on_readable() -> None:
            with suppress(TimeoutError):
                connection.drain_events(timeout=0)

        loop.add_reader(connection.sock, on_readable)
        channel.basic_consume(queue, no_ack=True, callback=callback)
        await asyncio.wait_for(over, PATIENCE)
        loop.remove_reader(connection.sock)

    asyncio.run(consume())
    assert got == list(map(str, range(50)))


@shows("Connection.sock")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_lets_go_of_it(connection: Connection, channel: Channel, queue: str) -> None:
    publish(channel, queue, "1", "2", "3")
    got: list[str] = []
    assert connection.sock.fileno() >= 0
    child = os.fork()
    if child == 0:
        connection.collect()
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    channel.basic_consume(queue, no_ack=True, callback=lambda message: got.append(text(message)))
    watch_until(connection, lambda: len(got) == 3)


@shows("Connection.sock")
def test_a_timeout_of_the_socket_is_one_of_waits(target: Target) -> None:
    """Celery's worker sets one before it closes a connection whose broker may be silent."""
    with Relay(tcp_address(target)) as relay:
        connection = over_tcp(target, host=relay.host, read_timeout=None)
        connection.connect()
        channel = connection.channel()
        relay.pause()
        connection.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            channel.queue_declare("any", passive=True)

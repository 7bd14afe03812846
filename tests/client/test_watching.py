"""``Connection.sock`` for an event loop: readable as long as there is something to hand on. Here a server by script
sends, and the plain socket never has anything; so what makes it readable is what the client has read already.
"""

import os
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from hutch.client import Channel, Connection
from hutch.wire.declaration import Method
from hutch.wire.frames import HEARTBEAT_FRAME, method_frame
from hutch.wire.methods import (
    BasicConsume,
    BasicConsumeOk,
    BasicQos,
    BasicQosOk,
    ConnectionBlocked,
    ConnectionUnblocked,
    QueueDeclare,
    QueueDeclareOk,
)

from .scripted import Server, delivery, opened

OPEN_FILES = Path("/proc/self/fd")


class WithSocket(Server):
    """A scripted server with a socket that nothing comes through."""

    def __init__(self) -> None:
        super().__init__()
        self._end, self._other_end = socket.socketpair()

    @property
    def sock(self) -> socket.socket:
        return self._end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
        self._other_end.close()

    def answer_declare(self, *behind: bytes) -> None:
        """Answer queue.declare, and send what is ``behind`` in the same piece."""

        def answer(_: Method) -> bytes:
            return method_frame(1, QueueDeclareOk("q", 0, 0).encode()) + b"".join(behind)

        self.answers[QueueDeclare] = answer


@pytest.fixture
def server() -> Iterator[WithSocket]:
    with WithSocket() as server:
        yield server


@pytest.fixture
def bodies() -> list[Any]:
    return []


@pytest.fixture
def channel(server: WithSocket, bodies: list[Any]) -> Iterator[Channel]:
    """A channel with a consumer."""
    connection, channel = opened(server)
    channel.basic_consume("q", "made-up", callback=lambda message: bodies.append(message.body))
    yield channel
    connection.collect()


@pytest.fixture(params=["DefaultSelector", "PollSelector", "SelectSelector"])
def selector(request: pytest.FixtureRequest) -> Iterator[selectors.BaseSelector]:
    with getattr(selectors, request.param)() as selector:
        yield selector


def watched(channel: Channel) -> Connection:
    assert channel.connection is not None
    return channel.connection


def is_readable(connection: Connection) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def look(connection: Connection) -> bool:
    """What an event loop does when it is readable; whether something was handed on."""
    try:
        connection.drain_events(timeout=0)
    except TimeoutError:
        return False
    return True


def test_what_came_with_an_answer(
    server: WithSocket, channel: Channel, bodies: list[Any], selector: selectors.BaseSelector
) -> None:
    connection = watched(channel)
    selector.register(connection.sock, selectors.EVENT_READ)
    server.answer_declare(*(delivery(b"%d" % number, tag=number) for number in range(1, 4)))
    assert not selector.select(0)
    channel.queue_declare("q")
    for number in range(1, 4):
        assert selector.select(0), f"{bodies} of three messages"
        assert look(connection)
        assert bodies == [b"%d" % each for each in range(1, number + 1)]
    assert not selector.select(0)


def test_it_was_there_before_somebody_watched(server: WithSocket, channel: Channel) -> None:
    connection = watched(channel)
    server.answer_declare(delivery())
    channel.queue_declare("q")
    assert is_readable(connection)


def test_answers_in_a_row(server: WithSocket, channel: Channel, bodies: list[Any]) -> None:
    connection = watched(channel)
    server.answer_declare(delivery(b"1"))
    server.answers[BasicQos] = lambda _: method_frame(1, BasicQosOk().encode()) + delivery(b"2")
    assert not is_readable(connection)
    channel.queue_declare("q")
    channel.basic_qos(0, 1, False)
    assert bodies == [b"1"]
    assert is_readable(connection)
    assert look(connection)
    assert bodies == [b"1", b"2"]
    assert not is_readable(connection)


def test_a_consumers_first_message(server: WithSocket, channel: Channel, bodies: list[Any]) -> None:
    connection = watched(channel)
    first = delivery(b"first", consumer="second")
    server.answers[BasicConsume] = lambda _: method_frame(1, BasicConsumeOk("second").encode()) + first
    assert not is_readable(connection)
    channel.basic_consume("q", "second", callback=lambda message: bodies.append(message.body))
    assert bodies == []
    assert is_readable(connection)


def test_news_of_the_connection(server: WithSocket, channel: Channel) -> None:
    connection = watched(channel)
    told: list[str] = []
    connection.on_blocked = lambda reason: told.append(f"blocked: {reason}")
    connection.on_unblocked = lambda: told.append("unblocked")
    blocked = method_frame(0, ConnectionBlocked("low on memory").encode())
    server.answer_declare(blocked, method_frame(0, ConnectionUnblocked().encode()))
    channel.queue_declare("q")
    while is_readable(connection):
        assert look(connection)
    assert told == ["blocked: low on memory", "unblocked"]


def test_what_a_callback_put_aside(server: WithSocket, channel: Channel, bodies: list[Any]) -> None:
    """A callback waits for an answer, and deliveries come before it."""
    connection = watched(channel)
    channel.basic_consume("q", "asks", callback=lambda _: channel.queue_declare("q"))
    more = delivery(b"1") + delivery(b"2")
    server.answers[QueueDeclare] = lambda _: more + method_frame(1, QueueDeclareOk("q", 0, 0).encode())
    assert not is_readable(connection)
    server.deliver(consumer="asks")
    assert look(connection)
    assert bodies == []
    while is_readable(connection):
        assert look(connection)
    assert bodies == [b"1", b"2"]


@pytest.mark.parametrize("rest", [delivery()[:40], HEARTBEAT_FRAME, delivery()[:5]], ids=["half", "heartbeat", "5"])
def test_what_cannot_be_handed_on_does_not_keep_a_loop_busy(server: WithSocket, channel: Channel, rest: bytes) -> None:
    connection = watched(channel)
    server.answer_declare(rest)
    channel.queue_declare("q")
    assert is_readable(connection)
    assert not look(connection)
    assert not is_readable(connection)


def test_a_message_that_came_in_two_halves(server: WithSocket, channel: Channel, bodies: list[Any]) -> None:
    connection = watched(channel)
    whole = delivery(b"whole") + delivery(b"another")
    server.answer_declare(whole[:50])
    channel.queue_declare("q")
    look(connection)
    server.say(whole[50:])  # the socket becomes readable for this part
    while look(connection) and is_readable(connection):
        pass
    assert bodies == [b"whole", b"another"]


def test_a_callback_that_raises(server: WithSocket, channel: Channel) -> None:
    connection = watched(channel)
    channel.basic_consume("q", "raises", callback=lambda _: 1 / 0)
    server.answer_declare(delivery(consumer="raises"), delivery())
    assert not is_readable(connection)
    channel.queue_declare("q")
    with pytest.raises(ZeroDivisionError):
        connection.drain_events(timeout=0)
    assert is_readable(connection)


def test_the_descriptor_is_closed_with_the_connection(channel: Channel) -> None:
    connection = watched(channel)
    sock = connection.sock
    descriptor = sock.fileno()
    assert connection.sock.fileno() == descriptor
    os.fstat(descriptor)
    connection.close()
    assert sock.fileno() == -1
    assert connection.sock is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_socket_that_somebody_closed_has_no_descriptor(server: WithSocket, channel: Channel) -> None:
    connection = watched(channel)
    connection.sock.close()
    assert connection.sock.fileno() == -1
    assert server.sock.fileno() == -1


def test_no_descriptor_is_made_for_who_does_not_watch(channel: Channel) -> None:
    if not OPEN_FILES.exists():
        pytest.skip("no list of open files here")
    before = len(list(OPEN_FILES.iterdir()))
    assert watched(channel).sock.family == socket.AF_UNIX
    assert len(list(OPEN_FILES.iterdir())) == before


def test_a_timeout_of_the_socket_limits_what_has_none(server: WithSocket, channel: Channel) -> None:
    connection = watched(channel)
    sock = connection.sock
    assert (sock.gettimeout(), sock.getblocking()) == (None, True)
    sock.settimeout(5)
    assert sock.gettimeout() == 5
    now = server.now
    with pytest.raises(TimeoutError, match=r"queue\.declare-ok"):
        channel.queue_declare("q")
    assert server.now == now + 5
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=2)
    assert server.now == now + 7
    channel.basic_ack(1)
    assert server.deadlines[-1] == server.now + 5


def test_a_socket_that_does_not_block(server: WithSocket, channel: Channel) -> None:
    connection = watched(channel)
    connection.sock.setblocking(False)
    assert (connection.sock.gettimeout(), connection.sock.getblocking()) == (0, False)
    with pytest.raises(TimeoutError):
        connection.drain_events()
    channel.basic_ack(1)
    assert server.deadlines[-1] is None
    connection.sock.setblocking(True)
    assert connection.sock.getblocking()

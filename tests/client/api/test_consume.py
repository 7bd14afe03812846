"""Consuming by iteration, on every target."""

import threading

import pytest

from hutch.client import Channel, Connection, ConsumerCancelled, Message, NotFound, PreconditionFailed
from tests.targets import PATIENCE, Target


@pytest.fixture
def connection(target: Target) -> Connection:
    return target.connect()


@pytest.fixture
def channel(connection: Connection) -> Channel:
    return connection.channel()


@pytest.fixture
def queue(channel: Channel, target: Target) -> str:
    name = target.name("consume")
    channel.queue_declare(name, exclusive=True, auto_delete=False)
    return name


def publish(channel: Channel, queue: str, count: int) -> None:
    for number in range(count):
        channel.basic_publish(Message(b"%d" % number), routing_key=queue)


def test_messages_come_in_order_and_the_rest_goes_back(channel: Channel, queue: str) -> None:
    publish(channel, queue, 10)
    taken = []
    for message in channel.consume(queue):
        taken.append(message.body)
        channel.basic_ack(message.delivery_tag or 0)
        if len(taken) == 3:
            break
    assert taken == [b"0", b"1", b"2"]
    assert not channel.callbacks, "the consumer is still there"
    rest = channel.consume(queue, no_ack=True)
    assert [next(rest).body for _ in range(7)] == [b"%d" % number for number in range(3, 10)]


def test_iteration_ends_after_the_timeout(channel: Channel, queue: str) -> None:
    publish(channel, queue, 2)
    assert [message.body for message in channel.consume(queue, no_ack=True, timeout=0.3)] == [b"0", b"1"]
    assert channel.queue_declare(queue, passive=True) == (queue, 0, 0)


def test_other_news_do_not_prolong_the_timeout(channel: Channel, queue: str, connection: Connection) -> None:
    other = connection.channel()
    returned: list[object] = []
    other.events["basic_return"].add(lambda *args: returned.append(args))
    other.basic_publish(Message(b"lost"), routing_key="nowhere", mandatory=True)
    assert list(channel.consume(queue, timeout=0.3)) == []
    assert len(returned) == 1


def test_without_a_timeout_the_read_timeout_counts(target: Target) -> None:
    channel = target.connect(read_timeout=0.3).channel()
    name = target.name("consume")
    channel.queue_declare(name, exclusive=True)
    with pytest.raises(TimeoutError, match="a message for consumer"):
        next(channel.consume(name))


def test_a_queue_that_goes_ends_the_consumer(channel: Channel, queue: str, connection: Connection) -> None:
    publish(channel, queue, 1)
    messages = channel.consume(queue, no_ack=True)
    assert next(messages).body == b"0"
    connection.channel().queue_delete(queue)
    with pytest.raises(ConsumerCancelled):
        next(messages)


def test_no_such_queue(channel: Channel) -> None:
    with pytest.raises(NotFound, match="no queue 'nowhere'"):
        next(channel.consume("nowhere"))


def test_an_error_of_the_channel_ends_the_iteration(channel: Channel, queue: str) -> None:
    publish(channel, queue, 2)
    messages = channel.consume(queue)
    next(messages)
    channel.basic_ack(99)
    with pytest.raises(PreconditionFailed, match="unknown delivery tag 99"):
        for _ in messages:
            pass


def test_iterating_while_another_thread_drains(channel: Channel, queue: str, connection: Connection) -> None:
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            try:
                connection.drain_events(timeout=0.05)
            except TimeoutError:
                continue

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        publish(channel, queue, 50)
        taken = []
        for message in channel.consume(queue, timeout=PATIENCE):
            taken.append(message.body)
            channel.basic_ack(message.delivery_tag or 0)
            if len(taken) == 50:
                break
    finally:
        done.set()
        thread.join(PATIENCE)
    assert taken == [b"%d" % number for number in range(50)]


def test_two_at_once(channel: Channel, queue: str, target: Target) -> None:
    second = target.name("consume")
    channel.queue_declare(second, exclusive=True)
    publish(channel, queue, 3)
    publish(channel, second, 3)
    pairs = zip(channel.consume(queue, no_ack=True), channel.consume(second, no_ack=True), strict=False)
    assert [(next(pairs)[0].body, number) for number in range(3)] == [(b"0", 0), (b"1", 1), (b"2", 2)]


def test_not_within_a_callback(channel: Channel, queue: str, connection: Connection) -> None:
    publish(channel, queue, 1)
    channel.basic_consume(queue, no_ack=True, callback=lambda _message: next(channel.consume(queue)) and None)
    with pytest.raises(RuntimeError, match="within a consumer's callback"):
        connection.drain_events(timeout=PATIENCE)

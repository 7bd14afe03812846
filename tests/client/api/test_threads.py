"""Several threads on one connection, on every target: nothing is lost, nothing is mixed up."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from hutch.client import Channel, Connection, Message, NotFound, RecoverableConnectionError
from tests.targets import PATIENCE, Target

THREADS = 4
EACH = 150


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work`` with 0 to ``count - 1``, all at once; the first error is raised."""
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait(PATIENCE)
        work(number)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run, number) for number in range(count)]:
            future.result(PATIENCE)


@contextmanager
def draining(connection: Connection) -> Iterator[list[BaseException]]:
    """Another thread drains events meanwhile; what ended it, if anything, is in the list."""
    errors: list[BaseException] = []
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            try:
                connection.drain_events(timeout=0.05)
            except TimeoutError:
                continue
            except Exception as error:
                errors.append(error)
                return

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        yield errors
    finally:
        done.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def queue(channel: Channel, target: Target) -> str:
    name = target.name("threads")
    channel.queue_declare(name, exclusive=True, auto_delete=False)
    return name


def drained(channel: Channel, name: str) -> list[bytes]:
    bodies = []
    while message := channel.basic_get(name, no_ack=True):
        assert isinstance(message.body, bytes)
        bodies.append(message.body)
    return bodies


@pytest.mark.parametrize("reader", [False, True], ids=["nobody drains", "another thread drains"])
@pytest.mark.parametrize("shared", [False, True], ids=["a channel each", "one channel"])
def test_publishing_with_confirms(target: Target, reader: bool, shared: bool) -> None:
    connection = target.connect(confirm_publish=True)
    main = connection.channel()
    name = queue(main, target)
    channels = [main if shared else connection.channel() for _ in range(THREADS)]

    def publish(number: int) -> None:
        for count in range(EACH):
            body = b"%d-%d" % (number, count)
            channels[number].basic_publish(Message(body), routing_key=name, confirm_timeout=PATIENCE)

    if reader:
        with draining(connection) as errors:
            in_threads(THREADS, publish)
        assert errors == []
    else:
        in_threads(THREADS, publish)
    assert sorted(drained(main, name)) == sorted(b"%d-%d" % (n, c) for n in range(THREADS) for c in range(EACH))


def test_requests_get_their_own_answers(target: Target) -> None:
    connection = target.connect()
    shared = connection.channel()
    channels = [connection.channel() for _ in range(THREADS)]

    def declare(number: int) -> None:
        for count in range(40):
            channel = shared if count % 2 else channels[number]
            name = target.name(f"threads-{number}")
            declared = channel.queue_declare(name, exclusive=True, auto_delete=False)
            assert declared is not None
            assert declared.queue == name
            channel.basic_publish(Message(name), routing_key=name)
            got = channel.basic_get(name, no_ack=True)
            while got is None:
                got = channel.basic_get(name, no_ack=True)
            assert got.body == name
            assert channel.queue_delete(name) == 0

    with draining(connection) as errors:
        in_threads(THREADS, declare)
    assert errors == []


def test_consuming_in_one_thread_and_acknowledging_in_others(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    name = queue(channel, target)
    for count in range(EACH):
        channel.basic_publish(Message(b"%d" % count), routing_key=name)
    channel.basic_qos(0, 20, False)
    seen: list[bytes] = []
    done = threading.Event()
    with ThreadPoolExecutor(THREADS) as pool:

        def work(message: Message) -> None:
            channel.basic_ack(message.delivery_tag or 0)
            assert isinstance(message.body, bytes)
            seen.append(message.body)
            if len(seen) == EACH:
                done.set()

        with draining(connection) as errors:
            channel.basic_consume(name, callback=lambda message: pool.submit(work, message))
            assert done.wait(PATIENCE), f"{len(seen)} of {EACH} were handed on"
    assert errors == []
    assert sorted(seen) == sorted(b"%d" % count for count in range(EACH))
    channel.close()
    assert connection.channel().queue_declare(name, passive=True)[1:] == (0, 0)


def test_the_thread_that_caused_an_error_gets_it(target: Target) -> None:
    connection = target.connect()
    channel = connection.channel()
    with draining(connection) as errors:
        for _ in range(5):
            with pytest.raises(NotFound, match="no queue 'nowhere'"):
                channel.queue_declare("nowhere", passive=True)
            channel.queue_declare(target.name("threads"), exclusive=True)
    # If the close arrives before a thread begins to wait, the other thread may raise the error for it.
    assert all(isinstance(error, NotFound) for error in errors)


def test_a_second_thread_that_drains_is_told(target: Target) -> None:
    connection = target.connect()
    reading = threading.Event()
    refused = threading.Event()
    channel = connection.channel()
    name = queue(channel, target)

    def callback(_message: Message) -> None:
        reading.set()
        assert refused.wait(PATIENCE)

    channel.basic_consume(name, no_ack=True, callback=callback)
    channel.basic_publish(Message(b"one"), routing_key=name)
    with draining(connection) as errors:
        assert reading.wait(PATIENCE)
        try:
            with pytest.raises(RuntimeError, match="another thread is reading"):
                connection.drain_events(timeout=PATIENCE)
            with pytest.raises(RuntimeError, match="another thread is reading"):
                connection.blocking_read(timeout=PATIENCE)
            assert connection.is_alive()
        finally:
            refused.set()
    assert errors == []


@pytest.mark.parametrize("how", ["drain_events", "blocking_read"])
def test_who_drains_waits_for_who_reads_an_answer(target: Target, how: str) -> None:
    connection = target.connect()
    reading = threading.Event()
    go_on = threading.Event()
    channel = connection.channel()
    name = queue(channel, target)

    def callback(_message: Message) -> None:
        reading.set()
        assert go_on.wait(PATIENCE)

    channel.basic_consume(name, no_ack=True, callback=callback, nowait=True, consumer_tag="tag")
    with ThreadPoolExecutor(1) as pool:

        def ask() -> None:  # the answer arrives after the delivery, whose callback runs for a while
            channel.basic_publish_confirm(Message(b"one"), routing_key=name)
            connection.channel().queue_declare(name, passive=True)

        asking = pool.submit(ask)
        try:
            assert reading.wait(PATIENCE)
            with pytest.raises(TimeoutError, match="while another thread was reading"):
                getattr(connection, how)(timeout=0.05)
        finally:
            go_on.set()
        asking.result(PATIENCE)
    reading.clear()
    channel.basic_publish(Message(b"two"), routing_key=name)
    while not reading.is_set():
        getattr(connection, how)(timeout=PATIENCE)


def test_closing_under_another_thread(target: Target) -> None:
    connection = target.connect(read_timeout=None)
    ended: list[BaseException] = []

    def drain() -> None:
        try:
            while True:
                connection.drain_events()
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=drain)
    thread.start()
    connection.channel()  # makes sure that the other thread reads now or will read
    connection.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    (error,) = ended
    assert isinstance(error, RecoverableConnectionError), repr(error)


def test_a_lost_connection_is_told_to_every_thread(target: Target) -> None:
    connection = target.connect()
    channels = [connection.channel() for _ in range(THREADS)]
    errors: list[BaseException] = []
    ready = threading.Barrier(THREADS + 1)

    def ask(number: int) -> None:
        ready.wait(PATIENCE)
        try:
            while True:
                channels[number].queue_declare(target.name("threads"), exclusive=True)
        except Exception as error:
            errors.append(error)

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(ask, number) for number in range(THREADS)]
        ready.wait(PATIENCE)
        connection.collect()
        for future in futures:
            future.result(PATIENCE)
    assert len(errors) == THREADS
    assert all(isinstance(error, RecoverableConnectionError | OSError) for error in errors), errors

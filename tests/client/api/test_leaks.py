"""Reconnecting leaves nothing behind: no object, no descriptor, no thread, no memory."""

import gc
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from hutch.client import Connection, Message, NotFound
from tests.targets import Target

pytestmark = pytest.mark.slow

DESCRIPTORS = Path("/proc/self/fd")


def a_session(connection: Connection, queue: str) -> None:
    """A bit of everything, ended in the middle of it."""
    connection.connect()
    channel = connection.channel()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    channel.basic_consume(queue, callback=lambda message: channel.basic_ack(message.delivery_tag or 0))
    channel.basic_publish(Message(b"x" * 100, application_headers={"number": 1}), routing_key=queue)
    connection.drain_events()
    with pytest.raises(NotFound):
        channel.queue_declare("nowhere", passive=True)
    next(connection.channel().consume(queue, timeout=0), None)


def client_objects() -> Counter[str]:
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("hutch.client"))


def descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0


@pytest.mark.parametrize("ending", ["close", "collect"])
@pytest.mark.timeout(180)
def test_reconnecting(target: Target, ending: str) -> None:
    count = 1000 if target.id.startswith("tcp") else 100
    connection = target.connection()

    def reconnect(times: int) -> None:
        for _ in range(times):
            a_session(connection, target.name("leaks"))
            getattr(connection, ending)()

    reconnect(20)  # fill the caches
    if target.broker is not None:
        target.broker.drain_clients()
    before = client_objects(), threading.active_count()
    open_before = descriptors()
    if target.live:  # not for the emulator: its history is in this process, and grows
        tracemalloc.start()
    try:
        reconnect(count // 2)
        gc.collect()
        half, _ = tracemalloc.get_traced_memory()
        reconnect(count // 2)
        gc.collect()
        whole, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert client_objects() == before[0]
    assert threading.active_count() == before[1]
    assert whole - half < 20 * count, f"{whole - half} bytes more after {count // 2} further connections"
    if target.live:  # not for the emulator: its descriptors are in this process, and close a moment later
        assert descriptors() == open_before

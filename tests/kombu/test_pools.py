"""Pools of connections, channels and producers."""

from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

import kombu
import kombu.pools
import pytest
from kombu.exceptions import ChannelLimitExceeded, ConnectionLimitExceeded

from tests.client.api.admin import eventually
from tests.kombu.steps import connect, sever
from tests.targets import PATIENCE, Target


@pytest.fixture(autouse=True)
def pools(target: Target) -> Iterator[None]:  # depends on target, so that it is torn down first
    """kombu's pools belong to the process; each test finds them empty."""
    limit = kombu.pools.get_limit()
    yield
    kombu.pools.reset()
    kombu.pools.set_limit(limit)


def test_a_pool_of_connections(target: Target) -> None:
    pool = connect(target).Pool(limit=2)
    try:
        first, second = pool.acquire(), pool.acquire()
        assert first.connect().connected
        assert first.connection is not second.connection
        with pytest.raises(ConnectionLimitExceeded):
            pool.acquire()
        opened = first.connection
        first.release()
        assert opened.connected  # the connection belongs to the pool
        assert pool.acquire(block=True).connection is opened
        second.release()
        with pool.acquire_channel(block=True) as (connection, channel):
            assert connection is second
            assert channel.is_open
    finally:
        pool.force_close_all()
    assert not opened.connected
    with pytest.raises(RuntimeError, match="closed pool"):
        pool.acquire()


def test_a_connection_that_failed_is_replaced(target: Target) -> None:
    pool = connect(target).Pool(limit=1)
    used = []

    def use() -> None:
        with pool.acquire(block=True) as connection:
            used.append(connection.connect())
            sever(target, used[0])
            connection.drain_events(timeout=PATIENCE)

    try:
        with pytest.raises(OSError, match=r"reset|ended"):
            use()
        with pool.acquire(block=True) as connection:
            assert connection.default_channel.is_open
            assert connection.connection is not used[0]
    finally:
        pool.force_close_all()


def test_a_pool_of_channels(connection: kombu.Connection) -> None:
    pool = connection.ChannelPool(limit=2)
    first, second = pool.acquire(), pool.acquire()
    assert first.channel_id != second.channel_id
    with pytest.raises(ChannelLimitExceeded):
        pool.acquire()
    first.release()
    assert pool.acquire() is first


def test_pools_by_connection(target: Target) -> None:
    one, same = connect(target), connect(target)
    other = connect(target, transport_options={"max_retries": 1})
    assert kombu.pools.connections[one] is kombu.pools.connections[same]
    assert kombu.pools.connections[one] is not kombu.pools.connections[other]
    with kombu.pools.connections[one].acquire(block=True) as connection:
        opened = connection.connect()
    assert opened.connected
    kombu.pools.reset()
    assert not opened.connected
    with kombu.pools.connections[one].acquire(block=True) as connection:
        assert connection.connect() is not opened


def test_limits(target: Target) -> None:
    kombu.pools.set_limit(1)
    pool = kombu.pools.connections[connect(target)]
    assert pool.limit == 1
    held = pool.acquire()
    with pytest.raises(ConnectionLimitExceeded):
        pool.acquire()
    held.release()
    pool.resize(2)
    first, second = pool.acquire(), pool.acquire()
    assert first is not second


def test_producers(target: Target, connection: kombu.Connection, queue: kombu.Queue) -> None:
    pool = kombu.pools.producers[connect(target)]
    with pool.acquire(block=True) as producer:
        producer.publish({"a": 1}, routing_key=queue.name)
        opened = producer.connection.connection
    assert eventually(lambda: queue.get(no_ack=True), "the message").payload == {"a": 1}
    assert opened.connected  # the connection went back into the pool
    sever(target, opened)
    opened.collect()
    with pool.acquire(block=True) as producer:
        producer.publish({"a": 2}, routing_key=queue.name, retry=True, retry_policy={"interval_start": 0})
        assert producer.connection.connection is not opened
    assert eventually(lambda: queue.get(no_ack=True), "another message").payload == {"a": 2}


def _child(pipe: Any) -> None:
    """What a forked process does: kombu's hooks have closed its copies of the pools."""
    pipe.send("ready")
    pipe.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_leaves_pooled_connections_alone(target: Target) -> None:
    """kombu has the child forget the parent's connections; the parent's go on."""
    with kombu.pools.connections[connect(target)].acquire(block=True) as connection:
        opened = connection.connect()
        connection.default_channel  # noqa: B018  (opens it)
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sending,))
    child.start()
    sending.close()
    assert receiving.recv() == "ready"
    child.join(PATIENCE)
    assert child.exitcode == 0
    receiving.close()
    with kombu.pools.connections[connect(target)].acquire(block=True) as connection:
        assert connection.connection is opened
        assert connection.default_channel.queue_declare(exclusive=True).queue

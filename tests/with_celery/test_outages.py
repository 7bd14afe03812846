"""What happens to workers when brokers, networks and connections fail."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.utils.threads import bound_open_broker_sockets

from hutch.fakebroker import Broker
from tests.client.api.admin import eventually
from tests.with_celery import app as tasks
from tests.with_celery.conftest import PATIENCE, Stand, closing, embedded_worker, gate, told
from tests.with_celery.relay import Relay

#: A worker that reconnects at once may find its exclusive queue for remote control still locked: the broker may see
#: the new connection before the end of the old one. By default Celery's worker then gives up (405).
PERSISTENT = {"broker_connection_max_retries": None, "broker_channel_error_retry": True}


@contextmanager
def working(app: Celery) -> Iterator[Any]:
    """A worker for one test, behind which everything is closed."""
    with closing(app), embedded_worker(app) as worker:
        # Celery warns of a changed default whenever a connection is lost, and overrides the filters.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        yield worker


@pytest.fixture
def relay(stand: Stand) -> Iterator[Relay]:
    if stand.in_process:
        pytest.skip("there is no network within a process")
    with Relay(stand.target.url) as relay:
        yield relay


@pytest.fixture
def slow_relay(stand: Stand, relay: Relay) -> Relay:
    """For what takes seconds, and is no different with TLS."""
    if stand.ca_certs or stand.transport != "hutch":
        pytest.skip("shown without TLS")
    return relay


def through(relay: Relay, stand: Stand, **settings: Any) -> Celery:
    """An application whose worker is behind the relay; what it publishes goes there straight."""
    url = relay.url_like(stand.url)
    return stand.app(broker_url=stand.url, broker_read_url=url, broker_write_url=stand.url, **PERSISTENT, **settings)


def test_a_task_that_was_not_acknowledged_comes_again(stand: Stand, relay: Relay) -> None:
    opened = gate("cut off")
    with working(through(relay, stand)):
        result = tasks.wait_for.delay("cut off")
        assert told() == ("began", "cut off", False)
        relay.cut()
        assert told() == ("began", "cut off", True)
        opened.set()
        assert result.get(timeout=PATIENCE) in {True, False}
        assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3


def test_a_worker_comes_back_once_after_each_outage(stand: Stand, relay: Relay) -> None:
    with working(through(relay, stand)):
        assert tasks.add.delay(0, 1).get(timeout=PATIENCE) == 1
        connections = relay.count
        for number in range(1, 4):
            relay.cut()
            assert tasks.add.delay(number, 1).get(timeout=PATIENCE) == number + 1
            assert tasks.add.delay(number, 2).get(timeout=PATIENCE) == number + 2
            assert relay.count == connections + number or stand.target.live  # on a live broker the queue may be locked


@pytest.mark.slow
def test_heartbeats_tell_a_silent_network_from_an_idle_one(stand: Stand, slow_relay: Relay) -> None:
    """Nothing comes through, and no socket says so; a worker that waits without heartbeats would wait for ever."""
    with working(through(slow_relay, stand, broker_heartbeat=1)) as worker:
        assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3
        assert worker.consumer.connection.heartbeat == 1
        connections = slow_relay.count
        slow_relay.silence()
        eventually(lambda: slow_relay.count > connections or None, "a new connection")
        assert tasks.add.delay(3, 4).get(timeout=PATIENCE) == 7


def test_a_silent_broker_does_not_hold_up_a_worker_that_ends(stand: Stand, relay: Relay) -> None:
    """The worker puts a timeout on the socket before it closes the connection, which asks the broker."""
    with closing(through(relay, stand)) as app, app.connection_for_read() as connection:
        channel = connection.default_channel
        relay.silence()
        bound_open_broker_sockets(connection, 0.1)
        with pytest.raises(TimeoutError):
            channel.close()
        connection.collect()


@pytest.mark.slow
def test_heartbeats_keep_an_idle_worker_connected(stand: Stand, slow_relay: Relay) -> None:
    """RabbitMQ gives a connection up after two intervals without a sign of life."""
    with working(through(slow_relay, stand, broker_heartbeat=1)) as worker:
        assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3
        seen, connections = slow_relay.sendings, slow_relay.count
        eventually(lambda: slow_relay.sendings >= seen + 6 or None, "six heartbeats of an interval that knows two")
        assert slow_relay.count == connections
        assert worker.consumer.connection.connected


@pytest.mark.slow
def test_a_worker_waits_for_its_broker(stand: Stand, slow_relay: Relay) -> None:
    slow_relay.refuse()
    timer = threading.Timer(0.3, slow_relay.accept)
    timer.start()
    with working(through(slow_relay, stand)):
        assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3
    timer.join()
    assert slow_relay.refused


def test_the_worker_goes_on_with_the_next_broker_of_the_list(stand: Stand) -> None:
    """In-process too: one broker is closed, the next one of ``broker_url`` takes over."""
    if stand.target.live or stand.ca_certs:
        pytest.skip("takes two brokers")
    with Broker(stand.target.profile) as first, Broker(stand.target.profile) as second:
        urls = [
            replace(stand, target=replace(stand.target, url=broker.memory_url if stand.in_process else broker.url)).url
            for broker in (first, second)
        ]
        with working(stand.app(broker_url=urls, **PERSISTENT)):
            assert tasks.add.delay(1, 2).get(timeout=PATIENCE) == 3
            first.close(grace=0)
            tasks.note.delay("on the second broker")
            assert told() == "on the second broker"

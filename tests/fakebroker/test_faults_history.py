"""Events of faults in the history."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from hutch.client import Connection, connect
from hutch.fakebroker import Broker, Event

from .conftest import Connect
from .peers import Peer


@pytest.fixture(params=["pipe", "tcp"])
def peer(request: pytest.FixtureRequest, manual: Broker) -> Peer:
    """A client of the broker ``manual`` that is connected by either way in."""
    way: Connect = request.getfixturevalue(request.param)
    return way(manual)


@pytest.fixture(params=["in-process", "TCP"])
def client(request: pytest.FixtureRequest, manual: Broker) -> Iterator[Connection]:
    """A client of the broker ``manual`` that is not connected yet."""
    if request.param == "TCP":
        manual.listen()
    in_process = Connection(transport=manual.transport)
    connection = in_process if request.param == "in-process" else Connection(manual.url.rpartition("@")[2].strip("/"))
    yield connection
    connection.collect()


def hits(broker: Broker) -> list[Event]:
    broker.drain_clients()
    return list(broker.history.of("fault"))


def test_a_hit_stands_before_what_it_does(manual: Broker, peer: Peer) -> None:
    peer.declare("q")
    peer.confirm()
    fault = manual.faults.on("basic.publish", routing_key="q", nth=2).close_channel(406, "no")
    for _ in range(2):
        peer.publish("q", b"x")
    (event,) = hits(manual)
    assert event.reason == fault.text == "faults.on('basic.publish', routing_key='q', nth=2).close_channel(406, 'no')"
    (connected,) = manual.history.of("connected")
    assert (event.connection, event.channel, event.user, event.vhost) == (connected.connection, 1, "guest", "/")
    assert [each.kind for each in manual.history][-3:] == ["published", "fault", "refused"]


def test_all_hits_are_told_and_no_other_matches(manual: Broker, peer: Peer) -> None:
    peer.declare("q")
    fault = manual.faults.on("basic.publish", nth=2, times=2).lose()
    for _ in range(5):
        peer.publish("q", b"x")
    assert [event.reason for event in hits(manual)] == [fault.text] * 2
    assert fault.hits == 2


def test_a_fault_for_connections(manual: Broker, client: Connection) -> None:
    cut = manual.faults.connections().cut(after=1_000_000)
    client.connect()
    assert [(event.reason, event.vhost) for event in hits(manual)] == [(cut.text, "")], "once for a connection"
    reset = manual.faults.connections().reset()
    event = hits(manual)[-1]
    assert (event.reason, event.vhost, event.user) == (reset.text, "/", "guest")
    assert [each.kind for each in manual.history][-3:] == ["fault", "refused", "disconnected"]


def test_a_fault_for_a_client_that_comes(manual: Broker, client: Connection) -> None:
    fault = manual.faults.connecting(times=1).end()
    with suppress(OSError):
        client.connect()
    assert [event.reason for event in hits(manual)] == [fault.text]


def test_a_broker_that_is_stopped(manual: Broker) -> None:
    with manual.faults.stop_broker() as fault:
        assert [event.reason for event in hits(manual)] == [fault.text]


def test_what_does_not_happen_is_not_told(manual: Broker) -> None:
    manual.faults.next("basic.publish").nack()
    manual.faults.connections().black_hole()
    manual.faults.clear()
    connect(manual.url).close()
    assert hits(manual) == []

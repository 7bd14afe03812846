"""Faults over HTTP: rules, hits, and rules that make no sense."""

from collections.abc import Iterator
from typing import Any

import pytest

from hutch.client import AccessRefused, Connection, ConnectionForced, Message, PreconditionFailed, connect
from hutch.fakebroker import Broker, ManualClock

from .test_management import Client


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(clock=ManualClock()) as broker:
        yield broker


@pytest.fixture
def api(broker: Broker) -> Iterator[Client]:
    client = Client(broker)
    yield client
    client.close()


def test_the_third_publish_closes_the_channel(broker: Broker, api: Client) -> None:
    rule = {"method": "basic.publish", "routing_key": "q", "nth": 3, "action": "close_channel"}
    status, fault = api.ask("POST", "hutch/faults", {**rule, "arguments": {"code": 406, "text": "too much"}})
    text = "faults.on('basic.publish', routing_key='q', nth=3).close_channel(406, 'too much')"
    assert (status, fault) == (201, {"id": 1, "text": text, "hits": 0, "matches": 0, "over": False})
    with Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        for _ in range(3):
            channel.basic_publish(Message("x"), routing_key="q")
        with pytest.raises(PreconditionFailed, match="too much"):
            channel.queue_declare("q")
    assert api.ask("GET", "hutch/faults/1") == (200, {**fault, "hits": 1, "matches": 3, "over": True})


def test_faults_of_connections(broker: Broker, api: Client) -> None:
    assert api.ask("POST", "hutch/faults", {"match": "connecting", "times": 1, "action": "reset"})[0] == 201
    with pytest.raises(ConnectionError):
        Connection(transport=broker.transport).connect()
    delay = {"match": "connections", "action": "delay", "arguments": {"seconds": 1, "direction": "to_client"}}
    assert api.ask("POST", "hutch/faults", delay)[0] == 201
    refused = {"match": "next", "method": "connection.start-ok", "action": "refuse_login"}
    assert api.ask("POST", "hutch/faults", refused)[1]["id"] == 3
    with pytest.raises(AccessRefused):
        Connection(transport=broker.transport).connect()
    assert broker.clock.monotonic() > 0
    assert [fault["hits"] for fault in api.ask("GET", "hutch/faults")[1]][::2] == [1, 1]


def test_a_fault_ends(broker: Broker, api: Client) -> None:
    assert api.ask("GET", "hutch/faults") == (200, [])
    assert api.ask("DELETE", "hutch/faults") == (204, None)
    for _ in range(2):
        api.ask("POST", "hutch/faults", {"method": "queue.declare", "action": "lose"})
    assert api.ask("DELETE", "hutch/faults/1") == (204, None)
    assert [fault["over"] for fault in api.ask("GET", "hutch/faults")[1]] == [True, False]
    assert api.ask("DELETE", "hutch/faults") == (204, None)
    assert api.ask("GET", "hutch/faults") == (200, [])
    with Connection(transport=broker.transport) as connection:
        connection.channel().queue_declare("q")
    for number in ("1", "x", "0"):
        assert api.ask("GET", f"hutch/faults/{number}")[0] == 404
        assert api.ask("DELETE", f"hutch/faults/{number}")[0] == 404


PUBLISH = {"method": "basic.publish", "action": "nack"}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({}, "[{key_missing,action}]"),
        ({"action": "nack"}, "[{key_missing,method}]"),
        ({**PUBLISH, "routing_kye": "q"}, "field 'routing_kye' is unknown; did you mean 'routing_key'? choose from"),
        ({**PUBLISH, "method": "basic.publis"}, "did you mean 'basic.publish'?"),
        ({**PUBLISH, "queue": "q"}, "basic.publish cannot be told by its queue; it can by: "),
        ({**PUBLISH, "nth": "3"}, "nth is of another type than '3'"),
        ({**PUBLISH, "nth": True}, "nth is of another type than True"),
        ({**PUBLISH, "times": 0}, "times is a number from 1 on, not 0"),
        ({**PUBLISH, "vhost": 5}, "vhost is of another type than 5"),
        ({**PUBLISH, "action": "nak"}, "action 'nak' is unknown; did you mean 'nack'?"),
        ({**PUBLISH, "action": ["nack"]}, "action ['nack'] is unknown"),
        ({**PUBLISH, "action": "__init__"}, "action '__init__' is unknown"),
        ({**PUBLISH, "action": "close_channel"}, "[{key_missing,code}]"),
        ({**PUBLISH, "arguments": {"cod": 1}}, "argument of nack 'cod' is unknown"),
        ({**PUBLISH, "arguments": []}, "arguments is an object, not []"),
        ({**PUBLISH, "action": "close_channel", "arguments": {"code": "x"}}, "code is of another type than 'x'"),
        ({**PUBLISH, "action": "close_channel", "arguments": {"code": 1}}, ""),
        ({"method": "queue.declare", "action": "nack"}, "nack"),
        ({"match": "connection", "action": "reset"}, "match 'connection' is unknown; did you mean 'connections'"),
        ({"match": "connecting", "action": "reset", "user": "u"}, "field 'user' is unknown"),
        ({"match": "connections", "action": "delay", "arguments": {"seconds": -1}}, ""),
    ],
)
def test_rules_that_make_no_sense(api: Client, rule: Any, reason: str) -> None:
    status, told = api.ask("POST", "hutch/faults", rule)
    assert status == 400
    assert reason in told["reason"]
    assert api.ask("GET", "hutch/faults") == (200, [])


@pytest.mark.parametrize("rule", [{"match": "connecting", "action": "refuse"}, {**PUBLISH, "action": "call"}])
def test_actions_that_are_not_for_http(api: Client, rule: Any) -> None:
    status, told = api.ask("POST", "hutch/faults", rule)
    assert (status, told["error"]) == (501, "not_implemented")


def test_faults_are_for_administrators(broker: Broker, api: Client) -> None:
    broker.admin.add_user("watcher", "x", tags=("monitoring",))
    watcher = Client(broker, "Basic d2F0Y2hlcjp4")
    assert watcher.ask("POST", "hutch/faults", PUBLISH)[0] == 401
    assert watcher.ask("GET", "hutch/faults")[0] == 401
    watcher.close()


def test_a_tcp_client_meets_a_fault(broker: Broker, api: Client) -> None:
    url = broker.url
    api.ask("POST", "hutch/faults", {"method": "queue.declare", "action": "close_connection"})
    connection = connect(url)
    channel = connection.channel()
    with pytest.raises(ConnectionForced):
        channel.queue_declare("q")

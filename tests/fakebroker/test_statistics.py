"""What the management API counts: rates by the clock, what it costs, and what becomes of it over a restored state."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest

from hutch.client import Channel, Connection, Message
from hutch.fakebroker import Broker, ManualClock

from .test_management import Client


@pytest.fixture(params=["3.10", "4.3"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param, ManualClock()) as broker:
        yield broker


@pytest.fixture
def api(broker: Broker) -> Iterator[Client]:
    client = Client(broker)
    yield client
    client.close()


@pytest.fixture
def channel(broker: Broker, api: Client) -> Iterator[Channel]:
    assert api.ask("GET", "whoami")[0] == 200
    with Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        yield channel


def advance(broker: Broker, seconds: float) -> None:
    assert isinstance(broker.clock, ManualClock)
    broker.clock.advance(seconds)


def publish(channel: Channel, count: int, queue: str = "q") -> None:
    for _ in range(count):
        channel.basic_publish(Message(b"12345"), routing_key=queue)


def told(api: Client, path: str) -> dict[str, Any]:
    status, found = api.ask("GET", path)
    assert status == 200
    return found  # type: ignore[no-any-return]


def rates(api: Client, path: str, *names: str) -> list[float]:
    shown = told(api, path)
    shown = {**shown, **shown.get("message_stats", {})}
    return [shown[f"{name}_details"]["rate"] for name in names]


def test_rates_are_those_of_the_last_five_seconds(broker: Broker, api: Client, channel: Channel) -> None:
    publish(channel, 10)
    paths = {
        "queues/%2F/q": ("publish", "messages", "messages_ready"),
        "exchanges/%2F/amq.default": ("publish_in", "publish_out"),
        "vhosts/%2F": ("publish", "messages"),
        "overview": ("publish",),
        "channels/" + quote("in-process client 1 (1)"): ("publish",),
    }
    for path, names in paths.items():
        assert rates(api, path, *names) == [0.0] * len(names)  # the five seconds are not over yet
    advance(broker, 5)
    for path, names in paths.items():
        assert rates(api, path, *names) == [2.0] * len(names)
    publish(channel, 20)
    advance(broker, 4)
    assert rates(api, "queues/%2F/q", "publish") == [2.0]
    advance(broker, 1)
    assert rates(api, "queues/%2F/q", "publish") == [4.0]
    advance(broker, 5)
    for path, names in paths.items():
        assert rates(api, path, *names) == [0.0] * len(names)


def test_a_queue_that_gets_shorter(broker: Broker, api: Client, channel: Channel) -> None:
    publish(channel, 10)
    advance(broker, 10)
    channel.queue_purge("q")
    advance(broker, 5)
    assert rates(api, "queues/%2F/q", "messages", "messages_ready", "messages_unacknowledged") == [-2.0, -2.0, 0.0]
    publish(channel, 10)
    advance(broker, 10)
    channel.queue_delete("q")
    advance(broker, 5)
    assert rates(api, "vhosts/%2F", "messages") == [-2.0]


def test_a_queue_that_was_there_before_the_api(broker: Broker) -> None:
    with Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        publish(channel, 10)
        api = Client(broker)
        assert "message_stats" not in told(api, "queues/%2F/q")
        channel.basic_get("q")
        advance(broker, 5)
        names = ("messages", "messages_ready", "messages_unacknowledged", "get")
        assert rates(api, "queues/%2F/q", *names) == [0.0, -0.2, 0.2, 0.2]
        api.close()


def test_nothing_to_look_at_sets_no_timer(broker: Broker, api: Client, channel: Channel) -> None:
    publish(channel, 1)
    assert broker.hub.node.timers.next_at() is not None
    advance(broker, 15)
    assert broker.hub.node.timers.next_at() is None
    told(api, "queues")
    assert broker.hub.node.timers.next_at() is None


def test_a_broker_without_api_has_no_listener(broker: Broker) -> None:
    recorder = broker.undrained_history.recorder
    assert broker.hub.node.journal is recorder
    with closing(Client(broker)) as api:
        told(api, "overview")
    assert broker.hub.node.journal is not recorder


def test_octets(broker: Broker, api: Client, channel: Channel) -> None:
    advance(broker, 10)
    (before,) = api.ask("GET", "connections")[1]
    channel.basic_publish(Message(bytes(1000)), routing_key="q")
    advance(broker, 5)
    (now,) = api.ask("GET", "connections")[1]
    grew = now["recv_oct"] - before["recv_oct"]
    assert grew > 1000
    assert now["recv_oct_details"] == {"rate": grew / 5}
    assert (now["send_oct"], now["send_oct_details"]) == (before["send_oct"], {"rate": 0.0})
    vhost = told(api, "vhosts/%2F")
    assert (vhost["recv_oct"], vhost["recv_oct_details"]) == (now["recv_oct"], now["recv_oct_details"])


def test_the_api_forgets_what_it_counted(broker: Broker, api: Client, channel: Channel) -> None:
    publish(channel, 10)
    assert api.ask("DELETE", "reset") == (204, None)
    for path in ("queues/%2F/q", "exchanges/%2F/amq.default", "vhosts/%2F"):
        assert "message_stats" not in told(api, path)
    publish(channel, 5)
    advance(broker, 5)
    assert told(api, "queues/%2F/q")["message_stats"]["publish"] == 5
    assert rates(api, "queues/%2F/q", "publish") == [1.0]


def test_octets_outlive_their_connection(broker: Broker, api: Client) -> None:
    with Connection(transport=broker.transport):
        before = told(api, "vhosts/%2F")
    after = told(api, "vhosts/%2F")
    assert after["recv_oct"] > before["recv_oct"] > 0
    assert api.ask("GET", "connections") == (200, [])


def test_a_vhost_that_is_gone_counts_for_the_node(broker: Broker, api: Client) -> None:
    api.ask("PUT", "vhosts/other")
    with Connection(transport=broker.transport, virtual_host="other") as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        publish(channel, 5)
        assert told(api, "vhosts/other")["message_stats"]["publish"] == 5
        api.ask("DELETE", "vhosts/other")
    assert told(api, "overview")["message_stats"]["publish"] == 5
    advance(broker, 5)
    assert rates(api, "overview", "publish") == [1.0]
    api.ask("PUT", "vhosts/other")
    assert "message_stats" not in told(api, "vhosts/other")


def test_a_state_that_is_restored(broker: Broker, api: Client, channel: Channel) -> None:
    publish(channel, 2)
    snapshot = broker.snapshot()
    publish(channel, 3)
    broker.restore(snapshot)
    shown = told(api, "queues/%2F/q")
    # counters continue after a restore, like the history
    assert (shown["messages"], shown["message_stats"]["publish"]) == (2, 5)
    publish(channel, 1)
    advance(broker, 5)
    assert told(api, "queues/%2F/q")["message_stats"]["publish"] == 6
    broker.reset()
    api.ask("PUT", "queues/%2F/q", {})
    assert "message_stats" not in told(api, "queues/%2F/q")


def test_the_timer_goes_on_over_a_restored_state(broker: Broker, api: Client, channel: Channel) -> None:
    snapshot = broker.snapshot()
    publish(channel, 5)
    broker.restore(snapshot)
    publish(channel, 5)
    advance(broker, 5)
    assert rates(api, "vhosts/%2F", "publish") == [2.0]
    advance(broker, 60)
    assert rates(api, "vhosts/%2F", "publish") == [0.0]

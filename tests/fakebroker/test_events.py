"""The exchange of events, as the broker's user has it; what the events tell the conformance suite shows."""

from collections.abc import Iterator

import pytest

from hutch.client import Connection, NotFound
from hutch.fakebroker import Broker, ManualClock, Message

EVENTS = "amq.rabbitmq.event"


@pytest.fixture
def told() -> Iterator[Broker]:
    """A broker with the plugin, whose events are in the queue ``events`` of its first vhost."""
    with Broker(clock=ManualClock(), vhosts=("first", "second"), plugins=["rabbitmq_event_exchange"]) as broker:
        with Connection(transport=broker.transport, virtual_host="first") as connection:
            channel = connection.channel()
            channel.queue_declare("events", durable=True, auto_delete=False)
            channel.queue_bind("events", EVENTS, "#")
        broker.node.vhosts["first"].queues["events"].purge()
        yield broker


def events(broker: Broker) -> list[Message]:
    return broker.queue("events", "first").messages


def test_there_is_none_without_the_plugin(manual: Broker) -> None:
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        with pytest.raises(NotFound, match=f"no exchange '{EVENTS}' in vhost '/'"):
            channel.exchange_declare(EVENTS, "topic", passive=True)


def test_the_first_vhost_hears_of_all(told: Broker) -> None:
    with Connection(transport=told.transport, virtual_host="second") as connection:
        channel = connection.channel()
        with pytest.raises(NotFound):
            channel.exchange_declare(EVENTS, "topic", passive=True)
        connection.channel().queue_declare("q")
    created = [event for event in events(told) if event.routing_key == "queue.created"]
    assert [event.headers["vhost"] for event in created] == ["second"]
    assert created[0].headers["user_who_performed_action"] == "guest"
    assert created[0].headers["timestamp_in_ms"] == 1_700_000_000_000


def test_a_channel_is_one_process(told: Broker) -> None:
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel()
        connection.channel().close()
    by_key = [(event.routing_key, event.headers["pid"]) for event in events(told)]
    (first, second, third, fourth) = by_key
    assert [key for key, _ in by_key] == ["channel.created"] * 2 + ["channel.closed"] * 2
    assert first[1] == fourth[1] != second[1] == third[1]


def test_an_exchange_tells_of_its_policy(told: Broker) -> None:
    told.admin.set_policy("mine", "^x", {"alternate-exchange": "amq.fanout"}, vhost="second")
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel().exchange_declare("x", "direct")
    (created,) = (event for event in events(told) if event.routing_key == "exchange.created")
    assert created.headers["policy"] == "mine"


def test_they_go_on_after_a_restart(told: Broker) -> None:
    told.restart()
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel().queue_declare("q")
    assert "queue.created" in {event.routing_key for event in events(told)}

"""Everything public in :mod:`hutch.fakebroker`, as a user's program writes it."""

from datetime import UTC, datetime
from typing import Any, assert_type

import pytest

from hutch.client import Connection, Message, connect
from hutch.fakebroker import (
    PROFILES,
    Administration,
    AutoClock,
    Broker,
    Clock,
    ClusterNode,
    Event,
    FrozenClock,
    History,
    InvalidDefinitions,
    InvalidPolicy,
    ManualClock,
    Profile,
    QueueView,
    Snapshot,
    SystemClock,
    TickingClock,
)
from hutch.fakebroker import Message as StoredMessage


def test_a_broker() -> None:
    with Broker("3.10", ManualClock(), users={"ann": "secret"}, vhosts=["/", "shop"], seed=7) as broker:
        assert_type(broker.profile, Profile)
        assert broker.profile is PROFILES["3.10"]
        assert_type(broker.clock, Clock)
        assert_type(broker.listen(), str)
        assert_type(broker.url, str)
        assert_type(broker.memory_url, str)
        with connect(broker.memory_url) as connection:
            channel = connection.channel()
            channel.queue_declare("orders", auto_delete=False)
            channel.basic_publish(Message("order 17"), routing_key="orders")
            queue = broker.queue("orders")
            assert_type(queue, QueueView)
            assert_type(queue.ready, int)
            assert_type(queue.unacked, int)
            assert_type(queue.consumers, int)
            (message,) = queue.messages
            assert_type(message, StoredMessage)
            assert_type(message.body, bytes)
            assert_type(message.routing_key, str)
            assert_type(message.exchange, str)
            snapshot = broker.snapshot()
            assert_type(snapshot, Snapshot)
            broker.restore(snapshot)
        assert_type(broker.listen_management(), str)
        assert_type(broker.management_url, str)
        node = broker.add_node()
        assert_type(node, ClusterNode)
        assert_type(node.url, str)
        node.stop()
        node.start()
        assert_type(broker.listen_management(), str)
        assert_type(broker.management_url, str)
        fault = broker.faults.next("basic.publish").lose()
        assert_type(fault.hits, int)
        broker.faults.clear()
        broker.reset()
        with Connection(transport=broker.transport, userid="ann", password="secret") as connection:
            assert connection.connected
        broker.run_due()
        broker.drain_clients()
    broker.close()


def test_the_history() -> None:
    with Broker() as broker, connect(broker.memory_url) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", auto_delete=False)
        channel.basic_publish(Message("order 17"), routing_key="orders")
        history = broker.history
        assert_type(history, History)
        (event,) = history.of("published")
        assert_type(event, Event)
        assert_type(event.kind, str)
        assert_type(event.at, float)
        assert_type(event.routed_to, tuple[str, ...])
        for text in (event.source, event.destination, event.routing_key, event.reason):
            assert_type(text, str)
        for text in (event.consumer_tag, event.vhost, event.policy, event.resource):
            assert_type(text, str)
        for number in (event.delivery_tag, event.messages, event.delay, event.publishes, event.acknowledgements):
            assert_type(number, int)
        for flag in (event.redelivered, event.is_operator):
            assert_type(flag, bool)
        assert_type(event.offset, int)
        assert_type(event.parent, int)
        assert_type(event.queue, str | None)
        assert_type(event.exchange, str | None)
        assert_type(event.user, str | None)
        assert_type(event.connection, str | None)
        assert_type(event.channel, int | None)
        assert_type(event.message, StoredMessage | None)
        assert event.message is not None
        assert [later.kind for later in history.trail(event.message)] == ["published"]
        assert_type(history.dropped("published"), int)
        assert len(history) == 3
        assert_type(history.since(2), list[tuple[int, Event]])
        assert_type(list(history), list[Event])
        history.clear()


def test_clocks() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    clock.advance(5)
    clock.advance(minutes=5)
    assert_type(clock.monotonic(), float)
    assert_type(clock.time(), float)
    for other in (FrozenClock(), AutoClock(), SystemClock(), TickingClock()):
        assert isinstance(other, Clock)


def test_an_operator() -> None:
    with Broker(clock=ManualClock()) as broker:
        admin = broker.admin
        assert_type(admin, Administration)
        admin.add_vhost("shop")
        admin.add_user("ann", "secret")
        admin.set_permissions("ann", "^$", ".*", ".*", vhost="shop")
        admin.set_topic_permissions("ann", "amq.topic", "^order", ".*", vhost="shop")
        admin.clear_topic_permissions("ann", vhost="shop")
        admin.set_user_limit("ann", "max-connections", 5)
        admin.clear_user_limit("ann", "max-connections")
        admin.set_loopback_users("guest")
        admin.set_vhost_limit("max-queues", 5, vhost="shop")
        admin.clear_vhost_limit("max-queues", vhost="shop")
        admin.set_policy("limit", "^orders$", {"max-length": 5})
        admin.delete_policy("limit")
        admin.set_operator_policy("limit", "^orders$", {"max-length": 5})
        admin.delete_operator_policy("limit")
        with pytest.raises(InvalidPolicy):
            admin.set_policy("limit", "^orders$", {"max-length": "five"})
        admin.import_definitions(admin.export_definitions(), vhost=None)
        with pytest.raises(InvalidDefinitions):
            admin.import_definitions({"queues": [{"name": "orders", "vhost": "nowhere"}]})
        with pytest.raises(LookupError):
            admin.delete_queue("orders")
        admin.trace_on()
        admin.trace_off()
        admin.raise_alarm("memory")
        admin.clear_alarm("memory")
        admin.close_connections("ann")
        admin.stop()
        admin.start()
        admin.restart(downtime=1)
        admin.clear_permissions("ann", vhost="shop")
        admin.delete_user("ann")
        admin.delete_vhost("shop")


def test_definitions() -> None:
    with Broker(clock=ManualClock()) as broker:
        definitions = broker.admin.export_definitions()
        assert_type(definitions, dict[str, Any])
        broker.admin.import_definitions({"queues": [{"name": "orders", "durable": True, "vhost": "/"}]})
        assert broker.admin.delete_queue("orders") == 0
        with pytest.raises(InvalidDefinitions):
            broker.admin.import_definitions({"queues": 5})
    with Broker(definitions=definitions) as copy:
        copy.reset()


def test_faults_and_nodes() -> None:
    with Broker(clock=ManualClock()) as broker:
        broker.faults.clear()
        node = broker.add_node()
        assert_type(node, ClusterNode)
        assert_type(node.url, str)
        node.stop()
        node.start()


def test_tls() -> None:
    with Broker() as broker, pytest.raises(TypeError):
        broker.listen_tls()
    with Broker() as broker, pytest.raises(TypeError):
        broker.add_node(keyfile="server.key")

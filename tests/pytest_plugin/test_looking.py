"""Looking into the broker: queues, exchanges, bindings, connections, channels and consumers as values."""

import dataclasses
import re

import pytest

from hutch.client import Channel, Message
from hutch.fakebroker import Event
from hutch.fakebroker.history.event import KINDS
from hutch.pytest_plugin import Binding, FakeBroker


@pytest.fixture
def channel(fakebroker: FakeBroker) -> Channel:
    channel = fakebroker.connect(client_properties={"product": "shop"}).channel()
    channel.exchange_declare("events", "topic", durable=True, auto_delete=False)
    channel.queue_declare("orders", durable=True, auto_delete=False, arguments={"x-message-ttl": 1000})
    channel.queue_declare("audit", auto_delete=True, exclusive=True)
    channel.queue_bind("audit", "events", "order.#", arguments={"a": 1})
    channel.exchange_bind("amq.fanout", "events", "all")
    return channel


class TestValues:
    def test_a_queue(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.basic_publish(Message(b"one"), routing_key="orders")
        channel.basic_publish(Message(b"two"), routing_key="orders")
        assert channel.basic_get("orders") is not None
        queue = fakebroker.queue("orders")
        assert (queue.name, queue.vhost, queue.type) == ("orders", "/", "classic")
        assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
        assert queue.arguments == {"x-message-ttl": 1000}
        assert (queue.ready, queue.unacked, queue.consumers) == (1, 1, 0)
        assert [message.body for message in queue.messages] == [b"two"]
        assert repr(queue) == (
            "<classic queue 'orders': 1 ready, 1 unacked, 0 consumers; durable, arguments {'x-message-ttl': 1000}>"
        )
        audit = fakebroker.queue("audit")
        assert (audit.exclusive, audit.auto_delete) == (True, True)

    def test_it_stays_as_it_was(self, fakebroker: FakeBroker, channel: Channel) -> None:
        before = fakebroker.queue("orders")
        channel.basic_publish(Message(b"one"), routing_key="orders")
        assert (before.ready, fakebroker.queue("orders").ready) == (0, 1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            before.ready = 7  # type: ignore[misc]

    def test_an_exchange(self, fakebroker: FakeBroker, channel: Channel) -> None:
        exchange = fakebroker.exchange("events")
        assert (exchange.type, exchange.durable, exchange.bindings) == ("topic", True, 2)
        assert repr(exchange) == "<topic exchange 'events': 2 bindings; durable>"
        assert fakebroker.exchange("").type == "direct"
        assert fakebroker.exchange("amq.rabbitmq.trace").internal

    @pytest.mark.usefixtures("channel")
    def test_bindings(self, fakebroker: FakeBroker) -> None:
        assert fakebroker.bindings == [
            Binding("events", "audit", "order.#", {"a": 1}),
            Binding("events", "amq.fanout", "all", destination_type="exchange"),
        ]

    def test_connections_channels_and_consumers(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.basic_qos(0, 7, False)
        channel.basic_consume("orders", consumer_tag="worker", arguments={"x-priority": 3})
        channel.basic_publish(Message(b"one"), routing_key="orders")
        channel.confirm_select()
        (connection,) = fakebroker.connections
        assert (connection.user, connection.vhost, connection.channels) == ("guest", "/", 1)
        assert connection.properties["product"] == "shop"
        (opened,) = fakebroker.channels
        assert (opened.connection, opened.number) == (connection.name, channel.channel_id)
        assert (opened.prefetch, opened.unacked, opened.consumers) == (7, 1, 1)
        assert (opened.confirms, opened.transactional) == (True, False)
        (consumer,) = fakebroker.consumers
        assert (consumer.tag, consumer.queue) == ("worker", "orders")
        assert (consumer.connection, consumer.channel) == (connection.name, channel.channel_id)
        assert (consumer.prefetch, consumer.unacked, consumer.priority, consumer.no_ack) == (7, 1, 3, False)
        channel.close()
        assert not fakebroker.channels
        assert not fakebroker.consumers


class TestNames:
    @pytest.mark.usefixtures("channel")
    def test_a_wrong_one_names_the_near_ones(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(LookupError) as failure:
            fakebroker.queue("order")
        assert str(failure.value) == (
            "no queue 'order' in vhost '/'; did you mean 'orders'? there are: 'orders', 'audit'"
        )
        with pytest.raises(LookupError, match=r"no exchange 'event' in vhost '/'; did you mean 'events'\? there are: "):
            fakebroker.exchange("event")
        with pytest.raises(LookupError, match=r"no vhost 'shop'; there are: '/'"):
            fakebroker.queue("orders", vhost="shop")

    def test_of_many_some_are_listed(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        for number in range(20):
            channel.queue_declare(f"q{number}")
        with pytest.raises(LookupError, match=r"'q11' and 8 more$"):
            fakebroker.queue("other")

    @pytest.mark.fakebroker(vhosts=("shop", "/"))
    def test_the_default_vhost_is_the_first(self, fakebroker: FakeBroker) -> None:
        fakebroker.connect().channel().queue_declare("orders")
        assert fakebroker.queue("orders").vhost == "shop"
        assert fakebroker.broker.queue("orders").ready == 0
        assert repr(fakebroker.queue("orders")).startswith("<classic queue 'orders' in vhost 'shop': 0 ready, ")
        assert fakebroker.exchange("amq.topic").vhost == "shop"
        with pytest.raises(LookupError, match="no queue 'orders' in vhost '/'"):
            fakebroker.queue("orders", "/")

    def test_an_unknown_kind_of_event(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(ValueError, match=r"no event is of kind 'publish'; did you mean 'published'\? there are: "):
            fakebroker.history.of("acked", "publish")

    def test_what_a_test_sees(self, fakebroker: FakeBroker) -> None:
        assert [name for name in dir(fakebroker) if not name.startswith("_")] == [
            *("acked", "add_node", "admin", "bindings", "broker", "channels", "check_leftovers", "clear_alarm"),
            *("clock", "close", "connect", "connections", "consumers", "dead_lettered", "delivered", "drain_clients"),
            *("exchange", "expired", "faults", "get", "history", "in_order", "intercept", "leftovers"),
            *("management_url", "memory_url"),
            *("nacked", "profile", "publish", "published", "queue", "raise_alarm", "reply_to", "requeued", "reset"),
            *("restart", "restore", "returned", "run_due", "snapshot", "start", "stop", "trace_on", "transport", "url"),
            *("wait_until", "wait_until_async"),
        ]


def test_the_kinds_of_events_are_those_that_an_event_tells_of() -> None:
    lines = re.findall(r"^    - (.*?):", Event.__doc__ or "", re.MULTILINE)
    assert sorted(KINDS) == sorted(kind for line in lines for kind in re.findall(r"``([a-z-]+)``", line))

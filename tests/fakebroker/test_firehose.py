"""The firehose, as the broker's user has it; what it copies the conformance suite shows."""

import pytest

from hutch.client import Connection, Message
from hutch.fakebroker import Broker
from hutch.wire.methods import BasicDeliver, QueueBind, QueueBindOk

from .conftest import Connect


def test_it_is_switched_by_vhost(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("copies")
    peer.method(QueueBind(queue="copies", exchange="amq.rabbitmq.trace", routing_key="#"))
    peer.expect(QueueBindOk)
    manual.admin.add_vhost("other")
    manual.admin.trace_on("other")
    peer.publish("nowhere", b"1")
    assert manual.queue("copies").ready == 0
    manual.admin.trace_on()
    peer.publish("nowhere", b"2")
    manual.admin.trace_off()
    peer.publish("nowhere", b"3")
    (copy,) = manual.queue("copies").messages
    assert (copy.exchange, copy.routing_key, copy.body) == ("amq.rabbitmq.trace", "publish.", b"2")
    assert copy.headers["connection"] == "in-process client 1"
    assert copy.headers["node"] == peer_node(manual)


def peer_node(broker: Broker) -> object:
    with Connection(transport=broker.transport) as connection:
        return connection.server_properties["cluster_name"]


def test_there_must_be_such_a_vhost(manual: Broker) -> None:
    for switch in (manual.admin.trace_on, manual.admin.trace_off):
        with pytest.raises(LookupError, match="no vhost 'nowhere'; there are: '/'"):
            switch("nowhere")


def test_who_consumes_copies_gets_no_copies_of_copies(manual: Broker, pipe: Connect) -> None:
    """Not even where one queue takes messages and copies alike."""
    peer = pipe(manual)
    peer.declare("q")
    peer.method(QueueBind(queue="q", exchange="amq.rabbitmq.trace", routing_key="#"))
    peer.expect(QueueBindOk)
    peer.consume("q", "c", no_ack=True)
    manual.admin.trace_on()
    peer.publish("q", b"x")
    keys = []
    for _ in range(3):
        method = peer.message().method
        assert isinstance(method, BasicDeliver)
        keys.append(method.routing_key)
    assert keys == ["publish.", "q", "deliver.q"]
    assert list(peer.waiting()) == []


def test_a_name_that_makes_too_long_a_key(manual: Broker) -> None:
    """RabbitMQ ends the connection of who is to get such a copy; here there is none."""
    long, longest = "é" * 123, "é" * 127
    manual.admin.trace_on()
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("copies", auto_delete=False)
        channel.queue_bind("copies", "amq.rabbitmq.trace", "deliver.#")
        for queue in (long, longest):
            channel.queue_declare(queue, auto_delete=False)
            channel.basic_publish(Message(b"x"), routing_key=queue)
            assert channel.basic_get(queue, no_ack=True) is not None
    assert [copy.routing_key for copy in manual.queue("copies").messages] == [f"deliver.{long}"]

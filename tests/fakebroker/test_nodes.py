"""A broker with several addresses, as the nodes of a cluster."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import amqp
import kombu
import pika
import pytest

import hutch.client.kombu  # noqa: F401  (the transport hutch)
from hutch.client import Connection, ConnectionForced, Message, connect
from hutch.fakebroker import Broker, ClusterNode, ManualClock
from tests import certificates


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(clock=ManualClock(), users={"ann": "sécret"}, vhosts=["shop"]) as made:
        yield made


@pytest.fixture
def nodes(broker: Broker) -> list[ClusterNode]:
    return [broker.add_node(), broker.add_node()]


def declare(connection: Connection, name: str = "orders", *, exclusive: bool = False) -> None:
    connection.channel().queue_declare(name, durable=True, auto_delete=False, exclusive=exclusive)


def drain(connection: Connection) -> None:
    while True:
        connection.drain_events(timeout=10)


def test_all_have_the_same_queues(broker: Broker, nodes: list[ClusterNode]) -> None:
    first, second = nodes
    assert len({first.port, second.port, broker.url}) == 3
    assert first.host == "127.0.0.1"
    assert repr(first) == f"<ClusterNode 127.0.0.1:{first.port}>"
    with connect(first.url) as one, connect(second.url) as two, connect(broker.url) as three:
        declare(one)
        two.channel().basic_publish(Message(b"one"), "", "orders")
        assert broker.queue("orders").ready == 1, "the broker looks after the clients of its nodes"
        got = three.channel().basic_get("orders", no_ack=True)
        assert got is not None
        assert got.body == b"one"


def test_one_that_is_stopped_refuses_and_the_others_go_on(broker: Broker, nodes: list[ClusterNode]) -> None:
    first, second = nodes
    with connect(second.url) as stays:
        leaves, also_leaves = connect(first.url), connect(first.url)
        declare(leaves)
        declare(leaves, "mine", exclusive=True)
        for connection in (leaves, also_leaves):
            connection.channel().basic_consume("orders", callback=print)
        got: list[str | bytes] = []
        channel = stays.channel()
        channel.basic_publish(Message(b"one"), "", "orders")
        assert broker.queue("orders").unacked == 1
        channel.basic_consume("orders", callback=lambda message: got.append(message.body))
        first.stop()
        first.stop()
        assert repr(first).endswith(", stopped>")
        for connection in (leaves, also_leaves):
            with pytest.raises(ConnectionForced, match="forced connection closure with reason 'shutdown'"):
                drain(connection)
        with pytest.raises(ConnectionRefusedError):
            connect(first.url)
        while not got:
            stays.drain_events(timeout=10)
        assert got == [b"one"]
        assert len(broker.history.of("delivered")) == 2, "what a client gave back went to no other client of that node"
        with pytest.raises(LookupError):
            broker.queue("mine")
        first.start()
        first.start()
        connect(first.url).close()


def test_they_speak_tls_if_they_have_a_certificate(broker: Broker, tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    first = broker.add_node(context=certificates.server_context())
    second = broker.add_node(certfile=files.server, keyfile=files.server_key, cafile=files.ca)
    trusting = certificates.client_context()
    for node in (first, second):
        assert node.url.startswith("amqps://ann:")
        with connect(node.url, ssl=trusting) as connection:
            declare(connection)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(node.url)
    with connect(first.url, ssl=trusting) as leaves, connect(second.url, ssl=trusting) as stays:
        first.stop()
        with pytest.raises(ConnectionForced, match="forced connection closure with reason 'shutdown'"):
            drain(leaves)
        with pytest.raises(ConnectionRefusedError):
            connect(first.url, ssl=trusting)
        declare(stays)
        first.start()
        connect(first.url, ssl=trusting).close()


def test_their_arguments_for_tls_are_those_of_listen_tls(broker: Broker) -> None:
    with pytest.raises(TypeError, match=r"pass either context= or certfile= .*, not both"):
        broker.add_node(keyfile="server.key")
    with pytest.raises(TypeError, match=r"pass either context= or certfile= .*, not both"):
        broker.add_node(context=certificates.server_context(), cafile="ca.pem")
    with pytest.raises(ValueError, match="ssl_cert_login_from is"):
        broker.add_node(context=certificates.server_context(), ssl_cert_login_from="email")


def test_a_stopped_one_stays_so_when_the_broker_starts(broker: Broker, nodes: list[ClusterNode]) -> None:
    first, second = nodes
    first.stop()
    broker.admin.restart()
    connect(second.url).close()
    with pytest.raises(ConnectionRefusedError):
        connect(first.url)
    broker.admin.stop()
    first.start()
    second.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(first.url)
    broker.admin.start()
    connect(first.url).close()
    with pytest.raises(ConnectionRefusedError):
        connect(second.url)
    broker.reset()
    connect(second.url).close()


def test_they_refuse_while_a_fault_has_them_do_so(broker: Broker, nodes: list[ClusterNode]) -> None:
    first, second = nodes
    first.stop()
    fault = broker.faults.connecting().refuse()
    second.stop()
    second.start()
    for node in nodes:
        with pytest.raises(ConnectionRefusedError):
            connect(node.url)
    fault.end()
    connect(second.url).close()
    with pytest.raises(ConnectionRefusedError):
        connect(first.url)


def test_they_close_with_the_broker(broker: Broker, nodes: list[ClusterNode]) -> None:
    connection = connect(nodes[0].url)
    broker.close(grace=0.05)
    with pytest.raises(ConnectionForced):
        connection.drain_events(timeout=10)
    with pytest.raises(ConnectionRefusedError):
        connect(nodes[0].url)
    for action in (nodes[0].stop, nodes[0].start, broker.add_node):
        with pytest.raises(RuntimeError, match="the broker is closed"):
            action()
    connection.collect()


def test_pika_takes_the_next_of_a_list(nodes: list[ClusterNode]) -> None:
    parameters = [pika.URLParameters(node.url) for node in nodes]
    nodes[0].stop()
    with pika.BlockingConnection(parameters) as connection:
        assert connection.channel().queue_declare("orders", durable=True).method.queue == "orders"
    nodes[1].stop()
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(parameters)


@pytest.mark.parametrize("scheme", ["amqp", "hutch"])
def test_kombu_takes_the_next_of_a_list(broker: Broker, nodes: list[ClusterNode], scheme: str) -> None:
    urls = ";".join(node.url.replace("amqp:", f"{scheme}:") for node in nodes)
    ports = []
    with kombu.Connection(urls) as connection:
        producer = connection.Producer()
        for node in nodes:
            producer.publish(
                "one",
                routing_key="orders",
                declare=[kombu.Queue("orders")],
                retry=True,
                retry_policy={"max_retries": 3, "interval_start": 0, "interval_step": 0.01},
            )
            ports.append(connection.port)
            if node is nodes[0]:
                node.stop()
    assert ports == [node.port for node in nodes]
    assert broker.queue("orders").ready == 2


def test_py_amqp_is_told_an_address(nodes: list[ClusterNode]) -> None:
    nodes[0].stop()
    for node in nodes:
        connection = amqp.Connection(f"{node.host}:{node.port}", "ann", "sécret", virtual_host="shop")
        try:
            connection.connect()
        except ConnectionRefusedError:
            continue
        assert connection.channel().queue_declare("orders").queue == "orders"
        connection.close()
        return
    pytest.fail("no node took the client")

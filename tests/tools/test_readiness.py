"""The probes, each against a small server."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from live_brokers.node import Node
from live_brokers.ports import free_ports
from live_brokers.readiness import alive, amqp_trouble, management_trouble, recovered, running, trouble
from live_brokers.releases import RELEASES
from tests import certificates
from tests.tools.fake_rabbitmq_server import amqp, listening, management, overview, tls

Serve = Callable[[Callable[[socket.socket], None]], int]
READY = overview("hutch_4_0@localhost", "4.0.5")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers; returns their ports."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(listening(answer))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with certificates."""
    made = Node(RELEASES["4.0"], tmp_path / "4.0")
    made.certificates.mkdir(parents=True)
    certificates.authority().cert_pem.write_to_path(str(made.certificates / "ca.pem"))
    certificate = certificates.server_certificate()
    certificate.cert_chain_pems[0].write_to_path(str(made.certificates / "server.pem"))
    certificate.private_key_pem.write_to_path(str(made.certificates / "server.key"))
    return made


def test_a_port_that_starts_a_connection_is_ready(serve: Serve) -> None:
    assert amqp_trouble(serve(amqp())) is None


def test_a_port_without_a_listener_is_not_ready() -> None:
    why = amqp_trouble(free_ports({}, ())["amqp"])
    assert str(why).startswith("its AMQP port does not answer: ")
    assert why is not None
    assert not why.lasting


@pytest.mark.parametrize("first", [b"AMQP\x00\x00\x09\x01", b""])
def test_a_port_that_refuses_the_protocol_is_not_ready(serve: Serve, first: bytes) -> None:
    assert str(amqp_trouble(serve(amqp(first)))) == "its AMQP port does not answer with Connection.Start"


def test_a_port_with_the_node_s_certificate_is_ready(serve: Serve, node: Node) -> None:
    assert amqp_trouble(serve(tls(node.certificates)), node.certificates / "ca.pem") is None


def test_a_port_without_tls_is_not_ready(serve: Serve, node: Node) -> None:
    why = amqp_trouble(serve(amqp()), node.certificates / "ca.pem")
    assert str(why).startswith("its TLS port does not answer: ")


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (READY, "None"),
        (overview("rabbit@host", "4.0.5"), "what answers is another node, rabbit@host"),
        (overview("hutch_4_0@localhost", "4.3.6"), "what answers is RabbitMQ 4.3.6"),
        (overview("hutch_4_0@localhost", "4.0.5", ("direct",)), "what answers is without x-consistent-hash, x-random"),
    ],
)
def test_the_management_port_tells_which_broker_answers(serve: Serve, node: Node, facts: Any, text: str) -> None:
    node.ports = {"management": serve(management(facts))}
    why = management_trouble(node)
    assert str(why) == text
    assert why is None or why.lasting, "waiting does not make another broker of it"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (management(READY, "503 Busy"), "its management port does not answer: GET /api/overview gives 503"),
        (management("text"), "its management port does not answer: "),
        (amqp(), "its management port does not answer: "),
    ],
)
def test_a_management_port_that_is_not_up_yet_may_come_up(
    serve: Serve, node: Node, answer: Callable[[socket.socket], None], text: str
) -> None:
    node.ports = {"management": serve(answer)}
    why = management_trouble(node)
    assert str(why).startswith(text)
    assert why is not None
    assert not why.lasting


def test_a_node_is_ready_when_all_its_ports_answer(serve: Serve, node: Node) -> None:
    node.ports = {
        "amqp": serve(amqp()),
        "tls": serve(tls(node.certificates)),
        "management": serve(management(READY)),
    }
    assert trouble(node) is None
    assert not alive(node)
    assert not running(node), "other programs answer on its ports"


def test_a_node_that_was_never_launched_is_not_ready(node: Node) -> None:
    assert str(trouble(node)) == "it has not been started"
    assert not alive(node)
    assert not recovered(node)

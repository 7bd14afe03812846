"""Launching nodes with a fake rabbitmq-server: its processes, ports and files are real."""

import subprocess
from pathlib import Path

import pytest

from live_brokers.launching import ATTEMPTS, launch, start
from live_brokers.node import Node
from live_brokers.ports import free_ports
from live_brokers.processes import end, marked
from live_brokers.readiness import recovered, running
from live_brokers.reporting import BrokerError
from tests.tools.conftest import Nodes

#: A broker goes on running after the command that starts it.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
LOST = "{could_not_start_listener,{127,0,0,1},eaddrinuse}"


def test_nodes_are_launched_side_by_side_and_waited_for(
    new_node: Nodes, server: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = new_node("3.10"), new_node("4.0")
    start([old, new], 20, str(server))
    for node in (old, new):
        assert running(node)
        assert recovered(node)
        assert Node.load(node.folder.parent, node.release) == node
        assert node.ctl.exists()
    assert not set(old.ports.values()) & set(new.ports.values())
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["rabbitmq: starting RabbitMQ 3.10", "rabbitmq: starting RabbitMQ 4.0"]
    ready = [f"rabbitmq: {node} is ready, pid {node.pid}" for node in (old, new)]
    assert sorted(lines[2:]) == ready


def test_a_node_that_was_killed_starts_again_on_its_ports(new_node: Nodes, server: Path) -> None:
    node = new_node("4.3")
    process = launch_with_ports(node, server)
    before, mark = dict(node.ports), node.mark
    end(node.mark, gently=False)
    process.wait()
    assert not running(node)
    start([node], 20, str(server))
    assert node.ports == before
    assert node.mark != mark


def launch_with_ports(node: Node, server: Path) -> subprocess.Popen[bytes]:
    node.ports = free_ports({}, ())
    return launch(node, str(server))


def test_a_node_that_loses_a_port_is_launched_on_others(
    new_node: Nodes, server: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = new_node("4.3")
    node.ports = before = free_ports({}, ())
    server.with_name("trouble").write_text(LOST)
    start([node], 20, str(server))
    assert running(node)
    assert not set(node.ports.values()) & set(before.values())
    assert "rabbitmq: RabbitMQ 4.3 lost a port to another program; trying others" in capsys.readouterr().err


def test_a_node_that_always_loses_a_port_is_given_up(
    new_node: Nodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unlucky = tmp_path / "unlucky"
    unlucky.write_text(f"#!/bin/sh\necho '{LOST}'; exit 1\n")
    unlucky.chmod(0o755)
    with pytest.raises(BrokerError, match=r"RabbitMQ 3\.10 did not get ready: ended with status 1"):
        start([new_node("3.10")], 20, str(unlucky))
    assert capsys.readouterr().err.count("trying others") == ATTEMPTS - 1


def test_a_node_that_ends_for_another_reason_takes_the_others_with_it(new_node: Nodes, server: Path) -> None:
    old, new = new_node("3.10"), new_node("4.3")
    server.with_name("trouble").write_text("no memory")
    with pytest.raises(BrokerError, match=r"did not get ready: ended with status 3") as failure:
        start([old, new], 20, str(server))
    (console,) = [log for log in failure.value.logs if log.name == "console.log"]
    assert console.read_text() == "no memory\n"
    assert marked(old.mark) == marked(new.mark) == {}


def test_a_node_that_is_not_ready_in_time_is_ended(new_node: Nodes, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    node = new_node("4.0")
    text = r"RabbitMQ 4\.0 did not get ready in 0\.05 seconds: its AMQP port does not answer"
    with pytest.raises(BrokerError, match=text):
        start([node], 0.05, str(silent))
    assert marked(node.mark) == {}

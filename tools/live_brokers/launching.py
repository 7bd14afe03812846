"""Launching nodes and waiting until they are ready."""

import resource
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from live_brokers.configuration import environment, server_command, write_commands, write_files
from live_brokers.node import Node
from live_brokers.ports import free_ports, lost_port
from live_brokers.processes import POLL_SECONDS, end, new_mark
from live_brokers.readiness import Trouble, trouble
from live_brokers.releases import SERVER
from live_brokers.reporting import BrokerError, say

#: How often a node is launched if other programs take its ports.
ATTEMPTS = 4


def limit_open_files() -> None:
    """Set the number of files that a broker may open.

    With too few it refuses connections. With very many Erlang reserves gigabytes.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


def launch(node: Node, server: str = SERVER) -> subprocess.Popen[bytes]:
    """Start a node with empty data. Its record is written before any process exists.

    Args:
        node: the node, with its ports; gets a new mark and its pid.
        server: path of rabbitmq-server.
    """
    node.folder.mkdir(parents=True, exist_ok=True)
    node.mark, node.pid = new_mark(), 0
    node.save()
    write_files(node)
    variables = environment(node)
    with node.console.open("wb") as output:
        process = subprocess.Popen(
            server_command(node, server, variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=variables,
            start_new_session=True,
        )
    node.pid = process.pid
    node.save()
    write_commands(node, variables)
    return process


def start(nodes: Sequence[Node], timeout: float, server: str = SERVER) -> None:
    """Launch nodes side by side and wait until all are ready.

    A node that loses a port to another program is launched again on other ports. On any failure none is left.

    Args:
        nodes: the nodes; each keeps its ports where they are still free.
        timeout: seconds that a node has to get ready.
        server: path of rabbitmq-server.

    Raises:
        BrokerError: a node does not get ready.
    """
    launches: list[_Launch] = []
    try:
        for node in nodes:
            say(f"starting {node}")
            others = (port for other in nodes if other is not node for port in other.ports.values())
            node.ports = free_ports(node.ports, others)
            launches.append(_Launch(node, launch(node, server), time.monotonic() + timeout))
        waiting = launches
        while waiting := [each for each in waiting if not _is_ready(each, nodes, timeout, server)]:
            time.sleep(POLL_SECONDS)
    except BaseException:
        for node in nodes:
            end(node.mark, gently=False)
        for each in launches:
            each.process.wait()
        raise


@dataclass
class _Launch:
    """A node on its way up: its process, its deadline on the monotonic clock, and which attempt this is."""

    node: Node
    process: subprocess.Popen[bytes]
    deadline: float
    attempt: int = 1


def _is_ready(launched: _Launch, nodes: Iterable[Node], timeout: float, server: str) -> bool:
    """Whether a node is ready. Launches it again on other ports if it lost one; raises BrokerError if it failed."""
    node, status = launched.node, launched.process.poll()
    why = trouble(node) if status is None else Trouble(f"ended with status {status}", lasting=True)
    if not why:
        say(f"{node} is ready, pid {node.pid}")
        return True
    late = time.monotonic() > launched.deadline
    if not late and not why.lasting:
        return False
    end(node.mark, gently=False)
    launched.process.wait()
    logs = (node.console, node.log)
    if launched.attempt >= ATTEMPTS or not lost_port(node.ports.values(), logs):
        when = f" in {timeout:g} seconds" if late else ""
        raise BrokerError(f"{node} did not get ready{when}: {why}", *logs)
    say(f"{node} lost a port to another program; trying others")
    node.ports = free_ports({}, (port for other in nodes for port in other.ports.values()))
    launched.process, launched.deadline = launch(node, server), time.monotonic() + timeout
    launched.attempt += 1
    return False

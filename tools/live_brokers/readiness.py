"""Whether a node is ready: probes of its ports and of its process."""

import base64
import contextlib
import http
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_brokers.node import Node
from live_brokers.processes import POLL_SECONDS, marked
from live_brokers.reporting import say

ANSWER_SECONDS = 5.0
RECOVER_SECONDS = 30.0
#: Exchange types that plugins bring. A broker that lacks one has not got its plugins.
EXCHANGE_TYPES = {"x-consistent-hash", "x-random"}


@dataclass(frozen=True)
class Trouble:
    """Why a node is not ready. `lasting`: waiting does not help."""

    text: str
    lasting: bool = False

    def __str__(self) -> str:
        return self.text


def amqp_trouble(port: int, authority: Path | None = None) -> Trouble | None:
    """What is wrong with an AMQP port.

    Args:
        port: the port on 127.0.0.1.
        authority: file with the certificate of the authority, if the port speaks TLS.
    """
    name = "TLS" if authority else "AMQP"
    try:
        with contextlib.ExitStack() as stack:
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS))
            if authority:
                context = ssl.create_default_context(cafile=authority)
                peer = stack.enter_context(context.wrap_socket(peer, server_hostname="localhost"))
            peer.sendall(b"AMQP\x00\x00\x09\x01")
            started = peer.recv(1) == b"\x01"  # the frame type of Connection.Start
    except OSError as error:
        return Trouble(f"its {name} port does not answer: {error}")
    return None if started else Trouble(f"its {name} port does not answer with Connection.Start")


def overview(port: int) -> dict[str, Any]:
    """Returns the management API's overview; raises OSError, HTTPException or ValueError."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    with contextlib.closing(link):
        credentials = base64.b64encode(b"guest:guest").decode()
        link.request("GET", "/api/overview", headers={"Authorization": f"Basic {credentials}"})
        response = link.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise OSError(f"GET /api/overview gives {response.status}")
        return dict(json.load(response))


def management_trouble(node: Node) -> Trouble | None:
    """What is wrong with the management port, or with the broker that it reports."""
    try:
        facts = overview(node.ports["management"])
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Trouble(f"its management port does not answer: {error}")
    wrong = ""
    missing = EXCHANGE_TYPES - {kind["name"] for kind in facts.get("exchange_types", [])}
    if facts.get("node") != node.erlang_name:
        wrong = f"another node, {facts.get('node')}"
    elif not node.release.includes(str(facts.get("rabbitmq_version"))):
        wrong = f"RabbitMQ {facts.get('rabbitmq_version')}"
    elif missing:
        wrong = f"without {', '.join(sorted(missing))}"
    return Trouble(f"what answers is {wrong}", lasting=True) if wrong else None


def trouble(node: Node) -> Trouble | None:
    """Why the node is not ready; None if AMQP, TLS and management answer as they should."""
    if not node.ports:
        return Trouble("it has not been started")
    return (
        amqp_trouble(node.ports["amqp"])
        or amqp_trouble(node.ports["tls"], node.certificates / "ca.pem")
        or management_trouble(node)
    )


def alive(node: Node) -> bool:
    """Whether the broker's process lives. Another user sees only that some process has its pid."""
    if node.is_ours:
        return node.pid in marked(node.mark)
    return node.pid > 0 and Path(f"/proc/{node.pid}").exists()


def running(node: Node) -> bool:
    """Whether the node lives and answers now."""
    return alive(node) and trouble(node) is None


def recovered(node: Node) -> bool:
    """Whether the node lives and answers within RECOVER_SECONDS: a busy broker is not replaced."""
    deadline = time.monotonic() + RECOVER_SECONDS
    while alive(node):
        if not (why := trouble(node)):
            return True
        if time.monotonic() > deadline or why.lasting:
            say(f"{node} lives but is of no use: {why}")
            return False
        time.sleep(POLL_SECONDS)
    return False

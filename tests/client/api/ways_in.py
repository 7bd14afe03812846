"""Reaching a target over TCP, in-process though it may be: to put something in between, or look at the socket."""

from typing import Any

from hutch.client import Connection
from hutch.wire.url import parse_url
from tests.targets import Target


def tcp_address(target: Target) -> tuple[str, int]:
    """Where the target can be reached over TCP."""
    in_process = target.broker if "transport" in target.parameters else None
    (address,) = parse_url(in_process.url if in_process else target.url)
    return address.host, address.port or 5672


def over_tcp(target: Target, **parameters: Any) -> Connection:
    """A connection to the target over TCP, in-process though it may be."""
    return target.connection(**{"host": "{}:{}".format(*tcp_address(target)), "transport": None, **parameters})

"""Consumers (HTTP-SHAPE-08)."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.peer import UNKNOWN
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.json_values import json_of_table
from hutch.fakebroker.management.access import is_monitoring
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.routing import Route


def address(printed: str) -> str:
    """An address, which the engine has as Erlang prints it, as people write it."""
    if printed == UNKNOWN:
        return printed
    numbers = [int(number) for number in printed.strip("{}").split(",")]
    if len(numbers) == 4:
        return str(IPv4Address(bytes(numbers)))
    return str(IPv6Address(b"".join(number.to_bytes(2) for number in numbers)))


def facts(consumer: Consumer, call: Call) -> dict[str, Any]:
    """What the API reports of a consumer."""
    origin, queue = consumer.sink.origin, consumer.queue
    connection = connection_named(call, origin.connection)
    peer = None if connection is None else connection.client.peer
    waits = queue.single_active and queue.active is not consumer
    told: dict[str, Any] = {
        "ack_required": not consumer.no_ack,
        "active": not waits,
        "activity_status": "single_active" if queue.single_active and not waits else "waiting" if waits else "up",
        "arguments": json_of_table(consumer.arguments),
        "channel_details": {
            "connection_name": origin.connection,
            "name": f"{origin.connection} ({origin.channel})",
            "node": NODE_NAME,
            "number": origin.channel,
            "peer_host": UNKNOWN if peer is None else address(peer.peer_host),
            "peer_port": 0 if peer is None else peer.peer_port,
            "user": origin.user,
        },
        "consumer_tag": consumer.tag,
        "exclusive": consumer.exclusive,
        "prefetch_count": consumer.prefetch,
        "queue": {"name": queue.name, "vhost": queue.vhost.name},
    }
    return told


def connection_named(call: Call, name: str | None) -> Connection | None:
    """The connection of that name, if it is open."""
    return next((each for each in call.node.connections if each.name == name), None)


def _of(vhosts: Iterable[VHost], call: Call) -> Iterator[Item]:
    sees_all = is_monitoring(call.user)
    for vhost in vhosts:
        for name in sorted(vhost.queues):
            for consumer in vhost.queues[name].consumers:
                if sees_all or consumer.sink.origin.user == call.user.name:
                    yield facts(consumer, call)


def list_all(call: Call) -> list[Item]:
    """All consumers, or the user's own (HTTP-AUTH-17)."""
    return list(_of(call.node.vhosts.values(), call))


def list_vhost(call: Call) -> list[Item]:
    """Those of a virtual host."""
    return list(_of([call.vhost], call))


ROUTES: Final = (
    Route("consumers", {"GET": list_all}),
    Route("consumers/V", {"GET": list_vhost}),
)

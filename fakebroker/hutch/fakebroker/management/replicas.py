"""Replicas of quorum queues, which a cluster of one node has one of (HTTP-EP-036 to HTTP-EP-040)."""

from typing import Any, Final

from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import read_body, require
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.errors import JSON, Refusal, bad_request, compact, crash, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import Response
from hutch.fakebroker.management.routing import Route

_STRATEGIES: Final = ("all", "even")
_MEMBERSHIPS: Final = ("voter", "non_voter", "promotable")


def _why_not(queue: Queue) -> str | None:
    """What keeps a queue from having replicas."""
    if queue.type == "quorum":
        return None
    return "classic_queue_not_supported" if queue.type == "classic" else "not_quorum_queue"


def show_status(call: Call) -> list[Item] | Response:
    """The replicas of a quorum queue. Their logs are left out, because the emulator has none."""
    reason = _why_not(found(call.vhost.queues.get(call.names["Q"])))
    if reason is not None:
        return Response(503, compact({"status": "failed", "reason": reason}), JSON)
    return [{"Node Name": NODE_NAME, "Raft State": "leader", "Membership": "voter"}]


def _unavailable(reason: str) -> Refusal:
    return Refusal(503, "service_unavailable", reason)


def _check_member(node: Any) -> None:
    if not isinstance(node, str):
        raise crash()
    if node != NODE_NAME:
        raise bad_request("Node is not a cluster member")


def add(call: Call) -> None:
    """Nothing: the only node there is has a replica."""
    (node,) = require(call.body, "node")
    if call.body.get("membership", "voter") not in _MEMBERSHIPS:
        raise bad_request("Invalid membership value")
    _check_member(node)
    vhost = call.node.vhosts.get(call.names["V"])
    queue = None if vhost is None else vhost.queues.get(call.names["Q"])
    reason = "not_found" if queue is None else _why_not(queue)
    if reason is not None:
        raise _unavailable(reason)


def delete(call: Call) -> None:
    """Refuse it: the last replica stays."""
    queue: Queue = found(call.vhost.queues.get(call.names["Q"]))
    (node,) = require(read_body(call.request.body, call.profile), "node")
    _check_member(node)
    raise _unavailable(_why_not(queue) or "last_node")


def grow(call: Call) -> None:
    """Nothing: the only node there is has replicas of all queues."""
    _, _, strategy = require(call.body, "vhost_pattern", "queue_pattern", "strategy")
    if strategy not in _STRATEGIES:
        raise bad_request("Invalid strategy value")
    if call.names["N"] != NODE_NAME:
        raise crash()


def shrink(call: Call) -> Response:
    """Nothing: the last replicas stay."""
    if call.names["N"] != NODE_NAME:
        raise object_not_found()
    return Response(202)


_ADMIN: Final = Access.ADMINISTRATOR

ROUTES: Final = (
    Route("queues/quorum/V/Q/status", {"GET": show_status}, head=False, newer=True),
    Route("queues/quorum/V/Q/replicas/add", {"POST": add}, _ADMIN, any_vhost=True, newer=True),
    Route("queues/quorum/V/Q/replicas/delete", {"DELETE": delete}, _ADMIN, newer=True),
    Route("queues/quorum/replicas/on/N/grow", {"POST": grow}, _ADMIN, newer=True),
    Route("queues/quorum/replicas/on/N/shrink", {"DELETE": shrink}, _ADMIN, newer=True),
)

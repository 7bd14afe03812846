"""Queues: listing, declaring, deleting and purging them (HTTP-QUEUE)."""

from collections.abc import Iterable
from typing import Any, Final

from hutch.fakebroker.engine import topology
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.operator.policies import merge
from hutch.fakebroker.engine.queues.at_least_once import AtLeastOnce
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.quorum import QuorumQueue
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.json_values import json_of_table
from hutch.fakebroker.management import bindings, consumers
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import boolean, require
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.counts import of_lengths, of_queue
from hutch.fakebroker.management.errors import bad_request, crash, lacking, not_found
from hutch.fakebroker.management.fields import table
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Route

#: The longest name, in bytes.
_LONGEST: Final = 255


def facts(queue: Queue, call: Call) -> dict[str, Any]:
    """All that the API reports of a queue, in lists with all keys."""
    told = brief_facts(queue, call)
    policy, operator = queue.applied
    told["policy"] = None if policy is None else policy.name
    told["operator_policy"] = None if operator is None else operator.name
    if queue.type == "classic":
        told["exclusive_consumer_tag"] = next((each.tag for each in queue.consumers if each.exclusive), None)
    if queue.type != "stream":
        is_older_quorum = queue.type == "quorum" and not call.profile.has_detailed_queues
        key = "single_active_consumer_ctag" if is_older_quorum else "single_active_consumer_tag"
        told[key] = None if queue.active is None else queue.active.tag
    return told


def _bytes(queue: Queue) -> dict[str, int]:
    """How many bytes the messages have that a queue holds. A quorum queue counts what its limits count."""
    if queue.type == "stream":
        return {}
    told: dict[str, int] = {}
    ready = queue.held_bytes
    if isinstance(queue, QuorumQueue):
        unacknowledged = sum(delivery.entry.size for delivery in queue.deliveries)
        if isinstance(queue.forwards, AtLeastOnce):  # what died is kept until other queues have it
            told = {"messages_dlx": queue.forwards.count, "message_bytes_dlx": queue.forwards.size}
            ready -= queue.forwards.size
    else:
        unacknowledged = sum([delivery.entry.message.body_size for delivery in queue.deliveries])
    told["message_bytes"] = ready + unacknowledged
    told["message_bytes_ready"] = ready
    told["message_bytes_unacknowledged"] = unacknowledged
    return told


def brief_facts(queue: Queue, call: Call) -> dict[str, Any]:
    """What the API reports of a queue in 4.3's reduced lists."""
    arguments = json_of_table(queue.arguments)
    told: dict[str, Any] = {
        "arguments": arguments,
        "auto_delete": queue.auto_delete,
        "consumers": len(queue.consumers),
        "durable": queue.durable,
        "effective_policy_definition": {},
        "exclusive": queue.owner is not None,
        **of_lengths(len(queue), queue.unacked, call.statistics.lengths.rates(queue)),
        **_bytes(queue),
        "name": queue.name,
        "node": NODE_NAME,
        "state": "running",
        "type": queue.type,
        "vhost": queue.vhost.name,
    }
    counted = of_queue(call.statistics.of_queue(queue))
    if counted:
        told["message_stats"] = counted
    policy, operator = queue.applied
    if policy is not None or operator is not None:
        definitions = ({} if each is None else each.definition for each in queue.applied)
        told["effective_policy_definition"] = dict(merge(*definitions))
        # The reduced lists have a policy's keys only if a policy applies.
        if policy is not None:
            told["policy"] = policy.name
        if operator is not None:
            told["operator_policy"] = operator.name
    if queue.owner is not None:
        peer = queue.owner.client.peer
        told["owner_pid_details"] = {
            "name": queue.owner.name,
            "peer_host": consumers.address(peer.peer_host),
            "peer_port": peer.peer_port,
        }
    if call.profile.has_detailed_queues:
        arguments.setdefault("x-queue-type", queue.type)
        told["internal"] = told["internal_owner"] = False
    if queue.type != "classic":
        if queue.type == "quorum" or call.profile.has_detailed_queues:
            told["leader"] = NODE_NAME
        told["members"] = told["online"] = [NODE_NAME]
    return told


def static_facts(queue: Queue, call: Call) -> dict[str, Any]:
    """What the API reports of a queue without statistics (HTTP-STAT-11, HTTP-STAT-13)."""
    told = facts(queue, call)
    kept = ["arguments", "auto_delete", "durable", "exclusive", "leader", "members", "name", "node", "online", "state"]
    kept += ["type", "vhost"]
    if call.profile.has_detailed_queues:
        kept += ["effective_policy_definition", "internal", "internal_owner", "operator_policy", "policy"]
    if call.asks("enable_queue_totals"):
        kept += ["messages", "messages_ready", "messages_unacknowledged"]
    return {key: told[key] for key in kept if key in told}


def _all(vhosts: Iterable[VHost], call: Call, *, detailed: bool) -> list[Item]:
    tell = facts if detailed else brief_facts
    if call.asks("disable_stats"):
        tell = static_facts
    return [tell(vhost.queues[name], call) for vhost in vhosts for name in sorted(vhost.queues)]


def list_all(call: Call) -> list[Item]:
    """The queues of all virtual hosts that the user may enter."""
    return _all(call.visible_vhosts, call, detailed=not call.profile.has_detailed_queues)


def list_detailed(call: Call) -> list[Item]:
    """The same with all keys."""
    return _all(call.visible_vhosts, call, detailed=True)


def list_vhost(call: Call) -> list[Item]:
    """The queues of a virtual host."""
    return _all([call.vhost], call, detailed=not call.profile.has_detailed_queues)


def show(call: Call) -> Item:
    """One queue, with its consumers."""
    queue: Queue = found(call.vhost.queues.get(call.names["Q"]))
    told = {"consumer_details": [consumers.facts(each, call) for each in queue.consumers], **facts(queue, call)}
    return {**told, "deliveries": [], "incoming": []}


def declare(call: Call) -> Response | None:
    """Declare a queue: 201 for a new one, 204 for one that is there."""
    body, name = call.body, call.names["Q"]
    if len(name.encode()) > _LONGEST:
        raise bad_request(f"queue should be less than 255 bytes, actually was {len(name.encode())}\n")
    node = body.get("node", NODE_NAME)
    if not isinstance(node, str):
        raise crash()
    if node != NODE_NAME:
        text = "is not a cluster member" if call.profile.has_detailed_queues else "could not be contacted"
        raise bad_request(f"Node {node} {text}")
    durable, auto_delete = boolean(body, "durable"), boolean(body, "auto_delete")
    arguments = table(body, "arguments")
    actor = call.actor()
    is_new = name not in actor.vhost.queues
    try:
        topology.declare_queue(actor, name, durable=durable, auto_delete=auto_delete, arguments=arguments)
    except BrokerError as error:
        raise lacking(error.text) if error.name == "NOT_IMPLEMENTED" else error from None
    return CREATED if is_new else None


def delete(call: Call) -> None:
    """Delete a queue; its consumers are told."""
    actor, name = call.actor(), call.names["Q"]
    found(actor.vhost.queues.get(name))
    conditions = {"if_unused": call.asks("if-unused"), "if_empty": call.asks("if-empty")}
    for consumer in topology.delete_queue(actor, name, **conditions)[1]:
        consumer.sink.cancelled(consumer)


def purge(call: Call) -> None:
    """Remove the ready messages of a queue."""
    actor, name = call.actor(), call.names["Q"]
    found(actor.vhost.queues.get(name))
    topology.purge(actor, name)


def act(call: Call) -> None:
    """Synchronise mirrors, of which there are none."""
    (action,) = require(call.body, "action")
    known = () if call.profile.has_detailed_queues else ("sync", "cancel_sync")
    if call.names["Q"] not in call.vhost.queues:
        raise not_found("queue_not_found") if call.profile.has_detailed_queues else crash()
    if action not in known:
        raise bad_request(["unknown", action])


def list_bindings_of(call: Call) -> list[Item]:
    """The bindings of a queue; one that is not there has its binding to the default exchange (HTTP-BIND-10)."""
    name = call.names["Q"]
    queue = call.vhost.queues.get(name)
    incoming = [] if queue is None else queue.incoming.values()
    return [bindings.implicit(call.vhost, name), *bindings.ordered(incoming)]


ROUTES: Final = (
    Route("queues", {"GET": list_all}, pages=True),
    Route("queues/detailed", {"GET": list_detailed}, pages=True, newer=True),
    Route("queues/V", {"GET": list_vhost}, pages=True),
    Route("queues/V/Q", {"GET": show, "PUT": declare, "DELETE": delete}),
    Route("queues/V/Q/bindings", {"GET": list_bindings_of}),
    Route("queues/V/Q/contents", {"DELETE": purge}),
    Route("queues/V/Q/actions", {"POST": act}, Access.ADMINISTRATOR),
)

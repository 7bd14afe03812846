"""Health checks (HTTP-HEALTH)."""

from typing import Any, Final

from hutch.fakebroker.engine import fetching, publishing, topology
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.management.access import Access, check_vhost
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import JSON, bad_request, compact, not_authorised, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import Response
from hutch.fakebroker.management.routing import Route
from hutch.wire.properties import NO_PROPERTIES

_OK: Final[Item] = {"status": "ok"}
_ONE_NODE: Final[Item] = {"status": "ok", "reason": "single node cluster"}
_UNITS: Final = frozenset({"days", "weeks", "months", "years"})
#: Other words for protocols.
_CALLED: Final = {"amqp091": "amqp", "amqps": "amqp/ssl", "amqp091/ssl": "amqp/ssl", "https": "https"}
_QUEUE: Final = "aliveness-test"
_LEADERS: Final = "health/checks/quorum-queues-without-elected-leaders"


def _failed(reason: str, **more: Any) -> Response:
    return Response(503, compact({"status": "failed", "reason": reason, **more}), JSON)


def pass_always(_call: Call) -> Item:
    """A check that one node passes while it answers."""
    return _OK


def pass_as_one_node(_call: Call) -> Item:
    """A check of a cluster's majority, which says that there is one node."""
    return _ONE_NODE


def check_leaders(call: Call) -> Item:
    """Whether all quorum queues have a leader: one node always leads."""
    if call.names.get("VHOST") in call.node.vhosts:
        check_vhost(call.profile, call.user, call.names["VHOST"])
    return _OK


def _alarms(call: Call, where: str) -> Item | Response:
    raised = sorted(call.node.alarms.raised)
    if not raised:
        return _OK
    alarms = [{"node": NODE_NAME, "resource": resource} for resource in raised]
    return _failed(f"There are alarms in effect {where}", alarms=alarms)


def check_alarms(call: Call) -> Item | Response:
    """Whether no alarm is raised in the cluster."""
    return _alarms(call, "in the cluster")


def check_local_alarms(call: Call) -> Item | Response:
    """Whether no alarm is raised on the node."""
    return _alarms(call, "on the node")


def check_node(call: Call) -> Item | Response:
    """The health check of old."""
    if call.names.get("N", NODE_NAME) != NODE_NAME:
        raise object_not_found()
    raised = sorted(call.node.alarms.raised)
    if not raised:
        return _OK
    terms = ",".join(f"{{resource_limit,{resource},'{NODE_NAME}'}}" for resource in raised)
    return _failed(f"resource alarm(s) in effect:[{terms}]")


def check_certificates(call: Call) -> Item:
    """Whether certificates last."""
    within = call.names["WITHIN"]
    if not within.isdecimal():
        raise bad_request("Invalid expiration value.")
    if call.names["UNIT"] not in _UNITS:
        raise bad_request("Time unit not recognised. Supported units: days, weeks, months, years.")
    return _OK


def check_port(call: Call) -> Item | Response:
    """Whether the node listens on a port."""
    try:
        port = int(call.names["PORT"])
    except ValueError:
        raise bad_request("Invalid port") from None
    ports = [way.port for way in call.hub.ways_in]
    if port in ports:
        return {"status": "ok", "port": port}
    return _failed("No active listener", missing=port, ports=ports)


def check_protocol(call: Call) -> Item | Response:
    """Whether the node listens for a protocol, or in 4.3 for several."""
    active = [way.protocol for way in call.hub.ways_in]
    asked = call.names["PROTOCOL"]
    wanted = [asked]
    if call.profile.checks_several_protocols:
        wanted = [name.strip() for name in asked.split(",")]
    missing = [name for name in wanted if _CALLED.get(name.lower(), name.lower()) not in active]
    if call.profile.checks_several_protocols:
        if missing:
            return _failed("No active listener", missing=missing, protocols=active)
        return {"status": "ok", "protocols": active}
    if missing:
        return _failed("No active listener", missing=asked, protocols=active)
    return {"status": "ok", "protocol": asked}


def test_aliveness(call: Call) -> Item:
    """Publish a message, and get it."""
    actor = call.actor()
    if call.profile.aliveness_leaves_queue:
        try:
            topology.declare_queue(actor, _QUEUE, arguments={})
            publishing.publish(actor, "", _QUEUE, NO_PROPERTIES, b"test_message")
            fetching.get(actor, _QUEUE)
        except BrokerError as error:
            raise not_authorised(str(error)) if error.name == "ACCESS_REFUSED" else error from None
    return _OK


ROUTES: Final = (
    Route("aliveness-test/V", {"GET": test_aliveness}),
    Route("healthchecks/node", {"GET": check_node}),
    Route("healthchecks/node/N", {"GET": check_node}),
    Route("health/checks/alarms", {"GET": check_alarms}),
    Route("health/checks/local-alarms", {"GET": check_local_alarms}),
    Route("health/checks/certificate-expiration/WITHIN/UNIT", {"GET": check_certificates}),
    Route("health/checks/port-listener/PORT", {"GET": check_port}),
    Route("health/checks/protocol-listener/PROTOCOL", {"GET": check_protocol}),
    Route("health/checks/virtual-hosts", {"GET": pass_always}),
    Route("health/checks/node-is-quorum-critical", {"GET": pass_as_one_node}),
    Route("health/checks/node-is-mirror-sync-critical", {"GET": pass_as_one_node}, newer=False),
    Route("health/checks/is-in-service", {"GET": pass_always}, Access.PUBLIC, newer=True),
    Route("health/checks/below-node-connection-limit", {"GET": pass_always}, Access.PUBLIC, newer=True),
    Route("health/checks/ready-to-serve-clients", {"GET": pass_always}, Access.PUBLIC, newer=True),
    Route("health/checks/metadata-store/initialized", {"GET": pass_always}, newer=True),
    Route("health/checks/metadata-store/initialized/with-data", {"GET": pass_always}, newer=True),
    Route(f"{_LEADERS}/all-vhosts", {"GET": check_leaders}, newer=True),
    Route(f"{_LEADERS}/all-vhosts/pattern/PATTERN", {"GET": check_leaders}, newer=True),
    Route(f"{_LEADERS}/vhost/VHOST", {"GET": check_leaders}, newer=True),
    Route(f"{_LEADERS}/vhost/VHOST/pattern/PATTERN", {"GET": check_leaders}, newer=True),
)

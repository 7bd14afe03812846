"""The broker as a whole, and its one node (HTTP-SHAPE-01 to HTTP-SHAPE-03)."""

import os
from typing import Any, Final

from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.management.access import Access, is_monitoring
from hutch.fakebroker.management.bodies import require, text
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.counts import of_channel, of_lengths, with_rates
from hutch.fakebroker.management.errors import JSON, compact, crash, lacking, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import Response
from hutch.fakebroker.management.routing import Route

#: The global parameter that has the name of the cluster, once somebody set it (HTTP-MISC-07).
_CLUSTER_NAME: Final = "cluster_name"
#: RabbitMQ's default for ``rates_mode``: counters of each thing, but not of each pair of them.
_RATES: Final = "basic"


def show(call: Call) -> Item:
    """The overview."""
    version, node = call.hub.profile.version, call.node
    vhosts = list(node.vhosts.values()) if is_monitoring(call.user) else call.visible_vhosts
    queues = [queue for vhost in vhosts for queue in vhost.queues.values()]
    ready, unacknowledged = sum(map(len, queues)), sum(queue.unacked for queue in queues)
    everything = is_monitoring(call.user)
    connections = [each for each in node.connections if everything or each.user == call.user.name]
    statistics, names = call.statistics, [vhost.name for vhost in vhosts]
    counted = statistics.of_node() if everything else statistics.of_vhosts(names)
    totals = of_lengths(ready, unacknowledged, statistics.lengths.vhost_rates(names))
    told: dict[str, Any] = {
        "management_version": version,
        "rates_mode": _RATES,
        "exchange_types": _exchange_types(call),
        "product_name": "RabbitMQ",
        "product_version": version,
        "rabbitmq_version": version,
        "cluster_name": _cluster_name(call),
        "disable_stats": False,
        "enable_queue_totals": False,
        # Nothing is on a disk.
        "message_stats": {**of_channel(counted), **with_rates({"disk_reads": 0, "disk_writes": 0}, {})},
        "churn_rates": with_rates(statistics.churn.values, statistics.churn.rates),
        "statistics_db_event_queue": 0,
        "queue_totals": totals if queues else {},
        "object_totals": {
            "connections": len(connections),
            "channels": sum(len(each.sinks) for each in connections),
            "consumers": sum(len(queue.consumers) for queue in queues),
            "exchanges": sum(len(vhost.exchanges) + 1 for vhost in vhosts),
            "queues": len(queues),
        },
    }
    if call.profile.has_vhost_metadata:
        told |= {"default_queue_type": "classic", "cluster_tags": {}, "node_tags": {}}
        told |= {"is_op_policy_updating_enabled": True, "require_definition_json_extension": False}
    if everything:
        told |= {"node": NODE_NAME, "listeners": _listeners(call), "contexts": _contexts(call)}
    if call.asks("disable_stats"):
        for key in ("listeners", "contexts", "message_stats", "churn_rates", "queue_totals"):
            told.pop(key, None)
        told["object_totals"] = {key: told["object_totals"][key] for key in ("connections", "exchanges", "queues")}
    return told


def _exchange_types(call: Call) -> list[Item]:
    return [{"name": name, "enabled": True} for name in sorted(call.node.exchange_types)]


def _listeners(call: Call) -> list[Item]:
    more = {"tls": False} if call.profile.has_vhost_metadata else {}
    return [
        {
            "node": NODE_NAME,
            "protocol": way.protocol,
            "ip_address": way.address,
            "port": way.port,
            "socket_opts": [],
            **(more and {"tls": way.protocol.endswith("/ssl")}),
        }
        for way in call.hub.ways_in
    ]


def _contexts(call: Call) -> list[Item]:
    return [
        {
            "node": NODE_NAME,
            "description": "RabbitMQ Management",
            "path": "/",
            "ip": way.address,
            "port": str(way.port),
            "ssl_opts": [],
        }
        for way in call.hub.ways_in
        if way.protocol == "http"
    ]


# the cluster's name


def _cluster_name(call: Call) -> str:
    name = call.node.global_parameters.get(_CLUSTER_NAME, NODE_NAME)
    return str(name)


def show_cluster_name(call: Call) -> Item:
    """What the cluster is called."""
    return {"name": _cluster_name(call)}


def put_cluster_name(call: Call) -> None:
    """Call it otherwise."""
    (name,) = require(call.body, "name")
    call.node.global_parameters[_CLUSTER_NAME] = text(name)


# the node


def _node(call: Call) -> dict[str, Any]:
    raised = call.node.alarms.raised
    told: dict[str, Any] = {
        "name": NODE_NAME,
        "type": "disc",
        "running": True,
        "os_pid": str(os.getpid()),
        "uptime": int((call.node.clock.monotonic() - call.hub.started_at) * 1000),
        "processors": os.cpu_count() or 1,
        "rates_mode": _RATES,
        "config_files": [],
        "log_files": [],
        "enabled_plugins": sorted({"rabbitmq_management", *call.versions.enabled_plugins}),
        "partitions": [],
        "cluster_links": [],
        "applications": [],
        "exchange_types": _exchange_types(call),
        "contexts": _contexts(call),
        "mem_alarm": "memory" in raised,
        "disk_free_alarm": "disk" in raised,
    }
    if call.profile.has_vhost_metadata:
        told |= {"being_drained": False, "rabbitmq_version": call.hub.profile.version}
    return told


def list_nodes(call: Call) -> list[Item]:
    """The node."""
    return [_node(call)]


def _check_node(call: Call) -> None:
    if call.names["N"] != NODE_NAME:
        raise object_not_found()


def show_node(call: Call) -> Item:
    """The node, by its name."""
    if call.names["N"] != NODE_NAME and not call.profile.has_vhost_metadata:
        raise crash()
    _check_node(call)
    return _node(call)


def show_memory(call: Call) -> Item:
    """The memory of RabbitMQ's parts, of which the emulator has none."""
    _check_node(call)
    raise lacking("the memory of an Erlang node")


def show_configuration(_call: Call) -> None:
    """RabbitMQ's configuration, in Erlang's terms."""
    raise lacking("a configuration in Erlang's terms")


def list_extensions(_call: Call) -> list[Item]:
    """The parts of RabbitMQ's web page."""
    return [{"javascript": "dispatcher.js"}]


def show_version(call: Call) -> Response:
    """RabbitMQ's version."""
    return Response(200, compact(call.hub.profile.version), JSON)


def rebalance(_call: Call) -> None:
    """Nothing: one node leads all queues."""


def reset(call: Call) -> None:
    """Forget what was counted."""
    call.statistics.forget()


def reset_node(call: Call) -> None:
    """Forget what was counted on a node."""
    _check_node(call)
    reset(call)


_MON: Final = Access.MONITORING
_ADMIN: Final = Access.ADMINISTRATOR

ROUTES: Final = (
    Route("overview", {"GET": show}),
    Route("cluster-name", {"GET": show_cluster_name, "PUT": put_cluster_name}, stricter={"PUT": _ADMIN}),
    Route("nodes", {"GET": list_nodes}, _MON),
    Route("nodes/N", {"GET": show_node}, _MON),
    Route("nodes/N/memory", {"GET": show_memory}, _MON),
    Route("nodes/N/memory/ets", {"GET": show_memory}, _MON),
    Route("nodes/N/memory/ets/FILTER", {"GET": show_memory}, _MON),
    Route("config/effective", {"GET": show_configuration}, _ADMIN, newer=True),
    Route("extensions", {"GET": list_extensions}),
    Route("version", {"GET": show_version}, Access.PUBLIC, newer=True),
    Route("rebalance/queues", {"POST": rebalance}, _ADMIN),
    Route("reset", {"DELETE": reset}, _ADMIN),
    Route("reset/N", {"DELETE": reset_node}, _ADMIN),
)

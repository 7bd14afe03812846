"""Virtual hosts (HTTP-VHOST)."""

from typing import Any, Final

from hutch.fakebroker.engine import vhosts
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.users import ALL
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.management.access import Access, is_monitoring
from hutch.fakebroker.management.bodies import boolean, words
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.counts import of_channel, of_lengths, with_rates
from hutch.fakebroker.management.errors import Refusal, bad_request, crash, not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Route

_TYPES: Final = ("classic", "quorum", "stream")
#: The word for no type of its own.
_NO_TYPE: Final = (None, "undefined")


def facts(vhost: VHost, call: Call) -> dict[str, Any]:
    """What the API reports of a virtual host."""
    queues, statistics = vhost.queues.values(), call.statistics
    octets = statistics.traffic.of_vhost(vhost.name)
    counted = of_channel(statistics.of_vhosts([vhost.name]))
    metadata: dict[str, Any] = {"description": vhost.description, "tags": list(vhost.tags)}
    told: dict[str, Any] = {
        "name": vhost.name,
        "description": metadata["description"],
        "tags": metadata["tags"],
        "default_queue_type": "undefined",
        "metadata": metadata,
        "tracing": vhost.traced,
        "cluster_state": {NODE_NAME: "running"},
        **of_lengths(
            sum(map(len, queues)),
            sum(queue.unacked for queue in queues),
            statistics.lengths.vhost_rates([vhost.name]),
        ),
        **with_rates(octets.values, octets.rates),
    }
    if counted:
        told["message_stats"] = counted
    if call.profile.has_vhost_metadata:
        told["default_queue_type"] = metadata["default_queue_type"] = vhost.default_queue_type or "classic"
        told["protected_from_deletion"] = vhost.protected
    return told


def list_all(call: Call) -> list[Item]:
    """The virtual hosts that the user may enter; all to who may see what others do."""
    seen = sorted(call.node.vhosts) if is_monitoring(call.user) else [vhost.name for vhost in call.visible_vhosts]
    return [facts(call.node.vhosts[name], call) for name in seen]


def _named(call: Call) -> VHost:
    vhost: VHost = found(call.node.vhosts.get(call.names["V"]))
    return vhost


def show(call: Call) -> Item:
    """One virtual host."""
    return facts(_named(call), call)


def put(call: Call) -> Response | None:
    """Create a virtual host, in which the user may then do everything, or change one."""
    name, node, body = call.names["V"], call.node, call.body
    is_new = name not in node.vhosts
    asked = body.get("default_queue_type")
    type_ = None if asked in _NO_TYPE or not call.profile.has_vhost_metadata else asked
    if type_ is not None and type_ not in _TYPES:
        raise bad_request(f"{type_} is not a valid queue type")
    traced = boolean(body, "tracing") if "tracing" in body else None
    description, tags = body.get("description", ""), words(body.get("tags", ()))
    vhosts.put_vhost(node, call.origin, name, type_, description=description, tags=tags)
    if traced is not None:
        call.hub.firehose.trace(node.vhosts[name], traced)
    if is_new and name not in call.user.permissions:
        accounts.set_permissions(node, call.origin, call.user.name, name, ALL)
    return CREATED if is_new else None


def delete(call: Call) -> None:
    """Delete a virtual host with all that is in it."""
    name = _named(call).name
    try:
        vhosts.delete_vhost(call.node, call.origin, name)
    except BrokerError as error:
        raise Refusal(412, "precondition_failed", error.text) from None


def show_protection(_call: Call) -> None:
    """Crash, as RabbitMQ does: it has the method and no handler."""
    raise crash()


def protect(call: Call) -> None:
    """Keep a virtual host from being deleted."""
    name = call.names["V"]
    if name not in call.node.vhosts:
        raise not_found(f"Cannot enable deletion protection of virtual host '{name}' because it does not exist")
    call.node.vhosts[name].protected = True


def unprotect(call: Call) -> None:
    """Undo :func:`protect`."""
    _named(call).protected = False


def start(call: Call) -> None:
    """Start a virtual host on a node: they all run."""
    _named(call)
    if call.names["N"] != NODE_NAME:
        name = call.names["N"]
        if call.profile.has_vhost_metadata:
            raise bad_request(f"Unknown node: {name}")
        raise bad_request(f"Request to node {name} failed with nodedown")


ROUTES: Final = (
    Route("vhosts", {"GET": list_all}, pages=True, newer=False),
    Route("vhosts", {"GET": list_all}, columns=False, newer=True),
    Route("vhosts/V", {"GET": show, "PUT": put, "DELETE": delete}, Access.ADMINISTRATOR, any_vhost=True),
    Route(
        "vhosts/V/deletion/protection",
        {"GET": show_protection, "POST": protect, "DELETE": unprotect},
        Access.ADMINISTRATOR,
        any_vhost=True,
        head=False,
        newer=True,
    ),
    Route("vhosts/V/start/N", {"POST": start}, Access.ADMINISTRATOR, any_vhost=True),
)

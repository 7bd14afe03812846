"""Exchanges (HTTP-EXCH)."""

from collections.abc import Iterable
from typing import Any, Final

from hutch.fakebroker.engine import topology
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.json_values import json_of_table
from hutch.fakebroker.management.bindings import DEFAULT
from hutch.fakebroker.management.bodies import boolean
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.counts import of_exchange
from hutch.fakebroker.management.errors import not_authorised
from hutch.fakebroker.management.fields import table
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Route


def facts(exchange: Exchange, call: Call) -> dict[str, Any]:
    """What the API reports of an exchange."""
    told: dict[str, Any] = {
        "arguments": json_of_table(exchange.arguments),
        "auto_delete": exchange.auto_delete,
        "durable": exchange.durable,
        "internal": exchange.internal,
        "name": exchange.name,
        "type": exchange.type,
        "vhost": exchange.vhost.name,
    }
    if exchange.policy:
        told["policy"] = exchange.policy
    return told | _statistics(exchange.vhost, exchange.name, call)


def _statistics(vhost: VHost, name: str, call: Call) -> dict[str, Any]:
    """The counters of an exchange, if there are any."""
    counted = of_exchange(call.statistics.of_exchange(vhost.name, name))
    return {"message_stats": counted} if counted and not call.asks("disable_stats") else {}


def _default(vhost: VHost, call: Call) -> dict[str, Any]:
    """The default exchange, which the engine does not hold."""
    flags = {"auto_delete": False, "durable": True, "internal": False}
    told = {"arguments": {}, **flags, "name": "", "type": "direct", "vhost": vhost.name}
    return told | _statistics(vhost, "", call)


def _all(vhosts: Iterable[VHost], call: Call) -> list[Item]:
    return [
        each
        for vhost in vhosts
        for each in (_default(vhost, call), *(facts(vhost.exchanges[name], call) for name in sorted(vhost.exchanges)))
    ]


def list_all(call: Call) -> list[Item]:
    """The exchanges of all virtual hosts that the user may enter."""
    return _all(call.visible_vhosts, call)


def list_vhost(call: Call) -> list[Item]:
    """The exchanges of a virtual host."""
    return _all([call.vhost], call)


def show(call: Call) -> Item:
    """One exchange."""
    vhost, name = call.vhost, call.names["X"]
    told = _default(vhost, call) if name == DEFAULT else facts(found(vhost.exchanges.get(name)), call)
    return {**told, "incoming": [], "outgoing": []}


def declare(call: Call) -> Response | None:
    """Declare an exchange: 201 for a new one, 204 for one that is there."""
    body, name = call.body, call.names["X"]
    flags = {flag: boolean(body, flag) for flag in ("durable", "auto_delete", "internal")}
    arguments = table(body, "arguments")
    actor = call.actor()
    is_new = name not in actor.vhost.exchanges
    topology.declare_exchange(actor, name, str(body.get("type", "direct")), **flags, arguments=arguments)
    return CREATED if is_new else None


def delete(call: Call) -> None:
    """Delete an exchange."""
    actor, name = call.actor(), call.names["X"]
    if name == DEFAULT:
        raise not_authorised("Access refused.")
    found(actor.vhost.exchanges.get(name))
    topology.delete_exchange(actor, name, if_unused=call.asks("if-unused"))


ROUTES: Final = (
    Route("exchanges", {"GET": list_all}, pages=True),
    Route("exchanges/V", {"GET": list_vhost}, pages=True),
    Route("exchanges/V/X", {"GET": show, "PUT": declare, "DELETE": delete}),
)

"""Bindings, and the key that tells one from others between the same ends (HTTP-BIND, HTTP-SHAPE-29)."""

import base64
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from hutch.fakebroker.definitions.exporting import binding_item
from hutch.fakebroker.engine import topology
from hutch.fakebroker.engine.actors import Kind
from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.erlang.hashing import Term, phash2_32
from hutch.fakebroker.erlang.terms import typed_term
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import bad_request, crash, not_authorised, object_not_found
from hutch.fakebroker.management.fields import table
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import Response
from hutch.fakebroker.management.routing import Route
from hutch.wire.fields import FieldTable

#: The default exchange's name in paths.
DEFAULT: Final = "amq.default"
_KINDS: Final[dict[str, Kind]] = {"q": "queue", "e": "exchange"}


def properties_key(routing_key: str, arguments: FieldTable) -> str:
    """The routing key, quoted, and a hash of the arguments if there are any."""
    if not routing_key and not arguments:
        return "~"
    quoted = quote(routing_key.encode("utf-8", "surrogateescape"), safe=" ").replace("~", "%7E").replace(" ", "+")
    if not arguments:
        return quoted
    raw = {name.encode("utf-8", "surrogateescape"): value for name, value in arguments.items()}
    term: list[Term] = [(name, *typed_term(raw[name])) for name in sorted(raw)]
    digest = base64.urlsafe_b64encode(phash2_32(term).to_bytes(4)).decode().rstrip("=")
    return f"{quoted}~{digest}"


def facts(binding: Binding) -> dict[str, Any]:
    """What the API reports of a binding."""
    return {**binding_item(binding), "properties_key": properties_key(binding.routing_key, binding.arguments)}


def implicit(vhost: VHost, queue: str) -> dict[str, Any]:
    """The binding of a queue to the default exchange (HTTP-BIND-11)."""
    return {
        "source": "",
        "vhost": vhost.name,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": queue,
        "arguments": {},
        "properties_key": properties_key(queue, {}),
    }


def ordered(bindings: Iterable[Binding]) -> list[Item]:
    """Bindings by source, destination and key (HTTP-BIND-12)."""
    return sorted(map(facts, bindings), key=lambda each: (each["source"], each["destination"], each["properties_key"]))


def _all(vhost: VHost) -> list[Item]:
    explicit = (each for exchange in vhost.exchanges.values() for each in exchange.outgoing.values())
    return [*(implicit(vhost, name) for name in sorted(vhost.queues)), *ordered(explicit)]


def list_all(call: Call) -> list[Item]:
    """The bindings of all virtual hosts that the user may enter."""
    return [each for vhost in call.visible_vhosts for each in _all(vhost)]


def list_vhost(call: Call) -> list[Item]:
    """The bindings of a virtual host."""
    return _all(call.vhost)


def of_source(call: Call) -> list[Item]:
    """The bindings from an exchange."""
    vhost, name = call.vhost, call.names["X"]
    if name == DEFAULT:
        return [implicit(vhost, queue) for queue in sorted(vhost.queues)]
    exchange = vhost.exchanges.get(name)
    return [] if exchange is None else ordered(exchange.outgoing.values())


def of_destination(call: Call) -> list[Item]:
    """The bindings to an exchange."""
    exchange = call.vhost.exchanges.get(call.names["X"])
    return [] if exchange is None else ordered(exchange.incoming.values())


# between two ends


def _ends(call: Call) -> tuple[str, Kind, str]:
    """The source, and the kind and name of the destination."""
    kind = _KINDS.get(call.names["KIND"])
    if kind is None:
        raise crash()
    return call.names["S"], kind, call.names["D"]


def _between(call: Call) -> list[Binding]:
    source, kind, name = _ends(call)
    exchange = call.vhost.exchanges.get(source)
    found = [] if exchange is None else exchange.outgoing.values()
    return [
        each
        for each in found
        if each.destination.name == name and isinstance(each.destination, Exchange) == (kind == "exchange")
    ]


def list_between(call: Call) -> list[Item]:
    """The bindings between an exchange and a queue, or another exchange."""
    source, kind, name = _ends(call)
    if source == DEFAULT and kind == "queue":
        return [implicit(call.vhost, name)]
    return ordered(_between(call))


def bind(call: Call) -> Response:
    """Bind; again, it changes nothing (HTTP-BIND-01, HTTP-BIND-02)."""
    source, kind, name = _ends(call)
    key = call.body.get("routing_key", "")
    if not isinstance(key, str):
        if call.profile.is_strict_json and key is not None:  # RabbitMQ answers with the trace of a crash here
            raise bad_request("the routing key is no text")
        key = "null" if key is None else str(key)
    arguments = table(call.body, "arguments")
    actor = call.actor()
    if DEFAULT in {source, name}:
        raise not_authorised("Access refused.")
    topology.bind(actor, source, kind, name, key, arguments=arguments)
    where = f"{quote(name, safe='')}/{quote(properties_key(key, arguments), safe='~')}"
    return Response(201, headers=(("location", where),))


def _named(call: Call) -> Binding | None:
    wanted = call.names["KEY"]
    for each in _between(call):
        key = properties_key(each.routing_key, each.arguments)
        if wanted == key or quote(wanted, safe="~+%") == key or (not each.arguments and wanted == each.routing_key):
            return each
    return None


def show(call: Call) -> Item:
    """One binding."""
    source, kind, name = _ends(call)
    if source == DEFAULT and kind == "queue" and call.names["KEY"] == name and name in call.vhost.queues:
        return implicit(call.vhost, name)
    binding = _named(call)
    if binding is None:
        raise object_not_found()
    return facts(binding)


def unbind(call: Call) -> None:
    """Delete one binding."""
    source, kind, name = _ends(call)
    actor = call.actor()
    if DEFAULT in {source, name}:
        raise not_authorised("Access refused.")
    binding = _named(call)
    if binding is None:
        raise object_not_found()
    topology.unbind(actor, source, kind, name, binding.routing_key, arguments=binding.arguments)


ROUTES: Final = (
    Route("bindings", {"GET": list_all}),
    Route("bindings/V", {"GET": list_vhost}),
    Route("bindings/V/e/S/KIND/D", {"GET": list_between, "POST": bind}),
    Route("bindings/V/e/S/KIND/D/KEY", {"GET": show, "DELETE": unbind}),
    Route("exchanges/V/X/bindings/source", {"GET": of_source}),
    Route("exchanges/V/X/bindings/destination", {"GET": of_destination}),
)

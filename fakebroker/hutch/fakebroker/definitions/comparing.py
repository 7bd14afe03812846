"""What differs between the definitions of two brokers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hutch.fakebroker.definitions.refusals import InvalidDefinitions

Item = Mapping[str, Any]

#: The sections, the word for one item, and the keys that identify it.
_SECTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "users": ("user", ("name",)),
    "vhosts": ("vhost", ("name",)),
    "permissions": ("permission", ("user", "vhost")),
    "topic_permissions": ("topic permission", ("user", "vhost", "exchange")),
    "global_parameters": ("global parameter", ("name",)),
    "parameters": ("parameter", ("component", "name", "vhost")),
    "policies": ("policy", ("name", "vhost")),
    "exchanges": ("exchange", ("name", "vhost")),
    "queues": ("queue", ("name", "vhost")),
    "bindings": ("binding", ("source", "destination_type", "destination", "routing_key", "arguments", "vhost")),
}
#: Global parameters that differ between clusters.
_OWN: Final = frozenset({"internal_cluster_id", "cluster_tags"})


def differences(one: Item, other: Item, vhost: str | None = None) -> list[str]:
    """A line for each item that is in one of two definitions, or is not alike in both.

    Texts about the file and the broker do not count, nor what RabbitMQ makes by itself. Of two versions, only what both
    tell of an item is compared. A line begins with ``-`` for what the first has alone, ``+`` for what the second has
    alone, ``~`` for what differs. With ``vhost``, what belongs to other virtual hosts does not count; items of the file
    of one virtual host may name it, as RabbitMQ 3.10 has it, or not.

    Raises:
        InvalidDefinitions: a section is no list of objects.
    """
    return [line for section in _SECTIONS for line in _differences(section, one, other, vhost)]


def _differences(section: str, one: Item, other: Item, vhost: str | None) -> Iterator[str]:
    ours, theirs = _by_identity(section, one, vhost), _by_identity(section, other, vhost)
    for identity in sorted(ours.keys() | theirs.keys()):
        if identity not in theirs:
            yield f"- {identity}"
        elif identity not in ours:
            yield f"+ {identity}"
        else:
            for key in sorted(ours[identity].keys() & theirs[identity].keys()):
                mine, its = ours[identity][key], theirs[identity][key]
                if mine != its:
                    shown = "differs" if key == "password_hash" else f"{_shown(mine)} -> {_shown(its)}"
                    yield f"~ {identity}: {key} {shown}"


def _by_identity(section: str, definitions: Item, vhost: str | None) -> dict[str, Item]:
    items = definitions.get(section, [])
    if not isinstance(items, Sequence) or not all(isinstance(item, Mapping) for item in items):
        raise InvalidDefinitions(f"{section} are no list of objects")
    word, keys = _SECTIONS[section]
    prepare = _PREPARED.get(section, dict)
    named: dict[str, Item] = {}
    for item in items:
        prepared = prepare(item)
        if vhost is not None and prepared.pop("vhost", vhost) != vhost:
            continue
        if _counts(section, prepared):
            parts = [f"{key} {_shown(prepared[key])}" for key in keys if key in prepared]
            named[" ".join([word, *parts])] = {key: value for key, value in prepared.items() if key not in keys}
    return named


def _counts(section: str, item: Item) -> bool:
    name = str(item.get("name", ""))
    if section == "global_parameters":
        return name not in _OWN
    return not (section == "exchanges" and name.startswith("amq."))


def _prepared_queue(item: Item) -> dict[str, Any]:
    """A queue with its type beside the arguments, whichever version tells it."""
    arguments = dict(item.get("arguments") or {})
    named = arguments.pop("x-queue-type", None)
    return {**item, "arguments": arguments, "type": item.get("type") or named or "classic"}


_PREPARED: Final[dict[str, Callable[[Item], dict[str, Any]]]] = {"queues": _prepared_queue}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)

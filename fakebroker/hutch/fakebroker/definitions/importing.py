"""Importing definitions, with what RabbitMQ refuses and what it passes over (HTTP-DEFS-07 to HTTP-DEFS-22).

Each section is done before the next. Items of a section that RabbitMQ imports at once do not hold up one another: the
first error counts in the end. What was imported before an error stays.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.definitions.parameters import put_described_parameter, put_described_policy
from hutch.fakebroker.definitions.refusals import InvalidDefinitions, Wording
from hutch.fakebroker.definitions.users import put_described_user
from hutch.fakebroker.engine import topology
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.users import ALL, Permissions, TopicPermissions
from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.unknown_names import note_near
from hutch.fakebroker.engine.vhosts import put_vhost
from hutch.fakebroker.erlang.patterns import compile_pattern
from hutch.fakebroker.erlang.pcre import InvalidPattern
from hutch.fakebroker.json_values import NullNotAllowed, table_of_json
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost
    from hutch.fakebroker.profiles import Profile

Item = Mapping[str, Any]

#: Queues that are refused with this text are skipped.
_PROPERTY: Final = "invalid property"
#: Sections that are imported item by item: the first wrong item ends the import.
_ONE_BY_ONE: Final = frozenset({"global_parameters", "policies", "parameters"})


def read_definitions(text: bytes | str) -> Item:
    """The definitions in a file, or a request. Nothing is an empty object.

    Raises:
        InvalidDefinitions: that is no JSON object.
    """
    try:
        document = json.loads(text) if text else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InvalidDefinitions("failed_to_parse_json")
    return document


def given_definitions(definitions: "Item | str | PathLike[str]") -> Item:
    """Definitions, or those in the file of a path.

    Raises:
        InvalidDefinitions: the file holds no JSON object.
        OSError: it cannot be read.
    """
    return definitions if isinstance(definitions, Mapping) else read_definitions(Path(definitions).read_bytes())


def import_all(node: "Node", profile: "Profile", by: Origin, document: Item) -> None:
    """Import the definitions of a whole broker. Queues and exchanges that are there stay as they are; the rest is
    replaced.

    Raises:
        InvalidDefinitions: something is wrong.
    """
    _Import(node, profile, by, Wording(profile.definitions, one_vhost=False), None).run(document)


def import_vhost(vhost: "VHost", profile: "Profile", by: Origin, document: Item) -> None:
    """Import definitions into a virtual host, even if they name another one. Skips users, permissions and virtual
    hosts.

    Raises:
        InvalidDefinitions: something is wrong.
    """
    _Import(vhost.node, profile, by, Wording(profile.definitions, one_vhost=True), vhost).run(document)


@dataclass(frozen=True)
class _Import:
    """One import. ``into`` is the virtual host that everything is for, ``None`` if items name theirs."""

    node: "Node"
    profile: "Profile"
    by: Origin
    wording: Wording
    into: "VHost | None"

    def run(self, document: Item) -> None:
        """Import all sections."""
        if self.into is None:
            self._section(document, "users", self._put_user)
            self._section(document, "vhosts", self._put_vhost)
            self._check_queue_limits(document)
            self._section(document, "permissions", self._put_permissions)
            early: dict[str, Callable[[Item], None]] = {
                "topic_permissions": self._put_topic_permissions,
                "exchanges": self._add_exchange,
            }
            names = list(early) if self.profile.definitions.imports_topics_first else list(reversed(early))
            for name in names:
                self._section(document, name, early[name])
            self._section(document, "global_parameters", self._put_global_parameter)
        else:
            self._section(document, "exchanges", self._add_exchange)
        self._section(document, "policies", self._put_policy)
        self._section(document, "parameters", self._put_parameter)
        self._section(document, "queues", self._add_queue)
        self._section(document, "bindings", self._add_binding)

    def _section(self, document: Item, name: str, put: Callable[[Item], None]) -> None:
        items = document.get(name, [])
        if not isinstance(items, list):
            raise InvalidDefinitions(f"{name} are no list", crashes=True)
        wrong: InvalidDefinitions | None = None
        for item in items:
            try:
                if isinstance(item, Mapping):
                    put(item)
                elif name == "queues":
                    raise InvalidDefinitions("a queue is no object", crashes=True)
            except InvalidDefinitions as error:
                if name in _ONE_BY_ONE:
                    raise
                wrong = wrong or error
        if wrong is not None:
            raise wrong

    def _vhost(self, item: Item) -> "VHost":
        if self.into is not None:
            return self.into
        name = item.get("vhost")
        vhost = self.node.vhosts.get(name) if isinstance(name, str) else None
        if vhost is None:
            refusal = self.wording.no_vhost(name)
            note_near(refusal, name, self.node.vhosts)
            raise refusal
        return vhost

    # users and virtual hosts

    def _put_user(self, item: Item) -> None:
        put_described_user(self.node, self.by, item, self.wording)

    def _put_vhost(self, item: Item) -> None:
        if "name" not in item:
            raise InvalidDefinitions("function_clause")
        name, metadata = item["name"], item
        if self.profile.definitions.describes_itself and isinstance(item.get("metadata"), Mapping):
            metadata = item["metadata"]
        tags = metadata.get("tags", [])
        tags = (
            [tag.strip() for tag in tags.split(",") if tag.strip()] if isinstance(tags, str) else list(map(str, tags))
        )
        is_new = name not in self.node.vhosts
        default = metadata.get("default_queue_type") if metadata is not item else None
        try:
            put_vhost(
                self.node,
                self.by,
                name,
                None if default == "undefined" else default,
                description=str(metadata.get("description", "")),
                tags=tags,
            )
        except ValueError:
            raise InvalidDefinitions(f"{default} is not a valid queue type") from None
        if is_new and self.by.user in self.node.users:
            accounts.set_permissions(self.node, self.by, str(self.by.user), name, ALL)

    def _check_queue_limits(self, document: Item) -> None:
        """Refuse more queues than a virtual host may have (the limits are those of before the import)."""
        items = document.get("queues", [])
        named = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
        for vhost in self.node.vhosts.values():
            limit = vhost.limits.get("max-queues", -1)
            more = [item for item in named if item.get("vhost") == vhost.name and item.get("name") not in vhost.queues]
            if more and 0 <= limit < len(vhost.queues) + len(more):
                raise self.wording.too_many_queues(vhost.name, len(more), limit, len(vhost.queues))

    def _put_permissions(self, item: Item) -> None:
        user, patterns = self._permitted(item, "configure", "write", "read", as_text=True)
        accounts.set_permissions(self.node, self.by, user, self._vhost(item).name, Permissions(*patterns))

    def _put_topic_permissions(self, item: Item) -> None:
        user, patterns = self._permitted(item, "write", "read", as_text=False)
        vhost, exchange = self._vhost(item), item.get("exchange", "")
        needs_exchange = self.node.profile.access.topic_permissions_need_exchange
        if needs_exchange and exchange and exchange not in vhost.exchanges:
            raise self.wording.term("no_such_exchange", exchange)
        accounts.set_topic_permissions(self.node, self.by, user, vhost.name, exchange, TopicPermissions(*patterns))

    def _permitted(self, item: Item, *keys: str, as_text: bool) -> tuple[str, list[str]]:
        """The user of a permission, and the patterns, checked."""
        patterns = [item.get(key) for key in keys]
        texts = [pattern for pattern in patterns if isinstance(pattern, str)]
        if len(texts) < len(patterns):
            raise InvalidDefinitions("badarg")
        for pattern in texts:
            try:
                compile_pattern(pattern, pcre2=self.node.profile.access.has_pcre2)
            except InvalidPattern as error:
                raise self.wording.pattern(pattern, error.reason, error.place, as_text=as_text) from None
            except NotImplementedError as error:
                raise InvalidDefinitions(f"{pattern!r}: the emulator lacks {error}") from None
        user = item.get("user")
        if user not in self.node.users:
            refusal = self.wording.term("no_such_user", str(user))
            note_near(refusal, user, self.node.users)
            raise refusal
        return str(user), texts

    # parameters

    def _put_global_parameter(self, item: Item) -> None:
        if isinstance(item.get("name"), str):
            self.node.global_parameters[item["name"]] = item.get("value", "undefined")

    def _put_policy(self, item: Item) -> None:
        put_described_policy(self._vhost(item), self.by, item, self.wording)

    def _put_parameter(self, item: Item) -> None:
        put_described_parameter(self._vhost(item), self.by, item, self.wording)

    # topology

    def _add_queue(self, item: Item) -> None:
        vhost, name = self._vhost(item), item.get("name")
        if not isinstance(name, str):
            raise InvalidDefinitions("a queue has no name", crashes=True)
        if not name or name.startswith("amq.") or name in vhost.queues:
            return
        arguments = _arguments(item)
        try:
            topology.declare_queue(
                Actor(vhost, self.by),
                name,
                durable=self._queue_flag(item, "durable", True),
                auto_delete=self._queue_flag(item, "auto_delete", False),
                arguments=arguments,
            )
        except BrokerError as error:
            if not error.text.startswith(_PROPERTY):
                raise self.wording.broker(error) from None

    def _queue_flag(self, item: Item, key: str, default: bool) -> bool:
        needed = self.profile.definitions.needs_queue_flags
        value = item.get(key, None if needed else default)
        if not isinstance(value, bool):
            raise InvalidDefinitions("function_clause" if needed else "badarg")
        return value

    def _add_exchange(self, item: Item) -> None:
        vhost, name = self._vhost(item), item.get("name")
        if not isinstance(name, str) or not name or name.startswith("amq.") or name in vhost.exchanges:
            return
        arguments = _arguments(item)
        if "durable" not in item and self.profile.definitions.needs_queue_flags:
            raise InvalidDefinitions("an exchange lacks durable", crashes=True)
        try:
            topology.declare_exchange(
                Actor(vhost, self.by),
                name,
                item.get("type", "undefined"),
                durable=bool(item.get("durable", True)),
                auto_delete=bool(item.get("auto_delete", False)),
                internal=bool(item.get("internal", False)),
                arguments=arguments,
            )
        except BrokerError as error:
            if error.text.endswith("type 'undefined'"):
                error = BrokerError(error.name, "invalid exchange type 'undefined'")
            raise self.wording.broker(error) from None

    def _add_binding(self, item: Item) -> None:
        arguments, kind = _arguments(item), item.get("destination_type")
        if kind not in {"exchange", "queue"}:
            raise InvalidDefinitions("function_clause")
        source, destination, key = (str(item.get(key, "")) for key in ("source", "destination", "routing_key"))
        vhost = self._vhost(item) if self.into is not None else self.node.vhosts.get(str(item.get("vhost")))
        if not source:
            return
        named = str(item.get("vhost")) if vhost is None else vhost.name
        if vhost is None or not self._has_ends(vhost, source, kind, destination):
            if self.profile.definitions.refuses_loose_bindings:
                ends = [("exchange", source), (kind, destination)]
                raise self.wording.missing(named, [end for end in ends if vhost is None or not _has(vhost, *end)])
            return
        try:
            topology.bind(Actor(vhost, self.by), source, kind, destination, key, arguments=arguments)
        except BrokerError as error:
            raise self.wording.broker(error) from None

    def _has_ends(self, vhost: "VHost", source: str, kind: str, destination: str) -> bool:
        return _has(vhost, "exchange", source) and _has(vhost, kind, destination)


def _has(vhost: "VHost", kind: str, name: str) -> bool:
    return name in (vhost.exchanges if kind == "exchange" else vhost.queues)


def _arguments(item: Item) -> FieldTable:
    arguments = item.get("arguments", {})
    if arguments == []:
        return {}
    if not isinstance(arguments, Mapping):
        raise InvalidDefinitions("function_clause")
    try:
        return table_of_json(arguments)
    except NullNotAllowed:
        raise InvalidDefinitions("null_not_allowed") from None

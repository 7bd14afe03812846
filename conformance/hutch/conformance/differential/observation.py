"""What a broker was seen to do in one step, in a form in which two brokers can be compared."""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from hutch.conformance.raw import Item
from hutch.wire.content import Content
from hutch.wire.fields import type_name
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicConsumeOk,
    BasicDeliver,
    BasicGetOk,
    BasicNack,
    BasicReturn,
    Method,
    QueueDeclareOk,
)
from hutch.wire.properties import decode_properties

_MADE_UP: Final = re.compile(
    r"amq\.(gen|ctag)-[A-Za-z0-9_-]{22}|amq\.rabbitmq\.reply-to\.[A-Za-z0-9+/=]+\.[A-Za-z0-9_=+/-]+"
)
#: Prefix of an alias, by the kind of generated name; None is a name for direct replies.
_ALIASES: Final = {"gen": "~", "ctag": "~t", None: "~r"}


class Names:
    """The names that one broker made up, by the order in which they were seen: ``~1`` for queues, ``~t1`` for
    consumer tags, ``~r1`` for what replies are sent to.
    """

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._counts: dict[str | None, int] = dict.fromkeys(_ALIASES, 0)

    def real(self, name: str) -> str:
        """The name behind an alias; any other as it is."""
        return self._names.get(name, name)

    def seen(self, text: str) -> str:
        """The text with aliases in place of what the broker made up."""
        return _MADE_UP.sub(self._alias, text) if "amq." in text else text

    @property
    def latest(self) -> tuple[str, str]:
        """The aliases given last, of a queue and of a consumer tag."""
        return f"~{self._counts['gen']}", f"~t{self._counts['ctag']}"

    def _alias(self, found: re.Match[str]) -> str:
        name, kind = found[0], found[1]
        if name not in self._aliases:
            self._counts[kind] += 1
            alias = f"{_ALIASES[kind]}{self._counts[kind]}"
            self._aliases[name] = alias
            self._names[alias] = name
        return self._aliases[name]


class Delivered(NamedTuple):
    """A delivery: its tag, the alias or name of its consumer, empty for basic.get, and its body."""

    delivery_tag: int
    consumer_tag: str
    body: bytes


@dataclass
class Seen:
    """One channel in one step.

    ``streams`` are rows of what came in an order that is determined: replies and errors, returns, and for each queue
    what its consumers were told. Between the rows no order is. ``confirmed`` has the publishes that were confirmed,
    whether one by one or several at once. ``tags`` are all delivery tags, ``deliveries`` what they stand for, by row.
    """

    streams: dict[str, list[Any]] = field(default_factory=dict)
    confirmed: dict[int, str] = field(default_factory=dict)
    tags: list[int] = field(default_factory=list)
    deliveries: dict[str, list[Delivered]] = field(default_factory=dict)

    def same(self, other: "Seen") -> bool:
        """Whether it is the same, as far as it is determined."""
        if (self.streams, self.confirmed, sorted(self.tags)) != (other.streams, other.confirmed, sorted(other.tags)):
            return False
        # With a single consumer, each message has a fixed delivery tag. With several, the tags may be distributed in
        # any way.
        return len(self.deliveries) > 1 or self.deliveries == other.deliveries

    def lines(self) -> list[str]:
        """It in words."""
        told = [f"{row}: {item}" for row, items in self.streams.items() for item in items]
        told += [f"confirms: {verdict} {tag}" for tag, verdict in sorted(self.confirmed.items())]
        if self.tags:
            told.append(f"delivery tags: {', '.join(map(str, self.tags))}")
        return told


def observe(
    items: Iterable[Item],
    names: Names,
    queues: Mapping[str, str],
    confirmed: AbstractSet[int],
    uncounted: AbstractSet[str],
) -> Seen:
    """What came on a channel. ``queues`` are those of its consumers, by tag as the broker says it; ``confirmed`` the
    publishes that were confirmed before. How many messages are in ``uncounted`` queues is not told.
    """
    seen = Seen()
    for item in items:
        method = item.method if isinstance(item, Content) else item
        if isinstance(method, BasicAck | BasicNack):
            verdict = "ack" if isinstance(method, BasicAck) else "nack"
            first = 1 if method.multiple else method.delivery_tag
            for tag in range(first, method.delivery_tag + 1):
                if tag not in confirmed:
                    seen.confirmed.setdefault(tag, verdict)
            continue
        row = _row(method, queues, names)
        if isinstance(method, QueueDeclareOk) and names.seen(method.queue) in uncounted:
            method = QueueDeclareOk(method.queue, 0, method.consumer_count)
        shown = _shown(method, names)
        if isinstance(item, Content):
            shown += f" {_properties(item, names)} {item.body!r}"
        rows = seen.streams.setdefault(row, [])
        rows.append(shown)
        if isinstance(method, BasicCancel):
            rows.sort()
        if isinstance(method, BasicDeliver | BasicGetOk):
            seen.tags.append(method.delivery_tag)
            consumer = "" if isinstance(method, BasicGetOk) else names.seen(method.consumer_tag)
            body = item.body if isinstance(item, Content) else b""
            seen.deliveries.setdefault(row, []).append(Delivered(method.delivery_tag, consumer, body))
    return seen


def _row(method: Method, queues: Mapping[str, str], names: Names) -> str:
    if isinstance(method, BasicReturn):
        return "returned"
    if isinstance(method, BasicCancel):
        return "cancelled"
    if isinstance(method, BasicDeliver | BasicConsumeOk | BasicCancelOk):
        return f"queue {names.seen(queues.get(method.consumer_tag, '?'))}"
    return "answered"


def _shown(method: Method, names: Names) -> str:
    fields = ", ".join(
        f"{name}={_value(getattr(method, name), names)}"
        for name in method.FIELDS
        if name not in {"delivery_tag", "ticket"}
    )
    return f"{method.NAME}({fields})"


def _properties(content: Content, names: Names) -> str:
    """The properties in order, header tables too, with their wire types; when a message died is not told."""
    properties = decode_properties(content.properties)
    return ", ".join(f"{name}={_value(value, names)}" for name, value in properties.items())


def _value(value: Any, names: Names) -> str:
    if isinstance(value, str):
        return repr(names.seen(value))
    if isinstance(value, Mapping):
        members = (
            f"{key}={'T' if key == 'time' and isinstance(member, datetime) else _value(member, names)}"
            for key, member in value.items()
        )
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(member, names) for member in value)}]"
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int) and type(value) is int:
        return repr(value)
    return f"{type_name(value)}:{value!r}"

"""What the broker reads of a message's properties."""

import re
from collections.abc import Mapping
from copy import copy
from typing import Final

from hutch.fakebroker.engine.delivered_properties import delivered_properties
from hutch.fakebroker.engine.errors import BrokerError, internal_error, precondition_failed
from hutch.fakebroker.engine.message_profile import MessageProfile
from hutch.fakebroker.engine.table_checks import NotFinite, check_table, too_deep
from hutch.fakebroker.erlang.terms import type_text
from hutch.wire.fields import FieldError, FieldTable, FieldValue, TruncatedField, UnknownFieldType
from hutch.wire.properties import Properties, PropertyError, PropertyValue

#: The longest time to live that RabbitMQ accepts, ms (PUB-07).
MAX_TTL: Final = 315360000000
_EXPIRATION = re.compile(r"([+-]?[0-9]+)(.*)", re.DOTALL)
_CACHED_ENVELOPES = 1024
#: Larger properties, in bytes, are not cached: they seldom repeat, and a thousand of them would fill the memory.
_CACHED_SIZE = 2048


class Envelope:
    """What the broker reads of a message's properties; messages with the same properties share one.

    ``raw`` is the properties as they are delivered, ``size`` how many bytes that is, and
    ``counted_size`` how many of them count for a length limit. ``ttl`` is the expiration in ms.
    ``cc`` and ``bcc`` are the routing keys of those headers. ``refusal`` is why such a message cannot be published at
    all, if it cannot.
    """

    __slots__ = (
        "bcc",
        "cc",
        "counted_size",
        "needs_check",
        "priority",
        "properties",
        "raw",
        "refusal",
        "reply_to",
        "rewritten",
        "size",
        "ttl",
        "user_id",
    )

    def __init__(self, raw: bytes, profile: MessageProfile) -> None:
        values: Mapping[str, PropertyValue] = Properties(raw).values
        self.refusal: BrokerError | None = None
        self.ttl: int | None = None
        self.cc: tuple[str, ...] = ()
        self.bcc: tuple[str, ...] = ()
        self.user_id: PropertyValue | None = None
        self.reply_to: PropertyValue | None = None
        #: Its priority, 0 without one (PRIO-03).
        self.priority = 0
        has_bcc = False
        if values:
            headers = self._read(values, profile)
            has_bcc = "BCC" in headers
        #: Whether some property can make the broker refuse the message.
        self.needs_check = self.user_id is not None or self.refusal is not None or self.reply_to is not None
        self.raw = delivered_properties(raw, profile.sorts_headers, has_bcc)
        self.size = len(self.raw)
        self.counted_size = self.size if profile.counts_properties else 0
        #: Whether the delivered properties differ from the published ones.
        self.rewritten = self.raw != raw
        #: The properties as they are delivered.
        self.properties = Properties(self.raw)

    def _read(self, values: Mapping[str, PropertyValue], profile: MessageProfile) -> FieldTable:
        """Read the properties; returns the headers."""
        self.user_id = values.get("user_id")
        self.reply_to = values.get("reply_to")
        mode = values.get("delivery_mode")
        priority = values.get("priority")
        if isinstance(priority, int):
            self.priority = priority
        expiration = values.get("expiration")
        found = values.get("headers")
        headers = found if isinstance(found, Mapping) else {}
        check_table(headers)
        try:
            if expiration is not None:
                self.ttl = _parse_expiration(str(expiration))
            self.cc = _routing_keys(headers, "CC")
            self.bcc = _routing_keys(headers, "BCC")
            if profile.checks_delivery_mode and mode not in {None, 1, 2}:
                raise precondition_failed(f"invalid message: {{delivery_mode_unknown,{mode}}}")
        except BrokerError as refusal:
            self.refusal = refusal
        return headers

    def with_raw(self, raw: bytes) -> "Envelope":
        """The same with other properties to deliver, which make no difference to the broker."""
        envelope = copy(self)
        envelope.raw = raw
        envelope.size = len(raw)
        envelope.properties = Properties(raw)
        return envelope


def _parse_expiration(text: str) -> int:
    """The time to live that an expiration property asks for, in ms, read as Erlang reads it (PUB-07 to PUB-10)."""
    match = _EXPIRATION.fullmatch(text)
    if match is None:
        raise precondition_failed(f"invalid expiration '{text}': no_integer")
    value, leftover = int(match[1]), match[2]
    if leftover:
        raise precondition_failed(f"invalid expiration '{text}': {{leftover_string,\"{leftover}\"}}")
    if value < 0:
        raise precondition_failed(f"invalid expiration '{text}': {{value_negative,{value}}}")
    if value > MAX_TTL:
        raise precondition_failed(f"invalid expiration '{text}': {{value_too_large,{value}}}")
    return value


def _routing_keys(headers: FieldTable, name: str) -> tuple[str, ...]:
    value: FieldValue = headers.get(name, [])
    if not isinstance(value, list):
        kind = type_text(value)
        raise precondition_failed(f'invalid message: {{unacceptable_type_in_header,"{name}",{kind}}}')
    return tuple(key for key in value if isinstance(key, str))


class Envelopes(dict[bytes, Envelope]):
    """The envelopes for properties as they come in; makes those that it does not have.

    It keeps the recent ones, since publishers tend to repeat their properties.
    """

    def __init__(self, profile: MessageProfile) -> None:
        super().__init__()
        self._profile: Final = profile

    def __missing__(self, raw: bytes) -> Envelope:
        """Make an envelope.

        Raises:
            BrokerError: 541, the properties cannot be decoded (CONN-FRAME-24, CONN-FRAME-27); 540, the headers are
                nested too deeply.
        """
        try:
            envelope = Envelope(raw, self._profile)
        except (NotFinite, PropertyError, TruncatedField, UnknownFieldType):
            raise internal_error() from None
        except FieldError:
            raise too_deep() from None
        if envelope.size <= _CACHED_SIZE:
            if len(self) >= _CACHED_ENVELOPES:
                self.clear()
            self[raw] = envelope
        return envelope

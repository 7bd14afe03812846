"""What becomes of a message's properties in a stream, which keeps messages in AMQP 1.0 (STREAM-09, STREAM-13)."""

from collections.abc import Mapping
from decimal import Decimal
from struct import Struct
from typing import Final

from hutch.fakebroker.engine.errors import internal_error
from hutch.fakebroker.engine.message_properties import Envelope
from hutch.fakebroker.engine.queues.stream_profile import StreamProfile
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, join_table, read_table, split_table, write_table
from hutch.wire.properties import join_properties, split_properties

_OFFSET: Final = b"x-stream-offset"
_FILTER_VALUE: Final = b"x-stream-filter-value"
_INT64: Final = Struct(">q")
#: Headers that 4.3 takes for its own, such as x-death. They need a place in AMQP 1.0 too.
_BROKERS_OWN: Final = frozenset({b"x-exchange", b"x-routing-key"})


class Stored:
    """What a stream makes of the properties of one message, or of all that have the same.

    With ``deaths`` it is a dead letter: the header x-death is the broker's, and the expiration, which elsewhere is
    taken away, stays.

    Raises:
        BrokerError: 541, over a header that AMQP 1.0 has no place for, or a filter value that is no text.
    """

    def __init__(self, envelope: Envelope, deaths: tuple[FieldTable, ...], profile: StreamProfile) -> None:
        self._envelope: Final = envelope
        #: The value of the header x-stream-filter-value where the profile has filters, else empty.
        self.filter_value = b""
        parts = split_properties(envelope.raw)
        parts.pop("cluster_id", None)
        headers: dict[bytes, bytes] = {}
        for name, value in split_table(parts["headers"])[0] if "headers" in parts else ():
            stored = _stored(name, value, profile)
            dropped = profile.has_message_containers and (name in _BROKERS_OWN or (name == b"x-death" and not deaths))
            if stored is not None and not dropped:
                headers.setdefault(name, stored)
            if name == _FILTER_VALUE and profile.has_filters:
                if value[:1] != b"S" or not _is_text(value[5:]):
                    raise internal_error()
                self.filter_value = value[5:]
        if profile.has_message_containers:
            parts["delivery_mode"] = b"\2" if parts.get("delivery_mode") == b"\2" else b"\1"
        expiration = next((death["original-expiration"] for death in deaths if "original-expiration" in death), None)
        if isinstance(expiration, str):
            parts["expiration"] = bytes((len(expiration),)) + expiration.encode()
        headers[_OFFSET] = b"l" + _INT64.pack(0)
        pairs = sorted(headers.items())
        parts["headers"] = join_table(pairs)
        raw = join_properties(parts)
        before = join_table([pair for pair in pairs if pair[0] < _OFFSET])
        in_front = [parts[name] for name in ("content_type", "content_encoding") if name in parts]
        at = 2 + sum(map(len, in_front)) + len(before) + 1 + len(_OFFSET) + 1
        self._before, self._behind = raw[:at], raw[at + 8 :]

    def at(self, offset: int) -> Envelope:
        """The envelope in which a message is delivered that has this offset."""
        return self._envelope.with_raw(self._before + _INT64.pack(offset) + self._behind)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _stored(name: bytes, value: bytes, profile: StreamProfile) -> bytes | None:
    """A header's value, tag first, as it comes back; ``None`` if it does not."""
    tag = value[:1]
    if tag == b"D":
        raise internal_error()
    if not profile.has_message_containers:
        if tag in b"AF":
            return None
    elif tag in b"AF" and not name.startswith(b"x-") and name != b"CC":
        return None
    elif tag in b"AF":
        table, _ = read_table(join_table([(b"", value)]))
        return write_table({"": _readable(table[""])})[5:]
    elif tag == b"x":
        return b"S" + value[1:]
    return b"l" + value[1:] if tag == b"L" else value


def _readable(value: FieldValue) -> FieldValue:
    if isinstance(value, Decimal):
        raise internal_error()
    if isinstance(value, ByteArray):
        return bytes(value)
    if isinstance(value, Mapping):
        return {key: _readable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    return value

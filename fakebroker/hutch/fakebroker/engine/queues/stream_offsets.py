"""Where in a stream a consumer begins: its argument x-stream-offset
(https://www.rabbitmq.com/docs/streams#consuming).
"""

from datetime import datetime
from typing import Final

from hutch.fakebroker.engine.arguments_profile import ArgumentsProfile
from hutch.fakebroker.engine.errors import internal_error
from hutch.fakebroker.engine.queues.retention import checked_milliseconds, milliseconds
from hutch.fakebroker.engine.queues.stream_log import Log
from hutch.fakebroker.erlang.terms import seconds
from hutch.wire.fields import FieldValue, Timestamp, type_name

_NAMES: Final = (b"first", b"last", b"next")


def is_offset(value: FieldValue, profile: ArgumentsProfile) -> bool:
    """Whether a consumer's x-stream-offset may be this; what is no text is not looked at here (STREAM-07).

    Raises:
        BrokerError: as :func:`~hutch.fakebroker.engine.queues.retention.checked_milliseconds`.
    """
    if not isinstance(value, str | bytes) or type_name(value) != "longstr":
        return True
    return _bytes(value) in _NAMES or checked_milliseconds(value, profile) is not None


def begin(value: FieldValue, log: Log, now: float) -> int:
    """The offset at which a consumer begins; ``now`` is seconds since 1970 (STREAM-06).

    Raises:
        BrokerError: 541, there is no such offset (STREAM-08).
    """
    if isinstance(value, str | bytes):
        name = _bytes(value)
        if name in _NAMES:
            return {b"first": 0, b"last": log.last_offset, b"next": log.next_offset}[name]
        if type_name(value) == "longstr" and (age := milliseconds(value)) is not None:
            return log.offset_at(int(now * 1000) - age)
    elif isinstance(value, datetime | Timestamp):
        return log.offset_at(seconds(value) * 1000)
    elif isinstance(value, int) and not isinstance(value, bool):
        return max(value, 0)
    raise internal_error()


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)

"""Ages as RabbitMQ writes them: ``7D``, ``12h`` (https://www.rabbitmq.com/docs/streams#retention)."""

import re
from typing import Final

from hutch.fakebroker.engine.arguments_profile import ArgumentsProfile
from hutch.fakebroker.engine.errors import internal_error

_AGE: Final = re.compile(rb"([0-9]*)(.*)")
_DAY: Final = 86_400_000
_UNITS: Final = {b"Y": 365 * _DAY, b"M": 30 * _DAY, b"D": _DAY, b"h": 3_600_000, b"m": 60_000, b"s": 1000}


def milliseconds(age: str | bytes) -> int | None:
    """What an age is in ms; ``None`` if it is none (QUEUE-ARG-27)."""
    number, unit = _parts(age)
    return int(number) * _UNITS[unit] or None if number and unit in _UNITS else None


def checked_milliseconds(age: str | bytes, profile: ArgumentsProfile) -> int | None:
    """As :func:`milliseconds`.

    Raises:
        BrokerError: 541, it does not begin with a number, over which 3.10 crashes (QUEUE-ARG-27, STREAM-07).
    """
    if profile.crashes_on_malformed_age and not _parts(age)[0]:
        raise internal_error()
    return milliseconds(age)


def _parts(age: str | bytes) -> tuple[bytes, bytes]:
    match = _AGE.match(age.encode() if isinstance(age, str) else age)
    return (match[1], match[2]) if match else (b"", b"")

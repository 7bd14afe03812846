"""What is counted, how fast it grew, and how RabbitMQ's API writes both (HTTP-STAT-09, HTTP-STAT-10)."""

from collections.abc import Iterable, Mapping
from operator import add
from typing import Any, ClassVar, Final, TypeVar

PUBLISHING: Final = ("publish", "confirm", "return_unroutable", "drop_unroutable")
#: What makes up ``deliver_get``.
_HANDED_OUT: Final = ("get", "get_no_ack", "deliver", "deliver_no_ack")
_DELIVERING: Final = (*_HANDED_OUT, "get_empty", "redeliver", "ack")
_PASSING: Final = ("publish_in", "publish_out")


class Sampled:
    """Numbers that are looked at from time to time. ``rates`` says by how much each grew, a second, between the last
    two looks; it lacks those that did not change.
    """

    __slots__ = ("_before", "rates")

    #: The attributes that are numbers.
    names: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        for name in self.names:
            setattr(self, name, 0)
        self.rates: Mapping[str, float] = {}
        self._before = (0,) * len(self.names)

    @property
    def values(self) -> dict[str, int]:
        """All numbers."""
        return {name: getattr(self, name) for name in self.names}

    def begin(self) -> None:
        """Take the numbers for those of the look before."""
        self._before = (*self.values.values(),)

    def sample(self, seconds: float) -> bool:
        """Look, so long after the look before; whether anything changed."""
        now = self.values
        pairs = zip(now.items(), self._before, strict=True)
        self.rates = {name: (value - before) / seconds for (name, value), before in pairs if value != before}
        self._before = (*now.values(),)
        return bool(self.rates)

    @property
    def growth(self) -> dict[str, int]:
        """By how much each grew since the look before."""
        return {name: value - before for (name, value), before in zip(self.values.items(), self._before, strict=True)}

    def absorb(self, other: "Sampled") -> None:
        """Add numbers, and how far they had grown by the last look."""
        for name, value in other.values.items():
            setattr(self, name, getattr(self, name) + value)
        self._before = tuple(map(add, self._before, other._before))  # noqa: SLF001  (one of its own kind)


S = TypeVar("S", bound=Sampled)


def total(kind: type[S], several: Iterable[Sampled]) -> S:
    """The sums of numbers and of rates."""
    found = kind()
    rates: dict[str, float] = {}
    for each in several:
        for name, value in each.values.items():
            setattr(found, name, getattr(found, name) + value)
        for name, rate in each.rates.items():
            rates[name] = rates.get(name, 0.0) + rate
    found.rates = rates
    return found


class Counts(Sampled):
    """What messages did on a channel, in a queue, at an exchange, in a virtual host. RabbitMQ's names."""

    names = (*PUBLISHING, *_DELIVERING, *_PASSING)
    __slots__ = (
        *("publish", "confirm", "return_unroutable", "drop_unroutable", "publish_in", "publish_out"),
        *("get", "get_no_ack", "get_empty", "deliver", "deliver_no_ack", "redeliver", "ack"),
    )
    publish: int
    confirm: int
    return_unroutable: int
    drop_unroutable: int
    publish_in: int
    publish_out: int
    get: int
    get_no_ack: int
    get_empty: int
    deliver: int
    deliver_no_ack: int
    redeliver: int
    ack: int


class Churn(Sampled):
    """How many connections, channels and queues came and went."""

    names = (
        *("connection_created", "connection_closed", "channel_created", "channel_closed"),
        *("queue_declared", "queue_created", "queue_deleted"),
    )
    __slots__ = names
    connection_created: int
    connection_closed: int
    channel_created: int
    channel_closed: int
    queue_declared: int
    queue_created: int
    queue_deleted: int


class Lengths(Sampled):
    """How many messages there are."""

    names = ("messages_ready", "messages_unacknowledged")
    __slots__ = names
    messages_ready: int
    messages_unacknowledged: int


class Octets(Sampled):
    """How many bytes clients sent and got. ``at`` is the moment of the last look."""

    names = ("recv_oct", "send_oct")
    __slots__ = ("at", *names)
    recv_oct: int
    send_oct: int
    at: float

    def look(self, now: float) -> bool:
        """:meth:`sample` at a moment."""
        seconds, self.at = now - self.at, now
        return seconds > 0 and self.sample(seconds)


# as the API writes them

_RESTING: Final[Mapping[str, float]] = {"rate": 0.0}
#: Nothing was counted.
NOTHING: Final = Counts()


def with_rates(values: Mapping[str, int], rates: Mapping[str, float]) -> dict[str, Any]:
    """Numbers, each with its rate."""
    details = {f"{name}_details": {"rate": rates[name]} if name in rates else _RESTING for name in values}
    return {**values, **details}


def _some(counts: Counts, names: Iterable[str]) -> dict[str, Any]:
    return with_rates({name: getattr(counts, name) for name in names}, counts.rates)


def _delivering(counts: Counts) -> dict[str, Any]:
    """The counters of deliveries, all of them; none before the first."""
    values = {name: getattr(counts, name) for name in _DELIVERING}
    if not any(values.values()):
        return {}
    values["deliver_get"] = sum(values[name] for name in _HANDED_OUT)
    rates = {**counts.rates, "deliver_get": sum(counts.rates.get(name, 0.0) for name in _HANDED_OUT)}
    return with_rates(values, rates)


def of_channel(counts: Counts) -> dict[str, Any]:
    """What is counted of a channel, a virtual host or all of them. Empty before there is anything."""
    published = any(getattr(counts, name) for name in PUBLISHING)
    return {**(_some(counts, PUBLISHING) if published else {}), **_delivering(counts)}


def of_queue(counts: Counts) -> dict[str, Any]:
    """What is counted of a queue."""
    if counts is NOTHING:  # as of most, where there are many
        return {}
    return {**(_some(counts, ("publish",)) if counts.publish else {}), **_delivering(counts)}


def of_exchange(counts: Counts) -> dict[str, Any]:
    """What is counted of an exchange."""
    return _some(counts, [name for name in _PASSING if getattr(counts, name)])


def of_lengths(ready: int, unacknowledged: int, rates: Mapping[str, float]) -> dict[str, Any]:
    """How many messages there are, with the rates of :class:`Lengths`."""
    values = {
        "messages": ready + unacknowledged,
        "messages_ready": ready,
        "messages_unacknowledged": unacknowledged,
    }
    if not rates:  # as of most
        return {**values, **_NO_GROWTH}
    return with_rates(values, {**rates, "messages": sum(rates.values())})


_NO_GROWTH: Final = {f"{name}_details": _RESTING for name in ("messages", *Lengths.names)}

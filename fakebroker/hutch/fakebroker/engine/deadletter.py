"""Dead-lettering: the message a queue's dead-letter exchange is given, with its history in the headers (DLX rows).

RabbitMQ 3.10 keeps that history in the ``x-death`` header alone and believes what a publisher put there; 4.3 keeps it
beside the message and writes the header from it.
"""

from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hutch.fakebroker.engine.message import Message, with_headers
from hutch.fakebroker.erlang.terms import comparable, seconds
from hutch.wire.fields import FieldTable, FieldValue, Int64, Timestamp

if TYPE_CHECKING:
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.targets import Target

Death = FieldTable


class _UnreadableDeaths(ValueError):
    """An x-death header of a publisher's that RabbitMQ 3.10 crashes over."""


def dead_letter_message(queue: "Queue", message: Message, reason: str, failures: int) -> Message | None:
    """The message to publish to the queue's dead-letter exchange; ``reason`` is ``rejected``, ``expired``, ``maxlen``
    or ``delivery_limit`` (DLX-01), ``failures`` how many of its deliveries failed.

    Returns ``None`` for a message that is lost because RabbitMQ 3.10 crashes over the x-death header it came with.
    """
    node = queue.vhost.node
    envelope = message.envelope
    profile = node.profile.messages
    override = queue.settings.dead_letter_routing_key
    headers: dict[str, FieldValue] = dict(message.headers)
    now = datetime.fromtimestamp(int(node.clock.time()), UTC).replace(tzinfo=None)
    death: dict[str, FieldValue] = {
        "reason": reason,
        "queue": queue.name,
        "time": now,
        "exchange": message.exchange,
        "routing-keys": [message.routing_key, *envelope.cc],
    }
    expiration = message.properties.values.get("expiration")
    if isinstance(expiration, str) and not message.written:
        death["original-expiration"] = expiration
    deaths: tuple[Death, ...] = ()
    if profile.tracks_deaths:
        death["routing-keys"] = _listed(message)
        deaths = _add_tracked(message.deaths, death)
        headers["x-last-death-reason"] = reason
        headers["x-last-death-queue"] = queue.name
        headers["x-last-death-exchange"] = message.exchange
        first = deaths[-1]
        if len(message.deaths) == 0:
            for name in ("reason", "queue", "exchange"):
                headers[f"x-first-death-{name}"] = first[name]
        headers["x-death"] = list(deaths)
    else:
        if override is not None:
            headers.pop("CC", None)
        try:
            headers = _with_death(headers, death)
        except _UnreadableDeaths:
            return None
    raw = with_headers(message, headers, without=("expiration",))
    dead = Message(
        queue.settings.dead_letter_exchange or "",
        message.routing_key if override is None else override,
        node.envelopes[raw],
        message.body,
    )
    dead.number = node.messages = node.messages + 1
    if profile.tracks_deaths:
        dead.deaths = deaths
        dead.properties_size = message.properties_size
    if profile.dead_letters_keep_failures:
        dead.failures = failures
    if override is None:
        dead.bcc = message.bcc
    return dead


def _header_deaths(headers: FieldTable) -> tuple[Death, ...]:
    deaths = headers.get("x-death")
    if not isinstance(deaths, Sequence) or isinstance(deaths, str | bytes):
        return ()
    return tuple(death for death in deaths if isinstance(death, Mapping))


def _same(death: Death, other: Death) -> bool:
    return death.get("queue") == other.get("queue") and death.get("reason") == other.get("reason")


def _add_tracked(deaths: tuple[Death, ...], death: dict[str, FieldValue]) -> tuple[Death, ...]:
    """The deaths with one more, newest first; dying again in the same way counts up and leaves
    the time of the first (DLX-11, DLX-12).
    """
    earlier = next((known for known in deaths if _same(known, death)), None)
    rest = tuple(known for known in deaths if known is not earlier)
    if earlier is not None:
        return (_repeated(earlier), *rest)
    original = {"original-expiration": death.pop("original-expiration")} if "original-expiration" in death else {}
    return ({**original, "count": Int64(1), **death}, *rest)


def _listed(message: Message) -> list[FieldValue]:
    """The routing keys in an entry of x-death: all keys without those of the BCC header, each removed once."""
    keys: list[FieldValue] = [*message.routing_keys]
    for key in message.bcc:
        keys.remove(key)
    return keys


def _with_death(headers: dict[str, FieldValue], death: dict[str, FieldValue]) -> dict[str, FieldValue]:
    """Headers, sorted, with one more death, as 3.10 does it. Only where there is no x-death at all is the death told of
    as the first. An x-death that is no array is replaced. The new or repeated entry comes out with its keys sorted
    (DLX-11, DLX-12).
    """
    entry: Death = {"count": Int64(1), **death}
    deaths: list[FieldValue] = [entry]
    known = headers.get("x-death")
    if "x-death" not in headers:
        for name in ("reason", "queue", "exchange"):
            headers[f"x-first-death-{name}"] = death[name]
    elif isinstance(known, list):
        grouped = _grouped(known)
        earlier = grouped.pop(_identity(death), None)
        if earlier is not None:
            entry = _repeated(earlier)
        deaths = [dict(sorted(entry.items())), *grouped.values()]
    headers["x-death"] = deaths
    return dict(sorted(headers.items(), key=lambda header: header[0].encode("utf-8", "surrogateescape")))


def _identity(death: Death) -> Hashable:
    """What makes two entries equal: queue and reason, of any type (DLX-14)."""
    return tuple(comparable(death.get(name), int_equals_float=False) for name in ("queue", "reason"))


def _grouped(deaths: Sequence[FieldValue]) -> dict[Hashable, Death]:
    """The entries of an x-death header by their identity. Several are turned round; of those alike the first stays, and
    if it has no count gets how many there are (DLX-14).
    """
    alike: dict[Hashable, list[Death]] = {}
    for death in deaths:
        if not isinstance(death, Mapping):
            raise _UnreadableDeaths
        alike.setdefault(_identity(death), []).append(death)
    if len(deaths) == 1:
        return {identity: death for identity, (death,) in alike.items()}
    return {
        identity: first if first.get("count") is not None else {"count": Int64(len(others) + 1), **first}
        for identity, (first, *others) in reversed(alike.items())
    }


def _repeated(death: Death) -> Death:
    """An entry that counts one more. It counts from nothing where there is no count, and overflows as 64 bits do."""
    count = death.get("count")
    if count is None:
        return {"count": Int64(1), **death}
    if isinstance(count, datetime | Timestamp):
        count = seconds(count)
    if not isinstance(count, int) or isinstance(count, bool):
        raise _UnreadableDeaths
    return {**death, "count": Int64((count + 1 + (1 << 63)) % (1 << 64) - (1 << 63))}


def without_cycles(message: Message, reason: str, queues: "list[Target]", tracks_deaths: bool) -> "list[Target]":
    """The queues that a dead-lettered message may enter: not those it came through already, unless it was rejected on
    the way (DLX-13). ``message`` is :func:`dead_letter_message`'s.
    """
    if reason == "rejected":
        return queues
    deaths = message.deaths if tracks_deaths else _header_deaths(message.headers)
    return [queue for queue in queues if not _is_cycle(queue.name, deaths)]


def _is_cycle(queue: str, deaths: tuple[Death, ...]) -> bool:
    for death in deaths:
        if death.get("reason") == "rejected":
            return False
        if death.get("queue") == queue:
            return True
    return False

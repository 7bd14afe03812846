"""All names of hutch's broker that this package uses, on both sides.

Everything inside the broker may be renamed and moved. If one of the names here changes, one side has the new name and
the other side has the old one. Then write a subclass of :class:`Emulator` with the new names, and put it into
:data:`ADAPTERS` before the others. Each side is played by the first adapter whose names it has.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import Any, ClassVar, Final, Protocol

#: What an event or a queue is, as values that are the same on both sides.
Plain = Any


@dataclass(frozen=True)
class Settings:
    """Arguments of ``Broker``, under their names; ``consumer_timeout`` is in ms."""

    profile: str
    seed: int
    plugins: tuple[str, ...]
    vhosts: tuple[str, ...]
    consumer_timeout: int | None = 1800000
    permit_deprecated_features: Mapping[str, bool] = field(default_factory=dict)


class Stream(Protocol):
    """The methods of :class:`hutch.wire.transport.Transport` that this package calls."""

    def connect(self, deadline: float | None) -> None:
        """Reach the broker."""

    def send(self, data: bytes) -> None:
        """Have the broker do what the bytes ask for."""

    def receive(self) -> bytes:
        """The bytes that the broker has sent."""

    def readable(self) -> bool:
        """Whether :meth:`receive` returns or raises at once."""

    def close(self) -> None:
        """End the connection."""


class AdapterError(Exception):
    """An emulator lacks a name or a setting that its adapter uses; the text says which."""


class Emulator:
    """An emulator with the public names of hutch 0.1."""

    #: The names in the package ``fakebroker``.
    NAMES: ClassVar[tuple[str, ...]] = (
        *("Broker.transport", "Broker.next_timer_at", "Broker.admin", "Broker.history", "Broker.queue", "Broker.close"),
        *("ManualClock.advance", "ManualClock.monotonic", "History.__iter__", "History.clear"),
        *("Event.at", "Event.kind", "Event.vhost", "Event.queue", "Event.message", "Event.detail"),
        *("QueueView.ready", "QueueView.unacked", "QueueView.consumers", "QueueView.messages"),
        *("Message.exchange", "Message.routing_key", "Message.body", "Message.properties"),
    )
    #: What an operator does: methods of ``Broker.admin``, or of the broker itself.
    VERBS: ClassVar[tuple[str, ...]] = (
        *("add_user", "delete_user", "set_permissions", "clear_permissions", "set_topic_permissions"),
        *("clear_topic_permissions", "set_user_limit", "clear_user_limit", "add_vhost", "delete_vhost"),
        *("set_vhost_limit", "clear_vhost_limit", "set_policy", "delete_policy", "set_operator_policy"),
        *("delete_operator_policy", "close_connections", "raise_alarm", "clear_alarm", "trace_on", "trace_off"),
        *("restart", "stop", "start"),
    )

    def __init__(self, package: ModuleType, settings: Settings) -> None:
        self._clock: Final[Any] = package.ManualClock()
        arguments = {each.name: getattr(settings, each.name) for each in fields(Settings)}
        self._broker: Final[Any] = package.Broker(clock=self._clock, **arguments)

    @classmethod
    def missing(cls, package: ModuleType) -> Iterator[str]:
        """The names that a package lacks."""
        for name in cls.NAMES:
            owner, _, attribute = name.partition(".")
            if not hasattr(getattr(package, owner, None), attribute):
                yield name
        for verb in cls.VERBS:
            if not any(hasattr(getattr(package, owner, None), verb) for owner in ("Administration", "Broker")):
                yield f"Administration.{verb}"
        arguments = signature(package.Broker).parameters if hasattr(package, "Broker") else {}
        for each in ("clock", *(each.name for each in fields(Settings))):
            if each not in arguments:
                yield f"Broker({each}=...)"

    def transport(self) -> Stream:
        """A new in-process transport, not connected.

        Raises:
            AdapterError: it lacks a method of :class:`Stream`.
        """
        stream: Stream = self._broker.transport()
        for name in ("connect", "send", "receive", "readable", "close"):
            if not hasattr(stream, name):
                raise AdapterError(
                    f"{type(stream).__name__} lacks {name}, which {type(self).__name__} in {__file__} uses"
                )
        return stream

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def upcoming(self) -> float | None:
        """Seconds until the next timer is due; ``None`` if there is none."""
        at = self._broker.next_timer_at()
        return None if at is None else at - self._clock.monotonic()

    def operate(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Call an operator's verb.

        Raises:
            AdapterError: the verb is not in :attr:`VERBS`.
        """
        if verb not in self.VERBS:
            raise AdapterError(
                f"the operator's verb {verb!r} is not among those of {type(self).__name__} in {__file__}"
            )
        operator = self._broker.admin
        return getattr(operator if hasattr(operator, verb) else self._broker, verb)(**arguments)

    def events(self) -> list[Plain]:
        """The events since the last call."""
        history = self._broker.history
        told = [self._event(event) for event in history]
        history.clear()
        return told

    @classmethod
    def _event(cls, event: Any) -> Plain:
        """An event, with its moment rounded to the nanosecond."""
        message = None if event.message is None else _message(event.message)
        return round(event.at, 9), event.kind, event.vhost, event.queue, message, _plain(cls._detail(event))

    @staticmethod
    def _detail(event: Any) -> Any:
        """What an event tells besides."""
        return event.detail

    def queue(self, name: str, vhost: str) -> Plain:
        """The counts and the ready messages of a queue.

        Raises:
            LookupError: there is no such queue.
        """
        view = self._broker.queue(name, vhost)
        messages = [(*_message(each), repr(each.properties)) for each in view.messages]
        return view.ready, view.unacked, view.consumers, messages

    def close(self) -> None:
        """Close the broker."""
        self._broker.close()


class AskedByItsClock(Emulator):
    """An emulator whose clock knows when the next timer is due."""

    NAMES = (*(name for name in Emulator.NAMES if name != "Broker.next_timer_at"), "ManualClock.next_timer_at")

    def upcoming(self) -> float | None:
        """Seconds until the next timer is due; ``None`` if there is none."""
        at = self._clock.next_timer_at()
        return None if at is None else at - self._clock.monotonic()


class TypedEvents(AskedByItsClock):
    """An emulator whose events have a field for each thing that they tell, in the place of ``Event.detail``."""

    NAMES = (
        *(name for name in AskedByItsClock.NAMES if name != "Event.detail"),
        *("Event.connection", "Event.exchange", "Event.routed_to", "Event.reason", "Event.consumer_tag"),
        *("Event.delivery_tag", "Event.redelivered", "Event.source", "Event.destination", "Event.routing_key"),
        *("Event.messages", "Event.offset", "Event.delay", "Event.publishes", "Event.acknowledgements"),
        *("Event.policy", "Event.is_operator", "Event.resource"),
    )

    @staticmethod
    def _detail(event: Any) -> Any:
        """What ``detail`` would be."""
        kind = event.kind
        if kind in {"declared", "deleted"}:
            return ("queue", event.queue) if event.exchange is None else ("exchange", event.exchange)
        if kind in {"policy-set", "policy-deleted"}:
            return "operator policy" if event.is_operator else "policy", event.policy
        if kind == "got":
            return None, event.delivery_tag, event.redelivered
        values = tuple(getattr(event, name) for name in _TOLD.get(kind, ()))
        return values if len(values) > 1 else values[0] if values else None


#: The fields that make up ``detail``, by kind.
_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "published": ("routed_to",),
    "delayed": ("delay",),
    "due": ("routed_to",),
    "returned": ("reason",),
    "delivered": ("consumer_tag", "delivery_tag", "redelivered"),
    "dead-lettered": ("reason", "routed_to"),
    "bound": ("source", "destination", "routing_key"),
    "unbound": ("source", "destination", "routing_key"),
    "purged": ("messages",),
    "truncated": ("offset",),
    "consuming": ("consumer_tag",),
    "cancelled": ("consumer_tag",),
    "committed": ("publishes", "acknowledgements"),
    "rolled-back": ("publishes", "acknowledgements"),
    "connected": ("connection",),
    "disconnected": ("connection",),
    "alarm-raised": ("resource",),
    "alarm-cleared": ("resource",),
    "blocked": ("connection",),
    "unblocked": ("connection",),
    "refused": ("reason",),
}


def _message(message: Any) -> Plain:
    return message.exchange, message.routing_key, message.body


def _plain(value: Any) -> Plain:
    """A value that can be compared with the other side's: values of hutch's own classes become their repr."""
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return tuple(map(_plain, value)) if type(value) in {tuple, list} else repr(value)


#: The adapters, the newest first.
ADAPTERS: Final[tuple[type[Emulator], ...]] = (TypedEvents, AskedByItsClock, Emulator)


class Side:
    """The code of one of the two emulators, given the name of its package, and the adapter that fits.

    Raises:
        AdapterError: no adapter fits.
    """

    def __init__(self, name: str) -> None:
        self._package: Final = import_module(f"{name}.fakebroker")
        missing = {adapter: list(adapter.missing(self._package)) for adapter in ADAPTERS}
        fitting = next((adapter for adapter, names in missing.items() if not names), None)
        if fitting is None:
            told = "; ".join(f"{adapter.__name__} needs {', '.join(names)}" for adapter, names in missing.items())
            raise AdapterError(f"no adapter fits {name}.fakebroker: {told}. Add one to ADAPTERS in {__file__}")
        self._adapter: Final = fitting

    @contextmanager
    def unsliced(self) -> Iterator[None]:
        """Have its readers take all that is at hand at once. Real time decides where slices end, so that on a busy
        machine the two emulators would go on with their clients in different orders.
        """
        pipes = import_module(f"{self._package.__name__}.inprocess")
        names: dict[str, Any] = vars(pipes)
        monotonic = names["monotonic"]
        names["monotonic"] = lambda: 0.0
        try:
            yield
        finally:
            names["monotonic"] = monotonic

    def emulator(self, settings: Settings) -> Emulator:
        """A new emulator.

        Raises:
            AdapterError: it refuses a setting, for example a plugin that it does not have.
        """
        try:
            return self._adapter(self._package, settings)
        except ValueError as error:
            raise AdapterError(f"{self._package.__name__}.Broker refuses {settings}: {error}") from None

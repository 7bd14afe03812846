"""The history of a broker as lines to read."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from hutch.fakebroker import Broker, Event, History, Message
from hutch.fakebroker.engine.message import BodilessMessage

_SHOWN: Final = 60  # characters of a body
_EVENTS_IN_REPORT: Final = 40


def report_section(name: str, broker: Broker) -> tuple[str, str]:
    """The title and the text for the report of a failed test: what happened in a broker."""
    # Without draining clients: the test may have failed because its broker is stuck.
    return f"what happened in {name}", timeline(broker.undrained_history, _EVENTS_IN_REPORT)


def timeline(events: Iterable[Event], last: int | None = None) -> str:
    """One line for each event, oldest first: seconds since the first one, and what happened.

    ``last`` is how many events to show at most, the latest ones; ``None`` shows all. What a history no longer keeps,
    the first line says.
    """
    every = list(events)
    gone = []
    if isinstance(events, History) and (dropped := events.dropped()):
        gone.append(f"({dropped} earlier events are no longer kept: {events.limits})")
    if not every:
        return "\n".join(gone or ["nothing"])
    start = every[0].at
    shown = every if last is None else every[-last:]
    times = [f"+{event.at - start:.1f} s" for event in shown]
    width = max(map(len, times))
    lines = [f"{time:>{width}}  {describe(event)}" for time, event in zip(times, shown, strict=True)]
    left_out = len(every) - len(shown)
    return "\n".join([*gone, *([f"({left_out} earlier events)"] if left_out else []), *lines])


def describe(event: Event) -> str:
    """What happened, in a line."""
    tell = _TELL.get(event.kind)
    text = tell(event) if tell else f"{event.kind} {event.queue or ''}".rstrip()
    if event.message is not None:
        text += f": {body_text(event.message)}"
    return text


def body_text(message: Message) -> str:
    """The body as text where it is some, cut to fit a line; or that it is no longer kept."""
    if isinstance(message, BodilessMessage):
        return f"(a body of {message.body_size} bytes, no longer kept)"
    try:
        text = message.body.decode()
    except UnicodeDecodeError:
        text = repr(message.body)
    if not text.isprintable():
        text = repr(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def destination(message: Message) -> str:
    """Where a message was published to."""
    if message.exchange:
        return f"exchange {message.exchange}, key {message.routing_key!r}"
    return f"the default exchange, key {message.routing_key!r}"


def names(queues: Iterable[str]) -> str:
    """The names of queues, or that there are none."""
    return ", ".join(queues) or "no queue"


def _delivered(event: Event) -> str:
    how = "fetched" if event.kind == "got" else f"delivered to consumer {event.consumer_tag}"
    return f"{how} from {event.queue}{', redelivered' if event.redelivered else ''}"


def _transaction(event: Event) -> str:
    how = "committed" if event.kind == "committed" else "rolled back"
    held = f"{_count(event.publishes, 'publish')}, {_count(event.acknowledgements, 'acknowledgement')}"
    return f"{how} a transaction: {held}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('sh') else 's'}"


def _bound(event: Event) -> str:
    preposition = "to" if event.kind == "bound" else "from"
    return f"{event.kind} {event.destination} {preposition} {event.source}, key {event.routing_key!r}"


def _entity(event: Event) -> str:
    what = f"exchange {event.exchange}" if event.exchange is not None else f"queue {event.queue}"
    return f"{event.kind} {what}"


def _policy(event: Event) -> str:
    how = "set" if event.kind == "policy-set" else "deleted"
    return f"{how} {'operator policy' if event.is_operator else 'policy'} {event.policy}"


_TELL: Final[Mapping[str, Callable[[Event], str]]] = {
    "published": lambda event: (
        f"published to {destination(event.message)}, routed to {names(event.routed_to)}"
        if event.message
        else "published"
    ),
    "delayed": lambda event: f"delayed by {event.delay} ms",
    "due": lambda event: f"due after its delay, routed to {names(event.routed_to)}",
    "returned": lambda event: f"returned to its publisher ({event.reason})",
    "delivered": _delivered,
    "got": _delivered,
    "acked": lambda event: f"acknowledged in {event.queue}",
    "requeued": lambda event: f"requeued in {event.queue}",
    "rejected": lambda event: f"rejected in {event.queue}",
    "expired": lambda event: f"expired in {event.queue}",
    "dropped": lambda event: f"dropped from {event.queue}",
    "dead-lettered": lambda event: f"dead-lettered ({event.reason}) from {event.queue} to {names(event.routed_to)}",
    "declared": _entity,
    "deleted": _entity,
    "bound": _bound,
    "unbound": _bound,
    "purged": lambda event: f"purged {event.queue} of {event.messages} messages",
    "truncated": lambda event: f"truncated {event.queue}, which begins at offset {event.offset} now",
    "consuming": lambda event: f"consumer {event.consumer_tag} on {event.queue}",
    "cancelled": lambda event: f"consumer {event.consumer_tag} off {event.queue}",
    "committed": _transaction,
    "rolled-back": _transaction,
    "connected": lambda event: f"connected: {event.connection}",
    "disconnected": lambda event: f"disconnected: {event.connection}",
    "stopped": lambda _: "the broker is stopped",
    "started": lambda _: "the broker is started",
    "policy-set": _policy,
    "policy-deleted": _policy,
    "alarm-raised": lambda event: f"low on {event.resource}: publishers are blocked",
    "alarm-cleared": lambda event: f"low on {event.resource} no more",
    "blocked": lambda event: f"blocked, and read no further: {event.connection}",
    "unblocked": lambda event: f"unblocked, and read again: {event.connection}",
    "refused": lambda event: f"refused: {event.reason}",
    "fault": lambda event: f"fault: {event.reason}",
}

"""What hutch adds below ``/api/hutch/``: its history, clock and snapshots, for tests in any language.

These paths are for administrators. What they do takes turns of its own, or moves the clock, so it is done outside of a
turn.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.clocks import ManualClock
from hutch.fakebroker.history.event import KINDS, Event
from hutch.fakebroker.json_values import json_of_table
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import require
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import Refusal, bad_request, compact, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.openapi import DOCUMENT
from hutch.fakebroker.management.routing import Route

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker

#: Seconds after which an idle stream sends a comment.
_PULSE: Final = 15.0
#: Seconds for which events are gathered before they are sent.
_GATHERING: Final = 0.02


# history


def event_facts(position: int, event: Event) -> dict[str, Any]:
    """An event as JSON: its number, its time, its kind, and the fields that hold something."""
    told: dict[str, Any] = {"number": position, "at": event.at, "kind": event.kind}
    fields = event._asdict().items()
    plain = {name: value for name, value in fields if name not in {"at", "kind", "message", "origin"}}
    told |= {name: value for name, value in plain.items() if value != Event._field_defaults[name]}
    who = {"connection": event.connection, "channel": event.channel, "user": event.user}
    told |= {name: value for name, value in who.items() if value is not None}
    message = event.message
    if message is not None:
        told["message"] = {
            "number": message.number,
            "exchange": message.exchange,
            "routing_key": message.routing_key,
            "properties": json_of_table(message.properties.values),
            "payload_bytes": message.body_size,
        }
        try:
            body = message.body
        except LookupError:  # the history has dropped the event
            return told
        try:
            told["message"] |= {"payload": body.decode(), "payload_encoding": "string"}
        except UnicodeDecodeError:
            told["message"] |= {"payload": base64.b64encode(body).decode(), "payload_encoding": "base64"}
    return told


def _wanted(call: Call) -> tuple[int, frozenset[str]]:
    """The first event that is asked for, and the kinds."""
    try:
        since = int(call.query.get("since", 0))
    except ValueError:
        raise bad_request("since is no number") from None
    kinds = frozenset(call.query["kind"].split(",")) if call.query.get("kind") else frozenset(KINDS)
    if unknown := sorted(kinds - {*KINDS}):
        raise bad_request(f"no event is of kind {unknown[0]!r}; there are: {', '.join(KINDS)}")
    return since, kinds


def list_history(call: Call) -> Response:
    """The events so far, a line of JSON each."""
    since, kinds = _wanted(call)
    events = call.broker.undrained_history.since(since)
    lines = [compact(event_facts(number, event)) + b"\n" for number, event in events if event.kind in kinds]
    return Response(200, b"".join(lines), (("content-type", "application/x-ndjson"),))


def clear_history(call: Call) -> None:
    """Forget all events."""
    call.broker.undrained_history.clear()


def follow_history(call: Call) -> Response:
    """The events so far and those to come, as server-sent events."""
    since, kinds = _wanted(call)
    return Response(200, headers=(("content-type", "text/event-stream"),), stream=_follow(call.broker, since, kinds))


async def _follow(broker: "Broker", since: int, kinds: frozenset[str]) -> AsyncIterator[bytes]:
    loop, changed, hub = asyncio.get_running_loop(), asyncio.Event(), broker.hub

    def wake() -> None:  # at the end of each turn, by its thread
        if not changed.is_set():
            loop.call_soon_threadsafe(changed.set)

    with hub.turn:
        hub.turn.followers.append(wake)
    try:
        yield b": events of hutch\n\n"
        while not hub.closed:
            changed.clear()
            events = broker.undrained_history.since(since)
            if events:
                since = events[-1][0] + 1
                yield b"".join(_sent(number, event) for number, event in events if event.kind in kinds)
            try:
                await asyncio.wait_for(changed.wait(), _PULSE)
                await asyncio.sleep(_GATHERING)
            except TimeoutError:
                yield b": still here\n\n"
    finally:
        with hub.turn:
            hub.turn.followers.remove(wake)


def _sent(number: int, event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.kind.encode(), compact(event_facts(number, event)))


# the clock


def show_clock(call: Call) -> Item:
    """The broker's time."""
    clock = call.broker.clock
    return {"monotonic": clock.monotonic(), "time": clock.time(), "manual": isinstance(clock, ManualClock)}


def advance(call: Call) -> Item:
    """Move the clock, and do what falls due."""
    (seconds,) = require(call.body, "seconds")
    clock = call.broker.clock
    if not isinstance(clock, ManualClock):
        raise Refusal(409, "conflict", "the broker's clock moves by itself")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise bad_request("seconds is no number of seconds, 0 or more")
    clock.advance(seconds)
    return show_clock(call)


# state


def reset(call: Call) -> None:
    """Have the broker as it was made."""
    call.broker.reset()


def list_snapshots(call: Call) -> list[Item]:
    """The snapshots that were taken over HTTP."""
    return [{"name": name} for name in sorted(call.snapshots)]


def take_snapshot(call: Call) -> Response:
    """Keep the state of the broker under a name."""
    call.snapshots[call.names["NAME"]] = call.broker.snapshot()
    return CREATED


def restore_snapshot(call: Call) -> None:
    """Return to the state of that name."""
    if call.names["NAME"] not in call.snapshots:
        raise object_not_found()
    call.broker.restore(call.snapshots[call.names["NAME"]])


def delete_snapshot(call: Call) -> None:
    """Forget a state."""
    if call.snapshots.pop(call.names["NAME"], None) is None:
        raise object_not_found()


def show_document(_call: Call) -> Response:
    """What these paths take and answer, as OpenAPI has it."""
    return Response(200, json.dumps(DOCUMENT, indent=2).encode(), (("content-type", "application/json"),))


def _routes() -> Iterable[Route]:
    for path, handlers in (
        ("history", {"GET": list_history, "DELETE": clear_history}),
        ("history/stream", {"GET": follow_history}),
        ("clock", {"GET": show_clock}),
        ("clock/advance", {"POST": advance}),
        ("reset", {"POST": reset}),
        ("snapshots", {"GET": list_snapshots}),
        ("snapshots/NAME", {"PUT": take_snapshot, "DELETE": delete_snapshot}),
        ("snapshots/NAME/restore", {"POST": restore_snapshot}),
    ):
        yield Route(f"hutch/{path}", handlers, Access.ADMINISTRATOR, in_turn=False)
    yield Route("hutch/openapi.json", {"GET": show_document}, Access.PUBLIC, in_turn=False)


ROUTES: Final = tuple(_routes())

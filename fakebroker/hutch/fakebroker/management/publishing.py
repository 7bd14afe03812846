"""Publishing a message, and getting messages (HTTP-PUB, HTTP-GET)."""

import base64
import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from hutch.fakebroker.engine import fetching
from hutch.fakebroker.engine import publishing as engine
from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.ready_messages import Entry
from hutch.fakebroker.json_values import json_of_table
from hutch.fakebroker.management.bindings import DEFAULT
from hutch.fakebroker.management.bodies import integer, require
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import Refusal, bad_request, crash, lacking, not_authorised, not_found
from hutch.fakebroker.management.fields import table
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.routing import Route
from hutch.wire.codes import ReplyCode
from hutch.wire.properties import PropertyError, encode_properties

_TEXTS: Final = (
    *("content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id", "type"),
    *("user_id", "app_id", "cluster_id"),
)
_NUMBERS: Final = ("delivery_mode", "priority", "timestamp")
#: The longest routing key on the wire, in bytes.
_LONGEST: Final = 255

#: By ackmode: whether messages return to the queue, and whether they are rejected.
_MODES: Final = {
    "ack_requeue_true": (True, False),
    "ack_requeue_false": (False, False),
    "reject_requeue_true": (True, True),
    "reject_requeue_false": (False, True),
}


def _in_amqp(error: BrokerError) -> str:
    """An error as AMQP's reply text has it, with the code before it."""
    return f"{int(ReplyCode[error.name])} {error}"


def _check_vhost(call: Call) -> None:
    if call.names["V"] not in call.node.vhosts and not call.profile.names_missing_by_word:
        raise not_authorised("Access refused.")


# publish


def publish(call: Call) -> Item:
    """Publish a message; whether a queue got it."""
    key, properties, payload, encoding = require(call.body, "routing_key", "properties", "payload", "payload_encoding")
    _check_vhost(call)
    actor = call.actor()
    name = "" if call.names["X"] == DEFAULT else call.names["X"]
    if name and name not in actor.vhost.exchanges and call.profile.names_missing_by_word:
        raise not_found("exchange_not_found")
    body, raw = _payload(payload, encoding), _properties(properties)
    if not isinstance(key, str):
        if call.profile.names_missing_by_word:
            raise crash()
        return {"routed": False}
    if len(key.encode()) > _LONGEST:
        raise lacking("routing keys of more than 255 bytes")
    try:
        message, queues = engine.accept(actor, name, key, raw, body, None)
    except BrokerError as error:
        raise bad_request(_in_amqp(error)) from None
    if engine.put(actor, message, queues, None):
        raise bad_request("rejected Unable to publish message. Check queue limits.")
    actor.vhost.node.journal.confirmed(actor.origin, actor.vhost, 1)
    return {"routed": bool(queues)}


def _payload(payload: Any, encoding: Any) -> bytes:
    if not isinstance(payload, str):
        raise bad_request("payload_not_string")
    if encoding == "string":
        return payload.encode("utf-8", "surrogatepass")
    if encoding != "base64":
        raise bad_request(["unsupported_encoding", encoding])
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(["not_base64", payload]) from None


def _properties(properties: Any) -> bytes:
    """Properties as they are on the wire (HTTP-PUB-07, HTTP-PUB-08)."""
    if not isinstance(properties, Mapping):
        raise crash()
    values: dict[str, Any] = {}
    for name in _TEXTS:
        if name in properties:
            if not isinstance(properties[name], str):
                raise bad_request(["not_string", name])
            values[name] = properties[name]
    for name in _NUMBERS:
        if name in properties:
            if not isinstance(properties[name], int) or isinstance(properties[name], bool):
                raise bad_request(["not_int", name])
            values[name] = properties[name]
    if "headers" in properties:
        values["headers"] = table(properties, "headers")
    try:
        return encode_properties(values)
    except PropertyError as error:
        raise lacking(f"properties that do not fit the wire: {error}") from None


# get


def get(call: Call) -> list[Item]:
    """Get messages, and give them back or not."""
    mode, count, encoding = require(call.body, "ackmode", "count", "encoding")
    returns, rejects = _mode(call, mode)
    _check_vhost(call)
    actor, name = call.actor(), call.names["Q"]
    if name not in actor.vhost.queues and call.profile.names_missing_by_word:
        raise not_found("queue_not_found")
    number = integer(count)
    truncate = integer(call.body["truncate"]) if "truncate" in call.body else None
    if truncate is not None and truncate < 0:
        raise crash()
    if encoding not in {"auto", "base64"}:
        raise bad_request("Unsupported encoding. Please use auto or base64.")
    told: list[Item] = []

    def hand_out(queue: Queue, entry: Entry) -> None:
        no_ack = not (returns or rejects)
        journal = actor.vhost.node.journal
        journal.got(actor.origin, queue, entry.message, len(told) + 1, entry.redelivered, no_ack)
        told.append(_told(queue, entry, encoding, truncate))

    queue, entries = _take(actor, name, number, hand_out)
    if queue is not None and entries:
        _settle(actor, queue, entries, returns=returns, rejects=rejects)
    return told


def _mode(call: Call, mode: Any) -> tuple[bool, bool]:
    if isinstance(mode, str) and mode in _MODES:
        return _MODES[mode]
    if call.profile.explains_ackmodes and isinstance(mode, str):
        valid = ", ".join(_MODES)
        raise bad_request(f"Invalid ackmode value: {mode}. Valid values are: {valid}")
    raise crash()


def _take(
    actor: Actor, name: str, count: int, hand_out: Callable[[Queue, Entry], object]
) -> tuple[Queue | None, list[Entry]]:
    """Take messages, a negative ``count`` of all; each is handed out while those behind it are still there."""
    found: Queue | None = None
    entries: list[Entry] = []
    try:
        while len(entries) != count:
            found, entry = fetching.get(actor, name)
            if entry is None:
                actor.vhost.node.journal.got_nothing(actor.origin, found)
                break
            entries.append(entry)
            hand_out(found, entry)
    except BrokerError as error:
        raise _get_refused(error, actor, name) from None
    return found, entries


def _get_refused(error: BrokerError, actor: Actor, name: str) -> Refusal:
    if error.name == "ACCESS_REFUSED":
        return not_authorised(str(error))
    if error.name == "NOT_FOUND":
        return not_found(str(error))
    if error.name == "NOT_IMPLEMENTED" and actor.vhost.queues[name].type == "stream":
        return bad_request(f"{int(ReplyCode.NOT_IMPLEMENTED)} {error.text}")
    return bad_request(_in_amqp(error))


def _settle(actor: Actor, queue: Queue, entries: list[Entry], *, returns: bool, rejects: bool) -> None:
    journal = actor.vhost.node.journal
    if returns:
        queue.requeue(entries, actor.origin, failed=rejects)
    elif rejects:
        for entry in entries:
            journal.rejected(actor.origin, queue, entry.message)
            queue.discard(entry, failed=True)
    else:
        for entry in entries:
            journal.acked(actor.origin, queue, entry.message)
        queue.drop_expired()  # as with every acknowledgement
    queue.dispatch()


def _told(queue: Queue, entry: Entry, encoding: str, truncate: int | None) -> Item:
    message: Message = entry.message
    body = message.body if truncate is None else message.body[:truncate]
    payload, told_encoding = base64.b64encode(body).decode(), "base64"
    if encoding == "auto":
        with suppress(UnicodeDecodeError):
            payload, told_encoding = body.decode(), "string"
    properties = json_of_table(message.properties.values)
    return {
        "payload_bytes": len(message.body),
        "redelivered": entry.redelivered,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "message_count": len(queue),
        "properties": properties or [],
        "payload": payload,
        "payload_encoding": told_encoding,
    }


ROUTES: Final = (
    Route("exchanges/V/X/publish", {"POST": publish}),
    Route("queues/V/Q/get", {"POST": get}),
)

"""What a rule may ask of a command and of its connection."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.key_patterns import key_matches
from hutch.wire.fields import FieldError, FieldTable, read_table
from hutch.wire.methods import (
    METHODS,
    BasicAck,
    BasicDeliver,
    BasicNack,
    BasicReject,
    ConnectionOpen,
    ConnectionStartOk,
    Method,
)

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.channel import Channel
    from hutch.fakebroker.amqp091.session import Session

#: The methods that a rule may name: what clients send, and deliveries.
NAMED: Final = {method.NAME: method for method in METHODS.values() if method.CLIENT or method is BasicDeliver}
#: The criteria for connections.
OF_CONNECTIONS: Final = ("connection", "user", "client", "vhost")
_SETTLING: Final = (BasicAck, BasicNack, BasicReject)
_ALL: Final = (*OF_CONNECTIONS, "exchange", "queue", "routing_key")


def find_method(name: str) -> type[Method]:
    """The method of that name.

    Raises:
        ValueError: there is none that clients send.
    """
    if name not in NAMED:
        what = f"method that a client sends, or a fault can be for, is called {name!r}"
        raise ValueError(missing(what, name, sorted(NAMED), at_most=len(NAMED)))
    return NAMED[name]


def known_criteria(method: type[Method]) -> list[str]:
    """The criteria that fit a method."""
    fits = [name for name in ("exchange", "queue", "routing_key") if name in method.FIELDS]
    if method in _SETTLING or method is BasicDeliver:
        fits.append("queue")
    of_connection = [name for name in OF_CONNECTIONS if name != "vhost" or is_in_vhost(method)]
    return of_connection + fits


def is_in_vhost(method: type[Method]) -> bool:
    """Whether the virtual host is known when it comes."""
    return method.CLASS_ID != ConnectionOpen.CLASS_ID or method.METHOD_ID >= ConnectionOpen.METHOD_ID


def check_criteria(criteria: Mapping[str, str | None], known: Iterable[str], of: str) -> dict[str, str]:
    """The criteria that are asked for.

    Raises:
        TypeError: one does not fit, or is no text.
    """
    fitting = list(known)
    asked = {name: value for name, value in criteria.items() if value is not None}
    for name, value in asked.items():
        if name not in fitting:
            raise TypeError(f"{of} cannot be told by its {name}; it can by: {', '.join(fitting)}")
        if not isinstance(value, str):
            raise TypeError(f"{name} is a text, not {value!r}")
    return asked


def is_of_connection(session: "Session", asked: Mapping[str, str], method: Method | None = None) -> bool:
    """Whether a connection is as asked. What is not known yet is not. ``method`` is the one that is at hand."""
    client = session.client
    properties: FieldTable = client.properties
    user, vhost = client.user, None if session.connection is None else session.connection.vhost.name
    if isinstance(method, ConnectionStartOk):
        properties, user = method.client_properties, _user_of(method)
    elif isinstance(method, ConnectionOpen):
        vhost = method.virtual_host
    if "connection" in asked and asked["connection"] not in {client.peer.name, properties.get("connection_name")}:
        return False
    return (
        asked.get("user", user) == user
        and asked.get("vhost", vhost) == vhost
        and ("client" not in asked or asked["client"] == properties.get("product"))
    )


def _user_of(method: ConnectionStartOk) -> str | None:
    """Who wants to log in, as far as the mechanisms PLAIN and AMQPLAIN tell."""
    if method.mechanism == "AMQPLAIN":
        try:
            table, _ = read_table(len(method.response).to_bytes(4) + method.response)
        except FieldError:
            return None
        user = table.get("LOGIN")
        return user if isinstance(user, str) else None
    parts = method.response.split(b"\0")
    return parts[1].decode("utf-8", "replace") if method.mechanism == "PLAIN" and len(parts) == 3 else None


def is_of_command(channel: "Channel | None", asked: Mapping[str, str], method: Method) -> bool:
    """Whether a command is as asked."""
    if "exchange" in asked and asked["exchange"] != getattr(method, "exchange", None):
        return False
    if "routing_key" in asked and not key_matches(asked["routing_key"], getattr(method, "routing_key", "")):
        return False
    return "queue" not in asked or asked["queue"] in _queues_of(channel, method)


def _queues_of(channel: "Channel | None", method: Method) -> set[str | None]:
    """The queues that a command is for; with ``multiple`` there may be several."""
    if channel is None:
        return set()
    if isinstance(method, BasicDeliver):
        consumer = channel.consumers.get(method.consumer_tag)
        return set() if consumer is None else {consumer.queue.name}
    if isinstance(method, BasicAck | BasicNack | BasicReject):
        tag, unacked = method.delivery_tag, channel.sink.unacked
        if not getattr(method, "multiple", False):
            return {unacked[tag].queue.name} if tag in unacked else set()
        return {delivery.queue.name for number, delivery in unacked.items() if not tag or number <= tag}
    return {getattr(method, "queue", "") or channel.last_queue}

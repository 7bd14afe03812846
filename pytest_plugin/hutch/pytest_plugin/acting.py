"""What a test does at a broker without a client: publish a message, take one, answer requests."""

import json as json_format
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker import Broker, Message
from hutch.fakebroker.engine import fetching, publishing
from hutch.fakebroker.engine.actors import operator
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.origin import OPERATOR
from hutch.fakebroker.engine.unknown_names import missing
from hutch.pytest_plugin.criteria import ANYTHING, Anything
from hutch.pytest_plugin.due import what_is_due
from hutch.pytest_plugin.views import find_vhost
from hutch.wire.properties import encode_properties

if TYPE_CHECKING:
    from hutch.client import Connection, ReceivedMessage
    from hutch.fakebroker.turn import Turn

#: What answers a request: a body (bytes, text), something to write as JSON, or ``None`` for no answer.
Answer = Callable[["ReceivedMessage"], object]


def encode(body: object, json: object = ANYTHING) -> tuple[bytes, dict[str, Any]]:
    """A body, and the properties that tell what it is.

    Raises:
        TypeError: both body and JSON, or a body that is neither bytes nor text.
    """
    if isinstance(json, Anything):
        if isinstance(body, str):
            return body.encode(), {}
        if not isinstance(body, bytes):
            raise TypeError(f"a body is bytes or text, not {body!r}; json= takes other values")
        return body, {}
    if body != b"":
        raise TypeError("a message has either a body or json, not both")
    return json_format.dumps(json).encode(), {"content_type": "application/json"}


def _turn(broker: Broker) -> "Turn":
    """A turn, once all is done that clients have sent by now.

    Raises:
        RuntimeError: the broker is stopped or closed.
    """
    broker.drain_clients()
    broker.hub.check_running()
    return broker.hub.turn


def publish(
    broker: Broker,
    routing_key: str,
    *,
    exchange: str,
    vhost: str | None,
    body: bytes | str,
    json: object,
    headers: Mapping[str, Any] | None,
    properties: Mapping[str, Any],
) -> list[str]:
    """See :meth:`FakeBroker.publish <hutch.pytest_plugin.FakeBroker.publish>`."""
    raw, told = encode(body, json)
    values = {**told, **properties} if headers is None else {**told, **properties, "headers": dict(headers)}
    encoded = encode_properties(values)
    with _turn(broker) as node:
        place = find_vhost(node, vhost)
        if exchange and exchange not in place.exchanges:
            raise LookupError(missing(f"exchange {exchange!r} in vhost {place.name!r}", exchange, place.exchanges))
        try:
            queues = publishing.publish(operator(place), exchange, routing_key, encoded, raw)
        except BrokerError as error:
            raise ValueError(str(error)) from error
        if queues:
            return [queue.name for queue in queues]
        if not exchange:
            raise LookupError(missing(f"queue {routing_key!r} in vhost {place.name!r}", routing_key, place.queues))
        keys = [binding.routing_key for binding in place.exchanges[exchange].outgoing.values()]
        what = f"queue gets what is published to exchange {exchange!r} with key {routing_key!r}: no binding matches"
        raise LookupError(missing(what, routing_key, dict.fromkeys(keys)))


def get(broker: Broker, queue: str, vhost: str | None) -> Message:
    """See :meth:`FakeBroker.get <hutch.pytest_plugin.FakeBroker.get>`."""
    with _turn(broker) as node:
        place = find_vhost(node, vhost)
        if queue not in place.queues:
            raise LookupError(missing(f"queue {queue!r} in vhost {place.name!r}", queue, place.queues))
        try:
            found, entry = fetching.get(operator(place), queue)
        except BrokerError as error:
            raise ValueError(str(error)) from error
        if entry is not None:
            message: Message = entry.message
            node.journal.got(OPERATOR, found, message, 0, entry.redelivered, no_ack=True)
            found.drop_expired()  # as with every acknowledgement
            return message
    raise LookupError(f"no message is ready in {queue!r}. {what_is_due(broker)}")


class Replier:
    """Consumes a queue on a client and in a thread of its own, and answers each request."""

    def __init__(self, connection: "Connection", queue: str, function: Answer) -> None:
        self._connection: Final = connection
        self._function: Final = function
        channel = connection.channel()
        self._channel: Final = channel
        channel.basic_consume(queue, callback=self._on_request)
        self._thread: Final = threading.Thread(target=self._run, name=f"reply_to {queue}", daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether it answers no more."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait for the end of the thread, once the broker is closed."""
        self._thread.join(5)

    def _run(self) -> None:
        from hutch.client import AMQPError as ClientError  # noqa: PLC0415  (imported by the client already)

        try:
            while True:
                self._connection.drain_events()
        except (ClientError, OSError):
            self._connection.collect()  # the broker is closed, or the queue is gone

    def _on_request(self, request: "ReceivedMessage") -> None:
        from hutch.client import Message as Reply  # noqa: PLC0415

        tag = request.delivery_tag
        try:
            answer = self._function(request)
            if answer is not None:
                body, told = encode(answer) if isinstance(answer, bytes | str) else encode(b"", answer)
                to = request.properties.get("reply_to")
                if not to:
                    raise ValueError(f"a request without reply_to cannot be answered: {request!r}")
                told["correlation_id"] = request.properties.get("correlation_id")
                told = {name: value for name, value in told.items() if value is not None}
                self._channel.basic_publish(Reply(body, **told), routing_key=to)
        except Exception:  # whatever the test's function raises
            self._channel.basic_reject(tag, requeue=False)
            # As of any thread: pytest fails or warns, and tells the traceback.
            kind, error, trace = sys.exc_info()
            assert kind is not None
            threading.excepthook(threading.ExceptHookArgs((kind, error, trace, threading.current_thread())))
        else:
            self._channel.basic_ack(tag)

"""A message inside the broker: the bytes it came in, with what the broker has read of its properties."""

from functools import lru_cache

from hutch.fakebroker.engine.delivered_properties import signed
from hutch.fakebroker.engine.message_properties import Envelope
from hutch.wire.fields import FieldTable
from hutch.wire.properties import Properties, encode_properties


@lru_cache(maxsize=1024)
def _address(exchange: str, routing_key: str) -> bytes:
    exchange_bytes, key_bytes = exchange.encode(), routing_key.encode()
    return bytes((len(exchange_bytes),)) + exchange_bytes + bytes((len(key_bytes),)) + key_bytes


class Message:
    """One message as it was published, or as it was dead-lettered; it may stand in many queues.

    ``properties_size`` is how many bytes its properties count for: those that they had when it was published, where
    deaths are kept beside them. ``written`` is whether only what is on disk is left of it. The history marks it with
    ``counted_in``.

    ``number`` is its own on its broker, from 1 on, and 0 on none. It keeps the number while it is delivered, requeued
    and delayed. A dead letter is another message, with a number of its own.

    ``address`` is the exchange and routing key as two short strings, as they are delivered. ``deaths`` is what the
    broker itself knows of its deaths (``MessageProfile.tracks_deaths``).
    """

    __slots__ = (
        "address",
        "bcc",
        "body",
        "counted_in",
        "deaths",
        "envelope",
        "exchange",
        "failures",
        "number",
        "properties_size",
        "routing_key",
        "written",
    )

    def __init__(
        self,
        exchange: str,
        routing_key: str,
        envelope: Envelope,
        body: bytes,
    ) -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.envelope = envelope
        self.body = body
        self.counted_in: object = None
        self.address = _address(exchange, routing_key)
        #: Routing keys of the BCC header, which is delivered to nobody.
        self.bcc = envelope.bcc
        #: Deaths, newest first; see :mod:`hutch.fakebroker.engine.deadletter`.
        self.deaths: tuple[FieldTable, ...] = ()
        #: How many deliveries failed before the message was dead-lettered. In versions that count this, even the first
        #: delivery of the dead letter is marked redelivered (DLX-03).
        self.failures = 0
        self.properties_size = envelope.counted_size
        self.written = False
        self.number = 0

    def readdressed(self, exchange: str, routing_key: str) -> "Message":
        """The same as if it was published there."""
        message = Message(exchange, routing_key, self.envelope, self.body)
        message.bcc = self.bcc
        message.deaths = self.deaths
        message.failures = self.failures
        message.properties_size = self.properties_size
        message.written = self.written
        message.number = self.number
        return message

    def from_disk(self) -> "Message":
        """The same as it is on disk. What was rewritten is written with what was read of it."""
        message = self.readdressed(self.exchange, self.routing_key)
        message.written = not self.envelope.rewritten
        return message

    @property
    def body_size(self) -> int:
        """How many bytes its body has. It is not kept: a number takes 40 bytes of each message that waits."""
        return len(self.body)

    @property
    def properties(self) -> Properties:
        """The properties as they are delivered."""
        return self.envelope.properties

    @property
    def headers(self) -> FieldTable:
        """The headers as they are delivered; empty where there are none."""
        return self.envelope.properties.headers

    @property
    def routing_keys(self) -> tuple[str, ...]:
        """The routing key, then those of the CC and BCC headers (PUB-19, PUB-20)."""
        return (self.routing_key, *self.envelope.cc, *self.bcc)

    def __repr__(self) -> str:
        return f"Message({self.exchange!r}, {self.routing_key!r}, {self.properties!r}, {self.body[:80]!r})"


class SeenMessage(Message):
    """A message whose headers the broker sees otherwise than they are delivered: as ``seen``."""

    __slots__ = ("seen",)

    def __init__(self, exchange: str, routing_key: str, envelope: Envelope, body: bytes, seen: FieldTable) -> None:
        super().__init__(exchange, routing_key, envelope, body)
        self.seen = seen

    @property
    def headers(self) -> FieldTable:
        """The headers as the broker sees them."""
        return self.seen


class BodilessMessage(Message):
    """A message whose body the history has dropped. Everything else is still there."""

    __slots__ = ("_body_size", "_reason")

    def __init__(self, message: Message, reason: str) -> None:
        super().__init__(message.exchange, message.routing_key, message.envelope, b"")
        self.bcc = message.bcc
        self.deaths = message.deaths
        self.failures = message.failures
        self._body_size = message.body_size
        self.properties_size = message.properties_size
        self.written = message.written
        self.number = message.number
        self._reason = reason

    @property
    def body_size(self) -> int:
        """How many bytes its body had."""
        return self._body_size

    @property
    def body(self) -> bytes:
        """There is none.

        Raises:
            LookupError: always; the text says why.
        """
        raise LookupError(f"the history no longer keeps this body of {self.body_size} bytes ({self._reason})")

    @body.setter
    def body(self, _body: bytes) -> None:
        """Ignore the empty body that the base class sets."""

    def __repr__(self) -> str:
        body = f"<body of {self.body_size} bytes, no longer kept>"
        return f"Message({self.exchange!r}, {self.routing_key!r}, {self.properties!r}, {body})"


def with_headers(message: Message, headers: FieldTable, without: tuple[str, ...] = ()) -> bytes:
    """The message's properties with other headers, and without the properties named."""
    values = {name: value for name, value in message.properties.values.items() if name not in without}
    values["headers"] = {name: signed(value) for name, value in headers.items()}
    return encode_properties(values)

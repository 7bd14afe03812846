"""What the cases about quorum queues share."""

from collections.abc import Mapping
from typing import Any, Final

from hutch.conformance.check import equal, typed
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable, FieldValue

#: Headers that count how often a message was requeued.
COUNTS: Final = ("x-acquired-count", "x-delivery-count")


class Yard:
    """A connection with a channel to play on, another that publishes with confirms, and quorum queues.

    What a client sends to a quorum queue is done some milliseconds later, so most of this waits for it.
    """

    def __init__(self, rabbit: Rabbit) -> None:
        self.rabbit: Final = rabbit
        self.connection: Final = rabbit.raw()
        self.channel: RawChannel = self.connection.channel(1)
        self._publisher: Final = self.connection.channel(2)
        self._publisher.call(amqp.ConfirmSelect())

    def queue(self, dead_to: str | None = None, *, kind: str = "quorum", **arguments: Any) -> str:
        """A new quorum queue, which dead-letters to the queue ``dead_to``; more arguments without ``x-``, ``_`` for
        ``-``. Or a durable one of another ``kind``.
        """
        name = self.rabbit.name()
        table: dict[str, FieldValue] = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
        if dead_to is not None:
            table |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_to}
        self.channel.call(amqp.QueueDeclare(queue=name, durable=True, arguments={"x-queue-type": kind, **table}))
        return name

    def publish(self, queue: str, *bodies: bytes, **properties: Any) -> None:
        """Publish messages that the queue must take, one after the other."""
        for body in bodies or (b"x",):
            equal(self.offer(queue, body, **properties), True, "the queue takes the message")

    def offer(self, queue: str, body: bytes = b"x", **properties: Any) -> bool:
        """Publish a message; whether the queue takes it."""
        return offer(self._publisher, queue, body, **properties)

    def another_publisher(self) -> RawChannel:
        """A new channel for :func:`offer`."""
        channel = self.rabbit.raw().channel()
        channel.call(amqp.ConfirmSelect())
        return channel

    def get(self, queue: str, *, no_ack: bool = False) -> Content:
        """The next message of a queue, which may still be on its way."""
        return self.rabbit.eventually(lambda: self.channel.get(queue, no_ack=no_ack), f"no message in {queue!r}")

    def take(self, queue: str, count: int) -> list[Content]:
        """So many messages of a queue, once that many are ready."""
        self.channel.expect_ready(queue, count)
        return [self.get(queue) for _ in range(count)]

    def expect_rest(self, queue: str, *wanted: tuple[bytes, bool]) -> None:
        """These messages alone, by body and redelivered flag, must come to be in a queue, which is emptied."""
        self.channel.expect_ready(queue, len(wanted))
        found = [self.get(queue, no_ack=True) for _ in wanted]
        equal([(content.body, bool(fields(content).redelivered)) for content in found], list(wanted))

    def reject(self, content: Content, *, requeue: bool = True) -> None:
        """Basic.reject."""
        self.channel.send(amqp.BasicReject(delivery_tag(content), requeue=requeue))

    def nack(self, content: Content, *, requeue: bool = True, multiple: bool = False) -> None:
        """Basic.nack."""
        self.channel.send(amqp.BasicNack(delivery_tag(content), multiple=multiple, requeue=requeue))

    def reopen(self) -> None:
        """Close the channel to play on, and open another."""
        self.channel.close()
        self.channel = self.connection.channel(self.channel.number)


def offer(publisher: RawChannel, queue: str, body: bytes = b"x", **properties: Any) -> bool:
    """Publish a message on a channel in confirm mode; whether it is confirmed, by an ack."""
    publisher.publish(body, routing_key=queue, **properties)
    confirm = publisher.read()
    if isinstance(confirm, amqp.BasicAck | amqp.BasicNack):
        return isinstance(confirm, amqp.BasicAck)
    raise AssertionError(f"expected a confirm, got {confirm!r}")


def counts(content: Content) -> dict[str, Any]:
    """The headers that tell how often a message came back, with the types of their values."""
    headers = properties_of(content).get("headers", {})
    table: FieldTable = headers if isinstance(headers, Mapping) else {}
    return {name: typed(value) for name, value in table.items() if name in COUNTS}


def expect_counts(rabbit: Rabbit, content: Content, *, failed: int, acquired: int | None = None) -> None:
    """A message must tell that so many deliveries came back, all that ``failed`` or ``acquired``."""
    wanted = {"x-delivery-count": ("long", failed)} if failed or rabbit.profile == "3.10" else {}
    acquired = failed if acquired is None else acquired
    if rabbit.profile != "3.10" and acquired:
        wanted["x-acquired-count"] = ("long", acquired)
    equal(counts(content), wanted, "counts")

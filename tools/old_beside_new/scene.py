"""What scenes are made of: two channels, a queue, and what is mostly done with them."""

from random import Random
from typing import Any, Final

from hutch.conformance.differential.operations import Call, Operation, Place, Publish, Settle
from hutch.conformance.differential.vocabulary import QUEUES
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable
from old_beside_new.oddities import DEATHS

#: What queues of the scenes may have.
CLASSIC: Final[tuple[FieldTable, ...]] = (
    {},
    {"x-max-priority": 3},
    {"x-max-length": 3, "x-overflow": "reject-publish"},
    {"x-single-active-consumer": True},
    {"x-message-ttl": 200, "x-dead-letter-exchange": ""},
    {"x-dead-letter-exchange": "x1", "x-dead-letter-routing-key": "a"},
)
QUORUM: Final[tuple[FieldTable, ...]] = (
    {},
    {"x-delivery-limit": 1, "x-dead-letter-exchange": "x2"},
    {"x-max-length": 2, "x-overflow": "reject-publish"},
    {"x-max-length": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q1"},
    {"x-single-active-consumer": True},
    {"x-message-ttl": 200},
    {"x-consumer-timeout": 1000},
    {"x-delayed-retry-type": "all", "x-delayed-retry-min": 100, "x-delayed-retry-max": 150},
)
STREAMS: Final[tuple[FieldTable, ...]] = (
    {},
    {"x-max-length-bytes": 400, "x-stream-max-segment-size-bytes": 150},
    {"x-max-age": "2s", "x-stream-max-segment-size-bytes": 150},
)
TYPED: Final[tuple[FieldTable, ...]] = (
    *CLASSIC,
    *({"x-queue-type": "quorum", **table} for table in QUORUM),
    *({"x-queue-type": "stream", **table} for table in STREAMS),
)


#: How a delivery is settled, and whether it is to be requeued.
_VERDICTS: Final = (
    ("ack", False),
    ("ack", False),
    ("nack", True),
    ("nack", False),
    ("reject", True),
    ("reject", False),
)


class Scene:
    """The two channels and the queue of a scene."""

    def __init__(self, random: Random) -> None:
        self.random: Final = random
        places = [Place(connection, channel) for connection in (1, 2) for channel in (1, 2)]
        self.place, self.other = random.sample(places, 2)
        self.queue: Final[str] = random.choice(QUEUES)
        #: How all deliveries are settled, so that a message meets the same fate several times; ``None`` for any way.
        self._verdict: Final = random.choice((None, random.choice(_VERDICTS)))

    def call(self, method: wire.Method, place: Place | None = None) -> Operation:
        """Call a method, by default on the first channel."""
        return Call(place or self.place, method)

    def declared(self, *tables: FieldTable) -> list[Operation]:
        """Delete the queue and declare it with one of the tables."""
        arguments = self.random.choice(tables)
        return [
            self.call(wire.QueueDelete(queue=self.queue)),
            self.call(wire.QueueDeclare(queue=self.queue, durable=True, arguments=arguments)),
        ]

    def published(self, count: int, **properties: Any) -> list[Operation]:
        """Publish persistent messages to the queue."""
        method = wire.BasicPublish(routing_key=self.queue, mandatory=True)
        more = {"delivery_mode": 2, **properties}
        if self.random.random() < 0.1:
            more.setdefault("headers", {"x-death": self.random.choice(DEATHS)})
        return [Publish(self.random.choice((self.place, self.other)), method, more, 20) for _ in range(count)]

    def consumer(self, tag: str, place: Place | None = None, arguments: FieldTable = wire.EMPTY_TABLE) -> Operation:
        """Consume from the queue."""
        return self.call(wire.BasicConsume(queue=self.queue, consumer_tag=tag, arguments=arguments), place)

    def settled(self, count: int) -> list[Operation]:
        """Settle deliveries."""
        return [self._settled() for _ in range(count)]

    def _settled(self) -> Operation:
        random = self.random
        verdict, requeue = random.choice(_VERDICTS) if self._verdict is None else self._verdict
        flags = {"multiple": random.random() < 0.3, "requeue": requeue}
        return Settle(random.choice((self.place, self.other)), verdict, random.randrange(4), **flags)

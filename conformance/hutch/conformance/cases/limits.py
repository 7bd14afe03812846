"""Queues with a limit, and what they do with what is too much (CONFIRM, DLX)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldTable, FieldValue, Int64, type_name


class _Publisher:
    """A channel with confirms, each awaited before the next publish."""

    def __init__(self, rabbit: Rabbit) -> None:
        self.rabbit = rabbit
        self.channel: RawChannel = rabbit.raw().channel()
        self.channel.call(amqp.ConfirmSelect())
        self._published = 0

    def queue(self, dead_to: str | None = None, queue: str | None = None, **arguments: FieldValue) -> str:
        """A queue that dead-letters to the queue ``dead_to``; more arguments without ``x-``, ``_`` for ``-``."""
        name = queue or self.rabbit.name()
        table: dict[str, FieldValue] = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
        if dead_to is not None:
            table |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_to}
        self.channel.call(amqp.QueueDeclare(queue=name, arguments=table))
        return name

    def accepts(self, body: bytes, routing_key: str, exchange: str = "", **properties: Any) -> bool:
        """Publish; whether it is acknowledged. Whether a confirm says ``multiple`` does not count (CONFIRM-09)."""
        self.channel.publish(body, exchange, routing_key, **properties)
        self._published += 1
        item = self.channel.read()
        true(isinstance(item, amqp.BasicAck | amqp.BasicNack), f"expected a confirm, got {item!r}")
        equal(delivery_tag(item), self._published, "number confirmed")
        if isinstance(item, amqp.BasicNack):
            equal(item.requeue, True, "requeue of the nack")
        return isinstance(item, amqp.BasicAck)

    def fill(self, queue: str, *bodies: bytes, **properties: Any) -> None:
        """Publish messages, each of which must be acknowledged."""
        equal([self.accepts(body, queue, **properties) for body in bodies], [True] * len(bodies), "acknowledged")

    def bodies(self, queue: str) -> list[bytes]:
        """Take all ready messages out of a queue; their bodies in order."""
        found = []
        while content := self.channel.get(queue, no_ack=True):
            found.append(content.body)
        return found

    def dead(self, queue: str, count: int) -> list[tuple[bytes, FieldValue]]:
        """The next ``count`` dead letters in a queue, which must be all: their bodies, and what they died of last."""
        letters = [self.letter(queue) for _ in range(count)]
        equal(self.channel.get(queue), None, f"further messages in {queue!r}")
        return [(letter.body, _deaths(letter)[0]["reason"]) for letter in letters]

    def letter(self, queue: str) -> Content:
        """The next message of a queue, which may still be on its way."""
        return self.rabbit.eventually(lambda: self.channel.get(queue, no_ack=True), f"no message in {queue!r}")


def _deaths(content: Content) -> list[dict[str, FieldValue]]:
    headers: Any = properties_of(content)["headers"]
    deaths: list[dict[str, FieldValue]] = headers["x-death"]
    return deaths


def _expect_headers(rabbit: Rabbit, content: Content, queue: str, death: FieldTable, **more: FieldValue) -> None:
    """The headers must be those of a message that died of its queue's limit once; ``death`` adds to its x-death."""
    headers: Any = properties_of(content)["headers"]
    deaths = [dict(each) for each in _deaths(content)]
    equal([type_name(each.pop("time")) for each in deaths], ["timestamp"], "types of the times")
    wanted: dict[str, FieldValue] = {
        "count": Int64(1),
        "reason": "maxlen",
        "queue": queue,
        "exchange": "",
        "routing-keys": [queue],
        **death,
    }
    same: dict[str, FieldValue] = {**more, "x-death": [wanted]}
    for order in ("first",) if rabbit.profile == "3.10" else ("first", "last"):
        same |= {f"x-{order}-death-{key}": wanted[key] for key in ("reason", "queue", "exchange")}
    same_table({**headers, "x-death": deaths}, same)


# dropping the head


@case("DLX-20")
def dropping_the_head(rabbit: Rabbit) -> None:
    """A queue that is full drops its oldest messages; what is left is in the order in which it was published."""
    publisher = _Publisher(rabbit)
    plain = publisher.queue(max_length=3)
    explicit = publisher.queue(max_length=3, overflow="drop-head")
    for queue in (plain, explicit):
        publisher.fill(queue, *(b"%d" % number for number in range(10)))
        publisher.channel.expect_ready(queue, 3)
        equal(publisher.bodies(queue), [b"7", b"8", b"9"])
        publisher.fill(queue, b"a", b"b")
        equal(publisher.bodies(queue), [b"a", b"b"])


@case("DLX-01", "DLX-20", "DLX-02", "DLX-10")
def headers_of_a_dropped_head(rabbit: Rabbit) -> None:
    """What a full queue drops is dead-lettered with the reason maxlen, its properties kept but the expiration."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=1)
    publisher.fill(queue, b"plain", headers={"mine": 1}, correlation_id="c")
    publisher.fill(queue, b"timed", expiration="60000")
    letter = publisher.letter(dead)
    equal((letter.body, fields(letter).redelivered, fields(letter).message_count), (b"plain", False, 0))
    equal(properties_of(letter)["correlation_id"], "c")
    _expect_headers(rabbit, letter, queue, {}, mine=1)
    publisher.fill(queue, b"last")
    letter = publisher.letter(dead)
    equal((letter.body, "expiration" in properties_of(letter)), (b"timed", False))
    _expect_headers(rabbit, letter, queue, {"original-expiration": "60000"})
    equal(publisher.bodies(queue), [b"last"])


@case("DLX-01", "DLX-12")
def dropped_after_a_rejection(rabbit: Rabbit) -> None:
    """The x-death of a message that was rejected before has both deaths, the one by the limit first."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    middle = publisher.queue(dead, max_length=1)
    first = publisher.queue(middle)
    publisher.fill(first, b"x")
    publisher.channel.send(amqp.BasicReject(delivery_tag(publisher.channel.got(first)), requeue=False))
    publisher.channel.expect_ready(middle, 1)
    publisher.fill(middle, b"y")
    deaths = [(death["queue"], death["reason"], death["count"]) for death in _deaths(publisher.letter(dead))]
    equal(deaths, [(middle, "maxlen", 1), (first, "rejected", 1)])


@case("DLX-22")
def a_length_of_none(rabbit: Rabbit) -> None:
    """A queue of length 0 keeps nothing. A waiting consumer gets what is published, and a requeued message is
    dropped.
    """
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=0)
    publisher.fill(queue, b"lost")
    equal(publisher.channel.get(queue), None)
    equal(publisher.dead(dead, 1), [(b"lost", "maxlen")])
    consumer = publisher.channel.connection.channel(2)
    consumer.call(amqp.BasicQos(prefetch_count=1))
    consumer.call(amqp.BasicConsume(queue=queue))
    publisher.fill(queue, b"taken", b"too much")
    delivery = consumer.message(amqp.BasicDeliver)
    equal(delivery.body, b"taken")
    equal(publisher.dead(dead, 1), [(b"too much", "maxlen")])
    consumer.send(amqp.BasicNack(delivery_tag(delivery), multiple=False, requeue=True))
    equal(publisher.dead(dead, 1), [(b"taken", "maxlen")])
    consumer.expect_nothing(queue)


@case("DLX-23")
def dropping_for_bytes(rabbit: Rabbit) -> None:
    """A limit in bytes counts bodies; a message larger than it drives out all others, and then goes itself."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length_bytes=5)
    publisher.fill(queue, b"aa", b"bb")
    publisher.channel.expect_ready(queue, 2)
    publisher.fill(queue, b"cc", headers={"long": "x" * 100})
    equal(publisher.dead(dead, 1), [(b"aa", "maxlen")])
    publisher.fill(queue, b"dddddd")
    equal(publisher.dead(dead, 3), [(b"bb", "maxlen"), (b"cc", "maxlen"), (b"dddddd", "maxlen")])
    publisher.fill(queue, b"eeeee")
    equal(publisher.bodies(queue), [b"eeeee"])


@case("DLX-23", "DLX-22")
def no_bytes_at_all(rabbit: Rabbit) -> None:
    """A limit of no bytes leaves room for messages without a body, any number of them."""
    publisher = _Publisher(rabbit)
    queue = publisher.queue(max_length_bytes=0)
    publisher.fill(queue, b"", b"", b"")
    publisher.channel.expect_ready(queue, 3)
    publisher.fill(queue, b"x")
    publisher.channel.expect_ready(queue, 0)


@case("DLX-20", "DLX-23")
def two_limits(rabbit: Rabbit) -> None:
    """Of a limit in messages and one in bytes, whichever is exceeded counts."""
    publisher = _Publisher(rabbit)
    queue = publisher.queue(max_length=3, max_length_bytes=6)
    publisher.fill(queue, b"1", b"2", b"3", b"4")
    publisher.channel.expect_ready(queue, 3)
    publisher.fill(queue, b"five")
    equal(publisher.bodies(queue), [b"3", b"4", b"five"])
    publisher.fill(queue, b"333", b"333", b"55555")
    equal(publisher.bodies(queue), [b"55555"])


@case("DLX-24")
def unacknowledged_messages_beside_the_limit(rabbit: Rabbit) -> None:
    """Messages that were delivered do not count; when they come back what is too much is dropped from the head."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=2)
    publisher.fill(queue, b"0", b"1")
    tags = [delivery_tag(publisher.channel.got(queue)) for _ in range(2)]
    publisher.fill(queue, b"2", b"3", b"4")
    equal(publisher.dead(dead, 1), [(b"2", "maxlen")])
    publisher.channel.send(amqp.BasicNack(tags[-1], multiple=True, requeue=True))
    equal(publisher.dead(dead, 2), [(b"0", "maxlen"), (b"1", "maxlen")])
    equal(publisher.bodies(queue), [b"3", b"4"])


@case("DLX-24", "CONSUME-31")
def requeueing_to_a_full_queue_with_a_consumer(rabbit: Rabbit) -> None:
    """A message that returns to a full queue is dropped, although its consumer has room for it again."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=1)
    consumer = publisher.channel.connection.channel(2)
    consumer.call(amqp.BasicQos(prefetch_count=1))
    consumer.call(amqp.BasicConsume(queue=queue))
    publisher.fill(queue, b"0", b"1")
    delivery = consumer.message(amqp.BasicDeliver)
    equal(delivery.body, b"0")
    consumer.send(amqp.BasicReject(delivery_tag(delivery), requeue=True))
    delivery = consumer.message(amqp.BasicDeliver)
    equal((delivery.body, fields(delivery).redelivered), (b"1", False))
    equal(publisher.dead(dead, 1), [(b"0", "maxlen")])


@case("DLX-20", "TTL-01", "TTL-02")
def dropping_uncovers_a_message_with_a_time(rabbit: Rabbit) -> None:
    """When the head is dropped and the next message has a time to live, that one goes when its time is over."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=2)
    publisher.fill(queue, b"live")
    publisher.fill(queue, b"short", expiration="200")
    publisher.fill(queue, b"after")
    equal(publisher.dead(dead, 1), [(b"live", "maxlen")])
    rabbit.advance(0.3)
    equal(publisher.dead(dead, 1), [(b"short", "expired")])
    equal(publisher.bodies(queue), [b"after"])


@case("DLX-20", "TTL-01")
def dropping_uncovers_an_expired_message(rabbit: Rabbit) -> None:
    """A message that has expired counts until it comes to the head; when the one before it is dropped it goes too."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=2)
    publisher.fill(queue, b"live")
    publisher.fill(queue, b"short", expiration="100")
    rabbit.advance(0.25)
    publisher.channel.expect_ready(queue, 2)
    publisher.fill(queue, b"after")
    equal(publisher.dead(dead, 2), [(b"live", "maxlen"), (b"short", "expired")])
    equal(publisher.bodies(queue), [b"after"])


@case("DLX-13", "DLX-20")
def dropping_into_the_same_queue(rabbit: Rabbit) -> None:
    """A message that a full queue would dead-letter to itself is dropped."""
    publisher = _Publisher(rabbit)
    queue = rabbit.name()
    publisher.queue(queue, queue, max_length=1)
    publisher.fill(queue, b"0", b"1", b"2")
    publisher.channel.expect_ready(queue, 1)
    equal(publisher.bodies(queue), [b"2"])


# rejecting publishes


@case("CONFIRM-09", "DLX-21")
def rejecting_what_is_published(rabbit: Rabbit) -> None:
    """A full queue that rejects keeps what it has; the publisher gets a nack, and nothing is dead-lettered."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=2, overflow="reject-publish")
    equal([publisher.accepts(b"%d" % number, queue) for number in range(4)], [True, True, False, False])
    publisher.channel.send(amqp.BasicReject(delivery_tag(publisher.channel.got(queue)), requeue=False))
    equal(publisher.dead(dead, 1), [(b"0", "rejected")])
    equal([publisher.accepts(b"%d" % number, queue) for number in (4, 5)], [True, False])
    equal(publisher.bodies(queue), [b"1", b"4"])


@case("DLX-21", "DLX-01", "DLX-10")
def rejecting_and_dead_lettering(rabbit: Rabbit) -> None:
    """A full queue may reject a message and dead-letter it at once; that one tells the reason maxlen."""
    publisher = _Publisher(rabbit)
    dead = publisher.queue()
    queue = publisher.queue(dead, max_length=1, overflow="reject-publish-dlx")
    publisher.fill(queue, b"kept")
    properties: dict[str, Any] = {"headers": {"mine": 1}, "correlation_id": "c", "delivery_mode": 2}
    equal(publisher.accepts(b"rejected", queue, expiration="60000", **properties), False)
    letter = publisher.letter(dead)
    equal((letter.body, fields(letter).redelivered), (b"rejected", False))
    equal({key for key in properties_of(letter) if key != "headers"}, {"correlation_id", "delivery_mode"})
    _expect_headers(rabbit, letter, queue, {"original-expiration": "60000"}, mine=1)
    equal(publisher.bodies(queue), [b"kept"])


@case("CONFIRM-10")
def one_of_several_queues_rejects(rabbit: Rabbit) -> None:
    """A message for several queues of which one rejects it is answered by one nack, and the others keep it."""
    publisher = _Publisher(rabbit)
    exchange = rabbit.name("x")
    publisher.channel.call(amqp.ExchangeDeclare(exchange=exchange, type="fanout"))
    open_ = [publisher.queue(), publisher.queue(max_length=1)]
    full = [publisher.queue(max_length=1, overflow=way) for way in ("reject-publish", "reject-publish-dlx")]
    for queue in (full[0], *open_, full[1]):
        publisher.channel.call(amqp.QueueBind(queue=queue, exchange=exchange))
    equal([publisher.accepts(b"%d" % number, "", exchange) for number in range(3)], [True, False, False])
    publisher.channel.expect_nothing()
    equal([publisher.bodies(queue) for queue in open_], [[b"0", b"1", b"2"], [b"2"]])
    equal([publisher.bodies(queue) for queue in full], [[b"0"], [b"0"]])
    equal(publisher.accepts(b"3", "", exchange), True)


@case("CONFIRM-11", "DLX-23")
def rejecting_for_bytes(rabbit: Rabbit) -> None:
    """A queue with a limit in bytes rejects what would take it beyond, and then still takes what fits."""
    publisher = _Publisher(rabbit)
    queue = publisher.queue(max_length_bytes=10, overflow="reject-publish")
    bodies = (b"11 bytes...", b"four", b"4444", b"four", b"22", b"", b"1")
    equal([publisher.accepts(body, queue) for body in bodies], [False, True, True, False, True, True, False])
    equal(publisher.bodies(queue), [b"four", b"4444", b"22", b""])


@case("CONFIRM-12")
def rejecting_everything(rabbit: Rabbit) -> None:
    """A queue of length 0 that rejects takes nothing, not even for a consumer that waits."""
    publisher = _Publisher(rabbit)
    for way in ("reject-publish", "reject-publish-dlx"):
        queue = publisher.queue(max_length=0, overflow=way)
        equal(publisher.accepts(b"x", queue), False)
        consumer = rabbit.raw().channel()
        consumer.call(amqp.BasicConsume(queue=queue))
        equal(publisher.accepts(b"y", queue), False)
        consumer.expect_nothing(queue)


@case("PUB-03")
def mandatory_to_a_queue_that_rejects(rabbit: Rabbit) -> None:
    """A mandatory message that its queue rejects is not returned; there is only the nack."""
    publisher = _Publisher(rabbit)
    queue = publisher.queue(max_length=0, overflow="reject-publish")
    equal(publisher.accepts(b"x", queue, mandatory=True), False)
    publisher.channel.expect_nothing()


@case("CONFIRM-09", "PUB-03")
def rejecting_without_confirms(rabbit: Rabbit) -> None:
    """A publisher without confirms is not told that its message was rejected."""
    publisher = _Publisher(rabbit)
    queue = publisher.queue(max_length=1, overflow="reject-publish")
    plain = publisher.channel.connection.channel(2)
    for number in range(3):
        plain.publish(b"%d" % number, routing_key=queue, mandatory=True)
    equal(fields(plain.got(queue)).message_count, 0)
    plain.expect_nothing()
    equal(plain.get(queue), None)


@case("CONFIRM-09", "DLX-24")
def room_in_a_queue_that_rejects(rabbit: Rabbit) -> None:
    """A delivered message makes room for another one. A message that returns is kept, even above the limit."""
    publisher = _Publisher(rabbit)
    for way in ("reject-publish", "reject-publish-dlx"):
        dead = publisher.queue()
        queue = publisher.queue(dead, max_length=1, overflow=way)
        publisher.fill(queue, b"0")
        tag = delivery_tag(publisher.channel.got(queue))
        publisher.fill(queue, b"1")
        publisher.channel.send(amqp.BasicReject(tag, requeue=True))
        publisher.channel.expect_ready(queue, 2)
        equal(publisher.accepts(b"2", queue), False)
        publisher.channel.send(amqp.BasicAck(delivery_tag(publisher.channel.got(queue))))
        equal(publisher.accepts(b"3", queue), False)
        equal(publisher.bodies(queue), [b"1"])
        publisher.fill(queue, b"4")
        equal(publisher.dead(dead, 0 if way == "reject-publish" else 2), _rejected(way, b"2", b"3"))


def _rejected(way: str, *bodies: bytes) -> list[tuple[bytes, FieldValue]]:
    return [(body, "maxlen") for body in bodies if way == "reject-publish-dlx"]


@case("CONFIRM-09", "TTL-01")
def expired_messages_make_room(rabbit: Rabbit) -> None:
    """A message that expires at the head makes room for another one; an expired message behind a live one does not."""
    publisher = _Publisher(rabbit)
    queue = publisher.queue(max_length=1, overflow="reject-publish")
    publisher.fill(queue, b"short", expiration="1000")
    equal(publisher.accepts(b"early", queue), False)
    behind = publisher.queue(max_length=2, overflow="reject-publish")
    publisher.fill(behind, b"live")
    publisher.fill(behind, b"short", expiration="100")
    rabbit.advance(1.2)
    equal((publisher.accepts(b"late", queue), publisher.accepts(b"late", behind)), (True, False))
    equal((publisher.bodies(queue), publisher.bodies(behind)), ([b"late"], [b"live"]))


@case("DLX-21", "CONFIRM-09")
def dead_letters_for_a_full_queue(rabbit: Rabbit) -> None:
    """A dead letter that a full queue rejects is gone, or dead-lettered once more where the queue does that."""
    publisher = _Publisher(rabbit)
    last = publisher.queue()
    for way, wanted in (("reject-publish", []), ("reject-publish-dlx", [(b"x", "maxlen")])):
        full = publisher.queue(last, max_length=1, overflow=way)
        first = publisher.queue(full)
        publisher.fill(full, b"kept")
        publisher.fill(first, b"x")
        publisher.channel.send(amqp.BasicReject(delivery_tag(publisher.channel.got(first)), requeue=False))
        equal(publisher.dead(last, len(wanted)), wanted)
        publisher.channel.expect_ready(full, 1)
        equal(publisher.bodies(full), [b"kept"])


@case("DLX-20", "QUEUE-ARG-12")
def overflow_without_a_limit(rabbit: Rabbit) -> None:
    """A way to overflow means nothing to a queue without a limit."""
    publisher = _Publisher(rabbit)
    for way in ("drop-head", "reject-publish", "reject-publish-dlx"):
        queue = publisher.queue(overflow=way)
        publisher.fill(queue, b"0", b"1", b"2")
        equal(publisher.bodies(queue), [b"0", b"1", b"2"])


@case("CONFIRM-10")
def the_one_queue_that_rejects(rabbit: Rabbit) -> None:
    """Whichever of three queues rejects a message, the first bound or the last, there is one nack."""
    for which in range(3):
        publisher = _Publisher(rabbit)
        exchange = rabbit.name("x")
        publisher.channel.call(amqp.ExchangeDeclare(exchange=exchange, type="fanout"))
        queues = [publisher.queue() for _ in range(3)]
        queues[which] = publisher.queue(max_length=1, overflow="reject-publish")
        for queue in queues:
            publisher.channel.call(amqp.QueueBind(queue=queue, exchange=exchange))
        equal([publisher.accepts(b"%d" % number, "", exchange) for number in range(2)], [True, False])
        publisher.channel.expect_nothing()
        kept = [[b"0"] if number == which else [b"0", b"1"] for number in range(3)]
        equal([publisher.bodies(queue) for queue in queues], kept)

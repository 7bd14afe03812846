"""Dead letters (DLX)."""

from collections.abc import Mapping, Sequence
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, delivery_tag, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import FieldValue, Int64, type_name

Table = Mapping[str, FieldValue]


class _Yard:
    """A channel to play on, and queues whose dead letters go where they are told."""

    def __init__(self, rabbit: Rabbit) -> None:
        self.rabbit = rabbit
        self.channel: RawChannel = rabbit.raw().channel()

    def queue(self, dead_to: str | None = None, queue: str | None = None, **arguments: Any) -> str:
        """A queue that dead-letters to the queue ``dead_to``; more arguments without ``x-``, ``_`` for ``-``."""
        name = queue or self.rabbit.name()
        table: dict[str, FieldValue] = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
        if dead_to is not None:
            table |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_to}
        self.channel.call(amqp.QueueDeclare(queue=name, arguments=table))
        return name

    def exchange(self, exchange_type: str = "fanout", **kwargs: Any) -> str:
        name = self.rabbit.name("x")
        self.channel.call(amqp.ExchangeDeclare(exchange=name, type=exchange_type, **kwargs))
        return name

    def bind(self, queue: str, exchange: str, routing_key: str = "") -> None:
        self.channel.call(amqp.QueueBind(queue=queue, exchange=exchange, routing_key=routing_key))

    def publish(self, queue: str, body: bytes = b"x", **properties: Any) -> None:
        self.channel.publish(body, routing_key=queue, **properties)

    def get(self, queue: str) -> Content:
        """The next message of a queue, which may still be on its way."""
        return self.rabbit.eventually(lambda: self.channel.get(queue), f"no message in {queue!r}")

    def reject(self, queue: str) -> None:
        """Have a queue's next message rejected."""
        self.channel.send(amqp.BasicReject(delivery_tag(self.get(queue)), requeue=False))

    def deaths(self, content: Content) -> list[dict[str, FieldValue]]:
        """A message's x-death, the times taken out; they must be timestamps."""
        headers: Any = properties_of(content)["headers"]
        deaths: Any = headers["x-death"]
        equal([type_name(death["time"]) for death in deaths], ["timestamp"] * len(deaths), "types of the times")
        return [{key: value for key, value in death.items() if key != "time"} for death in deaths]

    def headers(self, content: Content) -> dict[str, FieldValue]:
        """A message's headers, the times of its deaths taken out."""
        headers: Any = properties_of(content)["headers"]
        return {**headers, "x-death": self.deaths(content)}

    def expect_headers(self, content: Content, deaths: Sequence[Table], **more: FieldValue) -> None:
        """The headers must be what these deaths, the first one last, make of ``more``."""
        wanted: dict[str, FieldValue] = {**more, "x-death": list(deaths)}
        for key in ("reason", "queue", "exchange"):
            wanted[f"x-first-death-{key}"] = deaths[-1][key]
            if self.rabbit.profile != "3.10":
                wanted[f"x-last-death-{key}"] = deaths[0][key]
        same_table(self.headers(content), wanted)


def _death(queue: str, reason: str, keys: Sequence[str] | None = None, exchange: str = "", count: int = 1) -> Table:
    return {
        "count": Int64(count),
        "reason": reason,
        "queue": queue,
        "exchange": exchange,
        "routing-keys": [queue] if keys is None else list(keys),
    }


def _redelivered(content: Content) -> bool:
    return bool(fields(content).redelivered)


@case("DLX-01", "DLX-02", "DLX-04", "DLX-25")
def headers_of_a_rejected_message(rabbit: Rabbit) -> None:
    """A rejected message goes to the dead-letter exchange; its headers tell why, from where, when and how often."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    yard.publish(queue, b"body", headers={"mine": 1}, correlation_id="c")
    yard.reject(queue)
    content = yard.get(dead)
    equal((content.body, properties_of(content)["correlation_id"]), (b"body", "c"))
    yard.expect_headers(content, [_death(queue, "rejected")], mine=1)


@case("DLX-01", "DLX-02", "TTL-02")
def headers_of_a_message_expired_by_its_queue(rabbit: Rabbit) -> None:
    """A message that its queue's time to live ends is dead-lettered as expired."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead, message_ttl=100)
    yard.publish(queue)
    rabbit.advance(0.2)
    content = yard.get(dead)
    equal(_redelivered(content), False)
    yard.expect_headers(content, [_death(queue, "expired")])


@case("DLX-10", "DLX-02")
def expiration_of_a_dead_letter(rabbit: Rabbit) -> None:
    """A dead letter keeps its properties except the expiration. Its x-death has the expiration, whatever the reason of
    the death.
    """
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    properties: dict[str, Any] = {
        "content_type": "text/plain",
        "delivery_mode": 2,
        "priority": 3,
        "message_id": "m",
        "app_id": "a",
        "reply_to": "r",
    }
    for expiration, reason in (("60000", "rejected"), ("100", "expired")):
        yard.publish(queue, expiration=expiration, **properties)
        if reason == "rejected":
            yard.reject(queue)
        else:
            rabbit.advance(0.2)
        content = yard.get(dead)
        yard.expect_headers(content, [{**_death(queue, reason), "original-expiration": expiration}])
        got = dict(properties_of(content))
        del got["headers"]
        equal(got, properties)


@case("DLX-03")
def redelivered_flag_of_a_dead_letter(rabbit: Rabbit) -> None:
    """A dead letter is not marked redelivered; in 4.x it is after basic.reject, though not after basic.nack."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    yard.publish(queue)
    yard.reject(queue)
    equal(_redelivered(yard.get(dead)), rabbit.by_profile({"3.10": False, "4.3": True}), "after reject")
    yard.publish(queue)
    yard.channel.send(amqp.BasicNack(delivery_tag(yard.get(queue)), multiple=False, requeue=False))
    equal(_redelivered(yard.get(dead)), False, "after nack")


@case("DLX-05", "DLX-06")
def exchange_and_key_of_a_dead_letter(rabbit: Rabbit) -> None:
    """A dead letter bears the dead-letter exchange's name, and its own routing key unless the queue sets one."""
    yard = _Yard(rabbit)
    exchange = yard.exchange("fanout")
    dead = yard.queue()
    yard.bind(dead, exchange)
    for key in (None, "other", ""):
        arguments: dict[str, Any] = {} if key is None else {"dead_letter_routing_key": key}
        queue = yard.queue(dead_letter_exchange=exchange, **arguments)
        yard.publish(queue)
        yard.reject(queue)
        content = yard.get(dead)
        method: Any = content.method
        equal((method.exchange, method.routing_key), (exchange, queue if key is None else key))
        yard.expect_headers(content, [_death(queue, "rejected")])


@case("DLX-02", "DLX-05")
def origin_in_x_death(rabbit: Rabbit) -> None:
    """X-death tells the exchange and routing key that the message was published with."""
    yard = _Yard(rabbit)
    exchange, dead = yard.exchange("topic"), yard.queue()
    queue = yard.queue(dead)
    yard.bind(queue, exchange, "order.*")
    yard.channel.publish(b"x", exchange, "order.created")
    yard.reject(queue)
    yard.expect_headers(yard.get(dead), [_death(queue, "rejected", ["order.created"], exchange)])


@case("DLX-07", "DLX-08")
def cc_of_a_dead_letter(rabbit: Rabbit) -> None:
    """Where the queue sets no routing key CC and BCC keys are used again; x-death tells the CC keys only.

    (The catalogue has BCC keys unused.)
    """
    yard = _Yard(rabbit)
    exchange, queue, hidden = yard.exchange("direct"), rabbit.name(), yard.queue()
    yard.queue(queue=queue, dead_letter_exchange=exchange)
    by_key, by_cc, by_bcc = yard.queue(), yard.queue(), yard.queue()
    for bound, key in ((by_key, queue), (by_cc, "copy"), (by_bcc, hidden)):
        yard.bind(bound, exchange, key)
    yard.publish(queue, headers={"CC": ["copy"], "BCC": [hidden]})
    yard.reject(queue)
    for bound in (by_key, by_cc, by_bcc):
        yard.expect_headers(yard.get(bound), [_death(queue, "rejected", [queue, "copy"])], CC=["copy"])
    equal(yard.channel.get(by_key), None)


@case("DLX-09")
def cc_and_a_dead_letter_routing_key(rabbit: Rabbit) -> None:
    """Where the queue sets a routing key only that is used; 3.x takes the CC header away, 4.x leaves it."""
    yard = _Yard(rabbit)
    copy, dead = yard.queue(), yard.queue()
    queue = yard.queue(dead)
    yard.publish(queue, headers={"CC": [copy]})
    yard.channel.send(amqp.QueuePurge(queue=copy, nowait=True))
    yard.reject(queue)
    content = yard.get(dead)
    more: dict[str, FieldValue] = rabbit.by_profile({"3.10": {}, "4.3": {"CC": [copy]}})
    yard.expect_headers(content, [_death(queue, "rejected", [queue, copy])], **more)
    equal(yard.channel.get(copy), None)


@case("DLX-11")
def dying_again_in_the_same_queue(rabbit: Rabbit) -> None:
    """If a message dies again in the same queue with the same reason, the entry's count goes up, and the entry comes
    first.
    """
    yard = _Yard(rabbit)
    first, second = rabbit.name(), rabbit.name()
    yard.queue(second, first)
    yard.queue(first, second)
    yard.publish(first)
    once_first = _death(first, "rejected")
    once_second = _death(second, "rejected")
    for queue, deaths in (
        (first, [once_first]),
        (second, [once_second, once_first]),
        (first, [_death(first, "rejected", count=2), once_second]),
        (second, [_death(second, "rejected", count=2), _death(first, "rejected", count=2)]),
    ):
        yard.reject(queue)
        target = second if queue == first else first
        content = yard.get(target)
        headers = yard.headers(content)
        same_table({"x-death": headers["x-death"]}, {"x-death": list(deaths)})
        equal((headers["x-first-death-queue"], headers["x-first-death-reason"]), (first, "rejected"))
        if rabbit.profile != "3.10":
            equal(headers["x-last-death-queue"], queue)
        yard.channel.send(amqp.BasicReject(delivery_tag(content), requeue=True))


@case("DLX-12", "DLX-04")
def dying_in_several_queues(rabbit: Rabbit) -> None:
    """Each queue and reason is a death of its own, the newest first; 3.x leaves the others in the order they began."""
    yard = _Yard(rabbit)
    last = yard.queue()
    third = yard.queue(last)
    second = yard.queue(third)
    first = yard.queue(second)
    yard.publish(first)
    for queue in (first, second, third):
        yard.reject(queue)
    content = yard.get(last)
    wanted = rabbit.by_profile({"3.10": [third, first, second], "4.3": [third, second, first]})
    deaths = yard.deaths(content)
    equal([death["queue"] for death in deaths], wanted)
    keys = [
        death["routing-keys"]
        for death in sorted(deaths, key=lambda death: [first, second, third].index(str(death["queue"])))
    ]
    equal(keys, [[first], [second], [third]])
    equal(yard.headers(content)["x-first-death-queue"], first)


@case("DLX-13")
def dead_letter_cycles_are_broken(rabbit: Rabbit) -> None:
    """A dead letter does not return to a queue in which it expired before, unless it was rejected on the way. It is
    dropped.
    """
    yard = _Yard(rabbit)
    own, there, back = rabbit.name(), rabbit.name(), rabbit.name()
    yard.queue(own, own, message_ttl=100)
    yard.queue(back, there, message_ttl=100)
    yard.queue(there, back, message_ttl=100)
    for queue in (own, there):
        yard.publish(queue)
    rabbit.advance(0.15)
    yard.channel.expect_ready(own, 0)
    yard.channel.expect_ready(there, 0)
    rabbit.advance(0.3)
    for queue in (own, there, back):
        yard.channel.expect_ready(queue, 0)
        equal(yard.channel.get(queue), None, f"messages in {queue}")


@case("DLX-15", "DLX-13")
def rejecting_into_the_same_queue(rabbit: Rabbit) -> None:
    """A message may be rejected into the queue it was in, again and again; its deaths are counted."""
    yard = _Yard(rabbit)
    queue = rabbit.name()
    yard.queue(queue, queue)
    yard.publish(queue)
    for count in (1, 2, 3):
        yard.reject(queue)
        content = yard.get(queue)
        same_table({"x-death": yard.deaths(content)}, {"x-death": [_death(queue, "rejected", count=count)]})
        yard.channel.send(amqp.BasicReject(delivery_tag(content), requeue=True))


@case("DLX-14")
def republishing_a_dead_letter(rabbit: Rabbit) -> None:
    """When a client publishes a dead letter anew and it dies again, 3.x counts on; 4.x begins again."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    yard.publish(queue)
    yard.reject(queue)
    headers = properties_of(yard.get(dead))["headers"]
    for count in (2, 3):
        yard.publish(queue, headers=headers)
        yard.reject(queue)
        content = yard.get(dead)
        wanted = _death(queue, "rejected", count=rabbit.by_profile({"3.10": count, "4.3": 1}))
        yard.expect_headers(content, [wanted])
        headers = properties_of(content)["headers"]


@case("DLX-16")
def dead_letter_exchange_missing(rabbit: Rabbit) -> None:
    """Where the dead-letter exchange is missing, dead letters are dropped."""
    yard = _Yard(rabbit)
    queue = yard.queue(dead_letter_exchange="missing")
    yard.publish(queue)
    yard.reject(queue)
    yard.publish(queue, b"next")
    equal(yard.get(queue).body, b"next")
    yard.channel.expect_nothing()


@case("DLX-17")
def dead_letter_exchanges_that_are_internal_or_have_an_alternate(rabbit: Rabbit) -> None:
    """A dead-letter exchange may be internal, and its alternate exchange is used."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    alternate = yard.exchange("fanout", internal=True)
    yard.bind(dead, alternate)
    front = yard.exchange("direct", arguments={"alternate-exchange": alternate})
    for exchange in (alternate, front):
        queue = yard.queue(dead_letter_exchange=exchange)
        yard.publish(queue)
        yard.reject(queue)
        content = yard.get(dead)
        equal(fields(content).exchange, exchange)
        yard.expect_headers(content, [_death(queue, "rejected")])


@case("DLX-18")
def purging_and_deleting_do_not_dead_letter(rabbit: Rabbit) -> None:
    """Messages that go with a purge or with their queue are not dead-lettered."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    for _ in range(2):
        yard.publish(queue)
        yard.channel.call(amqp.QueuePurge(queue=queue))
    yard.publish(queue)
    yard.channel.call(amqp.QueueDelete(queue=queue))
    yard.publish(dead, b"marker")
    equal(yard.get(dead).body, b"marker")
    equal(yard.channel.get(dead), None)


@case("DLX-19", "ACK-06")
def dead_letters_keep_their_order(rabbit: Rabbit) -> None:
    """Messages that are rejected together arrive in the order of their queue."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    for number in range(5):
        yard.publish(queue, b"%d" % number)
    tags = [delivery_tag(yard.get(queue)) for _ in range(5)]
    yard.channel.send(amqp.BasicNack(tags[-1], multiple=True, requeue=False))
    equal([yard.get(dead).body for _ in range(5)], [b"%d" % number for number in range(5)])


@case("DLX-05", "DLX-01")
def dead_letters_are_routed_to_every_queue(rabbit: Rabbit) -> None:
    """A dead-letter exchange routes like any other; a requeued message is no dead letter."""
    yard = _Yard(rabbit)
    exchange = yard.exchange("fanout")
    copies = [yard.queue(), yard.queue()]
    for copy in copies:
        yard.bind(copy, exchange)
    queue = yard.queue(dead_letter_exchange=exchange)
    yard.publish(queue)
    yard.channel.send(amqp.BasicReject(delivery_tag(yard.get(queue)), requeue=True))
    yard.reject(queue)
    for copy in copies:
        yard.expect_headers(yard.get(copy), [_death(queue, "rejected")])
        equal(yard.channel.get(copy), None)


@case("DLX-12", "DLX-11")
def dying_of_several_causes_in_one_queue(rabbit: Rabbit) -> None:
    """Two deaths in one queue of different causes are told apart, each with its own count."""
    yard = _Yard(rabbit)
    back = rabbit.name()
    queue = yard.queue(back, message_ttl=1000)
    yard.queue(queue, back)
    yard.publish(queue)
    yard.reject(queue)
    yard.reject(back)
    rabbit.advance(1.1)
    content = yard.get(back)
    deaths = [(death["queue"], death["reason"], death["count"]) for death in yard.deaths(content)]
    wanted = [(queue, "expired", 1), (back, "rejected", 1), (queue, "rejected", 1)]
    equal(sorted(deaths), sorted(wanted))
    equal(deaths[0], wanted[0])


@case("DLX-10", "QUEUE-ARG-15")
def original_expiration_of_what_was_on_disk(rabbit: Rabbit) -> None:
    """In 3.x a lazy queue writes a message to disk unless it delivers it at once. A dead letter from there does not
    have its original expiration.
    """
    for mode in ("default", "lazy"):
        yard = _Yard(rabbit)
        dead = yard.queue()
        queue = yard.queue(dead, queue_mode=mode)
        told = {"original-expiration": "60000"}
        lost = told if rabbit.profile != "3.10" or mode == "default" else {}
        yard.publish(queue, expiration="60000")
        yard.reject(queue)
        yard.expect_headers(yard.get(dead), [{**_death(queue, "rejected"), **lost}])
        # dead-lettering removes the BCC header and rewrites the others
        yard.publish(queue, expiration="60000", headers={"BCC": [dead]})
        equal(yard.get(dead).body, b"x")
        yard.reject(queue)
        yard.expect_headers(yard.get(dead), [{**_death(queue, "rejected"), **told}])
        yard.channel.call(amqp.BasicConsume(queue=queue))
        yard.publish(queue, expiration="60000")
        handed_on = yard.channel.message(amqp.BasicDeliver)
        yard.channel.send(amqp.BasicReject(delivery_tag(handed_on), requeue=False))
        yard.expect_headers(yard.get(dead), [{**_death(queue, "rejected"), **told}])


@case("DLX-13")
def a_rejection_lets_a_cycle_go_on(rabbit: Rabbit) -> None:
    """A message that was rejected on its way may return to a queue in which it was before, even if its last death was
    an expiration.
    """
    yard = _Yard(rabbit)
    other = rabbit.name()
    queue = yard.queue(other, message_ttl=100)
    yard.queue(queue, other)
    yard.publish(queue)
    for count in (1, 2, 3):
        rabbit.advance(0.2)
        content = yard.get(other)
        equal(yard.deaths(content)[0], {**_death(queue, "expired"), "count": count})
        yard.channel.send(amqp.BasicReject(delivery_tag(content), requeue=False))


@case("DLX-11", "DLX-02")
def time_of_a_death(rabbit: Rabbit) -> None:
    """If a message dies again in the same queue with the same reason, x-death keeps the time of the first death."""
    yard = _Yard(rabbit)
    queue = rabbit.name()
    yard.queue(queue, queue)
    yard.publish(queue)
    times = []
    for _ in range(2):
        yard.reject(queue)
        content = yard.get(queue)
        headers: Any = properties_of(content)["headers"]
        times.append(headers["x-death"][0]["time"])
        yard.channel.send(amqp.BasicReject(delivery_tag(content), requeue=True))
        rabbit.advance(1.1)
    equal(times[1], times[0], "time of the second death")


@case("QUEUE-DELETE-09", "DLX-18")
def rejecting_what_a_deleted_queue_delivered(rabbit: Rabbit) -> None:
    """A message that is rejected after its queue was deleted is not dead-lettered."""
    yard = _Yard(rabbit)
    dead = yard.queue()
    queue = yard.queue(dead)
    yard.publish(queue, b"lost")
    tag = delivery_tag(yard.get(queue))
    yard.channel.call(amqp.QueueDelete(queue=queue))
    yard.channel.send(amqp.BasicReject(tag, requeue=False))
    yard.queue(dead, queue)
    yard.publish(queue, b"found")
    yard.reject(queue)
    equal(yard.get(dead).body, b"found")

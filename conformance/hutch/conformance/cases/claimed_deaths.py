"""Messages that are published with an x-death header, and then die (DLX-14). 3.x believes it, 4.x writes its own."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, same_table
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Int8, Int64, UInt64

Death = Mapping[str, FieldValue]

#: The kinds of queue in which messages die.
_KINDS: Sequence[FieldTable] = (
    {"x-queue-type": "classic"},
    {"x-queue-type": "quorum"},
    {"x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"},
)
_LONG_AGO = datetime(2020, 1, 1)


def _claim(queue: FieldValue, reason: FieldValue = "expired", **more: FieldValue) -> Death:
    return {"queue": queue, "reason": reason, **more}


def _counted(queue: FieldValue, count: int, reason: str = "expired") -> Death:
    return _claim(queue, reason, count=Int64(count))


class _Dying:
    """A queue whose messages die by rejection, and the queue for its dead letters."""

    def __init__(self, rabbit: Rabbit, kind: FieldTable) -> None:
        self._rabbit = rabbit
        self._channel: RawChannel = rabbit.raw().channel()
        self.queue, self._dead = rabbit.name(), rabbit.name()
        self._channel.call(amqp.QueueDeclare(queue=self._dead))
        dead_to: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self._dead}
        self._channel.call(amqp.QueueDeclare(queue=self.queue, durable=True, arguments={**kind, **dead_to}))

    def headers(self, headers: FieldTable) -> dict[str, Any]:
        """The headers of a message that was published with some and rejected."""
        self._channel.publish(routing_key=self.queue, headers=headers)
        self._channel.expect_ready(self.queue, 1)
        self._channel.send(amqp.BasicReject(fields(self._channel.got(self.queue)).delivery_tag, requeue=False))
        self._channel.expect_ready(self._dead, 1)
        found: Any = properties_of(self._channel.got(self._dead, no_ack=True))["headers"]
        return dict(found)

    def expect(self, claimed: Sequence[FieldValue], wanted: Sequence[Death]) -> None:
        """What becomes of an x-death header; the time of the new entry, if there is one, is not compared.

        In 4.x there is the new entry alone, whatever the publisher claims.
        """
        deaths = self.headers({"x-death": list(claimed)})["x-death"]
        if self._rabbit.profile == "4.3":
            wanted = [self.own()]
        got = [{key: value for key, value in death.items() if key != "time" or value == _LONG_AGO} for death in deaths]
        same_table(got, list(wanted), f"x-death of {claimed!r}")
        if self._rabbit.profile == "3.10":
            equal(list(deaths[0]), sorted(deaths[0]), "names of the first entry's fields")

    def own(self) -> Death:
        """The entry of a message that died here for the first time."""
        return {
            "count": Int64(1),
            "exchange": "",
            "queue": self.queue,
            "reason": "rejected",
            "routing-keys": [self.queue],
        }


def _each(rabbit: Rabbit, play: Callable[[_Dying], None]) -> None:
    for kind in _KINDS:
        play(_Dying(rabbit, kind))


@case("DLX-14", "DLX-12", "DLX-27")
def deaths_that_a_publisher_claims(rabbit: Rabbit) -> None:
    """3.x merges several entries of one queue and reason. The first entry stays as it is; if it has no count, the
    number of entries is put before its other fields. The last one comes first. A single entry stays as it is. 4.x drops
    them.
    """

    def play(dying: _Dying) -> None:
        own = dying.own()
        first = _claim("a", exchange="first", time=_LONG_AGO)
        dying.expect([], [own])
        dying.expect([first], [own, first])
        dying.expect([first, _claim("a", exchange="second")], [own, {"count": Int64(2), **first}])
        dying.expect([_claim("a")] * 12 + [_claim("b")] * 4, [own, _counted("b", 4), _counted("a", 12)])
        dying.expect([_claim("a"), _claim("b"), _claim("a")], [own, _counted("b", 1), _counted("a", 2)])
        dying.expect([_counted("a", 2), _claim("a")], [own, _counted("a", 2)])
        dying.expect([_claim("a"), _counted("a", 7)], [own, _counted("a", 2)])
        dying.expect([_claim("a", count=5), _counted("a", 7)], [own, _claim("a", count=5)])
        dying.expect([_claim("a", count="many"), _claim("b")], [own, _counted("b", 1), _claim("a", count="many")])
        reasons = ("expired", "maxlen", "rejected", "whatever")
        dying.expect(
            [_claim("a", reason) for reason in reasons],
            [own, *(_counted("a", 1, reason) for reason in reversed(reasons))],
        )
        (entry,) = dying.headers({"x-death": [{"queue": "a", "z": 1}, {"queue": "a"}]})["x-death"][1:] or [None]
        if rabbit.profile == "3.10":
            equal(list(entry), ["count", "queue", "z"], "names of an entry's fields")

    _each(rabbit, play)


@case("DLX-14", "DLX-11", "DLX-27")
def claimed_deaths_in_the_same_queue(rabbit: Rabbit) -> None:
    """In 3.x, when a message dies in a claimed queue of the claimed reason, that entry counts up, stays the only one,
    and keeps its other fields, whatever they hold. A single entry without a count then counts 1. Of several, the first
    one's count goes up; without one, the number of entries does.
    """

    def play(dying: _Dying) -> None:
        mine = _claim(dying.queue, "rejected", exchange=5, time=_LONG_AGO)
        twice = [{**mine, "z": 1}, mine]
        dying.expect([mine], [{**mine, "count": Int64(1)}])
        dying.expect(twice, [{**twice[0], "count": Int64(3)}])
        dying.expect([*twice, mine], [{**twice[0], "count": Int64(4)}])
        dying.expect([mine, {**mine, "count": Int64(9)}], [{**mine, "count": Int64(3)}])
        dying.expect([{**mine, "count": Int64(9)}, mine], [{**mine, "count": Int64(10)}])
        others = [_claim("a"), mine, _claim(dying.queue), mine, _claim("a")]
        rest = [_counted(dying.queue, 1), _counted("a", 2)]
        dying.expect(others, [{**mine, "count": Int64(3)}, *rest])
        counts: tuple[tuple[FieldValue, int], ...] = (
            (5, 6),
            (Int8(-7), -6),
            (Int64(0), 1),
            (datetime(1970, 1, 2), 86401),
            (Int64((1 << 63) - 1), -(1 << 63)),
            (UInt64((1 << 64) - 1), 0),
        )
        for count, more in counts:
            dying.expect([{**mine, "count": count}], [{**mine, "count": Int64(more)}])

    _each(rabbit, play)


@case("DLX-14")
def what_claimed_deaths_are_compared_by(rabbit: Rabbit) -> None:
    """3.x compares queues and reasons by value and not by wire type. A missing value equals void. A number never equals
    a text, and a whole number equals no fraction.
    """

    def play(dying: _Dying) -> None:
        own = dying.own()
        mine: Death = {"queue": ByteArray(dying.queue.encode()), "reason": ByteArray(b"rejected")}
        dying.expect([mine], [{**mine, "count": Int64(1)}])
        alike: tuple[tuple[Death, Death], ...] = (
            (_claim(ByteArray(b"a")), _claim("a")),
            (_claim(5), _claim(Int64(5))),
            ({"queue": None, "reason": "expired"}, {"reason": "expired"}),
            ({"queue": "a"}, {"queue": "a", "reason": None}),
            (_claim([1]), _claim([1])),
            ({}, {}),
        )
        for one, other in alike:
            dying.expect([one, other], [own, {**one, "count": Int64(2)}])
        unlike: tuple[tuple[Death, Death], ...] = (
            (_claim(5), _claim(5.0)),
            (_claim(True), _claim(1)),
            (_claim("5"), _claim(5)),
            (_claim("undefined"), {"reason": "expired"}),
            (_claim([1]), _claim([Int64(1)])),
        )
        for one, other in unlike:
            dying.expect([one, other], [own, {**other, "count": Int64(1)}, {**one, "count": Int64(1)}])

    play(_Dying(rabbit, _KINDS[0]))


@case("DLX-14", "DLX-13")
def claimed_deaths_and_cycles(rabbit: Rabbit) -> None:
    """In 3.x an expired message gets into no queue in which it claims to have died, unless it also claims a rejection
    there or later. A rejected message gets into any queue. 4.x ignores claims.
    """
    channel = rabbit.raw().channel()
    expiring, rejecting, one, other = (rabbit.name() for _ in range(4))
    fanout = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=fanout, type="fanout"))
    for queue in (one, other):
        channel.call(amqp.QueueDeclare(queue=queue))
        channel.call(amqp.QueueBind(queue=queue, exchange=fanout))
    dead_to: FieldTable = {"x-dead-letter-exchange": fanout}
    channel.call(amqp.QueueDeclare(queue=expiring, arguments={**dead_to, "x-message-ttl": 0}))
    channel.call(amqp.QueueDeclare(queue=rejecting, arguments=dead_to))
    claims: tuple[tuple[list[FieldValue], bool], ...] = (
        ([_claim(one)], True),
        ([_claim(one, "whatever")], True),
        ([_claim(one, "rejected")], False),
        # A later entry in x-death is older. Several entries are turned round, which makes the last one the newest.
        ([_claim(one), _claim("a")], True),
        ([_claim(one), _claim("a", "rejected")], False),
        ([_claim("a", "rejected"), _claim(one)], True),
        ([_claim(one), _claim(one, "rejected")], False),
        ([_claim(one, "rejected"), _claim(one)], True),
        ([_claim(ByteArray(one.encode()))], False),
        ([_claim(one), _claim("a", ByteArray(b"rejected"))], True),
        ([{"queue": one}], True),
    )
    for claimed, is_cycle in claims:
        channel.publish(routing_key=expiring, headers={"x-death": claimed})
        channel.expect_ready(other, 1)
        kept_out = is_cycle and rabbit.profile == "3.10"
        channel.expect_ready(one, 0 if kept_out else 1)
        for queue in (one, other):
            channel.call(amqp.QueuePurge(queue=queue))
    channel.publish(routing_key=rejecting, headers={"x-death": [_claim(one)]})
    channel.expect_ready(rejecting, 1)
    channel.send(amqp.BasicReject(fields(channel.got(rejecting)).delivery_tag, requeue=False))
    for queue in (one, other):
        channel.expect_ready(queue, 1)

"""Publishes that come in one write, so that a channel has many at hand before a queue has told it anything (CONFIRM-06,
CONFIRM-07, QUORUM-13).

What RabbitMQ does then depends on who is quicker. A case tells what it does always, or what it does now and then and a
broker that confirms each publish by itself does never.
"""

from collections.abc import Callable
from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.quorum import Yard, offer
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import Item, RawChannel, delivery_tag
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable

#: Number of attempts to provoke an effect that does not occur every time.
_ATTEMPTS = 20


def _confirming(rabbit: Rabbit) -> RawChannel:
    channel = rabbit.raw().channel()
    channel.call(amqp.ConfirmSelect())
    return channel


def _send(channel: RawChannel, *targets: tuple[str, str]) -> None:
    """Publish to these exchanges and routing keys in one write."""
    channel.connection.send(b"".join(channel.publishing(b"x", *target, delivery_mode=2) for target in targets))


def _confirms(channel: RawChannel, first: int, last: int) -> list[amqp.BasicAck | amqp.BasicNack]:
    """The confirms of these publishes, each of which must be confirmed once."""
    confirms: list[amqp.BasicAck | amqp.BasicNack] = []
    waiting = set(range(first, last + 1))
    while waiting:
        confirm = channel.read()
        if not isinstance(confirm, amqp.BasicAck | amqp.BasicNack):
            raise AssertionError(f"expected a confirm, got {confirm!r}")
        tag = confirm.delivery_tag
        true(tag in waiting, f"number {tag} is confirmed again")
        waiting -= {number for number in waiting if number <= tag} if confirm.multiple else {tag}
        confirms.append(confirm)
    return confirms


def _taken(channel: RawChannel, first: int, last: int) -> list[int]:
    """Which of these publishes are confirmed by an ack; the others must be by a nack."""
    taken: list[int] = []
    waiting = set(range(first, last + 1))
    for confirm in _confirms(channel, first, last):
        tag = confirm.delivery_tag
        covered = {number for number in waiting if number <= tag} if confirm.multiple else {tag}
        waiting -= covered
        taken += covered if isinstance(confirm, amqp.BasicAck) else ()
    return sorted(taken)


def _now_and_then(attempt: Callable[[], bool], otherwise: str) -> None:
    true(any(attempt() for _ in range(_ATTEMPTS)), f"{otherwise}, {_ATTEMPTS} times")


@case("CONFIRM-07")
def confirms_of_a_burst_come_together(rabbit: Rabbit) -> None:
    """A burst is confirmed by fewer acks than publishes. An ack with multiple covers all waiting publishes below its
    tag.
    """
    channel = _confirming(rabbit)
    published = 0
    for arguments in ({}, {"x-queue-type": "quorum"}, {"x-queue-type": "stream"}):
        queue = rabbit.name()
        channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments=arguments))
        _send(channel, *[("", queue)] * 400)
        confirms = _confirms(channel, published + 1, published + 400)
        published += 400
        true(len(confirms) < 400, f"{len(confirms)} confirms of 400 publishes to a queue with {arguments}")
        true(all(isinstance(confirm, amqp.BasicAck) for confirm in confirms), "they are acks")


@case("CONFIRM-06")
def unroutable_message_of_a_burst(rabbit: Rabbit) -> None:
    """An unroutable message is confirmed at once, ahead of earlier messages whose queues have not answered yet."""
    yard = Yard(rabbit)
    queue = yard.queue()
    channel = _confirming(rabbit)
    published = 0

    def is_ahead() -> bool:
        nonlocal published
        _send(channel, ("", queue), ("", rabbit.name()))
        first, second = published + 1, published + 2
        published = second
        return [delivery_tag(confirm) for confirm in _confirms(channel, first, second)] == [second, first]

    _now_and_then(is_ahead, "the unroutable message is confirmed behind the other")


@case("CONFIRM-09", "CONFIRM-10")
def verdicts_of_a_burst(rabbit: Rabbit) -> None:
    """However confirms are put together, a multiple ack covers no message that was refused, and a multiple nack none
    that was taken.
    """
    channel = _confirming(rabbit)
    limit: FieldTable = {"x-max-length": 3, "x-overflow": "reject-publish"}
    few, none, open_ended, exchange = (rabbit.name() for _ in range(4))
    channel.call(amqp.QueueDeclare(queue=few, arguments=limit, exclusive=True))
    channel.call(amqp.QueueDeclare(queue=none, arguments={**limit, "x-max-length": 0}, exclusive=True))
    channel.call(amqp.QueueDeclare(queue=open_ended, exclusive=True))
    channel.call(amqp.ExchangeDeclare(0, exchange, "fanout"))
    for queue in (none, open_ended):
        channel.call(amqp.QueueBind(0, queue, exchange))
    _send(channel, *[("", few)] * 6)
    equal(_taken(channel, 1, 6), [1, 2, 3])
    _send(channel, *[(exchange, ""), ("", open_ended)] * 3)
    equal(_taken(channel, 7, 12), [8, 10, 12])


@case("CONFIRM-15", "CHAN-06")
def confirms_that_are_due_when_a_channel_closes(rabbit: Rabbit) -> None:
    """Publishes that are not confirmed when a channel closes are never confirmed. An error makes no difference."""
    yard = Yard(rabbit)
    queue = yard.queue()

    def closes(answer: type[amqp.Method], behind: Callable[[RawChannel], bytes]) -> bool:
        channel = _confirming(rabbit)
        publish = channel.publishing(b"x", "", queue, delivery_mode=2)
        channel.connection.send(publish * 3 + behind(channel))
        seen: list[Item] = []
        while not seen or isinstance(seen[-1], amqp.BasicAck):
            seen.append(channel.read())
        true(isinstance(seen[-1], answer), f"expected {answer.NAME}, got {seen[-1]!r}")
        channel.connection.close()
        return len(seen) == 1

    _now_and_then(
        lambda: closes(amqp.ChannelClose, lambda channel: channel.publishing(b"x", rabbit.name(), queue)),
        "publishes were confirmed before an error",
    )
    _now_and_then(
        lambda: closes(amqp.ChannelCloseOk, lambda channel: channel.framed(amqp.ChannelClose(200))),
        "publishes were confirmed before close-ok",
    )


_REJECTING: dict[str, Any] = {"max_length": 3, "overflow": "reject-publish"}


@case("QUORUM-13")
def burst_into_a_queue_that_fills_up(rabbit: Rabbit) -> None:
    """A quorum queue that rejects takes everything that reaches the channel before the queue reports that it is full.
    That can be a whole burst, but no more than the channel's credit of 400 publishes.
    """
    yard = Yard(rabbit)
    for count in (20, 200):
        queue, channel = yard.queue(**_REJECTING), _confirming(rabbit)
        _send(channel, *[("", queue)] * count)
        equal(len(_taken(channel, 1, count)), count)
        _send(channel, *[("", queue)] * 3)
        equal(_taken(channel, count + 1, count + 3), [], "the queue was full")
        yard.channel.expect_ready(queue, count)
    queue, channel = yard.queue(**_REJECTING), _confirming(rabbit)
    _send(channel, *[("", queue)] * 1500)
    taken = _taken(channel, 1, 1500)
    true(4 < len(taken) <= 400, f"a queue of 3 took {len(taken)} of 1500 publishes")
    equal(taken, list(range(1, len(taken) + 1)), "the first ones")
    yard.channel.expect_ready(queue, len(taken))


@case("QUORUM-13")
def credit_of_a_channel(rabbit: Rabbit) -> None:
    """All publishes of a channel use its credit, also without confirms and to other queues. Of 1000 publishes behind
    100 to another queue, at most 300 get into a queue that rejects.
    """
    yard = Yard(rabbit)
    queue, other = yard.queue(**_REJECTING), yard.queue()
    channel = rabbit.raw().channel()
    _send(channel, *[("", other)] * 100, *[("", queue)] * 1000)
    channel.call(amqp.ChannelFlow(active=True))
    yard.channel.expect_ready(other, 100)
    rabbit.eventually(lambda: not offer(yard.another_publisher(), queue), "the queue is not full")
    taken = yard.channel.ready(queue)
    true(4 < taken <= 300, f"a queue of 3 took {taken} of 1000 publishes")


@case("QUORUM-13")
def burst_into_a_queue_that_is_full(rabbit: Rabbit) -> None:
    """A new channel learns at once that a queue is full. A channel that has learned it before learns of new room only
    after its burst.
    """
    yard = Yard(rabbit)
    queue, channel = yard.queue(**_REJECTING), _confirming(rabbit)
    for _ in range(4):
        equal(offer(channel, queue), True, "room")
    equal(offer(channel, queue), False, "room in a full queue")
    newcomer = _confirming(rabbit)
    _send(newcomer, *[("", queue)] * 5)
    equal(_taken(newcomer, 1, 5), [], "what a full queue took of a new channel")
    gets = channel.framed(amqp.BasicGet(0, queue, no_ack=True)) * 3
    channel.connection.send(gets + channel.publishing(b"x", "", queue) * 3)
    for _ in range(3):
        channel.message(amqp.BasicGetOk)
    equal(_taken(channel, 6, 8), [], "what was published before the channel heard that there is room")
    rabbit.eventually(lambda: offer(channel, queue), "the queue does not tell that it has room")


@case("TX-16", "QUORUM-13")
def commit_into_a_queue_that_fills_up(rabbit: Rabbit) -> None:
    """A commit into a quorum queue that rejects is a burst as well. Messages for a queue that is known to be full are
    lost, and the commit is still answered.
    """
    yard = Yard(rabbit)
    queue, channel = yard.queue(**_REJECTING), rabbit.raw().channel()
    channel.call(amqp.TxSelect())
    for count in (20, 5):
        _send(channel, *[("", queue)] * count)
        equal(channel.call(amqp.TxCommit()), amqp.TxCommitOk())
        yard.channel.expect_ready(queue, 20)


@case("DLX-27", "QUORUM-13")
def dead_letters_into_a_queue_that_fills_up(rabbit: Rabbit) -> None:
    """At least once, dead letters are published 32 at a time. A quorum queue that rejects takes all of those, and then
    none.
    """
    yard = Yard(rabbit)
    for count, taken in ((20, 20), (40, 32)):
        dead = yard.queue(**_REJECTING)
        queue = yard.queue(dead, dead_letter_strategy="at-least-once", overflow="reject-publish")
        yard.publish(queue, *[b"x"] * count)
        last = yard.take(queue, count)[-1]
        yard.nack(last, requeue=False, multiple=True)
        yard.channel.expect_ready(dead, taken)
        equal(offer(yard.another_publisher(), dead), False, "room in a full queue")
        yard.channel.expect_ready(dead, taken)

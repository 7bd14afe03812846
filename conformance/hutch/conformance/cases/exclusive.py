"""Exclusive queues (QUEUE-EXCL)."""

# ruff: noqa: B023  (what is handed to refused() and eventually() is called before the loop goes on)

from collections.abc import Callable

from hutch.client import Channel
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit, body


def _locked(rabbit: Rabbit, queue: str) -> str:
    return (
        f"cannot obtain exclusive access to locked queue '{queue}' in vhost '{rabbit.vhost}'. It could be originally "
        "declared on another connection or the exclusive property value does not match that of the original "
        "declaration."
    )


def _refused(rabbit: Rabbit, queue: str, attempts: list[tuple[Callable[[Channel], object], tuple[int, int]]]) -> None:
    stranger = rabbit.connect()
    for attempt, method in attempts:
        rabbit.refused(attempt, 405, _locked(rabbit, queue), method, stranger)


@case("QUEUE-EXCL-01")
def exclusive_queues_are_locked_to_others(rabbit: Rabbit) -> None:
    """Another connection can do nothing with an exclusive queue: declare, look, bind, purge, delete, get, consume."""
    queue = rabbit.queue(rabbit.channel(), exclusive=True)
    _refused(
        rabbit,
        queue,
        [
            (lambda channel: rabbit.queue(channel, queue), (50, 10)),
            (lambda channel: rabbit.queue(channel, queue, exclusive=True), (50, 10)),
            (lambda channel: channel.queue_declare(queue, passive=True), (50, 10)),
            (lambda channel: channel.queue_bind(queue, "amq.direct", "key"), (50, 20)),
            (lambda channel: channel.queue_purge(queue), (50, 30)),
            (lambda channel: channel.queue_delete(queue), (50, 40)),
            (lambda channel: channel.basic_get(queue), (60, 70)),
            (lambda channel: channel.basic_consume(queue), (60, 20)),
        ],
    )


@case("QUEUE-EXCL-02")
def unbinding_an_exclusive_queue_from_elsewhere(rabbit: Rabbit) -> None:
    """Another connection cannot remove a binding of an exclusive queue; removing one that is not there succeeds."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, exclusive=True)
    channel.queue_bind(queue, "amq.direct", "key")
    _refused(rabbit, queue, [(lambda channel: channel.queue_unbind(queue, "amq.direct", "key"), (50, 50))])
    rabbit.connect().channel().queue_unbind(queue, "amq.direct", "other")


@case("QUEUE-EXCL-03")
def publishing_to_an_exclusive_queue(rabbit: Rabbit) -> None:
    """Any connection may publish to an exclusive queue."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, exclusive=True)
    rabbit.publish_confirmed(rabbit.connect().channel(), b"x", routing_key=queue)
    equal(body(rabbit.get(channel, queue)), b"x")


@case("QUEUE-EXCL-04")
def exclusive_queues_belong_to_a_connection(rabbit: Rabbit) -> None:
    """Every channel of its connection may use an exclusive queue; to declare it otherwise is refused."""
    queue = rabbit.queue(rabbit.channel(), exclusive=True)
    other = rabbit.channel()
    rabbit.queue(other, queue, exclusive=True)
    other.queue_purge(queue)
    rabbit.refused(lambda channel: rabbit.queue(channel, queue), 405, _locked(rabbit, queue), (50, 10))


@case("QUEUE-EXCL-05")
def exclusive_queues_live_as_long_as_their_connection(rabbit: Rabbit) -> None:
    """An exclusive queue stays when its channel closes, and goes when its connection closes."""
    connection, watch = rabbit.connect(), rabbit.connect()
    channel = connection.channel()
    queue = rabbit.queue(channel, exclusive=True)
    channel.close()
    again = connection.channel()
    again.queue_declare(queue, passive=True)
    connection.close()

    def taken() -> bool:
        fresh = watch.channel()
        try:
            return bool(rabbit.queue(fresh, queue))
        except Exception as error:
            true(getattr(error, "reply_code", 0) == 405, f"unexpected {error!r}")
            return False

    rabbit.eventually(taken, "the name is still locked")


@case("QUEUE-EXCL-06", "QUEUE-DECLARE-13")
def declaring_a_shared_queue_exclusive(rabbit: Rabbit) -> None:
    """No connection can redeclare a shared queue as exclusive; that refusal comes before those for other
    differences.
    """
    queue = rabbit.queue(rabbit.channel())
    for connection in (None, rabbit.connect()):
        for durable in (False, True):
            rabbit.refused(
                lambda channel: rabbit.queue(channel, queue, exclusive=True, durable=durable),
                405,
                _locked(rabbit, queue),
                (50, 10),
                connection,
            )


@case("QUEUE-DECLARE-25")
def durable_exclusive_queues(rabbit: Rabbit) -> None:
    """An exclusive queue is never durable, whatever was asked: its owner may declare it either way."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel, exclusive=True, durable=True)
    for durable in (False, True):
        rabbit.queue(channel, queue, exclusive=True, durable=durable)

"""Consuming, fetching and acknowledging, on every broker."""

from collections.abc import Callable

import pytest

from hutch.client import (
    AccessRefused,
    AMQPNotImplementedError,
    Channel,
    Connection,
    ConsumerCancelled,
    Message,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    ReceivedMessage,
    ResourceLocked,
)
from hutch.wire.methods import BasicCancelOk, BasicConsume, BasicConsumeOk
from tests.client.api.reference import shows
from tests.client.api.steps import bodies, drain_until, publish
from tests.client.api.tap import tapped
from tests.targets import PATIENCE, Target


class Inbox(list[ReceivedMessage]):
    """A callback that keeps what it is given."""

    def __call__(self, message: ReceivedMessage) -> None:
        self.append(message)

    @property
    def bodies(self) -> list[str | bytes]:
        return [message.body for message in self]

    @property
    def tags(self) -> list[int]:
        return [message.delivery_tag for message in self]


def settled(connection: Connection, channel: Channel, queue: str) -> tuple[int, int]:
    """Ready messages and consumers of a queue, when everything that is under way has been handed on.

    A live broker may answer before it has done what it was sent earlier; so the answer has to come twice.
    """
    before = None
    while True:
        try:
            while True:
                connection.drain_events(timeout=0.1)
        except TimeoutError:
            state = channel.queue_declare(queue, passive=True)[1:]
        if state == before:
            return state
        before = state


def unacknowledged(channel: Channel, queue: str) -> list[str | bytes]:
    """The bodies of what was delivered on this channel and is not acknowledged; it is gone then."""
    channel.basic_recover(requeue=True)
    return bodies(channel, queue)


@shows("Channel.basic_consume(queue, consumer_tag, callback)", "Message.delivery_info", "Message.channel")
def test_consuming(connection: Connection, channel: Channel, queue: str) -> None:
    inbox = Inbox()
    assert channel.basic_consume(queue, "mine", callback=inbox) == "mine"
    publish(channel, queue, "1", "2")
    drain_until(connection, lambda: len(inbox) == 2)
    assert inbox.bodies == [b"1", b"2"]
    assert inbox[1].delivery_info == {
        "consumer_tag": "mine",
        "delivery_tag": 2,
        "redelivered": False,
        "exchange": "",
        "routing_key": queue,
    }
    assert inbox[1].channel is channel


@shows("Channel.basic_consume(consumer_tag)")
def test_a_tag_that_the_broker_makes_up(channel: Channel, queue: str) -> None:
    first, second = channel.basic_consume(queue), channel.basic_consume(queue)
    assert first.startswith("amq.ctag-")
    assert first != second


@shows("Channel.basic_consume(consumer_tag)")
def test_a_tag_in_use(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_consume(queue, "mine")
    connection.channel().basic_consume(queue, "mine")  # each channel has its own tags
    with pytest.raises(NotAllowed, match="attempt to reuse consumer tag 'mine'"):
        channel.basic_consume(queue, "mine")


@shows("Channel.basic_consume(queue)")
def test_a_queue_that_is_not_there(channel: Channel, target: Target) -> None:
    with pytest.raises(NotFound) as caught:
        channel.basic_consume(target.name("missing"))
    assert (caught.value.reply_code, caught.value.method) == (404, "Basic.consume")


@shows("Channel.basic_consume(queue)", "Channel.basic_get(queue)")
@pytest.mark.parametrize("how", [Channel.basic_consume, Channel.basic_get])
def test_a_queue_of_another_connection(target: Target, queue: str, how: Callable[..., object]) -> None:
    with pytest.raises(ResourceLocked, match=f"exclusive access to locked queue '{queue}'"):
        how(target.connect().channel(), queue)


@shows("Channel.basic_consume(no_ack)")
@pytest.mark.parametrize("no_ack", [True, False])
def test_no_ack(connection: Connection, channel: Channel, queue: str, no_ack: bool) -> None:
    inbox = Inbox()
    tag = channel.basic_consume(queue, no_ack=no_ack, callback=inbox)
    publish(channel, queue, "1")
    drain_until(connection, lambda: inbox)
    channel.basic_cancel(tag)
    assert unacknowledged(channel, queue) == ([] if no_ack else [b"1"])


@shows("Channel.basic_consume(no_local)")
def test_no_local_is_without_effect(connection: Connection, channel: Channel, queue: str) -> None:
    inbox = Inbox()
    channel.basic_consume(queue, no_local=True, no_ack=True, callback=inbox)
    publish(channel, queue, "1")
    drain_until(connection, lambda: inbox)
    assert inbox.bodies == [b"1"]


@shows("Channel.basic_consume(exclusive)")
def test_an_exclusive_consumer(channel: Channel, queue: str) -> None:
    channel.basic_consume(queue, exclusive=True)
    with pytest.raises(AccessRefused, match="in exclusive use") as caught:
        channel.basic_consume(queue)
    assert (caught.value.reply_code, caught.value.method) == (403, "Basic.consume")
    channel.basic_consume(queue)
    with pytest.raises(AccessRefused):
        channel.basic_consume(queue, exclusive=True)


@shows("Channel.basic_consume(nowait)")
def test_consuming_without_waiting(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True)
    inbox = Inbox()
    assert channel.basic_consume(queue.queue, "mine", nowait=True, callback=inbox, no_ack=True) == "mine"
    publish(channel, queue.queue, "1")
    drain_until(connection, lambda: inbox)
    assert (tap.sent(BasicConsume)[0].nowait, tap.received(BasicConsumeOk)) == (True, [])
    with pytest.raises(ValueError, match="give one"):
        channel.basic_consume(queue.queue, nowait=True)


@shows("Channel.basic_consume(arguments)")
def test_consumer_priority(connection: Connection, channel: Channel, queue: str) -> None:
    low, high = Inbox(), Inbox()
    channel.basic_consume(queue, no_ack=True, callback=low)
    channel.basic_consume(queue, no_ack=True, callback=high, arguments={"x-priority": 5})
    publish(channel, queue, "1", "2", "3")
    drain_until(connection, lambda: len(low) + len(high) == 3)
    assert (low.bodies, high.bodies) == ([], [b"1", b"2", b"3"])


@shows("Channel.basic_consume(callback)")
def test_a_consumer_without_a_callback(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_consume(queue, no_ack=True)
    publish(channel, queue, "1")
    assert settled(connection, channel, queue) == (0, 1)  # the message was discarded


@shows("Channel.basic_consume(on_cancel)")
def test_the_broker_cancels(connection: Connection, channel: Channel, queue: str) -> None:
    cancelled: list[str] = []
    channel.basic_consume(queue, "mine", on_cancel=cancelled.append)
    connection.channel().queue_delete(queue)
    drain_until(connection, lambda: cancelled)
    assert cancelled == ["mine"]
    assert (channel.callbacks, channel.cancel_callbacks) == ({}, {})


@shows("Channel.basic_consume(on_cancel)")
def test_the_broker_cancels_and_nobody_listens(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_consume(queue, "mine")
    connection.channel().queue_delete(queue, nowait=True)
    with pytest.raises(ConsumerCancelled, match="mine"):
        connection.drain_events(timeout=PATIENCE)
    assert channel.is_open


@shows("Channel.basic_cancel(consumer_tag)")
def test_cancelling(connection: Connection, channel: Channel, queue: str) -> None:
    inbox = Inbox()
    tag = channel.basic_consume(queue, callback=inbox, no_ack=True)
    assert channel.basic_cancel(tag) == tag
    publish(channel, queue, "1")
    assert settled(connection, channel, queue) == (1, 0)
    assert inbox == []
    assert channel.basic_cancel("no consumer") == "no consumer"
    channel.close()
    assert channel.basic_cancel(tag) is None


@shows("Channel.basic_cancel(nowait)")
def test_cancelling_without_waiting(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare(exclusive=True, auto_delete=False)
    assert channel.basic_cancel(channel.basic_consume(queue.queue), nowait=True) is None
    assert channel.queue_declare(queue.queue, passive=True) == (queue.queue, 0, 0)
    assert tap.received(BasicCancelOk) == []


@shows("Channel.basic_get(queue)", "Message.delivery_tag")
def test_fetching(channel: Channel, queue: str) -> None:
    assert channel.basic_get(queue) is None
    publish(channel, queue, "1", "2", "3")
    message = channel.basic_get(queue)
    assert message is not None
    assert (message.body, message.delivery_tag, message.channel) == (b"1", 1, channel)
    expected = {"delivery_tag": 1, "redelivered": False, "exchange": "", "routing_key": queue, "message_count": 2}
    assert message.delivery_info == expected


@shows("Channel.basic_get(no_ack)")
@pytest.mark.parametrize("no_ack", [True, False])
def test_fetching_without_acknowledgement(channel: Channel, queue: str, no_ack: bool) -> None:
    publish(channel, queue, "1")
    assert channel.basic_get(queue, no_ack=no_ack) is not None
    assert unacknowledged(channel, queue) == ([] if no_ack else [b"1"])


def take(channel: Channel, queue: str, count: int) -> list[int]:
    """Fetch so many messages; their delivery tags."""
    publish(channel, queue, *map(str, range(1, count + 1)))
    messages = [channel.basic_get(queue) for _ in range(count)]
    return [message.delivery_tag for message in messages if message is not None]


@shows("Channel.basic_ack(delivery_tag, multiple)")
@pytest.mark.parametrize(
    ("tag", "multiple", "left"),
    [(2, False, [b"1", b"3", b"4"]), (3, True, [b"4"]), (0, True, [])],
    ids=["one", "up to and including", "all"],
)
def test_acknowledging(channel: Channel, queue: str, tag: int, multiple: bool, left: list[bytes]) -> None:
    assert take(channel, queue, 4) == [1, 2, 3, 4]
    channel.basic_ack(tag, multiple=multiple)
    assert unacknowledged(channel, queue) == left


@shows("Channel.basic_ack(delivery_tag)", "Channel.basic_reject(delivery_tag)")
@pytest.mark.parametrize("method", ["basic_ack", "basic_reject", "basic_nack"])
def test_an_unknown_delivery_tag(connection: Connection, channel: Channel, method: str) -> None:
    arguments = {"requeue": True} if method == "basic_reject" else {}
    getattr(channel, method)(99, **arguments)
    with pytest.raises(PreconditionFailed, match="unknown delivery tag 99") as caught:
        connection.drain_events(timeout=PATIENCE)
    assert (caught.value.reply_code, caught.value.method) == (406, method.capitalize().replace("_", "."))


@shows("Channel.basic_reject(delivery_tag, requeue)")
@pytest.mark.parametrize("requeue", [True, False])
def test_rejecting(channel: Channel, queue: str, requeue: bool) -> None:
    (tag,) = take(channel, queue, 1)
    channel.basic_reject(tag, requeue=requeue)
    again = channel.basic_get(queue)
    if requeue:
        assert again is not None
        assert (again.body, again.delivery_tag, again.delivery_info["redelivered"]) == (b"1", 2, True)
    else:
        assert again is None


@shows("Channel.basic_reject(requeue)")
def test_a_rejected_message_is_dead_lettered(channel: Channel, queue: str, target: Target) -> None:
    name = target.name("queue")
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    channel.queue_declare(name, exclusive=True, arguments=arguments)
    (tag,) = take(channel, name, 1)
    channel.basic_reject(tag, requeue=False)
    drained: list[ReceivedMessage] = []
    channel.basic_consume(queue, no_ack=True, callback=drained.append)
    assert channel.connection is not None
    drain_until(channel.connection, lambda: drained)
    headers = drained[0].headers
    assert headers is not None
    (death,) = headers["x-death"]
    assert (death["reason"], death["queue"], death["count"]) == ("rejected", name, 1)


@pytest.mark.parametrize(
    ("tag", "multiple", "requeue", "left"),
    [(2, False, True, [b"2"]), (3, True, True, [b"1", b"2", b"3"]), (3, True, False, [])],
)
def test_refusing_by_nack(
    channel: Channel, queue: str, tag: int, multiple: bool, requeue: bool, left: list[bytes]
) -> None:
    take(channel, queue, 4)
    channel.basic_nack(tag, multiple=multiple, requeue=requeue)
    assert bodies(channel, queue) == left


@shows("Channel.basic_recover(requeue)", "Channel.basic_recover_async(requeue)")
@pytest.mark.parametrize("method", ["basic_recover", "basic_recover_async"])
def test_recovering(channel: Channel, queue: str, method: str) -> None:
    take(channel, queue, 2)
    getattr(channel, method)(requeue=True)
    again = channel.basic_get(queue)
    assert again is not None
    assert (again.body, again.delivery_info["redelivered"]) == (b"1", True)
    assert again.delivery_info["message_count"] == 1


@shows("Channel.basic_recover(requeue)", "Channel.basic_recover_async(requeue)")
@pytest.mark.parametrize("method", ["basic_recover", "basic_recover_async"])
def test_recovering_to_the_same_consumer(connection: Connection, channel: Channel, method: str) -> None:
    getattr(channel, method)()  # RabbitMQ does not implement requeue=False
    with pytest.raises(AMQPNotImplementedError, match="requeue=false"):
        connection.drain_events(timeout=PATIENCE)


@shows("Channel.basic_qos(prefetch_count, a_global)")
def test_prefetch_by_consumer(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_qos(0, 2, False)
    first, second = Inbox(), Inbox()
    channel.basic_consume(queue, callback=first)
    channel.basic_consume(queue, callback=second)
    publish(channel, queue, "1", "2", "3", "4", "5", "6")
    assert settled(connection, channel, queue) == (2, 2)
    assert (len(first), len(second)) == (2, 2)
    channel.basic_ack(first.tags[0])  # frees a place under the limit
    drain_until(connection, lambda: len(first) == 3)
    assert settled(connection, channel, queue) == (1, 2)


@shows("Channel.basic_qos(prefetch_count, a_global)")
def test_prefetch_by_channel(connection: Connection, channel: Channel, queue: str) -> None:
    channel.basic_qos(0, 2, True)
    first, second = Inbox(), Inbox()
    channel.basic_consume(queue, callback=first)
    channel.basic_consume(queue, callback=second)
    publish(channel, queue, "1", "2", "3", "4", "5", "6")
    # 4.3 has no limit per channel; it applies the limit to each consumer (QOS-06).
    together = 2 if target_of(connection) == "3.10" else 4
    assert settled(connection, channel, queue) == (6 - together, 2)
    assert len(first) + len(second) == together


def target_of(connection: Connection) -> str:
    """The broker's series."""
    return "3.10" if str(connection.server_properties["version"]).startswith("3.10") else "4.3"


@shows("Channel.basic_qos(prefetch_size)")
def test_prefetch_by_size(connection: Connection, channel: Channel) -> None:
    with pytest.raises(AMQPNotImplementedError, match="prefetch_size!=0") as caught:
        channel.basic_qos(10, 0, False)
    assert (caught.value.reply_code, caught.value.method) == (540, "Basic.qos")
    assert not connection.connected


def test_an_error_of_a_callback_comes_out_of_the_wait(connection: Connection, channel: Channel, queue: str) -> None:
    def fail(message: Message) -> None:
        raise ZeroDivisionError(message.body)

    channel.basic_consume(queue, callback=fail)
    channel.basic_publish(Message(b"1"), routing_key=queue)
    with pytest.raises(ZeroDivisionError):
        drain_until(connection, lambda: False)
    assert channel.is_open

"""Everything public in :mod:`hutch.pytest_plugin`, as a user's tests write it."""

import asyncio
from collections.abc import Callable
from typing import assert_type

import pytest

from hutch.client import Channel, Connection, Message, PreconditionFailed, ReceivedMessage, connect
from hutch.fakebroker import Administration, History, Profile
from hutch.fakebroker import Message as StoredMessage
from hutch.fakebroker.faults import Fault
from hutch.pytest_plugin import Binding, FakeBroker, FakeBrokerMixin, LeftoverWarning, intercept, with_fakebroker
from hutch.pytest_plugin.asking import Found, Question
from hutch.pytest_plugin.views import Exchange, Queue


@pytest.mark.fakebroker(profile="3.10", clock="manual")
def test_the_fixtures(
    fakebroker: FakeBroker,
    fakebroker_url: str,
    fakebroker_connection: Connection,
    fakebroker_channel: Channel,
    fakebroker_factory: Callable[..., FakeBroker],
) -> None:
    assert_type(fakebroker.profile, Profile)
    assert_type(fakebroker.admin, Administration)
    assert_type(fakebroker.history, History)
    assert_type(fakebroker.memory_url, str)
    assert_type(fakebroker.management_url, str)
    assert fakebroker.url == fakebroker_url
    assert fakebroker_channel.connection is fakebroker_connection
    with fakebroker_factory(clock=fakebroker.clock) as other:
        assert other.clock is fakebroker.clock


def test_looking_and_acting(fakebroker: FakeBroker) -> None:
    channel = fakebroker.connect().channel()
    channel.exchange_declare("shop", "topic", auto_delete=False)
    channel.queue_declare("orders", auto_delete=False)
    channel.queue_bind("orders", "shop", "order.*")
    queue = fakebroker.queue("orders")
    assert_type(queue, Queue)
    assert_type(queue.messages, tuple[StoredMessage, ...])
    assert_type(fakebroker.exchange("shop"), Exchange)
    assert fakebroker.bindings == [Binding("shop", "orders", "order.*")]
    assert len(fakebroker.connections) == len(fakebroker.channels) == 1
    assert not fakebroker.consumers
    assert fakebroker.publish("order.paid", json={"order": 17}, exchange="shop") == ["orders"]
    assert_type(fakebroker.get("orders"), StoredMessage)
    fakebroker.drain_clients()
    fakebroker.run_due()
    fakebroker.restore(fakebroker.snapshot())


def test_questions(fakebroker: FakeBroker) -> None:
    channel = fakebroker.connect().channel()
    channel.queue_declare("orders", auto_delete=False)
    channel.basic_publish(Message("order 17", correlation_id="17"), routing_key="orders")
    found = fakebroker.published("orders", count=1, body="order 17", correlation_id="17")
    assert_type(found, Found)
    got = channel.basic_get("orders")
    assert got is not None
    channel.basic_ack(got.delivery_tag)
    fakebroker.in_order(found, fakebroker.delivered(queue="orders"), fakebroker.acked(min=1, max=1))
    for question in (fakebroker.returned, fakebroker.nacked, fakebroker.requeued, fakebroker.dead_lettered):
        assert_type(question, Question)
        question.never()
    fakebroker.expired.never("orders")
    assert [event.queue for event in fakebroker.acked().events] == ["orders"]
    assert_type(found.positions, list[int])
    assert_type(found.question, str)
    assert fakebroker.leftovers() == []
    fakebroker.check_leftovers()


def test_waiting(fakebroker: FakeBroker) -> None:
    fakebroker.connect().channel().queue_declare("orders", auto_delete=False)
    assert_type(fakebroker.wait_until(lambda: fakebroker.queue("orders")), Queue)

    async def wait() -> Queue:
        return await fakebroker.wait_until_async(lambda: fakebroker.queue("orders"))

    assert_type(asyncio.run(wait()), Queue)


def test_answering(fakebroker: FakeBroker) -> None:
    def answer(request: ReceivedMessage) -> bytes:
        return bytes(request.delivery_tag)

    fakebroker.connect().channel().queue_declare("prices", auto_delete=False)
    fakebroker.reply_to("prices", answer)


def test_trouble(fakebroker: FakeBroker) -> None:
    fakebroker.raise_alarm("memory")
    fakebroker.clear_alarm("memory")
    fakebroker.trace_on()
    fakebroker.stop()
    fakebroker.start()
    fakebroker.restart()
    fakebroker.add_node().stop()
    fakebroker.faults.clear()
    assert_type(fakebroker.management_url, str)
    fakebroker.reset()


def test_faults(fakebroker: FakeBroker, fakebroker_channel: Channel) -> None:
    fakebroker_channel.queue_declare("orders", auto_delete=False)
    fault = fakebroker.faults.on("basic.publish", routing_key="orders", nth=1).close_channel(406, "too much")
    assert_type(fault, Fault)
    assert_type(fault.hits, int)
    fakebroker_channel.basic_publish(Message("order 17"), routing_key="orders")
    with pytest.raises(PreconditionFailed, match="too much"):
        fakebroker_channel.queue_declare("orders")
    never = fakebroker.faults.next("basic.ack").lose()
    assert fakebroker.faults.unhit == [never]
    assert [event.reason for event in fakebroker.history.of("fault")] == [fault.text]
    fakebroker.faults.clear()
    fakebroker.add_node().stop()
    fakebroker.reset()


def test_interception(fakebroker: FakeBroker) -> None:
    with (
        fakebroker.intercept("rabbitmq.internal:5672"),
        intercept("mq.internal:5672", to=fakebroker.url),
        connect("amqp://guest:guest@rabbitmq.internal:5672/") as connection,
    ):
        assert connection.connected


@with_fakebroker(profile="3.10")
def test_a_function(fakebroker: FakeBroker) -> None:
    assert fakebroker.profile.name == "3.10"


class TestOrders(FakeBrokerMixin):
    def test_it(self) -> None:
        assert_type(self.fakebroker, FakeBroker)


def test_without_pytest() -> None:
    with pytest.warns(LeftoverWarning), FakeBroker(leftovers="warn") as broker:
        connection = connect(broker.url)  # is still open when the broker closes
    connection.collect()

"""What became of messages: delivered, acked, nacked, requeued, dead-lettered, expired, returned; numbers and order."""

import pytest

from hutch.client import Channel, Message
from hutch.pytest_plugin import FakeBroker


@pytest.fixture
def channel(fakebroker: FakeBroker) -> Channel:
    channel = fakebroker.connect().channel()
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "parked"}
    channel.queue_declare("parked", durable=True, auto_delete=False)
    channel.queue_declare("orders", durable=True, auto_delete=False, arguments={**dead, "x-message-ttl": 60_000})
    return channel


def take(channel: Channel) -> int:
    message = channel.basic_get("orders")
    assert message is not None
    assert message.delivery_tag is not None
    return message.delivery_tag


class TestKinds:
    def test_each(self, fakebroker: FakeBroker, channel: Channel) -> None:
        for number in range(4):
            fakebroker.publish("orders", json={"id": number})
        channel.basic_ack(take(channel))
        channel.basic_reject(take(channel), requeue=False)
        channel.basic_reject(take(channel), requeue=True)
        fakebroker.clock.advance(minutes=1)
        assert [message.body for message in fakebroker.delivered(queue="orders", count=3)] == [
            *(b'{"id": 0}', b'{"id": 1}', b'{"id": 2}')
        ]
        fakebroker.acked(queue="orders", json={"id": 0}, count=1)
        fakebroker.nacked(queue="orders", json={"id": 1}, count=1)
        fakebroker.requeued(queue="orders", json_contains={"id": 2}, count=1)
        assert [event.reason for event in fakebroker.dead_lettered(queue="orders", count=3).events] == [
            *("rejected", "expired", "expired")
        ]
        fakebroker.dead_lettered(headers={"x-first-death-reason": "rejected"}, count=1)
        fakebroker.expired("orders", count=2)

    def test_delivered_to_a_consumer(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.basic_consume("orders", consumer_tag="worker")
        fakebroker.publish("orders", "one")
        (event,) = fakebroker.delivered("orders").events
        assert event.consumer_tag == "worker"

    def test_returned(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.basic_publish(Message(b"one"), routing_key="nowhere", mandatory=True)
        (event,) = fakebroker.returned("nowhere", count=1).events
        assert event.reason == "NO_ROUTE"


class TestNegatives:
    def test_never(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", "one")
        fakebroker.published.never("parked")
        fakebroker.acked.never(queue="orders")
        channel.basic_ack(take(channel))
        with pytest.raises(AssertionError) as failure:
            fakebroker.acked.never(queue="orders")
        assert str(failure.value).splitlines() == [
            "expected 0 acked messages with queue 'orders'; there is 1",
            "found:",
            "  queue orders, the default exchange, key 'orders': one",
        ]

    def test_it_takes_the_same_criteria_and_no_others(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(TypeError, match="no message has a property colour"):
            fakebroker.expired.never(colour="red")


class TestNumbers:
    @pytest.mark.parametrize(("least", "most"), [(None, 2), (2, None), (1, 3), (2, 2), (0, 2), (None, 9)])
    def test_right(self, fakebroker: FakeBroker, channel: Channel, least: int | None, most: int | None) -> None:
        for body in "12":
            fakebroker.publish("orders", body)
        assert len(fakebroker.published("orders", min=least, max=most)) == 2

    @pytest.mark.parametrize(
        ("least", "most", "text"),
        [
            (3, None, "at least 3 published messages"),
            (None, 1, "at most 1 published message"),
            (3, 4, "3 to 4 published messages"),
            (1, 1, "1 published message"),
        ],
    )
    def test_wrong(
        self, fakebroker: FakeBroker, channel: Channel, least: int | None, most: int | None, text: str
    ) -> None:
        for body in "12":
            fakebroker.publish("orders", body)
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("orders", min=least, max=most)
        assert str(failure.value).startswith(f"expected {text} with routing key 'orders'; there are 2\nfound:\n")

    @pytest.mark.fakebroker(history_events=2)
    def test_enough_is_enough_though_some_were_dropped(self, fakebroker: FakeBroker, channel: Channel) -> None:
        for body in "123":
            fakebroker.publish("orders", body)
        fakebroker.published("orders", min=2)
        with pytest.raises(AssertionError, match="the history no longer keeps 1 older published message"):
            fakebroker.published("orders", min=3)
        with pytest.raises(AssertionError, match="the history no longer keeps 1 older published message"):
            fakebroker.published("orders", max=2)


class TestExplanations:
    def test_near_misses_say_which_queue(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", json={"customer": {"name": "Ada"}, "items": [1, 2]})
        channel.basic_ack(take(channel))
        with pytest.raises(AssertionError) as failure:
            fakebroker.acked(queue="parked", json_contains={"customer": {"name": "Grace"}}, count=1)
        first, *others = str(failure.value).splitlines()
        assert first.endswith("with queue 'parked', JSON body with {'customer': {'name': 'Grace'}}; there are none")
        assert others == [
            "near misses:",
            """  queue orders, the default exchange, key 'orders': {"customer": {"name": "Ada"}, "items": [1, 2]}""",
            "      queue is 'orders'",
            "      body.customer.name is 'Ada'",
        ]

    @pytest.mark.parametrize(
        ("wanted", "miss"),
        [
            ({"colour": "red"}, "body has no 'colour': {'id': 1, 'items': [{'sku': 'pen'}]}"),
            ({"items": []}, "body.items has 1 items: [{'sku': 'pen'}]"),
            ({"items": [{"sku": "ink"}]}, "body.items[0].sku is 'pen'"),
            ({"id": {"value": 1}}, "body.id is 1"),
            ({"id": lambda number: number > 1}, "body.id is 1"),
        ],
    )
    def test_json_in_part(self, fakebroker: FakeBroker, channel: Channel, wanted: object, miss: str) -> None:
        fakebroker.publish("orders", json={"id": 1, "items": [{"sku": "pen"}]})
        with pytest.raises(AssertionError) as failure:
            fakebroker.published(json_contains=wanted, count=1)
        assert str(failure.value).splitlines()[-1] == f"      {miss}"

    def test_a_function_is_named(self, fakebroker: FakeBroker, channel: Channel) -> None:
        def is_big(order: dict[str, int]) -> bool:
            return order["total"] > 100

        fakebroker.publish("orders", json={"total": 7})
        fakebroker.publish("orders", json=[])
        with pytest.raises(AssertionError) as failure:
            fakebroker.published(json=is_big, count=1)
        assert "with JSON body that passes is_big; there are none" in str(failure.value)
        assert "      body is {'total': 7}" in str(failure.value)

    def test_requeued_is_not_nacked(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", "one")
        channel.basic_nack(take(channel), requeue=True)
        with pytest.raises(AssertionError) as failure:
            fakebroker.nacked(queue="orders", count=1)
        assert str(failure.value).splitlines()[-2:] == [
            "such a message was requeued, which is found in fakebroker.requeued(...):",
            "  queue orders, the default exchange, key 'orders': one",
        ]
        assert repr(fakebroker.nacked(queue="orders")) == (
            "<nothing nacked with queue 'orders'; "
            "such a message was requeued, which is found in fakebroker.requeued(...)>"
        )

    def test_of_an_assert(self, fakebroker: FakeBroker) -> None:
        assert repr(fakebroker.expired()) == "<nothing expired at all, nor anything else>"
        assert repr(fakebroker.dead_lettered) == "<what was dead-lettered: call it>"


class TestOrder:
    def test_right_and_wrong(self, fakebroker: FakeBroker, channel: Channel) -> None:
        for body in "12":
            fakebroker.publish("orders", body)
        channel.basic_ack(take(channel))
        one, two = fakebroker.published(body="1"), fakebroker.published(body="2")
        fakebroker.in_order(one, two, fakebroker.acked(body="1"))
        with pytest.raises(AssertionError) as failure:
            fakebroker.in_order(fakebroker.acked(body="1"), two)
        assert str(failure.value).splitlines() == [
            "expected acked with body b'1' before published with body b'2'; the order was:",
            "  published with body b'2': the default exchange, key 'orders': 2",
            "  acked with body b'1': queue orders, the default exchange, key 'orders': 1",
        ]

    def test_all_of_one_before_all_of_the_next(self, fakebroker: FakeBroker, channel: Channel) -> None:
        for body in "121":
            fakebroker.publish("orders", body)
        with pytest.raises(AssertionError, match="expected published with body b'1' before"):
            fakebroker.in_order(fakebroker.published(body="1"), fakebroker.published(body="2"))

    def test_what_did_not_happen_is_in_no_order(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", "1")
        with pytest.raises(AssertionError, match="nothing acked with queue 'orders', nor anything else"):
            fakebroker.in_order(fakebroker.published("orders"), fakebroker.acked(queue="orders"))

    @pytest.mark.fakebroker(history_events=2)
    def test_it_holds_while_events_are_dropped(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", "1")
        earlier = fakebroker.published("orders", min=1)
        for body in "23":
            fakebroker.publish("orders", body)
        fakebroker.in_order(earlier, fakebroker.published(body="3", min=1))

"""Asking what was published, and being told what was published instead."""

import re
from collections.abc import Callable
from unittest.mock import ANY

import pytest

from hutch.client import Channel, Message
from hutch.pytest_plugin import FakeBroker


@pytest.fixture
def channel(fakebroker: FakeBroker) -> Channel:
    """A channel where three messages were published: two orders and an event."""
    fakebroker.admin.add_vhost("other")
    channel = fakebroker.connect().channel()
    channel.exchange_declare("events", "topic", durable=True, auto_delete=False)
    for name in ("orders", "audit"):
        channel.queue_declare(name, durable=True, auto_delete=False)
    channel.queue_bind("audit", "events", "order.#")
    channel.basic_publish(
        Message(b'{"id": 1, "items": ["pen"]}', application_headers={"x-attempt": 1}, correlation_id="a"),
        routing_key="orders",
    )
    channel.basic_publish(
        Message(b'{"items": ["ink"], "id": 2}', application_headers={"x-attempt": 2, "x-void": None}),
        routing_key="orders",
    )
    channel.basic_publish(Message("gr\u00fcn", delivery_mode=2), "events", "order.created")
    return channel


@pytest.mark.usefixtures("channel")
class TestCriteria:
    @pytest.mark.parametrize(
        ("ask", "bodies"),
        [
            (lambda broker: broker.published(), [1, 2, 3]),
            (lambda broker: broker.published("orders"), [1, 2]),
            (lambda broker: broker.published("order.created"), [3]),
            (lambda broker: broker.published("order.#"), [3]),
            (lambda broker: broker.published("*.created"), [3]),
            (lambda broker: broker.published("*"), [1, 2]),
            (lambda broker: broker.published("#.order.#.created.#"), [3]),
            (lambda broker: broker.published("order.*.created"), []),
            (lambda broker: broker.published("order.create*"), []),
            (lambda broker: broker.published(lambda key: key.endswith("ers")), [1, 2]),
            (lambda broker: broker.published(exchange=lambda name: name != ""), [3]),
            (lambda broker: broker.published(body=lambda body: len(body) < 10), [3]),
            (lambda broker: broker.published(json=lambda order: order["id"] > 1), [2]),
            (lambda broker: broker.published(json_contains={"id": 2}), [2]),
            (lambda broker: broker.published(json_contains={"items": [ANY]}), [1, 2]),
            (lambda broker: broker.published(json_contains={"items": ["pen", "ink"]}), []),
            (lambda broker: broker.published(json_contains={"items": [lambda item: item.startswith("p")]}), [1]),
            (lambda broker: broker.published(json_contains={}), [1, 2]),
            (lambda broker: broker.published(headers={"x-attempt": lambda attempt: attempt > 1}), [2]),
            (lambda broker: broker.published(correlation_id=lambda name: name in {"a", "b"}), [1]),
            (lambda broker: broker.published(exchange="events"), [3]),
            (lambda broker: broker.published(exchange=""), [1, 2]),
            (lambda broker: broker.published(queue="audit"), [3]),
            (lambda broker: broker.published("orders", queue="audit"), []),
            (lambda broker: broker.published(vhost="/"), [1, 2, 3]),
            (lambda broker: broker.published(vhost="other"), []),
            (lambda broker: broker.published(body="gr\u00fcn"), [3]),
            (lambda broker: broker.published(body=b"gr\xc3\xbcn"), [3]),
            (lambda broker: broker.published(body="gr"), []),
            (lambda broker: broker.published(json={"id": 2, "items": ["ink"]}), [2]),
            (lambda broker: broker.published(json={"id": ANY, "items": ["pen"]}), [1]),
            (lambda broker: broker.published(json=None), []),
            (lambda broker: broker.published(headers={"x-attempt": 2}), [2]),
            (lambda broker: broker.published(headers={"x-attempt": ANY}), [1, 2]),
            (lambda broker: broker.published(headers={"x-void": None}), [2]),
            (lambda broker: broker.published(headers={}), [1, 2, 3]),
            (lambda broker: broker.published(correlation_id="a"), [1]),
            (lambda broker: broker.published(delivery_mode=2), [3]),
            (lambda broker: broker.published("orders", correlation_id="b"), []),
        ],
    )
    def test_each_and_together(
        self, fakebroker: FakeBroker, ask: Callable[[FakeBroker], list[Message]], bodies: list[int]
    ) -> None:
        everything = [message.body for message in fakebroker.published()]
        assert [message.body for message in ask(fakebroker)] == [everything[number - 1] for number in bodies]

    def test_messages_can_be_looked_into(self, fakebroker: FakeBroker) -> None:
        first, _ = fakebroker.published("orders", count=2)
        assert (first.exchange, first.routing_key) == ("", "orders")
        assert first.headers == {"x-attempt": 1}
        assert first.properties.values["correlation_id"] == "a"

    def test_a_property_that_does_not_exist_is_a_mistake(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(
            TypeError, match=r"no message has a property colour; there are: 'content_type', .*'reply_to'"
        ):
            fakebroker.published(colour="red")
        with pytest.raises(TypeError, match="did you mean 'correlation_id'"):
            fakebroker.published(corelation_id="a")
        with pytest.raises(TypeError, match="count says how many"):
            fakebroker.published(count=1, min=1)


class TestExplanations:
    @pytest.mark.usefixtures("channel")
    def test_too_few(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("orders", count=1, headers={"x-attempt": 3})
        assert str(failure.value).splitlines() == [
            "expected 1 published message with routing key 'orders', header x-attempt 3; there are none",
            "near misses:",
            """  the default exchange, key 'orders': {"id": 1, "items": ["pen"]}""",
            "      header x-attempt is 1",
            """  the default exchange, key 'orders': {"items": ["ink"], "id": 2}""",
            "      header x-attempt is 2",
            "  exchange events, key 'order.created': gr\u00fcn",
            "      routing key is 'order.created'",
            "      has no header x-attempt",
        ]

    @pytest.mark.usefixtures("channel")
    def test_too_many(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("orders", count=0)
        assert str(failure.value).splitlines() == [
            "expected 0 published messages with routing key 'orders'; there are 2",
            "found:",
            """  the default exchange, key 'orders': {"id": 1, "items": ["pen"]}""",
            """  the default exchange, key 'orders': {"items": ["ink"], "id": 2}""",
        ]

    @pytest.mark.usefixtures("channel")
    def test_of_body_json_and_queue(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError) as failure:
            fakebroker.published(json=[1], body="[1]", queue="orders", vhost="other", correlation_id="b", count=1)
        text = str(failure.value)
        assert "      has no property correlation_id" in text
        assert "queue 'orders', property correlation_id 'b', body b'[1]', JSON body [1]; there are none" in text
        assert "      body is no JSON: gr\u00fcn" in text
        assert "      body is {'id': 1, 'items': ['pen']}" in text
        assert "      routed to audit" in text
        assert "      vhost is '/'" in text

    def test_what_went_nowhere(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.basic_publish(Message(b"\x00\x01" * 100), "events", "invoice.created")
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("invoice.created", queue="audit", count=1)
        assert "      routed to no queue" in str(failure.value)
        assert max(map(len, str(failure.value).splitlines())) < 120

    def test_only_the_nearest_are_shown(self, fakebroker: FakeBroker, channel: Channel) -> None:
        for number in range(20):
            channel.basic_publish(Message(str(number)), routing_key="orders")
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("orders", body="20", count=1)
        lines = str(failure.value).splitlines()
        assert lines[-1] == "  and 18 more"
        assert len(lines) == 2 + 5 * 2 + 1

    def test_dead_letters_are_pointed_at(self, fakebroker: FakeBroker, channel: Channel) -> None:
        dead_letter = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.failed"}
        channel.queue_declare("work", durable=True, auto_delete=False, arguments=dead_letter)
        channel.queue_declare("orders.failed", durable=True, auto_delete=False)
        channel.basic_publish(Message(b"one"), routing_key="work")
        got = channel.basic_get("work")
        assert got is not None
        channel.basic_reject(got.delivery_tag or 0, requeue=False)
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("orders.failed", count=1)
        assert "fakebroker.dead_lettered(...)" in str(failure.value)
        assert str(failure.value).splitlines()[-1] == "  work -> orders.failed"

    @pytest.mark.usefixtures("channel")
    def test_of_a_plain_assert(self, fakebroker: FakeBroker) -> None:
        assert repr(fakebroker.published("orders.retry", headers={"x-attempt": 1})) == (
            "<nothing published with routing key 'orders.retry', header x-attempt 1; nearest: the default exchange, "
            """key 'orders': {"id": 1, "items": ["pen"]}: routing key is 'orders'>"""
        )
        assert re.match(r"\[Message\(''", repr(fakebroker.published("orders")))

    def test_of_silence(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError, match=r"expected 1 published message at all; there are none\nnothing was"):
            fakebroker.published(count=1)
        assert repr(fakebroker.published("orders")) == (
            "<nothing published with routing key 'orders', nor anything else>"
        )
        assert fakebroker.published("orders", count=0) == []


def publish(fakebroker: FakeBroker, *messages: tuple[str, str]) -> None:
    """Publish bodies by keys, into a history that begins with them."""
    channel = fakebroker.connect().channel()
    fakebroker.history.clear()
    for key, body in messages:
        channel.basic_publish(Message(body), routing_key=key)


@pytest.mark.fakebroker(history_events=2)
class TestDroppedEvents:
    """Where the history has dropped published messages, it may be one of them that is asked for."""

    LIMITS = (
        "its limits are history_events=2, history_bytes=67108864; raise them, "
        "or call history.clear() before what you look for"
    )

    def test_none_is_found(self, fakebroker: FakeBroker) -> None:
        publish(fakebroker, ("a", "1"), ("b", "2"), ("b", "3"))
        with pytest.raises(AssertionError) as failure:
            assert not fakebroker.published("a")
        assert str(failure.value).splitlines() == [
            "cannot tell whether a message with routing key 'a' was published",
            "the history no longer keeps 1 older published message",
            self.LIMITS,
        ]

    def test_too_few(self, fakebroker: FakeBroker) -> None:
        publish(fakebroker, ("a", "1"), ("b", "2"), ("b", "3"))
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("a", count=1)
        assert str(failure.value).splitlines() == [
            "expected 1 published message with routing key 'a'; there are none that the history still keeps",
            "the history no longer keeps 1 older published message",
            self.LIMITS,
            "near misses:",
            "  the default exchange, key 'b': 2",
            "      routing key is 'b'",
            "  the default exchange, key 'b': 3",
            "      routing key is 'b'",
        ]

    @pytest.mark.parametrize(("key", "count"), [("b", 2), ("c", 0)])
    def test_the_count_may_be_right_by_accident(self, fakebroker: FakeBroker, key: str, count: int) -> None:
        publish(fakebroker, ("a", "0"), ("a", "1"), ("b", "2"), ("b", "3"))
        with pytest.raises(AssertionError) as failure:
            fakebroker.published(key, count=count)
        first, *_, gap, limits = str(failure.value).splitlines()
        assert first.startswith(f"expected {count} published messages with routing key '{key}'; there are ")
        assert first.endswith(" that the history still keeps")
        assert (gap, limits) == ("the history no longer keeps 2 older published messages", self.LIMITS)

    def test_those_that_are_kept_are_given_without_a_count(self, fakebroker: FakeBroker) -> None:
        publish(fakebroker, ("b", "1"), ("b", "2"), ("b", "3"))
        assert [message.body for message in fakebroker.published("b")] == [b"2", b"3"]

    def test_nothing_published_is_not_claimed_where_nothing_is_kept(self, fakebroker: FakeBroker) -> None:
        publish(fakebroker, ("b", "1"))
        for name in "xyz":
            fakebroker.connect().channel().queue_declare(name)
        with pytest.raises(AssertionError) as failure:
            fakebroker.published(count=1)
        assert str(failure.value).splitlines() == [
            "expected 1 published message at all; there are none that the history still keeps",
            "the history no longer keeps 1 older published message",
            self.LIMITS,
        ]

    def test_other_events_that_were_dropped_hinder_nobody(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        for name in "xyz":
            channel.queue_declare(name)
        channel.basic_publish(Message("1"), routing_key="b")
        fakebroker.published("b", count=1)
        fakebroker.published("a", count=0)
        assert not fakebroker.published("a")

    def test_waiting_says_so(self, fakebroker: FakeBroker) -> None:
        publish(fakebroker, ("a", "1"), ("b", "2"), ("b", "3"))
        with pytest.raises(AssertionError, match="the history no longer keeps 1 older published message"):
            fakebroker.wait_until(lambda: fakebroker.published("a", count=1), timeout=0.01)


@pytest.mark.fakebroker(history_bytes=10)
class TestDroppedBodies:
    LIMITS = (
        "its limits are history_events=100000, history_bytes=10; raise them, "
        "or call history.clear() before what you look for"
    )

    @pytest.fixture(autouse=True)
    def messages(self, fakebroker: FakeBroker) -> None:
        publish(fakebroker, ("a", '"old one"'), ("b", '"another"'), ("b", '"new"'))

    @pytest.mark.parametrize("ask", [{"body": '"another"'}, {"json": "another"}])
    def test_one_is_asked_for(self, fakebroker: FakeBroker, ask: dict[str, str]) -> None:
        with pytest.raises(AssertionError) as failure:
            fakebroker.published("b", **ask, count=1)  # type: ignore[arg-type]
        first, *lines = str(failure.value).splitlines()
        assert first.endswith("; there are none that the history still keeps")
        assert lines[:3] == [
            "the history no longer keeps the body of 1 published message, which may be meant:",
            "  the default exchange, key 'b': (a body of 9 bytes, no longer kept)",
            self.LIMITS,
        ]

    def test_none_is_found(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError) as failure:
            assert fakebroker.published(json="another")
        assert str(failure.value).splitlines() == [
            "cannot tell whether a message with JSON body 'another' was published",
            "the history no longer keeps the bodies of 2 published messages, which may be meant:",
            "  the default exchange, key 'a': (a body of 9 bytes, no longer kept)",
            "  the default exchange, key 'b': (a body of 9 bytes, no longer kept)",
            self.LIMITS,
        ]

    def test_the_count_may_be_right_by_accident(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError, match="no longer keeps the bodies of 2 published messages"):
            fakebroker.published(json="new", count=1)
        assert len(fakebroker.published(json="new")) == 1

    def test_what_else_is_asked_for_is_still_known(self, fakebroker: FakeBroker) -> None:
        fakebroker.published("c", body="old one", count=0)
        fakebroker.published("b", count=2)
        assert not fakebroker.published("c", json="new")
        (old,) = fakebroker.published("a", count=1)
        with pytest.raises(LookupError, match="no longer keeps this body of 9 bytes"):
            old.body  # noqa: B018

"""The fixture and what it gives, as a test uses it."""

import json
import threading
from datetime import timedelta
from typing import Any

import amqp
import pika
import pytest
from freezegun import freeze_time

from hutch.client import AccessRefused, Channel, Connection, Message, NotFound, connect
from hutch.fakebroker import ManualClock, SystemClock
from hutch.pytest_plugin import FakeBroker

FIVE_MINUTES = 300_000  # milliseconds


def declare(channel: Any, name: str, ttl: int | None = None, dead_letters_to: str | None = None) -> None:
    arguments: dict[str, Any] = {}
    if ttl is not None:
        arguments["x-message-ttl"] = ttl
    if dead_letters_to is not None:
        arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_letters_to}
    channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)


def channel_of(broker: FakeBroker) -> Channel:
    return broker.connect().channel()


class TestFreshness:
    @pytest.mark.parametrize("messages", [1, 2])
    def test_a_broker_is_new_for_each_test(self, fakebroker: FakeBroker, messages: int) -> None:
        assert list(fakebroker.history) == []
        with pytest.raises(NotFound):
            channel_of(fakebroker).queue_declare("orders", passive=True)
        channel = channel_of(fakebroker)
        declare(channel, "orders")
        for _ in range(messages):
            channel.basic_publish(Message(b"one"), routing_key="orders")
        assert fakebroker.queue("orders").ready == messages

    def test_brokers_made_directly_are_strangers(self, fakebroker: FakeBroker) -> None:
        with FakeBroker() as other:
            declare(channel_of(other), "orders")
            assert other.queue("orders").ready == 0
            with pytest.raises(LookupError, match="no queue 'orders'"):
                fakebroker.queue("orders")
            assert other.url != fakebroker.url

    def test_a_broker_closes_what_is_still_connected(self) -> None:
        with FakeBroker() as broker:
            connection = broker.connect()
            assert connection.connected
        assert not connection.connected
        with pytest.raises(ConnectionRefusedError):
            broker.connect()


class TestClients:
    def test_in_process(self, fakebroker: FakeBroker) -> None:
        channel = channel_of(fakebroker)
        declare(channel, "orders")
        channel.basic_publish(Message(b"one"), routing_key="orders")
        message = channel.basic_get("orders", no_ack=True)
        assert message is not None
        assert message.body == b"one"
        assert isinstance(channel.connection, Connection)
        assert channel.connection.sock is None

    def test_py_amqp_by_url(self, fakebroker_url: str, fakebroker: FakeBroker) -> None:
        assert fakebroker_url == fakebroker.url
        with amqp.Connection(fakebroker_url.rpartition("@")[2].rstrip("/")) as connection:
            channel = connection.channel()
            declare(channel, "orders")
            channel.basic_publish(amqp.Message(b"one"), routing_key="orders")
            assert fakebroker.queue("orders").ready == 1
            assert channel.basic_get("orders", no_ack=True).body == b"one"

    def test_pika_by_url(self, fakebroker_url: str, fakebroker: FakeBroker) -> None:
        with pika.BlockingConnection(pika.URLParameters(fakebroker_url)) as connection:
            channel = connection.channel()
            channel.queue_declare("orders", durable=True)
            channel.basic_publish("", "orders", b"one")
            assert fakebroker.queue("orders").ready == 1
            assert channel.basic_get("orders", auto_ack=True)[2] == b"one"

    def test_what_a_tcp_client_has_sent_counts_at_once(self, fakebroker: FakeBroker) -> None:
        with connect(fakebroker.url) as connection, connection.channel() as channel:
            declare(channel, "orders")
            for number in range(1, 101):
                channel.basic_publish(Message(b"x" * 1000 * number), routing_key="orders")
                assert fakebroker.queue("orders").ready == number
                assert len(fakebroker.published("orders")) == number

    def test_connect_takes_what_connection_takes(self, fakebroker: FakeBroker) -> None:
        fakebroker.admin.add_vhost("shop")
        fakebroker.admin.add_user("ada", "secret")
        fakebroker.admin.set_permissions("ada", vhost="shop")
        connection = fakebroker.connect(userid="ada", password="secret", virtual_host="shop", confirm_publish=True)
        assert connection.virtual_host == "shop"
        assert connection.confirm_publish
        with pytest.raises(AccessRefused):
            fakebroker.connect(password="wrong")

    @pytest.mark.fakebroker(users={"ada": "secret"}, vhosts=("shop", "bank"))
    def test_defaults_are_the_first_user_and_vhost(self, fakebroker: FakeBroker) -> None:
        assert fakebroker.connect().virtual_host == "shop"
        with connect(fakebroker.url) as connection:
            assert (connection.userid, connection.virtual_host) == ("ada", "shop")


class TestManualClock:
    def test_time_stands_still_until_it_is_advanced(self, fakebroker: FakeBroker) -> None:
        channel = channel_of(fakebroker)
        declare(channel, "dead")
        declare(channel, "orders", ttl=FIVE_MINUTES, dead_letters_to="dead")
        channel.basic_publish(Message(b"one"), routing_key="orders")
        fakebroker.clock.advance(minutes=4, seconds=59.9)
        assert (fakebroker.queue("orders").ready, fakebroker.queue("dead").ready) == (1, 0)
        fakebroker.clock.advance(milliseconds=100)
        assert (fakebroker.queue("orders").ready, fakebroker.queue("dead").ready) == (0, 1)

    def test_what_falls_due_on_the_way_happens_at_its_moment(self, fakebroker: FakeBroker) -> None:
        channel = channel_of(fakebroker)
        declare(channel, "third")
        declare(channel, "second", ttl=20_000, dead_letters_to="third")
        declare(channel, "first", ttl=10_000, dead_letters_to="second")
        channel.basic_publish(Message(b"one"), routing_key="first")
        fakebroker.clock.advance(minutes=1)
        assert fakebroker.queue("third").ready == 1
        assert [event.at for event in fakebroker.history.of("expired")] == [10, 30]
        assert fakebroker.clock.monotonic() == 60

    def test_a_client_in_process_that_waits_moves_it(self, fakebroker: FakeBroker) -> None:
        channel = channel_of(fakebroker)
        declare(channel, "dead")
        declare(channel, "orders", ttl=FIVE_MINUTES, dead_letters_to="dead")
        channel.basic_publish(Message(b"one"), routing_key="orders")
        got: list[Message] = []
        channel.basic_consume("dead", no_ack=True, callback=got.append)
        assert channel.connection is not None
        channel.connection.drain_events(timeout=3600)
        assert [message.body for message in got] == [b"one"]
        assert fakebroker.clock.monotonic() == 300
        with pytest.raises(TimeoutError):
            channel.connection.drain_events(timeout=60)
        assert fakebroker.clock.monotonic() == 360

    def test_what_was_sent_over_tcp_was_sent_before_the_clock_advances(self, fakebroker: FakeBroker) -> None:
        with connect(fakebroker.url) as connection, connection.channel() as channel:
            declare(channel, "orders", ttl=FIVE_MINUTES)
            for _ in range(20):
                channel.basic_publish(Message(b"x" * 100_000), routing_key="orders")
                fakebroker.clock.advance(minutes=5)
                assert fakebroker.queue("orders").ready == 0
        assert [event.at for event in fakebroker.history.of("published")] == [300 * number for number in range(20)]

    def test_a_tcp_client_is_not_given_up_for_leaps_of_the_clock(self, fakebroker: FakeBroker) -> None:
        parameters = pika.URLParameters(fakebroker.url)
        parameters.heartbeat = 60
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            for _ in range(5):
                fakebroker.clock.advance(hours=1)
                connection.process_data_events(0)
            channel.queue_declare("orders", durable=True)
        assert fakebroker.queue("orders").ready == 0


@pytest.mark.fakebroker(clock="system")
class TestSystemClock:
    def test_it_is_the_machines(self, fakebroker: FakeBroker) -> None:
        assert isinstance(fakebroker.clock, SystemClock)
        with pytest.raises(TypeError, match=r"cannot be advanced.* freezegun"):
            fakebroker.clock.advance(minutes=5)

    def test_freezegun_moves_it_for_a_client_in_process(self, fakebroker: FakeBroker) -> None:
        with freeze_time("2026-03-01 12:00:00") as frozen:
            channel = channel_of(fakebroker)
            declare(channel, "dead")
            declare(channel, "orders", ttl=FIVE_MINUTES, dead_letters_to="dead")
            channel.basic_publish(Message(b"one"), routing_key="orders")
            frozen.tick(timedelta(minutes=4, seconds=59))
            assert channel.basic_get("dead") is None
            frozen.tick(timedelta(seconds=1))
            message = channel.basic_get("dead")
            assert message is not None
            assert message.headers is not None
            assert str(message.headers["x-death"][0]["time"]) == "2026-03-01 12:05:00"

    def test_freezegun_moves_it_over_tcp(self, fakebroker: FakeBroker) -> None:
        with (
            freeze_time("2026-03-01 12:00:00") as frozen,
            connect(fakebroker.url) as connection,
            connection.channel() as channel,
        ):
            declare(channel, "dead")
            declare(channel, "orders", ttl=FIVE_MINUTES, dead_letters_to="dead")
            channel.basic_publish(Message(b"one"), routing_key="orders")
            assert fakebroker.queue("orders").ready == 1
            frozen.tick(timedelta(minutes=5))
            fakebroker.run_due()
            assert (fakebroker.queue("orders").ready, fakebroker.queue("dead").ready) == (0, 1)
            channel.basic_publish(Message(b"two"), routing_key="orders")
            assert fakebroker.queue("orders").ready == 1
            frozen.tick(timedelta(minutes=5))
            assert [message.body for message in iter(lambda: channel.basic_get("dead", no_ack=True), None)] == [
                b"one",
                b"two",
            ]

    def test_time_frozen_before_and_after_the_broker_ends_no_wait(self) -> None:
        with freeze_time("2026-03-01 12:00:00"), FakeBroker(clock=SystemClock()) as broker:
            idle = amqp.Connection(broker.url.rpartition("@")[2].rstrip("/"))
            idle.connect()
            with pytest.raises(AssertionError, match=r"condition still false after 0\.01 s"):
                broker.wait_until(lambda: False, timeout=0.01)
        idle.collect()


class TestWaitUntil:
    def test_it_waits_for_what_other_threads_do(self, fakebroker: FakeBroker) -> None:
        start = threading.Event()

        def application() -> None:
            with connect(fakebroker.url) as connection, connection.channel() as channel:
                start.wait(10)
                declare(channel, "orders")
                for number in range(3):
                    channel.basic_publish(Message(str(number)), routing_key="orders")

        thread = threading.Thread(target=application)
        thread.start()
        try:
            start.set()
            found = fakebroker.wait_until(lambda: fakebroker.published("orders", count=3))
            assert [message.body for message in found] == [b"0", b"1", b"2"]
            fakebroker.wait_until(lambda: fakebroker.queue("orders").ready == 3)
        finally:
            thread.join()

    def test_a_change_that_sends_nothing_to_anybody_wakes_it(self, fakebroker: FakeBroker) -> None:
        declare(channel_of(fakebroker), "orders", ttl=FIVE_MINUTES)
        channel_of(fakebroker).basic_publish(Message(b"one"), routing_key="orders")
        waiting = threading.Event()

        def gone() -> bool:
            waiting.set()
            return fakebroker.queue("orders").ready == 0

        def advance() -> None:
            waiting.wait(10)
            fakebroker.clock.advance(minutes=5)

        thread = threading.Thread(target=advance)
        thread.start()
        try:
            assert fakebroker.wait_until(gone, timeout=30)
        finally:
            thread.join()

    @pytest.mark.fakebroker(clock="system")
    def test_it_does_what_falls_due_meanwhile(self, fakebroker: FakeBroker) -> None:
        channel = channel_of(fakebroker)
        declare(channel, "orders", ttl=30)
        channel.basic_publish(Message(b"one"), routing_key="orders")
        fakebroker.wait_until(lambda: fakebroker.queue("orders").ready == 0)

    def test_failure_tells_what_the_condition_was_at_last(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError, match=r"condition still false after 0\.01 s; last value: 0"):
            fakebroker.wait_until(lambda: len(fakebroker.history), timeout=0.01)

    def test_not_there_yet_is_no_error_but_the_last_one_is_told(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(AssertionError, match=r"s; last error: no queue 'orders' in vhost"):
            fakebroker.wait_until(lambda: fakebroker.queue("orders").ready, timeout=0.01)
        with pytest.raises(
            AssertionError, match=r"(?s)s; last error: expected 2 published messages.*nothing was published"
        ):
            fakebroker.wait_until(lambda: fakebroker.published(count=2), timeout=0.01)

    def test_other_errors_come_through(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(ZeroDivisionError):
            fakebroker.wait_until(lambda: 1 / 0)


class TestMarker:
    pytestmark = pytest.mark.fakebroker(profile="3.10")

    def test_of_the_class(self, fakebroker: FakeBroker) -> None:
        assert fakebroker.profile.name == "3.10"
        assert isinstance(fakebroker.clock, ManualClock)

    @pytest.mark.fakebroker(clock="system")
    def test_of_the_test_is_added(self, fakebroker: FakeBroker) -> None:
        assert fakebroker.profile.name == "3.10"
        assert isinstance(fakebroker.clock, SystemClock)

    @pytest.mark.fakebroker(profile="4.3")
    def test_of_the_test_wins(self, fakebroker: FakeBroker) -> None:
        assert fakebroker.profile.name == "4.3"

    @pytest.mark.fakebroker(seed=7)
    def test_a_seed_makes_the_names(self, fakebroker: FakeBroker) -> None:
        with FakeBroker("3.10", seed=7) as twin:
            declared = [channel_of(broker).queue_declare("", exclusive=True) for broker in (fakebroker, twin)]
        assert declared[0] == declared[1]


def test_a_whole_story(fakebroker: FakeBroker) -> None:
    """The retry of the package's description, from the publisher's side to the dead letter's."""
    channel = channel_of(fakebroker)
    declare(channel, "orders", dead_letters_to="orders.retry")
    declare(channel, "orders.retry", ttl=FIVE_MINUTES, dead_letters_to="orders")
    channel.basic_publish(Message(json.dumps({"id": 17}), message_id="17"), routing_key="orders")
    failing = channel.basic_get("orders")
    assert failing is not None
    assert failing.delivery_tag is not None
    channel.basic_reject(failing.delivery_tag, requeue=False)
    assert fakebroker.queue("orders.retry").ready == 1
    fakebroker.clock.advance(minutes=5)
    assert fakebroker.queue("orders").ready == 1
    assert fakebroker.published("orders", count=1, json={"id": 17}, message_id="17")


def test_settings_of_the_wrong_shape_are_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"collection of names, for example \('test',\), not"):
        FakeBroker(vhosts="test")
    with pytest.raises(TypeError, match="passwords by user name"):
        FakeBroker(users="guest")  # type: ignore[arg-type]


def test_nobody_can_connect_where_there_is_no_user_or_vhost() -> None:
    with FakeBroker(users={}) as broker, pytest.raises(LookupError, match="without any users"):
        broker.connect()
    with FakeBroker(vhosts=()) as broker, pytest.raises(LookupError, match="without any vhosts"):
        broker.connect()

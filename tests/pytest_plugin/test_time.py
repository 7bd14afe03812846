"""Clocks by name, and failed waits that say what is due."""

import threading
from typing import Any

import pytest

from hutch.client import Channel, Message, connect
from hutch.fakebroker import AutoClock, Broker, FrozenClock, ManualClock, SystemClock, TickingClock
from hutch.pytest_plugin import FakeBroker


def declare(
    channel: Channel, name: str, seconds: float | None = None, to: str = "orders", arguments: Any = None
) -> None:
    arguments = dict(arguments or {})
    if seconds is not None:
        arguments |= {
            "x-message-ttl": int(seconds * 1000),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": to,
        }
    channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)


@pytest.fixture
def channel(fakebroker: FakeBroker) -> Channel:
    channel = fakebroker.connect().channel()
    declare(channel, "orders")
    return channel


def why(fakebroker: FakeBroker) -> str:
    """What a failed wait says is due."""
    with pytest.raises(AssertionError) as failure:
        fakebroker.wait_until(lambda: False, timeout=0.001)
    return str(failure.value).splitlines()[-1]


class TestWhatIsDue:
    def test_nothing(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", "one")
        assert why(fakebroker) == "Nothing is due on the broker's clock."

    @pytest.mark.parametrize(
        ("seconds", "due", "call"),
        [
            (300, "300", "minutes=5"),
            (7200, "7200", "hours=2"),
            (90, "90", "seconds=90"),
            (0.25, "0.25", "seconds=0.25"),
        ],
    )
    @pytest.mark.parametrize("kind", ["classic", "quorum"])
    def test_a_message_that_waits(
        self, fakebroker: FakeBroker, channel: Channel, seconds: float, due: str, call: str, kind: str
    ) -> None:
        declare(channel, "orders.wait", seconds, arguments={"x-queue-type": kind})
        fakebroker.clock.advance(7)
        fakebroker.publish("orders.wait", "one")
        assert why(fakebroker) == (
            f"1 message waits in 'orders.wait', due in {due} s of the broker's clock: call clock.advance({call})."
        )
        fakebroker.clock.advance(seconds)
        assert fakebroker.queue("orders").ready == 1

    def test_some_time_later(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 300)
        fakebroker.publish("orders.wait", "one")
        fakebroker.clock.advance(60)
        fakebroker.publish("orders.wait", "two")
        assert why(fakebroker).startswith("2 messages wait in 'orders.wait', due in 240 s ")

    def test_of_several_the_next(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "later", 300)
        declare(channel, "sooner", 60)
        for queue in ("later", "sooner"):
            fakebroker.publish(queue, "one")
        assert why(fakebroker).startswith("1 message waits in 'sooner', due in 60 s ")

    def test_a_dead_letter_and_an_expiration(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "second", 300)
        declare(channel, "first", 60, to="second")
        fakebroker.publish("first", "one", expiration="30000")
        assert why(fakebroker).startswith("1 message waits in 'first', due in 30 s ")
        fakebroker.clock.advance(30)
        assert why(fakebroker).startswith("1 message waits in 'second', due in 300 s ")

    def test_a_lease(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "idle", arguments={"x-expires": 60_000})
        assert why(fakebroker) == (
            "The next timer of the broker is due in 60 s of the broker's clock: call clock.advance(minutes=1)."
        )

    @pytest.mark.fakebroker(plugins=["rabbitmq_delayed_message_exchange"])
    def test_a_delayed_message(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.exchange_declare(
            "late", "x-delayed-message", durable=True, auto_delete=False, arguments={"x-delayed-type": "fanout"}
        )
        channel.queue_bind("orders", "late")
        channel.basic_publish(Message(b"one", application_headers={"x-delay": 60_000}), "late")
        assert why(fakebroker).startswith("1 delayed message waits for an exchange, due in 60 s ")

    @pytest.mark.fakebroker(history_events=0)
    def test_what_the_history_forgot(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 300)
        fakebroker.publish("orders.wait", "one")
        assert why(fakebroker).startswith("The next timer of the broker is due in 300 s ")

    @pytest.mark.fakebroker(clock="system")
    def test_on_the_machines_clock(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 300)
        fakebroker.publish("orders.wait", "one")
        assert "its clock is the machine's; freezegun moves it" in why(fakebroker)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("manual", ManualClock),
            ("frozen", FrozenClock),
            ("auto", AutoClock),
            ("ticking", TickingClock),
            ("system", SystemClock),
        ],
    )
    def test_each(self, name: str, kind: type) -> None:
        with FakeBroker(clock=name) as broker:
            assert type(broker.clock) is kind

    def test_another(self) -> None:
        with pytest.raises(ValueError, match="clock 'forzen' is unknown; did you mean 'frozen'"):
            FakeBroker(clock="forzen")


@pytest.mark.fakebroker(clock="frozen")
class TestFrozen:
    def test_waiting_does_not_move_it(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 0.005)
        fakebroker.publish("orders.wait", "one")
        channel.basic_consume("orders", no_ack=True)
        assert channel.connection is not None
        with pytest.raises(TimeoutError):
            channel.connection.drain_events(timeout=0.02)
        assert fakebroker.clock.monotonic() == 0
        fakebroker.clock.advance(milliseconds=5)
        channel.connection.drain_events(timeout=1)


@pytest.mark.fakebroker(clock="auto")
class TestAuto:
    def test_a_wait_moves_it(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "second", 3600)
        declare(channel, "first", 300, to="second")
        fakebroker.publish("first", "one")
        fakebroker.wait_until(lambda: fakebroker.queue("orders").ready == 1)
        assert fakebroker.clock.monotonic() == 3900

    def test_with_clients_and_threads(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 300)
        done = threading.Event()

        def application() -> None:
            with connect(fakebroker.url) as connection, connection.channel() as mine:
                mine.basic_consume("orders", callback=lambda _: done.set(), no_ack=True)
                mine.basic_publish(Message(b"one"), routing_key="orders.wait")
                while not done.is_set():
                    connection.drain_events(timeout=30)

        thread = threading.Thread(target=application)
        thread.start()
        try:
            fakebroker.wait_until(lambda: fakebroker.delivered(queue="orders", count=1), timeout=30)
        finally:
            thread.join()
        assert fakebroker.clock.monotonic() == 300

    def test_it_stands_still_while_the_condition_holds(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 300)
        fakebroker.publish("orders.wait", "one")
        fakebroker.wait_until(lambda: fakebroker.queue("orders.wait").ready == 1)
        assert fakebroker.clock.monotonic() == 0


@pytest.mark.fakebroker(clock="ticking")
class TestTicking:
    def test_it_runs_by_itself(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 0.03)
        fakebroker.publish("orders.wait", "one")
        fakebroker.wait_until(lambda: fakebroker.queue("orders").ready == 1)

    def test_it_is_advanced_over_what_falls_due(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "second", 3600)
        declare(channel, "first", 300, to="second")
        fakebroker.publish("first", "one")
        before = fakebroker.clock.time()
        fakebroker.clock.advance(minutes=5, hours=1, seconds=1)
        assert fakebroker.queue("orders").ready == 1
        first, second = (event.at for event in fakebroker.history.of("expired"))
        assert second - first == pytest.approx(3600)
        assert fakebroker.clock.time() - before == pytest.approx(3901, abs=60)
        with pytest.raises(ValueError, match="a clock does not go back"):
            fakebroker.clock.advance(-1)

    def test_it_says_what_is_due(self, fakebroker: FakeBroker, channel: Channel) -> None:
        declare(channel, "orders.wait", 300)
        fakebroker.publish("orders.wait", "one")
        assert "1 message waits in 'orders.wait', due in 29" in why(fakebroker)

    def test_several_brokers(self, fakebroker: FakeBroker) -> None:
        with FakeBroker(clock=fakebroker.clock) as other:
            channel = other.connect().channel()
            channel.queue_declare("orders", arguments={"x-expires": 60_000})
            fakebroker.clock.advance(minutes=1)
            with pytest.raises(LookupError, match="no queue 'orders'"):
                other.queue("orders")
        fakebroker.clock.advance(minutes=1)

    def test_of_a_plain_broker(self) -> None:
        clock = TickingClock()
        with Broker(clock=clock) as broker:
            clock.advance(minutes=1)
            assert broker.hub.node.clock.monotonic() >= 60

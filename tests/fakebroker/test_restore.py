"""Restoring a broker and resetting it, while clients are connected: in this process and over TCP."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hutch.client import Channel, Connection, ConnectionForced, Message, connect
from hutch.fakebroker import Broker, ManualClock

#: Opens a connection. The fixture closes it.
Connect = Callable[[], Connection]


@pytest.fixture(params=["3.10", "4.3"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param, clock=ManualClock()) as made:
        yield made


@pytest.fixture(params=["in-process", "TCP"])
def connected(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Connect]:
    with ExitStack() as stack:

        def open_one() -> Connection:
            url = broker.memory_url if request.param == "in-process" else broker.url
            connection = connect(url, confirm_publish=False)
            stack.callback(connection.collect)
            return connection

        yield open_one


def declare(channel: Channel, *names: str) -> None:
    for name in names:
        channel.queue_declare(name, durable=True, auto_delete=False)


def ready(broker: Broker, name: str) -> list[bytes]:
    return [message.body for message in broker.queue(name).messages]


def run(function: Callable[[], object]) -> Callable[[], object]:
    """Run a function in a thread. Returns what waits for its result, or raises its error."""
    outcome: list[object] = []

    def work() -> None:
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result() -> object:
        thread.join(10)
        assert not thread.is_alive(), "it still waits"
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    return result


class TestConnections:
    def test_a_younger_one_is_closed_with_320(self, broker: Broker, connected: Connect) -> None:
        snapshot = broker.snapshot()
        younger = connected()
        channel = younger.channel()
        broker.restore(snapshot)
        assert [event.kind for event in broker.history][-1] == "disconnected"
        with pytest.raises(ConnectionForced) as caught:
            channel.queue_declare("orders")
        assert caught.value.reply_text == ("CONNECTION_FORCED - broker forced connection closure with reason 'restore'")

    def test_an_older_one_stays_open_with_its_channels_and_consumers(self, broker: Broker, connected: Connect) -> None:
        older = connected()
        channel, other = older.channel(), older.channel()
        declare(channel, "orders")
        got: list[str | bytes] = []
        channel.basic_consume("orders", callback=lambda message: got.append(message.body), no_ack=True)
        snapshot = broker.snapshot()
        for body in (b"one", b"two"):
            declare(other, "new")
            broker.restore(snapshot)
            assert broker.queue("orders").consumers == 1
            other.basic_publish(Message(body), "", "orders")
            while body not in got:
                older.drain_events(timeout=10)

    def test_a_connection_may_come_between_two_restores(self, broker: Broker, connected: Connect) -> None:
        """It is younger than the one snapshot, and older than the other."""
        first = broker.snapshot()
        connection = connected()
        channel = connection.channel()
        second = broker.snapshot()
        broker.restore(second)
        declare(channel, "orders")
        broker.restore(first)
        with pytest.raises(ConnectionForced):
            declare(channel, "orders")
        broker.restore(second)
        assert not connection.connected or not connection.is_alive(), "closed is closed"


class TestUnacknowledged:
    def test_a_later_ack_changes_nothing_and_is_recorded(self, broker: Broker, connected: Connect) -> None:
        older = connected()
        channel = older.channel()
        declare(channel, "orders")
        got: list[int] = []
        channel.basic_qos(0, 1, False)
        channel.basic_consume("orders", callback=lambda message: got.append(message.delivery_tag))
        snapshot = broker.snapshot()
        for number in (1, 2):
            channel.basic_publish(Message(b"once"), "", "orders")
            while len(got) < number:  # deliveries from before the restore do not count against the prefetch limit
                older.drain_events(timeout=10)
            broker.restore(snapshot)
            assert (broker.queue("orders").unacked, ready(broker, "orders")) == (0, [])
        broker.undrained_history.clear()
        channel.basic_ack(got[0], multiple=False)
        channel.basic_nack(got[1], requeue=True)
        assert (broker.queue("orders").unacked, ready(broker, "orders")) == (0, [])
        assert "acked" in {event.kind for event in broker.history}
        channel.basic_publish(Message(b"still served"), "", "orders")
        while len(got) < 3:
            older.drain_events(timeout=10)

    def test_what_a_younger_connection_holds_is_the_snapshot_s(self, broker: Broker, connected: Connect) -> None:
        declare(connected().channel(), "orders")
        first = connected().channel()
        first.basic_publish(Message(b"one"), "", "orders")
        snapshot = broker.snapshot()
        connected().channel().basic_get("orders")
        assert broker.queue("orders").unacked == 1
        broker.restore(snapshot)
        assert (broker.queue("orders").unacked, ready(broker, "orders")) == (0, [b"one"])


class TestWaits:
    def test_a_read_of_a_younger_connection_ends(self, broker: Broker, connected: Connect) -> None:
        snapshot = broker.snapshot()
        younger = connected()
        younger.channel()
        result = run(younger.drain_events)
        broker.restore(snapshot)
        with pytest.raises(ConnectionForced):
            result()

    def test_a_call_that_an_alarm_holds_up_ends(self, broker: Broker, connected: Connect) -> None:
        older = connected()
        channel = older.channel()
        declare(channel, "orders")
        snapshot = broker.snapshot()
        broker.admin.raise_alarm("memory")
        channel.basic_publish(Message(b"into the alarm"), "", "orders")
        result = run(lambda: channel.basic_get("orders", no_ack=True))
        broker.restore(snapshot)
        result()
        assert ready(broker, "orders") == [], "what was sent before belongs to the time before"
        channel.basic_publish(Message(b"afterwards"), "", "orders")
        assert ready(broker, "orders") == [b"afterwards"]


def test_clock_names_and_seeds_are_the_snapshot_s(broker: Broker, connected: Connect) -> None:
    channel = connected().channel()
    channel.queue_declare()
    snapshot, then = broker.snapshot(), broker.clock.time()
    names = set()
    for _ in range(3):
        names.add(channel.queue_declare(exclusive=True).queue)
        assert isinstance(broker.clock, ManualClock)
        broker.clock.advance(hours=1)
        broker.admin.set_loopback_users()
        broker.restore(snapshot)
        assert broker.clock.time() == then
        assert broker.hub.node.loopback_users == {"guest"}
    assert len(names) == 1


class TestReset:
    def test_it_is_as_it_was_made(self, connected: Connect, broker: Broker) -> None:
        url, then = broker.url, broker.clock.time()
        connection = connected()
        channel = connection.channel()
        declare(channel, "orders")
        broker.admin.add_vhost("apart")
        broker.admin.add_user("ann", "secret")
        broker.admin.raise_alarm("disk")
        assert isinstance(broker.clock, ManualClock)
        broker.clock.advance(hours=1)
        broker.reset()

        assert list(broker.history) == []
        with pytest.raises(ConnectionForced):
            declare(channel, "orders")
        state, (made, clock) = broker.snapshot().state, (Broker(broker.profile.name, clock=ManualClock()), broker.clock)
        with made:
            fresh = made.snapshot().state
        assert (state.vhosts, state.users, state.alarms) == (fresh.vhosts, fresh.users, fresh.alarms)
        assert (state.names, state.random) == (fresh.names, fresh.random)
        assert (broker.url, clock.time()) == (url, then)

    def test_users_virtual_hosts_and_plugins_are_those_it_was_made_with(self) -> None:
        users = {"ann": "secret"}
        plugins = ["rabbitmq_event_exchange", "rabbitmq_delayed_message_exchange"]
        with Broker(users=users, vhosts=iter(["shop", "bank"]), plugins=plugins, seed=7) as broker:
            before = broker.snapshot().state
            users["bob"] = "secret"
            broker.admin.delete_user("ann")
            broker.admin.delete_vhost("shop")
            broker.reset()
            after = broker.snapshot().state
            assert (after.vhosts, after.users, after.random) == (before.vhosts, before.users, before.random)
            connect(broker.memory_url).close()

    def test_definitions_are_those_it_was_made_with(self) -> None:
        queue = {"name": "orders", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
        queues = [queue]
        with Broker(definitions={"queues": queues, "vhosts": [{"name": "/"}]}) as broker:
            queues.clear()
            with connect(broker.memory_url) as connection:
                connection.channel().queue_delete("orders")
            broker.reset()
            assert broker.queue("orders").ready == 0

    def test_a_password_is_known_again(self, broker: Broker) -> None:
        broker.admin.add_user("guest", "secret")
        changed = broker.snapshot()
        broker.reset()
        assert broker.hub.first_login == ("guest", "guest", "/")
        broker.restore(changed)
        assert broker.hub.first_login == ("guest", "secret", "/")

    def test_no_fault_is_left(self, broker: Broker) -> None:
        broker.faults.connecting().refuse()
        broker.reset()
        assert list(broker.faults) == []
        connect(broker.url).close()

    def test_a_broker_that_is_stopped_starts(self, broker: Broker) -> None:
        broker.admin.stop()
        broker.reset()
        connect(broker.url).close()

    def test_a_closed_one_stays_closed(self, broker: Broker) -> None:
        broker.close()
        with pytest.raises(RuntimeError, match="the broker is closed"):
            broker.reset()

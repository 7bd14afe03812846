"""Snapshots: a broker returns to one, and its connections stay open."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from hutch.client import Channel, Connection, Message
from hutch.client.exceptions import PreconditionFailed, ResourceError
from hutch.fakebroker import Broker, Clock, ManualClock, Snapshot
from hutch.fakebroker.engine.state.loading import load


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["3.10", "4.3"])
def broker(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Broker]:
    with Broker(request.param, clock=clock) as made:
        yield made


@pytest.fixture
def channel(broker: Broker) -> Iterator[Channel]:
    with Connection(transport=broker.transport) as connection:
        yield connection.channel()


def ready(broker: Broker, name: str) -> list[bytes]:
    return [message.body for message in broker.queue(name).messages]


def test_what_was_done_since_is_undone(broker: Broker, channel: Channel) -> None:
    channel.queue_declare("orders", durable=True, auto_delete=False)
    channel.exchange_declare("shop", "topic", durable=True, auto_delete=False)
    channel.queue_bind("orders", "shop", "order.*")
    channel.basic_publish(Message(b"first"), "shop", "order.created")
    snapshot = broker.snapshot()

    channel.queue_purge("orders")
    channel.queue_unbind("orders", "shop", "order.*")
    channel.exchange_delete("shop")
    channel.queue_declare("new", durable=True, auto_delete=False)
    broker.admin.add_user("ann", "secret")
    broker.admin.add_vhost("apart")
    broker.admin.set_policy("short", "orders", {"max-length": 1})
    broker.restore(snapshot)

    assert ready(broker, "orders") == [b"first"]
    channel.basic_publish(Message(b"second"), "shop", "order.paid")
    assert ready(broker, "orders") == [b"first", b"second"], "exchange and binding are back, the policy is gone"
    with pytest.raises(LookupError, match="no queue 'new'"):
        broker.queue("new")
    with pytest.raises(LookupError, match="no user 'ann'"):
        broker.admin.delete_user("ann")
    with pytest.raises(LookupError, match="no vhost 'apart'"):
        broker.admin.delete_vhost("apart")


def test_a_snapshot_can_be_restored_again_and_again(broker: Broker, channel: Channel) -> None:
    channel.queue_declare("orders", durable=True, auto_delete=False)
    channel.basic_publish(Message(b"kept"), "", "orders")
    snapshot = broker.snapshot()
    for _ in range(3):
        got = channel.basic_get("orders", no_ack=True)
        assert got is not None
        assert got.body == b"kept"
        assert ready(broker, "orders") == []
        broker.restore(snapshot)
    assert repr(snapshot) == f"<Snapshot of RabbitMQ {broker.profile.name}: queues 1, vhosts 1>"


def test_the_moment_of_the_snapshot_is_now(broker: Broker, channel: Channel, clock: ManualClock) -> None:
    channel.queue_declare("orders", durable=True, auto_delete=False)
    channel.basic_publish(Message(b"short", expiration="1000"), "", "orders")
    clock.advance(milliseconds=400)
    snapshot, then, monotonic = broker.snapshot(), clock.time(), clock.monotonic()

    clock.advance(hours=24)
    assert ready(broker, "orders") == []
    broker.restore(snapshot)

    assert clock.time() == then
    assert clock.monotonic() >= monotonic + 86400, "what connections have to do in time does not begin anew"
    clock.advance(milliseconds=599)
    assert ready(broker, "orders") == [b"short"]
    clock.advance(milliseconds=1)
    assert ready(broker, "orders") == []


def test_a_clock_that_moves_by_itself_gives_messages_the_time_they_had_left() -> None:
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time(datetime(2026, 1, 1, tzinfo=UTC)) as frozen, Broker() as broker, ExitStack() as stack:
        connection = stack.enter_context(Connection(transport=broker.transport))
        channel = connection.channel()
        channel.queue_declare("orders", durable=True, auto_delete=False)
        channel.basic_publish(Message(b"short", expiration="1000"), "", "orders")
        snapshot = broker.snapshot()
        frozen.tick(3600)
        broker.run_due()
        broker.restore(snapshot)
        frozen.tick(0.9)
        broker.run_due()
        assert ready(broker, "orders") == [b"short"]
        frozen.tick(0.2)
        broker.run_due()
        assert ready(broker, "orders") == []


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
@pytest.mark.parametrize("settle", ["basic_ack", "basic_nack"])
def test_a_delivery_from_before_is_revoked(broker: Broker, channel: Channel, queue_type: str, settle: str) -> None:
    channel.queue_declare("orders", durable=True, auto_delete=False, arguments={"x-queue-type": queue_type})
    channel.basic_publish(Message(b"once"), "", "orders")
    got = channel.basic_get("orders")
    assert got is not None
    snapshot = broker.snapshot()
    broker.restore(snapshot)

    assert ready(broker, "orders") == [b"once"]
    getattr(channel, settle)(got.delivery_tag)
    assert ready(broker, "orders") == [b"once"], "nothing comes of the settlement, and no error"
    assert broker.queue("orders").unacked == 0
    again = channel.basic_get("orders")
    assert again is not None
    assert again.delivery_info["redelivered"]
    channel.basic_ack(again.delivery_tag)
    assert (broker.queue("orders").unacked, ready(broker, "orders")) == (0, [])


def test_a_consumer_stays_and_a_younger_one_ends(broker: Broker, channel: Channel) -> None:
    connection = channel.connection
    assert connection is not None
    channel.queue_declare("orders", durable=True, auto_delete=False)
    old: list[object] = []
    channel.basic_consume("orders", callback=lambda message: old.append(message.body), no_ack=True)
    with Connection(transport=broker.transport) as another:
        theirs = another.channel()
        snapshot = broker.snapshot()
        theirs.queue_declare("new", durable=True, auto_delete=False)
        cancelled: list[str] = []
        theirs.basic_consume("orders", callback=lambda _: None, on_cancel=cancelled.append, consumer_tag="young")
        theirs.basic_consume("new", callback=lambda _: None, on_cancel=cancelled.append, consumer_tag="new")
        broker.restore(snapshot)

        assert broker.queue("orders").consumers == 1
        while len(cancelled) < 2:
            another.drain_events(timeout=1)
        assert sorted(cancelled) == ["new", "young"]
        for number in range(4):
            theirs.basic_publish(Message(b"%d" % number), "", "orders")
        while len(old) < 4:
            connection.drain_events(timeout=1)
    assert old == [b"0", b"1", b"2", b"3"]


def test_a_transaction_goes_on(broker: Broker, channel: Channel) -> None:
    """What it holds from before and from behind the snapshot reaches the queue that is there at the commit."""
    channel.queue_declare("orders", durable=True, auto_delete=False)
    channel.basic_publish(Message(b"first"), "", "orders")
    channel.tx_select()
    channel.basic_publish(Message(b"older"), "", "orders")
    got = channel.basic_get("orders")
    assert got is not None
    channel.basic_ack(got.delivery_tag)
    snapshot = broker.snapshot()
    channel.basic_publish(Message(b"younger"), "", "orders")
    broker.restore(snapshot)

    assert ready(broker, "orders") == [b"first"], "it was not settled"
    broker.history.clear()
    channel.tx_commit()
    assert ready(broker, "orders") == [b"first", b"older", b"younger"]
    assert broker.queue("orders").unacked == 0
    assert [event.message.body for event in broker.history if event.kind == "acked" and event.message] == [b"first"]


def test_a_transaction_finds_a_queue_deleted_that_the_state_does_not_have(broker: Broker, channel: Channel) -> None:
    snapshot = broker.snapshot()
    channel.queue_declare("younger", durable=True, auto_delete=False)
    channel.tx_select()
    channel.basic_publish(Message(b"a"), "", "younger")
    broker.restore(snapshot)
    if broker.profile.name == "3.10":
        channel.tx_commit()
    else:
        with pytest.raises(ResourceError, match=r"failed to deliver message: .*younger"):
            channel.tx_commit()


def test_a_transaction_publishes_to_no_queue_that_was_deleted_before(broker: Broker, channel: Channel) -> None:
    """The queue was declared again by the snapshot, and on 4.3 this is another one."""
    channel.queue_declare("orders", durable=True, auto_delete=False)
    channel.tx_select()
    channel.basic_publish(Message(b"a"), "", "orders")
    channel.queue_delete("orders")
    channel.queue_declare("orders", durable=True, auto_delete=False)
    snapshot = broker.snapshot()
    broker.restore(snapshot)
    if broker.profile.name == "3.10":
        channel.tx_commit()
        assert ready(broker, "orders") == [b"a"]
    else:
        with pytest.raises(PreconditionFailed, match="partial tx completion"):
            channel.tx_commit()
        assert ready(broker, "orders") == []


def test_an_alarm_is_part_of_the_state(broker: Broker) -> None:
    snapshot = broker.snapshot()
    broker.admin.raise_alarm("memory")
    alarmed = broker.snapshot()
    broker.restore(snapshot)
    with Connection(transport=broker.transport, confirm_publish=True) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True, auto_delete=False)
        channel.basic_publish(Message(b"in"), "", "orders")
    broker.restore(alarmed)
    assert broker.snapshot().state.alarms == {"memory"}
    broker.history.clear()
    broker.admin.clear_alarm("memory")
    assert [event.resource for event in broker.history if event.kind == "alarm-cleared"] == ["memory"]


def test_messages_that_are_delayed_or_remembered_are_part_of_the_state(clock: ManualClock) -> None:
    plugins = ["rabbitmq_delayed_message_exchange", "rabbitmq_recent_history_exchange"]
    with Broker(clock=clock, plugins=plugins) as broker, Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True, auto_delete=False)
        channel.exchange_declare(
            "later", "x-delayed-message", durable=True, auto_delete=False, arguments={"x-delayed-type": "fanout"}
        )
        channel.queue_bind("orders", "later")
        channel.exchange_declare("recent", "x-recent-history", durable=True, auto_delete=False)
        channel.basic_publish(Message(b"late", application_headers={"x-delay": 1000}), "later")
        channel.basic_publish(Message(b"recent"), "recent")
        snapshot = broker.snapshot()
        clock.advance(2)
        channel.exchange_delete("recent")
        channel.queue_purge("orders")
        broker.restore(snapshot)

        channel.queue_bind("orders", "recent")
        assert ready(broker, "orders") == [b"recent"]
        clock.advance(1)
        assert ready(broker, "orders") == [b"recent", b"late"]


def test_bodies_are_shared(broker: Broker, channel: Channel) -> None:
    for name in ("one", "other"):
        channel.queue_declare(name, durable=True, auto_delete=False)
        channel.queue_bind(name, "amq.fanout")
    channel.basic_publish(Message(b"x" * 1000), "amq.fanout")
    before = broker.queue("one").messages[0].body
    snapshot = broker.snapshot()
    channel.queue_purge("one")
    broker.restore(snapshot)
    one, other = (broker.queue(name).messages[0] for name in ("one", "other"))
    assert one is other
    assert one.body is before


def test_a_snapshot_of_another_version_is_refused(broker: Broker) -> None:
    with Broker("4.3" if broker.profile.name == "3.10" else "3.10") as another:
        snapshot = another.snapshot()
    with pytest.raises(ValueError, match=r"this is a snapshot of RabbitMQ"):
        broker.restore(snapshot)


def test_a_snapshot_with_other_plugins_is_refused() -> None:
    with Broker(plugins=["rabbitmq_random_exchange"]) as another:
        snapshot = another.snapshot()
    with Broker() as broker, pytest.raises(ValueError, match="one of the two lacks x-random"):
        broker.restore(snapshot)


def test_a_broker_that_is_stopped_has_no_snapshot(broker: Broker) -> None:
    snapshot: Snapshot = broker.snapshot()
    broker.admin.stop()
    with pytest.raises(RuntimeError, match="the broker is stopped"):
        broker.snapshot()
    with pytest.raises(RuntimeError, match="the broker is stopped"):
        broker.restore(snapshot)
    broker.admin.start()
    broker.restore(snapshot)


def test_an_exclusive_queue_goes_with_its_connection(broker: Broker) -> None:
    with Connection(transport=broker.transport) as connection:
        connection.channel().queue_declare("mine", exclusive=True)
        snapshot = broker.snapshot()
        broker.restore(snapshot)
        assert connection.channel().queue_declare("mine", exclusive=True).queue == "mine"
    broker.restore(snapshot)
    with pytest.raises(LookupError, match="no queue 'mine'"):
        broker.queue("mine")


def test_the_firehose_is_part_of_the_state(broker: Broker, channel: Channel) -> None:
    channel.queue_declare("traced", durable=True, auto_delete=False)
    channel.queue_bind("traced", "amq.rabbitmq.trace", "publish.#")
    untraced = broker.snapshot()
    broker.admin.trace_on()
    traced = broker.snapshot()
    broker.restore(untraced)
    channel.basic_publish(Message(b"a"), "amq.fanout")
    assert ready(broker, "traced") == []
    broker.restore(traced)
    channel.basic_publish(Message(b"b"), "amq.fanout")
    assert ready(broker, "traced") == [b"b"]


def test_a_clock_that_was_never_set_adds_what_passed_to_its_start(clock: ManualClock) -> None:
    clock.advance(1.45)
    assert int(clock.time() * 1000) == 1_700_000_001_450, "a timestamp of an event, which has milliseconds"


def test_a_clock_that_was_set_says_the_time_as_one_that_was_not(clock: ManualClock) -> None:
    """To the last bit: a timestamp in milliseconds is cut, not rounded."""
    other = ManualClock()
    other.advance(hours=50, milliseconds=0.25)
    other.set_time(1_700_000_000_000_000_000)
    for _ in range(1000):
        for each in (clock, other):
            each.advance(180.133)
        assert other.time() == clock.time()


class Leaping(Clock):
    """A clock that goes by itself: it stands where a test puts it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def epoch(self) -> int:
        return 0


def test_what_fell_due_before_a_load_happens_at_its_own_moment() -> None:
    """A message expires into a queue with a TTL of its own while nobody has the state."""
    with Broker(clock=Leaping(1000.0)) as one, Connection(transport=one.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("last", durable=True, auto_delete=False, arguments={"x-message-ttl": 10_000})
        dead = {"x-message-ttl": 10_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "last"}
        channel.queue_declare("first", durable=True, auto_delete=False, arguments=dead)
        channel.basic_publish(Message(b"both"), "", "first")
        state = one.snapshot().state
    clock = Leaping(1015.0)
    with Broker(clock=clock) as other:
        with other.hub.turn as node:
            load(state, node)
        assert ready(other, "last") == [b"both"], "10 s in the first queue, 5 s in the last one"
        clock.now = 1020.0
        other.run_due()
        assert ready(other, "last") == []

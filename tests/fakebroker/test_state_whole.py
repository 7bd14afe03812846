"""A state with something of everything is the same behind a restore and a load."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hutch.client import Channel, Connection, Message
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.engine.state.loading import load
from hutch.fakebroker.engine.state.values import NodeState
from hutch.wire.fields import FieldTable, Int64
from hutch.wire.methods import BasicConsume, BasicConsumeOk, BasicCredit, BasicQos, BasicQosOk, ConnectionClose

from .conftest import Connect

PLUGINS = (
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
)


@pytest.fixture(params=["3.10", "4.3"])
def broker(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Broker]:
    with Broker(request.param, clock=clock, plugins=PLUGINS) as made:
        yield made


@pytest.fixture
def channel(broker: Broker) -> Iterator[Channel]:
    with Connection(transport=broker.transport) as connection:
        yield connection.channel()


def state(broker: Broker) -> NodeState:
    """The state, without numbers that are not given twice."""
    return replace(broker.snapshot().state, messages=0, timers=0)


def queue(channel: Channel, name: str, **arguments: object) -> None:
    table: FieldTable = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}  # type: ignore[misc]
    channel.queue_declare(name, durable=True, auto_delete=False, arguments=table)


def exchange(channel: Channel, name: str, kind: str, **arguments: object) -> None:
    table: FieldTable = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}  # type: ignore[misc]
    channel.exchange_declare(name, kind, durable=True, auto_delete=False, arguments=table)


def administer(broker: Broker) -> None:
    admin = broker.admin
    admin.add_user("ann", "secret", tags=["monitoring"])
    admin.set_permissions("ann", configure="a", write="b", read="c")
    admin.set_topic_permissions("ann", "amq.topic", write="d", read="e")
    admin.set_user_limit("ann", "max-connections", 7)
    admin.set_vhost_limit("max-queues", 70)
    admin.add_vhost("apart", default_queue_type="quorum")
    admin.set_policy("short", "^short", {"max-length": 5})
    admin.set_operator_policy("shorter", "^short", {"max-length": 4})
    admin.set_policy("segments", "^stream", {"stream-max-segment-size-bytes": 100})
    admin.trace_on()
    admin.set_loopback_users("ann")


def fill(broker: Broker, channel: Channel, clock: ManualClock) -> None:
    """Have messages that expire, died, came back, are delayed, hidden copies and the like."""
    queue(channel, "dead")
    queue(channel, "short", message_ttl=5000, dead_letter_exchange="", dead_letter_routing_key="dead")
    queue(channel, "first", max_priority=3)
    queue(channel, "leased", expires=60000)
    queue(channel, "quorum", queue_type="quorum", delivery_limit=10)
    queue(channel, "quorum-ttl", queue_type="quorum", message_ttl=5000)
    queue(channel, "stream", queue_type="stream", max_age="1h")
    retry = {} if broker.profile.name == "3.10" else {"delayed_retry_type": "all", "delayed_retry_min": 60000}
    queue(channel, "retried", queue_type="quorum", **retry)
    strategy = {"dead_letter_strategy": "at-least-once", "overflow": "reject-publish"}
    queue(channel, "keeping", queue_type="quorum", dead_letter_exchange="", dead_letter_routing_key="no", **strategy)
    broker.admin.delete_policy("segments")  # the stream keeps its first segment size
    for number in range(7):
        channel.basic_publish(Message(b"%d" % number, priority=number % 3), "", "first")
        for name in ("quorum", "retried", "keeping"):
            channel.basic_publish(Message(b"%d" % number, delivery_mode=2), "", name)
        channel.basic_publish(Message(b"%d" % number * 40, delivery_mode=2), "", "stream")
    queue(channel, "hidden", message_ttl=1000, dead_letter_exchange="amq.direct")
    channel.queue_bind("dead", "amq.direct", "hidden")
    channel.basic_publish(Message(b"dies", application_headers={"BCC": ["dead"]}), "", "hidden")
    channel.basic_publish(Message(b"dies"), "", "short")
    clock.advance(5.5)
    channel.basic_publish(Message(b"expires"), "", "short")
    channel.basic_publish(Message(b"expires"), "", "quorum-ttl")
    channel.basic_publish(Message(b"copied", application_headers={"CC": ["first"], "BCC": ["dead"]}), "", "quorum")
    for name in ("first", "quorum", "retried"):
        for _ in range(2):
            got = channel.basic_get(name)
            assert got is not None
            channel.basic_ack(got.delivery_tag)
            got = channel.basic_get(name)
            assert got is not None
            channel.basic_reject(got.delivery_tag, requeue=True)
    for _ in range(2):
        got = channel.basic_get("keeping")
        assert got is not None
        channel.basic_reject(got.delivery_tag, requeue=False)
    exchange(channel, "later", "x-delayed-message", delayed_type="direct")
    channel.basic_publish(Message(b"late", application_headers={"x-delay": 60000}), "later", "first")
    exchange(channel, "recent", "x-recent-history")
    channel.basic_publish(Message(b"recent"), "recent")
    exchange(channel, "random", "x-random")
    exchange(channel, "hash", "x-consistent-hash")
    for name, weight in (("first", "2"), ("dead", "3")):
        channel.queue_bind(name, "random", "")
        channel.queue_bind(name, "hash", weight)
        channel.queue_bind(name, "amq.topic", "a.#")
    channel.exchange_bind("amq.fanout", "amq.topic", "b.#")
    channel.basic_publish(Message(b"drawn"), "random")
    channel.queue_declare("mine", exclusive=True)
    broker.hub.node.names.reply_to()
    broker.admin.raise_alarm("disk")


def test_a_state_that_is_loaded_is_the_one_that_was_dumped(
    broker: Broker, channel: Channel, clock: ManualClock
) -> None:
    administer(broker)
    fill(broker, channel, clock)
    broker.admin.clear_alarm("disk")  # a blocked connection would not close
    assert channel.connection is not None
    channel.connection.close()
    broker.admin.raise_alarm("memory")
    dumped = broker.snapshot().state
    later = ManualClock(0)
    later.set_time(dumped.moment)
    with Broker(broker.profile.name, clock=later, plugins=PLUGINS, seed=1) as other:
        with other.hub.turn as node:
            load(dumped, node)
        assert other.snapshot().state == dumped


def test_a_state_that_is_restored_is_the_one_that_was_dumped(
    broker: Broker, channel: Channel, clock: ManualClock, pipe: Connect
) -> None:
    """Consumers included, of which none has deliveries: these come back."""
    administer(broker)
    fill(broker, channel, clock)
    broker.admin.clear_alarm("disk")
    queue(channel, "served")
    queue(channel, "active", single_active_consumer=True)
    queue(channel, "served-quorum", queue_type="quorum")
    queue(channel, "served-stream", queue_type="stream")
    peer = pipe(broker)
    for name in ("served", "active", "served-quorum"):
        for number in range(3):
            peer.consume(name, f"{name}{number}", no_ack=True)
    peer.method(BasicConsume(0, "active", "high", no_ack=True, arguments={"x-priority": 5}))
    peer.publish("served")
    peer.publish("served-quorum")
    if broker.profile.name == "3.10":
        peer.method(BasicConsume(0, "leased", "credit", arguments={"x-credit": {"credit": Int64(3), "drain": False}}))
        peer.method(BasicCredit("credit", 5))
    snapshot, before = broker.snapshot(), state(broker)

    clock.advance(70)
    for name in ("first", "quorum", "served", "served-quorum"):
        peer.publish(name, b"younger")
    broker.admin.delete_queue("stream")
    broker.admin.raise_alarm("memory")
    broker.restore(snapshot)
    after = state(broker)
    for one, other in zip(before.vhosts[0].queues, after.vhosts[0].queues, strict=True):
        assert one == other
    assert after == before


@pytest.mark.parametrize("restored", [False, True])
def test_who_drains_a_queue_still_does_after_a_restore(pipe: Connect, clock: ManualClock, restored: bool) -> None:
    """3.10 ends the connection of such a consumer once somebody else has emptied the queue (CONSUME-26)."""
    with Broker("3.10", clock=clock) as broker, Connection(transport=broker.transport) as other:
        channel = other.channel()
        queue(channel, "drained")
        peer = pipe(broker)
        peer.method(BasicQos(0, 1, global_=True))
        peer.expect(BasicQosOk)
        for body in ("1", "2"):
            channel.basic_publish(Message(body), routing_key="drained")
        peer.method(BasicConsume(0, "drained", "c", arguments={"x-credit": {"credit": Int64(5), "drain": True}}))
        peer.expect(BasicConsumeOk)
        assert peer.message().body == b"1"
        if restored:
            broker.restore(broker.snapshot())
            assert peer.message().body == b"1"
        got = channel.basic_get("drained", no_ack=True)
        assert got is not None
        assert got.body == "2"
        assert peer.expect(ConnectionClose).reply_code == 541

"""The journal: every fact is told once, with its origin, to those who listen; and messages can be followed."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from hutch.client import Channel, Connection, Message
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.listening import FACTS, journal_of
from hutch.fakebroker.engine.origin import BROKER, OPERATOR, Origin
from hutch.wire.methods import ConnectionOpen

from .conftest import Connect

Fact = tuple[str, tuple[Any, ...]]
#: An origin in comparable form: connection, channel, user.
Who = tuple[str | None, int | None, str | None]
CLIENT: Final = "in-process client 1"
ON_CHANNEL: Final = (CLIENT, 1, "guest")
ON_CONNECTION: Final = (CLIENT, None, "guest")
CLI: Final = (None, None, "rmq-cli")


class Listener(Journal):
    """Hears everything."""

    def __init__(self) -> None:
        self.heard: list[Fact] = []

    @property
    def facts(self) -> list[str]:
        """What was told, by name."""
        return [fact for fact, _ in self.heard]

    def origins(self, *facts: str) -> dict[str, Who]:
        """Who made facts happen, the last of each kind."""
        told = {fact: about[0] for fact, about in self.heard if fact in facts}
        return {fact: (who.connection, who.channel, who.user) for fact, who in told.items()}


def hear(fact: str) -> Callable[..., None]:
    def method(self: Listener, *about: Any) -> None:
        self.heard.append((fact, about))

    return method


for name in FACTS:
    setattr(Listener, name, hear(name))


@pytest.fixture
def listener(manual: Broker) -> Listener:
    listener = Listener()
    manual.hub.node.listen(listener)
    return listener


@pytest.fixture
def channel(manual: Broker) -> Iterator[Channel]:
    with Connection(transport=manual.transport) as connection:
        yield connection.channel()


def declare(channel: Channel, queue: str, **arguments: Any) -> None:
    named = {f"x-{name.replace('_', '-')}": value for name, value in arguments.items()}
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments=named)


def fetch(channel: Channel, queue: str) -> int:
    message = channel.basic_get(queue)
    assert message is not None
    return message.delivery_tag or 0


# facts


def test_every_fact_of_a_small_test_is_told_once(manual: Broker, listener: Listener) -> None:
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        channel.exchange_declare("x", "topic", auto_delete=True)
        channel.queue_declare("q")
        channel.queue_bind("q", "x", "k")
        channel.basic_consume("q", consumer_tag="c", callback=lambda got: channel.basic_ack(got.delivery_tag or 0))
        channel.basic_publish(Message(b""), "x", "k")
        connection.drain_events(timeout=1)
        channel.basic_cancel("c")  # this deletes the auto-delete queue
        channel.close()
    assert listener.facts == [
        *("authenticated", "connected", "channel_opened"),
        *("exchange_declared", "queue_declared", "binding_created", "bound"),
        *("consumer_added", "published", "delivered", "acked", "consumer_cancelled"),
        *("unbound", "exchange_deleted", "binding_deleted", "queue_deleted"),
        *("consumers_ended", "channel_closed", "disconnected", "client_gone"),
    ]


def test_what_a_client_does_has_its_channel(channel: Channel, listener: Listener) -> None:
    asked = ("exchange_declared", "queue_declared", "bound", "unbound", "consumer_added", "consumer_cancelled")
    moved = ("published", "delivered", "got", "acked", "rejected", "requeued", "purged", "returned")
    declare(channel, "q")
    channel.exchange_declare("x", "topic", durable=True, auto_delete=False)
    channel.queue_bind("q", "x", "k")
    channel.queue_unbind("q", "x", "k")
    channel.events["basic_return"].add(lambda *_: None)
    channel.basic_publish(Message(b""), "x", "k", mandatory=True)
    for _ in range(3):
        channel.basic_publish(Message(b""), "", "q")
    channel.basic_reject(fetch(channel, "q"), requeue=True)
    channel.basic_reject(fetch(channel, "q"), requeue=False)
    channel.basic_consume("q", consumer_tag="c", callback=lambda got: channel.basic_ack(got.delivery_tag or 0))
    assert channel.connection is not None
    channel.connection.drain_events(timeout=1)
    channel.basic_cancel("c")
    channel.queue_purge("q")
    assert listener.origins(*asked, *moved) == dict.fromkeys((*asked, *moved), ON_CHANNEL)


def test_a_delivery_has_the_channel_that_it_goes_to(manual: Broker, listener: Listener, pipe: Connect) -> None:
    publisher, consumer = pipe(manual), pipe(manual)
    consumer.declare("q")
    consumer.consume("q", "c")
    publisher.publish("q")
    assert listener.origins("published", "delivered") == {
        "published": ON_CHANNEL,
        "delivered": ("in-process client 2", 1, "guest"),
    }
    consumer.vanish()
    assert listener.origins("requeued") == {"requeued": ("in-process client 2", 1, "guest")}


def test_an_origin_is_made_once(channel: Channel, listener: Listener) -> None:
    declare(channel, "q")
    channel.basic_publish(Message(b""), "", "q")
    first, second = (about[0] for fact, about in listener.heard if fact in {"queue_declared", "published"})
    assert first is second
    assert isinstance(first, Origin)


def test_what_nobody_asked_for_is_the_brokers_and_an_operator_has_an_origin(
    manual: Broker, clock: ManualClock, listener: Listener, pipe: Connect
) -> None:
    peer = pipe(manual)
    peer.declare("q", {"x-expires": 1000})
    clock.advance(2)
    assert listener.origins("queue_deleted") == {"queue_deleted": (None, None, "rmq-internal")}
    manual.admin.add_user("ann", "secret", tags=["monitoring"])
    manual.admin.set_permissions("ann")
    manual.admin.set_policy("p", ".*", {"max-length": 1})
    manual.admin.delete_policy("p")
    facts = ("user_created", "tags_set", "permissions_set", "policy_set", "policy_applied", "policy_deleted")
    assert listener.origins(*facts, "policy_lifted") == dict.fromkeys((*facts, "policy_lifted"), CLI)
    assert (BROKER.user, OPERATOR.user) == ("rmq-internal", "rmq-cli")


def test_a_refusal_has_the_connection(manual: Broker, listener: Listener, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.method(ConnectionOpen("/"), 0)
    peer.read()
    assert listener.origins("refused") == {"refused": ON_CONNECTION}


def test_what_a_transaction_holds_is_told_as_held_and_then_released(channel: Channel, listener: Listener) -> None:
    declare(channel, "q")
    channel.tx_select()
    listener.heard.clear()
    channel.basic_publish(Message(b""), "", "q")
    channel.tx_commit()
    assert listener.facts == ["held", "released", "committed"]


def test_the_facts_of_a_connection_are_on_it(manual: Broker, listener: Listener) -> None:
    with Connection(transport=manual.transport, client_properties={"product": "shop"}, heartbeat=7):
        (connection,) = manual.hub.node.connections
        client = connection.client
        assert client.properties["product"] == "shop"
        assert (client.mechanism, client.user, client.protocol) == ("AMQPLAIN", "guest", (0, 9, 1))
        assert (client.channel_max, client.frame_max, client.heartbeat) == (2047, 131072, 7)
        assert (client.peer.name, client.connected_at) == (CLIENT, 1_700_000_000.0)
    gone = [about[0] for fact, about in listener.heard if fact == "client_gone"]
    assert gone == [client]


# listening


class Publishes(Journal):
    def __init__(self) -> None:
        self.count = 0

    def published(self, *_: object) -> None:
        self.count += 1


def test_the_only_listener_is_what_the_engine_calls(manual: Broker) -> None:
    assert manual.hub.node.journal is manual.undrained_history.recorder


def test_what_nobody_listens_to_is_not_told() -> None:
    one, two = Publishes(), Publishes()
    journal = journal_of([one, two])
    passed_on = [fact for fact in FACTS if getattr(type(journal), fact) is not getattr(Journal, fact)]
    assert passed_on == ["published"]
    journal.published(BROKER, None, None, ())  # type: ignore[arg-type]
    assert (one.count, two.count) == (1, 1)


def test_a_listener_comes_and_goes(manual: Broker, channel: Channel) -> None:
    publishes = Publishes()
    manual.hub.node.listen(publishes)
    channel.basic_publish(Message(b""), "", "nowhere")
    manual.hub.node.end_listening(publishes)
    channel.basic_publish(Message(b""), "", "nowhere")
    assert publishes.count == 1
    assert len(manual.history.of("published")) == 2
    with pytest.raises(ValueError, match="not in list"):
        manual.hub.node.end_listening(publishes)


def test_the_firehose_listens_while_a_vhost_is_traced(manual: Broker) -> None:
    alone = manual.hub.node.journal
    manual.admin.add_vhost("other")
    for vhost in ("/", "other"):
        manual.admin.trace_on(vhost)
    assert manual.hub.node.journal is not alone
    manual.admin.trace_off("/")
    assert manual.hub.node.journal is not alone
    manual.admin.delete_vhost("other")
    assert manual.hub.node.journal is alone


class Broken(Journal):
    def published(self, *_: object) -> None:
        raise ZeroDivisionError("a mistake in a listener")


def test_a_mistake_of_a_listener_reaches_whoever_drives_the_broker(manual: Broker, channel: Channel) -> None:
    broken = Broken()
    manual.hub.node.listen(broken)
    with pytest.raises(ZeroDivisionError, match="a mistake in a listener"):
        channel.basic_publish(Message(b""), "", "nowhere")
    manual.hub.node.end_listening(broken)


class BrokenAtDeliveries(Journal):
    def delivered(self, *_: object) -> None:
        raise ZeroDivisionError("a mistake in a listener")


def test_a_mistake_of_a_listener_does_not_hold_up_later_messages(manual: Broker, channel: Channel) -> None:
    """Nor those that wait until a quorum queue knows their channel."""
    declare(channel, "q", queue_type="quorum")
    channel.basic_consume("q", no_ack=True)
    broken = BrokenAtDeliveries()
    manual.hub.node.listen(broken)
    with pytest.raises(ZeroDivisionError, match="a mistake in a listener"):
        channel.basic_publish(Message(b"1"), "", "q")
    manual.hub.node.end_listening(broken)
    with Connection(transport=manual.transport) as other:
        other.channel().basic_publish(Message(b"2"), "", "q")
    assert [event.message.body for event in manual.history.of("delivered") if event.message][-1] == b"2"


# the path of a message


def way(broker: Broker, queue: str) -> list[tuple[str, str | None]]:
    """What happened to the message at the head of a queue, and to those that it came from."""
    message = broker.queue(queue).messages[0]
    return [(event.kind, event.queue) for event in broker.history.trail(message)]


def test_messages_are_numbered(manual: Broker, channel: Channel) -> None:
    for _ in range(3):
        channel.basic_publish(Message(b""), "", "nowhere")
    numbers = [event.message.number for event in manual.history.of("published") if event.message]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_redelivered_message_keeps_its_number(manual: Broker, channel: Channel, kind: str) -> None:
    declare(channel, "q", queue_type=kind)
    channel.basic_publish(Message(b""), "", "q")
    for _ in range(2):
        channel.basic_reject(fetch(channel, "q"), requeue=True)
    fetch(channel, "q")
    assert {event.message.number for event in manual.history if event.message} == {1}
    assert [event.redelivered for event in manual.history.of("got")] == [False, True, True]


@pytest.mark.parametrize("strategy", [{}, {"dead_letter_strategy": "at-least-once", "overflow": "reject-publish"}])
@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_dead_letter_is_followed_back_to_its_publish(profile: str, strategy: dict[str, str]) -> None:
    with Broker(profile, ManualClock()) as broker, Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        declare(channel, "parked")
        declare(channel, "retry", message_ttl=1000, dead_letter_exchange="", dead_letter_routing_key="parked")
        dead_letter = {"dead_letter_exchange": "", "dead_letter_routing_key": "retry", **strategy}
        declare(channel, "work", queue_type="quorum", **dead_letter)
        for queue in ("work", "parked"):
            channel.basic_publish(Message(b""), "", queue)
        channel.queue_purge("parked")
        channel.basic_reject(fetch(channel, "work"), requeue=False)
        assert isinstance(broker.clock, ManualClock)
        broker.clock.advance(1)
        assert way(broker, "parked") == [
            *(("published", None), ("got", "work"), ("rejected", "work"), ("dead-lettered", "work")),
            *(("expired", "retry"), ("dead-lettered", "retry")),
        ]
        (last,) = broker.queue("parked").messages
        (publish, *_, dead) = broker.history.trail(last)
        assert (publish.user, publish.connection, publish.channel) == ("guest", CLIENT, 1)
        assert (dead.user, dead.connection, dead.channel) == ("rmq-internal", None, None)
        assert publish.message is not None
        assert (last.number, dead.parent, publish.message.number, publish.parent) == (4, 3, 1, 0)


def test_a_stream_keeps_numbers(manual: Broker, channel: Channel) -> None:
    channel.queue_declare("s", durable=True, auto_delete=False, arguments={"x-queue-type": "stream"})
    channel.basic_publish(Message(b""), "", "s")
    assert [message.number for message in manual.queue("s").messages] == [1]


def test_a_delayed_message_keeps_its_number(clock: ManualClock) -> None:
    with Broker(clock=clock, plugins=["rabbitmq_delayed_message_exchange"]) as broker:
        with Connection(transport=broker.transport) as connection:
            channel = connection.channel()
            declare(channel, "q")
            arguments = {"x-delayed-type": "direct"}
            channel.exchange_declare("late", "x-delayed-message", durable=True, auto_delete=False, arguments=arguments)
            channel.queue_bind("q", "late", "k")
            channel.basic_publish(Message(b"", application_headers={"x-delay": 5000}), "late", "k")
        clock.advance(5)
        assert way(broker, "q") == [("delayed", None), ("published", None), ("due", None)]


def test_a_trail_says_what_is_no_longer_kept(clock: ManualClock) -> None:
    with Broker(clock=clock, history_events=2) as broker, Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        declare(channel, "dead")
        declare(channel, "q", message_ttl=0, dead_letter_exchange="", dead_letter_routing_key="dead")
        channel.basic_publish(Message(b""), "", "q")
        trail = broker.history.trail(broker.queue("dead").messages[0])
        assert [event.kind for event in trail] == ["expired", "dead-lettered"]
        assert trail.dropped > 0

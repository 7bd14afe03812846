"""Services: what may be asked of the engine without being a channel, by whom, and what is refused."""

from collections.abc import Callable, Sequence

import pytest

from hutch.client import Connection, Message
from hutch.fakebroker import Broker, Event
from hutch.fakebroker.engine import fetching, topology, vhosts
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.passwords import NO_PASSWORD
from hutch.fakebroker.engine.actors import Actor, operator
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.operator.policies import Policy
from hutch.fakebroker.engine.operator.setting_policies import set_policy
from hutch.fakebroker.engine.origin import OPERATOR, Origin
from hutch.fakebroker.engine.publishing import publish
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.replies import REPLY_TO
from hutch.fakebroker.engine.vhost import VHost
from hutch.wire.properties import NO_PROPERTIES, encode_properties

#: A call of each service of topology. declare and bind come first.
ASKED: dict[str, Callable[[Actor], object]] = {
    "declare_queue": lambda actor: topology.declare_queue(actor, "q", durable=True, arguments={}),
    "declare_exchange": lambda actor: topology.declare_exchange(actor, "e", "topic", arguments={}),
    "bind": lambda actor: topology.bind(actor, "e", "queue", "q", "key", arguments={}),
    "unbind": lambda actor: topology.unbind(actor, "e", "queue", "q", "key", arguments={}),
    "purge": lambda actor: topology.purge(actor, "q"),
    "delete_queue": lambda actor: topology.delete_queue(actor, "q"),
    "delete_exchange": lambda actor: topology.delete_exchange(actor, "e"),
}


def get_one(actor: Actor) -> object:
    return fetching.get(actor, "q")


def published(broker: Broker) -> list[Event]:
    return [event for event in broker.history if event.kind == "published"]


def the_operator(broker: Broker) -> Actor:
    return operator(broker.hub.node.vhosts["/"])


def a_user(broker: Broker, *, configure: str = "", write: str = "", read: str = "") -> Actor:
    """A user who has logged in by no connection of AMQP."""
    broker.admin.add_user("ann", "secret")
    broker.admin.set_permissions("ann", configure, write, read)
    return Actor(broker.hub.node.vhosts["/"], Origin(None, None, "ann"), username="ann")


def test_an_operator_declares_and_a_client_uses(manual: Broker) -> None:
    actor = the_operator(manual)
    with manual.hub.turn:
        queue = topology.declare_queue(actor, "q", durable=True, arguments={})
        topology.declare_exchange(actor, "e", "topic", arguments={})
        topology.bind(actor, "e", "queue", "q", "*.created", arguments={})
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        channel.basic_publish(Message(b"one"), "e", "order.created")
        assert channel.queue_declare("q", passive=True).message_count == 1
    with manual.hub.turn:
        assert topology.declare_queue(actor, "q", durable=True, arguments={}) is queue
        assert topology.purge(actor, "q") == 1
        assert topology.delete_queue(actor, "q") == (0, [])
    assert "q" not in manual.hub.node.vhosts["/"].queues


def test_facts_are_told_as_the_actors(manual: Broker) -> None:
    heard: list[tuple[str, Origin]] = []

    class Listener(Journal):
        def queue_declared(self, by: Origin, queue: Queue) -> None:
            heard.append((queue.name, by))

        def queue_deleted(self, by: Origin, queue: Queue, consumers: Sequence[Consumer]) -> None:  # noqa: ARG002
            heard.append((queue.name, by))

    ann = a_user(manual, configure=".*")
    manual.hub.node.listen(Listener())
    with manual.hub.turn:
        topology.declare_queue(ann, "q", arguments={})
        topology.delete_queue(the_operator(manual), "q")
    assert heard == [("q", ann.origin), ("q", OPERATOR)]


@pytest.mark.parametrize("service", ASKED)
def test_a_user_without_permissions_is_refused_and_nothing_changes(manual: Broker, service: str) -> None:
    everything = the_operator(manual)
    nobody = a_user(manual)
    with manual.hub.turn as node:
        if not service.startswith("declare"):
            for ask in list(ASKED.values())[:3]:
                ask(everything)
        vhost = node.vhosts["/"]
        before = (dict(vhost.queues), dict(vhost.exchanges), {e: dict(x.outgoing) for e, x in vhost.exchanges.items()})
        with pytest.raises(BrokerError, match=r"ACCESS_REFUSED - .*access to .* in vhost '/' refused for user 'ann'"):
            ASKED[service](nobody)
        after = (dict(vhost.queues), dict(vhost.exchanges), {e: dict(x.outgoing) for e, x in vhost.exchanges.items()})
    assert after == before


@pytest.mark.parametrize("service", ASKED)
def test_a_user_with_permissions_is_not(manual: Broker, service: str) -> None:
    ann = a_user(manual, configure="^(q|e)$", write="^q$", read="^(q|e)$")
    with manual.hub.turn:
        if not service.startswith("declare"):
            for ask in list(ASKED.values())[:3]:
                ask(ann)
        ASKED[service](ann)


def test_another_connections_exclusive_queue_is_locked_for_all_others(manual: Broker) -> None:
    with Connection(transport=manual.transport) as connection:
        connection.channel().queue_declare("mine", exclusive=True)
        with manual.hub.turn:
            for ask in (topology.purge, topology.delete_queue, topology.existing_queue):
                with pytest.raises(BrokerError, match="RESOURCE_LOCKED"):
                    ask(the_operator(manual), "mine")


def test_only_an_actor_with_a_connection_has_exclusive_queues(manual: Broker) -> None:
    with manual.hub.turn, pytest.raises(ValueError, match="belongs to a connection"):
        topology.declare_queue(the_operator(manual), "q", exclusive=True, arguments={})
    assert not manual.hub.node.vhosts["/"].queues


def test_consumers_of_a_deleted_queue_are_left_to_the_caller(manual: Broker) -> None:
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        for tag in ("b", "a"):
            channel.basic_consume("q", tag, callback=lambda _: None)
        with manual.hub.turn:
            count, consumers = topology.delete_queue(the_operator(manual), "q")
        assert (count, [consumer.tag for consumer in consumers]) == (0, ["a", "b"])


def test_a_user_publishes_and_fetches_what_no_channel_is_needed_for(manual: Broker) -> None:
    ann = a_user(manual, configure="^q$", write="^(q|e|amq.default)$", read="^(q|e)$")
    persistent = encode_properties({"delivery_mode": 2})
    with manual.hub.turn:
        queue = topology.declare_queue(ann, "q", durable=True, arguments={})
        assert publish(ann, "", "q", persistent, b"one") == [queue]
        assert publish(ann, "", "nowhere", NO_PROPERTIES, b"two") == []
        taken, entry = fetching.get(ann, "q")
        assert taken is queue
        assert entry is not None
        assert (entry.message.body, entry.message.properties.values) == (b"one", {"delivery_mode": 2})
        assert fetching.get(ann, "q") == (queue, None)
    assert [(event.user, event.connection, event.message and event.message.body) for event in published(manual)] == [
        ("ann", None, b"one"),
        ("ann", None, b"two"),
    ]


@pytest.mark.parametrize(
    ("properties", "exchange", "refusal"),
    [
        ({}, "nowhere", "NOT_FOUND - no exchange 'nowhere' in vhost '/'"),
        ({}, "amq.rabbitmq.trace", "ACCESS_REFUSED - cannot publish to internal exchange"),
        ({"user_id": "bob"}, "amq.topic", "PRECONDITION_FAILED - user_id property set to 'bob' but"),
        ({"expiration": "soon"}, "amq.topic", "PRECONDITION_FAILED - invalid expiration 'soon'"),
        ({"reply_to": REPLY_TO}, "amq.topic", "PRECONDITION_FAILED - fast reply consumer does not exist"),
    ],
)
def test_what_a_publish_is_refused_for(manual: Broker, properties: dict[str, str], exchange: str, refusal: str) -> None:
    ann = a_user(manual, write=".*")
    with manual.hub.turn, pytest.raises(BrokerError, match=f"^{refusal}"):
        publish(ann, exchange, "key", encode_properties(properties), b"")
    assert not published(manual)


def test_the_operator_publishes_as_any_user(manual: Broker) -> None:
    with manual.hub.turn:
        publish(the_operator(manual), "amq.topic", "key", encode_properties({"user_id": "bob"}), b"")
    assert [event.user for event in published(manual)] == ["rmq-cli"]


@pytest.mark.parametrize("ask", [lambda actor: publish(actor, "amq.topic", "key", NO_PROPERTIES, b""), get_one])
def test_publishing_and_fetching_need_a_permission(manual: Broker, ask: Callable[[Actor], object]) -> None:
    nobody = a_user(manual)
    with manual.hub.turn, pytest.raises(BrokerError, match="ACCESS_REFUSED"):
        ask(nobody)


def test_who_administers_is_told(manual: Broker) -> None:
    heard: list[tuple[str, Origin]] = []

    class Listener(Journal):
        def user_created(self, by: Origin, user: str) -> None:
            heard.append((user, by))

        def vhost_created(self, by: Origin, vhost: VHost) -> None:
            heard.append((vhost.name, by))

        def policy_set(self, by: Origin, vhost: str, policy: Policy, operator: bool) -> None:
            heard.append((f"{vhost}: {policy.name} {operator}", by))

    root = Origin(None, None, "root")
    manual.hub.node.listen(Listener())
    with manual.hub.turn as node:
        accounts.put_user(node, root, "ann", NO_PASSWORD, ())
        vhosts.put_vhost(node, root, "test")
        set_policy(
            vhosts.find_vhost(node, "test"),
            root,
            "p",
            ".*",
            {"max-length": 1},
            priority=0,
            apply_to="queues",
            operator=False,
        )
    manual.admin.add_user("bob", None)
    assert heard == [("ann", root), ("test", root), ("test: p False", root), ("bob", OPERATOR)]


@pytest.mark.parametrize(
    ("user", "vhost", "refusal"),
    [
        ("ann", "/", "NOT_ALLOWED - access to vhost '/' refused for user 'ann'"),
        ("nobody", "/", "NOT_ALLOWED - access to vhost '/' refused for user 'nobody'"),
        ("guest", "nowhere", "NOT_ALLOWED - vhost nowhere not found"),
    ],
)
def test_who_may_not_enter(manual: Broker, user: str, vhost: str, refusal: str) -> None:
    manual.admin.add_user("ann", "secret")
    with manual.hub.turn as node, pytest.raises(BrokerError, match=f"^{refusal}$"):
        vhosts.enter(node, user, vhost)


def test_who_may_enter(manual: Broker) -> None:
    with manual.hub.turn as node:
        assert vhosts.enter(node, "guest", "/") is node.vhosts["/"]

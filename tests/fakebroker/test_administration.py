"""What an operator does, where the conformance suite does not show it."""

from collections.abc import Callable

import pytest

from hutch.client import Connection, Message
from hutch.client.exceptions import (
    AccessRefused,
    ConnectionForced,
    NotAllowed,
    PreconditionFailed,
)
from hutch.fakebroker import Administration, Broker, ManualClock


def connect(broker: Broker, user: str = "guest", password: str = "guest", vhost: str = "/") -> Connection:
    connection = Connection(transport=broker.transport, userid=user, password=password, virtual_host=vhost)
    connection.connect()
    return connection


def test_users_of_the_broker_may_do_everything_in_every_vhost_also_in_later_ones() -> None:
    with Broker(users={"ann": "a"}, vhosts=("one",)) as broker:
        broker.admin.add_vhost("two")
        for vhost in ("one", "two"):
            with connect(broker, "ann", "a", vhost) as connection:
                connection.channel().queue_declare("q")


def test_the_default_vhost_is_the_first_one() -> None:
    with Broker(vhosts=("shop", "/")) as broker:
        admin = broker.admin
        admin.add_user("ann", "a")
        admin.set_permissions("ann")
        admin.set_topic_permissions("ann", "amq.topic", "", "")
        admin.set_vhost_limit("max-queues", 1)
        admin.set_policy("short", "", {"max-length": 1})
        admin.set_operator_policy("short", "", {"max-length": 1})
        admin.trace_on()
        shop, root = broker.snapshot().state.vhosts
        (ann,) = [user for user in broker.snapshot().state.users if user.name == "ann"]
        assert [*ann.permissions, *ann.topic_permissions] == ["shop", "shop"]
        assert (shop.limits, list(shop.policies), list(shop.operator_policies), shop.traced) == (
            {"max-queues": 1},
            ["short"],
            ["short"],
            True,
        )
        assert (root.limits, root.policies, root.operator_policies, root.traced) == ({}, {}, {}, False)
        admin.clear_permissions("ann")
        admin.clear_topic_permissions("ann")
        admin.clear_vhost_limit("max-queues")
        admin.delete_policy("short")
        admin.delete_operator_policy("short")
        admin.trace_off()
        (shop, _), (_, ann) = broker.snapshot().state.vhosts, broker.snapshot().state.users
        assert (shop.limits, shop.policies, shop.operator_policies, shop.traced) == ({}, {}, {}, False)
        assert (ann.permissions, ann.topic_permissions) == ({}, {})


def test_an_operators_users_may_do_nothing_at_first(broker: Broker) -> None:
    broker.admin.add_user("ann", "a", ["monitoring"])
    with pytest.raises(NotAllowed, match="access to vhost '/' refused for user 'ann'"):
        connect(broker, "ann", "a")
    broker.admin.set_permissions("ann", read="^orders$", configure="", write="")
    with connect(broker, "ann", "a") as connection, pytest.raises(AccessRefused, match="configure access"):
        connection.channel().queue_declare("orders")
    broker.admin.add_vhost("later")
    with pytest.raises(NotAllowed):
        connect(broker, "ann", "a", "later")


def test_a_password_changes_and_permissions_stay(broker: Broker) -> None:
    broker.admin.add_user("ann", "a")
    broker.admin.set_permissions("ann")
    broker.admin.add_user("ann", "b")
    with pytest.raises(AccessRefused):
        connect(broker, "ann", "a")
    connect(broker, "ann", "b").close()
    broker.admin.add_user("ann", None)
    with pytest.raises(AccessRefused):
        connect(broker, "ann", "b")


def test_users_can_be_kept_out(broker: Broker) -> None:
    broker.admin.clear_permissions("guest")
    with pytest.raises(NotAllowed):
        connect(broker)
    broker.admin.set_permissions("guest")
    connect(broker).close()
    broker.admin.delete_user("guest")
    with pytest.raises(AccessRefused):
        connect(broker)


@pytest.mark.parametrize("pattern", ["(", "[:alpha:]", "a\\Kb"])
def test_patterns_that_cannot_be_used_are_refused(broker: Broker, pattern: str) -> None:
    with pytest.raises(ValueError, match="no regular expression that can be used here"):
        broker.admin.set_permissions("guest", read=pattern)
    with pytest.raises(ValueError, match="no regular expression"):
        broker.admin.set_topic_permissions("guest", "amq.topic", pattern, "")
    with connect(broker) as connection:
        connection.channel().queue_declare("still everything")


@pytest.mark.parametrize("pattern", ["(?i)[é-ë]", "(?i:É)", "x(?i:[[:upper:]])", "[[:^ascii:]]"])
def test_what_python_cannot_be_told_of_latin_1_is_refused(pattern: str) -> None:
    with Broker("3.10") as broker, pytest.raises(ValueError, match="no regular expression that can be used here"):
        broker.admin.set_permissions("guest", read=pattern)


ATTEMPTS: dict[str, Callable[[Administration, str, str], object]] = {
    "set_permissions": lambda admin, user, vhost: admin.set_permissions(user, vhost=vhost),
    "clear_permissions": lambda admin, user, vhost: admin.clear_permissions(user, vhost=vhost),
    "set_topic_permissions": lambda admin, user, vhost: admin.set_topic_permissions(user, "x", "", "", vhost=vhost),
    "clear_topic_permissions": lambda admin, user, vhost: admin.clear_topic_permissions(user, vhost=vhost),
}


@pytest.mark.parametrize(("limit", "value"), [("max-foo", 1), ("max-channels", "1"), ("max-channels", True)])
def test_limits_that_are_none(broker: Broker, limit: str, value: int) -> None:
    with pytest.raises(ValueError, match=limit):
        broker.admin.set_user_limit("guest", limit, value)


def test_users_and_virtual_hosts_have_limits_of_their_own(broker: Broker) -> None:
    with pytest.raises(ValueError, match="no limit 'max-channels'; there are max-connections and max-queues"):
        broker.admin.set_vhost_limit("max-channels", 1)
    with pytest.raises(ValueError, match="no limit 'max-queues'; there are max-connections and max-channels"):
        broker.admin.set_user_limit("guest", "max-queues", 1)
    with pytest.raises(LookupError, match="no vhost"):
        broker.admin.set_vhost_limit("max-queues", 1, vhost="shop")
    with pytest.raises(LookupError, match="no user"):
        broker.admin.set_user_limit("ann", "max-channels", 1)
    broker.admin.clear_vhost_limit("max-queues")  # no limit is set; clearing it is no error
    broker.admin.clear_user_limit("guest", "max-channels")


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_who_and_what_is_not_there(broker: Broker, attempt: Callable[[Administration, str, str], object]) -> None:
    with pytest.raises(LookupError, match="no user 'ann'; there are: 'guest'"):
        attempt(broker.admin, "ann", "/")
    with pytest.raises(LookupError, match="no vhost 'shop'; there are: '/'"):
        attempt(broker.admin, "guest", "shop")


def test_what_is_not_there_cannot_be_deleted(broker: Broker) -> None:
    with pytest.raises(LookupError, match="no user 'ann'"):
        broker.admin.delete_user("ann")
    with pytest.raises(LookupError, match="no vhost 'shop'"):
        broker.admin.delete_vhost("shop")


def test_a_queue_is_deleted_under_its_users(broker: Broker) -> None:
    with Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        cancelled: list[str] = []
        channel.queue_declare("q", exclusive=True)
        channel.basic_publish(Message("one"), routing_key="q")
        channel.basic_qos(0, 1, False)
        channel.basic_publish(Message("two"), routing_key="q")
        channel.basic_consume("q", callback=lambda _: None, on_cancel=cancelled.append, consumer_tag="worker")
        assert broker.admin.delete_queue("q") == 1
        while not cancelled:
            connection.drain_events(timeout=5)
        assert cancelled == ["worker"]
        with pytest.raises(LookupError, match="no queue 'q' in vhost '/'; there are: none"):
            broker.admin.delete_queue("q")


def test_closing_connections_tells_how_many_there_were(broker: Broker) -> None:
    broker.admin.add_user("ann", "a")
    broker.admin.set_permissions("ann")
    mine, anns = connect(broker), [connect(broker, "ann", "a") for _ in range(2)]
    assert broker.admin.close_connections("ann", "maintenance") == 2
    for connection in anns:
        with pytest.raises(ConnectionForced, match="CONNECTION_FORCED - maintenance"):
            connection.drain_events(timeout=1)
    mine.channel().close()
    assert broker.admin.close_connections() == 1
    assert broker.admin.close_connections() == 0


def test_a_deleted_vhost_leaves_nothing_behind() -> None:
    clock = ManualClock()
    with Broker(clock=clock, vhosts=("/", "shop")) as broker:
        broker.admin.add_user("ann", "a")
        broker.admin.set_permissions("ann", vhost="shop")
        channel = connect(broker, vhost="shop").channel()
        channel.queue_declare("orders", durable=True, auto_delete=False, arguments={"x-expires": 1000})
        broker.admin.delete_vhost("shop")
        clock.advance(2)
        broker.admin.add_vhost("shop")
        with pytest.raises(LookupError):
            broker.queue("orders", "shop")
        connect(broker, vhost="shop").close()
        with pytest.raises(NotAllowed):
            connect(broker, "ann", "a", "shop")


def test_default_queue_types() -> None:
    with Broker("4.3") as broker:
        with pytest.raises(ValueError, match="no queue type 'bogus'; there are classic, quorum, stream"):
            broker.admin.add_vhost("shop", default_queue_type="bogus")
        broker.admin.add_vhost("shop")
        channel = connect(broker, vhost="shop").channel()
        channel.queue_declare("early", durable=True, auto_delete=False)
        broker.admin.add_vhost("shop", default_queue_type="stream")
        channel.queue_declare("late", durable=True, auto_delete=False)
        with pytest.raises(PreconditionFailed, match="received 'stream' but current is 'classic'"):
            channel.queue_declare("early", durable=True, auto_delete=False)


def test_first_topic_permissions_count_at_once(broker: Broker) -> None:
    """But for keys that a channel has used before; it remembers those, as RabbitMQ's channels do."""
    channel = connect(broker).channel()
    channel.basic_publish_confirm(Message(b""), "amq.topic", "key")
    broker.admin.set_topic_permissions("guest", "amq.topic", "^other$", "")
    channel.basic_publish_confirm(Message(b""), "amq.topic", "key")
    with pytest.raises(AccessRefused, match="write access to topic 'new'"):
        channel.basic_publish_confirm(Message(b""), "amq.topic", "new")

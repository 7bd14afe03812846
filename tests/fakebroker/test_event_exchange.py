"""The exchange of events, as the broker's user has it; what the events tell the conformance suite shows."""

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from hutch.client import Connection, NotFound, connect
from hutch.fakebroker import Broker, ManualClock, Message
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.peer import Peer, print_address
from hutch.wire.frames import method_frame
from hutch.wire.methods import PROTOCOL_HEADER, ConnectionStartOk
from hutch.wire.url import parse_url

EVENTS = "amq.rabbitmq.event"


@pytest.fixture
def told() -> Iterator[Broker]:
    """A broker with the plugin, whose events are in the queue ``events`` of its first vhost."""
    with Broker(clock=ManualClock(), vhosts=("first", "second"), plugins=["rabbitmq_event_exchange"]) as broker:
        with Connection(transport=broker.transport, virtual_host="first") as connection:
            channel = connection.channel()
            channel.queue_declare("events", durable=True, auto_delete=False)
            channel.queue_bind("events", EVENTS, "#")
        broker.hub.node.vhosts["first"].queues["events"].purge()
        yield broker


def events(broker: Broker) -> list[Message]:
    return broker.queue("events", "first").messages


def test_there_is_none_without_the_plugin(manual: Broker) -> None:
    with Connection(transport=manual.transport) as connection:
        channel = connection.channel()
        with pytest.raises(NotFound, match=f"no exchange '{EVENTS}' in vhost '/'"):
            channel.exchange_declare(EVENTS, "topic", passive=True)


def test_the_first_vhost_hears_of_all(told: Broker) -> None:
    with Connection(transport=told.transport, virtual_host="second") as connection:
        channel = connection.channel()
        with pytest.raises(NotFound):
            channel.exchange_declare(EVENTS, "topic", passive=True)
        connection.channel().queue_declare("q")
    created = [event for event in events(told) if event.routing_key == "queue.created"]
    assert [event.headers["vhost"] for event in created] == ["second"]
    assert created[0].headers["user_who_performed_action"] == "guest"
    assert created[0].headers["timestamp_in_ms"] == 1_700_000_000_000


def test_a_channel_is_one_process(told: Broker) -> None:
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel()
        connection.channel().close()
    about = [event for event in events(told) if event.routing_key.startswith("channel.")]
    by_key = [(event.routing_key, event.headers["pid"]) for event in about]
    (first, second, third, fourth) = by_key
    assert [key for key, _ in by_key] == ["channel.created"] * 2 + ["channel.closed"] * 2
    assert first[1] == fourth[1] != second[1] == third[1]


def test_a_connection_is_one_process(told: Broker) -> None:
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel().queue_declare("own", exclusive=True)
    by_key = {event.routing_key: event.headers for event in events(told)}
    process = by_key["connection.created"]["pid"]
    assert by_key["channel.created"]["connection"] == by_key["queue.created"]["owner_pid"] == process
    assert by_key["connection.closed"]["pid"] == process
    assert (by_key["connection.created"]["host"], by_key["connection.created"]["port"]) == ("unknown", 0)


def test_a_connection_over_tcp_has_its_addresses(told: Broker) -> None:
    with connect(told.url) as connection:
        port = connection.sock.getsockname()[1]
    (created,) = (event.headers for event in events(told) if event.routing_key == "connection.created")
    assert (created["peer_host"], created["peer_port"], created["host"]) == ("{127,0,0,1}", port, "{127,0,0,1}")
    server = parse_url(told.url)[0]
    assert (created["port"], created["name"]) == (server.port, f"127.0.0.1:{port} -> 127.0.0.1:{server.port}")


@pytest.mark.parametrize(
    ("address", "printed"),
    [("192.0.2.1", "{192,0,2,1}"), ("::1", "{0,0,0,0,0,0,0,1}"), ("2001:db8::ff", "{8193,3512,0,0,0,0,0,255}")],
)
def test_addresses_as_erlang_prints_them(address: str, printed: str) -> None:
    assert print_address(ip_address(address)) == printed


def test_who_may_log_in_from_this_machine_alone_is_told_so(told: Broker) -> None:
    session = Session(told.hub.node, told.hub.profile, Peer("from afar", local=False), lambda: None)
    session.receive(PROTOCOL_HEADER)
    session.receive(method_frame(0, ConnectionStartOk({}, "PLAIN", b"\0guest\0guest").encode()))
    (failure,) = (event for event in events(told) if event.routing_key == "user.authentication.failure")
    assert failure.headers["error"] == list(b"user 'guest' can only connect via localhost")
    assert failure.headers["name"] == "guest"


def test_users_of_all_vhosts_have_their_permissions_told(told: Broker) -> None:
    told.admin.add_user("ann", "a")
    told.admin.add_user("ann", "b")
    told.admin.add_vhost("third")
    kinds = ("user.", "permission.", "vhost.")
    about = [event for event in events(told) if event.routing_key.startswith(kinds)]
    assert [(event.routing_key, event.headers.get("user"), event.headers.get("vhost")) for event in about] == [
        ("user.created", None, None),
        ("user.password.changed", None, None),
        ("user.tags.set", None, None),
        ("vhost.created", None, None),
        ("permission.created", "guest", "third"),
    ]
    assert {event.headers["user_who_performed_action"] for event in about} == {"rmq-cli"}


def test_an_exchange_tells_of_its_policy(told: Broker) -> None:
    told.admin.set_policy("mine", "^x", {"alternate-exchange": "amq.fanout"}, vhost="second")
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel().exchange_declare("x", "direct")
    (created,) = (event for event in events(told) if event.routing_key == "exchange.created")
    assert created.headers["policy"] == "mine"


@pytest.mark.parametrize(
    ("mechanism", "response", "told_of"),
    [("NOPE", b"", []), ("AMQPLAIN", b"no table", []), ("PLAIN", b"x", ["user.authentication.failure"])],
)
def test_a_login_that_cannot_be_read_has_no_event(
    told: Broker, mechanism: str, response: bytes, told_of: list[str]
) -> None:
    session = Session(told.hub.node, told.hub.profile, Peer("a test"), lambda: None)
    session.receive(PROTOCOL_HEADER)
    session.receive(method_frame(0, ConnectionStartOk({}, mechanism, response).encode()))
    assert [event.routing_key for event in events(told)] == told_of


def test_they_go_on_after_a_restart(told: Broker) -> None:
    told.admin.restart()
    with Connection(transport=told.transport, virtual_host="second") as connection:
        connection.channel().queue_declare("q")
    assert "queue.created" in {event.routing_key for event in events(told)}

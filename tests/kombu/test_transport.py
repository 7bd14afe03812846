"""The transport: what it says of itself, how it connects, and what its errors are."""

import time
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import amqp.exceptions
import kombu
import pytest
from kombu.exceptions import OperationalError

import hutch.client
import hutch.client.kombu as seat
from hutch.client import AccessRefused, ConnectionForced, NotAllowed, NotFound, ResourceLocked
from tests.client.api.reference import shows
from tests.kombu.steps import connect, end, sever, url
from tests.live import LiveBroker
from tests.targets import PATIENCE, Target


@shows("kombu.Transport", "kombu.Transport.driver_name", "kombu.Transport.driver_type", "kombu.Transport.implements")
@shows("kombu.Transport.driver_version")
def test_what_it_is(connection: kombu.Connection, target: Target) -> None:
    transport = connection.transport
    assert isinstance(transport, seat.Transport)
    assert (transport.driver_type, transport.driver_name) == ("amqp", "hutch")
    assert transport.driver_version() == version("hutch")
    assert transport.implements.exchange_type == {"direct", "topic", "fanout", "headers"}
    assert connection.supports_exchange_type("headers")
    assert connection.supports_heartbeats
    in_process = url(target).startswith("hutch-memory")
    assert isinstance(transport, seat.MemoryTransport) == in_process
    assert connection.is_evented == transport.supports_ev == (not in_process)
    assert transport.client is connection


@shows("kombu.Transport.__init__(client, default_port, default_ssl_port)", "kombu.Transport.default_connection_params")
@shows("kombu.Transport.default_port", "kombu.Transport.default_ssl_port")
def test_defaults(target: Target) -> None:
    assert (seat.Transport.default_port, seat.Transport.default_ssl_port) == (5672, 5671)
    connection = kombu.Connection(url(target))
    plain = seat.Transport(connection).default_connection_params
    assert plain == {
        "userid": "guest",
        "password": "guest",
        "port": 5672,
        "hostname": "localhost",
        "login_method": "PLAIN",
    }
    assert seat.Transport(client=connection, default_port=1).default_connection_params["port"] == 1
    secure = kombu.Connection(url(target), ssl=True)
    assert seat.Transport(secure).default_connection_params["port"] == 5671
    assert seat.Transport(secure, default_ssl_port=2).default_connection_params["port"] == 2


@shows("kombu.Transport.establish_connection", "kombu.Transport.verify_connection", "kombu.Transport.close_connection")
@shows("kombu.Transport.create_channel", "kombu.Transport.Connection", "kombu.Connection.Channel")
@shows("kombu.Connection", "kombu.Channel")
def test_connections(target: Target) -> None:
    client = connect(target)
    transport = client.transport
    assert not client.connected
    connection = transport.establish_connection()
    try:
        assert type(connection) is seat.Transport.Connection is seat.Connection
        assert isinstance(connection, hutch.client.Connection)
        assert connection.client is client
        assert transport.verify_connection(connection)
        channel = transport.create_channel(connection)
        assert type(channel) is seat.Connection.Channel is seat.Channel
        assert isinstance(channel, hutch.client.Channel)
        assert channel.connection is connection
    finally:
        transport.close_connection(connection)
    assert not transport.verify_connection(connection)
    assert connection.client is None
    assert channel.connection is None


def test_a_released_connection_connects_anew(connection: kombu.Connection) -> None:
    first = connection.connection
    assert first.connected
    connection.release()
    assert not first.connected
    assert not connection.connected
    assert connection.connection is None
    connection.connect()
    assert connection.connection is not first
    assert connection.default_channel.is_open


def test_collecting_says_nothing_to_the_broker(connection: kombu.Connection) -> None:
    first = connection.connection
    connection.collect()
    assert not first.connected
    assert connection.connection is not first  # kombu connects again when it needs a connection
    assert connection.connected


@shows("kombu.Transport.drain_events")
def test_draining(connection: kombu.Connection) -> None:
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.01)
    with pytest.raises(TimeoutError):
        connection.transport.drain_events(connection.connection, timeout=0)


@shows("kombu.transport_options")
def test_transport_options(target: Target) -> None:
    properties = {"connection_name": target.name("connection")}
    options = {"client_properties": properties, "locale": "de_DE", "max_retries": 2, "errback": None}
    connection = connect(target, transport_options=options)
    opened = connection.connect()
    assert opened.locale == "de_DE"
    assert opened.client_properties["connection_name"] == properties["connection_name"]
    assert opened.read_timeout == PATIENCE
    with pytest.warns(DeprecationWarning, match="Connection ignores .* visibility_timeout"):
        connect(target, transport_options={"visibility_timeout": 3600}).connect()


def test_the_management_options_are_kombus(target: Target) -> None:
    options = {f"manager_{name}": name for name in ("hostname", "port", "userid", "password")}
    assert connect(target, transport_options=options).connect().connected


def test_a_retry_policy_may_become_transport_options(target: Target) -> None:
    """kombu puts what ``Producer.publish(retry_policy=...)`` was given there."""
    connection = connect(target)
    policy = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0, "retry_errors": (KeyError,)}
    policy |= {"errback": lambda *_: None, "on_revive": lambda _: None}
    producer = kombu.Producer(connection)
    producer.publish("x", routing_key="nowhere", retry=True, retry_policy=policy)
    connection.release()
    assert connection.connect().connected


def test_a_password_that_can_be_called(target: Target) -> None:
    asked: list[None] = []
    address = url(target).replace(":guest@", "@")

    def password() -> str:
        asked.append(None)
        return "guest"

    connection = connect(target, address, password=password)
    connection.connect()
    connection.release()
    connection.connect()
    assert len(asked) == 2


def test_a_wrong_password(target: Target) -> None:
    connection = connect(target, url(target).replace(":guest@", ":wrong@"))
    with pytest.raises(AccessRefused, match="ACCESS_REFUSED - Login was refused"):
        connection.connect()
    assert issubclass(AccessRefused, connection.channel_errors)


def test_an_unknown_virtual_host(target: Target) -> None:
    with pytest.raises(NotAllowed, match=r"NOT_ALLOWED - (vhost|access to vhost).*nowhere"):
        connect(target, url(target).rpartition("/")[0] + "/nowhere").connect()


def test_login_method(target: Target) -> None:
    connection = connect(target, login_method="AMQPLAIN")
    (mechanism,) = connection.connect().authentication
    assert mechanism.mechanism == b"AMQPLAIN"
    assert connection.info()["login_method"] == "AMQPLAIN"
    (default,) = connect(target).connect().authentication
    assert default.mechanism == b"PLAIN"


def test_insist_has_no_meaning(target: Target) -> None:
    assert connect(target, insist=True).connect().connected


@shows("kombu.Transport.connection_errors", "kombu.Transport.channel_errors")
@shows("kombu.Transport.recoverable_connection_errors", "kombu.Transport.recoverable_channel_errors")
def test_kinds_of_errors(connection: kombu.Connection, target: Target) -> None:
    kinds = {
        name: getattr(connection, name)
        for name in (
            "connection_errors",
            "channel_errors",
            "recoverable_connection_errors",
            "recoverable_channel_errors",
        )
    }

    def kinds_of(error: Exception) -> set[str]:
        return {name for name, classes in kinds.items() if isinstance(error, classes)}

    channel = connection.default_channel
    with pytest.raises(NotFound) as missing:
        channel.queue_declare(target.name("missing"), passive=True)
    assert kinds_of(missing.value) == {"channel_errors"}

    name = target.name("queue")
    channel.queue_declare(name, exclusive=True)
    with pytest.raises(ResourceLocked) as locked:
        connect(target).default_channel.queue_declare(name, passive=True)
    assert kinds_of(locked.value) == {"channel_errors", "recoverable_channel_errors"}

    end(target, connection.connection)
    with pytest.raises(ConnectionForced, match="CONNECTION_FORCED - enough") as forced:
        connection.drain_events(timeout=PATIENCE)
    assert kinds_of(forced.value) == {"connection_errors", "recoverable_connection_errors"}

    connection.connect()
    sever(target, connection.connection)
    with pytest.raises(OSError, match=r"reset|ended") as severed:
        connection.drain_events(timeout=PATIENCE)
    assert kinds_of(severed.value) == {"connection_errors", "recoverable_connection_errors"}

    # Errors raised by kombu itself are py-amqp's classes.
    assert kinds_of(amqp.exceptions.RecoverableConnectionError()) == {
        "connection_errors",
        "recoverable_connection_errors",
    }
    assert kinds_of(amqp.exceptions.ChannelError()) == {"channel_errors"}
    assert kinds_of(ValueError()) == set()


def test_kombu_wraps_errors_that_may_pass(target: Target) -> None:
    nobody = f"{url(target).partition('://')[0]}://guest:guest@nobody.invalid:1/"
    if nobody.startswith("hutch-memory"):
        nobody = "hutch-memory://nobody"
    connection = connect(target, nobody)
    with pytest.raises(OperationalError):
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
    with pytest.raises(OSError, match="nobody"):
        connection.transport.establish_connection()


@shows("kombu.Transport.get_heartbeat_interval", "kombu.Transport.heartbeat_check(connection, rate)")
def test_heartbeats(target: Target) -> None:
    connection = connect(target, heartbeat=2)
    opened = connection.connect()
    assert connection.get_heartbeat_interval() == connection.transport.get_heartbeat_interval(opened) == 2
    sent = opened.bytes_sent
    deadline = time.monotonic() + PATIENCE
    while opened.bytes_sent == sent and time.monotonic() < deadline:
        connection.heartbeat_check(rate=20)  # one heartbeat is due every tenth of a second
    assert opened.bytes_sent == sent + 1
    without = connect(target)
    without.connect()
    assert without.get_heartbeat_interval() == 0
    without.heartbeat_check()


@shows("kombu.Transport.qos_semantics_matches_spec")
def test_whether_a_global_prefetch_limit_is_the_connections(connection: kombu.Connection, target: Target) -> None:
    expected = {"3.10": False, "4.3": True}[target.profile]
    assert connection.qos_semantics_matches_spec is expected
    assert connection.transport.qos_semantics_matches_spec(connection.connection) is expected


@pytest.mark.parametrize(
    ("properties", "matches"),
    [
        ({"product": "RabbitMQ", "version": "3.2.4"}, True),
        ({"product": "RabbitMQ", "version": "3.3.0"}, False),
        ({"product": "RabbitMQ", "version": "3.13.7"}, False),
        ({"product": "RabbitMQ", "version": "4.0.1"}, True),
        ({"product": "RabbitMQ"}, True),
        ({"product": "another", "version": "3.10.8"}, True),
    ],
)
def test_the_semantics_of_other_brokers(properties: dict[str, Any], matches: bool) -> None:
    connection = seat.Connection()
    connection.server_properties = properties
    transport = seat.Transport(kombu.Connection("hutch://"))
    assert transport.qos_semantics_matches_spec(connection) is matches


@pytest.mark.parametrize("error", ["ended", "severed"])
def test_ensure_revives_what_it_is_given(connection: kombu.Connection, target: Target, error: str) -> None:
    first = connection.connection
    told = []

    class Counting:
        channel = connection.default_channel
        revivals = 0

        def revive(self, channel: Any) -> None:
            self.channel = channel
            self.revivals += 1

        def look(self, name: str) -> Any:
            return self.channel.queue_declare(name, exclusive=True).queue

    counting = Counting()
    (end if error == "ended" else sever)(target, first)
    look = connection.ensure(
        counting, counting.look, lambda raised, _: told.append(raised), max_retries=3, interval_start=0, interval_step=0
    )
    name = target.name("queue")
    assert look(name) == name
    assert connection.connection is not first
    assert counting.revivals == 1
    assert counting.channel is connection.default_channel
    (raised,) = told
    assert isinstance(raised, ConnectionForced if error == "ended" else OSError)


def test_autoretry(connection: kombu.Connection, target: Target) -> None:
    first = connection.default_channel
    sever(target, connection.connection)
    name = target.name("queue")
    channels = []

    def declare(channel: Any) -> Any:
        channels.append(channel)
        return channel.queue_declare(name, exclusive=True)

    declared, channel = connection.autoretry(declare, first, interval_start=0)()
    assert declared.queue == name
    assert channels == [first, channel]
    assert channel is connection.default_channel


def test_clones_and_names(connection: kombu.Connection, target: Target) -> None:
    clone = connection.clone()
    target.cleanup.callback(clone.release)
    assert not clone.connected
    assert clone.connect().connected
    assert clone.connection is not connection.connection
    assert clone.as_uri() == connection.as_uri()
    assert ":**@" in connection.as_uri()
    assert connection.as_uri().startswith(url(target).partition("://")[0] + "://guest:**@")
    again = connect(target, connection.as_uri(include_password=True))
    assert again.connect().virtual_host == connection.connection.virtual_host
    assert connection.info()["transport"] == url(target).partition("://")[0]


@shows("kombu.Transport.get_manager")
def test_the_manager(target: Target) -> None:
    options: dict[str, Any] = {"manager_hostname": "management.example", "manager_port": 12345}
    connection = connect(target, transport_options=options)
    assert connection.get_manager().host == "management.example:12345"
    assert connection.get_manager(hostname="other", port=1, userid="ann").user == "ann"
    assert connection.manager.host == "management.example:12345"


@pytest.mark.targets("live-3.10", "live-4.3")
def test_the_manager_of_a_live_broker(target: Target) -> None:
    parts = urlsplit(LiveBroker.named(target.profile).management)
    options = {"manager_hostname": parts.hostname, "manager_port": parts.port}
    connection = connect(target, transport_options=options)
    vhost = connection.connect().virtual_host
    manager = connection.get_manager()
    try:
        assert manager.get_exchange(vhost, "amq.topic")["type"] == "topic"
    finally:
        manager.http.client.close()

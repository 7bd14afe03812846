"""What a connection can be given: to whom, as whom, with what limits. Timeouts are in test_timeouts.py."""

import socket
from typing import Any

import pytest

from hutch.client import AccessRefused, Connection, ConnectionError, Message, NotAllowed, NotFound  # noqa: A004
from hutch.client.sasl import AMQPLAIN, PLAIN, SASL
from hutch.wire.methods import (
    ConnectionOpen,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
)
from tests.client.api import admin
from tests.client.api.reference import shows
from tests.client.api.relay import Relay
from tests.client.api.tap import tapped
from tests.client.api.ways_in import over_tcp, tcp_address
from tests.targets import Target


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@shows("Connection.__init__(host)", "Connection.sock", "Connection.transport")
def test_host_and_port(target: Target) -> None:
    host, port = tcp_address(target)
    with over_tcp(target, host=f"{host}:{port}") as connection:
        assert connection.sock.getpeername() == (host, port)
        assert connection.transport is not None
        assert connection.transport.fileno() is not None
    assert connection.sock is None
    assert connection.transport is None


@shows("Connection.__init__(host)")
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_a_bracketed_ipv6_address(target: Target) -> None:
    with Relay(tcp_address(target), host="::1") as relay:
        assert relay.host == f"[::1]:{relay.port}"
        with over_tcp(target, host=relay.host) as connection:
            assert connection.sock.family == socket.AF_INET6
            assert connection.sock.getpeername()[:2] == ("::1", relay.port)
            assert connection.channel().is_open


@shows("Connection.__init__(userid, password)")
def test_userid_and_password(target: Target) -> None:
    with target.connection(userid="guest", password="guest") as connection:
        assert connection.connected
    for userid, password in [("guest", "wrong"), ("nobody", "guest")]:
        connection = target.connection(userid=userid, password=password)
        with pytest.raises(AccessRefused, match="ACCESS_REFUSED - Login was refused") as refused:
            connection.connect()
        assert refused.value.reply_code == 403
        assert not connection.connected


@shows("Connection.__init__(login_method)", "Connection.mechanisms")
@pytest.mark.parametrize("login_method", ["PLAIN", "AMQPLAIN"])
def test_login_method(target: Target, login_method: str) -> None:
    connection, tap = tapped(target, login_method=login_method)
    connection.connect()
    assert tap.sent(ConnectionStartOk)[0].mechanism == login_method
    assert login_method.encode() in connection.mechanisms
    if target.live:
        assert admin.connection_as_seen(target, connection)["auth_mechanism"] == login_method


@shows("Connection.__init__(login_method)")
def test_by_default_the_server_chooses_the_login_method(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    known = [name for name in connection.mechanisms if name in {b"PLAIN", b"AMQPLAIN"}]
    assert tap.sent(ConnectionStartOk)[0].mechanism.encode() == known[0]


@shows("Connection.__init__(login_response)")
def test_login_response(target: Target) -> None:
    # 4.3 has the mechanism ANONYMOUS, which accepts any response (CONN-AUTH-11). 3.10 lacks it.
    with pytest.warns(DeprecationWarning, match="login_response is deprecated"):
        connection, tap = tapped(target, login_method="ANONYMOUS", login_response=b"whoever")
    if target.profile == "3.10":
        with pytest.raises(ConnectionError, match=r"no common login mechanism: .* this client ANONYMOUS"):
            connection.connect()
        return
    connection.connect()
    (started,) = tap.sent(ConnectionStartOk)
    assert (started.mechanism, started.response) == ("ANONYMOUS", b"whoever")


class Twice(SASL):
    """A mechanism of one's own: PLAIN, with user and password the same."""

    mechanism = b"PLAIN"

    def start(self, connection: Any) -> bytes:
        user = str(connection.userid).encode()
        return b"\0" + user + b"\0" + user


@shows("Connection.__init__(authentication)")
@pytest.mark.parametrize(
    ("authentication", "mechanism"),
    [
        (PLAIN("guest", "guest"), "PLAIN"),
        ((AMQPLAIN("guest", "guest"), PLAIN("guest", "guest")), "AMQPLAIN"),
        ([PLAIN(None, None), AMQPLAIN("guest", "guest")], "AMQPLAIN"),
        (Twice(), "PLAIN"),
    ],
    ids=["one", "the first of several", "one that passes", "one's own"],
)
def test_authentication(target: Target, authentication: Any, mechanism: str) -> None:
    connection, tap = tapped(target, userid="guest", password=None, authentication=authentication)
    connection.connect()
    assert tap.sent(ConnectionStartOk)[0].mechanism == mechanism


@shows("Connection.__init__(virtual_host)")
def test_virtual_host(target: Target) -> None:
    name = target.name("queue")
    target.connect().channel().queue_declare(name, exclusive=True)
    elsewhere = target.connect(virtual_host=admin.another_vhost(target))
    with pytest.raises(NotFound, match=f"no queue '{name}' in vhost '{elsewhere.virtual_host}'"):
        elsewhere.channel().queue_declare(name, passive=True)


@shows("Connection.__init__(virtual_host)")
def test_a_virtual_host_that_is_not_there(target: Target) -> None:
    connection = target.connection(virtual_host="nowhere")
    with pytest.raises(NotAllowed, match="vhost nowhere not found") as refused:
        connection.connect()
    assert (refused.value.reply_code, refused.value.method) == (530, "Connection.open")
    assert not connection.connected


@shows("Connection.__init__(locale)", "Connection.locales")
def test_locale(target: Target) -> None:
    connection, tap = tapped(target, locale="de_AT")
    connection.connect()  # RabbitMQ accepts any locale, and uses English (CONN-AUTH-12)
    assert connection.locales == ["en_US"]
    assert tap.sent(ConnectionStartOk)[0].locale == "de_AT"


@shows("Connection.__init__(client_properties)", "Connection.client_properties", "Connection.library_properties")
def test_client_properties(target: Target) -> None:
    connection, tap = tapped(target, client_properties={"connection_name": "orders", "information": {"team": "blue"}})
    connection.connect()
    expected = {**connection.library_properties, "connection_name": "orders", "information": {"team": "blue"}}
    assert expected["product"] == "hutch"
    told: dict[str, Any] = dict(tap.sent(ConnectionStartOk)[0].client_properties)
    assert connection.client_properties == told
    assert told.pop("capabilities")["connection.blocked"] is True
    assert told == expected
    if target.live:
        seen = admin.connection_as_seen(target, connection)
        assert seen["user_provided_name"] == "orders"
        assert {**seen["client_properties"], "capabilities": {}} == {**expected, "capabilities": {}}


@shows("Connection.negotiate_capabilities", "Connection.server_capabilities")
def test_negotiate_capabilities(target: Target) -> None:
    connection, tap = tapped(target)
    connection.negotiate_capabilities = {"consumer_cancel_notify": False, "basic.nack": True, "time.travel": True}
    connection.connect()
    assert connection.server_capabilities["consumer_cancel_notify"] is True
    # The client does not announce capabilities that the server lacks.
    expected = {"consumer_cancel_notify": False, "basic.nack": True}
    assert tap.sent(ConnectionStartOk)[0].client_properties["capabilities"] == expected
    # So the broker sends no basic.cancel when the queue is deleted (CONSUME-20).
    channel = connection.channel()
    name = target.name("queue")
    channel.queue_declare(name, exclusive=True)
    channel.basic_consume(name, on_cancel=lambda tag: pytest.fail(f"told of {tag}"))
    channel.queue_delete(name)
    connection.channel()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0)


@shows(
    "Connection.server_properties",
    "Connection.server_capabilities",
    "Connection.version_major",
    "Connection.version_minor",
)
def test_what_the_server_says_of_itself(target: Target) -> None:
    connection = target.connect()
    assert connection.server_properties["product"] == "RabbitMQ"
    assert str(connection.server_properties["version"]).startswith(target.profile)
    assert connection.server_capabilities == connection.server_properties["capabilities"]
    assert (connection.version_major, connection.version_minor) == (0, 9)


@shows("Connection.__init__(channel_max, frame_max)")
def test_limits(target: Target) -> None:
    connection, tap = tapped(target, channel_max=7, frame_max=9000)
    assert (connection.channel_max, connection.frame_max) == (7, 9000)
    connection.connect()
    # RabbitMQ offers limits, and the offer wins, as in py-amqp. The client's values are for servers without limits.
    (offer,) = tap.received(ConnectionTune)
    assert (connection.channel_max, connection.frame_max) == (offer.channel_max, offer.frame_max) == (2047, 131072)
    (answer,) = tap.sent(ConnectionTuneOk)
    assert (answer.channel_max, answer.frame_max) == (2047, 131072)


@shows(
    "Connection.__init__(heartbeat)",
    "Connection.heartbeat",
    "Connection.client_heartbeat",
    "Connection.server_heartbeat",
)
@pytest.mark.parametrize(("asked", "agreed"), [(0, 0), (7, 7), (2.5, 3), (600, 60)])
def test_heartbeat(target: Target, asked: float, agreed: int) -> None:
    connection, tap = tapped(target, heartbeat=asked)
    assert (connection.client_heartbeat, connection.heartbeat) == (asked, None)
    connection.connect()
    assert connection.server_heartbeat == 60
    assert connection.heartbeat == agreed
    assert tap.sent(ConnectionTuneOk)[0].heartbeat == agreed
    if target.live:
        assert admin.connection_as_seen(target, connection)["timeout"] == agreed


@shows("Connection.__init__(on_open, on_tune_ok)")
def test_on_tune_ok_and_on_open(target: Target) -> None:
    seen: list[tuple[str, Connection, int, bool]] = []

    def on_tune_ok(connection: Connection) -> None:
        assert connection.heartbeat == 9
        seen.append(("on_tune_ok", connection, len(tap.sent(ConnectionTuneOk)), bool(tap.sent(ConnectionOpen))))

    def on_open(connection: Connection) -> None:
        assert connection.channel().is_open  # the connection is ready for use
        seen.append(("on_open", connection, len(tap.sent(ConnectionTuneOk)), bool(tap.sent(ConnectionOpen))))

    connection, tap = tapped(target, heartbeat=9, on_open=on_open, on_tune_ok=on_tune_ok)
    connection.connect()
    # tune-ok and open are sent together
    assert seen == [("on_tune_ok", connection, 0, False), ("on_open", connection, 1, True)]


@shows("Connection.__init__(confirm_publish)")
def test_confirm_publish(target: Target) -> None:
    unconfirmed = target.connect().channel()
    unconfirmed.basic_publish(Message(b"x"), "missing")  # without confirms, nobody reads the error
    with pytest.raises(NotFound):
        unconfirmed.queue_declare(exclusive=True)
    channel = target.connect(confirm_publish=True).channel()
    with pytest.raises(NotFound, match="no exchange 'missing'") as refused:
        channel.basic_publish(Message(b"x"), "missing")
    assert refused.value.method == "Basic.publish"


@shows("Connection.__init__(socket_settings)", "Connection.sock")
def test_socket_settings(target: Target) -> None:
    with over_tcp(target, socket_settings={socket.TCP_KEEPIDLE: 37}) as connection:
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 37
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

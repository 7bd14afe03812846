"""Opening a connection: what is agreed on, and what goes wrong."""

import tomllib
from pathlib import Path

import pytest

from hutch.client import AccessRefused, Connection, ConnectionError, FrameError, NotAllowed, UnexpectedFrame, sasl  # noqa: A004
from hutch.client.negotiation import VERSION
from hutch.wire.declaration import Method
from hutch.wire.fields import read_table
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    ChannelOpenOk,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionSecure,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
)
from tests.client.scripted import CAPABILITIES, START, Server, connected


def connection_to(server: Server, **parameters: object) -> Connection:
    return Connection(transport=lambda: server, **parameters)  # type: ignore[arg-type]


def test_the_steps_in_their_order(server: Server) -> None:
    with connection_to(server, virtual_host="shop") as connection:
        assert server.sends[0] == PROTOCOL_HEADER
        assert [type(method) for _, method in server.log] == [ConnectionStartOk, ConnectionTuneOk, ConnectionOpen]
        assert server.sent(ConnectionOpen)[0].virtual_host == "shop"
        assert connection.connected
        assert connection.channels == {0: connection}
    assert server.closed
    assert not connection.connected


def test_nothing_happens_before_connect(server: Server) -> None:
    connection = connection_to(server)
    assert not server.connected
    assert not connection.connected
    assert connection.transport is None
    assert connection.sock is None


def test_connecting_twice_calls_the_callback_and_no_more(server: Server) -> None:
    connection = connection_to(server)
    assert connection.connect() is None
    sends = len(server.sends)
    assert connection.connect(lambda: "called") == "called"
    assert connection.connect() is None
    assert len(server.sends) == sends


def test_a_closed_connection_connects_anew() -> None:
    servers = [Server(), Server()]
    connection = Connection(transport=lambda: servers[0])
    connection.connect()
    connection.close()
    del servers[0]
    connection.connect()
    assert connection.channel().is_open


def test_what_the_server_said_of_itself(server: Server) -> None:
    connection = connected(server)
    assert (connection.version_major, connection.version_minor) == (0, 9)
    assert connection.server_properties["product"] == "Script"
    assert connection.server_capabilities == CAPABILITIES
    assert connection.mechanisms == [b"AMQPLAIN", b"PLAIN"]
    assert connection.locales == ["en_US"]


def test_client_properties_and_the_capabilities_both_have(server: Server) -> None:
    connection = connection_to(server, client_properties={"connection_name": "till 3", "capabilities": {"mine": 1}})
    connection.connect()
    told = server.sent(ConnectionStartOk)[0].client_properties
    assert told["product"] == "hutch"
    assert told["connection_name"] == "till 3"
    assert told["capabilities"] == {**CAPABILITIES, "mine": 1}
    assert "exchange_exchange_bindings" not in CAPABILITIES  # the server does not announce it
    assert connection.client_properties["capabilities"] == told["capabilities"]


def test_a_server_without_capabilities_is_told_of_none(server: Server) -> None:
    server.greeting = ConnectionStart(0, 9, {}, b"PLAIN", b"en_US")
    connected(server)
    connection = connection_to(server)
    assert "capabilities" not in connection.client_properties


def test_the_version_is_the_distributions() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert pyproject["project"]["version"] == VERSION


# login


@pytest.mark.parametrize(
    ("offered", "chosen"), [(b"PLAIN AMQPLAIN", "PLAIN"), (b"ANONYMOUS AMQPLAIN PLAIN", "AMQPLAIN")]
)
def test_the_server_prefers_a_mechanism(server: Server, offered: bytes, chosen: str) -> None:
    server.greeting = ConnectionStart(0, 9, {}, offered, b"en_US")
    connection_to(server).connect()
    assert server.sent(ConnectionStartOk)[0].mechanism == chosen


def test_plain(server: Server) -> None:
    connection_to(server, userid="ann", password="sécret", login_method="PLAIN").connect()
    start_ok = server.sent(ConnectionStartOk)[0]
    assert (start_ok.mechanism, start_ok.response) == ("PLAIN", "\0ann\0sécret".encode())
    assert start_ok.locale == "en_US"


def test_amqplain(server: Server) -> None:
    connection_to(server, userid="ann", password="secret", login_method="AMQPLAIN", locale="nl_NL").connect()
    start_ok = server.sent(ConnectionStartOk)[0]
    table, _ = read_table(len(start_ok.response).to_bytes(4) + start_ok.response)
    assert (start_ok.mechanism, table) == ("AMQPLAIN", {"LOGIN": "ann", "PASSWORD": "secret"})
    assert start_ok.locale == "nl_NL"


class Token(sasl.SASL):
    mechanism = b"TOKEN"

    def start(self, connection: object) -> bytes:  # noqa: ARG002
        return b"abc"


def test_a_mechanism_of_ones_own(server: Server) -> None:
    server.greeting = ConnectionStart(0, 9, {}, b"PLAIN TOKEN", b"en_US")
    connection_to(server, authentication=Token()).connect()
    connection_to(server, authentication=[sasl.PLAIN(None, None), Token()]).connect()
    assert [start_ok.response for start_ok in server.sent(ConnectionStartOk)] == [b"abc", b"abc"]


def test_a_ready_response(server: Server) -> None:
    server.greeting = ConnectionStart(0, 9, {}, b"PLAIN TOKEN", b"en_US")
    with pytest.warns(DeprecationWarning, match="login_response"):
        connection = connection_to(server, login_method="TOKEN", login_response=b"xyz")
    connection.connect()
    assert server.sent(ConnectionStartOk)[0].response == b"xyz"


def test_no_mechanism_in_common(server: Server) -> None:
    server.greeting = ConnectionStart(0, 9, {}, b"ANONYMOUS SCRAM", b"en_US")
    with pytest.raises(ConnectionError, match="offers ANONYMOUS, SCRAM; this client AMQPLAIN, PLAIN, EXTERNAL, GSSAPI"):
        connection_to(server).connect()
    assert server.closed


@pytest.mark.parametrize("method", ["external", "plain", "NONSENSE"])
def test_login_methods_that_are_not_known(method: str) -> None:
    with pytest.raises(ValueError, match=method):
        Connection(login_method=method)


@pytest.mark.parametrize("method", ["PLAIN", "AMQPLAIN"])
def test_a_login_method_without_a_password(method: str) -> None:
    with pytest.raises(ValueError, match="needs userid and password"):
        Connection(login_method=method, password=None)


def test_a_refused_login_says_so(server: Server) -> None:
    text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."
    server.answers[ConnectionStartOk] = lambda _: ConnectionClose(403, text)
    with pytest.raises(AccessRefused) as caught:
        connection_to(server).connect()
    assert str(caught.value) == f"Connection.start_ok: (403) {text}"
    assert (caught.value.reply_code, caught.value.reply_text) == (403, text)
    assert caught.value.method_sig == (0, 0)
    assert server.closed


def test_a_server_that_hangs_up_on_a_refused_login(server: Server) -> None:
    server.answers[ConnectionStartOk] = lambda _: b""
    connection = connection_to(server)
    with pytest.raises(ConnectionResetError, match="connection state authenticating"):
        connection.connect()
    assert not connection.connected


def test_a_missing_virtual_host(server: Server) -> None:
    server.answers[ConnectionOpen] = lambda _: ConnectionClose(530, "NOT_ALLOWED - vhost shop not found", 10, 40)
    with pytest.raises(NotAllowed) as caught:
        connection_to(server, virtual_host="shop").connect()
    assert str(caught.value) == "Connection.open: (530) NOT_ALLOWED - vhost shop not found"


def test_a_further_step_of_the_login_is_refused(server: Server) -> None:
    server.answers[ConnectionStartOk] = lambda _: ConnectionSecure(b"challenge")
    with pytest.raises(ConnectionError, match="further step"):
        connection_to(server).connect()


# limits


@pytest.mark.parametrize(
    ("asked", "offered", "agreed"),
    [
        ((None, None), (2047, 131072), (2047, 131072)),
        ((None, None), (0, 0), (65535, 131072)),
        ((10, 8192), (0, 0), (10, 8192)),
        ((10, 8192), (2047, 131072), (2047, 131072)),  # as in py-amqp, the server's offer wins
    ],
)
def test_limits(
    server: Server, asked: tuple[int | None, int | None], offered: tuple[int, int], agreed: tuple[int, int]
) -> None:
    server.answers[ConnectionStartOk] = lambda _: ConnectionTune(*offered, 60)
    connection = connection_to(server, channel_max=asked[0], frame_max=asked[1])
    connection.connect()
    tune_ok = server.sent(ConnectionTuneOk)[0]
    assert (tune_ok.channel_max, tune_ok.frame_max) == agreed
    assert (connection.channel_max, connection.frame_max) == agreed


@pytest.mark.parametrize(
    ("asked", "offered", "agreed"), [(0, 60, 0), (10, 60, 10), (100, 60, 60), (10, 0, 10), (0, 0, 0), (0.5, 60, 1)]
)
def test_the_heartbeat_interval(server: Server, asked: float, offered: int, agreed: int) -> None:
    server.answers[ConnectionStartOk] = lambda _: ConnectionTune(2047, 131072, offered)
    connection = connection_to(server, heartbeat=asked)
    connection.connect()
    assert server.sent(ConnectionTuneOk)[0].heartbeat == agreed
    assert connection.heartbeat == agreed
    assert (connection.client_heartbeat, connection.server_heartbeat) == (asked, offered)


def test_callbacks_on_the_way(server: Server) -> None:
    calls: list[tuple[str, object]] = []
    connection = connection_to(
        server,
        on_tune_ok=lambda connection: calls.append(("tune", connection)),
        on_open=lambda connection: calls.append(("open", connection)),
    )
    connection.connect()
    assert calls == [("tune", connection), ("open", connection)]


def test_an_error_of_on_open_leaves_nothing_open(server: Server) -> None:
    def fail(_connection: Connection) -> None:
        raise KeyError("of the application")

    connection = connection_to(server, on_open=fail)
    with pytest.raises(KeyError):
        connection.connect()
    assert server.closed
    assert not connection.connected


# errors of the server


def test_another_protocol_version(server: Server) -> None:
    server.greeting = b"AMQP\x00\x00\x09\x00"
    with pytest.raises(ConnectionError, match="another version of AMQP: 0-0-9-0"):
        connection_to(server).connect()


def test_something_else_than_a_broker(server: Server) -> None:
    server.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(FrameError):
        connection_to(server).connect()
    assert server.closed


@pytest.mark.parametrize(
    "out_of_turn",
    [ConnectionTune(1, 1, 1), ConnectionOpenOk(), ConnectionBlocked("no"), ChannelOpenOk()],
    ids=lambda method: method.NAME,
)
def test_a_method_out_of_turn_is_answered_with_504(server: Server, out_of_turn: Method) -> None:
    server.greeting = out_of_turn
    with pytest.raises(UnexpectedFrame, match="unexpected method in connection state greeting") as caught:
        connection_to(server).connect()
    assert caught.value.reply_code == 504
    assert [(close.reply_code, close.class_id, close.method_id) for close in server.sent(ConnectionClose)] == [
        (504, out_of_turn.CLASS_ID, out_of_turn.METHOD_ID)
    ]
    assert server.closed


def test_a_greeting_in_the_middle_is_refused(server: Server) -> None:
    connection = connected(server)
    server.say(START)
    with pytest.raises(UnexpectedFrame, match="connection state running"):
        connection.drain_events(timeout=1)
    assert not connection.connected


# time


def test_connecting_and_the_handshake_share_one_deadline(server: Server) -> None:
    server.seconds_to_connect = 3
    server.answers[ConnectionOpen] = lambda _: None
    started = server.now
    connection = connection_to(server, connect_timeout=5)
    with pytest.raises(TimeoutError, match="connection state accepting"):
        connection.connect()
    assert server.now == started + 5
    assert not connection.connected
    assert server.closed


def test_a_host_that_does_not_answer(server: Server) -> None:
    server.seconds_to_connect = 30
    with pytest.raises(TimeoutError):
        connection_to(server, connect_timeout=5).connect()


def test_a_refused_connection(server: Server) -> None:
    server.refusal = ConnectionRefusedError(111, "nobody there")
    connection = connection_to(server)
    with pytest.raises(ConnectionRefusedError):
        connection.connect()
    assert not connection.connected


def test_no_deadline_remains_after_the_handshake(server: Server) -> None:
    connection = connected(server, connect_timeout=5)
    server.now += 100
    channel = connection.channel()
    assert channel.is_open
    assert server.deadlines[-1] is None

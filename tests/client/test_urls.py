"""Connecting by URL."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from hutch.client import AccessRefused, NotAllowed, connect
from hutch.fakebroker.broker import Broker
from hutch.wire.methods import ConnectionClose, ConnectionOpen, ConnectionStartOk
from hutch.wire.transport import Transport
from hutch.wire.url import Address
from tests.client.scripted import Server
from tests.client.test_tcp import free_port

#: Calls of the opener that the scheme ``memory`` has in these tests.
opened: list[Address] = []
servers: list[Server] = []


def open_script(address: Address) -> Transport:
    opened.append(address)
    return servers[-1]


def register(monkeypatch: pytest.MonkeyPatch, *entry_points: EntryPoint) -> None:
    """Have these be the entry points that are installed."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints(entry_points))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    servers.append(server)
    opened.clear()
    entry_point = EntryPoint("memory", f"{__name__}:open_script", "hutch.transports")
    register(monkeypatch, entry_point)
    yield server
    servers.clear()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(users={"guest": "guest", "ann": "s/cret"}, vhosts=("/", "shop")) as broker:
        yield broker


def place(broker: Broker) -> str:
    return broker.url.split("/")[2].rpartition("@")[2]


def test_a_url(broker: Broker) -> None:
    with connect(f"amqp://ann:s%2Fcret@{place(broker)}/shop?heartbeat=30&connection_timeout=5000") as connection:
        assert connection.connected
        assert connection.virtual_host == "shop"
        assert connection.userid == "ann"
        assert connection.heartbeat == 30
        assert connection.connect_timeout == 5
        assert connection.sock is not None
        assert connection.channel().is_open


def test_arguments_win_over_the_url(broker: Broker) -> None:
    with connect(f"amqp://{place(broker)}/nowhere?heartbeat=30", virtual_host="shop", heartbeat=0) as connection:
        assert connection.virtual_host == "shop"
        assert connection.heartbeat == 0


def test_other_schemes_are_looked_up(memory: Server) -> None:
    with connect("memory://till/shop") as connection:
        assert connection.connected
        assert connection.sock is None
        assert connection.host == "till"
    assert [(address.host, address.virtual_host) for address in opened] == [("till", "shop")]
    assert memory.sent(ConnectionOpen)[0].virtual_host == "shop"


def test_a_transport_given_wins_over_the_scheme() -> None:
    server = Server()
    with connect("memory://till", transport=lambda: server) as connection:
        assert connection.transport is server


def test_the_first_host_that_answers(broker: Broker) -> None:
    with connect(f"amqp://127.0.0.1:{free_port()};amqp://{place(broker)}") as connection:
        assert connection.host == place(broker)


def test_no_host_answers() -> None:
    first, second = free_port(), free_port()
    with pytest.raises(
        ConnectionRefusedError, match=rf"none of 2 hosts can be reached: 127.0.0.1:{first}: .*:{second}"
    ):
        connect(f"amqp://127.0.0.1:{first};amqp://127.0.0.1:{second}")


# errors are a single clear line


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "the URL is empty"),
        ("http://localhost", "unknown scheme http"),
        ("localhost", "no scheme"),
        ("amqps://localhost?verify=maybe", "option verify is verify_peer or verify_none, not 'maybe'"),
        ("amqp://localhost?cacertfile=ca.pem", "option cacertfile is for amqps:// alone"),
        ("amqp://localhost?colour=red", "option colour is not supported"),
        ("amqp://localhost?heartbeat=often", "option heartbeat is a number, not 'often'"),
        ("amqp://localhost?auth_mechanism=scram", "unknown login method 'SCRAM'"),
    ],
)
def test_wrong_urls(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        connect(url)
    assert "\n" not in str(caught.value)


def test_a_scheme_that_nothing_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    with pytest.raises(ValueError, match="no transport for memory:// URLs"):
        connect("memory://till")


def test_a_refused_port() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError) as caught:
        connect(f"amqp://127.0.0.1:{port}")
    assert str(caught.value).endswith(f"cannot connect to 127.0.0.1:{port}: Connection refused")


def test_a_refused_login(broker: Broker) -> None:
    with pytest.raises(AccessRefused) as caught:
        connect(f"amqp://ann:wrong@{place(broker)}/")
    assert str(caught.value).startswith("Connection.start_ok: (403) ACCESS_REFUSED - Login was refused")


def test_a_missing_virtual_host(broker: Broker) -> None:
    with pytest.raises(NotAllowed) as caught:
        connect(f"amqp://{place(broker)}/nowhere")
    assert str(caught.value) == "Connection.open: (530) NOT_ALLOWED - vhost nowhere not found"


def test_a_refusal_is_no_reason_to_try_the_next_host(memory: Server) -> None:
    memory.answers[ConnectionStartOk] = lambda _: ConnectionClose(403, "ACCESS_REFUSED - no")
    with pytest.raises(AccessRefused):
        connect("memory://one;memory://two")
    assert [address.host for address in opened] == ["one"]

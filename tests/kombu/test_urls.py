"""URLs and failover lists, and TLS as kombu asks for it."""

from typing import Any
from urllib.parse import quote

import kombu
import pytest
from kombu.transport import TRANSPORT_ALIASES, get_transport_cls

import hutch.client.kombu as seat
from hutch.wire.url import parse_url
from tests.client.api.reference import shows
from tests.kombu.steps import SCHEMES, connect, tcp_address, tcp_url, url
from tests.targets import Target

PATH = "hutch.client.kombu:Transport"


def usable(connection: kombu.Connection) -> bool:
    """Whether it connects, and the broker answers."""
    return bool(connection.default_channel.queue_declare(exclusive=True).queue)


def test_schemes_are_known_once_the_module_is_imported(target: Target) -> None:
    for scheme, path in seat.SCHEMES.items():
        assert TRANSPORT_ALIASES[scheme] == path
    assert get_transport_cls("hutch") is seat.Transport
    assert get_transport_cls("hutchs") is seat.SSLTransport
    assert get_transport_cls("hutch-memory") is seat.MemoryTransport
    assert {scheme: kombu.Connection(f"{scheme}://x").transport_cls for scheme in SCHEMES.values()} == {
        scheme: scheme for scheme in SCHEMES.values()
    }


@shows("kombu.URL(amqp)")
def test_the_url_of_pyamqp_with_this_transport(target: Target) -> None:
    """Where a setting names the transport, the URL may stay as it is."""
    connection = connect(target, tcp_url(target, "amqp://"), transport=PATH, ssl=False)
    assert isinstance(connection.transport, seat.Transport)
    assert usable(connection)
    assert usable(connect(target, tcp_url(target), ssl=False))


@shows("kombu.URL(bare)")
def test_a_bare_address(target: Target) -> None:
    address = tcp_url(target, "")
    connection = connect(target, address, transport=PATH, ssl=False)
    assert usable(connection)
    host, port = tcp_address(target)
    assert (connection.hostname, connection.port, connection.userid) == (host, port, "guest")
    (place,) = parse_url(target.url)
    by_parameters = connect(target, host, port=port, virtual_host=place.virtual_host, transport=PATH, ssl=False)
    assert usable(by_parameters)
    assert by_parameters.connection.host == f"{host}:{port}"
    hostport = connect(target, f"{host}:{port}", virtual_host=place.virtual_host, transport=PATH, ssl=False)
    assert usable(hostport)


@shows("kombu.URL(amqps)", "kombu.SSLTransport", "kombu.ssl(dict)")
def test_tls(target: Target, secure: tuple[str, str]) -> None:
    place, authority = secure
    for scheme, transport in (("hutchs", None), ("amqps", "hutch.client.kombu:SSLTransport"), ("hutch", None)):
        connection = connect(target, f"{scheme}://{place}", transport=transport, ssl={"ca_certs": authority})
        assert isinstance(connection.transport, seat.Transport)
        assert usable(connection)
        assert connection.connection.transport.ssl_object.version().startswith("TLS")


@shows("kombu.ssl(True)")
def test_tls_without_further_settings(target: Target, secure: tuple[str, str]) -> None:
    """The system's authorities do not know the one of these tests."""
    place, _ = secure
    for address, ssl in ((f"hutchs://{place}", False), (f"hutch://{place}", True)):
        connection = connect(target, address, ssl=ssl)
        with pytest.raises(OSError, match="certificate is not accepted"):
            connection.transport.establish_connection()
        assert connection.ssl is True


@shows("kombu.ssl(server_hostname)")
def test_the_name_in_the_certificate(target: Target, secure: tuple[str, str]) -> None:
    place, authority = secure
    right: dict[str, Any] = {"ca_certs": authority, "server_hostname": "localhost"}
    assert usable(connect(target, f"hutchs://{place}", ssl=right))
    wrong = {"ca_certs": authority, "server_hostname": "elsewhere.example"}
    with pytest.raises(OSError, match=r"certificate is not accepted.*elsewhere\.example"):
        connect(target, f"hutchs://{place}", ssl=wrong).transport.establish_connection()
    # None means the host of the URL in use. After a failover that is the other URL's host.
    settings = {"ca_certs": authority, "server_hostname": None}
    port = place.partition("localhost:")[2].partition("/")[0]
    urls = f"hutchs://{place.replace(port, '1', 1)};hutchs://{place}"
    connection = connect(target, urls.replace("localhost", "127.0.0.1", 1), ssl=settings)
    connection.ensure_connection(max_retries=3, interval_start=0)
    assert usable(connection)
    assert connection.hostname == "localhost"
    assert settings["server_hostname"] is None


def test_there_is_no_tls_in_one_process() -> None:
    with pytest.raises(ValueError, match="no TLS to a broker in this process"):
        kombu.Connection("hutch-memory://nobody", ssl=True).connect()


@pytest.mark.parametrize("strategy", ["round-robin", "shuffle"])
def test_failover(target: Target, strategy: str) -> None:
    (address,) = parse_url(target.url)
    dead = url(target).replace(address.host, "nobody", 1) if address.port is None else url(target)
    if address.port is not None:
        dead = dead.replace(f":{address.port}/", ":1/")
    failed: list[Exception] = []
    connection = connect(target, f"{dead};{url(target)}", failover_strategy=strategy)
    connection.ensure_connection(
        errback=lambda error, _: failed.append(error), max_retries=20, interval_start=0, interval_step=0
    )
    assert usable(connection)
    assert failed
    assert connection.hostname == address.host
    assert all(isinstance(error, OSError) for error in failed)
    connection.release()
    connection.connect()  # it connects to the last host, or to the one that the strategy chooses
    assert usable(connection)


def test_a_list_of_urls(target: Target) -> None:
    (address,) = parse_url(target.url)
    nobody = "hutch-memory://nobody" if address.port is None else f"hutch://{address.host}:1"
    connection = connect(target, url(target), alternates=[nobody])
    assert usable(connection)
    connection.maybe_switch_next()
    assert connection.as_uri().startswith(nobody.partition("://")[0])
    with pytest.raises(OSError, match=r"nobody|:1\b"):
        connection.transport.establish_connection()


def test_credentials_and_virtual_host_of_a_url(target: Target) -> None:
    if target.broker is None:
        pytest.skip("users of a live broker are not for tests to add")
    target.broker.admin.add_user("ann@home", "s/e:c;r?t")
    target.broker.admin.add_vhost("the/shop")
    target.broker.admin.set_permissions("ann@home", vhost="the/shop")
    (address,) = parse_url(target.url)
    place = f"{address.host}:{address.port}" if address.port else address.host
    credentials = f"{quote('ann@home', safe='')}:{quote('s/e:c;r?t', safe='')}"
    connection = connect(target, f"{SCHEMES[address.scheme]}://{credentials}@{place}/the%2Fshop")
    opened = connection.connect()
    assert (opened.userid, opened.virtual_host) == ("ann@home", "the/shop")
    assert usable(connection)
    again = connect(target, connection.as_uri(include_password=True))
    assert again.connect().userid == "ann@home"
    # kombu adds a slash before a virtual host that begins with one, and removes it again
    assert again.virtual_host == "the/shop"


def test_heartbeat_in_the_url(target: Target) -> None:
    connection = connect(target, f"{url(target)}?heartbeat=5")
    connection.connect()
    assert connection.get_heartbeat_interval() == 5


def test_ipv6() -> None:
    connection = kombu.Connection("hutch://[::1]:1/")
    assert connection.transport._destination({}) == {"host": "[::1]:1", "ssl": False}
    bare = kombu.Connection("[::1]:1", transport=PATH)
    with pytest.raises(OSError, match=r"\[::1\]:1"):
        bare.transport.establish_connection()

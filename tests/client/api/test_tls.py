"""TLS where the broker has it, and what comes of it where the broker has not."""

import ssl

import pytest

from hutch.client import Connection, ConnectionError  # noqa: A004
from tests.client.api.reference import shows
from tests.client.api.ways_in import over_tcp
from tests.targets import PATIENCE, Target


def has_tls(target: Target) -> bool:
    return target.url.startswith("amqps:")


@shows("Connection.__init__(ssl)", "Connection.connect")
def test_ssl(target: Target) -> None:
    if has_tls(target):
        with target.connect() as connection:
            assert connection.connected
            assert getattr(connection.transport, "ssl_object").version() in {"TLSv1.2", "TLSv1.3"}  # noqa: B009
            assert connection.channel().is_open
        return
    connection = over_tcp(target, ssl=True, connect_timeout=PATIENCE)
    with pytest.raises(ssl.SSLError, match="the server speaks AMQP there, without TLS"):
        connection.connect()
    assert not connection.connected


@shows("Connection.__init__(ssl)")
@pytest.mark.parametrize("settings", [True, {"cert_reqs": ssl.CERT_REQUIRED}, ssl.create_default_context()])
def test_a_certificate_of_nobody_that_the_system_trusts(target: Target, settings: object) -> None:
    connection = over_tcp(target, ssl=settings, connect_timeout=PATIENCE)
    with pytest.raises(ssl.SSLCertVerificationError if has_tls(target) else ssl.SSLError):
        connection.connect()
    assert not connection.connected


@shows("Connection.__init__(ssl)")
def test_without_ssl_there_is_none(target: Target) -> None:
    connection = over_tcp(target, ssl=False, connect_timeout=PATIENCE)
    if has_tls(target):
        with pytest.raises(ConnectionError, match="the server speaks TLS there: ssl is wanted"):
            connection.connect()
        assert not connection.connected
    else:
        connection.connect()
        assert not isinstance(connection.sock, ssl.SSLSocket)
        assert connection.connected


@shows("Connection.__init__(ssl)")
def test_what_is_no_setting(target: Target) -> None:
    with pytest.raises(TypeError, match="keyfilee"):
        over_tcp(target, ssl={"keyfilee": "x"}).connect()
    assert Connection(ssl=True).ssl is True

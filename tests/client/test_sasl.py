"""Login mechanisms: what they say, which one is chosen, and what they need."""

import socket
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hutch.client import Connection, ConnectionError, sasl  # noqa: A004
from hutch.wire.methods import ConnectionStart, ConnectionStartOk
from tests.client.scripted import CAPABILITIES, Server


def log_in(server: Server, offered: bytes, **parameters: Any) -> tuple[str, bytes]:
    """The mechanism that the client chooses among those offered, and its response."""
    server.greeting = ConnectionStart(0, 9, {"capabilities": CAPABILITIES}, offered, b"en_US")
    Connection(transport=lambda: server, **parameters).connect()
    (start_ok,) = server.sent(ConnectionStartOk)
    return start_ok.mechanism, start_ok.response


# the choice

LIVE_TLS = [b"EXTERNAL AMQPLAIN PLAIN", b"ANONYMOUS AMQPLAIN PLAIN EXTERNAL"]


@pytest.mark.parametrize("offered", LIVE_TLS)
def test_a_password_goes_before_external(server: Server, offered: bytes) -> None:
    """RabbitMQ offers EXTERNAL to everybody on TLS, certificate or not."""
    assert log_in(server, offered)[0] == "AMQPLAIN"


@pytest.mark.parametrize("offered", LIVE_TLS)
@pytest.mark.parametrize("missing", ["userid", "password"])
def test_without_a_password_external_is_left(server: Server, offered: bytes, missing: str) -> None:
    assert log_in(server, offered, **{missing: None}) == ("EXTERNAL", b"")


def test_each_connection_says_its_own_login() -> None:
    """Connections of one process mostly say the same, which is made once."""
    plain, table = b"PLAIN AMQPLAIN", b"AMQPLAIN PLAIN"
    ann, bob = {"userid": "ann", "password": "secret"}, {"userid": "bob", "password": "secret"}
    assert log_in(Server(), plain, **ann) == ("PLAIN", b"\0ann\0secret")
    assert log_in(Server(), plain, **bob) == ("PLAIN", b"\0bob\0secret")
    assert log_in(Server(), plain, **ann | {"password": "other"}) == ("PLAIN", b"\0ann\0other")
    assert log_in(Server(), table, **ann) == ("AMQPLAIN", b"\5LOGINS\0\0\0\3ann\10PASSWORDS\0\0\0\6secret")
    assert log_in(Server(), plain, **ann) == ("PLAIN", b"\0ann\0secret")


def test_what_is_said_beside_the_login_may_differ() -> None:
    """Likewise."""
    servers = [Server() for _ in range(4)]
    servers[0].greeting = ConnectionStart(0, 9, {"capabilities": {"basic.nack": True}}, b"PLAIN", b"en_US")
    Connection(transport=lambda: servers[0]).connect()
    Connection(transport=lambda: servers[1], locale="de_DE").connect()
    Connection(transport=lambda: servers[2], client_properties={"a": 1}).connect()
    Connection(transport=lambda: servers[3]).connect()
    sent = [server.sent(ConnectionStartOk)[0] for server in servers]
    assert [start_ok.locale for start_ok in sent] == ["en_US", "de_DE", "en_US", "en_US"]
    assert sent[0].client_properties["capabilities"] == {"basic.nack": True}
    assert sent[1].client_properties == sent[3].client_properties
    assert sent[2].client_properties == {**sent[3].client_properties, "a": 1}


def test_external_where_no_password_is_taken(server: Server) -> None:
    assert log_in(server, b"SCRAM EXTERNAL") == ("EXTERNAL", b"")


@pytest.mark.parametrize("offered", LIVE_TLS)
@pytest.mark.parametrize("how", [{"login_method": "EXTERNAL"}, {"authentication": sasl.EXTERNAL()}])
def test_external_by_request(server: Server, offered: bytes, how: dict[str, Any]) -> None:
    assert log_in(server, offered, **how) == ("EXTERNAL", b"")


def test_external_where_it_is_not_offered(server: Server) -> None:
    with pytest.raises(ConnectionError, match="the server offers AMQPLAIN, PLAIN; this client EXTERNAL"):
        log_in(server, b"AMQPLAIN PLAIN", login_method="EXTERNAL")
    assert server.closed


def test_mechanisms_that_are_given_keep_their_order(server: Server) -> None:
    given = [sasl.EXTERNAL(), sasl.PLAIN("ann", "secret")]
    assert log_in(server, b"PLAIN EXTERNAL", authentication=given)[0] == "EXTERNAL"


# GSSAPI


class GSSError(Exception):
    pass


class Kerberos:
    """Stands for the library ``gssapi``, as far as it is used: made of what it was asked for."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.names: list[tuple[object, ...]] = []
        self.credentials: list[object] = []
        self.steps: list[tuple[object, object, object]] = []
        self.module = ModuleType("gssapi")
        raw, misc = ModuleType("gssapi.raw"), ModuleType("gssapi.raw.misc")
        for module, members in (
            (misc, {"GSSError": GSSError}),
            (raw, {"misc": misc}),
            (
                self.module,
                {
                    "raw": raw,
                    "Name": self.name,
                    "NameType": SimpleNamespace(hostbased_service="a service at a host"),
                    "Credentials": self.credentials_of,
                    "SecurityContext": self.context,
                },
            ),
        ):
            vars(module).update(members)
        self.modules = {"gssapi": self.module, "gssapi.raw": raw, "gssapi.raw.misc": misc}

    def name(self, *given: object) -> tuple[object, ...]:
        self.names.append(given)
        return given

    def credentials_of(self, name: object) -> object:
        self.credentials.append(name)
        return "credentials"

    def context(self, name: object, creds: object) -> SimpleNamespace:
        def step(token: object) -> bytes:
            if self.error is not None:
                raise self.error
            self.steps.append((name, creds, token))
            return b"the first token"

        return SimpleNamespace(step=step)


@pytest.fixture
def kerberos(monkeypatch: pytest.MonkeyPatch) -> Kerberos:
    kerberos = Kerberos()
    for name, module in kerberos.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return kerberos


@pytest.fixture
def no_kerberos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)


class Placed(Server):
    """A scripted server that has a host."""

    host = "rabbit.example"
    sock: Any = None


def test_a_ticket_for_the_service_at_the_host(kerberos: Kerberos) -> None:
    server = Placed()
    assert log_in(server, b"PLAIN GSSAPI", login_method="GSSAPI") == ("GSSAPI", b"the first token")
    service = (b"amqp@rabbit.example", "a service at a host")
    assert kerberos.names == [(b"guest",), service]  # the name is the userid
    assert kerberos.credentials == [(b"guest",)]
    assert kerberos.steps == [(service, "credentials", None)]


@pytest.mark.parametrize("client_name", [None, ""])
def test_whichever_credentials_there_are(kerberos: Kerberos, client_name: str | None) -> None:
    mechanism = sasl.GSSAPI(client_name, service=b"rabbit")
    assert log_in(Placed(), b"GSSAPI", authentication=mechanism)[0] == "GSSAPI"
    assert kerberos.credentials == []
    assert kerberos.steps == [((b"rabbit@rabbit.example", "a service at a host"), None, None)]


@pytest.mark.parametrize("client_name", ["ann", b"ann"])
def test_names_are_bytes(kerberos: Kerberos, client_name: str | bytes) -> None:
    assert sasl.GSSAPI(client_name).client_name == b"ann"


@pytest.mark.parametrize(
    ("family", "rdns", "expected"),
    [
        (socket.AF_INET, True, b"real.example"),
        (socket.AF_INET, False, b"rabbit.example"),
        (socket.AF_UNIX, True, b"rabbit.example"),
    ],
)
def test_the_host_by_its_address(
    kerberos: Kerberos, monkeypatch: pytest.MonkeyPatch, family: int, rdns: bool, expected: bytes
) -> None:
    server = Placed()
    server.sock = SimpleNamespace(family=family, getpeername=lambda: ("192.0.2.1", 5672))
    found: dict[str, Any] = {"192.0.2.1": ("real.example", [], ["192.0.2.1"])}
    monkeypatch.setattr(socket, "gethostbyaddr", found.__getitem__)
    log_in(server, b"GSSAPI", authentication=sasl.GSSAPI(rdns=rdns))
    assert kerberos.names == [(b"amqp@" + expected, "a service at a host")]


def test_no_ticket(kerberos: Kerberos) -> None:
    kerberos.error = GSSError("no credentials cache found")
    with pytest.raises(GSSError, match="no credentials cache"):
        log_in(Placed(), b"GSSAPI PLAIN", authentication=[sasl.GSSAPI(), sasl.PLAIN("ann", "x")])


def test_no_ticket_and_another_mechanism(kerberos: Kerberos) -> None:
    kerberos.error = GSSError("no credentials cache found")
    given = [sasl.GSSAPI(fail_soft=True), sasl.PLAIN("ann", "x")]
    assert log_in(Placed(), b"GSSAPI PLAIN", authentication=given) == ("PLAIN", b"\0ann\0x")


def test_gssapi_is_the_last_of_those_tried_by_default(kerberos: Kerberos) -> None:
    assert log_in(Placed(), b"GSSAPI EXTERNAL", password=None)[0] == "EXTERNAL"
    assert log_in(Placed(), b"GSSAPI SCRAM", password=None)[0] == "GSSAPI"


@pytest.mark.usefixtures("no_kerberos")
def test_without_the_library() -> None:
    for make in (sasl.GSSAPI, lambda: Connection(login_method="GSSAPI")):
        with pytest.raises(NotImplementedError, match="the login mechanism GSSAPI needs the library gssapi"):
            make()


@pytest.mark.usefixtures("no_kerberos")
def test_without_the_library_another_mechanism_is_tried(server: Server) -> None:
    given = [sasl.GSSAPI(fail_soft=True), sasl.PLAIN("ann", "x")]
    assert log_in(server, b"GSSAPI PLAIN", authentication=given)[0] == "PLAIN"


@pytest.mark.usefixtures("no_kerberos")
def test_without_the_library_nothing_is_left(server: Server) -> None:
    with pytest.raises(ConnectionError, match="no common login mechanism: the server offers GSSAPI"):
        log_in(server, b"GSSAPI")

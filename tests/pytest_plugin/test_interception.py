"""Code whose settings name another broker reaches the double."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import aio_pika
import amqp
import pika
import pytest
import trio

from hutch.client import connect
from hutch.pytest_plugin import FakeBroker, intercept
from hutch.pytest_plugin.interception import parse
from tests import certificates

from .runs import ALONE

pytest_plugins = ["pytester"]

HOST = "rabbitmq.internal"


@pytest.fixture(autouse=True)
def everything_is_restored() -> Iterator[None]:
    before = socket.getaddrinfo
    yield
    assert socket.getaddrinfo is before
    assert "connect" not in vars(socket.socket)
    assert "connect_ex" not in vars(socket.socket)


class TestClients:
    @pytest.fixture(autouse=True)
    def intercepted(self, fakebroker: FakeBroker) -> Iterator[None]:
        with fakebroker.intercept(f"{HOST}:5672"):
            yield

    def test_pika(self, fakebroker: FakeBroker) -> None:
        with pika.BlockingConnection(pika.URLParameters(f"amqp://guest:guest@{HOST}:5672/")) as connection:
            connection.channel().queue_declare("orders", durable=True)
        assert fakebroker.queue("orders").durable

    def test_py_amqp(self, fakebroker: FakeBroker) -> None:
        with amqp.Connection(f"{HOST}:5672") as connection:
            connection.channel().queue_declare("orders", durable=True, auto_delete=False)
        assert fakebroker.queue("orders").durable

    def test_hutch(self, fakebroker: FakeBroker) -> None:
        with connect(f"amqp://{HOST}") as connection:
            connection.channel().queue_declare("orders", durable=True, auto_delete=False)
        assert fakebroker.queue("orders").durable

    def test_aio_pika(self, fakebroker: FakeBroker) -> None:
        async def main() -> None:
            connection = await aio_pika.connect(f"amqp://{HOST}/")
            async with connection:
                channel = await connection.channel()
                await channel.declare_queue("orders", durable=True)

        asyncio.run(main())
        assert fakebroker.queue("orders").durable

    def test_trio(self, fakebroker: FakeBroker) -> None:
        async def main() -> None:
            stream = await trio.open_tcp_stream(HOST, 5672)
            async with stream:
                await stream.send_all(b"HTTP/1.1\r\n")
                assert (await stream.receive_some()).startswith(b"AMQP")

        trio.run(main)

    def test_a_thread(self, fakebroker: FakeBroker) -> None:
        connected = []
        thread = threading.Thread(target=lambda: connected.append(socket.create_connection((HOST, 5672))))
        thread.start()
        thread.join()
        connected[0].close()

    def test_tls(self, fakebroker: FakeBroker) -> None:
        certificate = certificates.authority().issue_cert(HOST)
        url = fakebroker.broker.listen_tls(certificates.server_context(certificate))
        with (
            intercept(f"{HOST}:5671", to=url),
            connect(f"amqps://{HOST}", ssl={"context": certificates.client_context()}) as connection,
        ):
            connection.channel().queue_declare("orders", durable=True, auto_delete=False)
        assert fakebroker.queue("orders").durable

    @pytest.mark.parametrize("method", ["connect", "connect_ex"])
    def test_a_bare_socket(self, fakebroker: FakeBroker, method: str) -> None:
        with socket.socket() as bare:
            assert not getattr(bare, method)((HOST, 5672))
            port = int(fakebroker.url.rpartition(":")[2].rstrip("/"))
            assert bare.getpeername() == ("127.0.0.1", port)


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "host", "port", "matches"),
        [
            ("rabbitmq.internal:5672", "rabbitmq.internal", 5672, True),
            ("rabbitmq.internal", "rabbitmq.internal", 5672, True),
            ("rabbitmq.internal", "RabbitMQ.internal.", 5672, True),
            ("RabbitMQ.internal", "rabbitmq.internal", 5672, True),
            ("rabbitmq.internal", "rabbitmq.internal", 5671, False),
            ("*.internal:*", "rabbitmq.internal", 5671, True),
            ("*.internal:567*", "rabbitmq.internal", 15672, False),
            ("*.internal", "rabbitmq.example", 5672, False),
            ("10.0.0.*:5672", "10.0.0.17", 5672, True),
            ("[::1]:5672", "::1", 5672, True),
            ("[::1]", "::1", 5672, True),
        ],
    )
    def test_each(self, pattern: str, host: str, port: int, matches: bool) -> None:
        assert parse(pattern).matches(host, port) == matches

    @pytest.mark.parametrize("pattern", ["", ":5672", "host:amqp", "amqp://host/"])
    def test_nonsense(self, fakebroker: FakeBroker, pattern: str) -> None:
        with pytest.raises(ValueError, match=r"is no host and port; 'rabbitmq.internal:5672' is"):
            fakebroker.intercept(pattern).__enter__()

    def test_none(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(ValueError, match="say which hosts to intercept"):
            fakebroker.intercept().__enter__()

    def test_to_no_port(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(ValueError, match="has no port to connect to"):
            intercept(HOST, to=fakebroker.memory_url).__enter__()


class TestOthers:
    def test_other_traffic_goes_where_it_went(self, fakebroker: FakeBroker) -> None:
        with FakeBroker() as other, fakebroker.intercept(HOST), connect(other.url) as connection:
            connection.channel().queue_declare("orders")
            assert other.queue("orders").ready == 0

    def test_other_brokers_are_refused_when_asked(self, fakebroker: FakeBroker) -> None:
        with fakebroker.intercept(HOST, refuse_others=True):
            for port in (5672, 5671, "5672", "amqp"):
                with pytest.raises(ConnectionRefusedError, match=r"elsewhere:567.* this test intercepts rabbitmq\.int"):
                    socket.getaddrinfo("elsewhere", port)
            with socket.socket() as bare, pytest.raises(ConnectionRefusedError):
                bare.connect(("192.0.2.1", 5672))
            with FakeBroker() as other, connect(other.url), connect(f"amqp://{HOST}"):
                pass

    def test_several_at_once(self, fakebroker: FakeBroker) -> None:
        with FakeBroker() as other, fakebroker.intercept("*.internal"), other.intercept("b.internal"):
            for host, broker in (("a.internal", fakebroker), ("b.internal", other)):
                with connect(f"amqp://{host}") as connection:
                    connection.channel().queue_declare(host)
                    assert broker.queue(host).ready == 0

    def test_what_another_library_has_replaced_stays(
        self, fakebroker: FakeBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        original = socket.socket.connect

        def guarded(self: socket.socket, address: object) -> None:
            seen.append(address)
            original(self, address)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "connect", guarded)
            with fakebroker.intercept(HOST), socket.socket() as bare:
                bare.connect((HOST, 5672))
                assert seen == [bare.getpeername()]
            assert socket.socket.connect is guarded

    def test_an_error_restores_everything(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(ZeroDivisionError), fakebroker.intercept(HOST):
            _ = 1 / 0


def test_a_marker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from hutch.client import connect

        @pytest.fixture
        def application():
            with connect("amqp://rabbitmq.internal") as connection:
                connection.channel().queue_declare("orders")
                yield

        @pytest.mark.fakebroker_intercept("rabbitmq.internal")
        def test_one(application, fakebroker):
            assert fakebroker.queue("orders").ready == 0

        @pytest.mark.parametrize("number", [1, 2])
        @pytest.mark.fakebroker_intercept("*.internal:5672", refuse_others=True)
        def test_without_the_fixture(application, number):
            with pytest.raises(ConnectionRefusedError, match="this test intercepts"):
                connect("amqp://elsewhere")

        @pytest.mark.fakebroker_intercept("rabbitmq.internal:amqp")
        def test_wrong():
            pass

        def test_not_marked():
            with pytest.raises(OSError):
                connect("amqp://rabbitmq.internal")
        """
    )
    result = pytester.runpytest("--strict-markers", *ALONE)
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["@pytest.mark.fakebroker_intercept: 'rabbitmq.internal:amqp' is no host and port; *"])

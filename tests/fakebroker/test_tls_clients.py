"""Other clients against the broker over TLS."""

import asyncio
import ssl
from pathlib import Path

import aio_pika
import amqp
import pika
import pytest

from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests import certificates

from .peers import PATIENCE

BODY = bytes(range(256)) * 5000


@pytest.fixture
def url(broker: Broker) -> str:
    context = certificates.server_context(verify=ssl.CERT_OPTIONAL)
    return broker.listen_tls(context, ssl_cert_login_from="common_name")


@pytest.mark.parametrize("login", ["PLAIN", "EXTERNAL"])
def test_py_amqp(broker: Broker, url: str, tmp_path: Path, login: str) -> None:
    files = certificates.write(tmp_path)
    (address,) = parse_url(url)
    settings = {"ca_certs": files.ca, "server_hostname": "localhost"}
    if login == "EXTERNAL":
        settings |= {"certfile": files.client, "keyfile": files.client_key}
    with (
        amqp.Connection(
            f"{address.host}:{address.port}", ssl=settings, login_method=login, read_timeout=PATIENCE
        ) as connection,
        connection.channel() as channel,
    ):
        channel.confirm_select()
        channel.queue_declare("q", auto_delete=False)
        channel.basic_publish(amqp.Message(BODY), "", "q")
        got = channel.basic_get("q", no_ack=True)
        assert got.body == BODY


@pytest.mark.parametrize("external", [False, True])
def test_pika(broker: Broker, url: str, external: bool) -> None:
    (address,) = parse_url(url)
    context = certificates.client_context(certificates.client_certificate("guest"))
    parameters = pika.ConnectionParameters(
        address.host,
        address.port,
        ssl_options=pika.SSLOptions(context, "localhost"),
        blocked_connection_timeout=PATIENCE,
        credentials=pika.credentials.ExternalCredentials() if external else pika.PlainCredentials("guest", "guest"),
    )
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("q")
    channel.basic_publish("", "q", BODY)
    method, _, body = next(channel.consume("q", inactivity_timeout=PATIENCE))
    assert body == BODY
    assert method is not None
    channel.basic_ack(method.delivery_tag)
    connection.close()
    assert broker.queue("q").unacked == 0


def test_aio_pika(broker: Broker, url: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE):
            connection = await aio_pika.connect(url, ssl_context=certificates.client_context())
            async with connection:
                channel = await connection.channel()
                queue = await channel.declare_queue("q")
                await channel.default_exchange.publish(aio_pika.Message(BODY), "q")
                got = await queue.get(timeout=PATIENCE)
                await got.ack()
                assert got.body == BODY

    asyncio.run(main())
    assert (broker.queue("q").ready, broker.queue("q").unacked) == (0, 0)

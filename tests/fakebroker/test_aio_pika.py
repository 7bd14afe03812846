"""aio-pika against the broker, each test in an event loop of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError, ProbableAuthenticationError, PublishError

from hutch.fakebroker import Broker
from hutch.wire.url import parse_url

from .peers import PATIENCE


@asynccontextmanager
async def connected(broker: Broker) -> AsyncIterator[tuple[AbstractConnection, AbstractChannel]]:
    """A connection with a channel, and a limit on everything."""
    async with asyncio.timeout(PATIENCE):
        connection = await aio_pika.connect(broker.url)
        async with connection:
            yield connection, await connection.channel(on_return_raises=True)


def test_it_declares_publishes_consumes_and_acknowledges(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (_, channel):
            exchange = await channel.declare_exchange("orders", aio_pika.ExchangeType.TOPIC)
            queue = await channel.declare_queue("q")
            await queue.bind(exchange, "order.#")
            message = aio_pika.Message(
                b"{}",
                headers={"n": 1, "s": "é"},
                content_type="application/json",
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                message_id="m",
            )
            confirmation = await exchange.publish(message, "order.created")
            assert confirmation is not None
            async with queue.iterator() as messages:
                received = await anext(messages)
                async with received.process():
                    assert (received.body, received.routing_key) == (b"{}", "order.created")
                    assert received.headers == {"n": 1, "s": "é"}
                    assert (received.content_type, received.message_id) == ("application/json", "m")
            assert (broker.queue("q").ready, broker.queue("q").unacked) == (0, 0)

    asyncio.run(main())
    broker.drain_clients()
    assert broker.history.of("acked")


def test_it_gets_requeues_and_rejects(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (_, channel):
            queue = await channel.declare_queue("q")
            assert await queue.get(fail=False) is None
            await channel.default_exchange.publish(aio_pika.Message(b"m"), "q")
            message = await queue.get()
            assert message is not None
            assert (message.body, message.redelivered) == (b"m", False)
            await message.nack(requeue=True)
            message = await queue.get()
            assert message is not None
            assert message.redelivered
            await message.reject(requeue=False)
            assert await queue.get(fail=False) is None

    asyncio.run(main())


def test_a_message_that_nobody_wants_is_returned(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (_, channel):
            with pytest.raises(PublishError):
                await channel.default_exchange.publish(aio_pika.Message(b"m"), "nowhere", mandatory=True)

    asyncio.run(main())


def test_a_queue_that_is_full_refuses(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (_, channel):
            await channel.declare_queue("q", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
            await channel.default_exchange.publish(aio_pika.Message(b"1"), "q")
            with pytest.raises(DeliveryError):
                await channel.default_exchange.publish(aio_pika.Message(b"2"), "q")

    asyncio.run(main())


def test_errors_come_with_their_codes(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (connection, channel):
            with pytest.raises(ChannelNotFoundEntity, match="no queue 'missing' in vhost '/'"):
                await channel.declare_queue("missing", passive=True)
            other = await connection.channel()
            assert (await other.declare_queue("q")).name == "q"
        (address,) = parse_url(broker.url)
        with pytest.raises(ProbableAuthenticationError):
            await aio_pika.connect(host=address.host, port=address.port or 0, login="guest", password="wrong")

    asyncio.run(main())


def test_a_prefetch_limit_is_kept(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (_, channel):
            await channel.set_qos(prefetch_count=2)
            queue = await channel.declare_queue("q")
            for number in range(5):
                await channel.default_exchange.publish(aio_pika.Message(b"%d" % number), "q")
            received: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            await queue.consume(received.put)
            bodies = []
            for _ in range(5):
                message = await received.get()
                assert broker.queue("q").unacked <= 2
                bodies.append(message.body)
                await message.ack()
            assert bodies == [b"0", b"1", b"2", b"3", b"4"]

    asyncio.run(main())


def test_exchanges_are_bound_to_exchanges(broker: Broker) -> None:
    async def main() -> None:
        async with connected(broker) as (_, channel):
            source = await channel.declare_exchange("source", aio_pika.ExchangeType.FANOUT)
            target = await channel.declare_exchange("target", aio_pika.ExchangeType.DIRECT)
            await target.bind(source)
            queue = await channel.declare_queue("q")
            await queue.bind(target, "k")
            await source.publish(aio_pika.Message(b"m"), "k")
            message = await queue.get(no_ack=True)
            assert message is not None
            assert message.body == b"m"

    asyncio.run(main())


def test_a_robust_connection_comes_back_to_another_broker_on_the_same_port() -> None:
    async def main() -> None:
        with Broker() as first:
            url = first.url
            connection = await aio_pika.connect_robust(url, reconnect_interval=0.01)
            channel = await connection.channel()
            queue = await channel.declare_queue("q", durable=True)
            received: asyncio.Queue[bytes] = asyncio.Queue()

            async def take(message: AbstractIncomingMessage) -> None:
                await received.put(message.body)

            await queue.consume(take, no_ack=True)
            await asyncio.to_thread(first.close)
        (address,) = parse_url(url)
        with Broker() as second:
            second.listen(port=address.port or 0)
            since = second.hub.changes
            while not second.history.of("consuming"):
                assert await asyncio.to_thread(second.hub.wait, since, PATIENCE)
                since = second.hub.changes
            publisher = await aio_pika.connect(second.url)
            async with publisher, publisher.channel() as other:
                await other.default_exchange.publish(aio_pika.Message(b"again"), "q")
            assert await received.get() == b"again"
            await connection.close()

    async def limited() -> None:
        async with asyncio.timeout(PATIENCE):
            await main()

    asyncio.run(limited())

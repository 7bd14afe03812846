"""FastStream's TestRabbitBroker, which calls the subscriber without a broker."""

import asyncio

from faststream.rabbit import RabbitBroker, TestRabbitBroker

BROKER = RabbitBroker()
TAKEN: list[str] = []


@BROKER.subscriber("orders")
async def take(order: str) -> None:
    TAKEN.append(order)


def test_empty() -> None:
    pass


def test_in_process() -> None:
    async def one_message() -> None:
        async with TestRabbitBroker(BROKER) as broker:
            await broker.publish("order 17", "orders")

    asyncio.run(one_message())
    assert TAKEN.pop() == "order 17"

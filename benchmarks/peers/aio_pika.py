"""aio-pika on asyncio."""

import asyncio
from typing import Any

import aio_pika

from peers.job import BODY, PREFETCH


class AioPika:
    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._channel: Any = None

    async def _opened(self, confirms: bool = False) -> Any:
        if self._channel is None:
            connection = await aio_pika.connect(self._url)
            self._channel = await connection.channel(publisher_confirms=confirms)
        return self._channel

    def publish(self, queue: str, count: int) -> None:
        self._runner.run(self._publish(queue, count, confirms=False))

    def confirm(self, queue: str, count: int) -> None:
        self._runner.run(self._publish(queue, count, confirms=True))

    async def _publish(self, queue: str, count: int, confirms: bool) -> None:
        channel = await self._opened(confirms)
        for _ in range(count):
            await channel.default_exchange.publish(aio_pika.Message(BODY), queue)
        await channel.get_queue(queue)

    def consume(self, queue: str, count: int) -> None:
        self._runner.run(self._consume(queue, count, no_ack=True))

    def consume_ack(self, queue: str, count: int) -> None:
        self._runner.run(self._consume(queue, count, no_ack=False))

    async def _consume(self, queue: str, count: int, no_ack: bool) -> None:
        channel = await self._opened()
        if not no_ack:
            await channel.set_qos(prefetch_count=PREFETCH)
        received = 0
        done = asyncio.Event()

        async def on_message(message: Any) -> None:
            nonlocal received
            received += 1
            if not no_ack:
                await message.ack()
            if received == count:
                done.set()

        await (await channel.get_queue(queue)).consume(on_message, no_ack=no_ack)
        await done.wait()

    def get(self, queue: str, count: int) -> None:
        self._runner.run(self._get(queue, count))

    async def _get(self, queue: str, count: int) -> None:
        source = await (await self._opened()).get_queue(queue)
        for _ in range(count):
            await source.get(no_ack=True)

    def connect(self, queue: str, count: int) -> None:  # noqa: ARG002
        self._runner.run(self._connect(count))

    async def _connect(self, count: int) -> None:
        for _ in range(count):
            await (await aio_pika.connect(self._url)).close()

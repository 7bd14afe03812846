"""aio-pika: its robust connection, whose event loop runs in a thread."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustConnection, AbstractRobustQueue

from tests.faults.drivers.driver import QUEUE, SEVERAL, TIMEOUT, Driver, Place, Redelivered


class AioPika(Driver):
    _connection: AbstractRobustConnection | None = None
    _channel: AbstractRobustChannel
    _queue: AbstractRobustQueue

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def connect(self) -> None:
        self._run(self._connect())

    async def _connect(self) -> None:
        self._connection = await aio_pika.connect_robust(
            host="localhost" if self.place.tls else "127.0.0.1",
            port=self.place.ports[0],
            ssl=self.place.tls is not None,
            ssl_context=self.place.tls,
            heartbeat=self.place.heartbeat,
            timeout=TIMEOUT,
            reconnect_interval=0.1,
        )
        self._lost: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._connection.close_callbacks.add(self._lose)
        channel = await self._connection.channel(on_return_raises=True)
        assert isinstance(channel, AbstractRobustChannel)
        self._channel = channel
        await self._declare()

    def publish(self) -> None:
        self._run(self._publish())

    async def _publish(self) -> None:
        await self._channel.default_exchange.publish(aio_pika.Message(b"one"), QUEUE, timeout=TIMEOUT)

    def declare(self) -> None:
        self._run(self._declare())

    async def _declare(self) -> None:
        self._queue = await self._channel.declare_queue(QUEUE, durable=True, timeout=TIMEOUT)

    def get(self) -> None:
        self._run(self._get())

    async def _get(self) -> None:
        message = await self._queue.get(timeout=TIMEOUT)
        assert message is not None
        await message.ack()

    def subscribe(self) -> None:
        self._run(self._subscribe())

    async def _subscribe(self) -> None:
        self._received: asyncio.Queue[bool | None] = asyncio.Queue()

        async def receive(message: AbstractIncomingMessage) -> None:
            self._received.put_nowait(message.redelivered)
            await message.ack()

        await self._channel.set_qos(1)
        await self._queue.consume(receive, timeout=TIMEOUT)

    def consume(self) -> None:
        self._run(self._consume())

    async def _consume(self) -> None:
        if any([await self._received.get() for _ in range(SEVERAL)]):
            raise Redelivered

    def idle(self) -> None:
        self._run(self._idle())

    async def _idle(self) -> None:
        """A robust connection tells its callbacks what it has lost, and connects again."""
        error = await self._lost
        if error is not None:
            raise error

    def _lose(self, _: Any, error: BaseException | None) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    def close(self) -> None:
        async def end() -> None:
            if self._connection is not None:
                await self._connection.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

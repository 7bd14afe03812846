"""rabbitpy, which reads and writes in a thread of its own; ``blocking_read`` is what it has for throughput."""

from functools import cached_property
from typing import Any

import rabbitpy

from peers.job import BODY, PREFETCH


class RabbitPy:
    def __init__(self, url: str) -> None:
        self._url = url

    def _connection(self) -> Any:
        return rabbitpy.Connection(self._url)  # which is connected then

    @cached_property
    def _channel(self) -> Any:
        return self._connection().channel(blocking_read=True)

    @cached_property
    def _confirming_channel(self) -> Any:
        channel = self._channel
        channel.enable_publisher_confirms()
        return channel

    def publish(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            rabbitpy.Message(channel, BODY).publish("", queue)
        rabbitpy.Queue(channel, queue).declare(passive=True)

    def consume(self, queue: str, count: int) -> None:
        messages = rabbitpy.Queue(self._channel, queue).consume(no_ack=True)
        for _ in range(count):
            next(messages)
        messages.close()

    def consume_ack(self, queue: str, count: int) -> None:
        messages = rabbitpy.Queue(self._channel, queue).consume(prefetch=PREFETCH)
        for _ in range(count):
            next(messages).ack()
        messages.close()

    def get(self, queue: str, count: int) -> None:
        source = rabbitpy.Queue(self._channel, queue)
        for _ in range(count):
            assert source.get(acknowledge=False) is not None

    def confirm(self, queue: str, count: int) -> None:
        channel = self._confirming_channel
        for _ in range(count):
            assert rabbitpy.Message(channel, BODY).publish("", queue)

    def connect(self, queue: str, count: int) -> None:  # noqa: ARG002
        for _ in range(count):
            self._connection().close()

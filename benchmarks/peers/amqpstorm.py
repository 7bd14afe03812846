"""amqpstorm, which reads in a thread of its own."""

from functools import cached_property
from typing import Any

from amqpstorm import Channel, UriConnection

from peers.job import BODY, PREFETCH


class AmqpStorm:
    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _channel(self) -> Channel:
        return UriConnection(self._url).channel()

    def publish(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            channel.basic.publish(BODY, queue)
        channel.queue.declare(queue, passive=True)

    def consume(self, queue: str, count: int) -> None:
        self._consume(self._channel, queue, count, no_ack=True)

    def consume_ack(self, queue: str, count: int) -> None:
        channel = self._channel
        channel.basic.qos(PREFETCH)
        self._consume(channel, queue, count, no_ack=False)

    def _consume(self, channel: Channel, queue: str, count: int, no_ack: bool) -> None:
        received = 0

        def on_message(message: Any) -> None:
            nonlocal received
            received += 1
            if not no_ack:
                message.ack()
            if received == count:
                channel.stop_consuming()

        channel.basic.consume(on_message, queue, no_ack=no_ack)
        channel.start_consuming(auto_decode=False)

    def get(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            assert channel.basic.get(queue, no_ack=True, auto_decode=False) is not None

    def confirm(self, queue: str, count: int) -> None:
        channel = self._channel
        channel.confirm_deliveries()
        for _ in range(count):
            assert channel.basic.publish(BODY, queue)

    def connect(self, queue: str, count: int) -> None:  # noqa: ARG002
        for _ in range(count):
            UriConnection(self._url).close()

"""pika's BlockingConnection."""

from functools import cached_property
from typing import Any

import pika

from peers.job import BODY, PREFETCH


class Pika:
    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)

    @cached_property
    def _channel(self) -> Any:
        return pika.BlockingConnection(self._parameters).channel()

    @cached_property
    def _confirming_channel(self) -> Any:
        channel = self._channel
        channel.confirm_delivery()
        return channel

    def publish(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            channel.basic_publish("", queue, BODY)
        channel.queue_declare(queue, passive=True)

    def consume(self, queue: str, count: int) -> None:
        self._consume(self._channel, queue, count, auto_ack=True)

    def consume_ack(self, queue: str, count: int) -> None:
        channel = self._channel
        channel.basic_qos(prefetch_count=PREFETCH)
        self._consume(channel, queue, count, auto_ack=False)

    def _consume(self, channel: Any, queue: str, count: int, auto_ack: bool) -> None:
        received = 0

        def on_message(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
            nonlocal received
            received += 1
            if not auto_ack:
                channel.basic_ack(method.delivery_tag)
            if received == count:
                channel.stop_consuming()

        channel.basic_consume(queue, on_message, auto_ack=auto_ack)
        channel.start_consuming()

    def get(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            assert channel.basic_get(queue, auto_ack=True)[0] is not None

    def confirm(self, queue: str, count: int) -> None:
        channel = self._confirming_channel
        for _ in range(count):
            channel.basic_publish("", queue, BODY)

    def connect(self, queue: str, count: int) -> None:  # noqa: ARG002
        for _ in range(count):
            pika.BlockingConnection(self._parameters).close()

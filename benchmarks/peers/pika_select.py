"""pika's SelectConnection: callbacks on pika's own loop."""

from functools import cached_property
from typing import Any

import pika

from peers.job import BODY, PREFETCH

_BATCH = 100  # publishes between two turns of the loop


class PikaSelect:
    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._confirming = False
        self._to_confirm = ("", 0)

    @cached_property
    def _channel(self) -> Any:
        opened: list[Any] = []

        def on_channel(channel: Any) -> None:
            opened.append(channel)
            connection.ioloop.stop()

        connection = pika.SelectConnection(
            self._parameters, on_open_callback=lambda ready: ready.channel(on_open_callback=on_channel)
        )
        connection.ioloop.start()
        return opened[0]

    @cached_property
    def _loop(self) -> Any:
        return self._channel.connection.ioloop

    def publish(self, queue: str, count: int) -> None:
        channel = self._channel

        def batch(left: int) -> None:
            if not left:
                channel.queue_declare(queue, passive=True, callback=lambda _: self._loop.stop())
                return
            size = min(_BATCH, left)
            for _ in range(size):
                channel.basic_publish("", queue, BODY)
            self._loop.add_callback_threadsafe(lambda: batch(left - size))

        batch(count)
        self._loop.start()

    def consume(self, queue: str, count: int) -> None:
        self._consume(queue, count, auto_ack=True)

    def consume_ack(self, queue: str, count: int) -> None:
        self._channel.basic_qos(prefetch_count=PREFETCH, callback=lambda _: self._loop.stop())
        self._loop.start()
        self._consume(queue, count, auto_ack=False)

    def _consume(self, queue: str, count: int, auto_ack: bool) -> None:
        channel = self._channel
        received = 0

        def on_message(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
            nonlocal received
            received += 1
            if not auto_ack:
                channel.basic_ack(method.delivery_tag)
            if received == count:
                self._loop.stop()

        channel.basic_consume(queue, on_message, auto_ack=auto_ack)
        self._loop.start()

    def get(self, queue: str, count: int) -> None:
        channel = self._channel
        received = 0

        def on_message(*_got: Any) -> None:
            nonlocal received
            received += 1
            if received == count:
                self._loop.stop()
            else:
                channel.basic_get(queue, on_message, auto_ack=True)

        channel.basic_get(queue, on_message, auto_ack=True)
        self._loop.start()

    def confirm(self, queue: str, count: int) -> None:
        self._to_confirm = (queue, count)
        if self._confirming:
            self._publish_next()
        else:
            self._confirming = True
            self._channel.confirm_delivery(self._on_confirm, callback=lambda _: self._publish_next())
        self._loop.start()

    def _publish_next(self) -> None:
        self._channel.basic_publish("", self._to_confirm[0], BODY)

    def _on_confirm(self, _frame: Any) -> None:
        queue, left = self._to_confirm
        self._to_confirm = (queue, left - 1)
        if left > 1:
            self._publish_next()
        else:
            self._loop.stop()

    def connect(self, queue: str, count: int) -> None:  # noqa: ARG002
        for _ in range(count):
            connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=lambda opened: opened.close(),
                on_close_callback=lambda closed, _reason: closed.ioloop.stop(),
            )
            connection.ioloop.start()

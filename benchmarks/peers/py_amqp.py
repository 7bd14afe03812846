"""py-amqp, and hutch's client, which has its API."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from hutch.wire.url import parse_url
from peers.job import BODY, PREFETCH


class _PyAmqpApi:
    def __init__(self, url: str, connection: Callable[..., Any], message: Callable[[bytes], Any]) -> None:
        address = parse_url(url)[0]
        self._make = connection
        self._message = message
        self._login = {
            "host": f"{address.host}:{address.port}",
            "userid": address.userid,
            "password": address.password,
            "virtual_host": address.virtual_host,
        }

    def _connection(self, **settings: Any) -> Any:
        connection = self._make(**self._login, **settings)
        connection.connect()
        return connection

    @cached_property
    def _channel(self) -> Any:
        return self._connection().channel()

    @cached_property
    def _confirming_channel(self) -> Any:
        return self._connection(confirm_publish=True).channel()

    def publish(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            channel.basic_publish(self._message(BODY), routing_key=queue)
        channel.queue_declare(queue, passive=True)

    def consume(self, queue: str, count: int) -> None:
        channel = self._channel
        received = 0

        def on_message(_message: Any) -> None:
            nonlocal received
            received += 1

        channel.basic_consume(queue, no_ack=True, callback=on_message)
        while received < count:
            channel.connection.drain_events()

    def consume_ack(self, queue: str, count: int) -> None:
        channel = self._channel
        received = 0

        def on_message(message: Any) -> None:
            nonlocal received
            received += 1
            channel.basic_ack(message.delivery_tag)

        channel.basic_qos(0, PREFETCH, False)
        channel.basic_consume(queue, callback=on_message)
        while received < count:
            channel.connection.drain_events()

    def get(self, queue: str, count: int) -> None:
        channel = self._channel
        for _ in range(count):
            assert channel.basic_get(queue, no_ack=True) is not None

    def confirm(self, queue: str, count: int) -> None:
        channel = self._confirming_channel
        for _ in range(count):
            channel.basic_publish(self._message(BODY), routing_key=queue)

    def connect(self, queue: str, count: int) -> None:  # noqa: ARG002
        for _ in range(count):
            self._connection().close()


class Hutch(_PyAmqpApi):
    def __init__(self, url: str) -> None:
        from hutch.client import Connection, Message  # noqa: PLC0415  (only the client that is measured)

        super().__init__(url, Connection, Message)


class PyAmqp(_PyAmqpApi):
    def __init__(self, url: str) -> None:
        from amqp import Connection, Message  # noqa: PLC0415

        super().__init__(url, Connection, Message)

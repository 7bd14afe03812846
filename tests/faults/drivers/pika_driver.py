"""pika: its BlockingConnection."""

from contextlib import suppress
from typing import Any

import pika

from tests.faults.drivers.driver import QUEUE, SEVERAL, TIMEOUT, Driver, Redelivered, ToldError


class _Enough(Exception):
    """Ends start_consuming, which goes on for ever."""


class Pika(Driver):
    takes_list = True
    _connection: pika.BlockingConnection | None = None

    def connect(self) -> None:
        tls = self.place.tls
        parameters = [
            pika.ConnectionParameters(
                "127.0.0.1",
                port,
                heartbeat=self.place.heartbeat,
                connection_attempts=1,
                socket_timeout=TIMEOUT,
                stack_timeout=TIMEOUT,
                blocked_connection_timeout=TIMEOUT,
                ssl_options=None if tls is None else pika.SSLOptions(tls, "localhost"),
            )
            for port in self.place.ports
        ]
        self._connection = pika.BlockingConnection(parameters)
        self._channel = self._connection.channel()
        self.declare()
        self._channel.confirm_delivery()

    def publish(self) -> None:
        self._channel.basic_publish("", QUEUE, b"one", mandatory=True)

    def declare(self) -> None:
        self._channel.queue_declare(QUEUE, durable=True)

    def get(self) -> None:
        method, _, _ = self._channel.basic_get(QUEUE)
        assert method is not None
        self._channel.basic_ack(method.delivery_tag)

    def subscribe(self) -> None:
        self._received: list[bool] = []
        self._is_cancelled = False

        def receive(_channel: Any, method: Any, *_: Any) -> None:
            self._received.append(method.redelivered)
            self._channel.basic_ack(method.delivery_tag)
            if len(self._received) >= SEVERAL:
                raise _Enough

        def cancelled(_: Any) -> None:
            self._is_cancelled = True

        self._channel.basic_qos(prefetch_count=1)
        self._channel.add_on_cancel_callback(cancelled)
        self._channel.basic_consume(QUEUE, receive)

    def consume(self) -> None:
        with suppress(_Enough):
            self._channel.start_consuming()
        if self._is_cancelled:
            raise ToldError("cancelled")
        several, self._received[:] = self._received[:SEVERAL], self._received[SEVERAL:]
        if any(several):
            raise Redelivered

    def idle(self) -> None:
        assert self._connection is not None
        while True:
            self._connection.process_data_events(time_limit=TIMEOUT)

    def close(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

"""py-amqp, and hutch.client, which has its API."""

from typing import Any, ClassVar

import amqp

from hutch import client
from tests.faults.drivers.driver import QUEUE, SEVERAL, TIMEOUT, Driver, Redelivered


class PyAmqp(Driver):
    library: ClassVar[Any] = amqp
    _connection: Any = None

    def connect(self) -> None:
        options: dict[str, Any] = {
            "confirm_publish": True,
            "connect_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
            "heartbeat": self.place.heartbeat,
        }
        if self.place.tls:
            options["ssl"] = {"ca_certs": self.place.ca, "server_hostname": "localhost"}
        if self.place.way == "in-process":
            self._connection = self.library.Connection(transport=self.place.broker.transport, **options)
        else:
            self._connection = self.library.Connection(f"127.0.0.1:{self.place.ports[0]}", **options)
        self._connection.connect()
        self._channel = self._connection.channel()
        self.declare()
        self.publish()  # the first publish also sends confirm.select
        self._channel.queue_purge(QUEUE)

    def publish(self) -> None:
        returned: list[Exception] = []
        self._channel.events["basic_return"] = {lambda error, *_: returned.append(error)}
        self._channel.basic_publish_confirm(
            self.library.Message("one"), routing_key=QUEUE, mandatory=True, confirm_timeout=TIMEOUT
        )
        if returned:
            raise returned[0]

    def declare(self) -> None:
        self._channel.queue_declare(QUEUE, durable=True, auto_delete=False)

    def get(self) -> None:
        message = self._channel.basic_get(QUEUE)
        self._channel.basic_ack(message.delivery_tag)

    def subscribe(self) -> None:
        self._received: list[bool] = []

        def receive(message: Any) -> None:
            self._received.append(message.delivery_info["redelivered"])
            self._channel.basic_ack(message.delivery_tag)

        self._channel.basic_qos(0, 1, False)
        self._channel.basic_consume(QUEUE, callback=receive)

    def consume(self) -> None:
        while len(self._received) < SEVERAL:
            self._connection.drain_events(timeout=TIMEOUT)
        several, self._received[:] = self._received[:SEVERAL], self._received[SEVERAL:]
        if any(several):
            raise Redelivered

    def idle(self) -> None:
        while True:
            try:
                self._connection.drain_events(timeout=TIMEOUT / 4)
            except TimeoutError:
                self._connection.heartbeat_tick()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.collect()


class Hutch(PyAmqp):
    library: ClassVar[Any] = client
    ways = ("in-process", "TCP", "TLS")

"""An order service on pika. It knows the URL of a RabbitMQ, and nothing of hutch.

Orders are published to the exchange ``shop``. A worker takes them from the queue ``orders`` and charges the customer.
When that fails, it puts the order into ``orders.retry``, a queue without consumers, whose time to live and dead-letter
exchange bring it back five minutes later; the header ``x-attempt`` counts. After three attempts the order goes to
``orders.failed``.
"""

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import pika
from pika.adapters.blocking_connection import BlockingChannel

EXCHANGE = "shop"
PLACED = "order.placed"
ORDERS, RETRY, FAILED = "orders", "orders.retry", "orders.failed"
RETRY_AFTER = 5 * 60 * 1000  # milliseconds
ATTEMPTS = 3


class Order(NamedTuple):
    id: int
    amount: int


class PaymentRefused(Exception):
    """The bank does not pay."""


def declare(channel: BlockingChannel) -> None:
    """Exchange, queues, bindings; the program that starts first makes them."""
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    channel.queue_declare(ORDERS, durable=True)
    channel.queue_bind(ORDERS, EXCHANGE, PLACED)
    channel.queue_declare(
        RETRY,
        durable=True,
        arguments={"x-message-ttl": RETRY_AFTER, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": ORDERS},
    )
    channel.queue_declare(FAILED, durable=True)


class Client:
    """A connection with a channel, to be used in a ``with`` statement."""

    def __init__(self, url: str) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        declare(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.connection.is_open:
            self.connection.close()


class Shop(Client):
    """Places orders."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.channel.confirm_delivery()

    def place(self, order: Order) -> None:
        """Publish the order; once this returns the broker has it."""
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, headers={"x-attempt": 1})
        self.channel.basic_publish(EXCHANGE, PLACED, json.dumps(order._asdict()), properties, mandatory=True)


class Worker(Client):
    """Charges customers; ``charge`` raises PaymentRefused where that fails."""

    def __init__(self, url: str, charge: Callable[[Order], None]) -> None:
        super().__init__(url)
        self._charge = charge
        self.channel.basic_qos(prefetch_count=1)
        self.channel.basic_consume(ORDERS, self._take)

    def run(self) -> None:
        """Work until :meth:`stop`."""
        self.channel.start_consuming()

    def stop(self) -> None:
        """Have :meth:`run` return; for other threads to call."""
        self.connection.add_callback_threadsafe(self.channel.stop_consuming)

    def step(self, timeout: float = 5.0) -> None:
        """Work on what arrives first, waiting for it."""
        self.connection.process_data_events(timeout)

    def _take(self, channel: BlockingChannel, delivery: Any, properties: pika.BasicProperties, body: bytes) -> None:
        try:
            self._charge(Order(**json.loads(body)))
        except PaymentRefused:
            attempt = properties.headers["x-attempt"]
            if attempt < ATTEMPTS:
                properties.headers["x-attempt"] = attempt + 1
                channel.basic_publish("", RETRY, body, properties)
            else:
                channel.basic_publish("", FAILED, body, properties)
        channel.basic_ack(delivery.delivery_tag)

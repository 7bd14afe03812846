"""The background tasks of a shop, on Celery. It knows the URL of a RabbitMQ, and nothing of hutch.

Tasks are routed by the topic exchange ``shop``: what is about orders to the queue ``orders``, what is about mail to
``mail``. Results come back over RabbitMQ too.
"""

from typing import Any

from celery import Celery, shared_task
from kombu import Exchange, Queue

RETRY_AFTER = 0.05  # seconds; a shop that earns money would wait longer


class PaymentRefused(Exception):
    """The bank does not pay."""


class Bank:
    """Where payments are made; tests put another one in its place."""

    def charge(self, order: int, amount: int) -> str:
        """Charge the customer, and return the number of the receipt."""
        raise NotImplementedError("no contract with a bank yet")


bank = Bank()


def create_app(broker_url: str) -> Celery:
    """The Celery application: ``celery --app ... worker`` runs it, and tasks are called by way of it."""
    app = Celery("shop", broker=broker_url, backend="rpc://")
    shop = Exchange("shop", type="topic", durable=True)
    app.conf.update(
        task_queues=[
            Queue("orders", shop, routing_key="order.#"),
            Queue("mail", shop, routing_key="mail.#"),
        ],
        task_routes={
            "tasks.charge": {"queue": "orders", "routing_key": "order.charge"},
            "tasks.confirm": {"queue": "mail", "routing_key": "mail.confirmation"},
        },
        task_acks_late=True,
    )
    return app


@shared_task(bind=True, max_retries=2, autoretry_for=(PaymentRefused,), default_retry_delay=RETRY_AFTER)
def charge(self: Any, order: int, amount: int) -> str:
    """Charge a customer, in up to three attempts, and have the payment confirmed by mail."""
    receipt = bank.charge(order, amount)
    confirm.delay(order, receipt)
    return receipt


@shared_task
def confirm(order: int, receipt: str) -> str:
    """Tell the customer."""
    return f"order {order} is paid, receipt {receipt}"

"""Tests of the order service. The fixture ``fakebroker`` comes with hutch; each test has a broker of its own.

The service reaches it by its URL, as it would reach RabbitMQ. No test waits for the five minutes of a retry: the
broker's clock is advanced. To run them: ``pytest examples/orders_pika``.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pika.exceptions
import pytest

from hutch.pytest_plugin import FakeBroker
from orders import FAILED, ORDERS, RETRY, Order, PaymentRefused, Shop, Worker


class Bank:
    """Refuses the first so many payments; ``charged`` are the orders paid, ``asked`` how often it was asked."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.asked = 0
        self.charged: list[Order] = []

    def charge(self, order: Order) -> None:
        self.asked += 1
        if self.asked <= self.refusals:
            raise PaymentRefused
        self.charged.append(order)


def test_an_order_is_charged(fakebroker: FakeBroker) -> None:
    bank = Bank()
    with Shop(fakebroker.url) as shop, Worker(fakebroker.url, bank.charge) as worker:
        shop.place(Order(id=17, amount=4200))
        worker.step()
    assert bank.charged == [Order(id=17, amount=4200)]
    assert fakebroker.published(exchange="shop", count=1, json={"id": 17, "amount": 4200}, delivery_mode=2)
    assert fakebroker.queue(ORDERS).ready == 0


def test_a_refused_payment_is_tried_again_after_five_minutes(fakebroker: FakeBroker) -> None:
    bank = Bank(refusals=1)
    with Shop(fakebroker.url) as shop, Worker(fakebroker.url, bank.charge) as worker:
        shop.place(Order(id=17, amount=4200))
        worker.step()
        assert fakebroker.published("orders.retry", count=1, headers={"x-attempt": 2})

        fakebroker.clock.advance(minutes=4, seconds=59)
        assert fakebroker.queue(RETRY).ready == 1

        fakebroker.clock.advance(seconds=1)
        worker.step()
    assert bank.charged == [Order(id=17, amount=4200)]
    assert fakebroker.queue(RETRY).ready == 0


def test_after_three_attempts_an_order_has_failed(fakebroker: FakeBroker) -> None:
    bank = Bank(refusals=3)
    with Shop(fakebroker.url) as shop, Worker(fakebroker.url, bank.charge) as worker:
        shop.place(Order(id=17, amount=4200))
        worker.step()
        for _ in range(2):
            fakebroker.clock.advance(minutes=5)
            worker.step()
    (failed,) = fakebroker.queue(FAILED).messages
    assert failed.headers["x-attempt"] == 3
    assert bank.asked == 3
    assert bank.charged == []


def test_an_order_survives_the_worker_that_had_it(fakebroker: FakeBroker) -> None:
    def crash(_: Order) -> None:
        raise KeyboardInterrupt

    bank = Bank()
    with Shop(fakebroker.url) as shop:
        shop.place(Order(id=17, amount=4200))
        with Worker(fakebroker.url, crash) as worker, pytest.raises(KeyboardInterrupt):
            worker.step()
        assert fakebroker.queue(ORDERS).ready == 1
        with Worker(fakebroker.url, bank.charge) as worker:
            worker.step()
    assert bank.charged == [Order(id=17, amount=4200)]


def test_the_shop_learns_that_nobody_would_get_the_order(fakebroker: FakeBroker) -> None:
    with Shop(fakebroker.url) as shop:
        shop.channel.queue_delete(ORDERS)
        with pytest.raises(pika.exceptions.UnroutableError):
            shop.place(Order(id=17, amount=4200))


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    """The worker at work in a thread of its own."""
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


def test_a_worker_in_a_thread(fakebroker: FakeBroker) -> None:
    """Nothing sleeps: ``wait_until`` is woken by what happens in the broker, and fails with an explanation."""
    bank = Bank(refusals=2)
    with Shop(fakebroker.url) as shop, Worker(fakebroker.url, bank.charge) as worker, working(worker):
        for number in range(5):
            shop.place(Order(id=number, amount=100))
        fakebroker.wait_until(lambda: len(fakebroker.history.of("acked")) == 5)
        assert [order.id for order in bank.charged] == [2, 3, 4]
        assert fakebroker.queue(RETRY).ready == 2

        fakebroker.clock.advance(minutes=5)
        fakebroker.wait_until(lambda: len(fakebroker.history.of("acked")) == 7)
    assert [order.id for order in bank.charged] == [2, 3, 4, 0, 1]


@pytest.mark.fakebroker(profile="3.10")
def test_the_same_on_an_older_rabbitmq(fakebroker: FakeBroker) -> None:
    test_a_refused_payment_is_tried_again_after_five_minutes(fakebroker)

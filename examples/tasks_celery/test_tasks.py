"""Tests of the tasks, with a worker as in production: nothing is eager, results travel over the broker.

The fixture ``fakebroker`` comes with hutch; Celery reaches it by its URL. Celery keeps its own time, so the countdown
of a retry is real here, and short. To run them: ``pytest examples/tasks_celery``.
"""

from uuid import uuid4

import pytest
from celery import Celery

import tasks
from hutch.pytest_plugin import FakeBroker
from tasks import PaymentRefused, charge, confirm

PATIENCE = 10  # seconds


class FakeBank(tasks.Bank):
    """Refuses the first so many payments."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.asked = 0

    def charge(self, order: int, amount: int) -> str:
        self.asked += 1
        if self.asked <= self.refusals:
            raise PaymentRefused(f"no {amount} for order {order}")
        return f"R-{order}"


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> FakeBank:
    bank = FakeBank()
    monkeypatch.setattr(tasks, "bank", bank)
    return bank


@pytest.mark.usefixtures("app")
def test_what_a_call_publishes(fakebroker: FakeBroker) -> None:
    """No worker is needed to see what would be sent to one."""
    task_id = str(uuid4())
    charge.apply_async((17, 4200), task_id=task_id)
    (message,) = fakebroker.published("order.charge", exchange="shop", queue="orders", count=1, correlation_id=task_id)
    assert message.headers["task"] == "tasks.charge"
    assert b"[17, 4200]" in message.body
    assert fakebroker.queue("orders").ready == 1
    assert fakebroker.published(queue="mail", count=0) == []


@pytest.mark.usefixtures("worker")
def test_a_payment_is_confirmed_by_mail(fakebroker: FakeBroker, bank: FakeBank) -> None:
    assert charge.delay(17, 4200).get(timeout=PATIENCE) == "R-17"
    (mail,) = fakebroker.published("mail.confirmation", queue="mail", count=1)
    assert mail.headers["task"] == "tasks.confirm"
    assert mail.headers["parent_id"] == fakebroker.published("order.charge", count=1)[0].headers["id"]


@pytest.mark.usefixtures("worker")
def test_a_refused_payment_is_tried_again(fakebroker: FakeBroker, bank: FakeBank) -> None:
    bank.refusals = 2
    assert charge.delay(17, 4200).get(timeout=PATIENCE) == "R-17"
    attempts = fakebroker.published("order.charge", count=3)
    assert [message.headers["retries"] for message in attempts] == [0, 1, 2]


@pytest.mark.usefixtures("worker")
def test_after_three_attempts_the_caller_is_told(fakebroker: FakeBroker, bank: FakeBank) -> None:
    bank.refusals = 3
    with pytest.raises(PaymentRefused, match="no 4200 for order 17"):
        charge.delay(17, 4200).get(timeout=PATIENCE)
    assert bank.asked == 3
    assert fakebroker.published("mail.confirmation", count=0) == []


@pytest.mark.usefixtures("worker")
def test_results_of_many_tasks_come_back(app: Celery) -> None:
    results = [confirm.delay(number, "R") for number in range(20)]
    assert [result.get(timeout=PATIENCE) for result in results] == [
        f"order {number} is paid, receipt R" for number in range(20)
    ]


@pytest.mark.fakebroker(profile="3.10")
@pytest.mark.usefixtures("worker")
def test_the_same_on_an_older_rabbitmq(bank: FakeBank) -> None:
    bank.refusals = 1
    assert charge.delay(17, 4200).get(timeout=PATIENCE) == "R-17"

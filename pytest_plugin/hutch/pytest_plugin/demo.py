"""``hutch demo``: a small order service on a broker in this process, over TCP, and the tale of each of its messages.

The service is what a real one is: it knows an AMQP URL and nothing of hutch. The broker's clock is advanced instead of
waited for, as in a test.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from hutch.client import Message, connect
from hutch.fakebroker import PROFILES, Event
from hutch.pytest_plugin.fakebroker import FakeBroker

EXCHANGE: Final = "shop"
PLACED: Final = "order.placed"
PAYMENTS: Final = "payments"
RETRY: Final = "payments.retry"
PARKED: Final = "payments.parked"
RETRY_AFTER: Final = 5  # minutes
ATTEMPTS: Final = 3


class Order(NamedTuple):
    """An order. ``refusals`` is how often the customer's bank will refuse the payment."""

    number: str
    customer: str
    refusals: int


ORDERS: Final = (
    Order("order-1", "Ada, whose bank pays at once", refusals=0),
    Order("order-2", "Grace, whose bank pays on the second attempt", refusals=1),
    Order("order-3", "Charles, whose bank never pays", refusals=ATTEMPTS),
)


# The service: it knows an AMQP URL, and nothing of hutch.


class Shop:
    """Takes orders, each a message on its exchange."""

    def __init__(self, url: str) -> None:
        self._connection: Final = connect(url, confirm_publish=True)
        self._channel: Final = self._connection.channel()
        self._channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)

    def place(self, order: Order) -> None:
        """Publish the order, and wait until the broker has it."""
        message = Message(
            json.dumps({"order": order.number, "refusals": order.refusals}),
            content_type="application/json",
            delivery_mode=2,
            message_id=order.number,
        )
        self._channel.basic_publish(message, EXCHANGE, PLACED, mandatory=True)

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class Worker:
    """Takes payments. An order that is not paid waits in a queue without consumers until its time to live brings it
    back. After a few attempts it is parked for somebody to look at.
    """

    def __init__(self, url: str) -> None:
        self._connection: Final = connect(url)
        self._channel: Final = self._connection.channel()
        self._declare(PAYMENTS, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": RETRY})
        self._declare(
            RETRY,
            {
                "x-message-ttl": RETRY_AFTER * 60_000,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": PAYMENTS,
            },
        )
        self._declare(PARKED, {})
        self._channel.queue_bind(PAYMENTS, EXCHANGE, PLACED)
        self._channel.basic_qos(0, 1, False)
        self._channel.basic_consume(PAYMENTS, consumer_tag="worker", callback=self._pay)

    def _declare(self, queue: str, arguments: dict[str, Any]) -> None:
        self._channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)

    def _pay(self, message: Message) -> None:
        tag = message.delivery_tag or 0
        refused_before = _rejections(message)
        if json.loads(message.body)["refusals"] <= refused_before:
            self._channel.basic_ack(tag)
        elif refused_before + 1 < ATTEMPTS:
            self._channel.basic_reject(tag, requeue=False)
        else:
            self._channel.basic_publish(message, routing_key=PARKED)
            self._channel.basic_ack(tag)

    def step(self) -> None:
        """Take one delivery, waiting for it."""
        self._connection.drain_events(timeout=5)

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


def _rejections(message: Message) -> int:
    """How often the message was rejected so far, as the broker counts it in the header ``x-death``."""
    deaths: Iterable[dict[str, Any]] = (message.headers or {}).get("x-death", ())
    return sum(death["count"] for death in deaths if (death["queue"], death["reason"]) == (PAYMENTS, "rejected"))


# The demonstration.


def main(argv: Sequence[str] | None = None) -> int:
    """Run a small order service on the emulator and tell what happened to each message."""
    parser = argparse.ArgumentParser(
        prog="hutch demo",
        description="Run a small order service on the emulator, over TCP, and tell what happened to each message.",
    )
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), default="4.3", help="RabbitMQ version to be (default: %(default)s)"
    )
    profile = parser.parse_args(argv).profile
    with FakeBroker(profile) as broker:
        run(broker)
        print("\n".join(_report(broker, _Paint(sys.stdout.isatty() and "NO_COLOR" not in os.environ))))
    return 0


def run(broker: FakeBroker) -> None:
    """Place the orders and have them paid, ten minutes of the broker's clock in all."""
    shop = Shop(broker.url)
    worker = Worker(broker.url)
    try:
        for order in ORDERS:
            shop.place(order)
        _finish(worker, broker)
        while broker.queue(RETRY).ready:
            broker.clock.advance(minutes=RETRY_AFTER)
            _finish(worker, broker)
    finally:
        worker.close()
        shop.close()


def _finish(worker: Worker, broker: FakeBroker) -> None:
    while (queue := broker.queue(PAYMENTS)).ready or queue.unacked:
        worker.step()


class _Paint:
    """ANSI colours, if wanted."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._wanted else text


_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"
_STYLES: Final = {"acknowledged": _GREEN, "rejected": _YELLOW, "parked": _RED}


class _Step(NamedTuple):
    at: float
    what: str
    where: str
    remark: str


_ABOUT: Final = (
    "A broker that behaves as RabbitMQ runs in this process. The service knows its",
    "URL and reaches it over TCP, as any AMQP client would: a shop publishes orders,",
    f"a worker takes the payments. A payment that is refused waits {RETRY_AFTER} minutes in a",
    f"retry queue and comes back; after {ATTEMPTS} attempts the order is parked.",
)
_NEXT: Final = (
    "In a test of your own, with pytest:",
    "",
    "    def test_a_refused_payment_is_tried_again(fakebroker):",
    "        shop, worker = Shop(fakebroker.url), Worker(fakebroker.url)",
    "        ...",
    f"        fakebroker.clock.advance(minutes={RETRY_AFTER})",
    "        ...",
    f'        assert fakebroker.queue("{PARKED}").ready == 0',
    "",
    "hutch serve runs the broker on port 5672, for programs in any language.",
)


def _report(broker: FakeBroker, paint: _Paint) -> list[str]:
    lines = [paint(_BOLD, "An order service on a RabbitMQ that is not there"), "", *_ABOUT]
    tales = [(order, _tale(broker, order)) for order in ORDERS]
    steps = [step for _, tale in tales for step in tale]
    what_width = max(len(step.what) for step in steps)
    where_width = max(len(step.where) for step in steps)
    for order, tale in tales:
        lines += ["", f"{paint(_BOLD, order.number)}  {order.customer}"]
        for step in tale:
            time = paint(_DIM, f"{f'+{step.at:.1f} s':>10}")
            what = paint(_STYLES.get(step.what, "0"), f"{step.what:<{what_width}}")
            lines.append(f"{time}  {what}  {step.where:<{where_width}}  {step.remark}".rstrip())
    minutes = round(broker.clock.monotonic() / 60)
    queues = (broker.queue(name) for name in (PAYMENTS, RETRY, PARKED))
    left = ", ".join(f"{queue.name} {queue.ready}" for queue in queues)
    return [
        *lines,
        "",
        f"Messages left: {left}.",
        f"{minutes} minutes went by on the broker's clock, which was advanced; none on yours.",
        "",
        *_NEXT,
    ]


def _tale(broker: FakeBroker, order: Order) -> list[_Step]:
    """The events of the order's message in the broker's history, in words."""
    tale: list[_Step] = []
    attempt = 0
    for event in broker.history:
        if event.message is None or event.message.properties.values.get("message_id") != order.number:
            continue
        attempt += event.kind == "delivered"
        step = _step(event, attempt, parked=any(earlier.what == "parked" for earlier in tale))
        if step is not None:
            tale.append(step)
    return tale


def _step(event: Event, attempt: int, parked: bool) -> _Step | None:
    message = event.message
    if event.kind == "published" and message is not None:
        source = f"{message.exchange}, {message.routing_key}" if message.exchange else "AMQP default"
        what, remark = ("published", "") if message.exchange else ("parked", f"{ATTEMPTS} attempts are enough")
        return _Step(event.at, what, f"{source} -> {', '.join(event.routed_to)}", remark)
    if event.kind == "delivered":
        return _Step(event.at, "delivered", f"{event.queue} -> {event.consumer_tag}", f"attempt {attempt}")
    if event.kind == "acked":
        return _Step(event.at, "acknowledged", event.queue or "", "" if parked else "paid")
    if event.kind == "dead-lettered":
        remark = "payment refused" if event.reason == "rejected" else f"{RETRY_AFTER} minutes are over"
        return _Step(event.at, event.reason, f"{event.queue} -> {', '.join(event.routed_to)}", remark)
    return None

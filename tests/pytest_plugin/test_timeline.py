"""The timeline: a line for whatever can happen."""

import pytest

from hutch.client import Message, NotFound
from hutch.pytest_plugin import FakeBroker
from hutch.pytest_plugin.timeline import timeline


def test_every_kind_of_event_has_its_line(fakebroker: FakeBroker) -> None:
    channel = fakebroker.connect().channel()
    fakebroker.history.clear()
    channel.exchange_declare("shop", "topic", durable=True, auto_delete=False)
    dead_letter = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "failed"}
    channel.queue_declare("orders", durable=True, auto_delete=False, arguments={"x-message-ttl": 60000, **dead_letter})
    channel.queue_declare("failed", durable=True, auto_delete=False)
    channel.queue_bind("orders", "shop", "order.*")
    channel.events["basic_return"].add(lambda *_: None)
    channel.basic_publish(Message(b"nobody's"), "shop", "invoice.new", mandatory=True)
    channel.basic_publish(Message(b"first"), "shop", "order.new")
    got = channel.basic_get("orders")
    assert got is not None
    channel.basic_reject(got.delivery_tag or 0, requeue=True)
    fakebroker.clock.advance(minutes=1)
    channel.basic_consume(
        "failed", consumer_tag="clerk", callback=lambda message: channel.basic_ack(message.delivery_tag or 0)
    )
    assert channel.connection is not None
    channel.connection.drain_events(timeout=1)
    channel.basic_cancel("clerk")
    channel.basic_publish(Message(b"\xff"), routing_key="orders")
    got = channel.basic_get("orders")
    assert got is not None
    channel.basic_reject(got.delivery_tag or 0, requeue=False)
    channel.queue_purge("failed")
    channel.queue_unbind("orders", "shop", "order.*")
    with pytest.raises(NotFound):
        channel.queue_declare("nobody's", passive=True)
    channel.exchange_delete("shop")
    fakebroker.raise_alarm("disk")
    channel.basic_publish(Message(b"late"), routing_key="nowhere")
    fakebroker.clear_alarm("disk")
    channel.tx_select()
    channel.basic_publish(Message(b"regretted"), routing_key="failed")
    channel.tx_rollback()
    for body in (b"second", b"third"):
        channel.basic_publish(Message(body), routing_key="failed")
    channel.tx_commit()
    fakebroker.admin.set_policy("limit", "^orders$", {"max-length": 5})
    fakebroker.admin.delete_policy("limit")
    fakebroker.faults.next("basic.qos").answer_late(seconds=5)
    channel.basic_qos(0, 1, False)
    channel.connection.close()
    fakebroker.restart(downtime=30)
    assert timeline(fakebroker.history).splitlines() == [
        " +0.0 s  declared exchange shop",
        " +0.0 s  declared queue orders",
        " +0.0 s  declared queue failed",
        " +0.0 s  bound orders to shop, key 'order.*'",
        " +0.0 s  published to exchange shop, key 'invoice.new', routed to no queue: nobody's",
        " +0.0 s  returned to its publisher (NO_ROUTE): nobody's",
        " +0.0 s  published to exchange shop, key 'order.new', routed to orders: first",
        " +0.0 s  fetched from orders: first",
        " +0.0 s  requeued in orders: first",
        "+60.0 s  expired in orders: first",
        "+60.0 s  dead-lettered (expired) from orders to failed: first",
        "+60.0 s  consumer clerk on failed",
        "+60.0 s  delivered to consumer clerk from failed, redelivered: first",  # 4.3 counts the reject
        "+60.0 s  acknowledged in failed: first",
        "+60.0 s  consumer clerk off failed",
        r"+60.0 s  published to the default exchange, key 'orders', routed to orders: b'\xff'",
        r"+60.0 s  fetched from orders: b'\xff'",
        r"+60.0 s  rejected in orders: b'\xff'",
        r"+60.0 s  dead-lettered (rejected) from orders to failed: b'\xff'",
        "+60.0 s  purged failed of 1 messages",
        "+60.0 s  unbound orders from shop, key 'order.*'",
        "+60.0 s  refused: NOT_FOUND - no queue 'nobody's' in vhost '/'",
        "+60.0 s  deleted exchange shop",
        "+60.0 s  low on disk: publishers are blocked",
        "+60.0 s  blocked, and read no further: in-process client 1",
        "+60.0 s  low on disk no more",
        "+60.0 s  unblocked, and read again: in-process client 1",
        "+60.0 s  published to the default exchange, key 'nowhere', routed to no queue: late",
        "+60.0 s  rolled back a transaction: 1 publish, 0 acknowledgements",
        "+60.0 s  published to the default exchange, key 'failed', routed to failed: second",
        "+60.0 s  published to the default exchange, key 'failed', routed to failed: third",
        "+60.0 s  committed a transaction: 2 publishes, 0 acknowledgements",
        "+60.0 s  set policy limit",
        "+60.0 s  deleted policy limit",
        "+60.0 s  fault: faults.next('basic.qos').answer_late(5)",
        "+65.0 s  disconnected: in-process client 1",
        "+65.0 s  dropped from failed: second",
        "+65.0 s  dropped from failed: third",
        "+65.0 s  the broker is stopped",
        "+95.0 s  the broker is started",
    ]


def test_the_last_ones(fakebroker: FakeBroker) -> None:
    assert timeline(fakebroker.history) == "nothing"
    channel = fakebroker.connect().channel()
    for name in "abc":
        channel.queue_declare(name, durable=True, auto_delete=False)
    assert timeline(fakebroker.history, last=2) == (
        "(2 earlier events)\n+0.0 s  declared queue b\n+0.0 s  declared queue c"
    )


def test_long_and_strange_bodies_fit_a_line(fakebroker: FakeBroker) -> None:
    channel = fakebroker.connect().channel()
    fakebroker.history.clear()
    for body in ("x" * 1000, "two\nlines"):
        channel.basic_publish(Message(body), routing_key="nowhere")
    long, strange = timeline(fakebroker.history).splitlines()
    assert long.endswith(f"routed to no queue: {'x' * 57}...")
    assert strange.endswith(r"routed to no queue: 'two\nlines'")


@pytest.mark.fakebroker(history_events=3, history_bytes=1000)
def test_what_is_no_longer_kept(fakebroker: FakeBroker) -> None:
    channel = fakebroker.connect().channel()
    fakebroker.history.clear()
    for number in range(5):
        channel.basic_publish(Message(f"{number}" * 400), routing_key="nowhere")
    limits = "history_events=3, history_bytes=1000"
    what = "published to the default exchange, key 'nowhere', routed to no queue"
    assert timeline(fakebroker.history).splitlines() == [
        f"(2 earlier events are no longer kept: {limits})",
        f"+0.0 s  {what}: (a body of 400 bytes, no longer kept)",
        f"+0.0 s  {what}: (a body of 400 bytes, no longer kept)",
        f"+0.0 s  {what}: {'4' * 57}...",
    ]
    assert timeline(fakebroker.history, last=1).splitlines() == [
        f"(2 earlier events are no longer kept: {limits})",
        "(2 earlier events)",
        f"+0.0 s  {what}: {'4' * 57}...",
    ]


@pytest.mark.fakebroker(history_events=0)
def test_of_a_history_that_keeps_nothing(fakebroker: FakeBroker) -> None:
    fakebroker.connect()
    assert timeline(fakebroker.history) == (
        "(1 earlier events are no longer kept: history_events=0, history_bytes=67108864)"
    )

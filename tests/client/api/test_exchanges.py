"""Exchanges: every parameter of their methods, on every broker."""

from typing import Any

import pytest

from hutch.client import AccessRefused, Channel, Connection, InvalidCommand, Message, NotFound, PreconditionFailed
from hutch.wire.methods import ExchangeDeclareOk
from tests.client.api.reference import shows
from tests.client.api.steps import bodies
from tests.client.api.tap import tapped
from tests.targets import PATIENCE, Target


@pytest.fixture
def exchange(target: Target, channel: Channel) -> str:
    """The name of a fanout exchange that goes with the test."""
    name = target.name("exchange")
    channel.exchange_declare(name, "fanout", durable=True, auto_delete=False)
    target.cleanup.callback(delete, target, name)
    return name


def delete(target: Target, name: str) -> None:
    with target.connect() as connection:
        connection.channel().exchange_delete(name)


@shows("Channel.exchange_declare(exchange, type)")
@pytest.mark.parametrize(
    ("kind", "key", "other"),
    [("direct", "a.b", "a.c"), ("topic", "a.#", "b.a"), ("fanout", "", None), ("headers", "", None)],
)
def test_declaring(channel: Channel, queue: str, target: Target, kind: str, key: str, other: str | None) -> None:
    name = target.name("exchange")
    assert channel.exchange_declare(name, kind) is None  # type: ignore[func-returns-value]
    channel.queue_bind(queue, name, key)
    channel.basic_publish(Message(b"1"), name, "a.b")
    if other is not None:
        channel.basic_publish(Message(b"no"), name, other)
    assert bodies(channel, queue) == [b"1"]


@shows("Channel.exchange_declare(type)")
def test_an_unknown_type(channel: Channel, target: Target) -> None:
    kind = InvalidCommand if target.profile == "3.10" else PreconditionFailed  # EXCH-DECLARE-05
    with pytest.raises(kind, match="unknown exchange type 'carousel'") as caught:
        channel.exchange_declare(target.name("exchange"), "carousel")
    assert caught.value.method == "Exchange.declare"


@shows("Channel.exchange_declare(passive)")
def test_declaring_passively(channel: Channel, exchange: str, target: Target) -> None:
    channel.exchange_declare(exchange, "fanout", passive=True)
    channel.exchange_declare(exchange, "topic", passive=True)  # a passive declare compares only the name
    missing = target.name("missing")
    with pytest.raises(NotFound, match=f"no exchange '{missing}'") as caught:
        channel.exchange_declare(missing, "fanout", passive=True)
    assert (caught.value.reply_code, caught.value.method) == (404, "Exchange.declare")


@shows("Channel.exchange_declare(durable, auto_delete)")
def test_a_redeclaration_is_compared(channel: Channel, exchange: str) -> None:
    channel.exchange_declare(exchange, "fanout", durable=True, auto_delete=False)
    changes: list[tuple[str, dict[str, Any], str]] = [
        ("topic", {"durable": True, "auto_delete": False}, "type"),
        ("fanout", {"durable": False, "auto_delete": False}, "durable"),
        ("fanout", {"durable": True, "auto_delete": True}, "auto_delete"),
    ]
    for kind, settings, argument in changes:
        with pytest.raises(PreconditionFailed, match=f"inequivalent arg '{argument}' for exchange '{exchange}'"):
            channel.exchange_declare(exchange, kind, **settings)


@shows("Channel.exchange_declare(auto_delete)")
def test_auto_delete(channel: Channel, queue: str, target: Target) -> None:
    name = target.name("exchange")
    channel.exchange_declare(name, "fanout")  # auto_delete is True by default, as in py-amqp
    channel.queue_bind(queue, name)
    channel.queue_unbind(queue, name)
    with pytest.raises(NotFound):
        channel.exchange_declare(name, "fanout", passive=True)


@shows("Channel.exchange_declare(arguments)")
def test_arguments(channel: Channel, exchange: str, queue: str, target: Target) -> None:
    name = target.name("exchange")
    channel.exchange_declare(name, "direct", arguments={"alternate-exchange": exchange})
    channel.queue_bind(queue, exchange)
    channel.queue_bind(queue, name, "another key")
    channel.basic_publish(Message(b"1"), name, "unroutable")
    assert bodies(channel, queue) == [b"1"]
    with pytest.raises(PreconditionFailed, match="inequivalent arg 'alternate-exchange'"):
        channel.exchange_declare(name, "direct")
    channel.exchange_delete(name)


@shows("Channel.exchange_declare(nowait)", "Channel.exchange_delete(nowait)")
def test_without_waiting(target: Target) -> None:
    connection, tap = tapped(target)
    connection.connect()
    channel = connection.channel()
    name = target.name("exchange")
    channel.exchange_declare(name, "fanout", nowait=True)
    channel.exchange_declare(name, "fanout", passive=True)
    assert len(tap.received(ExchangeDeclareOk)) == 1
    channel.exchange_delete(name, nowait=True)
    with pytest.raises(NotFound):
        channel.exchange_declare(name, "fanout", passive=True)


@shows("Channel.exchange_delete(exchange)")
def test_deleting(channel: Channel, exchange: str, queue: str) -> None:
    channel.queue_bind(queue, exchange)
    channel.exchange_delete(exchange)
    channel.exchange_delete(exchange)  # deleting a missing exchange succeeds
    with pytest.raises(NotFound):
        channel.exchange_declare(exchange, "fanout", passive=True)


@shows("Channel.exchange_delete(if_unused)")
def test_deleting_if_unused(channel: Channel, exchange: str, queue: str) -> None:
    channel.queue_bind(queue, exchange)
    with pytest.raises(PreconditionFailed, match=f"exchange '{exchange}' in vhost '.*' in use"):
        channel.exchange_delete(exchange, if_unused=True)
    channel.queue_unbind(queue, exchange)
    channel.exchange_delete(exchange, if_unused=True)
    with pytest.raises(NotFound):
        channel.exchange_declare(exchange, "fanout", passive=True)


@shows("Channel.exchange_declare", "Channel.exchange_delete")
def test_what_belongs_to_the_broker(channel: Channel, target: Target) -> None:
    with pytest.raises(AccessRefused, match="contains reserved prefix 'amq") as caught:
        channel.exchange_declare(f"amq.{target.name('exchange')}", "direct")
    assert (caught.value.reply_code, caught.value.method) == (403, "Exchange.declare")
    with pytest.raises(AccessRefused, match="operation not permitted on the default exchange"):
        channel.exchange_declare("", "direct")


@shows(
    "Channel.exchange_bind(destination, source, routing_key)",
    "Channel.exchange_unbind(destination, source, routing_key)",
)
def test_binding_exchanges(channel: Channel, exchange: str, queue: str) -> None:
    channel.queue_bind(queue, exchange)
    channel.exchange_bind(exchange, "amq.topic", "order.#")
    channel.basic_publish(Message(b"1"), "amq.topic", "order.created")
    channel.basic_publish(Message(b"no"), "amq.topic", "invoice.created")
    channel.exchange_unbind(exchange, "amq.topic", "order.#")
    channel.basic_publish(Message(b"too late"), "amq.topic", "order.created")
    assert bodies(channel, queue) == [b"1"]


@shows("Channel.exchange_bind(arguments)", "Channel.exchange_unbind(arguments)")
def test_binding_exchanges_by_arguments(channel: Channel, exchange: str, queue: str) -> None:
    channel.queue_bind(queue, exchange)
    arguments = {"x-match": "any", "exchange": exchange}
    channel.exchange_bind(exchange, "amq.headers", arguments=arguments)
    message = Message(b"1", application_headers={"exchange": exchange})
    channel.basic_publish(message, "amq.headers")
    channel.exchange_unbind(exchange, "amq.headers", arguments=arguments)
    channel.basic_publish(message, "amq.headers")
    assert bodies(channel, queue) == [b"1"]


@shows("Channel.exchange_bind(nowait)", "Channel.exchange_unbind(nowait)")
def test_binding_exchanges_without_waiting(
    connection: Connection, channel: Channel, exchange: str, queue: str, target: Target
) -> None:
    channel.queue_bind(queue, exchange)
    key = target.name("key")
    channel.exchange_bind(exchange, "amq.direct", key, nowait=True)
    channel.basic_publish(Message(b"1"), "amq.direct", key)
    channel.exchange_unbind(exchange, "amq.direct", key, nowait=True)
    channel.basic_publish(Message(b"no"), "amq.direct", key)
    assert bodies(channel, queue) == [b"1"]
    channel.exchange_bind(exchange, "missing", nowait=True)
    with pytest.raises(NotFound, match="no exchange 'missing'"):
        connection.drain_events(timeout=PATIENCE)


@shows("Channel.exchange_bind")
def test_binding_what_is_not_there(channel: Channel, exchange: str) -> None:
    for destination, source in [("missing", exchange), (exchange, "missing")]:
        with pytest.raises(NotFound, match="no exchange 'missing'") as caught:
            channel.exchange_bind(destination, source)
        assert caught.value.method == "Exchange.bind"

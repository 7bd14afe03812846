"""What the cases about exchange types of plugins share."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.conformance.site import Inapplicable
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable

#: The plugin that provides each exchange type.
_PLUGINS: Final = {
    "x-consistent-hash": "rabbitmq_consistent_hash_exchange",
    "x-delayed-message": "rabbitmq_delayed_message_exchange",
    "x-modulus-hash": "rabbitmq_sharding",
    "x-random": "rabbitmq_random_exchange",
    "x-recent-history": "rabbitmq_recent_history_exchange",
}


def needs_type(rabbit: Rabbit, type_: str) -> None:
    """Have the case apply to brokers alone that know this exchange type."""
    connection = rabbit.raw()
    channel = connection.channel()
    channel.send(amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=type_))
    _, answer = connection.read()
    connection.forget(channel.number)
    connection.close()
    # If the plugin was disabled while the node ran, RabbitMQ calls the type invalid.
    told = f"unknown exchange type '{type_}'", f"invalid exchange type '{type_}'"
    if getattr(answer, "reply_text", "").endswith(told):
        raise Inapplicable(f"needs the plugin {_PLUGINS[type_]}")


def declare(rabbit: Rabbit, channel: RawChannel, type_: str, arguments: FieldTable | None = None) -> str:
    """A new exchange; its name."""
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type=type_, arguments=dict(arguments or {})))
    return exchange


def bound(rabbit: Rabbit, channel: RawChannel, exchange: str, keys: Iterable[str]) -> dict[str, str]:
    """New queues, bound to the exchange with these keys; their names by the letter that each begins with."""
    queues = {}
    for letter, key in zip("abcdef", keys, strict=False):
        queue = queues[letter] = rabbit.name(letter)
        channel.call(amqp.QueueDeclare(queue=queue))
        channel.call(amqp.QueueBind(queue=queue, exchange=exchange, routing_key=key))
    return queues


def spread(channel: RawChannel, exchange: str, queues: Mapping[str, str], messages: Iterable[Mapping[str, Any]]) -> str:
    """Which queue each of these messages gets into: a letter for each, ``-`` for none, more in ``()``.

    A message is its properties, and its routing key as ``key``. They go in one transaction, after which the queues have
    them; the channel stays transactional.
    """
    channel.call(amqp.TxSelect())
    count = 0
    for message in messages:
        properties = {name: value for name, value in message.items() if name != "key"}
        channel.publish(b"%d" % count, exchange, message.get("key", ""), **properties)
        count += 1
    channel.call(amqp.TxCommit())
    found = [""] * count
    for letter, queue in queues.items():
        while content := channel.get(queue, no_ack=True):
            found[int(content.body)] += letter
    return "".join(place if len(place) == 1 else f"({place})" if place else "-" for place in found)


def keys(*routing_keys: str) -> list[Mapping[str, Any]]:
    """Messages with these routing keys, by default the numbers from 0 to 59."""
    return [{"key": key} for key in routing_keys or map(str, range(60))]

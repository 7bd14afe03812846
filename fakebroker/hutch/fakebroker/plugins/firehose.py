"""The firehose (https://www.rabbitmq.com/docs/firehose): while a vhost is traced, what clients publish there and what
they get goes to the exchange amq.rabbitmq.trace as well.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.wire.fields import FieldTable, FieldValue
from hutch.wire.properties import PropertyValue, encode_properties

if TYPE_CHECKING:
    from hutch.fakebroker.engine.channel import Channel
    from hutch.fakebroker.engine.targets import Target

#: The exchange of every vhost that the firehose goes to (EXCH-SYS-01).
TRACE: Final = "amq.rabbitmq.trace"


def trace_publish(channel: "Channel", message: Message, targets: Sequence["Target"]) -> None:
    """Tell of a message that was published and goes to ``targets``, if a transaction does not take it back."""
    routed: list[FieldValue] = [target.name for target in targets]
    _publish(channel, message, f"publish.{message.exchange}", {}, {"routed_queues": routed})


def trace_delivery(channel: "Channel", queue: str, message: Message, redelivered: bool) -> None:
    """Tell of a message that a client got, by basic.deliver or basic.get, once the command in hand is done. What
    the firehose itself brings is not told of.
    """
    if message.exchange == TRACE:
        return
    facts: FieldTable = {"redelivered": int(redelivered)}
    channel.vhost.node.pending.append(lambda: _publish(channel, message, f"deliver.{queue}", facts, {}))


def _publish(channel: "Channel", message: Message, key: str, facts: FieldTable, last: FieldTable) -> None:
    """Publish the copy, unless the key is longer than a client can be told: RabbitMQ closes the connection of whoever
    consumes such a message with 541.
    """
    if len(key.encode()) > 255:
        return
    vhost = channel.vhost
    headers: FieldTable = {
        "exchange_name": message.exchange,
        "routing_keys": list(message.routing_keys),
        "properties": _table(message.properties.values),
        "node": NODE_NAME,
        **facts,
        "vhost": vhost.name,
        "connection": channel.connection.name,
        "channel": channel.number,
        "user": channel.connection.user,
        **last,
    }
    envelope = vhost.node.envelopes.of(encode_properties({"headers": headers}))
    copy = Message(TRACE, key, envelope, message.body)
    for target in vhost.route(vhost.exchanges[TRACE], copy, (key,)):
        target.publish(copy)


def _table(properties: Mapping[str, PropertyValue]) -> FieldTable:
    """Properties as a table, last first, as RabbitMQ writes it: numbers become signed ones of 32 bits."""
    values = reversed(list(properties.items()))
    return {name: _signed(value) if isinstance(value, int) else value for name, value in values}


def _signed(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31

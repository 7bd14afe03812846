"""The firehose (https://www.rabbitmq.com/docs/firehose): while a vhost is traced, what clients publish there and what
they get goes to the exchange amq.rabbitmq.trace as well.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.routing import route
from hutch.wire.fields import FieldTable, FieldValue
from hutch.wire.properties import PropertyValue, encode_properties

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.targets import Target
    from hutch.fakebroker.engine.vhost import VHost

#: The exchange of every vhost that the firehose goes to (EXCH-SYS-01).
TRACE: Final = "amq.rabbitmq.trace"


class Firehose(Journal):
    """Publishes copies to the exchanges :data:`TRACE` of the virtual hosts that are traced; it listens while there are
    any. It copies a publish ahead of other listeners, and a delivery once the command in hand is done.
    """

    listens = False

    def trace(self, vhost: "VHost", traced: bool) -> None:
        """Begin to tell what happens in a virtual host, or end it."""
        vhost.traced = traced
        others = (each.traced for each in vhost.node.vhosts.values())
        self._listen(vhost.node, traced or any(others))

    def follow(self, node: "Node") -> None:
        """Tell what happens in the virtual hosts that are traced since the state of the node was restored."""
        self._listen(node, any(vhost.traced for vhost in node.vhosts.values()))

    def _listen(self, node: "Node", wanted: bool) -> None:
        if wanted and not self.listens:
            node.listen(self, before_others=True)
        elif self.listens and not wanted:
            node.end_listening(self)
        self.listens = wanted

    def vhost_deleted(self, origin: Origin, vhost: "VHost") -> None:  # noqa: ARG002
        """Forget it."""
        self.trace(vhost, traced=False)

    def published(self, origin: Origin, vhost: "VHost", message: Message, queues: Sequence["Target"]) -> None:
        """Tell of a publish."""
        if vhost.traced:
            routed: list[FieldValue] = [queue.name for queue in queues]
            _publish(origin, vhost, message, f"publish.{message.exchange}", {}, {"routed_queues": routed})

    def held(self, origin: Origin, vhost: "VHost", message: Message, queues: Sequence["Target"]) -> None:
        """Tell of a publish now, whether its transaction commits or not."""
        self.published(origin, vhost, message, queues)

    def delivered(
        self,
        origin: Origin,
        vhost: "VHost",
        queue: "Target",
        message: Message,
        consumer_tag: str,  # noqa: ARG002
        delivery_tag: int,  # noqa: ARG002
        redelivered: bool,
        no_ack: bool,  # noqa: ARG002
    ) -> None:
        """Tell of a delivery; of replies that come from no queue, nothing."""
        if vhost.node.profile.topology.has_volatile_queues or not isinstance(queue, ReplyQueue):
            _publish_later(origin, vhost, message, queue.name, redelivered)

    def got(
        self,
        origin: Origin,
        queue: "Queue",
        message: Message,
        delivery_tag: int,  # noqa: ARG002
        redelivered: bool,
        no_ack: bool,  # noqa: ARG002
    ) -> None:
        """Tell of a delivery."""
        _publish_later(origin, queue.vhost, message, queue.name, redelivered)


def _publish_later(origin: Origin, vhost: "VHost", message: Message, queue: str, redelivered: bool) -> None:
    """Tell of a delivery once the command in hand is done, but not of what the firehose itself brings."""
    if vhost.traced and message.exchange != TRACE:
        facts: FieldTable = {"redelivered": int(redelivered)}
        vhost.node.pending.append(lambda: _publish(origin, vhost, message, f"deliver.{queue}", facts, {}))


def _publish(origin: Origin, vhost: "VHost", message: Message, key: str, facts: FieldTable, last: FieldTable) -> None:
    """Publish the copy, unless the key is longer than 255 bytes: RabbitMQ closes the connection of a consumer
    that gets such a message with 541.
    """
    if len(key.encode()) > 255:
        return
    headers: FieldTable = {
        "exchange_name": message.exchange,
        "routing_keys": list(message.routing_keys),
        "properties": _table(message.properties.values),
        "node": NODE_NAME,
        **facts,
        "vhost": vhost.name,
        "connection": origin.connection,
        "channel": origin.channel,
        "user": origin.user,
        **last,
    }
    envelope = vhost.node.envelopes[encode_properties({"headers": headers})]
    copy = Message(TRACE, key, envelope, message.body)
    copy.number = vhost.node.messages = vhost.node.messages + 1
    for target in route(vhost, vhost.exchanges[TRACE], copy, (key,)):
        target.publish(copy)


def _table(properties: Mapping[str, PropertyValue]) -> FieldTable:
    """Properties as a table, last first, as RabbitMQ writes it: numbers become signed ones of 32 bits."""
    values = reversed(list(properties.items()))
    return {name: _signed(value) if isinstance(value, int) else value for name, value in values}


def _signed(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31

"""What the cases about direct reply-to share: a channel that consumes replies, and the name that its requests have."""

from typing import Final

from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.content import Content

#: The pseudo queue of direct reply-to.
PSEUDO: Final = "amq.rabbitmq.reply-to"


def consume_replies(channel: RawChannel, tag: str = "") -> str:
    """Have a channel consume replies; the consumer's tag."""
    return str(fields(channel.call(amqp.BasicConsume(queue=PSEUDO, consumer_tag=tag, no_ack=True))).consumer_tag)


def reply_name(channel: RawChannel) -> str:
    """The name that stands in a channel's requests."""
    channel.publish(routing_key="nowhere", mandatory=True, reply_to=PSEUDO)
    return str(properties_of(channel.message(amqp.BasicReturn))["reply_to"])


def requester(rabbit: Rabbit) -> tuple[RawChannel, str]:
    """A channel of a new connection that consumes replies with the tag ``replies``, and its name."""
    channel = rabbit.raw().channel()
    consume_replies(channel, "replies")
    return channel, reply_name(channel)


def expect_reply(channel: RawChannel, name: str, body: bytes = b"") -> Content:
    """The next thing on the channel must be this reply."""
    content = channel.message(amqp.BasicDeliver)
    method = fields(content)
    equal(
        (method.consumer_tag, method.redelivered, method.exchange, method.routing_key, content.body),
        ("replies", False, "", name, body),
        "reply",
    )
    return content

"""What a test does at a broker: connect, declare, publish, get, acknowledge."""

from typing import Any


def one_message(connection: Any, message: Any) -> None:
    """With a client that has py-amqp's API."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    channel.basic_publish(message, routing_key=queue)
    got = channel.basic_get(queue)
    assert got.body == message.body
    channel.basic_ack(got.delivery_tag)

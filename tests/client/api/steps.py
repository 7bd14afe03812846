"""Steps that many tests take."""

from collections.abc import Callable
from typing import Any

from hutch.client import Channel, Connection, Message, ReceivedMessage
from tests.targets import PATIENCE


def drain_until(connection: Connection, done: Callable[[], Any]) -> None:
    """Drain events until ``done`` gives something true; TimeoutError if nothing comes any more."""
    while not done():
        connection.drain_events(timeout=PATIENCE)


def fetch(channel: Channel, queue: str) -> ReceivedMessage:
    """The next message of a queue, acknowledged."""
    message = channel.basic_get(queue, no_ack=True)
    assert message is not None, f"queue {queue} is empty"
    return message


def bodies(channel: Channel, queue: str) -> list[str | bytes]:
    """The bodies of all that is ready in a queue, which is empty then."""
    found = []
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        found.append(message.body)
    return found


def publish(channel: Channel, queue: str, *bodies: str) -> None:
    """Publish to a queue, and return once they are there."""
    for body in bodies:
        channel.basic_publish(Message(body.encode()), routing_key=queue)
    channel.queue_declare(queue, passive=True)

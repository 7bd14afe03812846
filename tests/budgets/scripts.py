"""The scripts whose calls are counted."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from hutch.client import Connection, Message, ReceivedMessage
from hutch.fakebroker import Broker, ManualClock

#: A script sets things up, yields the function to run, and cleans up. The function may run several times. It returns
#: the broker that it ran on.
Script = Callable[[], AbstractContextManager[Callable[[], Broker]]]

BODY: Final = b"x" * 100
MESSAGES: Final = 100


@contextmanager
def hundred_messages() -> Iterator[Callable[[], Broker]]:
    """Publish a message, deliver it to a callback, acknowledge it: a hundred times, one message at a time."""
    with Broker(clock=ManualClock()) as broker, Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).queue

        def on_message(message: ReceivedMessage) -> None:
            channel.basic_ack(message.delivery_tag)

        channel.basic_consume(queue, callback=on_message)

        def run() -> Broker:
            for _ in range(MESSAGES):
                channel.basic_publish(Message(BODY), routing_key=queue)
                connection.drain_events(timeout=10)
            return broker

        yield run


@contextmanager
def whole_test() -> Iterator[Callable[[], Broker]]:
    """Do what a small test does: make a broker and a client, put one message through, close both."""
    yield _test


def _test() -> Broker:
    broker = Broker(clock=ManualClock())
    connection = Connection(transport=broker.transport)
    connection.connect()
    channel = connection.channel()
    channel.exchange_declare("orders", "topic")
    channel.queue_declare("invoices")
    channel.queue_bind("invoices", "orders", "order.created")
    channel.basic_publish(Message(BODY), "orders", "order.created")

    def on_message(message: ReceivedMessage) -> None:
        channel.basic_ack(message.delivery_tag)

    channel.basic_consume("invoices", callback=on_message)
    connection.drain_events(timeout=10)
    channel.close()
    connection.close()
    broker.close()
    return broker


SCRIPTS: Final[Mapping[str, Script]] = {"a hundred messages": hundred_messages, "a whole test": whole_test}

"""One script of calls that touches what a broker makes up, orders or dates, and all that its clients are sent.

    python -m tests.fakebroker.script_of_calls 4.3

prints that, in hexadecimal; test_determinism.py compares.
"""

import sys

from hutch.fakebroker import Broker, ManualClock
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable
from hutch.wire.transport import Transport

from .peers import Peer

QUEUES = [f"queue-{letter}" for letter in "abcdefghij"]


class Recording:
    """A transport that notes what comes."""

    def __init__(self, transport: Transport, received: list[bytes]) -> None:
        self._transport = transport
        self._received = received

    def receive(self, deadline: float | None = None) -> bytes:
        data = self._transport.receive(deadline)
        self._received.append(data)
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


def play(profile: str) -> bytes:
    """What the clients of a broker are sent."""
    received: list[bytes] = []
    with Broker(profile, ManualClock(), seed=7) as broker:

        def peer() -> Peer:
            return Peer.opened(Recording(broker.transport(), received))  # type: ignore[arg-type]

        first, second = peer(), peer()
        declare(first)
        traffic(broker, first, second)
        received.append(repr([first.waiting(), second.waiting()]).encode())
        broker.admin.restart(downtime=3)
        for client in (first, second):
            client.fill_until_end()
            client.transport.close()
        last = peer()
        for queue in QUEUES[3:]:
            last.count(queue)
            last.get(queue)
        received.append(repr(list(broker.history)).encode())
        last.close()
    return b"\n".join(received)


def declare(peer: Peer) -> None:
    """Queues with names of the broker's and of our own, and all kinds of exchanges."""
    declared: FieldTable
    for declared in ({"x-max-priority": 3}, {"x-single-active-consumer": True}, {}):
        for _ in range(3):
            peer.declare("", declared)
    for kind in ("fanout", "topic", "headers", "direct"):
        peer.method(amqp.ExchangeDeclare(exchange=kind, type=kind))
        peer.expect(amqp.ExchangeDeclareOk)
    dead: FieldTable = {"x-dead-letter-exchange": "fanout", "x-message-ttl": 1000, "x-max-length": 3}
    any_of: FieldTable = {"x-match": "any", "a": 1, "b": "two"}
    nothing: FieldTable = {}
    for number, queue in enumerate(QUEUES):
        peer.declare(queue, dead if number % 3 == 0 else None, durable=True)
        for kind, key in (("topic", "#.b"), ("topic", "a.*"), ("headers", ""), ("direct", "k")):
            arguments = any_of if kind == "headers" else nothing
            peer.method(amqp.QueueBind(queue=queue, exchange=kind, routing_key=key, arguments=arguments))
            peer.expect(amqp.QueueBindOk)
    for queue, exchange, key in ((QUEUES[1], "fanout", ""), (QUEUES[4], "amq.rabbitmq.trace", "publish.topic")):
        peer.method(amqp.QueueBind(queue=queue, exchange=exchange, routing_key=key))
        peer.expect(amqp.QueueBindOk)


def traffic(broker: Broker, publisher: Peer, consumer: Peer) -> None:
    """Confirms, returns, deliveries in turn, requeueing, expiry, dead letters, an alarm, replies, the firehose."""
    broker.admin.trace_on()
    for queue in (*QUEUES[1:5], *QUEUES[1:5]):
        consumer.consume(queue)
    publisher.confirm()
    for number in range(6):
        headers: FieldTable = {"b": "two", "a": number, "CC": [QUEUES[7], QUEUES[6]]}
        for exchange, key in (("topic", "a.b"), ("headers", ""), ("direct", "k"), ("", QUEUES[0])):
            publisher.publish(key, b"%d" % number, exchange, mandatory=True, headers=headers, priority=number)
    for peer in (publisher, consumer):
        peer.waiting()
    consumer.method(amqp.BasicNack(0, multiple=True, requeue=True))
    assert isinstance(broker.clock, ManualClock)
    broker.clock.advance(2)
    broker.admin.raise_alarm("memory")
    publisher.publish(QUEUES[0], b"late", headers={"z": 1, "y": {"x": [1, 2]}})
    broker.admin.clear_alarm("memory")
    publisher.method(amqp.QueueDelete(queue=QUEUES[2]))
    publisher.method(amqp.BasicConsume(queue="amq.rabbitmq.reply-to", no_ack=True))
    publisher.publish(QUEUES[9], b"question", reply_to="amq.rabbitmq.reply-to")


if __name__ == "__main__":
    print(play(sys.argv[1]).hex())

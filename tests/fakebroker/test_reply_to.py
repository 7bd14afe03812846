"""Direct reply-to as its users have it, RPC clients on pika and aio-pika; and what no conformance case can show."""

import asyncio

import aio_pika
import pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.methods import BasicConsume, BasicConsumeOk

from .conftest import Connect
from .peers import PATIENCE, Peer, properties_of

PSEUDO = "amq.rabbitmq.reply-to"
PROFILES = pytest.mark.parametrize("profile", ["3.10", "4.3"])


@PROFILES
def test_a_call_with_pika(profile: str) -> None:
    answers: list[tuple[str | None, bytes]] = []

    def serve(channel: BlockingChannel, method: Basic.Deliver, properties: pika.BasicProperties, body: bytes) -> None:
        answer = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to or "", b"%d" % (int(body) * 2), answer)
        channel.basic_ack(method.delivery_tag or 0)

    def collect(_: BlockingChannel, __: Basic.Deliver, properties: pika.BasicProperties, body: bytes) -> None:
        answers.append((properties.correlation_id, body))

    with Broker(profile) as broker:
        parameters = pika.URLParameters(broker.url)
        parameters.blocked_connection_timeout = PATIENCE
        with pika.BlockingConnection(parameters) as server, pika.BlockingConnection(parameters) as client:
            serving, calling = server.channel(), client.channel()
            serving.queue_declare("double")
            serving.basic_consume("double", serve)
            calling.basic_consume(PSEUDO, collect, auto_ack=True)
            request = pika.BasicProperties(reply_to=PSEUDO, correlation_id="7")
            calling.basic_publish("", "double", b"21", request)
            server.process_data_events(PATIENCE)
            client.process_data_events(PATIENCE)
        assert answers == [("7", b"42")]
        assert broker.queue("double").unacked == 0


@PROFILES
def test_a_call_with_aio_pika(profile: str) -> None:
    async def main(broker: Broker) -> bytes:
        async with asyncio.timeout(PATIENCE), await aio_pika.connect(broker.url) as connection:
            serving, calling = await connection.channel(), await connection.channel()

            async def serve(message: AbstractIncomingMessage) -> None:
                async with message.process():
                    answer = aio_pika.Message(message.body.upper(), correlation_id=message.correlation_id)
                    await serving.default_exchange.publish(answer, message.reply_to or "", mandatory=False)

            await (await serving.declare_queue("shout")).consume(serve)
            answers: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            pseudo = await calling.declare_queue(PSEUDO, passive=True)
            await pseudo.consume(answers.put, no_ack=True)
            request = aio_pika.Message(b"hello", reply_to=PSEUDO, correlation_id="7")
            await calling.default_exchange.publish(request, "shout")
            return (await answers.get()).body

    with Broker(profile) as broker:
        assert asyncio.run(main(broker)) == b"HELLO"


def reply_name(peer: Peer) -> str:
    """Have a peer consume replies; the name that its requests have."""
    peer.declare("requests")
    peer.method(BasicConsume(queue=PSEUDO, consumer_tag="c", no_ack=True))
    peer.expect(BasicConsumeOk)
    peer.method(BasicConsume(queue="requests", consumer_tag="d", no_ack=True))
    peer.expect(BasicConsumeOk)
    peer.publish("requests", reply_to=PSEUDO)
    return str(properties_of(peer.message())["reply_to"])


def test_the_names_come_from_the_seed(pipe: Connect) -> None:
    names = []
    for seed in (1, 1, 2):
        with Broker(clock=ManualClock(), seed=seed) as broker:
            names.append(reply_name(pipe(broker)))
    assert names[0] == names[1] != names[2]


@PROFILES
def test_the_history_has_replies(pipe: Connect, profile: str) -> None:
    with Broker(profile, ManualClock()) as broker:
        peer = pipe(broker)
        name = reply_name(peer)
        peer.publish(name, b"answer")
        assert peer.message().body == b"answer"
        (delivered,) = [event for event in broker.history.of("delivered") if event.queue == name]
        assert delivered.message is not None
        assert delivered.message.body == b"answer"
        assert [event.queue for event in broker.history.of("consuming")] == [PSEUDO, "requests"]


def test_dead_letters_to_a_malformed_name_are_dropped(pipe: Connect) -> None:
    with Broker("3.10", ManualClock()) as broker:
        peer = pipe(broker)
        dead_letter_to = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{PSEUDO}.x.y"}
        peer.declare("q", {**dead_letter_to, "x-message-ttl": 0})
        peer.publish("q")
        assert peer.count("q") == 0
        assert [(event.reason, event.routed_to) for event in broker.history.of("dead-lettered")] == [("expired", ())]

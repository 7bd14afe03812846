"""The same session with each client library, and what passes over the wire, recorded from a live RabbitMQ.

    python -m tests.fakebroker.golden_sessions amqp://guest:guest@localhost/ http://guest:guest@localhost:15672

writes ``golden/LIBRARY-VERSION.json`` beside this file, one for each library; ``NODE_PATH`` has to lead to amqplib.
Each step of a session waits for the one before, so that RabbitMQ's answers come in one order alone.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import aio_pika
import amqp
import amqpstorm
import pika
import pika.exceptions

from hutch.conformance.management import Management
from hutch.wire.frames import FrameParser
from hutch.wire.methods import PROTOCOL_HEADER, ConnectionStart, decode_method
from hutch.wire.url import parse_url

FOLDER = Path(__file__).with_name("golden")
VHOST = "golden"
SECONDS = 10
HEADERS = {"n": 1, "s": "é", "list": [1, "two"], "t": {"u": True}}


def play_amqp(port: int) -> None:
    """py-amqp."""
    with amqp.Connection(f"127.0.0.1:{port}", virtual_host=VHOST, confirm_publish=True) as connection:
        channel = connection.channel()
        channel.exchange_declare("x", "topic", durable=True, auto_delete=False)
        channel.queue_declare("q", durable=True, auto_delete=False, arguments={"x-max-length": 10})
        channel.queue_declare("", exclusive=True)
        channel.queue_bind("q", "x", "a.#")
        message = {"content_type": "text/plain", "application_headers": HEADERS, "delivery_mode": 2, "message_id": "m"}
        for number in range(3):
            channel.basic_publish(amqp.Message(f"{number}", **message), "x", "a.b")
        with suppress(amqp.ChannelError):
            channel.basic_publish(amqp.Message("back"), "x", "nowhere", mandatory=True)
            connection.drain_events(SECONDS)
        channel.basic_reject(channel.basic_get("q").delivery_tag, requeue=True)
        channel.basic_ack(channel.basic_get("q").delivery_tag)
        channel.basic_qos(0, 1, False)
        taken: list[amqp.Message] = []
        tag = channel.basic_consume("q", callback=taken.append)
        for number in range(2):
            while len(taken) <= number:
                connection.drain_events(SECONDS)
            channel.basic_ack(taken[number].delivery_tag)
        channel.basic_cancel(tag)
        with suppress(amqp.NotFound):
            channel.queue_declare("missing", passive=True)
        channel = connection.channel()
        channel.queue_purge("q")
        channel.queue_delete("q")
        channel.exchange_delete("x")


def play_pika(port: int) -> None:
    """pika."""
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, VHOST))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.exchange_declare("x", "topic", durable=True)
    channel.queue_declare("q", durable=True, arguments={"x-max-length": 10})
    channel.queue_declare("", exclusive=True)
    channel.queue_bind("q", "x", "a.#")
    properties = pika.BasicProperties(content_type="text/plain", headers=HEADERS, delivery_mode=2, message_id="m")
    for number in range(3):
        channel.basic_publish("x", "a.b", b"%d" % number, properties)
    with suppress(pika.exceptions.UnroutableError):
        channel.basic_publish("x", "nowhere", b"back", mandatory=True)
    channel.basic_nack(channel.basic_get("q")[0].delivery_tag)
    channel.basic_ack(channel.basic_get("q")[0].delivery_tag)
    channel.basic_qos(prefetch_count=1)
    for method, _, _ in islice(channel.consume("q", inactivity_timeout=SECONDS), 2):
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    with suppress(pika.exceptions.ChannelClosedByBroker):
        channel.queue_declare("missing", passive=True)
    channel = connection.channel()
    channel.queue_purge("q")
    channel.queue_delete("q")
    channel.exchange_delete("x")
    connection.close()


def play_aio_pika(port: int) -> None:
    """aio-pika."""

    async def session() -> None:
        connection = await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{port}/{VHOST}")
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.declare_exchange("x", "topic", durable=True)
        queue = await channel.declare_queue("q", durable=True, arguments={"x-max-length": 10})
        await channel.declare_queue("", exclusive=True)
        await queue.bind("x", "a.#")
        for number in range(3):
            message = aio_pika.Message(
                b"%d" % number,
                content_type="text/plain",
                headers=HEADERS,  # type: ignore[arg-type]
                delivery_mode=2,
                message_id="m",
            )
            await exchange.publish(message, "a.b")
        with suppress(aio_pika.exceptions.DeliveryError):
            await exchange.publish(aio_pika.Message(b"back", message_id="b"), "nowhere")
        await (await queue.get()).nack()
        await (await queue.get()).ack()
        await channel.set_qos(1)
        async with queue.iterator() as messages:
            for _ in range(2):
                await (await anext(messages)).ack()
        with suppress(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.declare_queue("missing", passive=True)
        channel = await connection.channel()
        queue = await channel.get_queue("q")
        await queue.purge()
        await queue.delete()
        await channel.exchange_delete("x")
        await connection.close()

    async def limited() -> None:
        async with asyncio.timeout(SECONDS):
            await session()

    asyncio.run(limited())


def play_amqpstorm(port: int) -> None:
    """amqpstorm."""
    with amqpstorm.Connection("127.0.0.1", "guest", "guest", port, virtual_host=VHOST) as connection:
        channel = connection.channel()
        channel.confirm_deliveries()
        channel.exchange.declare("x", "topic", durable=True)
        channel.queue.declare("q", durable=True, arguments={"x-max-length": 10})
        channel.queue.declare("", exclusive=True)
        channel.queue.bind("q", "x", "a.#")
        properties = {"content_type": "text/plain", "headers": HEADERS, "delivery_mode": 2, "message_id": "m"}
        for number in range(3):
            channel.basic.publish(f"{number}", "a.b", "x", properties)
        with suppress(amqpstorm.AMQPMessageError):
            channel.basic.publish("back", "nowhere", "x", mandatory=True)
        for settle in ("nack", "ack"):
            message = channel.basic.get("q")
            getattr(message, settle)()
        channel.basic.qos(1)
        tag = channel.basic.consume(queue="q")
        for message in islice(channel.build_inbound_messages(empty_timeout=SECONDS), 2):
            message.ack()
        channel.basic.cancel(tag)
        with suppress(amqpstorm.AMQPChannelError):
            channel.queue.declare("missing", passive=True)
        channel = connection.channel()
        channel.queue.purge("q")
        channel.queue.delete("q")
        channel.exchange.delete("x")
        channel.close()


def play_amqplib(port: int) -> None:
    """amqplib, on Node."""
    node = shutil.which("node") or "node"
    script = Path(__file__).with_name("golden_amqplib.js")
    url = f"amqp://guest:guest@127.0.0.1:{port}/{VHOST}"
    subprocess.run([node, str(script), url], timeout=3 * SECONDS, check=True)


SESSIONS: dict[str, Callable[[int], None]] = {
    "amqp": play_amqp,
    "pika": play_pika,
    "aio-pika": play_aio_pika,
    "amqpstorm": play_amqpstorm,
    "amqplib": play_amqplib,
}


class Tap:
    """Stands between one client and a broker, and keeps what each of them says, in the order in which it came."""

    def __init__(self, host: str, port: int) -> None:
        self.said: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()
        self._broker = socket.create_connection((host, port), SECONDS)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self._threads.append(threading.Thread(target=self._pump, args=("server", self._broker, client)))
        self._threads[-1].start()
        self._pump("client", client, self._broker)

    def _pump(self, who: str, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(3 * SECONDS)
        with suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    self.said.append((who, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> list[dict[str, str]]:
        """Wait for both ends to have gone; the frames, each with who sent it."""
        for thread in list(self._threads):
            thread.join(SECONDS)
        self._listener.close()
        parsers = {"client": FrameParser(), "server": FrameParser()}
        frames = []
        for who, data in self.said:
            rest = data
            if rest.startswith(PROTOCOL_HEADER):
                frames.append({"from": who, "hex": PROTOCOL_HEADER.hex()})
                rest = rest[len(PROTOCOL_HEADER) :]
            for frame_type, channel, payload in parsers[who].feed(rest):
                raw = bytes((frame_type,)) + channel.to_bytes(2) + len(payload).to_bytes(4) + payload + b"\xce"
                frames.append({"from": who, "hex": raw.hex()})
        return frames


def record(url: str, management_url: str) -> None:
    """Play every session on a live broker, each in a new virtual host."""
    (address,) = parse_url(url)
    management = Management(management_url, address.userid, address.password)
    for library, play in SESSIONS.items():
        management.add_vhost(VHOST)
        try:
            tap = Tap(address.host, address.port or 5672)
            play(tap.port)
            frames = tap.close()
        finally:
            management.delete_vhost(VHOST)
        start = decode_method(bytes.fromhex(frames[1]["hex"])[7:-1])
        assert isinstance(start, ConnectionStart)
        cluster = str(start.server_properties["cluster_name"]).encode()
        masked = cluster.partition(b"@")[0] + b"@" + b"h" * len(cluster.partition(b"@")[2])
        frames[1]["hex"] = frames[1]["hex"].replace(cluster.hex(), masked.hex())
        version = str(start.server_properties["version"])
        path = FOLDER / f"{library}-{version}.json"
        path.write_text("[\n" + ",\n".join(map(json.dumps, frames)) + "\n]\n")
        print(path, len(frames))


if __name__ == "__main__":
    record(*sys.argv[1:])

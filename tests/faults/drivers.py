"""Client libraries: each can open a connection, and publish a message that is mandatory and confirmed."""

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import aio_pika
import amqp
import kombu
import pika
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection

from hutch import client
from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests import certificates

#: Real seconds that a library is asked to wait for the broker, where it can be asked.
TIMEOUT = 1.0
QUEUE = "orders"


@dataclass(frozen=True)
class Place:
    """Where the broker is: in this process, over TCP, or over TLS, with the authority's certificate in a file."""

    broker: Broker
    way: str
    ca: str

    @property
    def url(self) -> str:
        """The broker's URL, without what comes behind the port."""
        return self.broker.hub.listeners.urls[-1].rstrip("/") if self.way == "TLS" else self.broker.url.rstrip("/")

    @property
    def port(self) -> int:
        """Its port."""
        return parse_url(self.url)[0].port or 0

    @property
    def tls(self) -> ssl.SSLContext | None:
        """A client's context."""
        return certificates.client_context() if self.way == "TLS" else None


class ToldError(Exception):
    """What a library in another process told of its error."""


class Driver(ABC):
    """One library. Heartbeats are off. Its methods raise what the library raises."""

    ways: ClassVar[tuple[str, ...]] = ("TCP", "TLS")

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def open(self) -> None:
        """Connect, open a channel with confirms, and declare the queue."""

    @abstractmethod
    def publish(self) -> None:
        """Publish a message to it, and wait until it is confirmed."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""


class Hutch(Driver):
    ways = ("in-process", "TCP", "TLS")
    _connection: client.Connection | None = None

    def open(self) -> None:
        options: dict[str, Any] = {"confirm_publish": True, "connect_timeout": TIMEOUT, "heartbeat": 0}
        if self.place.way == "in-process":
            self._connection = client.Connection(transport=self.place.broker.transport, **options)
        else:
            if self.place.tls:
                options["ssl"] = {"ca_certs": self.place.ca, "server_hostname": "localhost"}
            self._connection = client.Connection(f"127.0.0.1:{self.place.port}", **options)
        self._connection.connect()
        self._channel = self._connection.channel()
        self._channel.queue_declare(QUEUE, auto_delete=False)
        self.publish()  # the first one begins with confirm.select

    def publish(self) -> None:
        returned: list[Exception] = []
        self._channel.events["basic_return"] = {lambda error, *_: returned.append(error)}
        self._channel.basic_publish_confirm(
            client.Message("one"), routing_key=QUEUE, mandatory=True, confirm_timeout=TIMEOUT
        )
        if returned:
            raise returned[0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.collect()


class PyAmqp(Driver):
    _connection: Any = None

    def open(self) -> None:
        options: dict[str, Any] = {"confirm_publish": True, "connect_timeout": TIMEOUT}
        if self.place.tls:
            options["ssl"] = {"ca_certs": self.place.ca, "server_hostname": "localhost"}
        self._connection = amqp.Connection(f"127.0.0.1:{self.place.port}", **options)
        self._connection.connect()
        self._channel = self._connection.channel()
        self._channel.queue_declare(QUEUE, auto_delete=False)
        self.publish()  # the first one begins with confirm.select

    def publish(self) -> None:
        returned: list[Exception] = []
        self._channel.events["basic_return"] = {lambda error, *_: returned.append(error)}
        self._channel.basic_publish_confirm(
            amqp.Message("one"), routing_key=QUEUE, mandatory=True, confirm_timeout=TIMEOUT
        )
        if returned:
            raise returned[0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.collect()


class Kombu(Driver):
    _connection: Any = None

    def open(self) -> None:
        options: dict[str, Any] = {}
        if self.place.tls:
            options["ssl"] = {"ca_certs": self.place.ca, "server_hostname": "localhost"}
        self._connection = kombu.Connection(
            f"pyamqp://guest:guest@127.0.0.1:{self.place.port}//",
            connect_timeout=TIMEOUT,
            transport_options={"confirm_publish": True},
            **options,
        )
        self._connection.ensure_connection(max_retries=1, interval_start=0.05)
        self._producer = self._connection.Producer()
        kombu.Queue(QUEUE, channel=self._producer.channel, durable=False).declare()
        self.publish()  # the first one begins with confirm.select

    def publish(self) -> None:
        returned: list[Exception] = []
        self._producer.channel.events["basic_return"] = {lambda error, *_: returned.append(error)}
        self._producer.publish(
            b"one",
            routing_key=QUEUE,
            mandatory=True,
            retry=True,
            retry_policy={"max_retries": 3, "interval_start": 0.05, "interval_step": 0.05},
            timeout=TIMEOUT,
            confirm_timeout=TIMEOUT,
        )
        if returned:
            raise returned[0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.collect()


class Pika(Driver):
    _connection: Any = None

    def open(self) -> None:
        options = pika.SSLOptions(self.place.tls, "localhost") if self.place.tls else None
        parameters = pika.ConnectionParameters(
            "127.0.0.1",
            self.place.port,
            ssl_options=options,
            heartbeat=0,
            socket_timeout=TIMEOUT,
            stack_timeout=TIMEOUT,
            connection_attempts=1,
        )
        self._connection = pika.BlockingConnection(parameters)
        self._channel = self._connection.channel()
        self._channel.queue_declare(QUEUE)
        self._channel.confirm_delivery()

    def publish(self) -> None:
        self._channel.basic_publish("", QUEUE, b"one", mandatory=True)

    def close(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()


class AioPika(Driver):
    """Its event loop runs in a thread."""

    _connection: AbstractRobustConnection | None = None
    _channel: AbstractRobustChannel

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def open(self) -> None:
        self._run(self._open())

    async def _open(self) -> None:
        self._connection = await aio_pika.connect_robust(
            host="localhost" if self.place.tls else "127.0.0.1",
            port=self.place.port,
            ssl=self.place.tls is not None,
            ssl_context=self.place.tls,
            timeout=TIMEOUT,
            reconnect_interval=0.1,
        )
        channel = await self._connection.channel(on_return_raises=True)
        assert isinstance(channel, AbstractRobustChannel)
        self._channel = channel
        await self._channel.declare_queue(QUEUE)

    def publish(self) -> None:
        self._run(self._publish())

    async def _publish(self) -> None:
        await self._channel.default_exchange.publish(aio_pika.Message(b"one"), QUEUE, timeout=TIMEOUT)

    def close(self) -> None:
        async def end() -> None:
            if self._connection is not None:
                await self._connection.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Amqplib(Driver):
    """amqplib on Node, told what to do line by line."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        command = shutil.which("node") or "node"
        script = Path(__file__).with_name("amqplib_driver.js")
        environment = {**os.environ, "CA": place.ca}
        self._process = subprocess.Popen(
            [command, str(script), place.url, str(int(TIMEOUT * 1000))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def _ask(self, what: str) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(what + "\n")
        stdin.flush()
        line = stdout.readline()
        answer = json.loads(line) if line else "the process ended"
        if answer is not None:
            raise ToldError(answer)

    def open(self) -> None:
        self._ask("open")

    def publish(self) -> None:
        self._ask("publish")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


DRIVERS: dict[str, type[Driver]] = {
    "hutch.client": Hutch,
    "py-amqp": PyAmqp,
    "kombu": Kombu,
    "pika": Pika,
    "aio-pika": AioPika,
    "amqplib": Amqplib,
}
